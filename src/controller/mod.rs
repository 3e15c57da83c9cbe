//! The controller: watches resources, makes each live role match its spec, and reports the result. `role` and the pure
//! modules here decide; the other modules act.

mod election;
mod error;
mod index;
mod lifecycle;
mod preflight;
mod reconcile;
mod report;
mod resync;
mod runtime;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{join_all, try_join_all};
use kube::Client;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use crate::api::{ConditionType, KINDS, Reason};
use crate::role::{ClusterId, Defaults, Roles};
use crate::telemetry::{ConditionLabels, Counted, Health, Metrics};
use crate::timing::Timing;

use index::{Index, Key};
use reconcile::{Account, Reconciler};
use report::Reporter;
use runtime::{Requeue, Schedule, SideEvents, Watches, stopped};

pub use election::{Election, Leadership, LeaseName, Lost};
pub use preflight::{
    ClusterNotReady, cluster_role, denied_but_not_needed, lease_role, look_at_cluster,
    wait_for_cluster,
};
pub use runtime::ApiServer;

/// The settings of the controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespaces to watch; all when empty.
    pub namespaces: Vec<String>,
    /// The interval of the resync, with a jitter of a tenth. Also the longest pause before a failing resource is
    /// retried.
    pub resync: Duration,
    /// The most roles that are reconciled in IAM concurrently, over all namespaces.
    pub concurrency: u16,
    /// The defaults of every role.
    pub defaults: Defaults,
    /// The waits.
    pub timing: Timing,
}

/// The servers that the controller uses.
pub struct Servers {
    /// A client for the cluster.
    pub client: Client,
    /// A client for the watches, from [`ApiServer::watching_client`].
    pub watching: Client,
    /// The identity of the cluster.
    pub cluster: ClusterId,
    /// The roles of the account.
    pub roles: Arc<dyn Roles>,
}

/// How the work ended.
pub struct Ended {
    /// Whether everything has ended, so that another replica can start immediately. If not, IAM may still be processing
    /// a last request.
    pub in_order: bool,
    sending: tokio::task::JoinHandle<()>,
    flush: Duration,
}

impl Ended {
    /// Waits until the last events are sent, for a limited time.
    pub async fn flush_events(self) {
        if tokio::time::timeout(self.flush, self.sending).await.is_err() {
            warn!("stopped before all events were sent");
        }
    }
}

/// Runs until `stop` turns true, then waits a limited time for running reconciles. Until `elected` resolves it only
/// watches, so that it can start work immediately. Events can remain to be sent.
pub async fn run(
    options: Options,
    servers: Servers,
    metrics: Arc<Metrics>,
    health: Health,
    elected: impl Future<Output = ()> + Send + 'static,
    stop: watch::Receiver<bool>,
) -> Ended {
    let timing = options.timing;
    let watching = servers.watching.clone();
    let (parts, sending) = Parts::new(&options, servers, metrics);
    let sending = tokio::spawn(sending);
    let Parts { account, schedule, reconciler, side_events, resync, metrics } = parts;
    // While some reconciles of a namespace write to Kubernetes, others wait for a worker, so that no worker is idle.
    // The remaining slots are for other namespaces.
    let at_once = usize::from(options.concurrency) * 3;
    let watches = Arc::new(Watches::of(&KINDS, &options.namespaces, &timing));
    let counting = (Arc::downgrade(&schedule), Arc::downgrade(&account), Arc::clone(&watches));
    metrics.count_with(move || {
        let (schedule, account, watches) = &counting;
        let alive = schedule.upgrade().zip(account.upgrade());
        alive.map(|(schedule, account)| count(&schedule, &account, watches)).unwrap_or_default()
    });
    // Ending reconciles can wait for an event of a watch, so the watches stop after them.
    let (end_watches, no_watches) = watch::channel(false);
    let (listings, watching): (Vec<_>, Vec<_>) = watches
        .iter()
        .map(|watch| {
            let (signal_listed, listed) = oneshot::channel();
            let on_gone = |object: &_| {
                reconciler.forget(object);
                reconcile::report_orphan(&reconciler, object);
            };
            let (client, stop) = (watching.clone(), no_watches.clone());
            (listed, watch.run(&schedule, client, on_gone, signal_listed, stop))
        })
        .unzip();
    let seen = Arc::clone(&watches);
    let leading = Arc::clone(&metrics);
    let resyncing = tokio::spawn(async move {
        if try_join_all(listings).await.is_ok() {
            health.set_ready(move || seen.problem());
            info!("watching; ready");
            elected.await;
            leading.leads(true);
            let inherited = resync.schedule.index.uids();
            resync.account.ledger.begin(inherited.into_iter());
            resync.schedule.activate();
            resync::resync(resync, options.resync).await;
        }
    });

    let drained = async {
        let no_more_resyncs = async {
            stopped(stop.clone()).await;
            resyncing.abort();
        };
        let SideEvents { edited, orphaned } = side_events;
        let edited = edited.take_until(stopped(stop.clone()));
        let orphaned = orphaned.take_until(stopped(stop.clone()));
        let reconcile = |key: Key| {
            let reconciler = Arc::clone(&reconciler);
            async move { reconciler.run(&key).await }
        };
        let reconciling = async {
            futures::join!(
                runtime::work(&schedule, at_once, stop.clone(), reconcile),
                no_more_resyncs,
                report::acknowledge(&reconciler.reporter, edited),
                reconcile::clean_up_orphans(&reconciler, orphaned),
            );
            end_watches.send_replace(true);
        };
        futures::join!(join_all(watching), reconciling);
    };
    let overdue = async {
        stopped(stop.clone()).await;
        tokio::time::sleep(timing.drain).await;
    };
    let in_order = tokio::select! {
        () = drained => !account.roles.may_be_at_work(),
        () = overdue => false,
    };
    if in_order {
        info!("stopped");
    } else {
        warn!(
            "shutdown timed out after {:?}; unfinished work resumes at the next start",
            timing.drain
        );
    }
    Ended { in_order, sending, flush: timing.event_flush }
}

/// The parts of the controller, each with its dependencies.
struct Parts {
    account: Arc<Account>,
    schedule: Arc<Schedule>,
    reconciler: Arc<Reconciler>,
    side_events: SideEvents,
    resync: resync::Parts,
    metrics: Arc<Metrics>,
}

impl Parts {
    /// The parts, and the task that sends events.
    fn new(
        options: &Options,
        servers: Servers,
        metrics: Arc<Metrics>,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let Servers { client, watching: _, cluster, roles } = servers;
        let timing = options.timing;
        let defaults = Arc::new(options.defaults.clone());
        let index = Index::new(
            &options.namespaces,
            cluster.as_str(),
            Arc::clone(&defaults),
            timing.reservation,
        );
        // One namespace gets twice as many slots as there are workers.
        let (schedule, side_events) = Schedule::new(index, usize::from(options.concurrency) * 2);
        let schedule = Arc::new(schedule);
        let requeue = Arc::new(Requeue::new(options.resync, &timing));
        let account = Arc::new(Account::new(roles, options.concurrency, &timing));
        let (events, sending) =
            report::events(client.clone(), Arc::clone(&metrics), timing.event_timeout);
        let reporter = Arc::new(Reporter {
            client: client.clone(),
            schedule: Arc::clone(&schedule),
            requeue: Arc::clone(&requeue),
            events,
            metrics: Arc::clone(&metrics),
            timing,
        });
        let resync = resync::Parts {
            account: Arc::clone(&account),
            cluster: cluster.clone(),
            defaults: Arc::clone(&defaults),
            schedule: Arc::clone(&schedule),
            requeue: Arc::clone(&requeue),
            metrics: Arc::clone(&metrics),
            timing,
        };
        let reconciler = Arc::new(Reconciler {
            client,
            account: Arc::clone(&account),
            cluster,
            defaults,
            schedule: Arc::clone(&schedule),
            requeue,
            reporter,
            metrics: Arc::clone(&metrics),
            timing,
        });
        (Self { account, schedule, reconciler, side_events, resync, metrics }, sending)
    }
}

/// The resources by condition, for the metrics. Others can write statuses too: conditions and reasons that the program
/// does not define are not counted.
fn count(schedule: &Schedule, account: &Account, watches: &Watches) -> Counted {
    let mut conditions = BTreeMap::new();
    for object in schedule.index.all() {
        let kind = object.kind().name;
        let mut count = |condition: ConditionType, status: &'static str, reason: Reason| {
            let (condition, reason) = (condition.as_str(), reason.as_str());
            *conditions.entry(ConditionLabels { kind, condition, status, reason }).or_default() +=
                1;
        };
        if let Ok(resource) = &object.0 {
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
            // Its status is not parsed either, but its content is known.
            count(ConditionType::Ready, "False", reconcile::INVALID_OBJECT);
            count(ConditionType::Stalled, "True", reconcile::INVALID_OBJECT);
        }
    }
    Counted {
        queue_depth: schedule.queue.depth() + account.workers.waiting(),
        watch_age: watches.age(),
        watches_denied: watches.denied(),
        conditions,
    }
}
