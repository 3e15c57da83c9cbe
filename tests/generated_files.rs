//! Generated files match the code. `make generate` writes these files. Also tests what `streamrole iam-policy` fills in
//! and what it rejects.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use support::Generated;

fn printed_by(subcommand: &str) -> String {
    let arguments = subcommand.split(' ');
    let output = Command::new(env!("CARGO_BIN_EXE_streamrole")).args(arguments).output().unwrap();
    assert!(output.status.success(), "streamrole {subcommand} failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shipped_files_match_the_code() {
    for generated in Generated::all().unwrap() {
        for path in generated.paths() {
            let shipped = std::fs::read_to_string(&path).unwrap_or_default();
            let path = path.display();
            assert_eq!(
                shipped, generated.text,
                "{path}: run `make generate` and commit the result"
            );
        }
    }
}

#[test]
fn each_command_prints_the_shipped_file() {
    for generated in Generated::all().unwrap() {
        if let Some(arguments) = generated.printed_by {
            assert_eq!(printed_by(&arguments), generated.text, "streamrole {arguments}");
        }
    }
}

#[test]
fn a_closed_pipe_makes_no_command_fail() {
    let printing = Generated::all().unwrap().into_iter().filter_map(|one| one.printed_by);
    for subcommand in printing.chain(["--help".into(), "--version".into()]) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
        let run = streamrole.args(subcommand.split(' ')).stdout(writer).output().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success() && said.is_empty(), "{subcommand}: {} {said}", run.status);
    }
}

const CLUSTER: &str = "0a1b2c3d-0000-4000-8000-00000000000a";
const OTHER_CLUSTER: &str = "0a1b2c3d-0000-4000-8000-00000000000b";

#[test]
fn iam_policy_fills_in_the_placeholders() {
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
fn iam_policy_rejects_malformed_values() {
    const PRINTS_UID: &str = "kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'";
    const PRINTS_ACCOUNT: &str = "aws sts get-caller-identity";
    const PRINTS_ROLE: &str = "aws iam get-role";
    const ACCEPTED: &str = "/ for all";
    let upper = CLUSTER.to_uppercase();
    let table: [(&[&str], &str); 34] = [
        // A failing command in $(…) prints nothing.
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
            // The controller's ARN from GetCallerIdentity.
            &[
                "own-role",
                "--controller-role-arn",
                "arn:aws:sts::111122223333:assumed-role/streamrole-controller/eks-1",
            ],
            PRINTS_ROLE,
        ),
        (&["own-role", "--controller-role-arn", "arn:aws:iam::111122223333:role/*"], PRINTS_ROLE),
        (&["own-role", "--controller-role-arn", "arn:aws:iam::111122223333:user/me"], PRINTS_ROLE),
        // Each is valid alone.
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
