//! The whole controller in the process of the test, between an API server and an account in memory. The clock jumps to
//! the next timer, so minutes pass in milliseconds.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod cluster;
mod roles;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::core::Object;
use serde_json::{Value, json};
use streamrole::api::RoleStatus;
use streamrole::controller::{self, Options, Servers};
use streamrole::role::{ClusterId, Defaults};
use streamrole::service::FIRST_KIND;
use streamrole::telemetry::{Health, Metrics};
use streamrole::timing::Timing;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use cluster::MemoryCluster;
pub use roles::{MemoryRoles, action_of, apply_write};

use crate::{check_status, kinesis_arn};

/// The namespace of the tests.
pub const NAMESPACE: &str = "ns";

/// The identity of the cluster in memory.
pub const CLUSTER: &str = "c1";

/// The longest wait for anything, on the paused clock.
const LONGEST: Duration = Duration::from_hours(2);

/// A controller in this process. Its runtime's clock must be paused.
pub struct InProcess {
    /// The API server.
    pub cluster: MemoryCluster,
    /// The account.
    pub roles: MemoryRoles,
    /// Its metrics.
    pub metrics: Arc<Metrics>,
    namespaces: Vec<String>,
    running: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

impl InProcess {
    /// A controller that resyncs every ten minutes.
    #[must_use]
    pub fn new() -> Self {
        let mut this = Self::stopped();
        this.start();
        this
    }

    /// A cluster and an account without a controller.
    #[must_use]
    pub fn stopped() -> Self {
        Self {
            cluster: MemoryCluster::default(),
            roles: MemoryRoles::default(),
            metrics: Arc::default(),
            namespaces: Vec::new(),
            running: None,
        }
    }

    /// A controller that watches these namespaces only.
    #[must_use]
    pub fn watching(namespaces: &[&str]) -> Self {
        let mut this = Self::stopped();
        this.namespaces = namespaces.iter().map(|namespace| (*namespace).to_owned()).collect();
        this.start();
        this
    }

    /// Starts the controller.
    pub fn start(&mut self) {
        let options = Options {
            namespaces: self.namespaces.clone(),
            resync: Duration::from_mins(10),
            concurrency: 10,
            defaults: Defaults::default(),
            timing: Timing { now, ..Timing::default() },
        };
        let servers = Servers {
            client: self.cluster.client(),
            watching: self.cluster.client(),
            cluster: ClusterId::of_uid(CLUSTER.into()),
            roles: Arc::new(self.roles.clone()),
        };
        self.metrics = Arc::default();
        let (stop, stopping) = watch::channel(false);
        let elected = std::future::ready(());
        let metrics = Arc::clone(&self.metrics);
        let run = controller::run(options, servers, metrics, Health::default(), elected, stopping);
        let running = tokio::spawn(async move { drop(run.await) });
        self.running = Some((stop, running));
    }

    /// Ends the controller at any point.
    pub fn kill(&mut self) {
        if let Some((_, running)) = self.running.take() {
            running.abort();
        }
    }

    /// Creates the resource, or changes its spec. A name is that of a `PinpointEventStreamRole` in [`NAMESPACE`],
    /// `namespace/name`, or `kind/namespace/name`.
    pub fn apply(&self, name: &str, spec: &Value) {
        let (kind, namespace, name) = split(name);
        self.cluster.apply(kind, namespace, name, spec);
    }

    /// Deletes the resource.
    pub fn delete(&self, name: &str) {
        let (kind, namespace, name) = split(name);
        self.cluster.delete(kind, namespace, name);
    }

    /// Sets an annotation of streamrole.dev, or removes it.
    pub fn annotate(&self, name: &str, key: &str, value: Option<&str>) {
        let (kind, namespace, name) = split(name);
        let key = format!("streamrole.dev/{key}");
        self.cluster.annotate(kind, namespace, name, &key, value);
    }

    /// The uid of the resource.
    #[must_use]
    pub fn uid(&self, name: &str) -> Option<String> {
        self.get(name)?.metadata.uid
    }

    /// The value of the role's tag `streamrole.dev/<key>`.
    #[must_use]
    pub fn tag(&self, role: &str, key: &str) -> Option<String> {
        self.roles.role(role)?.tags.get(&format!("streamrole.dev/{key}")).cloned()
    }

    /// The notes of the events with this reason.
    #[must_use]
    pub fn notes(&self, reason: &str) -> Vec<String> {
        let events = self.cluster.events().into_iter();
        events.filter(|(of, _)| of == reason).map(|(_, note)| note).collect()
    }

    /// The resource, if it exists. Its status is checked by the rules for every status.
    ///
    /// # Panics
    /// When the status breaks a rule.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Object<Value, RoleStatus>> {
        let (kind, namespace, name) = split(name);
        let object = self.cluster.get(kind, namespace, name)?;
        let resource = serde_json::from_value(object);
        let resource: Object<Value, RoleStatus> = resource.unwrap_or_else(|e| panic!("{e}"));
        check_status(&resource);
        Some(resource)
    }

    /// Status, reason and message of `Ready`; empty while there is none.
    #[must_use]
    pub fn ready(&self, name: &str) -> (String, String, String) {
        let resource = self.get(name);
        let status = resource.as_ref().and_then(|resource| resource.status.as_ref());
        let ready = status.and_then(|status| status.ready());
        ready.map_or_else(Default::default, |ready| {
            (ready.status.clone(), ready.reason.clone(), ready.message.clone())
        })
    }

    /// Whether the condition of this type is present and true.
    #[must_use]
    pub fn is(&self, name: &str, type_: &str) -> bool {
        let status = self.get(name).and_then(|resource| resource.status);
        let conditions = status.map(|status| status.conditions).unwrap_or_default();
        conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
    }

    /// Waits until `Ready` of the resource's current generation has this status and reason, and returns its message.
    pub async fn says(&self, name: &str, status: &str, reason: &str) -> String {
        self.until(&format!("{name} to be {status} for {reason}"), || {
            let (is_now, ready) = (self.is_observed(name), self.ready(name));
            let says_so = is_now && ready.0 == status && ready.1 == reason;
            if says_so { Ok(ready.2) } else { Err(format!("{ready:?}")) }
        })
        .await
    }

    /// Waits until the resource is Ready.
    pub async fn synced(&self, name: &str) {
        self.says(name, "True", "Synced").await;
    }

    /// Waits until the resource is deleted.
    pub async fn gone(&self, name: &str) {
        self.until(&format!("{name} to be gone"), || {
            if self.get(name).is_none() { Ok(()) } else { Err(format!("{:?}", self.ready(name))) }
        })
        .await;
    }

    /// Waits until `check` returns a value.
    ///
    /// # Panics
    /// When two hours of the paused clock pass.
    pub async fn until<T>(&self, what: &str, check: impl Fn() -> Result<T, String>) -> T {
        let begun = Instant::now();
        loop {
            match check() {
                Ok(value) => return value,
                Err(seen) if begun.elapsed() > LONGEST => panic!("no {what}; seen last: {seen}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn is_observed(&self, name: &str) -> bool {
        self.get(name).is_some_and(|resource| {
            let observed = resource.status.and_then(|status| status.observed_generation);
            observed == resource.metadata.generation
        })
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

/// Kind, namespace and name.
fn split(name: &str) -> (&str, &str, &str) {
    let mut parts = name.rsplitn(3, '/');
    let name = parts.next().unwrap_or_default();
    let namespace = parts.next().unwrap_or(NAMESPACE);
    (parts.next().unwrap_or(FIRST_KIND), namespace, name)
}

/// The time of day as the paused clock has it.
fn now() -> Timestamp {
    static START: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (day, start) = START.get_or_init(|| (Timestamp::now(), Instant::now()));
    let elapsed = SignedDuration::try_from(start.elapsed()).unwrap_or_default();
    day.checked_add(elapsed).unwrap_or(*day)
}

/// A spec for a Kinesis stream of this name.
#[must_use]
pub fn kinesis_spec(stream: &str) -> Value {
    let arn = kinesis_arn(stream);
    json!({"destination": {"kinesisStreamArn": arn}})
}

/// A spec of an `EventStreamRole` for an `EventBridge` rule that sends to a Kinesis stream of this name.
#[must_use]
pub fn rule_spec(stream: &str) -> Value {
    let arn = kinesis_arn(stream);
    let source = json!({"eventBridgeRule": {"ruleName": "email-events"}});
    json!({"source": source, "destination": {"kinesisStreamArn": arn}})
}
