//! `streamrole render`.

mod aws_cli;
mod cloudformation;
mod terraform;
mod text;

use std::collections::BTreeMap;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;

use crate::policy::Document;

use super::manifests::{Manifest, Source};
use super::{Error, Exit, print, print_yaml};

/// Flags of `streamrole render`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  streamrole render -f role.yaml
  kubectl get esr,pesr -A -o yaml | streamrole render -f - -o json
  streamrole render -f roles/ --format terraform > roles.tf")]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,

    /// Form of the output.
    #[arg(short = 'o', long, visible_alias = "output", value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
    /// Terraform, for the AWS provider
    Terraform,
    /// A CloudFormation template
    Cloudformation,
    /// A shell script for the AWS CLI, which creates the roles
    AwsCli,
}

/// The role that a manifest declares, without the tags that only the controller sets.
#[expect(clippy::struct_field_names, reason = "the names are those of the output")]
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Role<'a> {
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    role_name: &'a str,
    role_arn: String,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    max_session_duration_seconds: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary_arn: Option<String>,
    tags: &'a BTreeMap<String, String>,
    trust_policy: &'a Document,
    permissions_policy_name: &'a str,
    permissions_policy: &'a Document,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl<'a> Role<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let Manifest { resource, declaration, .. } = manifest;
        let metadata = &resource.metadata;
        Self {
            kind: resource.kind.name,
            namespace: metadata.namespace.as_deref().unwrap_or_default(),
            name: metadata.name.as_deref().unwrap_or_default(),
            role_name: declaration.name.as_str(),
            role_arn: declaration.arn(),
            path: declaration.path.as_str(),
            description: &declaration.description,
            max_session_duration_seconds: declaration.max_session_duration_seconds,
            permissions_boundary_arn: declaration
                .permissions_boundary
                .as_ref()
                .map(ToString::to_string),
            tags: &declaration.tags,
            trust_policy: &declaration.trust_policy,
            permissions_policy_name: &declaration.permissions_policy.name,
            permissions_policy: &declaration.permissions_policy.document,
            note: resource.trust_note(),
        }
    }
}

/// Prints the declared roles. Needs no cluster and no credentials.
pub(super) fn render(args: &Args) -> Result<Exit, Error> {
    let manifests = args.source.read()?;
    let roles: Vec<_> = manifests.all.iter().map(Role::of).collect();
    match args.format {
        Format::Text => print(&text::text(&roles)),
        Format::Json => print(&format!("{}\n", pretty(&roles)?)),
        Format::Yaml => print_yaml(&roles),
        Format::Terraform => print(&terraform::terraform(&roles)?),
        Format::Cloudformation => print_yaml(&cloudformation::template(&roles)),
        Format::AwsCli => print(&aws_cli::script(&roles)?),
    }?;
    Ok(if manifests.report_problems() { Exit::Error } else { Exit::Nothing })
}

fn pretty(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(value).map_err(|error| Error::Print(error.to_string()))
}

/// Names without repetition: a name that is taken gets a number.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn unique(&mut self, name: String) -> String {
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        let count = *count;
        if count == 1 { name } else { self.unique(format!("{name}{count}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_a_number() {
        let mut names = Names::default();
        let made = ["a", "a", "a2", "b", "a"].map(|name| names.unique(name.to_owned()));
        assert_eq!(made, ["a", "a2", "a22", "b", "a3"]);
    }
}
