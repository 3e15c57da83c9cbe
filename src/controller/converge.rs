//! Brings one role to its declaration: look, plan, write. Whatever stops it is a [`Verdict`] too, so that
//! `?` carries the reason straight to the status.

use std::collections::BTreeSet;

use crate::api::{PinpointEventStreamRole, PinpointEventStreamRoleStatus, Reason};
use crate::iam::{ErrorKind, IamError, RoleIdentity};
use crate::policy::PERMISSIONS_POLICY_NAME;
use crate::role::{
    self, DesiredRole, ObservedRole, Owner, Plan, Refusal, RoleName, SpecError, Standing, Write,
};

use super::status::{Progress, Verdict};
use super::{Context, neighbours};

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
    resource: &PinpointEventStreamRole,
    context: &Context,
    progress: &mut Progress,
    hands_off: Option<Reason>,
) -> Result<Verdict, Verdict> {
    let desired = role::desired(resource, context.cluster.as_str())?;
    progress.role_name = Some(desired.name.to_string());
    let precedence = context.neighbours.precedence(resource, &desired.name, &context.watched);
    precedence.map_or(Ok(()), Err)?;

    if hands_off.is_none() && is_new(resource) {
        // Nobody has seen a role of this resource, so there is probably none: to create first saves the
        // look. The name being taken is what says otherwise.
        let plan = role::plan(&desired, None, |_| Standing::Keeps)?;
        match carry_out(plan, &desired, context, progress).await {
            Ok(()) => return Ok(Verdict::Synced { extra_policies: Vec::new() }),
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                *progress =
                    Progress { role_name: progress.role_name.take(), ..Progress::of(resource) }
            }
            Err(error) => return Err(error.into()),
        }
    }

    let mut recent = context.own_writes.to(&desired.name);
    if !progress.was_in_sync && context.own_writes.may_lack_those_of_an_earlier_process() {
        recent = recent.after_an_earlier_process();
    }
    let observed = context.iam.observe(&desired.name).await?;
    if !recent.are_shown_by(observed.as_ref()) {
        return Err(Verdict::NotShownYet);
    }
    let standing = |owner: &Owner| neighbours::standing(owner, resource, &context.watched);
    let plan = compare(&desired, observed.as_ref(), hands_off, progress, standing)?;
    let is_sure = recent.are_settled_by(&plan);
    let extra_policies = plan.extra_policies.clone();
    let drifted = progress.was_in_sync && !plan.changes.is_empty();
    if drifted {
        context.metrics.drift_found();
    }
    carry_out(plan, &desired, context, progress).await?;
    if drifted {
        context.metrics.drift_repaired();
    }
    if is_sure { Ok(Verdict::Synced { extra_policies }) } else { Err(Verdict::NotShownYet) }
}

/// What an observation asks for: a plan, or the verdict when nothing may be written. Pure.
pub(super) fn compare(
    desired: &DesiredRole,
    observed: Option<&ObservedRole>,
    hands_off: Option<Reason>,
    progress: &mut Progress,
    standing: impl Fn(&Owner) -> Standing,
) -> Result<Plan, Verdict> {
    let plan = role::plan(desired, observed, standing)?;
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

/// Whether the status says nothing of the resource yet.
pub(super) fn is_new(resource: &PinpointEventStreamRole) -> bool {
    resource.status.as_ref().is_none_or(PinpointEventStreamRoleStatus::is_untouched)
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
        if let Some(created) = write(&desired.name, &change.write, context).await? {
            progress.role = Some(created);
            progress.role_absent = false;
            progress.permissions_policy_synced = Some(false);
        }
        match &change.write {
            Write::CreateRole(_) | Write::UpdateAssumeRolePolicy(_) => {
                progress.trust_policy_synced = Some(true);
            }
            Write::PutRolePolicy(_) => progress.permissions_policy_synced = Some(true),
            Write::DeleteRolePolicy(name) if name == PERMISSIONS_POLICY_NAME => {
                progress.permissions_policy_synced = Some(false);
            }
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

/// Makes one write and remembers it. Gives the role when it was created.
pub(super) async fn write(
    name: &RoleName,
    write: &Write,
    context: &Context,
) -> Result<Option<RoleIdentity>, IamError> {
    let result = match write {
        Write::CreateRole(new) => context.iam.create(name, new).await.map(Some),
        Write::TagRole(_)
        | Write::UntagRole(_)
        | Write::PutRolePermissionsBoundary(_)
        | Write::DeleteRolePermissionsBoundary
        | Write::UpdateAssumeRolePolicy(_)
        | Write::PutRolePolicy(_)
        | Write::DeleteRolePolicy(_)
        | Write::DetachRolePolicy(_)
        | Write::UpdateRole { .. }
        | Write::DeleteRole => context.iam.apply(name, write).await.map(|()| None),
    };
    context.own_writes.note(name, write, result.as_ref().map(drop));
    result
}
