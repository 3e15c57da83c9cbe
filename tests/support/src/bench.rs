//! `make bench`: what the controller costs, for increasing numbers of resources, on a real API server and an IAM with a
//! set latency. It measures and prints, and asserts nothing.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::stream::select;
use futures::{Stream, StreamExt as _, pin_mut};
use kube::api::{Patch, PatchParams};
use kube::core::object::HasStatus;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use streamrole::api::{EventStreamRole, PinpointEventStreamRole, RoleStatus};
use support::{
    Controller, ControllerOptions, Error, MemoryIam, Stack, create_event_stream_roles,
    create_namespace, create_resources, eventually_within, is_ready,
};

/// The most edits that are timed.
const EDITS: usize = 100;
/// The number of namespaces for the resources.
const NAMESPACES: usize = 10;
/// Without a call for this time, the controller is idle.
const QUIET: Duration = Duration::from_secs(3);
/// The longest duration of a measurement.
const PATIENCE: Duration = Duration::from_mins(15);
/// Long enough that no second resync falls into a measurement, short enough to wait for.
const RESYNC: Duration = Duration::from_secs(30);

/// Measures the controller.
#[derive(Debug, Parser)]
struct Args {
    /// Numbers of resources to measure with.
    #[arg(long, env = "BENCH_ROLES", value_delimiter = ' ', default_value = "100 1000 10000")]
    roles: Vec<usize>,
    /// The latency of an answer from IAM.
    #[arg(long, env = "BENCH_LATENCY", default_value = "50ms", value_parser = humantime::parse_duration)]
    latency: Duration,
    /// The number of concurrent reconciles.
    #[arg(long, env = "BENCH_WORKERS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    workers: u16,
    /// Whether every second resource is an `EventStreamRole`.
    #[arg(long, env = "BENCH_BOTH_KINDS")]
    both_kinds: bool,
    /// The controller's binary. Default: the one beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// The cost of one phase.
#[derive(Debug)]
struct Cost {
    seconds: f64,
    iam_calls: usize,
    kubernetes_writes: u64,
    peak_rss_mb: f64,
    cpu_seconds: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("bench: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn bench(args: &Args) -> Result<(), Error> {
    let cores = std::thread::available_parallelism()?;
    say(&format!(
        "{cores} cores shared with etcd and kube-apiserver, IAM answers after {:?}, {} workers\n",
        args.latency, args.workers
    ));
    say(
        "| roles | phase | IAM calls | calls a role | seconds | times the floor | Kubernetes writes | peak RSS, MB | CPU, s |",
    );
    say("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut latencies = Vec::new();
    for &number in &args.roles {
        let bench = Bench::start(args, number).await?;
        let created = bench.create().await?;
        bench.print("all Ready", &created, Some(bench.floor()));
        let [restart, resync] = bench.restart_and_resync().await?;
        bench.print("restart", &restart, None);
        bench.print("resync", &resync, None);
        latencies.push((number, bench.edit().await?));
    }
    say("\nSeconds from an edit, one at a time, to what its watcher sees:\n");
    say("| roles | edits | Ready no longer true: median | worst | Ready again: median | worst |");
    say("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for (number, edits) in latencies {
        let [seen_median, seen_worst] = median_and_worst(edits.iter().map(|edit| edit.seen));
        let [median, worst] = median_and_worst(edits.iter().map(|edit| edit.ready));
        say(&format!(
            "| {number} | {} | {seen_median:.3} | {seen_worst:.3} | {median:.3} | {worst:.3} |",
            edits.len()
        ));
    }
    Ok(())
}

/// The time from an edit until its watcher observed these states.
#[derive(Debug)]
struct Edit {
    /// Ready is not true for the new generation.
    seen: Duration,
    /// Ready is true for it.
    ready: Duration,
}

fn median_and_worst(durations: impl Iterator<Item = Duration>) -> [f64; 2] {
    let mut sorted: Vec<_> = durations.collect();
    sorted.sort_unstable();
    let seconds = |duration: Option<&Duration>| duration.map_or(f64::NAN, Duration::as_secs_f64);
    [seconds(sorted.get(sorted.len() / 2)), seconds(sorted.last())]
}

struct Bench<'a> {
    args: &'a Args,
    number: usize,
    stack: Stack,
    client: Client,
    iam: MemoryIam,
}

impl<'a> Bench<'a> {
    /// A stack with all resources and without a controller.
    async fn start(args: &'a Args, number: usize) -> Result<Self, Error> {
        progress(&format!("{number} roles: creating the resources"));
        let stack = Stack::installed().await?;
        let client = stack.admin().await?;
        let bench =
            Self { args, number, client, stack, iam: MemoryIam::start(args.latency).await? };
        bench.create_resources().await?;
        Ok(bench)
    }

    async fn create_resources(&self) -> Result<(), Error> {
        for index in 0..NAMESPACES {
            create_namespace(&self.client, &format!("bench-{index}")).await?;
        }
        let named =
            |index: usize| (format!("bench-{}", index % NAMESPACES), format!("events-{index}"));
        create_resources(&self.client, self.of_first_kind().map(named)).await?;
        if self.args.both_kinds {
            let others = (1..self.number).step_by(2);
            create_event_stream_roles(&self.client, others.map(named)).await?;
        }
        Ok(())
    }

    /// The numbers of the resources of the first kind.
    fn of_first_kind(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.number).step_by(if self.args.both_kinds { 2 } else { 1 })
    }

    /// Starts the controller and waits until all resources are ready.
    async fn create(&self) -> Result<Cost, Error> {
        progress(&format!("{} roles: starting the controller", self.number));
        self.iam.forget_calls();
        let writes = self.kubernetes_writes().await?;
        let started = Instant::now();
        let controller = self.start_controller("10m")?;
        self.all_ready().await?;
        let seconds = started.elapsed().as_secs_f64();
        self.idle().await;
        let cost = self.cost(&controller, seconds, writes).await?;
        controller.stop()?;
        Ok(cost)
    }

    /// A restart without changes, and the first resync after it.
    async fn restart_and_resync(&self) -> Result<[Cost; 2], Error> {
        progress(&format!("{} roles: restarting the controller", self.number));
        self.iam.forget_calls();
        let writes = self.kubernetes_writes().await?;
        let started = Instant::now();
        let controller = self.start_controller(&humantime::format_duration(RESYNC).to_string())?;
        self.idle().await;
        let last = self.iam.calls().last.unwrap_or(started);
        let seconds = (last.duration_since(started) + self.args.latency).as_secs_f64();
        let restart = self.cost(&controller, seconds, writes).await?;
        let cpu_so_far = restart.cpu_seconds;

        progress(&format!("{} roles: waiting for a resync", self.number));
        self.iam.forget_calls();
        let writes = self.kubernetes_writes().await?;
        self.idle().await;
        let calls = self.iam.calls();
        let span = calls.first.zip(calls.last).map(|(first, last)| last - first);
        // A call is recorded when it arrives, and ends with its answer.
        let seconds = (span.unwrap_or_default() + self.args.latency).as_secs_f64();
        let mut resync = self.cost(&controller, seconds, writes).await?;
        resync.cpu_seconds -= cpu_so_far;
        controller.stop()?;
        Ok([restart, resync])
    }

    /// Edits the resources one at a time.
    async fn edit(&self) -> Result<Vec<Edit>, Error> {
        progress(&format!("{} roles: editing some", self.number));
        let controller = self.start_controller("10m")?;
        self.idle().await;
        // The API server's first patch is slow. For 10 s after its start, the controller also waits for reads that
        // could miss a write by an earlier process.
        self.edit_one(0, "first").await?;
        let mut edits = Vec::new();
        for index in self.of_first_kind().step_by(self.number.div_ceil(EDITS)) {
            edits.push(self.edit_one(index, "edited").await?);
        }
        controller.stop()?;
        Ok(edits)
    }

    async fn edit_one(&self, index: usize, description: &str) -> Result<Edit, Error> {
        let name = format!("events-{index}");
        let namespace = format!("bench-{}", index % NAMESPACES);
        let api: Api<PinpointEventStreamRole> = Api::namespaced(self.client.clone(), &namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let changes = watcher(api.clone(), config).default_backoff().applied_objects();
        pin_mut!(changes);
        // The watch is open after its first event.
        changes.next().await;
        let patch = Patch::Merge(json!({"spec": {"description": description}}));
        let edited = Instant::now();
        let generation =
            api.patch(&name, &PatchParams::default(), &patch).await?.metadata.generation;
        let mut seen = None;
        while let Some(change) = tokio::time::timeout(PATIENCE, changes.next()).await? {
            let Ok(resource) = change else { continue };
            if resource.status.as_ref().and_then(|it| it.observed_generation) != generation {
                continue;
            }
            if is_ready(&resource) {
                let ready = edited.elapsed();
                return Ok(Edit { seen: seen.unwrap_or(ready), ready });
            }
            seen.get_or_insert_with(|| edited.elapsed());
        }
        Err("the watch ended".into())
    }

    fn start_controller(&self, resync: &str) -> Result<Controller, Error> {
        let options = ControllerOptions {
            resync: resync.into(),
            concurrency: self.args.workers,
            ..ControllerOptions::new(binary(self.args.binary.as_deref())?, self.iam.url())
        };
        Controller::start(&self.stack, &options)
    }

    async fn all_ready(&self) -> Result<(), Error> {
        let first = ready_resources::<PinpointEventStreamRole>(&self.client);
        let all = select(first, ready_resources::<EventStreamRole>(&self.client));
        pin_mut!(all);
        let mut ready = HashSet::new();
        while ready.len() < self.number {
            let Some(uid) = tokio::time::timeout(PATIENCE, all.next()).await? else { break };
            ready.insert(uid);
        }
        Ok(())
    }

    /// Returns after some calls and then a quiet period.
    async fn idle(&self) {
        eventually_within(PATIENCE, "the controller to be idle", || async {
            let calls = self.iam.calls();
            let quiet = calls.last.is_some_and(|last| last.elapsed() > QUIET);
            if quiet { Ok(()) } else { Err(format!("{:?}", calls.by_action)) }
        })
        .await;
    }

    async fn cost(
        &self,
        controller: &Controller,
        seconds: f64,
        writes: u64,
    ) -> Result<Cost, Error> {
        let pid = controller.process().pid();
        Ok(Cost {
            seconds,
            iam_calls: self.iam.calls().total(),
            kubernetes_writes: self.kubernetes_writes().await?.saturating_sub(writes),
            peak_rss_mb: controller.process().peak_memory_mb()?,
            cpu_seconds: cpu_seconds(pid)?,
        })
    }

    /// The writes to resources and events that the API server has counted so far.
    async fn kubernetes_writes(&self) -> Result<u64, Error> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let metrics = self.client.request_text(request).await?;
        let is_write = |line: &&str| {
            line.starts_with("apiserver_request_total{")
                && ["eventstreamroles\"", "\"events\""].iter().any(|r| line.contains(r))
                && ["APPLY", "PATCH", "POST", "PUT", "DELETE"]
                    .iter()
                    .any(|v| line.contains(&format!("verb=\"{v}\"")))
        };
        let count = |line: &str| line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok());
        let sum: f64 = metrics.lines().filter(is_write).filter_map(count).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Ok(sum as u64)
    }

    /// The shortest possible time for two calls per role.
    fn floor(&self) -> f64 {
        let calls = u32::try_from(2 * self.number).unwrap_or(u32::MAX);
        (self.args.latency * calls / u32::from(self.args.workers)).as_secs_f64()
    }

    fn print(&self, phase: &str, cost: &Cost, floor: Option<f64>) {
        let mut row = format!("| {} | {phase} | {} ", self.number, cost.iam_calls);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let calls_a_role = cost.iam_calls as f64 / self.number as f64;
        let times =
            floor.map_or_else(|| "–".into(), |floor| format!("{:.2}", cost.seconds / floor));
        // Writing to a String cannot fail.
        let _ = write!(
            row,
            "| {calls_a_role:.3} | {:.2} | {times} | {} | {:.1} | {:.2} |",
            cost.seconds, cost.kubernetes_writes, cost.peak_rss_mb, cost.cpu_seconds
        );
        say(&row);
    }
}

/// The uid of each resource of a kind whenever it is ready.
fn ready_resources<K>(client: &Client) -> impl Stream<Item = Option<String>> + use<K>
where
    K: Resource<DynamicType = ()> + HasStatus<Status = RoleStatus>,
    K: Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let api: Api<K> = Api::all(client.clone());
    let changes = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    // An interrupted watch resumes.
    changes.filter_map(|change| async {
        let resource = change.ok()?;
        is_ready(&resource).then(|| resource.uid())
    })
}

fn binary(given: Option<&Path>) -> Result<PathBuf, Error> {
    let binary = match given {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()?.with_file_name("streamrole"),
    };
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("there is no {}", binary.display()).into())
    }
}

/// User and system time of the process.
fn cpu_seconds(pid: u32) -> Result<f64, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in brackets and can contain spaces. The times are the 14th and 15th fields, in
    // hundredths of a second (proc(5); USER_HZ is 100 on every Linux that we run on).
    let after_name = stat.rsplit_once(')').ok_or("no name")?.1;
    let ticks: Vec<f64> =
        after_name.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "progress is no part of the table")]
fn progress(text: &str) {
    eprintln!("{text}");
}
