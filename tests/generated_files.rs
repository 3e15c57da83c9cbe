//! What is generated from the code is as the code has it. `make generate` writes these files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

fn printed_by(subcommand: &str) -> String {
    let arguments = subcommand.split(' ');
    let output = Command::new(env!("CARGO_BIN_EXE_streamrole")).args(arguments).output().unwrap();
    assert!(output.status.success(), "streamrole {subcommand} failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_shipped_crd_is_the_one_that_the_code_declares() {
    let shipped = include_str!("../crds/streamrole.dev_pinpointeventstreamroles.yaml");
    assert_eq!(printed_by("crd"), shipped, "run `make generate` and commit the result");
}

#[test]
fn the_reference_is_the_one_of_the_schema() {
    let shipped = include_str!("../docs/reference.md");
    assert_eq!(printed_by("reference"), shipped, "run `make generate` and commit the result");
}

#[test]
fn the_shipped_cluster_role_is_the_one_that_the_code_needs() {
    let shipped = include_str!("../deploy/rbac/clusterrole.yaml");
    assert_eq!(printed_by("rbac"), shipped, "run `make generate` and commit the result");
}

#[test]
fn the_shipped_lease_role_is_the_one_that_the_code_needs() {
    let shipped = include_str!("../deploy/rbac/role.yaml");
    assert_eq!(printed_by("rbac lease-role"), shipped, "run `make generate` and commit the result");
}

#[test]
fn the_chart_has_what_the_code_needs() {
    let table = [
        ("crd", include_str!("../deploy/helm/streamrole/files/crd.yaml")),
        ("rbac", include_str!("../deploy/helm/streamrole/files/clusterrole.yaml")),
        ("rbac lease-role", include_str!("../deploy/helm/streamrole/files/role.yaml")),
    ];
    for (subcommand, shipped) in table {
        let same = printed_by(subcommand) == shipped;
        assert!(same, "{subcommand}: run `make generate` and commit the result");
    }
}

#[test]
fn the_shipped_iam_policies_are_those_that_the_code_needs() {
    let table = [
        ("controller", include_str!("../deploy/iam/policy.json")),
        ("without-tags", include_str!("../deploy/iam/policy-without-tags.json")),
        ("adoption", include_str!("../deploy/iam/policy-adoption.json")),
        ("take-over", include_str!("../deploy/iam/policy-take-over.json")),
        ("boundary", include_str!("../deploy/iam/policy-boundary.json")),
    ];
    for (policy, shipped) in table {
        let printed = printed_by(&format!("iam-policy {policy}"));
        assert_eq!(printed, shipped, "{policy}: run `make generate` and commit the result");
    }
}

#[test]
fn an_iam_policy_is_printed_filled_in() {
    let printed = printed_by(
        "iam-policy --partition aws-cn --account-id 111122223333 --role-prefix /streaming/ --cluster-uid u1",
    );
    assert!(printed.contains("arn:aws-cn:iam::111122223333:role/streaming/*"), "{printed}");
    assert!(printed.contains(r#""aws:RequestTag/streamrole.dev/cluster": "u1""#), "{printed}");
    assert!(!printed.contains("${"), "{printed}");
}
