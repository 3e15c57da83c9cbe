//! Which resources need no look of their own: their status speaks of the spec and annotations as they are
//! now, and nothing is due. Pure. And whether an observation that came along with all others' says anything
//! new of one: if so, that one gets a look of its own before anything is written, because the observation
//! may be older than our last write.

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};

use crate::api::{
    ConditionType, DriftPolicy, FINALIZER, PAUSED_ANNOTATION, PinpointEventStreamRole,
    RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
};
use crate::role::{self, ObservedRole};

use super::converge::compare;
use super::status::{Progress, Verdict, status_after};

/// Reasons that hold until the resource or the role changes.
const HOLDING: [Reason; 9] = [
    Reason::Synced,
    Reason::ExtraPolicies,
    Reason::DriftReported,
    Reason::Paused,
    Reason::InvalidSpec,
    Reason::RoleNotOwned,
    Reason::RoleOwnedByAnother,
    Reason::ImmutableFieldDiffers,
    Reason::RefusedByIam,
];

/// Whether the annotation asks for no writes.
pub(super) fn is_paused(resource: &PinpointEventStreamRole) -> bool {
    resource.annotations().get(PAUSED_ANNOTATION).is_some_and(|value| value == "true")
}

/// Why nothing may be written for the resource, if so.
pub(super) fn hands_off(resource: &PinpointEventStreamRole) -> Option<Reason> {
    match resource.spec.drift_policy {
        _ if is_paused(resource) => Some(Reason::Paused),
        DriftPolicy::Report => Some(Reason::DriftReported),
        DriftPolicy::Correct => None,
    }
}

/// Whether the status is the last word on the resource until something changes.
pub(super) fn is_settled(resource: &PinpointEventStreamRole) -> bool {
    let Some(status) = &resource.status else {
        return false;
    };
    let is_ready = |type_: &str| type_ == ConditionType::Ready.as_str();
    let Some(ready) = status.conditions.iter().find(|condition| is_ready(&condition.type_)) else {
        return false;
    };
    let requested = resource.annotations().get(RECONCILE_REQUESTED_AT_ANNOTATION);
    let is_paused = is_paused(resource);
    let is_guarded = resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
    resource.meta().deletion_timestamp.is_none()
        && (is_guarded || is_paused)
        && status.observed_generation == resource.meta().generation
        && status.last_handled_reconcile_at.as_ref() == requested
        && HOLDING.iter().any(|reason| reason.as_str() == ready.reason)
        && (ready.reason == Reason::Paused.as_str()) == is_paused
}

/// Whether an observation of the role says anything that the status does not.
pub(super) fn is_news(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    cluster: &str,
) -> bool {
    let mut progress = Progress::of(resource);
    let (Ok(Some(verdict)) | Err(verdict)) = verdict(resource, observed, cluster, &mut progress)
    else {
        return true;
    };
    let now = Timestamp::UNIX_EPOCH;
    resource.status.as_ref() != Some(&status_after(resource, &progress, &verdict, now))
}

/// `Ok(None)` when there is something to write.
fn verdict(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    cluster: &str,
    progress: &mut Progress,
) -> Result<Option<Verdict>, Verdict> {
    let desired = role::desired(resource, cluster)?;
    progress.role_name = Some(desired.name.to_string());
    let plan = compare(&desired, observed, hands_off(resource), progress)?;
    let extra_policies = plan.extra_policies;
    Ok(plan.changes.is_empty().then_some(Verdict::Synced { extra_policies }))
}
