//! Brings one role to its declaration: look, plan, write. Whatever stops it is a [`Verdict`] too, so that
//! `?` carries the reason straight to the status.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::api::{PinpointEventStreamRole, PinpointEventStreamRoleStatus, Reason};
use crate::iam::{ErrorKind, IamError, RoleIdentity};
use crate::policy::{Caller, PERMISSIONS_POLICY_NAME, Place};
use crate::role::{
    self, Defaults, DesiredRole, ObservedRole, Owner, Plan, Precedence, RecentWrites, Refusal,
    RoleName, SpecError, Standing, Write,
};

use super::index::{Index, Key, Turn};
use super::status::{Progress, Verdict, Writer};
use super::{Context, settled};

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

/// Whether the credentials are those of the role's account, and the role is not the one that the controller runs as.
/// What is not known keeps nothing from being done: the first role that IAM shows tells the account.
pub(super) fn check_caller(desired: &DesiredRole, caller: Option<&Caller>) -> Result<(), Verdict> {
    let Some(caller) = caller else { return Ok(()) };
    check_place(desired, &caller.place)?;
    if caller.runs_as(desired.name.as_str()) {
        let role = desired.name.to_string();
        return Err(Verdict::Refused(Refusal::ControllersOwn { role }));
    }
    Ok(())
}

fn check_place(desired: &DesiredRole, credentials: &Place) -> Result<(), Verdict> {
    let destination = Place { partition: desired.partition, account: desired.account.clone() };
    if *credentials == destination {
        return Ok(());
    }
    Err(Verdict::WrongAccount { destination, credentials: credentials.clone() })
}

/// As [`check_place`], of a role that IAM showed. An ARN that cannot be read says nothing.
fn check_arn(desired: &DesiredRole, arn: &str) -> Result<(), Verdict> {
    Place::of_arn(arn).map_or(Ok(()), |place| check_place(desired, &place))
}

/// Whether it is this resource's turn at the role.
pub(super) fn turn(
    resource: &PinpointEventStreamRole,
    desired: &DesiredRole,
    index: &Index,
    defaults: &Defaults,
) -> Result<(), Verdict> {
    if settled::hands_off(resource).is_some() {
        // It takes nobody's turn.
        return Ok(());
    }
    let role_of = |key: &Key| {
        let declared = index.get(key).and_then(|guarded| {
            guarded.0.as_ref().ok().and_then(|other| role::role_name(other, defaults).ok())
        });
        declared.map_or_else(|| desired.name.to_string(), |name| name.to_string())
    };
    match index.turn(resource, Instant::now()) {
        Turn::First => Ok(()),
        Turn::Behind(other, why) => Err(Verdict::Refused(Refusal::DeclaredByAnother {
            role: role_of(&other),
            other: other.to_string(),
            why,
        })),
        Turn::Reserved(other, left) => {
            let why = Precedence::JustDeleted;
            let (role, other) = (role_of(&other), other.to_string());
            Err(Verdict::Reserved { by: Refusal::DeclaredByAnother { role, other, why }, left })
        }
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
    let index = &context.schedule.index;
    let desired = role::desired(resource, context.cluster.as_str(), &context.defaults)?;
    let key = desired.key();
    progress.role_name = Some(desired.name.to_string());
    if check_caller(&desired, context.iam.caller().await.as_ref()).is_err() {
        // Other credentials may be in place by now, which no request has shown yet.
        check_caller(&desired, context.iam.caller_now().await.as_ref())?;
    }
    turn(resource, &desired, index, &context.defaults)?;
    if hands_off.is_none() && is_new(resource) {
        // Nobody has seen a role of this resource, so there is probably none: to create first saves the
        // look. The name being taken is what says otherwise.
        let plan = role::plan(&desired, None, |_| Standing::Keeps)?;
        let _writer = context.writers.enter(&desired.name).ok_or(Verdict::Busy)?;
        match carry_out(plan, &desired, context, progress).await {
            Ok(()) => {
                index.note_owner(&key, Some(&desired.owner));
                return Ok(Verdict::Synced { extra_policies: Vec::new() });
            }
            Err(Verdict::Failed(error)) if error.kind == ErrorKind::AlreadyExists => {
                *progress =
                    Progress { role_name: progress.role_name.take(), ..Progress::of(resource) }
            }
            Err(verdict) => return Err(verdict),
        }
    }

    let before = context.own_writes.to(&desired.name);
    let mut recent = before.clone();
    if !progress.was_in_sync && context.own_writes.may_lack_those_of_an_earlier_process() {
        recent = recent.after_an_earlier_process();
    }
    let observed = context.iam.observe(&desired.name).await?;
    if let Some(live) = &observed {
        check_arn(&desired, &live.arn)?;
    }
    if !recent.are_shown_by(observed.as_ref()) {
        return Err(Verdict::NotShownYet(Writer::This));
    }
    let owner = observed.as_ref().and_then(|live| Owner::of(&live.tags));
    if let Some(owner) = index.note_owner(&key, owner.as_ref())
        && owner != Key::of(resource)
        && let Some(owner) = index.get(&owner)
    {
        context.schedule.look_at(&owner);
    }
    let standing = |owner: &Owner| index.standing(owner, &key);
    let plan = compare(&desired, observed.as_ref(), hands_off, progress, standing)?;
    let is_sure = recent.are_settled_by(&plan);
    let extra_policies = plan.extra_policies.clone();
    let drifted = progress.was_in_sync && !plan.changes.is_empty();
    let _writer = enter(&desired.name, &before, context)?;
    if drifted {
        context.metrics.drift_found();
    }
    carry_out(plan, &desired, context, progress).await?;
    index.note_owner(&key, Some(&desired.owner));
    if drifted {
        context.metrics.drift_repaired();
    }
    if is_sure {
        Ok(Verdict::Synced { extra_policies })
    } else {
        let is_own = before != RecentWrites::default();
        Err(Verdict::NotShownYet(if is_own { Writer::This } else { Writer::Earlier }))
    }
}

/// Leave to write to the role, if nothing was written to it since the look that began after `before`.
pub(super) fn enter<'a>(
    role: &RoleName,
    before: &RecentWrites,
    context: &'a Context,
) -> Result<impl Drop + use<'a>, Verdict> {
    let writer = context.writers.enter(role).ok_or(Verdict::Busy)?;
    if context.own_writes.to(role) == *before { Ok(writer) } else { Err(Verdict::Busy) }
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
    if let Some(reason) = hands_off
        && plan.adopts()
    {
        // The role is another's or nobody's until its tags are written: what is on it is not the resource's to show.
        let claim = plan.changes.iter().filter(|change| change.write.adopts());
        let differences = claim.flat_map(|change| change.differences.iter().cloned()).collect();
        return Err(Verdict::LeftAlone { reason, differences });
    }
    progress.role =
        observed.map(|role| RoleIdentity { arn: role.arn.clone(), role_id: role.role_id.clone() });
    progress.role_absent = observed.is_none();
    progress.adopted = observed.map(|role| {
        role::is_adopted(&role.tags) || plan.adopts() || desired.was_adopted && desired.holds(role)
    });
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
) -> Result<(), Verdict> {
    let declared: BTreeSet<_> = desired.tags.keys().cloned().collect();
    progress.tag_keys = Some(declared.union(&desired.former_tag_keys).cloned().collect());
    for change in plan.changes {
        if let Some(created) = write(&desired.name, &change.write, context).await? {
            if let Err(wrong) = check_arn(desired, &created.arn) {
                // The credentials are of another account than STS said, or STS was not there to say it.
                write(&desired.name, &Write::DeleteRole, context).await?;
                return Err(wrong);
            }
            progress.adopted = Some(false);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn desired(name: &str) -> DesiredRole {
        let stream = "arn:aws:kinesis:us-east-1:111122223333:stream/s";
        let whole = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {"name": "events", "namespace": "ns", "uid": "u1"},
            "spec": {"roleName": name, "destination": {"kinesisStreamArn": stream}},
        });
        let resource: PinpointEventStreamRole =
            serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"));
        role::desired(&resource, "c1", &Defaults::default())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn nothing_is_written_to_the_role_that_the_controller_runs_as_nor_in_another_account() {
        let caller = |arn: &str| Caller::of_arn(arn);
        let own = "arn:aws:sts::111122223333:assumed-role/Controller/session";
        let elsewhere = "arn:aws:sts::444455556666:assumed-role/other/session";
        let china = "arn:aws-cn:sts::111122223333:assumed-role/other/session";
        let user = "arn:aws:iam::111122223333:user/Controller";
        let refused =
            |name: &str, arn: &str| check_caller(&desired(name), caller(arn).as_ref()).err();
        assert!(matches!(
            refused("controller", own),
            Some(Verdict::Refused(Refusal::ControllersOwn { .. }))
        ));
        assert!(refused("controller-2", own).is_none());
        assert!(refused("controller", user).is_none(), "a user of that name is no role");
        for arn in [elsewhere, china] {
            assert!(matches!(refused("events", arn), Some(Verdict::WrongAccount { .. })), "{arn}");
        }
        assert!(check_caller(&desired("events"), None).is_ok(), "the first role will tell");
        let stray = "arn:aws:iam::444455556666:role/events";
        assert!(matches!(check_arn(&desired("events"), stray), Err(Verdict::WrongAccount { .. })));
    }
}
