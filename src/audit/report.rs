//! The roles in scope and their findings.

use std::cmp::Reverse;

use jiff::civil::Date;

use crate::policy::readable;
use crate::role::{LiveDocument, ObservedRole, Owner, ResourceName};
use crate::service::{FIRST_KIND, SERVICES, Service};

use super::context::{Context, Observation};
use super::finding::Finding;
use super::manager::{Manager, manager};
use super::permissions::{self, Permissions};
use super::rule::{Rule, Severity};
use super::trust::{self, Purpose, Trust, day};

/// The path that IAM reserves for service-linked roles (IAM user guide, "Using service-linked roles").
const SERVICE_LINKED_PATH: &str = "/aws-service-role/";

/// After how many days without use a role counts as unused.
const UNUSED_DAYS: i64 = 90;

/// How many characters of a name are shown.
const MAX_NAME: usize = 200;

/// A role that a service of the table can assume.
#[derive(Clone, Debug)]
pub struct AuditedRole {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The services of the table that can assume it.
    pub services: Vec<&'static Service>,
    /// Everyone else who can.
    pub others: Vec<String>,
    /// The destinations that its inline policies name, shortened for people.
    pub destinations: Vec<String>,
    /// Whether it writes to a destination of the table.
    pub is_stream: bool,
    /// Who manages it, as far as its tags and path show.
    pub manager: Option<Manager>,
    /// The day of its last use, if IAM shows one.
    pub last_used: Option<Date>,
    /// The number of attached policies, whose documents were not read.
    pub attached_policies: usize,
}

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The number of roles that were checked for a trust in a service of the table.
    pub roles_read: usize,
    /// The roles that a service of the table can assume.
    pub roles: Vec<AuditedRole>,
    /// The findings.
    pub findings: Vec<Finding>,
}

/// Audits roles on this day: the name of each, and the role as IAM shows it.
pub fn audit<'a>(
    roles: impl IntoIterator<Item = (&'a str, &'a ObservedRole)>,
    today: Date,
) -> Report {
    let mut report = Report::default();
    for (name, role) in roles {
        report.add(name, role, today);
    }
    report.sort();
    report
}

impl Report {
    /// Adds a role, if a service of the table can assume it. Keeps nothing of the role but what the report shows.
    pub fn add(&mut self, name: &str, role: &ObservedRole, today: Date) {
        self.roles_read += 1;
        // Only its service can change a service-linked role.
        if role.path.starts_with(SERVICE_LINKED_PATH) {
            return;
        }
        let mut context = Context::new(name, role, today);
        let document = match &role.trust_policy {
            LiveDocument::Document(document) => document.to_value(),
            LiveDocument::Unreadable(error) => {
                let message = format!(
                    "IAM returned a trust policy that cannot be read, so it is unknown who can assume the role: {error}."
                );
                let path = "AssumeRolePolicyDocument";
                context.add(Observation::of(
                    Rule::UnreadableDocument,
                    path,
                    "",
                    readable(&message, 400),
                ));
                self.findings.append(&mut context.findings);
                return;
            }
        };
        let trust = Trust::read(&document);
        if trust.trusted.is_empty() {
            return;
        }
        let services = trust.services();
        let documents = permissions::documents(&mut context);
        let permissions = Permissions::read(&context, &documents);
        let purpose = Purpose {
            is_stream: permissions.is_stream(&services),
            regions: permissions.regions(context.place.as_ref().map(|place| place.partition)),
        };
        trust::check(&mut context, &trust, &purpose);
        permissions::check(&mut context, &permissions, &trust, purpose.is_stream);
        extra_policies(&mut context);
        path(&mut context, &services);
        unused(&mut context);
        self.findings.append(&mut context.findings);
        self.roles.push(AuditedRole {
            name: readable(name, MAX_NAME),
            arn: readable(&role.arn, MAX_NAME),
            others: trust.others.iter().cloned().collect(),
            destinations: permissions.destinations().into_iter().map(|(label, _)| label).collect(),
            is_stream: purpose.is_stream,
            manager: manager(role),
            last_used: role.last_used.map(day),
            attached_policies: role.attached_policies.len(),
            services,
        });
    }

    /// Sorts the roles by name, and the findings by severity, role and rule.
    pub fn sort(&mut self) {
        self.roles.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.arn.cmp(&b.arn)));
        self.findings.sort_by(|a, b| {
            let key = |finding: &Finding| (Reverse(finding.severity), finding.rule);
            key(a)
                .0
                .cmp(&key(b).0)
                .then_with(|| a.role.cmp(&b.role))
                .then_with(|| key(a).1.cmp(&key(b).1))
                .then_with(|| a.path.cmp(&b.path))
        });
    }

    /// The most severe finding of a role that no one accepted.
    #[must_use]
    pub fn worst_of(&self, arn: &str) -> Option<Severity> {
        let own = self.findings.iter().filter(|finding| finding.arn == arn);
        own.filter(|finding| finding.accepted.is_none()).map(|finding| finding.severity).max()
    }

    /// What the audit did not check, one line each.
    #[must_use]
    pub fn unseen(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let attached = self.roles.iter().filter(|role| role.attached_policies > 0).count();
        if attached > 0 {
            lines.push(format!(
                "the documents of attached policies ({attached} roles have some; read them with iam:GetPolicyVersion)"
            ));
        }
        if !self.roles.is_empty() {
            lines.push("whether the sources and destinations exist".to_owned());
            lines.push(
                "whether a destination has a customer managed key; only roles that name a key are checked for it"
                    .to_owned(),
            );
        }
        lines
    }
}

/// Inline policies that the resource, which the tags name, does not declare.
fn extra_policies(context: &mut Context<'_>) {
    let Some(owner) = Owner::of(&context.role.tags) else { return };
    let Some(resource) = ResourceName::of_tag(&owner.resource) else { return };
    let declares =
        |service: &&&'static Service| service.ended.is_some() == (resource.kind == FIRST_KIND);
    let own = SERVICES.iter().find(declares).map_or("", |service| service.policy_name);
    let extra: Vec<_> =
        context.role.inline_policies.keys().filter(|name| *name != own).cloned().collect();
    if !extra.is_empty() {
        let message = format!(
            "{} declares only the policy {own}.",
            readable(&resource.to_string(), MAX_NAME)
        );
        let rule = Rule::ExtraPolicies;
        context.add(Observation::of(rule, "RolePolicyList", &extra.join(", "), message));
    }
}

fn path(context: &mut Context<'_>, services: &[&'static Service]) {
    let live = context.role.path.clone();
    for service in services {
        if !service.takes_path && live != "/" {
            let message = format!("{} rejects a role with a path.", service.name);
            context.add(
                Observation::of(Rule::PathRejected, "Path", &live, message).source(service.page),
            );
        }
    }
}

fn unused(context: &mut Context<'_>) {
    let Some(used) = context.role.last_used.map(day) else { return };
    let days = (context.today - used).get_days();
    if i64::from(days) > UNUSED_DAYS {
        let message = format!("The role was last used on {used}, {days} days ago.");
        context.add(Observation::of(
            Rule::UnusedRole,
            "RoleLastUsed.LastUsedDate",
            &used.to_string(),
            message,
        ));
    }
}
