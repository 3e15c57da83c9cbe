//! A stored object that does not fit the types, because it was written under a newer schema or under one that somebody
//! loosened. What it declares is not known, so IAM is left alone. The object says so, and a deleted one stays until it
//! can be read or its annotation asks to let it go.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::runtime::finalizer;
use kube::{Api, Resource as _, ResourceExt as _};
use tracing::warn;

use crate::api::{
    ConditionType, FINALIZER, PinpointEventStreamRole, PinpointEventStreamRoleStatus, Reason,
    condition, conditions_after,
};

use crate::policy::readable;

use super::cleanup::Farewell;
use super::publish::{event, publish_farewell, ready_message, write_status};
use super::reconcile::{Error, Pause, finalized};
use super::status::how_to_abandon;
use super::{Context, Guarded, settled};

/// How many characters of the problem are shown.
const MAX_PROBLEM: usize = 1000;

/// The reason on its conditions.
pub(super) const REASON: Reason = Reason::InvalidSpec;

/// Says on the object what keeps it from being read, or lets it go if that is asked for.
pub(super) async fn reconcile(guarded: &Guarded, context: &Context) -> Result<Pause, Error> {
    let namespace = guarded.namespace().ok_or(Error::Incomplete("namespace"))?;
    let name = guarded.name_any();
    let kind = ApiResource::erase::<PinpointEventStreamRole>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), &namespace, &kind);
    // By a list, because the controller has no other use for the right to get.
    let it = ListParams::default().fields(&format!("metadata.name={name}"));
    let object = api.list(&it).await?.items.pop();
    let Some(object) = object.filter(|object| object.uid() == guarded.uid()) else {
        return Ok(None);
    };
    let Some(problem) = problem_of(&object) else {
        return Ok(None);
    };
    let previous = previous_status(&object);
    let is_deleted = object.metadata.deletion_timestamp.is_some();
    if is_deleted && settled::is_abandoned(&object) && !settled::is_paused(&object) {
        let done = finalizer(&api, FINALIZER, Arc::new(object), |_| async {
            Ok::<_, Error>(Action::await_change())
        });
        done.await.map_err(finalized)?;
        let role = previous.role_name.unwrap_or_else(|| "of unknown name".into());
        publish_farewell(guarded, context, Farewell::Abandoned(role));
        return Ok(None);
    }

    let status = status_of(&object, &problem, &previous, Timestamp::now());
    context.metrics.reconciled(REASON.as_str());
    if status != previous {
        let message = ready_message(&status);
        warn!(namespace, name, reason = REASON.as_str(), "{message}");
        let event = event(EventType::Warning, REASON.as_str(), "Reconcile", message);
        // Onto what was just read, so that this is the last word.
        write_status(&object, context, &status).await?;
        context.events.send(event, guarded.object_ref(&()));
    }
    Ok(None)
}

/// Where it does not fit the types, and how; `None` when it was corrected meanwhile.
fn problem_of(object: &DynamicObject) -> Option<String> {
    let object = serde_json::to_value(object).ok()?;
    let read: Result<PinpointEventStreamRole, _> = serde_path_to_error::deserialize(object);
    read.err().map(|error| readable(&format!("{}: {}", error.path(), error.inner()), MAX_PROBLEM))
}

fn previous_status(object: &DynamicObject) -> PinpointEventStreamRoleStatus {
    let status = object.data.get("status").cloned();
    status.and_then(|status| serde_json::from_value(status).ok()).unwrap_or_default()
}

/// What was known of the role stays in the status: another version of the controller goes on from there.
fn status_of(
    object: &DynamicObject,
    problem: &str,
    previous: &PinpointEventStreamRoleStatus,
    now: Timestamp,
) -> PinpointEventStreamRoleStatus {
    let mut message = format!(
        "The resource as it is stored cannot be read: {problem}. Correct that field with kubectl edit, or run a version of the controller that knows it."
    );
    if object.metadata.deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    let generation = object.metadata.generation;
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
