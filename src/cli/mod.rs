//! The command line: one small file per subcommand.

mod check;
mod connect;
mod crd;
mod iam_policy;
mod rbac;
mod reference;
mod run;

use std::io::{ErrorKind, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;
use thiserror::Error;

use crate::{controller, iam, role, telemetry};

/// Manages IAM roles for AWS event streams, declared by Kubernetes resources.
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
    /// Print the CustomResourceDefinitions that the cluster needs.
    Crd(crd::Args),
    /// Print the reference of the resources, or of the services, as Markdown.
    Reference(reference::Args),
    /// Print an RBAC role that the controller needs in the cluster.
    Rbac(rbac::Args),
    /// Print an IAM policy for the controller's own role, or a permissions boundary for the roles.
    IamPolicy(iam_policy::Args),
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
    /// Standard output is closed.
    #[error("cannot print: {0}")]
    Print(String),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::check(&args),
        Command::Crd(args) => crd::print(&args),
        Command::Reference(args) => reference::print(&args),
        Command::Rbac(args) => rbac::print(&args),
        Command::IamPolicy(args) => iam_policy::print(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed, there is no place left to report to.
            let _ = writeln!(std::io::stderr(), "streamrole: {error}");
            ExitCode::FAILURE
        }
    }
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
