//! The loop: watches resources, and for each brings the live role to what it declares and writes down
//! how that went. What should happen is decided in `role` and `status`; here it is made to happen.

mod announce;
mod api_server;
mod cleanup;
mod converge;
mod events;
mod index;
mod lease;
mod own_writes;
mod preflight;
mod publish;
mod queue;
mod rbac;
mod reconcile;
mod requeue;
mod resync;
mod runner;
mod schedule;
mod settled;
mod status;
mod unreadable;
mod vanished;
mod watches;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use kube::{Client, ResourceExt as _};
use tokio::sync::{Semaphore, oneshot, watch};
use tracing::{info, warn};

use crate::api::{ConditionType, Reason};
use crate::iam::Iam;
use crate::role::Defaults;
use crate::telemetry::{ConditionLabels, Counted, Health, Metrics};

use index::{Guarded, Index};
use own_writes::OwnWrites;
use runner::Worker;
use schedule::{Asides, Schedule};
use watches::Watches;
use writers::Writers;

pub use api_server::ApiServer;
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
    /// What every role gets, whoever declares it.
    pub defaults: Defaults,
}

/// What each reconcile needs.
struct Context {
    client: Client,
    iam: Iam,
    cluster: ClusterId,
    defaults: Arc<Defaults>,
    events: events::Events,
    metrics: Arc<Metrics>,
    requeue: requeue::Requeue,
    schedule: Schedule,
    own_writes: OwnWrites,
    writers: Writers,
    /// One permit for each role that may be worked on in IAM at once.
    workers: Arc<Semaphore>,
    /// How many wait for one.
    waiting: AtomicUsize,
}

impl Context {
    /// Leave to work on a role in IAM, once there is one.
    async fn worker(&self) -> Worker {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = Arc::clone(&self.workers).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        match permit {
            Ok(permit) => Worker::with(permit),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// The resource is gone: nothing of it is remembered.
    fn forget(&self, resource: &Guarded) {
        self.requeue.forget_object(&resource.uid().unwrap_or_default());
    }
}

/// Who the controller works with.
pub struct Servers {
    /// A client for the cluster.
    pub client: Client,
    /// A client for the watches, from [`ApiServer::watching_client`].
    pub watching: Client,
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
    let Servers { client, watching, cluster, iam } = servers;
    let (events, sending) = events::events(client.clone(), Arc::clone(&metrics));
    let telling = tokio::spawn(sending);
    // While some reconciles of a namespace write to Kubernetes, others wait for a worker, so that none is idle; the rest
    // of the places is for other namespaces.
    let share = usize::from(options.concurrency) * 2;
    let at_once = share + usize::from(options.concurrency);
    let defaults = Arc::new(options.defaults);
    let index = Index::new(&options.namespaces, cluster.as_str(), Arc::clone(&defaults));
    let (schedule, asides) = Schedule::new(index, share);
    let context = Arc::new(Context {
        events,
        client: client.clone(),
        iam,
        cluster,
        defaults,
        metrics,
        requeue: requeue::Requeue::new(options.resync),
        schedule,
        own_writes: OwnWrites::new(),
        writers: Writers::default(),
        workers: Arc::new(Semaphore::new(options.concurrency.into())),
        waiting: AtomicUsize::new(0),
    });
    let watches = Arc::new(Watches::of(&options.namespaces));
    let (in_metrics, counted) = (Arc::downgrade(&context), Arc::clone(&watches));
    context.metrics.count_with(move || {
        in_metrics.upgrade().map(|context| count(&context, &counted)).unwrap_or_default()
    });
    // Reconciles that end may wait for what the watches see: the watches stop after them.
    let (end_watches, no_watches) = watch::channel(false);
    let (listings, watching): (Vec<_>, Vec<_>) = watches
        .iter()
        .map(|watch| {
            let (tell_listed, listed) = oneshot::channel();
            (listed, watch.run(&context, watching.clone(), tell_listed, no_watches.clone()))
        })
        .unzip();
    let (in_resync, seen) = (Arc::clone(&context), Arc::clone(&watches));
    let resyncing = tokio::spawn(async move {
        if try_join_all(listings).await.is_ok() {
            health.set_ready(move || seen.problem());
            info!("watching; ready");
            elected.await;
            in_resync.metrics.leads(true);
            let inherited = in_resync.schedule.index.all().into_iter();
            in_resync.own_writes.begin(inherited.filter_map(|resource| resource.uid()));
            in_resync.schedule.begin();
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
        let reconciling = async {
            futures::join!(
                runner::work(Arc::clone(&context), at_once, stop.clone()),
                no_more_resyncs,
                announce::announce(&context, edited),
                vanished::let_go(&context, vanished),
            );
            end_watches.send_replace(true);
        };
        futures::join!(join_all(watching), reconciling);
    };
    let overdue = async {
        stopped(stop.clone()).await;
        tokio::time::sleep(DRAIN).await;
    };
    let in_order = tokio::select! {
        () = drained => !context.iam.may_be_at_work(),
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

/// What the metrics tell of all resources. Statuses can be written by others too: what is none of the program's own
/// conditions and reasons is not counted.
fn count(context: &Context, watches: &Watches) -> Counted {
    let mut conditions = BTreeMap::new();
    let mut count = |condition: ConditionType, status: &'static str, reason: Reason| {
        let (condition, reason) = (condition.as_str(), reason.as_str());
        *conditions.entry(ConditionLabels { condition, status, reason }).or_default() += 1;
    };
    for guarded in context.schedule.index.all() {
        if let Ok(resource) = &guarded.0 {
            for condition in resource.status.iter().flat_map(|status| &status.conditions) {
                let known =
                    ConditionType::parse(&condition.type_).zip(Reason::parse(&condition.reason));
                let statuses = ["True", "False", "Unknown"];
                let status = statuses.into_iter().find(|status| *status == condition.status);
                if let (Some((type_, reason)), Some(status)) = (known, status) {
                    count(type_, status, reason);
                }
            }
        } else {
            // Its status is not read either, but it is known what it says.
            count(ConditionType::Ready, "False", unreadable::REASON);
            count(ConditionType::Stalled, "True", unreadable::REASON);
        }
    }
    let waiting = context.waiting.load(Ordering::Relaxed);
    Counted {
        queue_depth: context.schedule.queue.depth() + waiting,
        watch_age: watches.age(),
        watches_denied: watches.denied(),
        conditions,
    }
}
