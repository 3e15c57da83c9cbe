//! An IAM that limits the rate of calls. Every role is created, however often IAM throttles; `make measure` asserts
//! that all workers together settle near the limit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are worth seeing"
)]

use std::time::{Duration, Instant};

use support::world::World;
use support::{
    Calls, Controller, ControllerOptions, MemoryIam, RateLimit, create_resources,
    eventually_within, measures,
};

/// The calls per second that IAM accepts: less than half of what the workers could make.
const RATE: f64 = 60.0;
/// The calls that it accepts in one burst after a pause.
const BURST: f64 = 30.0;
const LATENCY: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(3);
/// The calls until the rate has settled, in a quarter of a minute.
const TO_SETTLE: usize = 900;
/// The calls that are measured, in half a minute.
const MEASURED: usize = 1800;

/// Resources, an IAM under a rate limit, and a controller.
async fn under_a_limit(resources: usize) -> (World, MemoryIam) {
    let iam = MemoryIam::start(LATENCY).await.unwrap();
    let mut world = World::before("throttled", iam.url(), None).await;
    let names = (0..resources).map(|index| (world.namespace.clone(), format!("events-{index}")));
    create_resources(&world.client, names).await.unwrap();
    iam.limit_rate(RateLimit::new(RATE, BURST));
    let options = ControllerOptions { iam_url: iam.url().into(), ..world.options() };
    world.controller = Some(Controller::start(support::world::stack().await, &options).unwrap());
    (world, iam)
}

/// Returns when IAM has accepted this many calls.
async fn accepted(iam: &MemoryIam, number: usize) -> Calls {
    eventually_within(PATIENCE, &format!("{number} calls to be accepted"), || async {
        let calls = iam.calls();
        let accepted = calls.total() - calls.throttled;
        if accepted >= number { Ok(calls) } else { Err(accepted) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_rate_limit_every_role_is_created_once() {
    const RESOURCES: usize = 60;
    let (world, iam) = under_a_limit(RESOURCES).await;
    world.all_ready().await;
    let calls = iam.calls();
    assert!(calls.throttled > 0, "the limit was met: {calls:?}");
    assert_eq!(iam.account().roles().len(), RESOURCES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_rate_limit_the_workers_settle_near_it() {
    if !measures() {
        return;
    }
    // Each takes two calls to create, so calls remain until the end.
    let (_world, iam) = under_a_limit(1500).await;
    accepted(&iam, TO_SETTLE).await;
    iam.forget_calls();
    let started = Instant::now();
    let calls = accepted(&iam, MEASURED).await;

    let share = |part: usize, whole: f64| 100.0 * f64::from(u32::try_from(part).unwrap()) / whole;
    let total = f64::from(u32::try_from(calls.total()).unwrap());
    let throughput = share(calls.total() - calls.throttled, RATE * started.elapsed().as_secs_f64());
    let throttled = share(calls.throttled, total);
    println!("{throughput:.1} % of the limit used, {throttled:.1} % of the calls throttled");
    assert!(throughput >= 85.0, "only {throughput:.1} % of what IAM takes is used");
    assert!(throttled < 10.0, "{throttled:.1} % of the calls are throttled");
}
