//! `streamrole import`. Reads roles, decides with `role.rs` what a resource for each would declare, and prints it.

mod document;
mod names;
mod role;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args as ClapArgs};

use crate::policy::readable;
use crate::role::{DefaultTags, Defaults, ObservedRole, RoleName, Roles};
use crate::service::USUAL_POLICY_NAME;

use super::{Error, Exit, account, connect, run};

use document::Documents;
use names::Wanted;
use role::Left;

/// How many characters of a role's name are shown.
const MAX_NAME: usize = 100;

/// Flags of `streamrole import`.
#[derive(ClapArgs, Debug)]
#[command(group(ArgGroup::new("roles").required(true).multiple(true)))]
pub(super) struct Args {
    /// Name of a role; can be repeated.
    #[arg(long, value_name = "NAME", value_parser = RoleName::parse, num_args = 1.., group = "roles")]
    role_name: Vec<RoleName>,

    /// Import every event stream role of the account.
    #[arg(long, group = "roles", conflicts_with_all = ["role_name", "from_terraform", "from_cloudformation"])]
    all: bool,

    /// Output of `terraform show -json`, or - for standard input: import the event stream roles that it names.
    #[arg(long, value_name = "FILE", group = "roles", conflicts_with = "from_cloudformation")]
    from_terraform: Option<PathBuf>,

    /// `CloudFormation` template in YAML or JSON, or - for standard input: import the event stream roles that it names.
    #[arg(long, value_name = "FILE", group = "roles")]
    from_cloudformation: Option<PathBuf>,

    /// Namespace of the resources. Without it, kubectl decides.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Tag that the controller gives every role, as in team=marketing; can be repeated.
    #[arg(long, env = "STREAMROLE_DEFAULT_TAG", value_delimiter = ',', value_parser = run::tag, value_name = "KEY=VALUE")]
    default_tag: Vec<(String, String)>,
}

/// What ends the command with an exit code.
#[derive(Default)]
struct Outcome {
    is_error: bool,
    has_findings: bool,
}

/// Prints the resources that adopt roles.
pub(super) fn import(args: &Args) -> Result<Exit, Error> {
    let tags = DefaultTags::new(args.default_tag.iter().cloned());
    let tags = tags.map_err(|error| Error::Flags(format!("--default-tag: {error}")))?;
    let defaults = Defaults { tags, ..Defaults::default() };
    let mut outcome = Outcome::default();
    let named = args.wanted()?;
    let mut live = BTreeMap::new();
    connect::on_one_thread(async {
        live = read(args).await?;
        Ok(())
    })?;
    let wanted =
        if args.all { live.keys().map(|name| Wanted::by_no_one(name)).collect() } else { named };
    let mut documents = Documents::new(args.namespace.clone());
    for one in &wanted {
        let shown = readable(&one.name, MAX_NAME);
        let Some((name, live)) = find(&live, &one.name) else {
            outcome.is_error = true;
            note(&format!("role {shown} does not exist in this account"));
            continue;
        };
        match role::imported(name, live, &defaults) {
            Ok(imported) => {
                outcome.has_findings |= !imported.changes.is_empty();
                documents.add(&imported, one.origin.as_ref())?;
            }
            Err(left) => {
                if one.is_reported(&left) {
                    note(&format!("role {shown} is not imported: {left}"));
                }
                let is_skipped = matches!(left, Left::Owned(_));
                outcome.is_error |= one.is_named_by_user && !is_skipped;
                outcome.has_findings |= matches!(left, Left::Undeclarable(_));
            }
        }
    }
    if documents.is_empty() {
        note("no event stream role to import");
    }
    super::print(documents.text())?;
    Ok(outcome.exit())
}

impl Outcome {
    const fn exit(&self) -> Exit {
        match (self.is_error, self.has_findings) {
            (true, _) => Exit::Error,
            (false, true) => Exit::Findings,
            (false, false) => Exit::Nothing,
        }
    }
}

impl Args {
    /// The roles to import, each once. With `--all`, none is named in advance.
    fn wanted(&self) -> Result<Vec<Wanted>, Error> {
        let mut wanted: Vec<_> = self.role_name.iter().map(Wanted::by_user).collect();
        if let Some(path) = &self.from_terraform {
            wanted.extend(names::of_terraform(&text_of(path)?).map_err(unreadable(path))?);
        }
        if let Some(path) = &self.from_cloudformation {
            let found = names::of_cloudformation(&text_of(path)?).map_err(unreadable(path))?;
            for unresolved in found.unresolved {
                note(&format!(
                    "the role of resource {} has no literal RoleName in the template; import it with --role-name",
                    readable(&unresolved, MAX_NAME)
                ));
            }
            wanted.extend(found.wanted);
        }
        // IAM ignores the case of role names.
        let mut seen = BTreeSet::new();
        wanted.retain(|one| seen.insert(one.name.to_ascii_lowercase()));
        Ok(wanted)
    }
}

fn text_of(path: &Path) -> Result<String, Error> {
    names::text_of(path).map_err(unreadable(path))
}

fn unreadable<E: Display>(path: &Path) -> impl Fn(E) -> Error {
    move |error| Error::Input(format!("cannot read {}: {error}", path.display()))
}

/// The roles by name. A few names are observed individually; otherwise all roles of the account are read.
async fn read(args: &Args) -> Result<BTreeMap<String, ObservedRole>, Error> {
    let iam = account::connect().await?;
    let has_file = args.from_terraform.is_some() || args.from_cloudformation.is_some();
    if args.all || has_file {
        return account::snapshot(&iam).await;
    }
    let mut all = BTreeMap::new();
    for name in &args.role_name {
        if let Some(live) = observe(&iam, name).await? {
            all.insert(name.as_str().to_owned(), live);
        }
    }
    Ok(all)
}

/// The live role with the texts of all its inline policies.
async fn observe(roles: &dyn Roles, name: &RoleName) -> Result<Option<ObservedRole>, Error> {
    let Some(mut live) = roles.observe(name, USUAL_POLICY_NAME).await? else { return Ok(None) };
    let unread = live.inline_policies.iter().filter(|(_, text)| text.is_none());
    let unread: Vec<_> = unread.map(|(policy, _)| policy.clone()).collect();
    for policy in unread {
        if let Some(with_text) = roles.observe(name, &policy).await? {
            let text = with_text.inline_policies.into_iter().filter(|(of, _)| *of == policy);
            live.inline_policies.extend(text);
        }
    }
    Ok(Some(live))
}

/// The role of this name, with its name as IAM writes it.
fn find<'a>(
    live: &'a BTreeMap<String, ObservedRole>,
    name: &str,
) -> Option<(&'a str, &'a ObservedRole)> {
    let (found, live) = live.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
    let of_arn = live.arn.rsplit('/').next().filter(|last| last.eq_ignore_ascii_case(found));
    Some((of_arn.unwrap_or(found), live))
}

/// One line on standard error. Standard output holds only the resources.
fn note(text: &str) {
    // If standard error is closed, there is no place left to report to.
    let _ = writeln!(std::io::stderr(), "streamrole: {text}");
}
