//! The commands that print what is built in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::{Command, Output, Stdio};

fn streamrole(arguments: &[&str]) -> Output {
    let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    streamrole.args(arguments).env_clear().output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = streamrole(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn explain_prints_the_row_of_a_reason_in_any_case() {
    for topic in ["AccessDenied", "accessdenied"] {
        let said = printed(&["explain", topic]);
        assert!(said.starts_with("AccessDenied\n"), "{said}");
        for words in
            ["what it means: ", "what to do: ", "retried: slowly", "docs/troubleshooting.md"]
        {
            assert!(said.contains(words), "{said} should contain {words}");
        }
    }
}

#[test]
fn explain_names_what_is_documented_when_a_topic_is_not() {
    let output = streamrole(&["explain", "Nonsense"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("Nonsense is not documented") && said.contains("RoleNotOwned"), "{said}");
}

#[test]
fn each_shell_has_a_completion_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["completion", shell]);
        assert!(script.contains("streamrole") && script.contains("render"), "{shell}");
    }
}

#[test]
fn each_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    printed(&["man", folder.path().to_str().unwrap()]);
    for page in ["streamrole.1", "streamrole-render.1", "streamrole-iam-policy.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let output = streamrole(&["man", "/no/such/folder"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    streamrole
        .args(["reference", "services"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut running = streamrole.spawn().unwrap();
    drop(running.stdout.take());
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
}

#[cfg(unix)]
#[test]
fn the_program_works_as_a_plugin_of_kubectl() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-streamrole");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_streamrole"), &plugin).unwrap();
    let output = Command::new(plugin).args(["explain", "Synced"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("Synced\n"));
}
