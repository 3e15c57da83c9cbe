//! `streamrole reference`.

use std::fmt::Write as _;

use clap::{Args as ClapArgs, CommandFactory as _, ValueEnum};

use crate::{api, service};

use super::{Cli, Error};

/// Flags of `streamrole reference`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The reference to print.
    #[arg(value_enum, default_value = "resources")]
    about: About,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum About {
    /// The fields, rules and conditions of the resources
    Resources,
    /// For each service: the documents of its role, and how to attach the role
    Services,
    /// The commands and their flags
    Commands,
}

/// Prints the reference as Markdown, as in `docs/`.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    super::print(&match args.about {
        About::Resources => api::reference(),
        About::Services => service::guide(),
        About::Commands => commands(),
    })
}

const HEAD: &str = "\
# The command line

One program: the controller (`streamrole run`), and commands that need no controller. Text is for people; `-o json` is for programs.
Linked as `kubectl-streamrole` in a folder of `PATH`, it is also `kubectl streamrole`.

| exit code | meaning |
| --- | --- |
| 0 | nothing to report |
| 1 | differences or findings |
| 2 | an error, or an input that is not valid |
";

/// The commands and their flags as Markdown.
#[must_use]
pub fn commands() -> String {
    let mut text = format!("<!-- Written by `make generate` from the commands. -->\n\n{HEAD}");
    let mut cli = Cli::command();
    cli.build();
    for command in cli.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let name = command.get_name().to_owned();
        // The values of variables depend on where this runs.
        let mut command = command.clone().mut_args(|arg| arg.hide_env_values(true));
        let help = command.render_long_help();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.to_string().trim());
    }
    text
}
