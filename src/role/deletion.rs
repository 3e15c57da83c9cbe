//! What the deletion of a resource does to its role. Only a role whose tags name this very object is ever
//! touched; anything that somebody else put on it stops the deletion instead of being lost with it.

use crate::policy::PolicyArn;

use super::declaration::{DeletionPolicy, DriftPolicy, Held};
use super::observed::ObservedRole;
use super::ownership::{Owner, Ownership, RESERVED_TAG_PREFIX, is_adopted};
use super::plan::{Write, undeclared_policies};

/// What to do with the role of a deleted resource.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// There is no role, or it never was this resource's.
    Nothing,
    /// The role stays as it is, for this reason.
    Keep(Kept),
    /// Take the ownership tags off and keep the role.
    Release(Vec<Write>),
    /// Delete the role.
    Delete(Vec<Write>),
    /// Policies that the resource does not declare are on the role, or instance profiles hold it: each is
    /// named.
    Blocked(Vec<String>),
}

/// Why a role outlives its resource as it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
pub enum Kept {
    /// The resource only reports.
    #[strum(to_string = "spec.driftPolicy is Report; its ownership tags are still on it")]
    ReportOnly,
    /// The resource held the role, and its tags now name another owner.
    #[strum(to_string = "its ownership tags now name another owner")]
    OwnedByAnother,
}

/// What decides over the role of a deleted resource.
#[derive(Clone, Copy, Debug)]
pub struct DeletionRequest<'a> {
    /// How the role's tags name the resource.
    pub owner: &'a Owner,
    /// What its status remembers.
    pub held: &'a Held,
    /// Name of the inline policy that the resource declares.
    pub permissions_policy: &'a str,
    /// `spec.deletionPolicy`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// `spec.driftPolicy`.
    pub drift_policy: DriftPolicy,
    /// `spec.exclusivePolicies`.
    pub exclusive_policies: bool,
    /// `spec.permissionsBoundaryArn`.
    pub permissions_boundary: Option<&'a PolicyArn>,
}

/// Decides what the deletion of a resource does to the live role `observed`. The role of an earlier object of the same
/// namespace and name is treated as the resource's own.
#[must_use]
pub fn plan_deletion(request: DeletionRequest<'_>, observed: Option<&ObservedRole>) -> Deletion {
    let Some(live) = observed else {
        return Deletion::Nothing;
    };
    let is_held = request.held.is(live);
    let restored = match Ownership::of(&live.tags, request.owner, is_held) {
        Ownership::Ours | Ownership::Predecessors => None,
        // What follows is allowed by the tags alone.
        Ownership::Damaged => Some(Write::TagRole(request.owner.tags())),
        Ownership::Anothers(_) if is_held => return Deletion::Keep(Kept::OwnedByAnother),
        Ownership::Foreign | Ownership::Anothers(_) => return Deletion::Nothing,
    };
    match request.drift_policy {
        DriftPolicy::Report => return Deletion::Keep(Kept::ReportOnly),
        DriftPolicy::Correct => {}
    }
    let adopted = is_adopted(&live.tags) || is_held && request.held.adopted;
    let default = if adopted { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
    match request.deletion_policy.unwrap_or(default) {
        DeletionPolicy::Retain => {
            let is_ours = |key: &&String| key.to_lowercase().starts_with(RESERVED_TAG_PREFIX);
            let on_it = live.tags.keys().filter(is_ours).cloned();
            let keys = on_it.chain(restored.iter().flat_map(|_| request.owner.tags().into_keys()));
            let untag = Write::UntagRole(keys.collect());
            Deletion::Release(restored.clone().into_iter().chain([untag]).collect())
        }
        DeletionPolicy::Delete => match delete(live, request) {
            Deletion::Delete(writes) => {
                Deletion::Delete(restored.into_iter().chain(writes).collect())
            }
            other => other,
        },
    }
}

fn delete(live: &ObservedRole, request: DeletionRequest<'_>) -> Deletion {
    let (removals, blocking) =
        undeclared_policies(request.exclusive_policies, request.permissions_policy, live);
    let profiles = live.instance_profiles.iter().map(|name| format!("instanceProfiles[{name}]"));
    let blocking: Vec<_> =
        blocking.into_iter().map(|difference| difference.path).chain(profiles).collect();
    if !blocking.is_empty() {
        return Deletion::Blocked(blocking);
    }
    // Where IAM demands the boundary of every role, a role without it can be neither emptied nor deleted.
    let boundary = request
        .permissions_boundary
        .filter(|declared| live.permissions_boundary != Some(declared.to_string()))
        .map(|declared| Write::PutRolePermissionsBoundary(declared.clone()));
    let declared = live
        .inline_policies
        .contains_key(request.permissions_policy)
        .then(|| Write::DeleteRolePolicy(request.permissions_policy.into()));
    let writes = boundary
        .into_iter()
        .chain(removals.into_iter().map(|change| change.write))
        .chain(declared)
        .chain([Write::DeleteRole])
        .collect();
    Deletion::Delete(writes)
}
