//! `streamrole iam-policy`.

use std::io::Write as _;

use clap::Args as ClapArgs;

use crate::iam::{PermissionsPolicy, Scope};

use super::Error;

/// Flags of `streamrole iam-policy`. What is not given stays a placeholder, as in `${account_id}`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Which policy.
    #[arg(value_enum, default_value = "controller")]
    policy: PermissionsPolicy,

    /// Partition, as in aws, aws-cn or aws-us-gov.
    #[arg(long, value_name = "PARTITION")]
    partition: Option<String>,

    /// Account of the roles.
    #[arg(long, value_name = "ACCOUNT")]
    account_id: Option<String>,

    /// How the roles' paths and names begin, as in /streaming/ or /streaming- or / for all.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    role_prefix: Option<String>,

    /// Uid of the cluster's namespace kube-system.
    #[arg(long, value_name = "UID")]
    cluster_uid: Option<String>,

    /// Uid of the namespace kube-system of the cluster that roles are taken over from.
    #[arg(long, value_name = "UID")]
    other_cluster_uid: Option<String>,

    /// ARN of the permissions boundary that every role must have.
    #[arg(long, value_name = "ARN")]
    boundary_arn: Option<String>,

    /// ARN of the controller's own role.
    #[arg(long, value_name = "ARN")]
    controller_role_arn: Option<String>,
}

/// The policy as JSON, as `deploy/iam/` holds it.
pub(super) fn print(args: Args) -> Result<(), Error> {
    let placeholders = Scope::default();
    let scope = Scope {
        partition: args.partition.unwrap_or(placeholders.partition),
        account_id: args.account_id.unwrap_or(placeholders.account_id),
        role_prefix: args.role_prefix.unwrap_or(placeholders.role_prefix),
        cluster_uid: args.cluster_uid.unwrap_or(placeholders.cluster_uid),
        other_cluster_uid: args.other_cluster_uid.unwrap_or(placeholders.other_cluster_uid),
        boundary_arn: args.boundary_arn.unwrap_or(placeholders.boundary_arn),
        controller_role_arn: args.controller_role_arn.unwrap_or(placeholders.controller_role_arn),
    };
    let json = serde_json::to_string_pretty(&args.policy.document(&scope))
        .map_err(|error| Error::Print(error.to_string()))?;
    writeln!(std::io::stdout(), "{json}").map_err(|error| Error::Print(error.to_string()))
}

fn prefix(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err("must begin with /".into()) }
}
