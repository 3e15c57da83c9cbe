//! What is generated from the code is as the code has it. `make generate` writes these files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

fn printed_by(subcommand: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_streamrole")).arg(subcommand).output().unwrap();
    assert!(output.status.success(), "streamrole {subcommand} failed");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_shipped_crd_is_the_one_that_the_code_declares() {
    let shipped = include_str!("../crds/streamrole.dev_pinpointeventstreamroles.yaml");
    assert_eq!(printed_by("crd"), shipped, "run `make generate` and commit the result");
}

#[test]
fn the_shipped_cluster_role_is_the_one_that_the_code_needs() {
    let shipped = include_str!("../deploy/rbac/clusterrole.yaml");
    assert_eq!(printed_by("rbac"), shipped, "run `make generate` and commit the result");
}
