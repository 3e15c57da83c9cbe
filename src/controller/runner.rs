//! Keeps the index as the watches tell, and the workers busy with what waits in the queue.

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kube::api::WatchParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::{debug, warn};

use super::index::Key;
use super::reconcile::{self, Error};
use super::{Context, Guarded, stopped, vanished};

/// Resources on one page of a list, where the API server does not stream it. A page is held whole, with all that is
/// dropped before the index, and each object can be as large as the API server allows.
const LIST_PAGE: u32 = 10;

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

/// Watches the resources of `namespace` (`None`: of all) until it is stopped. Tells once when all have been listed.
pub(super) async fn watch(
    context: Arc<Context>,
    api: Api<Guarded>,
    namespace: Option<String>,
    listed: oneshot::Sender<()>,
    stop: watch::Receiver<bool>,
) {
    let config = if streams_lists(&api).await {
        watcher::Config::default().streaming_lists()
    } else {
        watcher::Config::default().page_size(LIST_PAGE)
    };
    let mut listed = Some(listed);
    let events = watcher(api, config).default_backoff().take_until(stopped(stop));
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let is_listed = matches!(event, watcher::Event::InitDone);
                for gone in context.schedule.hear(namespace.as_deref(), event) {
                    context.forget(&gone);
                    vanished::tell_if_unexpected(&context, &gone);
                }
                if let Some(listed) = listed.take_if(|_| is_listed) {
                    // The other end is gone when the process is being stopped.
                    let _ = listed.send(());
                }
            }
            Err(error) => {
                warn!("watching PinpointEventStreamRoles was interrupted; retrying: {error}");
            }
        }
    }
}

/// Whether the API server sends a list as a stream of events, which keeps one object at a time in memory (Kubernetes,
/// "Streaming lists"; a feature that can be off). One request, ended as soon as it is answered.
async fn streams_lists(api: &Api<Guarded>) -> bool {
    let params = WatchParams { send_initial_events: true, ..WatchParams::default() };
    match api.watch(&params, "0").await {
        Ok(_) => true,
        Err(error) => {
            debug!("lists come in pages: {error}");
            false
        }
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
                Error::Unknown => debug!(namespace, name, "{error}"),
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
