//! The fault campaign. A seeded generator creates, edits, deletes and tampers with resources and roles. Meanwhile the
//! connections between the controller and its two servers fail, and the controller and the API server are killed. The
//! invariants are checked from IAM's side throughout; afterwards everything must settle.
//!
//! A seed repeats the operations, the failures, and the order of IAM's faults. The controller's timing decides which
//! call meets which fault. `CAMPAIGN_STEPS` and `CAMPAIGN_SEED` set the length and the seed; `make soak` runs a long
//! campaign.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are worth seeing"
)]

mod checks;
mod generator;
mod history;
mod rest;
mod script;
mod slots;

use std::time::Instant;

use support::world::binary;
use support::{
    Account, Chaos, Controller, ControllerOptions, Mishap, Stack, Tunnel, cluster_id,
    create_namespace,
};

use checks::Sightings;
use generator::Generator;
use history::History;
use slots::{NAMESPACES, SLOTS, namespace};

/// The steps of a campaign in `make test`: about 20 seconds.
const STEPS: u64 = 500;
/// Also the longest pause before a failed reconcile is retried, so that everything settles soon.
const RESYNC: &str = "5s";

/// All running parts.
struct Field {
    stack: Stack,
    tunnel: Tunnel,
    chaos: Chaos,
    account: Account,
    cluster: String,
    controller: Option<Controller>,
}

impl Field {
    async fn start(seed: u64) -> Self {
        let stack = Stack::installed().await.unwrap();
        let tunnel = Tunnel::open(&stack.kube_address()).await.unwrap();
        let account = Account::default();
        let chaos = Chaos::start(account.clone(), seed).await.unwrap();
        let client = stack.admin().await.unwrap();
        for number in 0..NAMESPACES {
            create_namespace(&client, &namespace(number)).await.unwrap();
        }
        let cluster = cluster_id(&client).await.unwrap();
        let mut field = Self { stack, tunnel, chaos, account, cluster, controller: None };
        field.start_controller();
        field
    }

    fn start_controller(&mut self) {
        let options = ControllerOptions {
            resync: RESYNC.into(),
            ..ControllerOptions::new(binary(), self.chaos.url())
        };
        let kubeconfig = self.stack.controller_kubeconfig_by_way_of(self.tunnel.address()).unwrap();
        // A new process does not know the recent writes of an earlier one.
        self.chaos.forget_the_past();
        let started = Controller::start_with_kubeconfig(&self.stack, &options, &kubeconfig);
        self.controller = Some(started.unwrap());
    }

    fn kill_controller(&mut self) {
        if let Some(controller) = self.controller.take() {
            controller.kill().unwrap();
        }
        self.start_controller();
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_every_fault_foreign_roles_are_unchanged_and_everything_settles() {
    let seed = from_environment("CAMPAIGN_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let steps = from_environment("CAMPAIGN_STEPS").unwrap_or(STEPS);
    println!(
        "campaign: seed {seed}, {steps} steps; CAMPAIGN_SEED={seed} repeats all that happens to it"
    );

    let mut field = Field::start(seed).await;
    let history = History::of(&field.account);
    let sightings = Sightings::watch(field.stack.admin().await.unwrap());
    let mut generator = Generator::new(seed, &field).await;
    generator.fill(&field).await;
    let started = Instant::now();
    for _ in 0..steps {
        generator.step(&mut field).await;
        let wrong = checks::violations(&history, &sightings, &generator, &field.cluster);
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}\n{}", generator.last_operations());
    }

    let took = started.elapsed();
    field.chaos.calm();
    let rested = rest::everything_comes_to_rest(&mut field, &mut generator, seed).await;
    let emptied = rest::everything_can_be_deleted(&field, &mut generator, seed).await;
    let wrong = checks::violations(&history, &sightings, &generator, &field.cluster);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}\n{}", generator.last_operations());

    let (calls, mishaps) = field.chaos.tally();
    println!(
        "campaign: seed {seed}, {steps} steps in {took:.1?}\n  operations {:?}\n  IAM calls {calls}, writes {}\n  faults {mishaps:?}\n  Ready seen and checked {}\n  violations 0\n  at rest after {rested:.1?}, all deleted after {emptied:.1?}",
        generator.operations(),
        history.len(),
        sightings.checked(),
    );
    let missing: Vec<_> = Mishap::all().filter(|m| !mishaps.contains_key(m)).collect();
    assert!(missing.is_empty(), "faults that never happened: {missing:?}");
    assert!(
        sightings.checked() > SLOTS / 2,
        "too few resources became Ready to have tested anything"
    );
}
