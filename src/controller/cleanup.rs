//! Lets the role of a deleted resource go, as its policies and the role's ownership allow.

use crate::api::{PinpointEventStreamRole, Reason};
use crate::iam::ErrorKind;
use crate::policy::{Place, PolicyArn};
use crate::role::{self, Deletion, DeletionRequest, Kept, RoleName, Write};

use super::status::{Progress, Verdict, Writer};
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
    /// It stays as it is, for this reason.
    Kept(RoleName, Kept),
    /// It stays as it is, because others took the finalizer off.
    LeftBehind(String),
    /// There was nothing of ours to delete.
    Nothing,
}

/// Deletes or releases the role. On `Err` the resource must stay, and the verdict says why.
pub(super) async fn clean_up(
    resource: &PinpointEventStreamRole,
    context: &Context,
    progress: &mut Progress,
) -> Result<Farewell, Verdict> {
    let (Ok(name), Ok(owner)) = (
        role::role_name(resource, &context.defaults),
        role::owner(resource, context.cluster.as_str()),
    ) else {
        // A name that IAM cannot accept names no role.
        return Ok(Farewell::Nothing);
    };
    progress.role_name = Some(name.to_string());
    if settled::is_abandoned(resource) {
        return Ok(Farewell::Abandoned(name.to_string()));
    }
    check_account(resource, context).await?;
    if context.iam.known_caller().is_some_and(|caller| caller.runs_as(name.as_str())) {
        return Ok(Farewell::Nothing);
    }
    let recent = context.own_writes.to(&name);
    let observed = context.iam.observe_for_deletion(&name).await?;
    let spec = &resource.spec;
    let status = resource.status.as_ref();
    // What is no ARN bounds no role.
    let boundary = spec.permissions_boundary_arn.as_deref().map(PolicyArn::parse);
    let request = DeletionRequest {
        owner: &owner,
        held_role_id: status.and_then(|status| status.role_id.as_deref()).unwrap_or_default(),
        was_adopted: status.is_some_and(|status| status.adopted == Some(true)),
        deletion_policy: spec.deletion_policy,
        drift_policy: spec.drift_policy,
        exclusive_policies: spec.exclusive_policies,
        permissions_boundary: boundary.as_ref().and_then(|parsed| parsed.as_ref().ok()),
    };
    let deletion = role::plan_deletion(request, observed.as_ref());
    if !recent.are_shown_by_names(observed.as_ref()) {
        return Err(Verdict::NotShownYet(Writer::This));
    }
    // To take a role that is not shown yet for one that is gone would leave it behind.
    if observed.is_none()
        && context.own_writes.may_lack_a_role_of(&owner.uid)
        && !never_had_a_role(resource)
    {
        return Err(Verdict::NotShownYet(Writer::Earlier));
    }
    match deletion {
        Deletion::Nothing => Ok(Farewell::Nothing),
        Deletion::Keep(why) => Ok(Farewell::Kept(name, why)),
        Deletion::Blocked(by) => Err(Verdict::DeletionBlocked(by)),
        Deletion::Release(writes) => {
            let _writer = converge::enter(&name, &recent, context)?;
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Released(name))
        }
        Deletion::Delete(writes) => {
            let _writer = converge::enter(&name, &recent, context)?;
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Deleted(name))
        }
    }
}

/// Whether the status says why no role was made.
fn never_had_a_role(resource: &PinpointEventStreamRole) -> bool {
    let status = resource.status.as_ref();
    let is_refused = |reason: &str| {
        [
            Reason::AccessDenied,
            Reason::DriftReported,
            Reason::InvalidSpec,
            Reason::LimitExceeded,
            Reason::Paused,
            Reason::RefusedByIam,
            Reason::RoleNotOwned,
            Reason::RoleOwnedByAnother,
            Reason::WrongAccount,
        ]
        .iter()
        .any(|refused| refused.as_str() == reason)
    };
    status.is_some_and(|status| {
        status.role_id.is_none() && status.ready().is_some_and(|ready| is_refused(&ready.reason))
    })
}

/// With the credentials of another account than the role's, the role would seem to be gone, and stay behind.
async fn check_account(
    resource: &PinpointEventStreamRole,
    context: &Context,
) -> Result<(), Verdict> {
    let held = resource.status.as_ref().and_then(|status| status.role_arn.as_deref());
    let Some(held) = held.and_then(Place::of_arn) else { return Ok(()) };
    let differs = |place: &Place| *place != held;
    let Some(_) = context.iam.caller().await.map(|caller| caller.place).filter(differs) else {
        return Ok(());
    };
    match context.iam.caller_now().await.map(|caller| caller.place).filter(differs) {
        None => Ok(()),
        Some(credentials) => Err(Verdict::WrongAccount { destination: held, credentials }),
    }
}

async fn write_all(name: &RoleName, writes: &[Write], context: &Context) -> Result<(), Verdict> {
    let mut boundary_refused = None;
    for write in writes {
        let Err(error) = converge::write(name, write, context).await else { continue };
        // The boundary only makes way for the rest, and may be why the resource is deleted: it names a policy that
        // does not exist, or that the credentials may not set.
        let stays_refused =
            [ErrorKind::MissingBoundary, ErrorKind::Refused, ErrorKind::AccessDenied]
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
