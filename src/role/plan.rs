//! The plan: ordered writes that make the live role equal to the declared one, each with the differences
//! that it settles. The order keeps every moment in between no wider than the role was or will be:
//! ownership first, then what restricts (boundary, removals), trust before permissions, and a boundary
//! goes only after the permissions that it bounded.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::api::AdoptionPolicy;
use crate::policy::{Difference, Document, PERMISSIONS_POLICY_NAME, PolicyArn, differences};

use super::desired::DesiredRole;
use super::observed::ObservedRole;
use super::ownership::{ADOPTED_TAG, Owner, Ownership};

/// All that one `CreateRole` call takes.
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
    /// All tags, those of ownership included.
    pub tags: BTreeMap<String, String>,
    /// Trust policy.
    pub trust_policy: Document,
}

/// One write to IAM, named as the IAM action that makes it.
#[derive(Clone, Debug)]
pub enum Write {
    /// Create the role.
    CreateRole(Box<NewRole>),
    /// Set these tags and leave all others.
    TagRole(BTreeMap<String, String>),
    /// Remove the tags with these keys.
    UntagRole(BTreeSet<String>),
    /// Set the permissions boundary.
    PutRolePermissionsBoundary(PolicyArn),
    /// Remove the permissions boundary.
    DeleteRolePermissionsBoundary,
    /// Replace the trust policy.
    UpdateAssumeRolePolicy(Document),
    /// Write the inline policy of the name [`PERMISSIONS_POLICY_NAME`].
    PutRolePolicy(Document),
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
    /// The part of the role that is written, in a reader's words.
    #[must_use]
    pub const fn part(&self) -> &'static str {
        match self {
            Self::CreateRole(_) | Self::DeleteRole => "role",
            Self::TagRole(_) | Self::UntagRole(_) => "tags",
            Self::PutRolePermissionsBoundary(_) | Self::DeleteRolePermissionsBoundary => {
                "permissions boundary"
            }
            Self::UpdateAssumeRolePolicy(_) => "trust policy",
            Self::PutRolePolicy(_) => "permissions policy",
            Self::DeleteRolePolicy(_) => "other inline policies",
            Self::DetachRolePolicy(_) => "attached policies",
            Self::UpdateRole { .. } => "description and session duration",
        }
    }
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is written.
    pub write: Write,
    /// Why: what differs between the declaration and the live role.
    pub differences: Vec<Difference>,
}

/// What leads from the live role to the declared one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The writes, in the order in which they must be made. Empty when the role is as declared.
    pub changes: Vec<Change>,
    /// Policies on the role that the resource does not declare and does not ask to remove.
    pub extra_policies: Vec<Difference>,
}

impl Plan {
    /// Every difference, in the order of the plan.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.changes.iter().flat_map(|change| &change.differences).chain(&self.extra_policies)
    }

    /// Whether the live trust policy is already equivalent to the declared one.
    #[must_use]
    pub fn trust_policy_synced(&self) -> bool {
        !self.changes.iter().any(|change| {
            matches!(change.write, Write::CreateRole(_) | Write::UpdateAssumeRolePolicy(_))
        })
    }

    /// Whether the live permissions policy is already equivalent to the declared one.
    #[must_use]
    pub fn permissions_policy_synced(&self) -> bool {
        !self.changes.iter().any(|change| matches!(change.write, Write::PutRolePolicy(_)))
    }
}

/// Why a live role must be left as it is.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Refusal {
    /// Nobody's tags are on the role.
    #[error(
        "the IAM role {arn} exists and was not created for this resource, so it is left alone. To take it over, set spec.adoptionPolicy: Adopt; otherwise choose another spec.roleName in a new resource"
    )]
    NotOwned {
        /// ARN of the role.
        arn: String,
    },
    /// Another object's tags are on the role.
    #[error(
        "the IAM role {arn} belongs to PinpointEventStreamRole {} (uid {}) of the cluster {}, so it is left alone. Choose another spec.roleName in a new resource, or delete the other resource first",
        .owner.resource, .owner.uid, .owner.cluster
    )]
    OwnedByAnother {
        /// ARN of the role.
        arn: String,
        /// Whom its tags name.
        owner: Owner,
    },
    /// The role's path is not the declared one, and IAM cannot change it.
    #[error(
        "the IAM role {arn} has the path {live}, but spec.path is {desired}, and IAM cannot move a role. Recreate this resource with path: {live}, or delete the role in IAM and it is created anew"
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

/// The writes that lead from `observed` (`None`: no such role) to `desired`.
///
/// # Errors
/// When the live role is not the resource's to change, or differs in what cannot be changed.
pub fn plan(desired: &DesiredRole, observed: Option<&ObservedRole>) -> Result<Plan, Refusal> {
    let Some(live) = observed else {
        return Ok(creation(desired));
    };
    let claim = claim(desired, live)?;
    if live.path != desired.path.as_str() {
        return Err(Refusal::PathDiffers {
            arn: live.arn.clone(),
            live: live.path.clone(),
            desired: desired.path.as_str().into(),
        });
    }

    let (boundary_before, boundary_after) = boundary(desired, live);
    let (removals, extra_policies) = undeclared_policies(desired.exclusive_policies, live);
    let changes = claim
        .into_iter()
        .chain(boundary_before)
        .chain(removals)
        .chain(trust_policy(desired, live))
        .chain(permissions_policy(desired, live))
        .chain(boundary_after)
        .chain(tags(desired, live))
        .chain(settings(desired, live))
        .collect();
    Ok(Plan { changes, extra_policies })
}

fn creation(desired: &DesiredRole) -> Plan {
    let new = NewRole {
        path: desired.path.as_str().into(),
        description: desired.description.clone(),
        max_session_duration_seconds: desired.max_session_duration_seconds,
        permissions_boundary: desired.permissions_boundary.clone(),
        tags: desired.all_tags(),
        trust_policy: desired.trust_policy.clone(),
    };
    let role = Change {
        write: Write::CreateRole(Box::new(new)),
        differences: vec![difference("role", Some(desired.name.as_str()), None)],
    };
    Plan { changes: vec![role, put_permissions_policy(desired, None)], extra_policies: Vec::new() }
}

fn claim(desired: &DesiredRole, live: &ObservedRole) -> Result<Option<Change>, Refusal> {
    let mut tags = desired.owner.tags();
    match Ownership::of(&live.tags, &desired.owner) {
        Ownership::Ours => return Ok(None),
        Ownership::Predecessors => {}
        Ownership::Foreign => match desired.adoption_policy {
            AdoptionPolicy::Never => return Err(Refusal::NotOwned { arn: live.arn.clone() }),
            AdoptionPolicy::Adopt => {
                tags.insert(ADOPTED_TAG.into(), "true".into());
            }
        },
        Ownership::Anothers(owner) => {
            return Err(Refusal::OwnedByAnother { arn: live.arn.clone(), owner });
        }
    }
    Ok(Some(tag_change(tags, live)))
}

fn boundary(desired: &DesiredRole, live: &ObservedRole) -> (Option<Change>, Option<Change>) {
    let declared = desired.permissions_boundary.as_ref().map(ToString::to_string);
    if declared == live.permissions_boundary {
        return (None, None);
    }
    let differences = vec![difference(
        "permissionsBoundaryArn",
        declared.as_deref(),
        live.permissions_boundary.as_deref(),
    )];
    match &desired.permissions_boundary {
        Some(arn) => {
            let write = Write::PutRolePermissionsBoundary(arn.clone());
            (Some(Change { write, differences }), None)
        }
        None => (None, Some(Change { write: Write::DeleteRolePermissionsBoundary, differences })),
    }
}

/// What is on the role besides the declared policy: as writes that remove it, or as a report.
pub(super) fn undeclared_policies(
    exclusive: bool,
    live: &ObservedRole,
) -> (Vec<Change>, Vec<Difference>) {
    let inline =
        live.inline_policies.iter().filter(|name| *name != PERMISSIONS_POLICY_NAME).map(|name| {
            Change {
                write: Write::DeleteRolePolicy(name.clone()),
                differences: vec![difference(
                    &format!("inlinePolicies[{name}]"),
                    None,
                    Some("present"),
                )],
            }
        });
    let attached = live.attached_policies.iter().map(|arn| Change {
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

fn trust_policy(desired: &DesiredRole, live: &ObservedRole) -> Option<Change> {
    let differences =
        document_differences("trustPolicy", &desired.trust_policy, &live.trust_policy);
    let write = Write::UpdateAssumeRolePolicy(desired.trust_policy.clone());
    (!differences.is_empty()).then_some(Change { write, differences })
}

fn permissions_policy(desired: &DesiredRole, live: &ObservedRole) -> Option<Change> {
    let change = put_permissions_policy(desired, live.permissions_policy.as_deref());
    (!change.differences.is_empty()).then_some(change)
}

fn put_permissions_policy(desired: &DesiredRole, live: Option<&str>) -> Change {
    let path = "permissionsPolicy";
    let differences = match live {
        Some(live) => document_differences(path, &desired.permissions_policy, live),
        None => vec![difference(path, Some(PERMISSIONS_POLICY_NAME), None)],
    };
    Change { write: Write::PutRolePolicy(desired.permissions_policy.clone()), differences }
}

/// A live document that cannot be read differs: a needless write is better than blindness.
fn document_differences(path: &str, desired: &Document, live: &str) -> Vec<Difference> {
    match Document::parse(live) {
        Ok(live) => differences(desired, &live)
            .into_iter()
            .map(|d| Difference { path: format!("{path}.{}", d.path), ..d })
            .collect(),
        Err(unreadable) => {
            vec![difference(
                path,
                Some(&desired.to_string()),
                Some(&format!("unreadable: {unreadable}")),
            )]
        }
    }
}

fn tags(desired: &DesiredRole, live: &ObservedRole) -> Vec<Change> {
    // IAM does not tell tag keys apart by case (IAM user guide, "Rules for tagging in IAM").
    let live_by_key: BTreeMap<_, _> =
        live.tags.iter().map(|(key, value)| (key.to_lowercase(), (key, value))).collect();
    let declared_keys: BTreeSet<_> = desired.tags.keys().map(|key| key.to_lowercase()).collect();

    let to_set: BTreeMap<_, _> = desired
        .tags
        .iter()
        .filter(|(key, value)| {
            live_by_key.get(&key.to_lowercase()).is_none_or(|live| live.1 != *value)
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let to_remove: BTreeMap<_, _> = desired
        .former_tag_keys
        .iter()
        .map(|key| key.to_lowercase())
        .filter(|key| !declared_keys.contains(key))
        .filter_map(|key| live_by_key.get(&key).copied())
        .collect();

    let set = (!to_set.is_empty()).then(|| tag_change(to_set, live));
    let remove = (!to_remove.is_empty()).then(|| Change {
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
    Change { write: Write::TagRole(tags), differences }
}

fn settings(desired: &DesiredRole, live: &ObservedRole) -> Option<Change> {
    let mut differences = Vec::new();
    if desired.description != live.description {
        let text = |s: &str| (!s.is_empty()).then(|| s.to_owned());
        differences.push(Difference {
            path: "description".into(),
            desired: text(&desired.description),
            live: text(&live.description),
        });
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
    (!differences.is_empty()).then_some(Change { write, differences })
}

fn difference(path: &str, desired: Option<&str>, live: Option<&str>) -> Difference {
    Difference { path: path.into(), desired: desired.map(Into::into), live: live.map(Into::into) }
}
