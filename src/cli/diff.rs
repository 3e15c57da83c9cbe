//! `streamrole diff`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use clap::{Args as ClapArgs, ValueEnum};
use kube::api::{Api, ApiResource, ListParams};
use kube::core::DynamicObject;
use serde::Serialize;

use crate::api::{InvalidSpec, KINDS, Kind, RoleResource};
use crate::iam::Iam;
use crate::policy::{Caller, Difference, readable};
use crate::role::{
    Change as PlannedChange, Declaration, Defaults, DesiredRole, ErrorKind, Held, LiveDocument,
    ObservedRole, Owner, Plan, RESERVED_TAG_PREFIX, ResourceName, RoleKey, Roles, Standing, Write,
    plan,
};
use crate::service::{Access, new_access};
use crate::timing::Timing;

use super::manifests::{self, Manifests, Settings};
use super::{Error, Exit, account, connect, print};

/// The longest value that is shown, in characters.
const LONGEST: usize = 400;

/// Flags of `streamrole diff`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  streamrole diff -f role.yaml
  streamrole diff --cluster
  streamrole diff -f new/ --from old/ --fail-on new-access

The live roles are read with the credentials, region and endpoint of every AWS SDK (AWS_PROFILE, AWS_REGION and others).
The caller needs iam:GetRole, iam:GetRolePolicy, iam:ListRolePolicies and iam:ListAttachedRolePolicies.")]
pub(super) struct Args {
    /// File or folder with manifests, or - for standard input; can be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE", num_args = 1.., required_unless_present = "cluster")]
    files: Vec<PathBuf>,

    /// Compare the resources of the cluster of the current context instead; with --namespace, those of one namespace.
    #[arg(long, conflicts_with_all = ["files", "from"])]
    cluster: bool,

    /// Compare with the manifests of this file or folder instead of the live roles, without AWS.
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,

    /// When the exit code is 1.
    #[arg(long, value_enum, default_value = "differences")]
    fail_on: FailOn,

    /// Form of the output.
    #[arg(short = 'o', long, value_enum, default_value = "text")]
    output: Output,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum FailOn {
    /// Any difference
    Differences,
    /// Access that the old role does not give
    NewAccess,
    /// Never
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Text,
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
}

/// What would change for one resource.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    resource: String,
    role_arn: String,
    /// Why nothing would be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    changes: Vec<Change>,
    /// Policies that stay on the role although no resource declares them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extra_policies: Vec<Shown>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    new_access: Vec<Access>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    part: String,
    action: String,
    differences: Vec<Shown>,
}

/// A difference, escaped: others wrote the live value.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    declared: Option<String>,
}

impl From<&Difference> for Shown {
    fn from(difference: &Difference) -> Self {
        let shown = |text: &String| readable(text, LONGEST);
        Self {
            path: shown(&difference.path),
            live: difference.live.as_ref().map(shown),
            declared: difference.desired.as_ref().map(shown),
        }
    }
}

impl Row {
    fn is_empty(&self) -> bool {
        self.refusal.is_none() && self.changes.is_empty() && self.new_access.is_empty()
    }
}

/// Prints the differences.
pub(super) fn diff(args: &Args) -> Result<Exit, Error> {
    let defaults = args.settings.defaults()?;
    let (rows, is_valid) = if args.cluster {
        let namespace = args.settings.namespace.as_deref();
        let rows = async { of_live(of_cluster(namespace, &defaults).await?).await };
        (connect::on_one_thread(rows)?, true)
    } else {
        let new = args.settings.read(&args.files)?;
        let mut is_valid = !new.report_problems();
        let rows = if args.from.is_empty() {
            let declared = new.all.iter().map(|manifest| {
                Ok((manifest.resource.clone(), manifest.declaration.clone(), None))
            });
            connect::on_one_thread(of_live(declared.collect()))?
        } else {
            let old = args.settings.read(&args.from)?;
            is_valid &= !old.report_problems();
            of_manifests(&new, &old)
        };
        (rows, is_valid)
    };
    report(&rows, args.output)?;
    let is_found = rows.iter().any(|row| match args.fail_on {
        FailOn::Differences => !row.is_empty(),
        FailOn::NewAccess => !row.new_access.is_empty(),
        FailOn::Never => false,
    });
    Ok(match (is_valid, is_found) {
        (false, _) => Exit::Error,
        (true, true) => Exit::Findings,
        (true, false) => Exit::Nothing,
    })
}

/// A resource, the role that it declares, and its uid if it is in a cluster.
type Declared = (RoleResource, Declaration, Option<String>);

/// The rows of these resources: those that declare a role, compared with the live roles, and the others as they are.
async fn of_live(declared: Vec<Result<Declared, Box<Row>>>) -> Result<Vec<Row>, Error> {
    let iam = account::connect().await?;
    let caller = iam.caller().await;
    let live = Live::of(&iam, declared.len()).await?;
    let progress = account::progress("roles compared");
    let mut rows = Vec::new();
    for one in declared {
        rows.push(match one {
            Ok(one) => live_row(&live, caller.as_ref(), &one).await?,
            Err(row) => *row,
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(rows)
}

/// Above this number of roles, the lists of the account are cheaper than four calls for each role.
const FEW: usize = 20;

/// The live roles.
enum Live<'a> {
    /// All roles of the account, by name in lower case.
    All(BTreeMap<String, ObservedRole>),
    /// Each role is read when it is needed.
    Each(&'a Iam),
}

impl<'a> Live<'a> {
    async fn of(iam: &'a Iam, number: usize) -> Result<Self, Error> {
        if number <= FEW {
            return Ok(Self::Each(iam));
        }
        match account::snapshot(iam).await {
            Ok(all) => {
                let by_name = all.into_iter().map(|(name, role)| (name.to_ascii_lowercase(), role));
                Ok(Self::All(by_name.collect()))
            }
            // The lists need two more permissions.
            Err(Error::Iam(error)) if error.kind == ErrorKind::AccessDenied => Ok(Self::Each(iam)),
            Err(error) => Err(error),
        }
    }

    async fn role(&self, declaration: &Declaration) -> Result<Option<ObservedRole>, Error> {
        let (name, policy) = (&declaration.name, &declaration.permissions_policy.name);
        Ok(match self {
            Self::All(all) => all.get(&name.as_str().to_ascii_lowercase()).cloned(),
            Self::Each(iam) => iam.observe(name, policy).await?,
        })
    }
}

/// The resources of the cluster, in one namespace or in all.
async fn of_cluster(
    namespace: Option<&str>,
    defaults: &Defaults,
) -> Result<Vec<Result<Declared, Box<Row>>>, Error> {
    let place = connect::Where::default();
    let connect::Cluster { server, .. } = connect::cluster(&place, &Timing::default()).await?;
    let client = server.client().map_err(|error| Error::NoCluster(error.to_string()))?;
    let mut found = Vec::new();
    for kind in KINDS {
        let resource = ApiResource::erase::<RoleResource>(&kind);
        let resources: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let listed = resources.list(&ListParams::default()).await;
        let listed = listed.map_err(|error| {
            Error::Input(format!("cannot list the {}s of the cluster: {error}", kind.name))
        })?;
        found.extend(listed.into_iter().map(|object| declared(kind, object, defaults)));
    }
    Ok(found)
}

fn declared(
    kind: &'static Kind,
    object: DynamicObject,
    defaults: &Defaults,
) -> Result<Declared, Box<Row>> {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let metadata = &object.metadata;
    let name = format!("{} {}/{}", kind.name, part(&metadata.namespace), part(&metadata.name));
    let resource = RoleResource::of_object(kind, object).map_err(|invalid| {
        let InvalidSpec { path, problem } = invalid;
        Box::new(refused(name.clone(), String::new(), format!("spec.{path}: {problem}")))
    })?;
    let declaration = resource
        .declaration(defaults)
        .map_err(|error| Box::new(refused(name, String::new(), error.to_string())))?;
    let uid = resource.metadata.uid.clone();
    Ok((resource, declaration, uid))
}

/// The rows of resources in two sets of manifests, by the role that they declare.
fn of_manifests(new: &Manifests, old: &Manifests) -> Vec<Row> {
    let old: BTreeMap<RoleKey, _> =
        old.all.iter().map(|manifest| (manifest.declaration.key(), manifest)).collect();
    let row = |manifest: &manifests::Manifest| {
        let before = old.get(&manifest.declaration.key());
        let arn = manifest.declaration.arn();
        let stream_of = |manifest: &manifests::Manifest| manifest.resource.spec.stream().ok();
        let before_stream = before.and_then(|before| stream_of(before));
        let streams = stream_of(manifest);
        let mut access = streams
            .as_ref()
            .map(|new| new_access(new, before_stream.as_ref(), &arn))
            .unwrap_or_default();
        access
            .extend(before.and_then(|before| {
                lost_boundary(&before.declaration, &manifest.declaration, &arn)
            }));
        let plan = before.map(|before| {
            let live = as_live(&before.declaration, name_of(&manifest.resource).tag());
            compare(&manifest.resource, &manifest.declaration, Some(&live), None)
        });
        let plan =
            plan.unwrap_or_else(|| compare(&manifest.resource, &manifest.declaration, None, None));
        Row { new_access: access, ..row_of(named(&manifest.resource), arn, plan) }
    };
    new.all.iter().map(row).collect()
}

/// A boundary that no longer limits the role.
fn lost_boundary(old: &Declaration, new: &Declaration, role: &str) -> Option<Access> {
    let before = old.permissions_boundary.as_ref()?;
    if new.permissions_boundary.as_ref() == Some(before) {
        return None;
    }
    Some(Access {
        what: format!("the permissions boundary {before} no longer limits the role"),
        principal: role.to_owned(),
        action: "*".into(),
        resource: "*".into(),
        source_arn: None,
    })
}

/// The owner of a role that no cluster has made yet.
fn unknown_owner(resource: String) -> Owner {
    Owner { cluster: String::new(), resource, uid: String::new() }
}

/// The role that a declaration makes, as the resource of this name owns it.
fn as_live(declaration: &Declaration, resource: String) -> ObservedRole {
    let mut tags = declaration.tags.clone();
    tags.extend(unknown_owner(resource).tags());
    let policy = &declaration.permissions_policy;
    let document = LiveDocument::Document(policy.document.clone());
    ObservedRole {
        arn: declaration.arn(),
        path: declaration.path.as_str().to_owned(),
        description: declaration.description.clone(),
        max_session_duration_seconds: declaration.max_session_duration_seconds,
        permissions_boundary: declaration.permissions_boundary.as_ref().map(ToString::to_string),
        tags,
        trust_policy: LiveDocument::Document(declaration.trust_policy.clone()),
        inline_policies: BTreeMap::from([(policy.name.clone(), Some(document))]),
        ..ObservedRole::default()
    }
}

async fn live_row(
    live: &Live<'_>,
    caller: Option<&Caller>,
    (resource, declaration, uid): &Declared,
) -> Result<Row, Error> {
    if let Some(caller) = caller.filter(|caller| caller.place.account != declaration.account) {
        let refusal = format!(
            "the credentials are of account {}, and the role is in account {}: use credentials of that account",
            caller.place.account, declaration.account
        );
        return Ok(refused(named(resource), declaration.arn(), refusal));
    }
    let observed = live.role(declaration).await?;
    let plan = compare(resource, declaration, observed.as_ref(), uid.as_deref());
    Ok(row_of(named(resource), declaration.arn(), plan))
}

/// The plan for the role. A manifest has no uid and no cluster: a role that its kind, namespace and name own by the tags
/// counts as its own, and ownership tags are no difference.
fn compare(
    resource: &RoleResource,
    declaration: &Declaration,
    live: Option<&ObservedRole>,
    uid: Option<&str>,
) -> Result<Plan, String> {
    let own = name_of(resource).tag();
    let tagged = live.and_then(|live| Owner::of(&live.tags));
    let owner = match tagged {
        Some(owner) if owner.resource == own && uid.is_none_or(|uid| uid == owner.uid) => owner,
        Some(_) | None => unknown_owner(own),
    };
    let desired = DesiredRole { declaration: declaration.clone(), owner, held: Held::default() };
    plan(&desired, live, |_| Standing::Keeps).map_err(|refusal| refusal.to_string())
}

fn name_of(resource: &RoleResource) -> ResourceName {
    let metadata = &resource.metadata;
    ResourceName {
        kind: resource.kind.name.to_owned(),
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

fn named(resource: &RoleResource) -> String {
    name_of(resource).to_string()
}

fn refused(resource: String, role_arn: String, refusal: String) -> Row {
    Row {
        resource,
        role_arn,
        refusal: Some(refusal),
        changes: Vec::new(),
        extra_policies: Vec::new(),
        new_access: Vec::new(),
    }
}

fn row_of(resource: String, role_arn: String, plan: Result<Plan, String>) -> Row {
    let plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return refused(resource, role_arn, refusal),
    };
    let changes = plan.changes.iter().map(|change| Change {
        part: change.part.to_string(),
        action: change.write.action().to_string(),
        differences: shown(change),
    });
    Row {
        resource,
        role_arn,
        refusal: None,
        changes: changes.collect(),
        extra_policies: plan.extra_policies.iter().map(Shown::from).collect(),
        new_access: Vec::new(),
    }
}

/// The differences of a change. Of a new role, also the documents; of ownership tags, only that they are set, because
/// their values depend on the cluster.
fn shown(change: &PlannedChange) -> Vec<Shown> {
    let is_ownership = |difference: &&Difference| difference.path.contains(RESERVED_TAG_PREFIX);
    let declared = |path: &str, value: String| Shown {
        path: path.to_owned(),
        live: None,
        declared: Some(value),
    };
    let others = change.differences.iter().filter(|difference| !is_ownership(difference));
    let mut all: Vec<_> = others.map(Shown::from).collect();
    if change.differences.iter().any(|difference| is_ownership(&difference)) {
        all.push(declared("ownership tags", "of the resource and its cluster".into()));
    }
    match &change.write {
        Write::CreateRole(new) => all.push(declared("trustPolicy", new.trust_policy.to_string())),
        Write::PutRolePolicy(policy) if change.differences.iter().all(|d| d.live.is_none()) => {
            all.push(declared("permissionsPolicy document", policy.document.to_string()));
        }
        _ => {}
    }
    all
}

const REMOVED: Style = AnsiColor::Red.on_default();
const ADDED: Style = AnsiColor::Green.on_default();
const STRONG: Style = Style::new().bold();

fn report(rows: &[Row], output: Output) -> Result<(), Error> {
    match output {
        Output::Text => print_styled(&text(rows)),
        Output::Json => {
            let json = serde_json::to_string_pretty(rows);
            let json = json.map_err(|error| Error::Print(error.to_string()))?;
            print(&format!("{json}\n"))
        }
        Output::Yaml => super::print_yaml(&rows),
    }
}

fn print_styled(text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Error::Print(error.to_string())),
    }
}

fn text(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| !row.is_empty() || !row.extra_policies.is_empty()) {
        one(&mut text, row);
    }
    let differing = rows.iter().filter(|row| !row.is_empty()).count();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{differing} of {} roles differ.", rows.len());
    text
}

// Writing to a String cannot fail.
fn one(text: &mut String, row: &Row) {
    let _ = writeln!(text, "{STRONG}{}{STRONG:#}  {}", row.resource, row.role_arn);
    if let Some(refusal) = &row.refusal {
        let _ = writeln!(text, "  nothing is written: {refusal}");
    }
    for change in &row.changes {
        let _ = writeln!(text, "  {} ({})", change.part, change.action);
        differences(text, &change.differences);
    }
    if !row.extra_policies.is_empty() {
        let _ = writeln!(text, "  stays on the role, although it is not declared");
        differences(text, &row.extra_policies);
    }
    for access in &row.new_access {
        let _ = writeln!(text, "  new access: {}", access.what);
        let on_behalf = access
            .source_arn
            .as_ref()
            .map_or_else(String::new, |arn| format!(" with aws:SourceArn {arn}"));
        let _ = writeln!(
            text,
            "    for example {} calls {} on {}{on_behalf}",
            access.principal, access.action, access.resource
        );
    }
    text.push('\n');
}

fn differences(text: &mut String, differences: &[Shown]) {
    for Shown { path, live, declared } in differences {
        let _ = writeln!(text, "    {path}");
        if let Some(live) = live {
            let _ = writeln!(text, "      {REMOVED}- {live}{REMOVED:#}");
        }
        if let Some(declared) = declared {
            let _ = writeln!(text, "      {ADDED}+ {declared}{ADDED:#}");
        }
    }
}
