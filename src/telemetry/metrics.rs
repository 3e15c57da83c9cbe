//! Metrics, named as controller-runtime names them where it has the same thing. Label values are bounded:
//! results, IAM actions and HTTP statuses, never names of objects.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReconcileLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ResyncLabels {
    method: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IamLabels {
    action: String,
    status: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Counter,
    reconcile_time: Histogram,
    active_workers: Gauge,
    iam_requests: Family<IamLabels, Counter>,
    resyncs: Family<ResyncLabels, Counter>,
    snapshot_denied: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("streamrole");
        let reconciles = Family::default();
        let reconcile_errors = Counter::default();
        // 1 ms to about 65 s.
        let reconcile_time = Histogram::new(exponential_buckets(0.001, 2.0, 17));
        let active_workers = Gauge::default();
        let iam_requests = Family::default();
        let resyncs = Family::default();
        let snapshot_denied = Gauge::default();
        registry.register(
            "reconcile",
            "Reconciles that reached an outcome, by the reason of the Ready condition",
            reconciles.clone(),
        );
        registry.register(
            "reconcile_errors",
            "Reconciles that could not write their outcome to Kubernetes",
            reconcile_errors.clone(),
        );
        registry.register_with_unit(
            "reconcile_time",
            "Time that a reconcile took",
            Unit::Seconds,
            reconcile_time.clone(),
        );
        registry.register("active_workers", "Reconciles that are running", active_workers.clone());
        registry.register(
            "iam_requests",
            "Requests sent to IAM, by action and HTTP status of the answer (none: no answer)",
            iam_requests.clone(),
        );
        registry.register("resyncs", "Resyncs, by how the roles were looked at", resyncs.clone());
        registry.register(
            "snapshot_denied",
            "1 while IAM denies the lists of the account that make a resync cheap",
            snapshot_denied.clone(),
        );
        Self {
            registry,
            reconciles,
            reconcile_errors,
            reconcile_time,
            active_workers,
            iam_requests,
            resyncs,
            snapshot_denied,
        }
    }
}

impl Metrics {
    /// Counts a reconcile as running until the guard is dropped, and times it.
    #[must_use]
    pub fn reconcile_started(&self) -> impl Drop + use<> {
        self.active_workers.inc();
        Running {
            active_workers: self.active_workers.clone(),
            time: self.reconcile_time.clone(),
            since: std::time::Instant::now(),
        }
    }

    /// A reconcile ended with this reason on the Ready condition.
    pub fn reconciled(&self, reason: &'static str) {
        self.reconciles.get_or_create(&ReconcileLabels { reason }).inc();
    }

    /// A reconcile could not write its outcome.
    pub fn reconcile_failed(&self) {
        self.reconcile_errors.inc();
    }

    /// A request went to IAM and was answered with this HTTP status, or not at all.
    pub fn iam_request(&self, action: String, status: Option<u16>) {
        let status = status.map_or_else(|| "none".into(), |status| status.to_string());
        self.iam_requests.get_or_create(&IamLabels { action, status }).inc();
    }

    /// All roles were compared by this method; `denied` when it is not the one of choice.
    pub fn resynced(&self, method: &'static str, denied: bool) {
        self.resyncs.get_or_create(&ResyncLabels { method }).inc();
        self.snapshot_denied.set(denied.into());
    }

    /// The metrics in the `OpenMetrics` text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

struct Running {
    active_workers: Gauge,
    time: Histogram,
    since: std::time::Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.active_workers.dec();
        self.time.observe(self.since.elapsed().max(Duration::ZERO).as_secs_f64());
    }
}
