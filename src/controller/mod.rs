//! The loop: watches resources, and for each brings the live role to what it declares and writes down
//! how that went. What should happen is decided in `role` and `status`; here it is made to happen.

mod announce;
mod cleanup;
mod converge;
mod events;
mod lease;
mod neighbours;
mod own_writes;
mod preflight;
mod publish;
mod queue;
mod rbac;
mod reconcile;
mod requeue;
mod resync;
mod settled;
mod status;
mod unreadable;
mod vanished;
mod watched;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::future::try_join_all;
use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::{PredicateConfig, WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{debug, info, warn};

use crate::api::{ConditionType, PinpointEventStreamRole};
use crate::iam::Iam;
use crate::telemetry::{ConditionLabels, Counted, Health, Metrics};

use neighbours::Neighbours;
use own_writes::OwnWrites;
use watched::{Asides, Feed, Watched};

pub use lease::{Claim, Election, LeaseName, Lost};
pub use preflight::{
    ClusterId, ClusterNotReady, denied_but_not_needed, look_at_cluster, wait_for_cluster,
};
pub use rbac::{cluster_role, lease_role};

/// Field manager and event reporter.
pub const CONTROLLER_NAME: &str = "streamrole";

/// How long running reconciles may take to end once the process is asked to stop, and then the last events to
/// be told. With 2 s for the lease and 5 s for traces that is below the 30 s that Kubernetes gives a pod by default.
const DRAIN: Duration = Duration::from_secs(15);
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Resources on one page of the first list. A page is held whole, with all that is dropped before the store.
const LIST_PAGE: u32 = 100;

/// A stored object that does not fit the schema must not hide all others.
type Guarded = DeserializeGuard<PinpointEventStreamRole>;

/// What the controller is told to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to watch; all when empty.
    pub namespaces: Vec<String>,
    /// How often all settled resources are compared with IAM; spread by a tenth either way. Also the longest
    /// pause before a failing one is tried again.
    pub resync: Duration,
    /// How many roles are worked on in IAM at once, over all namespaces.
    pub concurrency: u16,
}

/// What each reconcile needs.
struct Context {
    client: Client,
    iam: Iam,
    cluster: ClusterId,
    events: events::Events,
    metrics: Arc<Metrics>,
    requeue: requeue::Requeue,
    watched: Watched,
    neighbours: Neighbours,
    own_writes: OwnWrites,
    /// One permit for each role that may be worked on in IAM at once.
    workers: Semaphore,
}

/// Who the controller works with.
pub struct Servers {
    /// A client for the cluster.
    pub client: Client,
    /// Which cluster it is.
    pub cluster: ClusterId,
    /// IAM.
    pub iam: Iam,
}

/// How the work ended.
pub struct Ended {
    /// Whether nothing is under way any more, so that another may begin at once. If not, IAM may still be at work on
    /// a last request.
    pub in_order: bool,
    telling: tokio::task::JoinHandle<()>,
}

impl Ended {
    /// Waits until the last events are told, for at most 5 s.
    pub async fn tell(self) {
        if tokio::time::timeout(LAST_WORDS, self.telling).await.is_err() {
            warn!("stopped with events untold");
        }
    }
}

/// Runs until `stop` turns true, then lets running reconciles end, for at most 15 s. Until `elected` is done
/// it watches, so that it can go to work at once, and does nothing else. Events may be left to tell.
pub async fn run(
    options: Options,
    servers: Servers,
    metrics: Arc<Metrics>,
    health: Health,
    elected: impl Future<Output = ()> + Send + 'static,
    stop: watch::Receiver<bool>,
) -> Ended {
    let Servers { client, cluster, iam } = servers;
    let (events, sending) = events::events(client.clone());
    let telling = tokio::spawn(sending);
    let (watched, feeds, asides) = Watched::new(&options.namespaces);
    let context = Arc::new(Context {
        events,
        client: client.clone(),
        iam,
        cluster,
        metrics,
        requeue: requeue::Requeue::new(options.resync),
        watched,
        neighbours: Neighbours::default(),
        own_writes: OwnWrites::new(),
        workers: Semaphore::new(options.concurrency.into()),
    });
    let in_metrics = Arc::downgrade(&context);
    context.metrics.count_with(move || {
        in_metrics.upgrade().map(|context| count(&context)).unwrap_or_default()
    });
    // While some reconciles write to Kubernetes, others keep the workers busy.
    let reconciles = options.concurrency.saturating_mul(2);
    let (listings, controllers): (Vec<_>, FuturesUnordered<_>) = feeds
        .into_iter()
        .map(|feed| {
            let (tell_listed, listed) = oneshot::channel();
            let Feed { namespace, resources, writer, asked } = feed;
            let api = match namespace {
                None => Api::all(client.clone()),
                Some(namespace) => Api::namespaced(client.clone(), &namespace),
            };
            let in_log = Arc::clone(&context);
            let triggers = triggers(api, writer, Arc::clone(&context), tell_listed);
            let controller = Controller::for_stream(triggers, resources)
                .with_config(controller::Config::default().concurrency(reconciles))
                .reconcile_on(asked)
                .graceful_shutdown_on(stopped(stop.clone()))
                .run(reconcile::reconcile, reconcile::after_error, Arc::clone(&context))
                .for_each(move |result| {
                    if let Err(controller::Error::ObjectNotFound(gone)) = &result {
                        in_log.watched.queue.leave(&gone.clone().into_kind_unchecked(()));
                    }
                    log_result(result);
                    futures::future::ready(())
                });
            (listed, controller)
        })
        .unzip();
    let in_resync = Arc::clone(&context);
    let resyncing = tokio::spawn(async move {
        if try_join_all(listings).await.is_ok() {
            health.set_ready();
            info!("watching; ready");
            elected.await;
            in_resync.metrics.leads(true);
            in_resync.own_writes.begin();
            in_resync.watched.begin();
            resync::resync(in_resync, options.resync).await;
        }
    });

    let drained = async {
        let no_more_resyncs = async {
            stopped(stop.clone()).await;
            resyncing.abort();
        };
        let Asides { edited, vanished } = asides;
        let edited = edited.take_until(stopped(stop.clone()));
        let vanished = vanished.take_until(stopped(stop.clone()));
        futures::join!(
            controllers.collect::<()>(),
            no_more_resyncs,
            announce::announce(&context, edited),
            vanished::let_go(&context, vanished),
        );
    };
    let overdue = async {
        stopped(stop.clone()).await;
        tokio::time::sleep(DRAIN).await;
    };
    let in_order = tokio::select! {
        () = drained => true,
        () = overdue => false,
    };
    if in_order {
        info!("stopped");
    } else {
        warn!("stopped with work unfinished after {DRAIN:?}; the next start takes it up");
    }
    Ended { in_order, telling }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that nobody is left to ask for a stop otherwise.
    let _ = stop.wait_for(|stopping| *stopping).await;
}

/// The changes that call for a reconcile; tells once when all resources have been listed.
fn triggers(
    api: Api<Guarded>,
    writer: kube::runtime::reflector::store::Writer<Guarded>,
    context: Arc<Context>,
    tell_listed: oneshot::Sender<()>,
) -> impl Stream<Item = watcher::Result<Guarded>> {
    let mut tell_listed = Some(tell_listed);
    let in_queue = Arc::clone(&context);
    watcher(api, watcher::Config::default().page_size(LIST_PAGE))
        .default_backoff()
        .modify(|resource| resource.managed_fields_mut().clear())
        .reflect(writer)
        // Not Store::wait_until_ready: it wakes only the last of several who wait, and the controller is one.
        .inspect_ok(move |event| {
            context.neighbours.heard(event, &context.watched);
            if let watcher::Event::Delete(DeserializeGuard(Ok(resource))) = event
                && vanished::is_due(resource)
            {
                context.watched.vanished(resource);
            }
            let all_listed = matches!(event, watcher::Event::InitDone);
            if let Some(tell) = tell_listed.take_if(|_| all_listed) {
                // Nobody waits any more when the process is being stopped.
                let _ = tell.send(());
            }
        })
        .applied_objects()
        .predicate_filter(
            |resource: &Guarded| Some(reconcile::trigger(resource)),
            PredicateConfig::default(),
        )
        .inspect_ok(move |resource| drop(in_queue.watched.wait(resource)))
}

/// What the metrics tell of all resources.
fn count(context: &Context) -> Counted {
    let mut conditions = BTreeMap::new();
    for guarded in context.watched.all() {
        let mut count = |condition: &str, status: &str, reason: &str| {
            let [condition, status, reason] = [condition, status, reason].map(str::to_owned);
            *conditions.entry(ConditionLabels { condition, status, reason }).or_default() += 1;
        };
        if let Ok(resource) = &guarded.0 {
            for condition in resource.status.iter().flat_map(|status| &status.conditions) {
                count(&condition.type_, &condition.status, &condition.reason);
            }
        } else {
            // Its status is not read either, but it is known what it says.
            count(ConditionType::Ready.as_str(), "False", unreadable::REASON.as_str());
            count(ConditionType::Stalled.as_str(), "True", unreadable::REASON.as_str());
        }
    }
    Counted { queue_depth: context.watched.queue.depth(), conditions }
}

type ControllerError = controller::Error<reconcile::Error, watcher::Error>;

fn log_result(result: Result<(ObjectRef<Guarded>, Action), ControllerError>) {
    match result {
        Ok((resource, action)) => debug!(%resource, ?action, "reconciled"),
        Err(controller::Error::ObjectNotFound(resource)) => {
            debug!(%resource, "gone before its turn");
        }
        Err(controller::Error::ReconcilerFailed(reconcile::Error::Unknown, resource)) => {
            debug!(%resource, "unknown to the API server");
        }
        Err(controller::Error::ReconcilerFailed(error, resource)) => {
            let (name, namespace) = (resource.name, resource.namespace);
            warn!(namespace, name, "{error}");
        }
        Err(controller::Error::QueueError(error)) => {
            warn!(
                "watching PinpointEventStreamRoles was interrupted and is taken up again: {error}"
            );
        }
        Err(controller::Error::RunnerError(error)) => warn!("the work queue failed: {error}"),
    }
}
