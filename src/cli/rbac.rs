//! `streamrole rbac`.

use clap::{Args as ClapArgs, ValueEnum};

use crate::api::KINDS;
use crate::controller;

use super::{Error, print_yaml};

/// Flags of `streamrole rbac`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The role to print.
    #[arg(value_enum, default_value = "cluster-role")]
    role: Which,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// The ClusterRole, for everything that the controller watches and writes.
    ClusterRole,
    /// The Role for leader election, in the namespace of the Lease.
    LeaseRole,
}

/// Prints the role as YAML, as in `deploy/rbac/`.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    match args.role {
        Which::ClusterRole => print_yaml(&controller::cluster_role(&KINDS)),
        Which::LeaseRole => print_yaml(&controller::lease_role()),
    }
}
