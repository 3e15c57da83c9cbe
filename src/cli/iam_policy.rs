//! `streamrole iam-policy`. A value of the wrong form is rejected. Most values come from another command's output, and
//! a policy with an empty or wrong value looks correct but denies everything, or allows too much.

use clap::{Args as ClapArgs, ValueEnum as _};

use crate::iam::{PermissionsPolicy, PolicyLimits};
use crate::policy::{AccountId, InvalidIdentifier, Partition, PolicyArn};
use crate::role::{RoleName, RolePath};
use crate::service;

use super::Error;

/// Flags of `streamrole iam-policy`. A value that is not given stays a placeholder, as in `${account_id}`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The policy to print.
    #[arg(value_enum, default_value = "controller")]
    policy: PermissionsPolicy,

    /// Partition, as in aws, aws-cn or aws-us-gov.
    #[arg(long, value_name = "PARTITION", value_parser = Partition::ALL.map(Partition::as_str))]
    partition: Option<String>,

    /// Account of the roles.
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    account_id: Option<String>,

    /// Prefix of the roles' paths and names, as in /streaming/ or /streaming-, or / for all.
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    role_prefix: Option<String>,

    /// Uid of the namespace kube-system of the cluster.
    #[arg(long, value_name = "UID", value_parser = cluster_uid)]
    cluster_uid: Option<String>,

    /// Uid of the namespace kube-system of the cluster that roles are taken over from.
    #[arg(long, value_name = "UID", value_parser = cluster_uid)]
    other_cluster_uid: Option<String>,

    /// ARN of the permissions boundary that every role must have.
    #[arg(long, value_name = "ARN", value_parser = boundary)]
    boundary_arn: Option<String>,

    /// ARN of the controller's own role.
    #[arg(long, value_name = "ARN", value_parser = role)]
    controller_role_arn: Option<String>,
}

/// Prints the policy as JSON, as in `deploy/iam/`.
pub(super) fn print(args: Args) -> Result<(), Error> {
    args.check()?;
    let placeholders = PolicyLimits::default();
    let scope = PolicyLimits {
        partition: args.partition.unwrap_or(placeholders.partition),
        account_id: args.account_id.unwrap_or(placeholders.account_id),
        role_prefix: args.role_prefix.unwrap_or(placeholders.role_prefix),
        cluster_uid: args.cluster_uid.unwrap_or(placeholders.cluster_uid),
        other_cluster_uid: args.other_cluster_uid.unwrap_or(placeholders.other_cluster_uid),
        boundary_arn: args.boundary_arn.unwrap_or(placeholders.boundary_arn),
        controller_role_arn: args.controller_role_arn.unwrap_or(placeholders.controller_role_arn),
        role_actions: service::actions(),
    };
    let json = json(args.policy, &scope)?;
    super::print(&format!("{json}\n"))
}

fn json(policy: PermissionsPolicy, scope: &PolicyLimits) -> Result<String, Error> {
    serde_json::to_string_pretty(&policy.document(scope))
        .map_err(|error| Error::Print(error.to_string()))
}

impl Args {
    /// Checks that need several flags.
    fn check(&self) -> Result<(), Error> {
        // A boundary printed with `controller`, which does not require it, would look like a requirement. Partition and
        // account can be given with each policy: the ARNs are checked against them.
        let flags = [
            ("role-prefix", self.role_prefix.is_some()),
            ("cluster-uid", self.cluster_uid.is_some()),
            ("other-cluster-uid", self.other_cluster_uid.is_some()),
            ("boundary-arn", self.boundary_arn.is_some()),
            ("controller-role-arn", self.controller_role_arn.is_some()),
        ];
        for (flag, _) in flags.into_iter().filter(|(_, is_given)| *is_given) {
            let using = policies_with(flag)?;
            if !using.contains(&self.policy) {
                return Err(Error::Flags(format!(
                    "--{flag} does not go with the policy {}, which does not use it. These do: {}",
                    name(self.policy),
                    using.into_iter().map(name).collect::<Vec<_>>().join(", ")
                )));
            }
        }

        if self.cluster_uid.is_some() && self.cluster_uid == self.other_cluster_uid {
            return Err(Error::Flags(
                "--cluster-uid and --other-cluster-uid are the same: a cluster takes no roles over from itself".into(),
            ));
        }

        let arns = [
            ("boundary-arn", &self.boundary_arn),
            ("controller-role-arn", &self.controller_role_arn),
        ];
        for (flag, arn) in arns {
            let Some(arn) = arn else { continue };
            let part = |index| arn.split(':').nth(index).unwrap_or_default();
            let (partition, account) = (part(1), part(4));
            let differs = |given: &Option<String>, seen| given.as_ref().is_some_and(|g| g != seen);
            // AWS's managed policies are in every account.
            if differs(&self.partition, partition)
                || account != "aws" && differs(&self.account_id, account)
            {
                return Err(Error::Flags(format!(
                    "--{flag} {arn} is not in the partition and account of --partition and --account-id"
                )));
            }
        }
        Ok(())
    }
}

/// The policies that use this flag's value.
fn policies_with(flag: &str) -> Result<Vec<PermissionsPolicy>, Error> {
    let placeholder = format!("${{{}}}", flag.replace('-', "_"));
    let mut using = Vec::new();
    for policy in PermissionsPolicy::value_variants() {
        if json(*policy, &PolicyLimits::default())?.contains(&placeholder) {
            using.push(*policy);
        }
    }
    Ok(using)
}

fn name(policy: PermissionsPolicy) -> String {
    policy.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn account(text: &str) -> Result<String, String> {
    parsed(AccountId::parse(text)).map_err(|error| {
        format!(
            "{error}. This prints it: aws sts get-caller-identity --query Account --output text"
        )
    })
}

fn cluster_uid(text: &str) -> Result<String, String> {
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    if lengths == [8, 4, 4, 4, 12] && parts.into_iter().all(is_hex) {
        Ok(text.to_owned())
    } else {
        Err("it is not the uid of a namespace: 36 hexadecimal digits and dashes. This prints it: kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'".into())
    }
}

fn prefix(text: &str) -> Result<String, String> {
    // A path of 512 characters and a name of 64.
    let fits = text.starts_with('/') && text.len() <= 576;
    if fits && text.bytes().all(|b| b.is_ascii_graphic()) && is_literal(text) {
        Ok(text.to_owned())
    } else {
        Err("it must begin with / and hold only what IAM accepts in paths and names of roles, without * ? $ { }: as in /streaming/ or /streaming- or / for all".into())
    }
}

fn boundary(text: &str) -> Result<String, String> {
    parsed(PolicyArn::parse(text))
}

fn role(text: &str) -> Result<String, String> {
    let is_role_arn = || {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return false;
        };
        let Some((path, name)) = resource.strip_prefix("role").and_then(|r| r.rsplit_once('/'))
        else {
            return false;
        };
        Partition::ALL.iter().any(|known| known.as_str() == *partition)
            && AccountId::parse(account).is_ok()
            && RolePath::parse(&format!("{path}/")).is_ok()
            && RoleName::parse(name).is_ok()
            && is_literal(text)
    };
    if is_role_arn() {
        Ok(text.to_owned())
    } else {
        Err("it is not the ARN of an IAM role, as in arn:aws:iam::111122223333:role/streamrole-controller. This prints it: aws iam get-role --role-name streamrole-controller --query Role.Arn --output text".into())
    }
}

fn parsed(result: Result<impl ToString, InvalidIdentifier>) -> Result<String, String> {
    result.map(|value| value.to_string()).map_err(|error| error.to_string())
}

/// Whether a policy reads the text literally, and not as a pattern or a variable.
fn is_literal(text: &str) -> bool {
    !text.contains(['*', '?', '$', '{', '}'])
}
