//! The effect of a resource's deletion on its role. The controller only changes a role whose tags name this object.
//! Additions by others block the deletion, so that they are not lost with the role.

use crate::policy::PolicyArn;

use super::declaration::{DeletionPolicy, DriftPolicy, Held};
use super::observed::ObservedRole;
use super::ownership::{Owner, Ownership, RESERVED_TAG_PREFIX, is_adopted};
use super::plan::{Write, undeclared_policies};

/// The action on the role of a deleted resource.
#[derive(Clone, Debug)]
pub enum Deletion {
    /// There is no role, or the resource never owned it.
    Nothing,
    /// Leave the role unchanged, for this reason.
    Keep(Kept),
    /// Remove the ownership tags and keep the role.
    Release(Vec<Write>),
    /// Delete the role.
    Delete(Vec<Write>),
    /// The role has policies that the resource does not declare, or is in instance profiles. The list names each of
    /// them.
    Blocked(Vec<String>),
}

/// Why a role is left unchanged after its resource is deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::Display)]
pub enum Kept {
    /// The resource only reports.
    #[strum(to_string = "spec.driftPolicy is Report; its ownership tags are still on it")]
    ReportOnly,
    /// The resource held the role, and its tags now name another owner.
    #[strum(to_string = "its ownership tags now name another owner")]
    OwnedByAnother,
}

/// The input of the decision about the role of a deleted resource.
#[derive(Clone, Copy, Debug)]
pub struct DeletionRequest<'a> {
    /// The resource as the role's tags name it.
    pub owner: &'a Owner,
    /// The state of the role as the status records it.
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

/// Decides what the deletion of a resource does to the live role `observed`. A role of an earlier object of the same
/// namespace and name counts as the resource's own.
#[must_use]
pub fn plan_deletion(request: DeletionRequest<'_>, observed: Option<&ObservedRole>) -> Deletion {
    let Some(live) = observed else {
        return Deletion::Nothing;
    };
    let is_held = request.held.is(live);
    let restored = match Ownership::of(&live.tags, request.owner, is_held) {
        Ownership::Ours | Ownership::Predecessors => None,
        // The tags alone permit the rest.
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
    // Where IAM requires the boundary on every role, a role without it can be neither emptied nor deleted.
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
