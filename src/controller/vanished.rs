//! Resources that are gone although our finalizer was on them. kube-apiserver lets that happen: a deletion looks for
//! finalizers first and deletes afterwards, whatever was added in between, and admission webhooks can make that long
//! (`Store.Delete` in k8s.io/apiserver, pkg/registry/generic/registry). What the finalizer would have held them for is
//! done here, or a role would stay behind that nobody declares.

use backon::{ExponentialBuilder, Retryable as _};
use futures::{Stream, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use tracing::{info, warn};

use crate::api::PinpointEventStreamRole;
use crate::role;

use super::cleanup::{self, Farewell};
use super::status::{Progress, Verdict, status_after};
use super::{Context, publish, settled};

/// How many are seen to at once.
const AT_ONCE: usize = 4;

/// How often each is tried, with pauses from 1 s to 1 min. Nobody comes back to it later.
const TRIES: usize = 20;

/// Whether a resource that was heard to be deleted went without our leave.
pub(super) fn is_due(resource: &PinpointEventStreamRole) -> bool {
    settled::is_guarded(resource) && resource.metadata.deletion_timestamp.is_none()
}

/// Lets the roles of vanished resources go until there can be no more.
pub(super) async fn let_go(
    context: &Context,
    vanished: impl Stream<Item = PinpointEventStreamRole>,
) {
    vanished.for_each_concurrent(AT_ONCE, |resource| one(context, resource)).await;
}

async fn one(context: &Context, resource: PinpointEventStreamRole) {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let done = (|| clean_up(context, &resource))
        .retry(ExponentialBuilder::default().with_max_times(TRIES).with_jitter())
        .when(|verdict| verdict.retry().is_some())
        .await;
    match done {
        Ok(farewell) => publish::publish_farewell(&resource, context, farewell).await,
        Err(verdict) => {
            let status = status_after(&resource, &Progress::default(), &verdict, Timestamp::now());
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
    let _worker = context.workers.acquire().await;
    cleanup::clean_up(resource, context, &mut Progress::default()).await
}

/// Whether the resource is there after all, or one of the same name that declares the same role and takes it back by
/// itself.
fn is_declared(context: &Context, resource: &PinpointEventStreamRole) -> bool {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let Some(found) = context.watched.get(&namespace, &name) else { return false };
    let key = |resource| role::role_name(resource).map(|name| name.key()).ok();
    if found.uid() == resource.uid() {
        return true;
    }
    let is_declared_anew = found.0.as_ref().is_ok_and(|found| key(found) == key(resource));
    if is_declared_anew {
        info!(namespace, name, "was declared anew before its role could be let go");
    }
    is_declared_anew
}
