//! What a resource for a live role would declare, what the adoption would change, and which parts of the role no
//! resource can declare. Pure.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;
use serde_json::{Value, json};
use thiserror::Error;

use crate::api::{Kind, RoleResource, RoleSettings, spec_of};
use crate::policy::{Difference, Document, DocumentError, Place, PolicyArn, readable};
use crate::role::{
    AdoptionPolicy, DefaultTags, Defaults, DesiredRole, DriftPolicy, Held, LiveDocument,
    ObservedRole, Owner, RolePath, Standing, is_reserved_tag_key, plan,
};
use crate::service::{EventStream, Service, recognize, trusted};

/// The path that IAM reserves for service-linked roles.
const SERVICE_LINKED_PATH: &str = "/aws-service-role/";

/// The most event streams of one role that are compared with it.
const MAX_STREAMS: usize = 64;

/// How many other event streams of a role are named.
const MAX_NAMED: usize = 8;

/// How many characters of a text by others are shown.
const MAX_TEXT: usize = 200;

/// The longest description.
const MAX_DESCRIPTION: usize = 1000;

/// A resource that adopts a role.
#[derive(Clone, Debug)]
pub(super) struct Imported {
    /// Name of the role.
    pub(super) role: String,
    /// ARN of the role.
    pub(super) arn: String,
    /// Kind of the resource.
    pub(super) kind: &'static Kind,
    /// Spec of the resource.
    pub(super) spec: Value,
    /// What the adoption would change, besides the ownership tags.
    pub(super) changes: Vec<Difference>,
    /// What the resource does not declare, and the controller leaves unchanged.
    pub(super) kept: Vec<String>,
    /// What else the user must know.
    pub(super) remarks: Vec<String>,
}

/// Why a role is not imported.
#[derive(Clone, Debug, Error)]
pub(super) enum Left {
    /// A resource owns it.
    #[error("its tags name an owner, {}", readable(&.0.description(), MAX_TEXT))]
    Owned(Owner),
    /// It belongs to an AWS service.
    #[error("it is a service-linked role, which belongs to an AWS service")]
    ServiceLinked,
    /// No service of the table can assume it.
    #[error("it is no event stream role: its trust policy names no service that streamrole knows")]
    NoService,
    /// The destination is unknown.
    #[error(
        "its trust policy names {services}, but no inline policy names a destination in the same account that the service writes to. Attached policies are not read{}",
        if *has_attached { ": put the permissions into an inline policy first" } else { "" }
    )]
    NoDestination {
        /// The services.
        services: String,
        /// Whether managed policies are attached.
        has_attached: bool,
    },
    /// Its trust policy is not a policy document.
    #[error("its trust policy cannot be compared: {}", readable(&.0.to_string(), MAX_TEXT))]
    Unreadable(DocumentError),
    /// No resource can declare it.
    #[error("no resource can declare it: {}", readable(.0, MAX_TEXT))]
    Undeclarable(String),
}

impl Left {
    /// Whether the user would expect the role in a list of all event stream roles.
    pub(super) const fn is_of_a_likely_event_stream_role(&self) -> bool {
        match self {
            Self::Owned(_) | Self::Undeclarable(_) => true,
            Self::NoDestination { has_attached, .. } => *has_attached,
            Self::ServiceLinked | Self::NoService | Self::Unreadable(_) => false,
        }
    }
}

/// The resource that adopts the role, with the fewest changes.
///
/// # Errors
/// When no resource can, or another resource owns it.
pub(super) fn imported(
    name: &str,
    live: &ObservedRole,
    defaults: &Defaults,
) -> Result<Imported, Left> {
    if live.path.starts_with(SERVICE_LINKED_PATH) {
        return Err(Left::ServiceLinked);
    }
    if let Some(owner) = Owner::of(&live.tags).filter(|owner| !owner.cluster.is_empty()) {
        return Err(Left::Owned(owner));
    }
    let trust = match &live.trust_policy {
        LiveDocument::Document(trust) => trust,
        LiveDocument::Unreadable(error) => return Err(Left::Unreadable(error.clone())),
    };
    let services = trusted(trust);
    if services.is_empty() {
        return Err(Left::NoService);
    }
    let streams = streams(trust, live);
    if streams.is_empty() {
        return Err(no_destination(&services, live));
    }
    if let Err(error) = RolePath::parse(&live.path) {
        return Err(Left::Undeclarable(format!("path: {error}")));
    }
    let Accepted { settings, mut kept, mut remarks } = settings(name, live);
    let (mut best, mut refused): (Option<Attempt>, _) = (None, None);
    for stream in &streams {
        match attempt(stream, &settings, live, defaults) {
            Ok(attempt) if best.as_ref().is_none_or(|best| attempt.cost() < best.cost()) => {
                best = Some(attempt);
            }
            Ok(_) => {}
            Err(reason) => {
                refused.get_or_insert(reason);
            }
        }
    }
    let Some(best) = best else {
        return Err(Left::Undeclarable(refused.unwrap_or_default()));
    };
    kept.splice(0..0, best.extra_policies.iter().map(|policy| policy.path.clone()));
    remarks.extend(remarks_on_policies(&best, live));
    remarks.extend(remarks_on_other_streams(&best.stream, &streams));
    remarks.extend(remarks_on_managers(&live.tags));
    let Attempt { kind, spec, changes, .. } = best;
    let arn = live.arn.clone();
    Ok(Imported { role: name.to_owned(), arn, kind, spec, changes, kept, remarks })
}

fn no_destination(services: &[&Service], live: &ObservedRole) -> Left {
    let names: Vec<_> = services.iter().map(|service| service.name).collect();
    let has_attached = !live.attached_policies.is_empty();
    Left::NoDestination { services: names.join(" and "), has_attached }
}

/// The event streams that the role can be for: by each inline policy alone, then by all of them together.
fn streams(trust: &Document, live: &ObservedRole) -> Vec<EventStream> {
    let texts = live.inline_policies.values().filter_map(|text| match text.as_ref()? {
        LiveDocument::Document(document) => Some(document.to_value()),
        LiveDocument::Unreadable(_) => None,
    });
    let texts: Vec<Value> = texts.collect();
    let statements = texts.iter().flat_map(statements).cloned();
    let together = json!({"Statement": statements.collect::<Vec<_>>()});
    let mut found: Vec<EventStream> = Vec::new();
    for text in texts.iter().chain([&together]) {
        for text in [text, &without_keys(text)] {
            let Ok(document) = Document::from_value(text) else { continue };
            for stream in recognize(trust, &document) {
                if found.len() < MAX_STREAMS && !found.contains(&stream) {
                    found.push(stream);
                }
            }
        }
    }
    found
}

fn statements(document: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match document.get("Statement") {
        Some(Value::Array(list)) => (list.as_slice(), None),
        one => (&[][..], one),
    };
    list.iter().chain(one)
}

/// The document without statements about keys: the key can be for something else than the destination.
fn without_keys(document: &Value) -> Value {
    let is_of_key = |statement: &&Value| {
        let resource = statement.get("Resource").map(ToString::to_string);
        resource.is_some_and(|resource| resource.contains(":kms:"))
    };
    let others: Vec<_> = statements(document).filter(|one| !is_of_key(one)).cloned().collect();
    json!({"Statement": others})
}

/// A resource that could adopt the role.
struct Attempt {
    stream: EventStream,
    kind: &'static Kind,
    spec: Value,
    changes: Vec<Difference>,
    extra_policies: Vec<Difference>,
    policy_name: String,
}

impl Attempt {
    /// Fewer changes are better, and then a declared key.
    fn cost(&self) -> (usize, bool) {
        (self.changes.len(), self.stream.key().is_none())
    }
}

fn attempt(
    stream: &EventStream,
    settings: &RoleSettings,
    live: &ObservedRole,
    defaults: &Defaults,
) -> Result<Attempt, String> {
    let service = stream.service().name;
    let (kind, spec) = spec_of(stream, settings)
        .ok_or_else(|| format!("no field expresses the source of {service}"))?;
    let read = (kind.read)(spec.clone());
    let read = read.map_err(|invalid| format!("{}: {}", invalid.path, invalid.problem))?;
    // The name of the role is declared, so that of the resource decides nothing.
    let metadata = ObjectMeta { name: Some("import".into()), ..ObjectMeta::default() };
    let resource = RoleResource { kind, metadata, spec: read, status: None };
    let declaration = resource.declaration(defaults).map_err(|error| error.to_string())?;
    if let Some(place) = Place::of_arn(&live.arn)
        && place.account != declaration.account
    {
        let (own, other) = (place.account, declaration.account);
        return Err(format!(
            "the destination is in account {other} and the role in account {own}; a declared role is in the account of its destination"
        ));
    }
    let policy_name = declaration.permissions_policy.name.clone();
    let owner = || "import".to_owned();
    let owner = Owner { cluster: owner(), resource: owner(), uid: owner() };
    let desired = DesiredRole { declaration, owner, held: Held::default() };
    let plan = plan(&desired, Some(live), |_| Standing::Gone).map_err(|e| e.to_string())?;
    let changes = plan.changes.into_iter().filter(|change| !change.write.adopts());
    Ok(Attempt {
        stream: stream.clone(),
        kind,
        spec,
        changes: changes.flat_map(|change| change.differences).collect(),
        extra_policies: plan.extra_policies,
        policy_name,
    })
}

/// The settings of the role, as far as a spec accepts them.
struct Accepted {
    settings: RoleSettings,
    kept: Vec<String>,
    remarks: Vec<String>,
}

fn settings(name: &str, live: &ObservedRole) -> Accepted {
    let (mut kept, mut remarks) = (Vec::new(), Vec::new());
    let mut tags = BTreeMap::new();
    for (key, value) in &live.tags {
        let mut with = tags.clone();
        with.insert(key.clone(), value.clone());
        match DefaultTags::new(with.clone()) {
            Ok(_) => tags = with,
            Err(_) if is_reserved_tag_key(key) => {
                kept.push(format!("tags[{}]: the key is reserved", readable(key, MAX_TEXT)));
            }
            Err(error) => {
                let (key, why) = (readable(key, MAX_TEXT), readable(&error.to_string(), MAX_TEXT));
                kept.push(format!("tags[{key}]: {why}"));
            }
        }
    }
    let is_accepted = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
    let fits = live.description.chars().count() <= MAX_DESCRIPTION
        && live.description.chars().all(is_accepted);
    if !fits {
        remarks.push("spec.description cannot hold the description, so it is removed.".into());
    }
    let description = Some(live.description.clone()).filter(|text| fits && !text.is_empty());
    let boundary = live.permissions_boundary.clone();
    let is_arn = |arn: &String| PolicyArn::parse(arn).is_ok();
    if boundary.as_ref().is_some_and(|arn| !is_arn(arn)) {
        remarks.push(
            "spec.permissionsBoundaryArn cannot hold the permissions boundary, so it is removed."
                .into(),
        );
    }
    let seconds = live.max_session_duration_seconds;
    let settings = RoleSettings {
        role_name: Some(name.to_owned()),
        path: live.path.clone(),
        description,
        permissions_boundary_arn: boundary.filter(is_arn),
        max_session_duration_seconds: seconds.clamp(3600, 43200),
        tags,
        exclusive_policies: false,
        adoption_policy: AdoptionPolicy::Adopt,
        deletion_policy: None,
        drift_policy: DriftPolicy::Correct,
    };
    Accepted { settings, kept, remarks }
}

fn remarks_on_policies(best: &Attempt, live: &ObservedRole) -> Vec<String> {
    let mut remarks = Vec::new();
    let removes = |prefix: &str| best.changes.iter().any(|change| change.path.starts_with(prefix));
    if removes("trustPolicy.live ") {
        remarks.push(
            "No resource can declare other statements of the trust policy: adoption removes them."
                .into(),
        );
    }
    if removes("permissionsPolicy.live ") {
        remarks.push("No resource can declare other statements of the permissions policy: adoption removes them. To keep them, move them to another inline policy first.".into());
    }
    let (name, all) = (&best.policy_name, &live.inline_policies);
    if !all.contains_key(name) {
        remarks.push(format!("The declared inline policy has the name {name}: adoption adds it, and the present policies stay as extra policies. Remove them after adoption."));
    }
    for (name, text) in all {
        if matches!(text, Some(LiveDocument::Unreadable(_))) {
            let name = readable(name, MAX_TEXT);
            remarks.push(format!("The inline policy {name} cannot be read."));
        }
    }
    let note = best.stream.note();
    remarks.extend(
        note.filter(|_| removes("trustPolicy")).map(|note| format!("Trust policy: {note}")),
    );
    remarks
}

fn remarks_on_other_streams(best: &EventStream, all: &[EventStream]) -> Vec<String> {
    let key = |stream: &EventStream| (stream.service().key, stream.destination().to_string());
    let mut named = vec![key(best)];
    let mut remarks = Vec::new();
    for stream in all {
        if named.contains(&key(stream)) {
            continue;
        }
        named.push(key(stream));
        let (service, destination) = (stream.service().name, stream.destination());
        remarks.push(format!("The role also lets {service} write to {destination}. A resource declares one service and one destination, here those with the fewest changes."));
    }
    let more = remarks.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        remarks.truncate(MAX_NAMED);
        remarks.push(format!("The role is for {more} more event streams."));
    }
    remarks
}

/// Tags of other tools that manage the role, which would write to it too.
fn remarks_on_managers(tags: &BTreeMap<String, String>) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(stack) = tags.get("aws:cloudformation:stack-name") {
        let stack = readable(stack, MAX_TEXT);
        remarks.push(format!("The CloudFormation stack {stack} manages the role too. After adoption, set DeletionPolicy: Retain on it in the template, then remove it from the template."));
    }
    let with = |prefix: &str| tags.keys().any(|key| key.starts_with(prefix));
    if with("services.k8s.aws/") {
        remarks.push("An ACK controller manages the role too. Delete its resource with services.k8s.aws/deletion-policy: retain before adoption.".into());
    }
    if with("crossplane-") {
        remarks.push("Crossplane manages the role too. Delete its resource without the role (deletionPolicy: Orphan) before adoption.".into());
    }
    remarks
}
