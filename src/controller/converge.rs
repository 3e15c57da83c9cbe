//! Brings one role to its declaration: look, plan, write. Whatever stops it is a [`Verdict`] too, so that
//! `?` carries the reason straight to the status.

use std::collections::BTreeSet;

use crate::api::{PinpointEventStreamRole, Reason};
use crate::iam::{ErrorKind, IamError, RoleIdentity};
use crate::role::{self, DesiredRole, ObservedRole, Plan, Refusal, SpecError, Write};

use super::reconcile::Error;
use super::status::{Progress, Verdict};
use super::{Context, publish};

impl From<SpecError> for Verdict {
    fn from(error: SpecError) -> Self {
        Self::InvalidSpec(error)
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IamError> for Verdict {
    fn from(error: IamError) -> Self {
        Self::Failed(error)
    }
}

/// Makes the live role what `resource` declares, or with `hands_off` only compares. What was learned and
/// done is in `progress` however it ends.
pub(super) async fn converge(
    resource: &mut PinpointEventStreamRole,
    context: &Context,
    progress: &mut Progress,
    hands_off: Option<Reason>,
) -> Result<Verdict, Verdict> {
    let desired = role::desired(resource, context.cluster.as_str())?;
    progress.role_name = Some(desired.name.to_string());

    if hands_off.is_none() && is_new(resource) {
        // Nobody has seen a role of this resource, so there is probably none: to create first saves the
        // look. The name being taken is what says otherwise.
        match carry_out(role::plan(&desired, None)?, &desired, context, progress).await {
            Ok(()) => return Ok(Verdict::Synced { extra_policies: Vec::new() }),
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                *progress =
                    Progress { role_name: progress.role_name.take(), ..Progress::of(resource) }
            }
            Err(error) => return Err(error.into()),
        }
    }

    let observed = context.iam.observe(&desired.name).await?;
    let plan = compare(&desired, observed.as_ref(), hands_off, progress)?;
    if !plan.changes.is_empty() {
        announce(resource, context, progress).await;
    }
    let extra_policies = plan.extra_policies.clone();
    carry_out(plan, &desired, context, progress).await?;
    Ok(Verdict::Synced { extra_policies })
}

/// What an observation asks for: a plan, or the verdict when nothing may be written. Pure.
pub(super) fn compare(
    desired: &DesiredRole,
    observed: Option<&ObservedRole>,
    hands_off: Option<Reason>,
    progress: &mut Progress,
) -> Result<Plan, Verdict> {
    let plan = role::plan(desired, observed)?;
    progress.role =
        observed.map(|role| RoleIdentity { arn: role.arn.clone(), role_id: role.role_id.clone() });
    progress.role_absent = observed.is_none();
    progress.trust_policy_synced = Some(plan.trust_policy_synced());
    progress.permissions_policy_synced = Some(plan.permissions_policy_synced());
    match hands_off {
        Some(reason) => {
            let differences = plan.differences().cloned().collect();
            Err(Verdict::LeftAlone { reason, differences })
        }
        None => Ok(plan),
    }
}

fn is_new(resource: &PinpointEventStreamRole) -> bool {
    resource.status.as_ref().is_none_or(|status| status.observed_generation.is_none())
}

/// Says in the status that an edit is being worked on, so that nobody takes the Ready of the last
/// generation for that of this one. Failing to say so must not stop the work.
async fn announce(resource: &mut PinpointEventStreamRole, context: &Context, progress: &Progress) {
    let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
    if observed == resource.metadata.generation {
        return;
    }
    match publish::publish(resource, context, progress, &Verdict::Progressing).await {
        Ok(status) => resource.status = Some(status),
        Err(Error::Kube(error)) => {
            tracing::debug!("could not say that work is under way: {error}");
        }
        Err(Error::CleanupPending(_) | Error::Unreadable(_) | Error::Incomplete(_)) => {}
    }
}

async fn carry_out(
    plan: Plan,
    desired: &DesiredRole,
    context: &Context,
    progress: &mut Progress,
) -> Result<(), IamError> {
    let declared: BTreeSet<_> = desired.tags.keys().cloned().collect();
    progress.tag_keys = Some(declared.union(&desired.former_tag_keys).cloned().collect());
    for change in plan.changes {
        if let Write::CreateRole(new) = &change.write {
            progress.role = Some(context.iam.create(&desired.name, new).await?);
            progress.role_absent = false;
            progress.permissions_policy_synced = Some(false);
        } else {
            context.iam.apply(&desired.name, &change.write).await?;
        }
        match &change.write {
            Write::CreateRole(_) | Write::UpdateAssumeRolePolicy(_) => {
                progress.trust_policy_synced = Some(true);
            }
            Write::PutRolePolicy(_) => progress.permissions_policy_synced = Some(true),
            Write::TagRole(_)
            | Write::UntagRole(_)
            | Write::PutRolePermissionsBoundary(_)
            | Write::DeleteRolePermissionsBoundary
            | Write::DeleteRolePolicy(_)
            | Write::DetachRolePolicy(_)
            | Write::UpdateRole { .. }
            | Write::DeleteRole => {}
        }
        progress.made.push(change);
    }
    progress.tag_keys = Some(declared);
    Ok(())
}
