//! Resources that are gone although our finalizer was on them. kube-apiserver lets that happen: a deletion looks for
//! finalizers first and deletes afterwards, whatever was added in between, and admission webhooks can make that long
//! (`Store.Delete` in k8s.io/apiserver, pkg/registry/generic/registry). What the finalizer would have held them for is
//! done here, or a role would stay behind that no resource declares. And resources that are gone because others took our
//! finalizer off: their role stays, and that is told.

use std::sync::Arc;

use backon::{ExponentialBuilder, Retryable as _};

use futures::{Stream, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};
use tracing::{info, warn};

use crate::api::PinpointEventStreamRole;
use crate::role;

use super::cleanup::{self, Farewell};
use super::index::Key;
use super::status::{Progress, Verdict, status_after};
use super::{Context, Guarded, publish, settled};

/// How many are seen to at once.
const AT_ONCE: usize = 4;

/// How often each is tried, with pauses from 1 s to 1 min. Nobody comes back to it later.
const TRIES: usize = 20;

/// Whether a resource that is gone went without our leave.
pub(super) fn is_due(guarded: &Guarded) -> bool {
    guarded.0.is_ok() && settled::is_guarded(guarded) && guarded.meta().deletion_timestamp.is_none()
}

/// Tells of the role of a resource that is gone after others took our finalizer off.
pub(super) fn tell_if_unexpected(context: &Context, guarded: &Guarded) {
    let was_let_go = context.requeue.was_let_go(&guarded.uid().unwrap_or_default());
    let Ok(resource) = &guarded.0 else { return };
    let had_role = resource.status.as_ref().is_some_and(|status| status.role_id.is_some());
    if was_let_go || !had_role || is_due(guarded) || !context.schedule.works() {
        return;
    }
    if let Ok(role) = role::role_name(resource, &context.defaults) {
        let farewell = Farewell::LeftBehind(role.to_string());
        publish::publish_farewell(resource, context, &farewell);
    }
}

/// Lets the roles of vanished resources go until there can be no more.
pub(super) async fn let_go(context: &Context, vanished: impl Stream<Item = Arc<Guarded>>) {
    vanished.for_each_concurrent(AT_ONCE, |resource| one(context, resource)).await;
}

async fn one(context: &Context, guarded: Arc<Guarded>) {
    let Ok(resource) = &guarded.0 else { return };
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let done = (|| clean_up(context, resource))
        .retry(ExponentialBuilder::default().with_max_times(TRIES).with_jitter())
        .when(|verdict| verdict.retry(resource, Timestamp::now()).is_some())
        .await;
    match done {
        Ok(farewell) => publish::publish_farewell(resource, context, &farewell),
        Err(verdict) => {
            let status = status_after(resource, &Progress::default(), &verdict, Timestamp::now());
            let why = publish::ready_message(&status);
            warn!(namespace, name, "the resource is gone, and its IAM role stays behind: {why}");
        }
    }
}

async fn clean_up(
    context: &Context,
    resource: &PinpointEventStreamRole,
) -> Result<Farewell, Verdict> {
    if is_declared(context, resource) {
        return Ok(Farewell::Nothing);
    }
    let _worker = context.worker().await;
    cleanup::clean_up(resource, context, &mut Progress::default()).await
}

/// Whether the resource is there after all, or one of the same name that declares the same role and takes it back by
/// itself.
fn is_declared(context: &Context, resource: &PinpointEventStreamRole) -> bool {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(found) = context.schedule.index.get(&Key::of(resource)) else { return false };
    let key = |resource| role::role_name(resource, &context.defaults).map(|name| name.key()).ok();
    if found.uid() == resource.uid() {
        return true;
    }
    let is_declared_anew = found.0.as_ref().is_ok_and(|found| key(found) == key(resource));
    if is_declared_anew {
        info!(namespace, name, "was declared anew before its role could be let go");
    }
    is_declared_anew
}
