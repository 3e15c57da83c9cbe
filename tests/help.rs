//! The `--help` output of each command. After a change, `INSTA_UPDATE=always cargo test --test help` accepts it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn help_of(command: Option<&str>) -> String {
    let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    // The output includes the values of set variables.
    let output = streamrole.args(command).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_each_command_matches_its_snapshot() {
    let overview = help_of(None);
    let commands = overview.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: Vec<_> = names.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(names.contains(&"run"), "{overview}");
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("help", overview);
        for name in names {
            insta::assert_snapshot!(format!("help-{name}"), help_of(Some(name)));
        }
    });
}
