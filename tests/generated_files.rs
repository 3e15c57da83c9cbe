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
fn what_is_shipped_is_what_the_code_says() {
    let table = [
        ("crd", include_str!("../crds/streamrole.dev_pinpointeventstreamroles.yaml")),
        ("crd", include_str!("../deploy/helm/streamrole/files/crd.yaml")),
        ("crd", include_str!("../deploy/kustomize/base/crd.yaml")),
        ("reference", include_str!("../docs/reference.md")),
        ("rbac", include_str!("../deploy/rbac/clusterrole.yaml")),
        ("rbac", include_str!("../deploy/helm/streamrole/files/clusterrole.yaml")),
        ("rbac", include_str!("../deploy/kustomize/base/clusterrole.yaml")),
        ("rbac lease-role", include_str!("../deploy/rbac/role.yaml")),
        ("rbac lease-role", include_str!("../deploy/helm/streamrole/files/role.yaml")),
        ("rbac lease-role", include_str!("../deploy/kustomize/base/role.yaml")),
        ("iam-policy controller", include_str!("../deploy/iam/policy.json")),
        ("iam-policy without-tags", include_str!("../deploy/iam/policy-without-tags.json")),
        ("iam-policy adoption", include_str!("../deploy/iam/policy-adoption.json")),
        ("iam-policy take-over", include_str!("../deploy/iam/policy-take-over.json")),
        ("iam-policy boundary", include_str!("../deploy/iam/policy-boundary.json")),
        ("iam-policy own-role", include_str!("../deploy/iam/policy-own-role.json")),
    ];
    for (subcommand, shipped) in table {
        let printed = printed_by(subcommand);
        assert_eq!(printed, shipped, "{subcommand}: run `make generate` and commit the result");
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
