//! `streamrole audit`.

mod html;
mod json;
mod picture;
mod sarif;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use jiff::civil::Date;
use kube::ResourceExt as _;

use crate::audit::{
    Acceptance, Finding, Manager, Report, Rule, Severity, accept, audit as audit_roles,
};
use crate::role::{Declaration, LiveDocument, ObservedRole, ResourceName, Roles};

use super::manifests::{Manifest, Place, Settings};
use super::{Error, Exit, account, connect, print};

/// Flags of `streamrole audit`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  streamrole audit
  streamrole audit -f roles/ --fail-on error
  streamrole audit -o sarif --accept accepted.yaml > streamrole.sarif
  streamrole audit -o html > roles.html

docs/findings.md documents each finding. The account is read with iam:GetAccountAuthorizationDetails.")]
pub(super) struct Args {
    /// File or folder with manifests, or - for standard input; can be repeated. The roles that they declare are checked,
    /// without AWS. Without this flag, the roles of the account are checked.
    #[arg(short = 'f', long = "filename", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    settings: Settings,

    /// Check only the role of this name; can be repeated.
    #[arg(long, value_name = "NAME", num_args = 1..)]
    role_name: Vec<String>,

    /// Form of the report.
    #[arg(short = 'o', long, visible_alias = "output", value_enum, default_value = "table")]
    format: Format,

    /// Exit with 1 when there is a finding of this level or a more severe one that is not accepted.
    #[arg(long, value_enum, default_value = "warning", value_name = "LEVEL")]
    fail_on: FailOn,

    /// YAML file with accepted findings: a list of finding, role, reason and until (the last day, as in 2027-01-31).
    #[arg(long, value_name = "FILE")]
    accept: Option<PathBuf>,

    /// The day of the audit, for tests.
    #[arg(long, hide = true, value_name = "DATE")]
    today: Option<Date>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// A JSON object
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// One page for a browser, which loads nothing
    Html,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FailOn {
    /// Only errors
    Error,
    /// Errors and warnings
    Warning,
    /// Every finding
    Note,
    /// No finding
    Never,
}

impl FailOn {
    const fn level(self) -> Option<Severity> {
        match self {
            Self::Error => Some(Severity::Error),
            Self::Warning => Some(Severity::Warning),
            Self::Note => Some(Severity::Note),
            Self::Never => None,
        }
    }
}

/// A report, with what its views need besides.
struct View {
    report: Report,
    /// The manifest that declares a role, by the role's ARN.
    places: BTreeMap<String, Place>,
    today: Date,
    /// What was not checked.
    unseen: Vec<String>,
}

/// Prints what is wrong with the roles.
pub(super) fn audit(args: &Args) -> Result<Exit, Error> {
    // First, so that a wrong file is reported before the account is read.
    let accepted = args.accept.as_deref().map(acceptances).transpose()?.unwrap_or_default();
    let utc = jiff::tz::TimeZone::UTC;
    let today = args.today.unwrap_or_else(|| jiff::Timestamp::now().to_zoned(utc).date());
    let (mut view, has_problems) = if args.files.is_empty() {
        (of_account(&args.role_name, today)?, false)
    } else {
        of_files(args, today)?
    };
    for problem in accept(&mut view.report, &accepted, today) {
        warn(&format!("Accepted finding {problem}."));
    }
    for line in &view.unseen {
        warn(&format!("Not checked: {line}."));
    }
    match args.format {
        Format::Table => print_styled(&table::table(&view))?,
        Format::Json => print(&json::json(&view)?)?,
        Format::Sarif => print(&sarif::sarif(&view)?)?,
        Format::Html => print(&html::html(&view)?)?,
    }
    let counts = |finding: &Finding| {
        finding.accepted.is_none()
            && args.fail_on.level().is_some_and(|level| finding.severity >= level)
    };
    Ok(if has_problems {
        Exit::Error
    } else if view.report.findings.iter().any(counts) {
        Exit::Findings
    } else {
        Exit::Nothing
    })
}

fn warn(line: &str) {
    // If standard error is closed, there is no place left to report to.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// In color if standard output is a terminal and `NO_COLOR` is not set.
fn print_styled(text: &str) -> Result<(), Error> {
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == IoErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Error::Print(error.to_string())),
    }
}

fn acceptances(path: &Path) -> Result<Vec<Acceptance>, Error> {
    let bad = |error: String| Error::Input(format!("cannot read {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    serde_saphyr::from_str(&text).map_err(|error| bad(error.to_string()))
}

fn is_named(names: &[String], role: &str) -> bool {
    names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(role))
}

fn of_account(names: &[String], today: Date) -> Result<View, Error> {
    let mut report = Report::default();
    connect::on_one_thread(async {
        let iam = account::connect().await?;
        let found = read(&iam, names, today, &mut report).await?;
        let missing = names.iter().filter(|name| !found.contains(&name.to_lowercase()));
        let missing: Vec<_> = missing.map(String::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::Input(format!("the account has no role {}", missing.join(", "))))
    })?;
    report.sort();
    let unseen = report.unseen();
    Ok(View { report, places: BTreeMap::new(), today, unseen })
}

/// Audits page by page, so that only one page of roles is in memory: one call for each 1,000 roles. Returns the names
/// that were found, in lower case.
async fn read(
    iam: &dyn Roles,
    names: &[String],
    today: Date,
    report: &mut Report,
) -> Result<BTreeSet<String>, Error> {
    let progress = account::progress("roles read");
    let (mut found, mut next) = (BTreeSet::new(), None);
    loop {
        let page = iam.details_page(next).await?;
        for (name, role) in page.roles {
            if is_named(names, &name) {
                report.add(&name, &role, today);
                if !names.is_empty() {
                    found.insert(name.to_lowercase());
                }
            }
            progress.inc(1);
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(found)
}

fn of_files(args: &Args, today: Date) -> Result<(View, bool), Error> {
    let manifests = args.settings.read(&args.files)?;
    let has_problems = manifests.report_problems();
    let (mut places, mut managers) = (BTreeMap::new(), BTreeMap::new());
    let mut roles = Vec::new();
    for Manifest { place, resource, declaration } in &manifests.all {
        let (name, arn) = (declaration.name.as_str(), declaration.arn());
        if is_named(&args.role_name, name) && !places.contains_key(&arn) {
            let resource = ResourceName {
                kind: resource.kind.name.to_owned(),
                namespace: resource.namespace().unwrap_or_default(),
                name: resource.name_any(),
            };
            managers.insert(arn.clone(), resource.to_string());
            places.insert(arn, place.clone());
            roles.push((name, role_of(declaration)));
        }
    }
    let mut report = audit_roles(roles.iter().map(|(name, role)| (*name, role)), today);
    for role in &mut report.roles {
        let detail = managers.remove(&role.arn).unwrap_or_default();
        role.manager = Some(Manager { tool: "streamrole", detail });
    }
    let mut unseen = report.unseen();
    if !roles.is_empty() {
        unseen.push("the live roles; audit the account for them".to_owned());
    }
    Ok((View { report, places, today, unseen }, has_problems))
}

/// The role that a declaration makes.
fn role_of(declared: &Declaration) -> ObservedRole {
    let policy = &declared.permissions_policy;
    let document = LiveDocument::Document(policy.document.clone());
    ObservedRole {
        arn: declared.arn(),
        path: declared.path.as_str().to_owned(),
        description: declared.description.clone(),
        max_session_duration_seconds: declared.max_session_duration_seconds,
        permissions_boundary: declared.permissions_boundary.as_ref().map(ToString::to_string),
        tags: declared.tags.clone(),
        trust_policy: LiveDocument::Document(declared.trust_policy.clone()),
        inline_policies: BTreeMap::from([(policy.name.clone(), Some(document))]),
        ..ObservedRole::default()
    }
}

impl View {
    /// The file and the line of the field to change, when a manifest declares the role.
    fn location(&self, finding: &Finding) -> Option<(String, usize)> {
        let place = self.places.get(&finding.arn)?;
        Some((place.file.to_string(), place.line_of(field_of(finding.rule))))
    }

    /// The number of findings of a severity that are not accepted.
    fn count(&self, severity: Severity) -> usize {
        let findings = self.report.findings.iter();
        findings.filter(|f| f.severity == severity && f.accepted.is_none()).count()
    }

    /// The number of accepted findings.
    fn accepted(&self) -> usize {
        self.report.findings.iter().filter(|finding| finding.accepted.is_some()).count()
    }

    /// How many roles were read and are in scope.
    fn scope(&self) -> String {
        let (in_scope, read) = (self.report.roles.len(), self.report.roles_read);
        format!(
            "{in_scope} of {read} {} can be assumed by a service that sends events",
            plural(read, "role")
        )
    }

    /// How many findings there are.
    fn totals(&self) -> String {
        let of = |severity| {
            let count = self.count(severity);
            format!("{count} {}", plural(count, &severity.to_string()))
        };
        let all = [Severity::Error, Severity::Warning, Severity::Note].map(of).join(", ");
        match self.accepted() {
            0 => all,
            count => format!("{all}, {count} accepted"),
        }
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// The field of a manifest that decides about a finding.
const fn field_of(rule: Rule) -> &'static str {
    match rule {
        Rule::EndedService => "kind",
        Rule::PathRejected => "spec.path",
        Rule::MissingConditions
        | Rule::DeadCondition
        | Rule::ExternalId
        | Rule::UnsentKey
        | Rule::WildcardInStringEquals
        | Rule::AnyAccount
        | Rule::AnySource
        | Rule::UndocumentedCondition
        | Rule::AnyPrincipal
        | Rule::SeveralTrusts
        | Rule::WrongPrincipal => "spec.source",
        Rule::MissingKmsDecrypt | Rule::MissingKmsGenerateDataKey | Rule::KmsAlias => {
            "spec.destination.kmsKeyArn"
        }
        Rule::WrongDestination
        | Rule::WrongActions
        | Rule::MissingActions
        | Rule::ResourceMismatch
        | Rule::WidePermissions
        | Rule::OtherPermissions => "spec.destination",
        Rule::NoPermissions
        | Rule::AttachedPolicies
        | Rule::ExtraPolicies
        | Rule::UnusedRole
        | Rule::UnreadableDocument => "metadata.name",
    }
}
