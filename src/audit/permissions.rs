//! What the role can do, compared with what its service needs for the destination.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::policy::{Partition, Region, readable};
use crate::role::LiveDocument;
use crate::service::{DestinationArn, DestinationKind, Service, Target};

use super::context::{Context, Observation};
use super::glob::{has_wildcard, overlaps, parts};
use super::rule::{Rule, Severity};
use super::statement::{Statement, bracketed, statements};
use super::trust::Trust;

/// How many characters of a resource are shown.
const MAX_RESOURCE: usize = 200;

/// From this day on, each caller of a Firehose stream with a customer managed key needs `kms:Decrypt`: before, only for
/// streams created since [`DECRYPT_FOR_NEW`] (AWS Health notice of 2026-04-20).
const DECRYPT_FOR_ALL: &str = "2027-02-28";
const DECRYPT_FOR_NEW: &str = "2026-04-20";

/// Actions that write no more than the service's, or only describe: no finding, whichever the page lists.
const HARMLESS: [&str; 15] = [
    "firehose:describedeliverystream",
    "firehose:putrecord",
    "firehose:putrecordbatch",
    "firehose:putrecord*",
    "kinesis:describestream",
    "kinesis:describestreamsummary",
    "kinesis:describelimits",
    "kinesis:putrecord",
    "kinesis:putrecords",
    "kinesis:putrecord*",
    "logs:createlogstream",
    "logs:describeloggroups",
    "logs:describelogstreams",
    "logs:putlogevents",
    "sns:publish",
];
/// Actions on a key that producers use.
const OF_KEYS: [&str; 6] = [
    "kms:generatedatakey",
    "kms:generatedatakey*",
    "kms:generatedatakeywithoutplaintext",
    "kms:decrypt",
    "kms:describekey",
    "kms:encrypt",
];

/// An allowing statement of an inline policy.
struct Grant<'a> {
    statement: Statement<'a>,
    /// In lower case.
    actions: Vec<String>,
    resources: Vec<&'a str>,
}

impl<'a> Grant<'a> {
    /// An action as the document writes it.
    fn written<'b>(&self, action: &'b str) -> &'b str
    where
        'a: 'b,
    {
        let mut all = self.statement.texts("Action").into_iter();
        all.find(|written| written.eq_ignore_ascii_case(action)).unwrap_or(action)
    }
}

/// The permissions of the role, as far as they are inline policies that can be read.
pub(super) struct Permissions<'a> {
    grants: Vec<Grant<'a>>,
    /// Whether other policies can grant more.
    is_partial: bool,
}

/// The documents of the inline policies, by path.
pub(super) fn documents(context: &mut Context<'_>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, document) in &context.role.inline_policies {
        let path = format!("RolePolicyList{}", bracketed(name));
        match document {
            Some(LiveDocument::Document(document)) => found.push((path, document.to_value())),
            Some(LiveDocument::Unreadable(error)) => {
                let message = format!("IAM returned a document that cannot be read: {error}.");
                let rule = Rule::UnreadableDocument;
                context.add(Observation::of(rule, &path, "", readable(&message, 400)));
            }
            None => {}
        }
    }
    found
}

/// The ARN of a destination without its name, as a pattern.
fn template(partition: &str, kind: DestinationKind) -> Option<String> {
    let [.., resource] = parts(kind.example())?;
    let prefix = resource.strip_suffix("app-events")?;
    let (namespace, _) = kind.pattern();
    let end = if kind == DestinationKind::LogGroup { "*:*" } else { "*" };
    Some(format!("arn:{partition}:{namespace}:*:*:{prefix}{end}"))
}

fn namespace_of(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Kinesis => "kinesis",
        DestinationKind::Firehose => "firehose",
        DestinationKind::LogGroup => "logs",
        DestinationKind::SnsTopic => "sns",
    }
}

/// The namespace of an action; `*` for every action.
fn namespace_in(action: &str) -> &str {
    action.split_once(':').map_or(action, |(namespace, _)| namespace)
}

/// Whether an action is of this namespace, or of every one.
fn is_in(action: &str, namespace: &str) -> bool {
    overlaps(namespace_in(action), namespace)
}

/// Whether an action writes, rather than describes.
fn is_write(action: &str) -> bool {
    action.split_once(':').is_some_and(|(_, name)| {
        let name = name.to_ascii_lowercase();
        ["put", "publish"].iter().any(|verb| name.starts_with(verb))
    })
}

fn describes(action: &str) -> bool {
    action
        .split_once(':')
        .is_some_and(|(_, name)| name.starts_with("describe") || name.starts_with("list"))
}

impl<'a> Permissions<'a> {
    /// Reads the inline policies.
    pub(super) fn read(context: &Context<'_>, documents: &'a [(String, Value)]) -> Self {
        let role = context.role;
        let grants = documents.iter().flat_map(|(path, document)| statements(path, document));
        let grants = grants.filter(Statement::allows).map(|statement| {
            let actions =
                statement.texts("Action").iter().map(|a| a.to_ascii_lowercase()).collect();
            let resources = statement.texts("Resource");
            Grant { statement, actions, resources }
        });
        Self {
            grants: grants.collect(),
            is_partial: !role.attached_policies.is_empty()
                || documents.len() < role.inline_policies.len(),
        }
    }

    /// Whether some statement names an action of this namespace.
    fn names(&self, namespace: &str) -> bool {
        self.actions().any(|action| namespace_in(action) == namespace)
    }

    /// Whether some statement names an action of this namespace, or of every one.
    fn includes(&self, namespace: &str) -> bool {
        self.actions().any(|action| is_in(action, namespace))
    }

    /// The first statement with an action of this namespace: its path and its actions.
    fn place_of(&self, namespace: &str) -> (String, String) {
        let has = |grant: &&Grant<'_>| grant.actions.iter().any(|a| namespace_in(a) == namespace);
        let Some(grant) = self.grants.iter().find(has) else {
            return ("RolePolicyList".to_owned(), String::new());
        };
        let shown = grant.statement.texts("Action").join(", ");
        (format!("{}.Action", grant.statement.path), shown)
    }

    fn actions(&self) -> impl Iterator<Item = &str> {
        self.grants.iter().flat_map(|grant| &grant.actions).map(String::as_str)
    }

    fn grants(&self, action: &str) -> bool {
        self.grants.iter().any(|grant| grant.statement.covers_action(action))
    }

    /// The targets of the service that the role is for.
    fn targets_of(&self, service: &Service) -> Vec<&'static Target> {
        service.targets.iter().filter(|target| self.includes(namespace_of(target.kind))).collect()
    }

    /// Whether the role is for a destination of the table.
    pub(super) fn is_stream(&self, services: &[&'static Service]) -> bool {
        services.iter().any(|service| {
            !self.targets_of(service).is_empty() || !self.refused(service).is_empty()
        })
    }

    /// The streams that the role can write to and the service cannot. Topics and log groups do not count: the services
    /// have other features that use them through a role.
    fn refused(&self, service: &Service) -> Vec<DestinationKind> {
        [DestinationKind::Kinesis, DestinationKind::Firehose]
            .into_iter()
            .filter(|kind| service.target(*kind).is_none() && self.names(namespace_of(*kind)))
            .collect()
    }

    /// The destinations that the statements name: the label or the pattern.
    pub(super) fn destinations(&self) -> Vec<(String, Option<DestinationArn>)> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        let of_kind = |action: &String| {
            DestinationKind::ALL.into_iter().any(|kind| is_in(action, namespace_of(kind)))
        };
        for grant in self.grants.iter().filter(|grant| grant.actions.iter().any(of_kind)) {
            for resource in &grant.resources {
                let arn = destination(resource);
                let label = arn
                    .as_ref()
                    .map_or_else(|| readable(resource, MAX_RESOURCE), DestinationArn::label);
                if seen.insert((*resource).to_owned()) {
                    found.push((label, arn));
                }
            }
        }
        found
    }

    /// The Regions of the destinations in a partition, each once.
    pub(super) fn regions(&self, partition: Option<Partition>) -> Vec<Region> {
        let regions = self.destinations().into_iter().filter_map(|(_, arn)| arn);
        let own = |arn: &DestinationArn| partition.is_none_or(|own| own == arn.partition());
        let set: BTreeSet<Region> = regions.filter(own).map(|arn| arn.region().clone()).collect();
        set.into_iter().collect()
    }
}

/// The destination that a resource names exactly.
fn destination(resource: &str) -> Option<DestinationArn> {
    DestinationKind::ALL.into_iter().find_map(|kind| {
        let text = match kind {
            DestinationKind::LogGroup => {
                let text = resource.strip_suffix(":*")?;
                text.strip_suffix(":log-stream").unwrap_or(text)
            }
            DestinationKind::Kinesis | DestinationKind::Firehose | DestinationKind::SnsTopic => {
                resource
            }
        };
        DestinationArn::parse(kind, text).ok()
    })
}

/// Checks the policies of a role that trusts these services.
pub(super) fn check(
    context: &mut Context<'_>,
    permissions: &Permissions<'_>,
    trust: &Trust<'_>,
    is_stream: bool,
) {
    attached(context, is_stream);
    if permissions.grants.is_empty() && !permissions.is_partial {
        let message =
            "The role has neither an inline policy that allows something nor an attached policy.";
        context.add(Observation::of(Rule::NoPermissions, "RolePolicyList", "", message.to_owned()));
    }
    if !is_stream {
        return;
    }
    let services = trust.services();
    purpose(context, permissions, trust, &services);
    let needed: BTreeSet<String> = services
        .iter()
        .flat_map(|service| permissions.targets_of(service))
        .flat_map(|target| target.actions)
        .map(|action| action.to_ascii_lowercase())
        .collect();
    let kinds: BTreeSet<&str> = services
        .iter()
        .flat_map(|service| service.targets)
        .map(|target| target.kind)
        .chain(services.iter().flat_map(|service| permissions.refused(service)))
        .map(namespace_of)
        .collect();
    for grant in &permissions.grants {
        actions(context, grant, &needed, &kinds);
        resources(context, grant);
        mismatch(context, grant);
    }
    keys(context, permissions, &services);
}

fn attached(context: &mut Context<'_>, is_stream: bool) {
    let arns = &context.role.attached_policies;
    if arns.is_empty() {
        return;
    }
    let shown: Vec<_> = arns.iter().map(String::as_str).collect();
    let is_full = |arn: &&str| {
        arn.contains(":iam::aws:policy/")
            && (arn.ends_with("FullAccess")
                || arn.ends_with("/AdministratorAccess")
                || arn.ends_with("/PowerUserAccess"))
    };
    let full: Vec<_> = shown.iter().copied().filter(is_full).collect();
    let message = match arns.len() {
        1 => "One managed policy is attached.".to_owned(),
        count => format!("{count} managed policies are attached."),
    };
    let severity = if is_stream || !full.is_empty() { Severity::Warning } else { Severity::Note };
    let shown = shown.join(", ");
    context.add(
        Observation::of(Rule::AttachedPolicies, "AttachedManagedPolicies", &shown, message)
            .severity(severity),
    );
    if !full.is_empty() {
        let message = "An attached policy of AWS allows every action of a service.".to_owned();
        let rule = Rule::WidePermissions;
        context.add(Observation::of(rule, "AttachedManagedPolicies", &full.join(", "), message));
    }
}

/// Whether each service writes to a destination of the role, with the right actions.
fn purpose(
    context: &mut Context<'_>,
    permissions: &Permissions<'_>,
    trust: &Trust<'_>,
    services: &[&'static Service],
) {
    let path = "RolePolicyList";
    for service in services {
        let targets = permissions.targets_of(service);
        // Another principal can be the one that uses the destination.
        let is_alone = services.len() == 1 && trust.others.is_empty();
        for kind in permissions.refused(service) {
            if let (true, Some(refusal)) = (is_alone && targets.is_empty(), service.refusal(kind)) {
                let message = format!("The role can write to {}. {refusal}.", kind.noun());
                let (path, shown) = permissions.place_of(namespace_of(kind));
                context.add(
                    Observation::of(Rule::WrongDestination, &path, &shown, message)
                        .source(service.page),
                );
            }
        }
        if targets.is_empty() || permissions.is_partial {
            continue;
        }
        let lacks = |target: &Target| -> Vec<&'static str> {
            let actions = target.actions.iter().copied();
            actions.filter(|action| is_write(action) && !permissions.grants(action)).collect()
        };
        let writes =
            |target: &Target| target.actions.iter().filter(|action| is_write(action)).count();
        let is_useless = targets.iter().all(|target| lacks(target).len() == writes(target));
        for target in targets {
            let missing = lacks(target);
            if missing.is_empty() {
                continue;
            }
            let (names, noun) = (missing.join(", "), target.kind.noun());
            let remedy = format!("Allow {} on the destination.", target.actions.join(", "));
            let observation = if is_useless {
                let message = format!(
                    "{} writes to {noun} with {names}, and nothing allows it.",
                    service.name
                );
                Observation::of(Rule::WrongActions, path, &names, message)
            } else {
                let message = format!("{} can also use {names} to write to {noun}.", service.name);
                Observation::of(Rule::MissingActions, path, &names, message)
            };
            context.add(observation.remedy(remedy).source(target.page));
        }
    }
}

fn actions(
    context: &mut Context<'_>,
    grant: &Grant<'_>,
    needed: &BTreeSet<String>,
    kinds: &BTreeSet<&str>,
) {
    let path = format!("{}.Action", grant.statement.path);
    if grant.statement.has("NotAction") {
        let shown = grant.statement.texts("NotAction").join(", ");
        let message = "The statement allows every action except for these.".to_owned();
        let path = format!("{}.NotAction", grant.statement.path);
        context.add(Observation::of(Rule::WidePermissions, &path, &shown, message));
    }
    let (mut wide, mut other) = (Vec::new(), Vec::new());
    for action in &grant.actions {
        let namespace = namespace_in(action);
        if needed.contains(action) {
            continue;
        }
        if namespace == "kms" {
            if !OF_KEYS.contains(&action.as_str()) {
                wide.push(grant.written(action));
            }
        } else if kinds.contains(namespace) {
            if !HARMLESS.contains(&action.as_str()) && !describes(action) {
                wide.push(grant.written(action));
            }
        } else if has_wildcard(namespace) {
            wide.push(grant.written(action));
        } else {
            other.push(grant.written(action));
        }
    }
    if !wide.is_empty() {
        let message = "The service does not need these actions.".to_owned();
        let rule = Rule::WidePermissions;
        context.add(Observation::of(rule, &path, &wide.join(", "), message));
    }
    if !other.is_empty() {
        let message = "These actions have nothing to do with the destination.".to_owned();
        let rule = Rule::OtherPermissions;
        context.add(Observation::of(rule, &path, &other.join(", "), message));
    }
}

/// Whether a statement limits the use of keys by other means than the key.
fn limits_keys(grant: &Grant<'_>) -> bool {
    grant.statement.conditions().iter().any(|condition| {
        condition.is_positive()
            && (condition.key == "kms:viaservice"
                || condition.key.starts_with("kms:encryptioncontext:"))
    })
}

fn resources(context: &mut Context<'_>, grant: &Grant<'_>) {
    let is_about = |action: &String| {
        namespace_in(action) == "kms"
            || DestinationKind::ALL.into_iter().any(|kind| is_in(action, namespace_of(kind)))
    };
    // A list of all streams takes no resource.
    if !grant.actions.iter().any(|action| is_about(action) && !describes(action)) {
        return;
    }
    let path = format!("{}.Resource", grant.statement.path);
    if grant.statement.has("NotResource") {
        let shown = grant.statement.texts("NotResource").join(", ");
        let message = "The statement is for every resource except for these.".to_owned();
        let path = format!("{}.NotResource", grant.statement.path);
        context.add(Observation::of(Rule::WidePermissions, &path, &shown, message));
    }
    let is_limited = limits_keys(grant) && grant.actions.iter().all(|a| a.starts_with("kms:"));
    let (mut wide, mut prefixes) = (Vec::new(), Vec::new());
    for resource in grant.resources.iter().filter(|_| !is_limited) {
        match breadth(resource) {
            Breadth::One => {}
            Breadth::Prefix => prefixes.push(*resource),
            Breadth::Any => wide.push(*resource),
        }
    }
    if !wide.is_empty() {
        let message = "The resource is not limited to one destination.".to_owned();
        context.add(Observation::of(Rule::WidePermissions, &path, &wide.join(", "), message));
    } else if !prefixes.is_empty() {
        let message = "The resource is every destination whose name matches.".to_owned();
        context.add(
            Observation::of(Rule::WidePermissions, &path, &prefixes.join(", "), message)
                .severity(Severity::Note),
        );
    }
}

/// How many destinations a resource names.
enum Breadth {
    One,
    Prefix,
    Any,
}

fn breadth(resource: &str) -> Breadth {
    let Some([_, _, _, region, account, name]) = parts(resource) else {
        return if has_wildcard(resource) { Breadth::Any } else { Breadth::One };
    };
    if has_wildcard(region) || has_wildcard(account) {
        return Breadth::Any;
    }
    // Events go to the log streams of a log group.
    let name = match name.strip_prefix("log-group:") {
        Some(group) => group.split(':').next().unwrap_or(group),
        None => name,
    };
    if !has_wildcard(name) {
        return Breadth::One;
    }
    let last = name.split_once('/').map_or(name, |(_, last)| last);
    if last.chars().all(|character| character == '*') { Breadth::Any } else { Breadth::Prefix }
}

/// Statements that grant nothing, because their actions are of another type of resource.
fn mismatch(context: &mut Context<'_>, grant: &Grant<'_>) {
    if grant.resources.is_empty() || grant.statement.has("NotAction") {
        return;
    }
    let partition = context.place.as_ref().map_or("*", |place| place.partition.as_str()).to_owned();
    let path = format!("{}.Resource", grant.statement.path);
    let shown = grant.resources.join(", ");
    for kind in DestinationKind::ALL {
        let namespace = namespace_of(kind);
        let writes = |action: &String| {
            action.split_once(':').is_some_and(|(own, _)| own == namespace) && is_write(action)
        };
        let Some(action) = grant.actions.iter().find(|action| writes(action)) else { continue };
        let Some(template) = template(&partition, kind) else { continue };
        if !grant.resources.iter().any(|r| r.contains("${") || overlaps(r, &template)) {
            let message = format!(
                "{} is for {}, and no resource of the statement is one.",
                grant.written(action),
                kind.what()
            );
            let remedy = format!("Name an ARN such as {}.", example(kind));
            context.add(
                Observation::of(Rule::ResourceMismatch, &path, &shown, message).remedy(remedy),
            );
        }
    }
    let aliases: Vec<_> = grant
        .resources
        .iter()
        .copied()
        .filter(
            |r| matches!(parts(r), Some([_, _, "kms", _, _, name]) if name.starts_with("alias/")),
        )
        .collect();
    if !aliases.is_empty() && grant.actions.iter().any(|action| action.starts_with("kms:")) {
        let message = "A statement for the alias of a key grants nothing.".to_owned();
        context.add(Observation::of(Rule::KmsAlias, &path, &aliases.join(", "), message));
    }
}

fn example(kind: DestinationKind) -> String {
    let end = if kind == DestinationKind::LogGroup { ":*" } else { "" };
    format!("{}{end}", kind.example())
}

/// What a statement on keys is for, by its conditions.
fn is_for(grant: &Grant<'_>, kind: DestinationKind) -> bool {
    let namespace = namespace_of(kind);
    grant.statement.conditions().iter().filter(|condition| condition.is_positive()).all(
        |condition| {
            if let Some(context) = condition.key.strip_prefix("kms:encryptioncontext:") {
                return context.starts_with(&format!("aws:{namespace}:"));
            }
            condition.key != "kms:viaservice"
                || condition.values.iter().any(|value| {
                    let service = value.split('.').next().unwrap_or_default();
                    overlaps(service, namespace)
                })
        },
    )
}

fn keys(context: &mut Context<'_>, permissions: &Permissions<'_>, services: &[&'static Service]) {
    if permissions.is_partial {
        return;
    }
    let kinds: BTreeSet<&str> = services
        .iter()
        .flat_map(|service| permissions.targets_of(service))
        .filter(|target| target.kind != DestinationKind::LogGroup)
        .map(|target| namespace_of(target.kind))
        .collect();
    for kind in DestinationKind::ALL {
        if !kinds.contains(namespace_of(kind)) {
            continue;
        }
        let uses = |grant: &&Grant<'_>| {
            grant.actions.iter().any(|action| action.starts_with("kms:")) && is_for(grant, kind)
        };
        let grants: Vec<&Grant<'_>> = permissions.grants.iter().filter(uses).collect();
        let Some(first) = grants.first() else { continue };
        let allows = |action: &str| grants.iter().any(|g| g.statement.covers_action(action));
        let path = format!("{}.Action", first.statement.path);
        let shown = first.statement.texts("Action").join(", ");
        if !allows("kms:GenerateDataKey") {
            let message = format!("A producer for {} calls kms:GenerateDataKey.", kind.noun());
            context.add(Observation::of(Rule::MissingKmsGenerateDataKey, &path, &shown, message));
        }
        if kind == DestinationKind::Firehose && !allows("kms:Decrypt") {
            decrypt(context, &path, &shown);
        }
    }
}

fn decrypt(context: &mut Context<'_>, path: &str, shown: &str) {
    let is_over = DECRYPT_FOR_ALL.parse().is_ok_and(|day| context.today >= day);
    let (severity, message) = if is_over {
        let message = format!(
            "Since {DECRYPT_FOR_ALL}, writing to a Firehose stream with a customer managed key needs kms:Decrypt."
        );
        (Severity::Error, message)
    } else {
        let message = format!(
            "Writing to a Firehose stream with a customer managed key needs kms:Decrypt: for streams created since {DECRYPT_FOR_NEW} now, for all from {DECRYPT_FOR_ALL} on."
        );
        (Severity::Warning, message)
    };
    context.add(Observation::of(Rule::MissingKmsDecrypt, path, shown, message).severity(severity));
}
