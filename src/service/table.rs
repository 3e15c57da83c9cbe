//! What the entry of a service holds.

use std::fmt;

use crate::policy::{Partition, Region};

use super::destination::DestinationKind;

/// The entry of a service.
#[derive(Debug)]
pub struct Service {
    /// The field below `spec.source` that names the service.
    pub key: &'static str,
    /// The name of the service as AWS writes it.
    pub name: &'static str,
    /// Name of the inline policy with the role's permissions.
    pub policy_name: &'static str,
    /// The service principal that assumes the role.
    pub principal: Principal,
    /// The sources on whose behalf the service uses the role.
    pub source: SourceForm,
    /// The confused-deputy conditions that AWS documents for the trust policy.
    pub conditions: Conditions,
    /// How sure the trust policy is.
    pub certainty: Certainty,
    /// AWS's page with the trust policy.
    pub page: &'static str,
    /// The destinations that the service writes to.
    pub targets: &'static [Target],
    /// What works instead of each other destination.
    pub instead: &'static [(DestinationKind, &'static str)],
    /// Whether the source must be in the Region of the destination.
    pub same_region: bool,
    /// The partitions that have the service (`endpoints.json` of the AWS SDKs, 2026-08-07).
    pub partitions: &'static [Partition],
    /// Whether the service accepts a role with a path.
    pub takes_path: bool,
    /// Who needs `iam:PassRole` to attach the role.
    pub pass_role: &'static str,
    /// Where the declared documents differ from the page on purpose.
    pub differences: &'static [Difference],
    /// The day on which the support of the service ended, as in `2026-10-30`.
    pub ended: Option<&'static str>,
}

/// The values of most entries. An entry replaces what it knows better.
pub(super) const USUAL: Service = Service {
    key: "",
    name: "",
    policy_name: "EventStreamPermissionsPolicy",
    principal: Principal::Global(""),
    source: SourceForm { namespace: "", resource: "", fields: &[] },
    conditions: Conditions::Undocumented,
    certainty: Certainty::Documented,
    page: "",
    targets: &[],
    instead: &[],
    same_region: false,
    partitions: &Partition::ALL,
    takes_path: true,
    pass_role: "The caller needs `iam:PassRole` on the role.",
    differences: &[],
    ended: None,
};

/// The service principal of a service.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Principal {
    /// The same in every Region and partition.
    Global(&'static str),
    /// `<service>.<region>.<suffix of the partition>`.
    Regional(&'static str),
}

impl Principal {
    /// The principal for sources in this Region.
    #[must_use]
    pub fn in_region(self, region: &Region) -> String {
        match self {
            Self::Global(principal) => principal.to_owned(),
            Self::Regional(service) => {
                format!("{service}.{region}.{}", region.partition().dns_suffix())
            }
        }
    }

    /// The Region that a regional form of the principal names: `service.region.suffix`. IAM accepts it from services
    /// whose principal is global, too.
    pub(super) fn region_in(self, principal: &str) -> Option<Region> {
        let service = match self {
            Self::Global(global) => global.split('.').next()?,
            Self::Regional(service) => service,
        };
        let (region, suffix) =
            principal.strip_prefix(service)?.strip_prefix('.')?.split_once('.')?;
        let region = Region::parse(region).ok()?;
        [region.partition().dns_suffix(), "amazonaws.com"].contains(&suffix).then_some(region)
    }
}

/// The form of the ARNs that a service sends as `aws:SourceArn`:
/// `arn:<partition>:<namespace>:<region>:<account>:<resource><name>`.
#[derive(Clone, Copy, Debug)]
pub struct SourceForm {
    /// The service's namespace.
    pub namespace: &'static str,
    /// The resource before the name.
    pub resource: &'static str,
    /// The fields that make the name, joined by slashes. Without fields, the name is always `*`.
    pub fields: &'static [SourceField],
}

/// One field below `spec.source.<service>`.
#[derive(Clone, Copy, Debug)]
pub struct SourceField {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a sentence, with its article.
    pub what: &'static str,
    /// The accepted characters, as in a regular expression between brackets.
    pub characters: &'static str,
    /// The fewest and the most characters.
    pub length: (usize, usize),
    /// The value of an absent field, which the ARN omits. A field without one is required and can be `*`.
    pub default: Option<&'static str>,
    /// A value for examples.
    pub example: &'static str,
}

impl SourceField {
    /// The regular expression, without anchors, for a name.
    #[must_use]
    pub fn pattern(&self) -> String {
        let (shortest, longest) = self.length;
        format!("[{}]{{{shortest},{longest}}}", self.characters)
    }

    /// Whether `name` matches [`Self::pattern`].
    pub(super) fn accepts(&self, name: &str) -> bool {
        let (shortest, longest) = self.length;
        (shortest..=longest).contains(&name.len())
            && name.bytes().all(|byte| is_in(self.characters.as_bytes(), byte))
    }
}

/// Whether the characters of a bracket expression, such as `a-z_-`, contain `byte`. A dash at the end is itself.
fn is_in(characters: &[u8], byte: u8) -> bool {
    match characters {
        [first, b'-', last, rest @ ..] => (*first..=*last).contains(&byte) || is_in(rest, byte),
        [only, rest @ ..] => *only == byte || is_in(rest, byte),
        [] => false,
    }
}

/// The confused-deputy conditions of a trust policy (IAM user guide, "The confused deputy problem").
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conditions {
    /// `StringEquals` on `aws:SourceAccount`, and `ArnLike` on `aws:SourceArn`.
    AccountAndArn,
    /// Only `StringLike` on `aws:SourceArn`.
    ArnOnly,
    /// AWS documents none, so whether the service sends the keys is unknown: with conditions, the role might not work.
    Undocumented,
}

/// Where a fact comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certainty {
    /// AWS's page has it.
    Documented,
    /// An acceptance test or an example of AWS or Terraform has it, and AWS's page does not.
    Tested,
    /// It follows from other facts; no source has it.
    Inferred,
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Documented => "documented by AWS",
            Self::Tested => "used in tests or examples of AWS or Terraform, not on AWS's page",
            Self::Inferred => "inferred, not on AWS's page",
        })
    }
}

/// A kind of destination that a service writes to.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The kind.
    pub kind: DestinationKind,
    /// The actions that the service needs on the destination.
    pub actions: &'static [&'static str],
    /// How sure the actions are.
    pub certainty: Certainty,
    /// AWS's page with the permissions.
    pub page: &'static str,
    /// The command that attaches the role, with `{role}` and `{destination}` for the ARNs, `{destinationName}`, and
    /// the fields of the source.
    pub attach: &'static str,
}

/// A difference from AWS's page that is on purpose.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    /// The destination; `None` for the trust policy.
    pub target: Option<DestinationKind>,
    /// What differs, and why.
    pub reason: &'static str,
}

impl Service {
    /// How the service writes to destinations of this kind.
    #[must_use]
    pub fn target(&self, kind: DestinationKind) -> Option<&'static Target> {
        self.targets.iter().find(|target| target.kind == kind)
    }

    /// Why the service does not write to destinations of this kind, and what works instead; `None` when it does.
    #[must_use]
    pub fn refusal(&self, kind: DestinationKind) -> Option<String> {
        if self.target(kind).is_some() {
            return None;
        }
        let works: Vec<_> = self.targets.iter().map(|target| target.kind.noun()).collect();
        let instead = self.instead.iter().find(|(refused, _)| *refused == kind);
        let remedy = instead.map_or("name such a destination", |(_, instead)| instead);
        let (name, works) = (self.name, works.join(" or "));
        Some(format!("{name} writes to {works}, not to {}: {remedy}", kind.noun()))
    }
}
