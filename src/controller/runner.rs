//! Keeps the workers busy with what waits in the queue.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kube::ResourceExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tracing::{debug, warn};

use super::index::Key;
use super::reconcile::{self, Error};
use super::{Context, stopped};

/// Leave to work on a role in IAM. It is given back as soon as only Kubernetes is left to write to, so that the workers
/// stay busy.
pub(super) struct Worker {
    _permit: OwnedSemaphorePermit,
}

impl Worker {
    pub(super) const fn with(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// Reconciles what waits, in turn by namespace, until it is stopped; then lets running reconciles end.
pub(super) async fn work(context: Arc<Context>, at_once: usize, stop: watch::Receiver<bool>) {
    let mut running: FuturesUnordered<BoxFuture<'static, Key>> = FuturesUnordered::new();
    let stopping = stopped(stop);
    let mut stopping = std::pin::pin!(stopping.fuse());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            Some(done) = running.next(), if !running.is_empty() => context.schedule.queue.done(&done),
            () = context.schedule.queue.filled(), if running.len() < at_once => {
                if let Some(key) = context.schedule.queue.take(Instant::now()) {
                    running.push(one(Arc::clone(&context), key).boxed());
                }
            }
        }
    }
    while running.next().await.is_some() {}
}

async fn one(context: Arc<Context>, key: Key) -> Key {
    let Some(mut resource) = context.schedule.index.get(&key) else { return key };
    let mut worker = None;
    if reconcile::needs_worker(&resource) {
        worker = Some(context.worker().await);
        // As it is after the wait.
        let Some(latest) = context.schedule.index.get(&key) else { return key };
        resource = latest;
    }
    let pause = match reconcile::reconcile(&resource, &context, worker).await {
        Ok(pause) => pause,
        Err(error) => {
            let (namespace, name) = (resource.namespace(), resource.name_any());
            match &error {
                // That the API server does not answer is said once, for all requests.
                Error::Kube(kube::Error::HyperError(_) | kube::Error::Service(_))
                | Error::Unknown => debug!(namespace, name, "{error}"),
                Error::Kube(_) | Error::CleanupPending(_) | Error::Incomplete(_) => {
                    warn!(namespace, name, "{error}");
                }
            }
            reconcile::pause_after_error(&resource, &error, &context)
        }
    };
    if let Some(pause) = pause {
        context.schedule.queue.add_at(key.clone(), Instant::now() + pause);
    }
    key
}
