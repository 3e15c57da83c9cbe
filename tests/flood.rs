//! A hostile namespace: thousands of resources that name the same role, some near the size limit of an object, and
//! endless requests for reconciles. Another namespace is not affected. `make measure` sends the whole flood and asserts
//! time and memory; `make test` sends a tenth and asserts that nothing is blocked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking, and its figures are worth seeing"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::world::binary;
use support::{
    Controller, ControllerOptions, MemoryIam, Stack, check_status, create_all, create_namespace,
    eventually_within, http_get, is_ready, kinesis_arn, manifest, measures,
};

const LATENCY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(5);

/// In bytes; the API server accepts objects of up to about 1.5 MB.
const STUFFING: usize = 1_200_000;

/// The number of resources that name the role, and how many of them are near the size limit.
const fn load(measured: bool) -> (usize, usize) {
    if measured { (5000, 100) } else { (600, 10) }
}

/// The limit for a new resource in another namespace to become ready.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// The limit for answers of `/healthz`, 99 times of 100.
const HEALTHY_WITHIN: Duration = Duration::from_millis(250);
const MEMORY_MB: f64 = 100.0;

fn resource(namespace: &str, name: &str, role: Option<&str>) -> Value {
    let mut spec = json!({
        "destination": {"kinesisStreamArn": kinesis_arn(name)},
        "source": {"accountId": "111122223333", "region": "us-east-1"},
    });
    if let Some(role) = role {
        spec.as_object_mut().unwrap().insert("roleName".into(), role.into());
    }
    manifest(&json!({"name": name, "namespace": namespace}), &spec)
}

/// Labels with this total size, in bytes.
fn stuffing() -> BTreeMap<String, String> {
    let value = "x".repeat(63);
    (0..STUFFING / 150)
        .map(|index| (format!("{}.example/{index:063}", "p".repeat(10)), value.clone()))
        .collect()
}

async fn create(client: &Client, manifests: impl Iterator<Item = Value>, concurrently: usize) {
    create_all(client, manifests, concurrently).await.unwrap();
}

/// Two namespaces, one loud and one quiet, and an IAM.
struct Town {
    stack: Stack,
    client: Client,
    iam: MemoryIam,
}

impl Town {
    async fn new() -> Self {
        let stack = Stack::installed().await.unwrap();
        let client = stack.admin().await.unwrap();
        for name in ["loud", "quiet", "system"] {
            create_namespace(&client, name).await.unwrap();
        }
        stack.allow_election_in("system").await.unwrap();
        Self { stack, client, iam: MemoryIam::start(LATENCY).await.unwrap() }
    }

    fn controller(&self) -> Controller {
        let options = ControllerOptions {
            resync: if measures() { "10s" } else { "2s" }.into(),
            lease_namespace: Some("system".into()),
            ..ControllerOptions::new(binary(), self.iam.url())
        };
        Controller::start(&self.stack, &options).unwrap()
    }

    fn quiet(&self) -> Api<PinpointEventStreamRole> {
        Api::namespaced(self.client.clone(), "quiet")
    }

    /// Creates a resource in the other namespace and returns the time until it is ready.
    async fn newcomer(&self, name: &str, controller: &Controller) -> Duration {
        let created = Instant::now();
        create(&self.client, [resource("quiet", name, None)].into_iter(), 1).await;
        eventually_within(PATIENCE, &format!("{name} to be ready"), || async {
            let found = self.quiet().get(name).await.map_err(|error| error.to_string())?;
            check_status(&found);
            if is_ready(&found) { Ok(()) } else { Err(controller.process().last_words()) }
        })
        .await;
        created.elapsed()
    }

    /// Waits until the status of every resource of the loud namespace names the owner of its role.
    async fn settled(&self, controller: &Controller) {
        let loud: Api<PinpointEventStreamRole> = Api::namespaced(self.client.clone(), "loud");
        eventually_within(PATIENCE, "the loud namespace to be settled", || async {
            // The API server's answer is as large as all listed objects: only a few are unsettled at the end.
            let unsettled = ListParams::default()
                .fields("status.reason!=Synced,status.reason!=RoleOwnedByAnother")
                .limit(1);
            let left = loud.list_metadata(&unsettled).await.map_err(|error| error.to_string())?;
            match left.items.first() {
                None => Ok(()),
                Some(one) => {
                    Err(format!("{:?}\n{}", one.metadata.name, controller.process().last_words()))
                }
            }
        })
        .await;
    }

    async fn lease(&self) -> (Option<String>, Option<i32>) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), "system");
        let spec = leases.get("streamrole").await.unwrap().spec.unwrap();
        (spec.holder_identity, spec.lease_transitions)
    }
}

/// Returns after a further resync.
async fn resynced(controller: &Controller) {
    let name = "streamrole_last_resync_timestamp_seconds";
    let before = controller.metric(name).await;
    eventually_within(PATIENCE, "another resync", || async {
        let now = controller.metric(name).await;
        if now > before { Ok(()) } else { Err(now) }
    })
    .await;
}

/// Requests `/healthz` repeatedly until `stop` is set.
async fn ask_for_health(url: String, stop: Arc<AtomicBool>, took: Arc<Mutex<Vec<Duration>>>) {
    while !stop.load(Ordering::Relaxed) {
        let asked = Instant::now();
        let (status, _) = http_get(&format!("{url}/healthz")).await.unwrap();
        assert_eq!(status, 200);
        took.lock().unwrap().push(asked.elapsed());
        // A pace: about as many probes as many kubelets would send.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Requests reconciles of one resource repeatedly until `stop` is set.
async fn request_reconciles(client: Client, name: &'static str, stop: Arc<AtomicBool>) {
    let loud: Api<PinpointEventStreamRole> = Api::namespaced(client, "loud");
    for request in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let annotation = json!({"streamrole.dev/reconcile-requested-at": request.to_string()});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotation}}));
        loud.patch_metadata(name, &PatchParams::default(), &patch).await.unwrap();
    }
}

fn percentile(took: &[Duration], of_hundred: usize) -> Duration {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * of_hundred / 100).min(sorted.len() - 1)).copied().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_noisy_namespace_does_not_delay_another() {
    let (namesakes, stuffed) = load(measures());
    let town = Town::new().await;
    let controller = town.controller();
    let url = controller.listen_url().await;
    town.newcomer("before", &controller).await;

    let stop = Arc::new(AtomicBool::new(false));
    let took = Arc::<Mutex<Vec<Duration>>>::default();
    let health = tokio::spawn(ask_for_health(url.clone(), Arc::clone(&stop), Arc::clone(&took)));

    create(&town.client, [resource("loud", "first", Some("shared"))].into_iter(), 1).await;
    let requests =
        tokio::spawn(request_reconciles(town.client.clone(), "first", Arc::clone(&stop)));
    let flood = {
        let client = town.client.clone();
        tokio::spawn(async move {
            let manifests = (0..namesakes)
                .map(|index| resource("loud", &format!("r-{index:04}"), Some("shared")));
            create(&client, manifests, 16).await;
        })
    };
    let mut ready = Vec::new();
    while !flood.is_finished() {
        ready.push(town.newcomer(&format!("during-{}", ready.len()), &controller).await);
    }
    flood.await.unwrap();
    assert!(ready.len() > 1, "one becomes ready after the other while the flood comes");
    // Writing these objects slows the API server and delays every client's watch. The test measures their cost
    // afterwards.
    let labels = serde_json::to_value(stuffing()).unwrap();
    let manifests = (0..stuffed).map(|index| {
        let mut manifest = resource("loud", &format!("s-{index:04}"), Some("shared"));
        let metadata = manifest.pointer_mut("/metadata").and_then(Value::as_object_mut).unwrap();
        metadata.insert("labels".into(), labels.clone());
        manifest
    });
    create(&town.client, manifests, 4).await;
    town.settled(&controller).await;
    for number in 0..5 {
        ready.push(town.newcomer(&format!("after-{number}"), &controller).await);
    }
    let (holder, transitions) = town.lease().await;
    for _ in 0..3 {
        resynced(&controller).await;
        ready.push(town.newcomer(&format!("resync-{}", ready.len()), &controller).await);
    }
    assert_eq!(town.lease().await, (holder, transitions), "the lease is kept");
    stop.store(true, Ordering::Relaxed);
    health.await.unwrap();
    requests.await.unwrap();

    // The flood's calls to IAM when the controller is idle: only the two lists of each resync.
    eventually_within(PATIENCE, "an idle resync", || async {
        resynced(&controller).await;
        town.iam.forget_calls();
        resynced(&controller).await;
        let calls = town.iam.calls().by_action;
        let is_idle = calls.keys().all(|action| {
            ["ListRoles", "GetAccountAuthorizationDetails"].contains(&action.as_str())
        });
        if is_idle { Ok(()) } else { Err(format!("{calls:?}")) }
    })
    .await;
    let grown = controller.process().peak_memory_mb().unwrap();
    assert_eq!(controller.stop().unwrap(), 0);

    // All of the flood exists at startup.
    let controller = town.controller();
    eventually_within(PATIENCE, "the next start to lead", || async {
        let leads = controller.metric("streamrole_leader").await;
        if leads > 0.5 { Ok(()) } else { Err(controller.process().last_words()) }
    })
    .await;
    resynced(&controller).await;
    ready.push(town.newcomer("restarted", &controller).await);
    let started = controller.process().peak_memory_mb().unwrap();

    let took = took.lock().unwrap();
    let slowest = ready.iter().max().copied().unwrap();
    println!(
        "another namespace's {} new resources ready after {:.2} s at most, {:.2} s in the middle",
        ready.len(),
        slowest.as_secs_f64(),
        percentile(&ready, 50).as_secs_f64()
    );
    println!(
        "/healthz, {} times: {:?} in the middle, {:?} at the 99th percentile, {:?} at most",
        took.len(),
        percentile(&took, 50),
        percentile(&took, 99),
        took.iter().max().unwrap()
    );
    println!("peak memory: {grown:.1} MB as the flood came, {started:.1} MB at a start with it");
    if !measures() {
        return;
    }
    assert!(slowest <= READY_WITHIN, "{slowest:?}");
    assert!(percentile(&took, 99) <= HEALTHY_WITHIN, "{:?}", percentile(&took, 99));
    assert!(grown.max(started) <= MEMORY_MB, "{grown:.1} MB, {started:.1} MB");
}
