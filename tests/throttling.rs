//! An IAM that takes only so many calls a second: all workers together settle near that rate. A target of its
//! own, so that nothing else competes for the machine while it counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are worth seeing"
)]

use std::time::{Duration, Instant};

use support::{
    Controller, ControllerOptions, MemoryIam, RateLimit, Stack, create_resources, eventually_within,
};

/// Calls a second that IAM takes: less than half of what the workers could make.
const RATE: f64 = 60.0;
/// Calls that it takes at once after a pause.
const BURST: f64 = 30.0;
const LATENCY: Duration = Duration::from_millis(50);
/// Calls until the rate has settled, in a quarter of a minute.
const TO_SETTLE: usize = 900;
/// Calls that are looked at, for half a minute.
const MEASURED: usize = 1800;
/// Each takes two calls to create, so there is still something to do at the end.
const RESOURCES: usize = 1500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_rate_limit_all_workers_together_settle_near_it() {
    let stack = Stack::start().await.unwrap();
    let crd = include_str!("../crds/streamrole.dev_pinpointeventstreamroles.yaml");
    stack.install(crd, include_str!("../deploy/rbac/clusterrole.yaml")).await.unwrap();
    let all = (0..RESOURCES).map(|index| ("default".into(), format!("events-{index}")));
    create_resources(&stack.admin().await.unwrap(), all).await.unwrap();

    let iam = MemoryIam::start(LATENCY).await.unwrap();
    iam.limit_rate(RateLimit::new(RATE, BURST));
    let options = ControllerOptions::new(env!("CARGO_BIN_EXE_streamrole"), iam.url());
    let _controller = Controller::start(&stack, &options).unwrap();
    let accepted = |number: usize| {
        let iam = &iam;
        let what = format!("{number} calls to be accepted");
        async move {
            eventually_within(Duration::from_mins(3), &what, || async {
                let calls = iam.calls();
                let accepted = calls.total() - calls.throttled;
                if accepted >= number { Ok(calls) } else { Err(accepted) }
            })
            .await
        }
    };
    accepted(TO_SETTLE).await;
    iam.forget_calls();
    let started = Instant::now();
    let calls = accepted(MEASURED).await;

    let share = |part: usize, whole: f64| 100.0 * f64::from(u32::try_from(part).unwrap()) / whole;
    let total = f64::from(u32::try_from(calls.total()).unwrap());
    let throughput = share(calls.total() - calls.throttled, RATE * started.elapsed().as_secs_f64());
    let throttled = share(calls.throttled, total);
    println!("{throughput:.1} % of the limit used, {throttled:.1} % of the calls throttled");
    assert!(throughput >= 85.0, "only {throughput:.1} % of what IAM takes is used");
    assert!(throttled < 10.0, "{throttled:.1} % of the calls are throttled");
}
