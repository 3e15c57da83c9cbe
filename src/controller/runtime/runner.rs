//! Keeps the workers busy with what waits in the queue.

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

/// Leave to work on roles in IAM at once, over all namespaces.
pub(crate) struct Workers {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Leave to work on a role in IAM. It is released as soon as only Kubernetes is left to write to, so that the workers stay
/// busy.
pub(crate) struct Worker {
    _permit: OwnedSemaphorePermit,
}

impl Workers {
    pub(crate) fn new(number: u16) -> Self {
        let permits = Arc::new(Semaphore::new(number.into()));
        Self { permits, waiting: AtomicUsize::new(0) }
    }

    /// Leave to work on a role in IAM, once there is one.
    pub(crate) async fn worker(&self) -> Worker {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match permit {
            Ok(permit) => Worker { _permit: permit },
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many wait for one.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Reconciles what waits, in turn by namespace and at most so many at once, until it is stopped; then lets running
/// reconciles end. What a reconcile returns is when it comes again.
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
