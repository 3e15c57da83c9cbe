//! What the deletion of a resource does to its role. Only a role whose tags name this very object is ever
//! touched; anything that somebody else put on it stops the deletion instead of being lost with it.

use crate::api::{DeletionPolicy, DriftPolicy};
use crate::policy::PERMISSIONS_POLICY_NAME;

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

/// Decides what the deletion of the resource `owner` does to the live role `observed`.
#[must_use]
pub fn plan_deletion(
    owner: &Owner,
    observed: Option<&ObservedRole>,
    deletion_policy: Option<DeletionPolicy>,
    drift_policy: DriftPolicy,
    exclusive_policies: bool,
) -> Deletion {
    let Some(live) = observed.filter(|live| Ownership::of(&live.tags, owner) == Ownership::Ours)
    else {
        return Deletion::LeaveAlone;
    };
    match drift_policy {
        DriftPolicy::Report => return Deletion::LeaveAlone,
        DriftPolicy::Correct => {}
    }
    let default =
        if is_adopted(&live.tags) { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
    match deletion_policy.unwrap_or(default) {
        DeletionPolicy::Retain => {
            let ours = live.tags.keys().filter(|key| key.starts_with(RESERVED_TAG_PREFIX));
            Deletion::Release(vec![Write::UntagRole(ours.cloned().collect())])
        }
        DeletionPolicy::Delete => delete(live, exclusive_policies),
    }
}

fn delete(live: &ObservedRole, exclusive_policies: bool) -> Deletion {
    let (removals, blocking) = undeclared_policies(exclusive_policies, live);
    let profiles = live.instance_profiles.iter().map(|name| format!("instanceProfiles[{name}]"));
    let blocking: Vec<_> =
        blocking.into_iter().map(|difference| difference.path).chain(profiles).collect();
    if !blocking.is_empty() {
        return Deletion::Blocked(blocking);
    }
    let declared = live
        .inline_policies
        .contains(PERMISSIONS_POLICY_NAME)
        .then(|| Write::DeleteRolePolicy(PERMISSIONS_POLICY_NAME.into()));
    let writes = removals
        .into_iter()
        .map(|change| change.write)
        .chain(declared)
        .chain([Write::DeleteRole])
        .collect();
    Deletion::Delete(writes)
}
