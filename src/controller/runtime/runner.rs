//! Assigns the queued resources to workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::super::index::Key;
use super::schedule::Schedule;
use super::stop::stopped;

/// The limit of concurrent reconciles in IAM, over all namespaces.
pub(crate) struct Workers {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A permit to reconcile a role in IAM. It is released as soon as only writes to Kubernetes remain, so that the workers
/// stay busy.
pub(crate) struct Worker {
    _permit: OwnedSemaphorePermit,
}

impl Workers {
    pub(crate) fn new(number: u16) -> Self {
        let permits = Arc::new(Semaphore::new(number.into()));
        Self { permits, waiting: AtomicUsize::new(0) }
    }

    /// Waits for a permit to reconcile a role in IAM.
    pub(crate) async fn worker(&self) -> Worker {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match permit {
            Ok(permit) => Worker { _permit: permit },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// The number of reconciles that wait for a permit.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Reconciles the queued resources until the process stops, in turn by namespace and at most `at_once` concurrently.
/// Then waits for running reconciles to end. A reconcile returns when to requeue its resource.
pub(crate) async fn work<F>(
    schedule: &Schedule,
    at_once: usize,
    stop: watch::Receiver<bool>,
    reconcile: impl Fn(Key) -> F,
) where
    F: Future<Output = Option<Duration>> + Send + 'static,
{
    let mut running: FuturesUnordered<BoxFuture<'static, (Key, Option<Duration>)>> =
        FuturesUnordered::new();
    let stopping = stopped(stop);
    let mut stopping = std::pin::pin!(stopping.fuse());
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            Some((done, pause)) = running.next(), if !running.is_empty() => {
                if let Some(pause) = pause {
                    schedule.queue.add_at(done.clone(), Instant::now() + pause);
                }
                schedule.queue.done(&done);
            }
            () = schedule.queue.filled(), if running.len() < at_once => {
                if let Some(key) = schedule.queue.take(Instant::now()) {
                    let reconciled = reconcile(key.clone());
                    running.push(reconciled.map(move |pause| (key, pause)).boxed());
                }
            }
        }
    }
    while running.next().await.is_some() {}
}
