//! The plan: ordered writes that make the live role match the spec, each with the differences that it repairs.
//! Ownership comes first. The order of the other writes keeps every intermediate state no wider than the role was or
//! will be.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::policy::{Difference, Document, PolicyArn, differences, readable};

use super::action::Action;
use super::declaration::{AdoptionPolicy, Declaration, DesiredRole, InlinePolicy};
use super::observed::{LiveDocument, ObservedRole};
use super::order::{Direction, Directions, Step, order};
use super::ownership::{ADOPTED_TAG, Owner, Ownership, Standing, is_adopted};
use super::tag_key::is_reserved;

/// How many characters of a value, and of a path to it, are shown.
const MAX_VALUE: usize = 600;
const MAX_PATH: usize = 400;
/// How many characters of a text by others a message shows.
const MAX_NAME: usize = 300;

fn shown(text: &str) -> String {
    readable(text, MAX_NAME)
}

/// The parameters of one `CreateRole` call.
#[derive(Clone, Debug)]
pub struct NewRole {
    /// Path of the role.
    pub path: String,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
    /// Permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// All tags, including ownership tags.
    pub tags: BTreeMap<String, String>,
    /// Trust policy.
    pub trust_policy: Document,
}

/// One write to IAM, named after its IAM action.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create the role.
    CreateRole(Box<NewRole>),
    /// Set these tags and leave all others unchanged.
    TagRole(BTreeMap<String, String>),
    /// Remove the tags with these keys.
    UntagRole(BTreeSet<String>),
    /// Set the permissions boundary.
    PutRolePermissionsBoundary(PolicyArn),
    /// Remove the permissions boundary.
    DeleteRolePermissionsBoundary,
    /// Replace the trust policy.
    UpdateAssumeRolePolicy(Document),
    /// Write this inline policy.
    PutRolePolicy(InlinePolicy),
    /// Remove the inline policy of this name.
    DeleteRolePolicy(String),
    /// Detach the managed policy with this ARN.
    DetachRolePolicy(String),
    /// Set description and longest session.
    UpdateRole {
        /// Description; empty for none.
        description: String,
        /// Longest session, in seconds.
        max_session_duration_seconds: i32,
    },
    /// Delete the role.
    DeleteRole,
}

impl Write {
    /// The IAM action of the write.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::CreateRole(_) => Action::CreateRole,
            Self::TagRole(_) => Action::TagRole,
            Self::UntagRole(_) => Action::UntagRole,
            Self::PutRolePermissionsBoundary(_) => Action::PutRolePermissionsBoundary,
            Self::DeleteRolePermissionsBoundary => Action::DeleteRolePermissionsBoundary,
            Self::UpdateAssumeRolePolicy(_) => Action::UpdateAssumeRolePolicy,
            Self::PutRolePolicy(_) => Action::PutRolePolicy,
            Self::DeleteRolePolicy(_) => Action::DeleteRolePolicy,
            Self::DetachRolePolicy(_) => Action::DetachRolePolicy,
            Self::UpdateRole { .. } => Action::UpdateRole,
            Self::DeleteRole => Action::DeleteRole,
        }
    }

    /// Whether this write adopts a role that existed before the resource.
    #[must_use]
    pub fn adopts(&self) -> bool {
        matches!(self, Self::TagRole(tags) if tags.contains_key(ADOPTED_TAG))
    }
}

/// A part of a role, for messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Part {
    /// The whole role.
    Role,
    /// Its tags.
    Tags,
    /// Its permissions boundary.
    #[strum(to_string = "permissions boundary")]
    Boundary,
    /// Who can assume it.
    #[strum(to_string = "trust policy")]
    TrustPolicy,
    /// The inline policy that the resource declares.
    #[strum(to_string = "permissions policy")]
    PermissionsPolicy,
    /// Inline policies that no resource declares.
    #[strum(to_string = "other inline policies")]
    OtherInlinePolicies,
    /// Attached managed policies.
    #[strum(to_string = "attached policies")]
    AttachedPolicies,
    /// Its description and longest session.
    #[strum(to_string = "description and session duration")]
    Settings,
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which part of the role changes.
    pub part: Part,
    /// The write.
    pub write: Write,
    /// The differences between the spec and the live role. Empty for a step that only prepares others, such as removing
    /// the permissions policy temporarily.
    pub differences: Vec<Difference>,
}

/// The writes that lead from the live role to the declared one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The writes, in the order in which they must be made. Empty when the role matches the spec.
    pub changes: Vec<Change>,
    /// Policies on the role that the resource neither declares nor removes.
    pub extra_policies: Vec<Difference>,
}

impl Plan {
    /// Every difference, in the order of the plan.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.changes.iter().flat_map(|change| &change.differences).chain(&self.extra_policies)
    }

    /// Whether the resource does not own the role yet and this plan takes ownership.
    #[must_use]
    pub fn adopts(&self) -> bool {
        self.changes.iter().any(|change| change.write.adopts())
    }

    /// Whether the live trust policy is already equivalent to the declared one.
    #[must_use]
    pub fn trust_policy_synced(&self) -> bool {
        !self.changes.iter().any(|change| matches!(change.part, Part::Role | Part::TrustPolicy))
    }

    /// Whether the live permissions policy is already equivalent to the declared one.
    #[must_use]
    pub fn permissions_policy_synced(&self) -> bool {
        let differs = |c: &Change| c.part == Part::PermissionsPolicy && !c.differences.is_empty();
        !self.changes.iter().any(differs)
    }
}

/// Why a live role must be left unchanged.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// The role has no ownership tags.
    #[error(
        "the IAM role {arn} exists but is not owned by this resource, so it is left unchanged. To adopt it, set spec.adoptionPolicy: Adopt; otherwise create a new resource with another spec.roleName"
    )]
    NotOwned {
        /// ARN of the role.
        arn: String,
    },
    /// The tags name an object of this cluster that no longer exists.
    #[error(
        "the IAM role {arn} was left behind by {} (uid {}), which no longer exists, so it is left unchanged. To adopt it, set spec.adoptionPolicy: Adopt; otherwise create a new resource with another spec.roleName",
        shown(&.owner.description()), shown(&.owner.uid)
    )]
    LeftBehind {
        /// ARN of the role.
        arn: String,
        /// The owner that its tags name.
        owner: Owner,
    },
    /// The tags name another existing object.
    #[error(
        "the IAM role {arn} belongs to {} (uid {}) in this cluster, so it is left unchanged. Create a new resource with another spec.roleName, or delete the other resource first",
        shown(&.owner.description()), shown(&.owner.uid)
    )]
    OwnedByAnother {
        /// ARN of the role.
        arn: String,
        /// The owner that its tags name.
        owner: Owner,
    },
    /// The tags name an object of another cluster.
    #[error(
        "the IAM role {arn} belongs to {} (uid {}) of another cluster ({}), so it is left unchanged. If this cluster replaces that one, set spec.adoptionPolicy: TakeOver; otherwise create a new resource with another spec.roleName",
        shown(&.owner.description()), shown(&.owner.uid), shown(&.owner.cluster)
    )]
    OwnedElsewhere {
        /// ARN of the role.
        arn: String,
        /// The owner that its tags name.
        owner: Owner,
    },
    /// This resource owned the role, and another cluster took it over.
    #[error(
        "the IAM role {arn} was taken over from this resource by {} (uid {}) of another cluster ({}), so it is left unchanged. Delete this resource, which does not affect the role; to get the role back, recreate this resource with adoptionPolicy: TakeOver",
        shown(&.owner.description()), shown(&.owner.uid), shown(&.owner.cluster)
    )]
    TakenOver {
        /// ARN of the role.
        arn: String,
        /// The owner that its tags name.
        owner: Owner,
    },
    /// Another resource declares the same role and takes precedence.
    #[error(
        "{other} {why} and declares the same IAM role, {role} (role names are case-insensitive), so nothing is written. Once {other} is gone, this resource takes the role over automatically; or create a new resource with another spec.roleName"
    )]
    DeclaredByAnother {
        /// Name of the role, as the other resource declares it.
        role: String,
        /// Kind, namespace and name of the other resource.
        other: String,
        /// Why the other resource takes precedence.
        why: Precedence,
    },
    /// The controller runs as this role.
    #[error(
        "{role} is the IAM role that the controller itself runs as, so it is never changed. Create a new resource with another spec.roleName"
    )]
    ControllersOwn {
        /// Name of the role.
        role: String,
    },
    /// The role is linked to an AWS service. Only that service can change it.
    #[error(
        "the IAM role {arn} is a service-linked role, which belongs to an AWS service, so it is never changed. Create a new resource with another spec.roleName"
    )]
    ServiceLinked {
        /// ARN of the role.
        arn: String,
    },
    /// The role's path is not the declared one, and IAM cannot change it.
    #[error(
        "the IAM role {arn} has the path {live}, but spec.path is {desired}, and IAM cannot move a role. Recreate this resource with path: {live}, or delete the role in IAM and it is recreated"
    )]
    PathDiffers {
        /// ARN of the role.
        arn: String,
        /// Path of the live role.
        live: String,
        /// Declared path.
        desired: String,
    },
}

/// Why one of several resources that declare a role takes precedence over another.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
pub enum Precedence {
    /// The role's tags name it.
    #[strum(to_string = "owns the role by its tags")]
    Owns,
    /// It declares the role by its default name, the other one by an explicit name from another namespace.
    #[strum(to_string = "has the role by its default name")]
    DefaultName,
    /// It was created earlier, or in the same second and its name sorts first.
    #[strum(to_string = "was created earlier")]
    CreatedEarlier,
    /// It was just deleted and can be about to be recreated.
    #[strum(to_string = "has just been deleted")]
    JustDeleted,
}

/// The path that IAM reserves for service-linked roles (IAM user guide, "Using service-linked roles").
const SERVICE_LINKED_PATH: &str = "/aws-service-role/";

/// The writes that lead from `observed` (`None`: no such role) to `desired`. `standing` returns whether another object
/// of the same cluster owns the role.
///
/// # Errors
/// When the resource must not change the live role, or when a difference cannot be changed.
pub fn plan(
    desired: &DesiredRole,
    observed: Option<&ObservedRole>,
    standing: impl Fn(&Owner) -> Standing,
) -> Result<Plan, Refusal> {
    let Some(live) = observed else {
        return Ok(creation(desired));
    };
    if live.path.starts_with(SERVICE_LINKED_PATH) {
        return Err(Refusal::ServiceLinked { arn: shown(&live.arn) });
    }
    let claim = claim(desired, live, standing)?;
    let declared = &desired.declaration;
    if live.path != declared.path.as_str() {
        return Err(Refusal::PathDiffers {
            arn: shown(&live.arn),
            live: shown(&live.path),
            desired: declared.path.as_str().into(),
        });
    }

    let policy = &declared.permissions_policy;
    let live_policy = live.inline_policy(&policy.name);
    let (mut removals, extra_policies) =
        undeclared_policies(declared.exclusive_policies, &policy.name, live);
    let (mut boundary, mut trust) = (boundary_change(declared, live), trust_change(declared, live));
    let mut permissions = permissions_change(declared, live);
    let steps = order(&Directions {
        boundary: boundary.as_ref().map_or(Direction::None, |_| boundary_direction(declared, live)),
        other_policies: if removals.is_empty() { Direction::None } else { Direction::Unknown },
        trust_policy: trust.as_ref().map_or(Direction::None, |_| {
            document_direction(&declared.trust_policy, &live.trust_policy)
        }),
        permissions_policy: permissions.as_ref().map_or(Direction::None, |_| {
            live_policy.map_or(Direction::Widens, |live| document_direction(&policy.document, live))
        }),
        has_permissions: live_policy.is_some(),
        has_others: live.has_policies_besides(&policy.name),
    });

    let mut changes = Vec::from_iter(claim);
    for step in steps {
        match step {
            Step::Boundary => changes.extend(boundary.take()),
            Step::OtherPolicies => changes.append(&mut removals),
            Step::TrustPolicy => changes.extend(trust.take()),
            Step::PermissionsOff => changes.push(Change {
                part: Part::PermissionsPolicy,
                write: Write::DeleteRolePolicy(policy.name.clone()),
                differences: Vec::new(),
            }),
            Step::PermissionsPolicy => {
                // Without a difference, the policy was only removed temporarily.
                let back = || put_permissions_policy(policy, Vec::new());
                changes.push(permissions.take().unwrap_or_else(back));
            }
        }
    }
    changes.extend(tag_changes(desired, live));
    changes.extend(settings_change(declared, live));
    Ok(Plan { changes, extra_policies })
}

fn boundary_direction(declared: &Declaration, live: &ObservedRole) -> Direction {
    match (&declared.permissions_boundary, &live.permissions_boundary) {
        (Some(_), None) => Direction::Narrows,
        (None, Some(_)) => Direction::Widens,
        (Some(_), Some(_)) | (None, None) => Direction::Unknown,
    }
}

fn document_direction(declared: &Document, live: &LiveDocument) -> Direction {
    match live {
        LiveDocument::Document(live) if declared.grants_no_more_than(live) => Direction::Narrows,
        LiveDocument::Document(live) if live.grants_no_more_than(declared) => Direction::Widens,
        LiveDocument::Document(_) | LiveDocument::Unreadable(_) => Direction::Unknown,
    }
}

fn creation(desired: &DesiredRole) -> Plan {
    let declared = &desired.declaration;
    let new = NewRole {
        path: declared.path.as_str().into(),
        description: declared.description.clone(),
        max_session_duration_seconds: declared.max_session_duration_seconds,
        permissions_boundary: declared.permissions_boundary.clone(),
        tags: desired.all_tags(),
        trust_policy: declared.trust_policy.clone(),
    };
    let role = Change {
        part: Part::Role,
        write: Write::CreateRole(Box::new(new)),
        differences: vec![difference("role", Some(declared.name.as_str()), None)],
    };
    let policy = &declared.permissions_policy;
    let permissions = put_permissions_policy(policy, permissions_differences(policy, None));
    Plan { changes: vec![role, permissions], extra_policies: Vec::new() }
}

/// The tags that make the resource the owner of this role, if they are missing.
fn claim(
    desired: &DesiredRole,
    live: &ObservedRole,
    standing: impl Fn(&Owner) -> Standing,
) -> Result<Option<Change>, Refusal> {
    let arn = || shown(&live.arn);
    let is_held = desired.held.is(live);
    let (adoption, was_adopted) = (desired.declaration.adoption_policy, desired.held.adopted);
    let adopts = match Ownership::of(&live.tags, &desired.owner, is_held) {
        Ownership::Ours if was_adopted && !is_adopted(&live.tags) => false,
        Ownership::Ours => return Ok(None),
        Ownership::Damaged | Ownership::Predecessors => false,
        Ownership::Foreign => match adoption {
            AdoptionPolicy::Never => return Err(Refusal::NotOwned { arn: arn() }),
            AdoptionPolicy::Adopt | AdoptionPolicy::TakeOver => true,
        },
        Ownership::Anothers(owner) if owner.cluster != desired.owner.cluster => {
            match adoption {
                // Otherwise two clusters with TakeOver would take the role from each other forever.
                AdoptionPolicy::TakeOver if is_held => {
                    return Err(Refusal::TakenOver { arn: arn(), owner });
                }
                AdoptionPolicy::TakeOver => true,
                AdoptionPolicy::Never | AdoptionPolicy::Adopt => {
                    return Err(Refusal::OwnedElsewhere { arn: arn(), owner });
                }
            }
        }
        Ownership::Anothers(owner) => match (standing(&owner), adoption) {
            (Standing::Keeps, _) => return Err(Refusal::OwnedByAnother { arn: arn(), owner }),
            (Standing::Gone, _) if is_held => false,
            (Standing::Gone, AdoptionPolicy::Never) => {
                return Err(Refusal::LeftBehind { arn: arn(), owner });
            }
            (Standing::Gone, AdoptionPolicy::Adopt | AdoptionPolicy::TakeOver) => true,
        },
    };
    let mut tags = desired.owner.tags();
    if adopts || was_adopted && is_held {
        tags.insert(ADOPTED_TAG.into(), "true".into());
    }
    Ok(Some(tag_change(tags, live)))
}

fn boundary_change(declared: &Declaration, live: &ObservedRole) -> Option<Change> {
    let wanted = declared.permissions_boundary.as_ref().map(ToString::to_string);
    if wanted == live.permissions_boundary {
        return None;
    }
    let differences = vec![difference(
        "permissionsBoundaryArn",
        wanted.as_deref(),
        live.permissions_boundary.as_deref(),
    )];
    let write = match &declared.permissions_boundary {
        Some(arn) => Write::PutRolePermissionsBoundary(arn.clone()),
        None => Write::DeleteRolePermissionsBoundary,
    };
    Some(Change { part: Part::Boundary, write, differences })
}

/// The undeclared policies on the role: as writes that remove them, or as a report.
pub(super) fn undeclared_policies(
    exclusive: bool,
    declared: &str,
    live: &ObservedRole,
) -> (Vec<Change>, Vec<Difference>) {
    let others = live.inline_policies.keys().filter(|name| *name != declared);
    let inline = others.map(|name| Change {
        part: Part::OtherInlinePolicies,
        write: Write::DeleteRolePolicy(name.clone()),
        differences: vec![difference(&format!("inlinePolicies[{name}]"), None, Some("present"))],
    });
    let attached = live.attached_policies.iter().map(|arn| Change {
        part: Part::AttachedPolicies,
        write: Write::DetachRolePolicy(arn.clone()),
        differences: vec![difference(&format!("attachedPolicies[{arn}]"), None, Some("attached"))],
    });
    let removals: Vec<_> = inline.chain(attached).collect();
    if exclusive {
        (removals, Vec::new())
    } else {
        (Vec::new(), removals.into_iter().flat_map(|change| change.differences).collect())
    }
}

fn trust_change(declared: &Declaration, live: &ObservedRole) -> Option<Change> {
    let differences =
        document_differences("trustPolicy", &declared.trust_policy, &live.trust_policy);
    let write = Write::UpdateAssumeRolePolicy(declared.trust_policy.clone());
    (!differences.is_empty()).then_some(Change { part: Part::TrustPolicy, write, differences })
}

fn permissions_change(declared: &Declaration, live: &ObservedRole) -> Option<Change> {
    let policy = &declared.permissions_policy;
    let differences = permissions_differences(policy, live.inline_policy(&policy.name));
    (!differences.is_empty()).then(|| put_permissions_policy(policy, differences))
}

fn permissions_differences(policy: &InlinePolicy, live: Option<&LiveDocument>) -> Vec<Difference> {
    let path = "permissionsPolicy";
    match live {
        Some(live) => document_differences(path, &policy.document, live),
        None => vec![difference(path, Some(&policy.name), None)],
    }
}

fn put_permissions_policy(policy: &InlinePolicy, differences: Vec<Difference>) -> Change {
    let write = Write::PutRolePolicy(policy.clone());
    Change { part: Part::PermissionsPolicy, write, differences }
}

/// An unreadable live document counts as different: a needless write is better than a missed difference.
fn document_differences(path: &str, desired: &Document, live: &LiveDocument) -> Vec<Difference> {
    match live {
        LiveDocument::Document(live) => differences(desired, live)
            .into_iter()
            .map(|d| Difference { path: format!("{path}.{}", d.path), ..d })
            .collect(),
        LiveDocument::Unreadable(unreadable) => {
            vec![difference(
                path,
                Some(&desired.to_string()),
                Some(&format!("unreadable: {unreadable}")),
            )]
        }
    }
}

fn tag_changes(desired: &DesiredRole, live: &ObservedRole) -> Vec<Change> {
    let declared = &desired.declaration.tags;
    // IAM ignores the case of tag keys (IAM user guide, "Rules for tagging in IAM").
    let live_by_key: BTreeMap<_, _> =
        live.tags.iter().map(|(key, value)| (key.to_lowercase(), (key, value))).collect();
    let declared_keys: BTreeSet<_> = declared.keys().map(|key| key.to_lowercase()).collect();

    let to_set: BTreeMap<_, _> = declared
        .iter()
        .filter(|(key, value)| {
            live_by_key.get(&key.to_lowercase()).is_none_or(|live| live.1 != *value)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let to_remove: BTreeMap<_, _> = desired
        .held
        .tag_keys
        .iter()
        // The status is not sufficient proof to remove tags that no spec can declare.
        .filter(|key| !is_reserved(key))
        .map(|key| key.to_lowercase())
        .filter(|key| !declared_keys.contains(key))
        .filter_map(|key| live_by_key.get(&key).copied())
        .collect();

    let set = (!to_set.is_empty()).then(|| tag_change(to_set, live));
    let remove = (!to_remove.is_empty()).then(|| Change {
        part: Part::Tags,
        differences: to_remove
            .iter()
            .map(|(key, value)| difference(&format!("tags[{key}]"), None, Some(value)))
            .collect(),
        write: Write::UntagRole(to_remove.into_keys().cloned().collect()),
    });
    set.into_iter().chain(remove).collect()
}

fn tag_change(tags: BTreeMap<String, String>, live: &ObservedRole) -> Change {
    let differences = tags
        .iter()
        .map(|(key, value)| {
            difference(&format!("tags[{key}]"), Some(value), live.tags.get(key).map(String::as_str))
        })
        .collect();
    Change { part: Part::Tags, write: Write::TagRole(tags), differences }
}

fn settings_change(desired: &Declaration, live: &ObservedRole) -> Option<Change> {
    let mut differences = Vec::new();
    if desired.description != live.description {
        let some = |text: &str| !text.is_empty();
        differences.push(difference(
            "description",
            Some(desired.description.as_str()).filter(|text| some(text)),
            Some(live.description.as_str()).filter(|text| some(text)),
        ));
    }
    if desired.max_session_duration_seconds != live.max_session_duration_seconds {
        differences.push(difference(
            "maxSessionDurationSeconds",
            Some(&desired.max_session_duration_seconds.to_string()),
            Some(&live.max_session_duration_seconds.to_string()),
        ));
    }
    let write = Write::UpdateRole {
        description: desired.description.clone(),
        max_session_duration_seconds: desired.max_session_duration_seconds,
    };
    (!differences.is_empty()).then_some(Change { part: Part::Settings, write, differences })
}

/// Both sides can contain text by others: a role's description, names of policies, keys and values of tags.
fn difference(path: &str, desired: Option<&str>, live: Option<&str>) -> Difference {
    let shown = |text: &str| readable(text, MAX_VALUE);
    Difference {
        path: readable(path, MAX_PATH),
        desired: desired.map(shown),
        live: live.map(shown),
    }
}
