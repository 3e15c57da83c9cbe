//! The command line: one file a subcommand, each thin.

mod crd;
mod rbac;
mod run;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps the IAM roles that `PinpointEventStreamRole` resources declare as declared.
#[derive(Debug, Parser)]
#[command(name = "streamrole", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the controller.
    Run(run::Args),
    /// Print the CustomResourceDefinition that the cluster needs.
    Crd,
    /// Print the ClusterRole that the controller needs.
    Rbac,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Crd => crd::print(),
        Command::Rbac => rbac::print(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is gone.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("streamrole: {error}\n"),
            );
            ExitCode::FAILURE
        }
    }
}
