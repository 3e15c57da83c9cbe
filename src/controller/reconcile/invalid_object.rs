//! A stored object that does not match the types, because it was written under a newer schema or under one that someone
//! loosened. Its declaration is unknown, so the controller does not call IAM. The object's status reports this. A
//! deleted object stays until it can be parsed or its annotation asks to abandon it.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use kube::runtime::controller::Action;
use kube::runtime::finalizer;

use crate::api::{ConditionType, FINALIZER, Reason, RoleStatus, condition, conditions_after};

use super::super::error::Error;
use super::super::index::{InvalidObject, StoredObject};
use super::super::lifecycle;
use super::super::report::{DeletionOutcome, how_to_abandon};
use super::reconciler::{Pause, Reconciler};

/// The reason on its conditions.
pub(crate) const REASON: Reason = Reason::InvalidSpec;

impl Reconciler {
    /// Reports in the object's status why it cannot be parsed, or removes its finalizer if its annotation asks for
    /// that.
    pub(super) async fn reconcile_invalid(
        &self,
        object: &Arc<StoredObject>,
        invalid: &InvalidObject,
    ) -> Result<Pause, Error> {
        let previous = invalid.status.clone().unwrap_or_default();
        let is_deleted = object.meta().deletion_timestamp.is_some();
        if is_deleted && !lifecycle::has_finalizer(&**object) {
            return Ok(None);
        }
        if is_deleted && lifecycle::is_abandoned(&**object) && !lifecycle::is_paused(&**object) {
            let api = self.api(object)?;
            let done = finalizer(&api, FINALIZER, Arc::clone(object), |_| async {
                Ok::<_, Error>(Action::await_change())
            });
            done.await?;
            self.reporter.deleted(object, &DeletionOutcome::Abandoned(previous.role_name));
            return Ok(None);
        }

        let status = status_of(object, &invalid.problem, &previous, (self.timing.now)());
        self.metrics.reconciled(object.kind().name, REASON.as_str());
        if invalid.status.as_ref() != Some(&status) {
            self.reporter.write_status(object.kind(), object.meta(), &status).await?;
            let message = status.ready().map_or("", |ready| ready.message.as_str());
            self.reporter.warn(object, REASON, message);
        }
        Ok(None)
    }
}

/// The status keeps what was known about the role, for another version of the controller.
fn status_of(
    object: &StoredObject,
    problem: &str,
    previous: &RoleStatus,
    now: Timestamp,
) -> RoleStatus {
    let mut message = format!(
        "The stored object does not match the schema: {problem}. Correct that field with kubectl edit, or run a version of the controller that knows it."
    );
    if object.meta().deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    let generation = object.meta().generation;
    let of = |type_, status| condition(type_, status, REASON, &message, generation);
    let conditions = vec![
        of(ConditionType::Ready, Some(false)),
        of(ConditionType::TrustPolicySynced, None),
        of(ConditionType::PermissionsPolicySynced, None),
        of(ConditionType::Stalled, Some(true)),
    ];
    RoleStatus {
        observed_generation: generation,
        reason: Some(REASON.as_str().into()),
        drift: Vec::new(),
        conditions: conditions_after(&previous.conditions, conditions, now),
        ..previous.clone()
    }
}
