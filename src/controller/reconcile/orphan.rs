//! Roles of deleted resources. If the API server removed a resource despite our finalizer, this module does the cleanup
//! that the finalizer was for; otherwise the role would be left behind without a resource. If others removed the
//! finalizer, the role is kept and reported.

use std::sync::Arc;

use backon::{ExponentialBuilder, Retryable as _};
use futures::{Stream, StreamExt as _};
use kube::ResourceExt as _;
use tracing::{info, warn};

use crate::api::RoleResource;

use super::super::index::{Key, StoredObject};
use super::super::report::{DeletionOutcome, Findings, Verdict};
use super::super::runtime::is_orphaned;
use super::reconciler::Reconciler;

/// The most concurrent cleanups.
const AT_ONCE: usize = 4;

/// The attempts for each role, with pauses from 1 s to 1 min. There is no later retry.
const TRIES: usize = 20;

/// Reports the role of an object that was deleted after others removed our finalizer.
pub(crate) fn report_orphan(reconciler: &Reconciler, object: &StoredObject) {
    let was_released = reconciler.requeue.was_released(&object.uid().unwrap_or_default());
    let Ok(resource) = &object.0 else { return };
    let had_role = resource.status.as_ref().is_some_and(|status| status.role_id.is_some());
    if was_released || !had_role || is_orphaned(object) || !reconciler.schedule.is_active() {
        return;
    }
    if let Ok(role) = resource.role_name(&reconciler.defaults) {
        reconciler.reporter.deleted(object, &DeletionOutcome::LeftBehind(role));
    }
}

/// Cleans up the roles of deleted resources until the channel closes.
pub(crate) async fn clean_up_orphans(
    reconciler: &Reconciler,
    orphaned: impl Stream<Item = Arc<StoredObject>>,
) {
    orphaned.for_each_concurrent(AT_ONCE, |object| one(reconciler, object)).await;
}

async fn one(reconciler: &Reconciler, object: Arc<StoredObject>) {
    let Ok(resource) = &object.0 else { return };
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let findings = Findings::default();
    let outcome =
        |verdict: &Verdict| verdict.outcome(reconciler.reporter.inputs(resource, &findings));
    let done = (|| clean_up(reconciler, &object, resource))
        .retry(ExponentialBuilder::default().with_max_times(TRIES).with_jitter())
        .when(|verdict| outcome(verdict).outlook.retry().is_some())
        .await;
    match done {
        Ok(deleted) => reconciler.reporter.deleted(&object, &deleted),
        Err(verdict) => {
            let why = outcome(&verdict).message;
            warn!(namespace, name, "the resource is gone, and its IAM role is orphaned: {why}");
        }
    }
}

async fn clean_up(
    reconciler: &Reconciler,
    object: &StoredObject,
    resource: &RoleResource,
) -> Result<DeletionOutcome, Verdict> {
    if is_declared(reconciler, object, resource) {
        return Ok(DeletionOutcome::Nothing);
    }
    let _worker = reconciler.account.workers.worker().await;
    reconciler.delete(resource, &mut Findings::default()).await
}

/// Whether the resource still exists, or one of the same name declares the same role and takes it back automatically.
fn is_declared(reconciler: &Reconciler, object: &StoredObject, resource: &RoleResource) -> bool {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(found) = reconciler.schedule.index.get(&Key::of_object(object)) else { return false };
    if found.uid() == resource.uid() {
        return true;
    }
    let key = |resource: &RoleResource| resource.role_key(&reconciler.defaults).ok();
    let is_recreated = found.0.as_ref().is_ok_and(|found| key(found) == key(resource));
    if is_recreated {
        info!(namespace, name, "recreated before its role could be cleaned up");
    }
    is_recreated
}
