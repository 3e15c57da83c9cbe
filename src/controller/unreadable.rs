//! A stored object that does not fit the types, because it was written under a newer schema or under one that somebody
//! loosened. What it declares is not known, so IAM is left alone. The object says so, and a deleted one stays until it
//! can be read or its annotation asks to let it go.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::runtime::finalizer;
use kube::{Api, Resource as _, ResourceExt as _};
use tracing::warn;

use crate::api::{
    ConditionType, FINALIZER, PinpointEventStreamRoleStatus, Reason, condition, conditions_after,
};

use super::cleanup::Farewell;
use super::index::Unreadable;
use super::publish::{event, publish_farewell, ready_message, write_status};
use super::reconcile::{Error, Pause, finalized};
use super::status::how_to_abandon;
use super::{Context, Guarded, settled};

/// The reason on its conditions.
pub(super) const REASON: Reason = Reason::InvalidSpec;

/// Says on the object what keeps it from being read, or lets it go if that is asked for.
pub(super) async fn reconcile(
    guarded: &Arc<Guarded>,
    unreadable: &Unreadable,
    context: &Context,
) -> Result<Pause, Error> {
    let namespace = guarded.namespace().ok_or(Error::Incomplete("namespace"))?;
    let previous = unreadable.status.clone().unwrap_or_default();
    let is_deleted = guarded.meta().deletion_timestamp.is_some();
    if is_deleted && !settled::is_guarded(&**guarded) {
        return Ok(None);
    }
    if is_deleted && settled::is_abandoned(&**guarded) && !settled::is_paused(&**guarded) {
        let api: Api<Guarded> = Api::namespaced(context.client.clone(), &namespace);
        let done = finalizer(&api, FINALIZER, Arc::clone(guarded), |_| async {
            Ok::<_, Error>(Action::await_change())
        });
        done.await.map_err(finalized)?;
        let role = previous.role_name.unwrap_or_else(|| "of unknown name".into());
        publish_farewell(&**guarded, context, &Farewell::Abandoned(role));
        return Ok(None);
    }

    let status = status_of(guarded, &unreadable.problem, &previous, Timestamp::now());
    context.metrics.reconciled(REASON.as_str());
    if unreadable.status.as_ref() != Some(&status) {
        write_status(&**guarded, context, &status).await?;
        let (name, message) = (guarded.name_any(), ready_message(&status));
        warn!(namespace, name, reason = REASON.as_str(), "{message}");
        let event = event(EventType::Warning, REASON.as_str(), "Reconcile", message);
        context.events.send(event, guarded.object_ref(&()));
    }
    Ok(None)
}

/// What was known of the role stays in the status: another version of the controller goes on from there.
fn status_of(
    guarded: &Guarded,
    problem: &str,
    previous: &PinpointEventStreamRoleStatus,
    now: Timestamp,
) -> PinpointEventStreamRoleStatus {
    let mut message = format!(
        "The resource as it is stored cannot be read: {problem}. Correct that field with kubectl edit, or run a version of the controller that knows it."
    );
    if guarded.meta().deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    let generation = guarded.meta().generation;
    let of = |type_, status| condition(type_, status, REASON, &message, generation);
    let conditions = vec![
        of(ConditionType::Ready, Some(false)),
        of(ConditionType::TrustPolicySynced, None),
        of(ConditionType::PermissionsPolicySynced, None),
        of(ConditionType::Stalled, Some(true)),
    ];
    PinpointEventStreamRoleStatus {
        observed_generation: generation,
        reason: Some(REASON.as_str().into()),
        drift: Vec::new(),
        conditions: conditions_after(&previous.conditions, conditions, now),
        ..previous.clone()
    }
}
