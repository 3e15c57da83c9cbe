//! The command line: one small file per subcommand.

mod account;
mod audit;
mod check;
mod completion;
mod connect;
mod crd;
mod diff;
mod explain;
mod iam_policy;
mod import;
mod man;
mod manifests;
mod migrate;
mod rbac;
mod reference;
mod render;
mod run;

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use thiserror::Error;

use crate::{controller, iam, role, telemetry};

pub use reference::commands;

/// Manages IAM roles for AWS event streams, declared by Kubernetes resources.
///
/// Exit codes: 0 when there is nothing to report, 1 when there are differences or findings, 2 on an error.
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
    /// Check whether a controller could work in this environment: the cluster, its permissions there, AWS. Changes
    /// nothing.
    Check(check::Args),
    /// Print the role that each manifest declares, without a cluster and without AWS.
    Render(render::Args),
    /// Compare the roles that manifests declare with the live roles, or with other manifests. Changes nothing.
    Diff(diff::Args),
    /// Print the resources that adopt existing roles. Changes nothing.
    Import(import::Args),
    /// Print the resources that replace those of a service that has ended, and what else is to be done.
    Migrate(migrate::Args),
    /// Report what is wrong with the event stream roles of an account or of manifests. Changes nothing.
    Audit(audit::Args),
    /// Print the documentation of a reason or a finding.
    Explain(explain::Args),
    /// Print the CustomResourceDefinitions that the cluster needs.
    Crd(crd::Args),
    /// Print the reference of the resources, or of the services, as Markdown.
    Reference(reference::Args),
    /// Print an RBAC role that the controller needs in the cluster.
    Rbac(rbac::Args),
    /// Print an IAM policy for the controller's own role, or a permissions boundary for the roles.
    IamPolicy(iam_policy::Args),
    /// Print the completion script of a shell.
    Completion(completion::Args),
    /// Write the manual pages.
    Man(man::Args),
}

/// How a command ended, as the exit code of the process says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Exit {
    /// There is nothing to report.
    Nothing,
    /// There are differences or findings.
    Findings,
    /// The command failed, or some input is not valid.
    Error,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Nothing => 0,
            Exit::Findings => 1,
            Exit::Error => 2,
        })
    }
}

impl From<()> for Exit {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}

/// Why the process cannot continue; waiting does not help.
#[derive(Debug, Error)]
enum Error {
    /// No cluster is configured.
    #[error(
        "no Kubernetes cluster is configured: {0}. Set KUBECONFIG to a kubeconfig file, or run in a pod with a service account"
    )]
    NoCluster(String),
    /// The cluster is unusable.
    #[error(transparent)]
    Cluster(#[from] controller::ClusterNotReady),
    /// The AWS configuration is unusable.
    #[error(transparent)]
    Aws(#[from] iam::Unusable),
    /// Traces cannot be sent as configured.
    #[error(transparent)]
    Traces(#[from] telemetry::UnknownProtocol),
    /// There are no credentials.
    #[error(transparent)]
    Credentials(#[from] iam::NoCredentials),
    /// IAM is unusable.
    #[error(transparent)]
    Iam(#[from] role::IamError),
    /// Another replica may lead.
    #[error(transparent)]
    Lost(#[from] controller::Lost),
    /// The port is in use or not allowed.
    #[error("cannot listen on {address}: {source}. Choose another address with --listen")]
    Listen {
        /// The requested address.
        address: SocketAddr,
        /// The cause.
        source: std::io::Error,
    },
    /// The operating system failed a basic request.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// Flags contradict each other.
    #[error("{0}")]
    Flags(String),
    /// A file cannot be used.
    #[error("{0}")]
    Input(String),
    /// Standard output is closed.
    #[error("cannot print: {0}")]
    Print(String),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let done: Result<Exit, Error> = match Cli::parse().command {
        Command::Run(args) => run::run(args).map(Exit::from),
        Command::Check(args) => check::check(&args).map(Exit::from),
        Command::Render(args) => render::render(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Import(args) => import::import(&args),
        Command::Migrate(args) => migrate::migrate(&args),
        Command::Audit(args) => audit::audit(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Crd(args) => crd::print(&args).map(Exit::from),
        Command::Reference(args) => reference::print(&args).map(Exit::from),
        Command::Rbac(args) => rbac::print(&args).map(Exit::from),
        Command::IamPolicy(args) => iam_policy::print(args).map(Exit::from),
        Command::Completion(args) => completion::print(&args).map(Exit::from),
        Command::Man(args) => man::write(&args).map(Exit::from),
    };
    let exit = done.unwrap_or_else(|error| {
        // If standard error is closed, there is no place left to report to.
        let _ = writeln!(std::io::stderr(), "streamrole: {error}");
        Exit::Error
    });
    exit.into()
}

fn print_yaml(object: &impl Serialize) -> Result<(), Error> {
    print(&serde_saphyr::to_string(object).map_err(|error| Error::Print(error.to_string()))?)
}

fn print(text: &str) -> Result<(), Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader stopped reading, as in `streamrole crd | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Error::Print(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_flags_of_all_commands_are_consistent() {
        Cli::command().debug_assert();
    }
}
