//! What is generated from the code is as the code has it. `make generate` writes these files. Also what
//! `streamrole iam-policy` fills in and what it refuses.

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
        (
            "crd --schema",
            include_str!("../crds/streamrole.dev/pinpointeventstreamrole_v1alpha1.json"),
        ),
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

const CLUSTER: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
const OTHER_CLUSTER: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

#[test]
fn an_iam_policy_is_printed_filled_in() {
    let whole = format!(
        "iam-policy --partition aws-cn --account-id 111122223333 --role-prefix /streaming/ --cluster-uid {CLUSTER}"
    );
    let table = [
        (whole.clone(), "arn:aws-cn:iam::111122223333:role/streaming/*"),
        (whole, CLUSTER),
        (
            format!(
                "iam-policy take-over --partition aws --account-id 111122223333 --role-prefix / --cluster-uid {CLUSTER} --other-cluster-uid {OTHER_CLUSTER}"
            ),
            OTHER_CLUSTER,
        ),
        (
            "iam-policy boundary --boundary-arn arn:aws:iam::111122223333:policy/teams/most".into(),
            "arn:aws:iam::111122223333:policy/teams/most",
        ),
        (
            "iam-policy boundary --account-id 111122223333 --boundary-arn arn:aws:iam::aws:policy/PowerUserAccess".into(),
            "arn:aws:iam::aws:policy/PowerUserAccess",
        ),
        (
            "iam-policy own-role --controller-role-arn arn:aws-us-gov:iam::111122223333:role/infra/streamrole-controller --partition aws-us-gov --account-id 111122223333".into(),
            "arn:aws-us-gov:iam::111122223333:role/infra/streamrole-controller",
        ),
    ];
    for (subcommand, part) in table {
        let printed = printed_by(&subcommand);
        assert!(printed.contains(&format!("{part}\"")), "{part:?} in {printed}");
        assert!(!printed.contains("${"), "{printed}");
    }
}

#[test]
fn an_iam_policy_is_not_printed_with_what_its_flags_cannot_mean() {
    const PRINTS_UID: &str = "kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'";
    const PRINTS_ACCOUNT: &str = "aws sts get-caller-identity";
    const PRINTS_ROLE: &str = "aws iam get-role";
    const ACCEPTED: &str = "/ for all";
    let upper = CLUSTER.to_uppercase();
    let table: [(&[&str], &str); 34] = [
        // What a command in $(…) prints when it fails: nothing.
        (&["--cluster-uid", ""], PRINTS_UID),
        (&["--cluster-uid="], PRINTS_UID),
        (&["take-over", "--other-cluster-uid", ""], PRINTS_UID),
        (&["--cluster-uid", " "], PRINTS_UID),
        (&["--cluster-uid", "*"], PRINTS_UID),
        (&["--cluster-uid", "my-cluster"], PRINTS_UID),
        (&["--cluster-uid", "0a1b2c3d-0000-4000-8000-00000000000"], PRINTS_UID),
        (&["--cluster-uid", "0a1b2c3d00004000-8000-00000000-000-a"], PRINTS_UID),
        (&["--cluster-uid", &upper], PRINTS_UID),
        (&["--account-id", ""], PRINTS_ACCOUNT),
        (&["--account-id", "11112222333"], PRINTS_ACCOUNT),
        (&["--account-id", "1111-2222-3333"], PRINTS_ACCOUNT),
        (&["--partition", ""], "aws-us-gov"),
        (&["--partition", "aws-moon"], "aws-us-gov"),
        (&["--role-prefix", ""], ACCEPTED),
        (&["--role-prefix", "streaming/"], ACCEPTED),
        (&["--role-prefix", "/streaming/*"], ACCEPTED),
        (&["--role-prefix", "/stream?"], ACCEPTED),
        (&["--role-prefix", "/${aws:username}/"], ACCEPTED),
        (&["--role-prefix", "/a b/"], ACCEPTED),
        (&["--role-prefix", "/straße/"], ACCEPTED),
        (&["boundary", "--boundary-arn", ""], "managed policy"),
        (&["boundary", "--boundary-arn", "most"], "managed policy"),
        (&["boundary", "--boundary-arn", "arn:aws:iam::111122223333:policy/*"], "managed policy"),
        (
            &["boundary", "--boundary-arn", "arn:aws:iam::111122223333:policy/${x}/most"],
            "managed policy",
        ),
        (&["boundary", "--boundary-arn", "arn:aws:iam::111122223333:role/most"], "managed policy"),
        (&["own-role", "--controller-role-arn", ""], PRINTS_ROLE),
        (
            // What GetCallerIdentity says of the controller.
            &[
                "own-role",
                "--controller-role-arn",
                "arn:aws:sts::111122223333:assumed-role/streamrole-controller/eks-1",
            ],
            PRINTS_ROLE,
        ),
        (&["own-role", "--controller-role-arn", "arn:aws:iam::111122223333:role/*"], PRINTS_ROLE),
        (&["own-role", "--controller-role-arn", "arn:aws:iam::111122223333:user/me"], PRINTS_ROLE),
        // Each is right by itself.
        (
            &[
                "own-role",
                "--account-id",
                "444455556666",
                "--controller-role-arn",
                "arn:aws:iam::111122223333:role/streamrole-controller",
            ],
            "--account-id",
        ),
        (
            &["boundary", "--partition", "aws-cn", "--boundary-arn", "arn:aws:iam::aws:policy/P"],
            "--partition",
        ),
        (
            &["take-over", "--cluster-uid", CLUSTER, "--other-cluster-uid", CLUSTER],
            "--other-cluster-uid",
        ),
        (
            &["controller", "--boundary-arn", "arn:aws:iam::111122223333:policy/most"],
            "These do: boundary",
        ),
    ];
    for (arguments, part) in table {
        let run = Command::new(env!("CARGO_BIN_EXE_streamrole"))
            .arg("iam-policy")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(!run.status.success(), "{arguments:?} is refused");
        assert!(run.stdout.is_empty(), "nothing is printed for {arguments:?}");
        assert!(said.contains(part), "{part:?} for {arguments:?} in {said}");
    }
}
