//! Lets the role of a deleted resource go, as its policies and the role's ownership allow.

use crate::api::PinpointEventStreamRole;
use crate::iam::ErrorKind;
use crate::policy::PolicyArn;
use crate::role::{self, Deletion, DeletionRequest, Ownership, RoleName, Write};

use super::status::{Progress, Verdict};
use super::{Context, converge, settled};

/// What became of the role of a deleted resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Farewell {
    /// It was deleted.
    Deleted(RoleName),
    /// It stays, without our tags.
    Released(RoleName),
    /// A role of this name stays as it is, whatever it is: the user asked to let the resource go without a look.
    Abandoned(String),
    /// There was nothing of ours to delete.
    Nothing,
}

/// Deletes or releases the role. On `Err` the resource must stay, and the verdict says why.
pub(super) async fn clean_up(
    resource: &PinpointEventStreamRole,
    context: &Context,
    progress: &mut Progress,
) -> Result<Farewell, Verdict> {
    let (Ok(name), Ok(owner)) =
        (role::role_name(resource), role::owner(resource, context.cluster.as_str()))
    else {
        // A name that IAM cannot accept names no role.
        return Ok(Farewell::Nothing);
    };
    progress.role_name = Some(name.to_string());
    if settled::is_abandoned(resource) {
        return Ok(Farewell::Abandoned(name.to_string()));
    }
    let recent = context.own_writes.to(&name);
    let observed = context.iam.observe_for_deletion(&name).await?;
    let is_ours =
        observed.as_ref().is_some_and(|role| Ownership::of(&role.tags, &owner) == Ownership::Ours);
    // To take a role that is not shown yet for one that is gone would leave it behind for ever.
    let may_be_unseen = context.own_writes.may_lack_those_of_an_earlier_process() && !is_ours;
    if may_be_unseen || !recent.are_shown_by_names(observed.as_ref()) {
        return Err(Verdict::NotShownYet);
    }
    let spec = &resource.spec;
    // What is no ARN bounds no role.
    let boundary = spec.permissions_boundary_arn.as_deref().map(PolicyArn::parse);
    let request = DeletionRequest {
        owner: &owner,
        deletion_policy: spec.deletion_policy,
        drift_policy: spec.drift_policy,
        exclusive_policies: spec.exclusive_policies,
        permissions_boundary: boundary.as_ref().and_then(|parsed| parsed.as_ref().ok()),
    };
    let deletion = role::plan_deletion(request, observed.as_ref());
    match deletion {
        Deletion::LeaveAlone => Ok(Farewell::Nothing),
        Deletion::Blocked(by) => Err(Verdict::DeletionBlocked(by)),
        Deletion::Release(writes) => {
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Released(name))
        }
        Deletion::Delete(writes) => {
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Deleted(name))
        }
    }
}

async fn write_all(name: &RoleName, writes: &[Write], context: &Context) -> Result<(), Verdict> {
    let mut boundary_refused = None;
    for write in writes {
        let Err(error) = converge::write(name, write, context).await else { continue };
        // The boundary only makes way for the rest, and may be why the resource is deleted: it names a policy that
        // does not exist, or that the credentials may not set.
        let stays_refused = [ErrorKind::NotFound, ErrorKind::Refused, ErrorKind::AccessDenied]
            .contains(&error.kind);
        if matches!(write, Write::PutRolePermissionsBoundary(_)) && stays_refused {
            boundary_refused = Some(error);
        } else if error.kind == ErrorKind::AccessDenied {
            // With the boundary it may be allowed.
            return Err(boundary_refused.unwrap_or(error).into());
        } else {
            return Err(error.into());
        }
    }
    Ok(())
}
