//! When the leader ends, another replica takes over, and IAM never sees two of them, under load and with many
//! resources. `make measure` asserts the duration of the handover; it runs the tests one at a time with ten times the
//! load.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are worth seeing"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::world::World;
use support::{By, MemoryIam, Proxy, Replica, create_resources, eventually_within, measures};

const LATENCY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(2);
/// From SIGKILL to the next leader's first call: the Lease's 12 s and the time to observe its expiry.
const AFTER_KILL: Duration = Duration::from_secs(15);
/// From SIGTERM to the next leader's first call, when the leader has calls in progress.
const AFTER_TERM: Duration = Duration::from_secs(2);

/// A world with an IAM in memory, and the proxies of the replicas so far.
struct Cluster {
    world: World,
    iam: MemoryIam,
    retired: Vec<Proxy>,
}

impl Cluster {
    async fn new(name: &str) -> Self {
        let iam = MemoryIam::start(LATENCY).await.unwrap();
        let world = World::before(name, iam.url(), None).await.with_election().await;
        Self { world, iam, retired: Vec::new() }
    }

    async fn create(&self, resources: usize) {
        let namespace = &self.world.namespace;
        let all = (0..resources).map(|index| (namespace.clone(), format!("events-{index}")));
        create_resources(&self.world.client, all).await.unwrap();
    }

    /// Starts a replica and waits until it is ready, as leader or on standby.
    async fn replica(&self) -> Replica {
        let replica = Replica::start(&self.world).await;
        replica.is_ready().await;
        replica
    }

    /// Ends the leader with this signal. Returns which of the others called IAM next, and how long that took.
    async fn hand_over(
        &mut self,
        leader: Replica,
        others: &[&Replica],
        signal: &str,
    ) -> (usize, Duration) {
        let ended = Instant::now();
        leader.process().signal(signal);
        let (next, first) = calls_iam(others).await;
        self.retire(leader).await;
        (next, first.duration_since(ended))
    }

    /// Waits until a replica that was asked to stop has ended, and returns its calls.
    async fn retire(&mut self, replica: Replica) -> Vec<String> {
        let Replica { controller, proxy } = replica;
        let done = tokio::task::spawn_blocking(move || controller.wait());
        done.await.unwrap().unwrap();
        let calls = proxy.actions();
        self.retired.push(proxy);
        calls
    }

    /// Asserts that two replicas never called IAM concurrently.
    fn assert_one_at_a_time(&self, last: &Replica) {
        let proxies = self.retired.iter().chain([&last.proxy]);
        let times: Vec<_> = proxies.filter_map(Proxy::first_and_last_call).collect();
        for pair in times.windows(2) {
            if let [(_, last_of_one), (first_of_next, _)] = pair {
                assert!(last_of_one < first_of_next, "two replicas called IAM concurrently");
            }
        }
    }
}

/// The index of the first replica to call IAM, and the time.
async fn calls_iam(replicas: &[&Replica]) -> (usize, Instant) {
    eventually_within(PATIENCE, "a replica to call IAM", || async {
        let first = |replica: &&Replica| replica.proxy.first_and_last_call().map(|(at, _)| at);
        let called = replicas.iter().enumerate().filter_map(|(i, r)| Some((i, first(r)?)));
        let logs = || replicas.iter().map(|r| r.controller.log()).collect::<String>();
        called.min_by_key(|(_, at)| *at).ok_or_else(logs)
    })
    .await
}

fn seconds(durations: &[Duration]) -> String {
    let seconds: Vec<_> = durations.iter().map(|d| format!("{:.1}", d.as_secs_f64())).collect();
    seconds.join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_suspended_leaders_never_write_concurrently() {
    let (resources, kills) = if measures() { (100, 10) } else { (40, 1) };
    let mut cluster = Cluster::new("killed").await;
    let mut journal = cluster.iam.account().journal();
    cluster.create(resources).await;
    let mut leader = cluster.replica().await;
    calls_iam(&[&leader]).await;

    let api = cluster.world.resources.clone();
    let load = tokio::spawn(async move {
        for edit in 0_usize.. {
            let name = format!("events-{}", edit % resources);
            let patch = Patch::Merge(json!({"spec": {"description": format!("edit {edit}")}}));
            api.patch(&name, &PatchParams::default(), &patch).await.unwrap();
            // A pace, not a wait: about as many edits as one worker can process.
            tokio::time::sleep(2 * LATENCY).await;
        }
    });
    let (mut killed, mut stopped) = (Vec::new(), Vec::new());
    for round in 0..kills + 2 {
        let next = cluster.replica().await;
        assert!(next.proxy.first_and_last_call().is_none(), "it stands by");
        // The last two replicas end in order.
        let (signal, times) =
            if round < kills { ("KILL", &mut killed) } else { ("TERM", &mut stopped) };
        times.push(cluster.hand_over(leader, &[&next], signal).await.1);
        leader = next;
    }
    println!("from SIGKILL to the next leader's first call, s: {}", seconds(&killed));
    println!("from SIGTERM to the next leader's first call, s: {}", seconds(&stopped));
    load.abort();
    cluster.world.all_ready().await;

    cluster.assert_one_at_a_time(&leader);
    let mut created = BTreeMap::<_, usize>::new();
    let mut writes = 0;
    while let Ok(write) = journal.try_recv() {
        assert_eq!(write.by, By::Caller);
        assert_ne!(write.before, write.after, "{} on {} changed nothing", write.action, write.key);
        *created.entry(write.key).or_default() += usize::from(write.action == "CreateRole");
        writes += 1;
    }
    println!("{writes} writes to IAM");
    assert_eq!(created.len(), resources);
    assert!(created.values().all(|times| *times == 1), "{created:?}");
    if !measures() {
        return;
    }
    assert!(killed.iter().all(|time| *time <= AFTER_KILL), "{}", seconds(&killed));
    assert!(stopped.iter().all(|time| *time <= AFTER_TERM), "{}", seconds(&stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_both_replicas_makes_at_most_five_calls() {
    let mut cluster = Cluster::new("rolling").await;
    cluster.create(if measures() { 1000 } else { 100 }).await;
    let first = cluster.replica().await;
    cluster.world.all_ready().await;
    let second = cluster.replica().await;

    // As in a rollout of a Deployment: a new replica is ready before an old one ends. Any replica on standby can lead
    // next.
    let third = cluster.replica().await;
    let others = [&second, &third];
    let (next, hand_over) = cluster.hand_over(first, &others, "TERM").await;
    // After comparing all roles, a replica has made all its calls.
    others[next].controller.compared().await;
    let fourth = cluster.replica().await;
    let led_by_old = next == 0;
    second.process().signal("TERM");
    let calls_of_second = cluster.retire(second).await;
    let others = [&third, &fourth];
    let (next, _) = calls_iam(&others).await;
    assert!(led_by_old || next == 0, "the one that leads goes on");
    others[next].controller.compared().await;
    assert_eq!(others[1 - next].proxy.actions(), Vec::<String>::new(), "the other stands by");
    let calls = [calls_of_second, others[next].proxy.actions()].concat();
    println!("hand-over in {:.1} s; calls: {calls:?}", hand_over.as_secs_f64());
    assert!(calls.len() <= 5, "{calls:?}");
    cluster.assert_one_at_a_time(others[next]);
}
