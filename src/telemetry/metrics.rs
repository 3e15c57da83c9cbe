//! Metrics. A metric that controller-runtime also has gets the same name. Label values are bounded: results,
//! conditions, IAM actions and HTTP statuses, never names of objects.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReconcileLabels {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResyncLabels {
    method: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ActionLabels {
    action: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IamLabels {
    action: String,
    status: String,
    code: &'static str,
}

/// A condition of a resource. Its parts come from enums of the program.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConditionLabels {
    /// The kind of the resource.
    pub kind: &'static str,
    /// Type of the condition.
    pub condition: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// The reason.
    pub reason: &'static str,
}

/// Values that are counted for each scrape.
#[derive(Debug, Default)]
pub struct Counted {
    /// Resources that wait for a worker.
    pub queue_depth: usize,
    /// The longest time since a watch last delivered anything.
    pub watch_age: Duration,
    /// Watches that the API server denies.
    pub watches_denied: usize,
    /// The number of resources for each condition.
    pub conditions: BTreeMap<ConditionLabels, usize>,
}

type Count = Box<dyn Fn() -> Counted + Send + Sync>;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Counter,
    reconcile_duration: Histogram,
    active_workers: Gauge,
    queue_depth: Gauge,
    watch_age: Gauge<f64, AtomicU64>,
    watches_denied: Gauge,
    iam_requests: Family<IamLabels, Counter>,
    iam_throttled: Family<ActionLabels, Counter>,
    drift_found: Counter,
    drift_repaired: Counter,
    resources: Family<ConditionLabels, Gauge>,
    resyncs: Family<ResyncLabels, Counter>,
    last_resync: Gauge<f64, AtomicU64>,
    snapshot_denied: Gauge,
    leader: Gauge,
    orphaned_roles: Gauge,
    events_dropped: Counter,
    count: OnceLock<Count>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut all = Self {
            registry: Registry::with_prefix("streamrole"),
            reconciles: Family::default(),
            reconcile_errors: Counter::default(),
            // 1 ms to about 65 s.
            reconcile_duration: Histogram::new(exponential_buckets(0.001, 2.0, 17)),
            active_workers: Gauge::default(),
            queue_depth: Gauge::default(),
            watch_age: Gauge::default(),
            watches_denied: Gauge::default(),
            iam_requests: Family::default(),
            iam_throttled: Family::default(),
            drift_found: Counter::default(),
            drift_repaired: Counter::default(),
            resources: Family::default(),
            resyncs: Family::default(),
            last_resync: Gauge::default(),
            snapshot_denied: Gauge::default(),
            leader: Gauge::default(),
            orphaned_roles: Gauge::default(),
            events_dropped: Counter::default(),
            count: OnceLock::new(),
        };
        all.register();
        all
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running program", build);
        registry.register(
            "reconciles",
            "Reconciles that reached an outcome, by kind of resource and reason of the Ready condition",
            self.reconciles.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Reconciles that could not write their outcome to Kubernetes",
            self.reconcile_errors.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "How long a reconcile took",
            Unit::Seconds,
            self.reconcile_duration.clone(),
        );
        registry.register(
            "active_workers",
            "Reconciles that are running",
            self.active_workers.clone(),
        );
        registry.register(
            "queue_depth",
            "Resources that wait for a worker",
            self.queue_depth.clone(),
        );
        registry.register_with_unit(
            "watch_age",
            "Seconds since the API server last sent anything on a watch; the longest of all watches",
            Unit::Seconds,
            self.watch_age.clone(),
        );
        registry.register(
            "watches_denied",
            "Watched namespaces that the API server denies",
            self.watches_denied.clone(),
        );
        registry.register(
            "iam_requests",
            "Requests sent to IAM, by action, HTTP status and code of the answer (none: no answer, or no error)",
            self.iam_requests.clone(),
        );
        registry.register(
            "iam_throttled",
            "Requests that IAM throttled, by action",
            self.iam_throttled.clone(),
        );
        registry.register(
            "drift_found",
            "Number of times that drift was detected",
            self.drift_found.clone(),
        );
        registry.register(
            "drift_repaired",
            "Number of times that drift was repaired",
            self.drift_repaired.clone(),
        );
        registry.register("resources", "Resources by kind and condition", self.resources.clone());
        registry.register("resyncs", "Resyncs, by method", self.resyncs.clone());
        registry.register_with_unit(
            "last_resync_timestamp",
            "When the last resync completed, in Unix time; 0 if none has completed",
            Unit::Seconds,
            self.last_resync.clone(),
        );
        registry.register(
            "snapshot_denied",
            "1 while IAM denies the lists of the account that make a resync cheap",
            self.snapshot_denied.clone(),
        );
        registry.register(
            "leader",
            "Whether this process is the leader, 1 or 0",
            self.leader.clone(),
        );
        registry.register(
            "orphaned_roles",
            "Roles with this cluster's ownership tags whose resource is gone or declares another role, at the last resync that listed the account",
            self.orphaned_roles.clone(),
        );
        registry.register(
            "events_dropped",
            "Kubernetes events that were dropped because the queue was full or the API server rejected them",
            self.events_dropped.clone(),
        );
    }

    /// Calls `count` for each scrape. Only the first call has an effect.
    pub fn count_with(&self, count: impl Fn() -> Counted + Send + Sync + 'static) {
        let _ = self.count.set(Box::new(count));
    }

    /// Counts a reconcile as running until the guard is dropped, and measures its duration.
    #[must_use]
    pub fn reconcile_started(&self) -> impl Drop + use<> {
        self.active_workers.inc();
        Running {
            active_workers: self.active_workers.clone(),
            duration: self.reconcile_duration.clone(),
            since: std::time::Instant::now(),
        }
    }

    /// Counts a reconcile of a resource of this kind that ended with this reason on the Ready condition.
    pub fn reconciled(&self, kind: &'static str, reason: &'static str) {
        self.reconciles.get_or_create(&ReconcileLabels { kind, reason }).inc();
    }

    /// Counts a reconcile that could not write its outcome.
    pub fn reconcile_failed(&self) {
        self.reconcile_errors.inc();
    }

    /// Counts a request to IAM with the HTTP status of its answer, if any, and the code of an error. `throttled` means
    /// that IAM throttled it.
    pub fn iam_request(
        &self,
        action: String,
        status: Option<u16>,
        code: Option<&'static str>,
        throttled: bool,
    ) {
        if throttled {
            self.iam_throttled.get_or_create(&ActionLabels { action: action.clone() }).inc();
        }
        let status = status.map_or_else(|| "none".into(), |status| status.to_string());
        let code = code.unwrap_or("none");
        self.iam_requests.get_or_create(&IamLabels { action, status, code }).inc();
    }

    /// Counts drift on a role.
    pub fn drift_found(&self) {
        self.drift_found.inc();
    }

    /// Counts a repair of drift.
    pub fn drift_repaired(&self) {
        self.drift_repaired.inc();
    }

    /// Records how roles are compared; `denied` when IAM denies the preferred method.
    pub fn resynced(&self, method: &'static str, denied: bool) {
        self.resyncs.get_or_create(&ResyncLabels { method }).inc();
        self.snapshot_denied.set(denied.into());
    }

    /// Records the Unix time, in seconds, at which a resync ended or found nothing to compare.
    pub fn resync_ended(&self, at: f64) {
        self.last_resync.set(at);
    }

    /// Records the number of roles of this cluster without a resource.
    pub fn orphans(&self, number: usize) {
        self.orphaned_roles.set(as_gauge(number));
    }

    /// Counts an event that was not written.
    pub fn event_dropped(&self) {
        self.events_dropped.inc();
    }

    /// Records whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// The metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn encode(&self) -> String {
        if let Some(count) = self.count.get() {
            let Counted { queue_depth, watch_age, watches_denied, conditions } = count();
            self.queue_depth.set(as_gauge(queue_depth));
            self.watch_age.set(watch_age.as_secs_f64());
            self.watches_denied.set(as_gauge(watches_denied));
            self.resources.clear();
            for (labels, number) in conditions {
                self.resources.get_or_create(&labels).set(as_gauge(number));
            }
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn as_gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

struct Running {
    active_workers: Gauge,
    duration: Histogram,
    since: std::time::Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.active_workers.dec();
        self.duration.observe(self.since.elapsed().max(Duration::ZERO).as_secs_f64());
    }
}
