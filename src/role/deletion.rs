//! What the deletion of a resource does to its role. Only a role whose tags name this very object is ever
//! touched; anything that somebody else put on it stops the deletion instead of being lost with it.

use crate::api::{DeletionPolicy, DriftPolicy};
use crate::policy::{PERMISSIONS_POLICY_NAME, PolicyArn};

use super::observed::ObservedRole;
use super::ownership::{Owner, Ownership, RESERVED_TAG_PREFIX, is_adopted};
use super::plan::{Write, undeclared_policies};

/// What to do with the role of a deleted resource.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// Nothing: there is no role, or it is not this object's, or the resource only reports.
    LeaveAlone,
    /// Take the ownership tags off and keep the role.
    Release(Vec<Write>),
    /// Delete the role.
    Delete(Vec<Write>),
    /// Policies that the resource does not declare are on the role, or instance profiles hold it: each is
    /// named.
    Blocked(Vec<String>),
}

/// What decides over the role of a deleted resource.
#[derive(Clone, Copy, Debug)]
pub struct DeletionRequest<'a> {
    /// How the role's tags name the resource.
    pub owner: &'a Owner,
    /// `spec.deletionPolicy`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// `spec.driftPolicy`.
    pub drift_policy: DriftPolicy,
    /// `spec.exclusivePolicies`.
    pub exclusive_policies: bool,
    /// `spec.permissionsBoundaryArn`.
    pub permissions_boundary: Option<&'a PolicyArn>,
}

/// Decides what the deletion of a resource does to the live role `observed`.
#[must_use]
pub fn plan_deletion(request: DeletionRequest<'_>, observed: Option<&ObservedRole>) -> Deletion {
    let Some(live) =
        observed.filter(|live| Ownership::of(&live.tags, request.owner) == Ownership::Ours)
    else {
        return Deletion::LeaveAlone;
    };
    match request.drift_policy {
        DriftPolicy::Report => return Deletion::LeaveAlone,
        DriftPolicy::Correct => {}
    }
    let default =
        if is_adopted(&live.tags) { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
    match request.deletion_policy.unwrap_or(default) {
        DeletionPolicy::Retain => {
            let ours = live.tags.keys().filter(|key| key.starts_with(RESERVED_TAG_PREFIX));
            Deletion::Release(vec![Write::UntagRole(ours.cloned().collect())])
        }
        DeletionPolicy::Delete => delete(live, request),
    }
}

fn delete(live: &ObservedRole, request: DeletionRequest<'_>) -> Deletion {
    let (removals, blocking) = undeclared_policies(request.exclusive_policies, live);
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
        .contains(PERMISSIONS_POLICY_NAME)
        .then(|| Write::DeleteRolePolicy(PERMISSIONS_POLICY_NAME.into()));
    let writes = boundary
        .into_iter()
        .chain(removals.into_iter().map(|change| change.write))
        .chain(declared)
        .chain([Write::DeleteRole])
        .collect();
    Deletion::Delete(writes)
}
