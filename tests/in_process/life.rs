//! One resource from its creation to its deletion.

use std::time::Duration;

use serde_json::json;
use streamrole::role::Action;
use streamrole::service::FIRST_KIND;
use support::in_process::{InProcess, NAMESPACE, kinesis_spec};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_role_takes_two_calls_and_an_idle_hour_two_for_each_resync() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    assert_eq!(world.roles.take_calls(), [Action::CreateRole, Action::PutRolePolicy]);
    let written = world.cluster.status_writes();
    world.pass(Duration::from_hours(1)).await;
    let calls = world.roles.take_calls();
    assert!((10..=14).contains(&calls.len()), "{calls:?}");
    assert!(
        calls
            .iter()
            .all(|c| matches!(c, Action::ListRoles | Action::GetAccountAuthorizationDetails))
    );
    assert_eq!(world.cluster.status_writes(), written, "nothing new to say");
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_at_the_next_resync_and_reported_once() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.pass(Duration::from_mins(1)).await;
    world.roles.put("ns-events", |role| role.description = "by hand".into());
    world
        .until("the repair", || {
            let description = world.roles.role("ns-events").unwrap().description;
            if description.is_empty() { Ok(()) } else { Err(description) }
        })
        .await;
    world.pass(Duration::from_mins(30)).await;
    let events = world.cluster.events();
    let repaired: Vec<_> = events.iter().filter(|(reason, _)| reason == "DriftRepaired").collect();
    assert_eq!(repaired.len(), 1, "{events:?}");
    assert!(repaired.iter().all(|(_, note)| note.contains("description")), "{repaired:?}");
}

#[tokio::test(start_paused = true)]
async fn with_drift_policy_report_nothing_is_written_and_the_difference_is_listed() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    world.apply("events", &spec);
    world.synced("events").await;
    spec["driftPolicy"] = json!("Report");
    spec["description"] = json!("new");
    world.apply("events", &spec);
    world.says("events", "True", "DriftReported").await;
    let status = world.get("events").unwrap().status.unwrap();
    assert_eq!(status.drift.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["description"]);
    assert_eq!(world.roles.role("ns-events").unwrap().description, "");
}

#[tokio::test(start_paused = true)]
async fn a_paused_resource_is_neither_written_nor_deleted() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.annotate("events", "paused", Some("true"));
    world.says("events", "True", "Paused").await;
    world.delete("events");
    let message = world.says("events", "False", "Paused").await;
    assert!(message.contains("Remove the annotation streamrole.dev/paused"), "{message}");
    assert_eq!(world.notes("Paused").len(), 1, "{:?}", world.cluster.events());
    world.pass(Duration::from_hours(1)).await;
    assert!(world.roles.role("ns-events").is_some());
    world.annotate("events", "paused", None);
    world.gone("events").await;
    assert!(world.roles.role("ns-events").is_none());
}

#[tokio::test(start_paused = true)]
async fn requested_reconciles_are_at_least_ten_seconds_apart() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    let handled = |value: &str| {
        let status = world.get("events").unwrap().status.unwrap();
        status.last_handled_reconcile_at.as_deref() == Some(value)
    };
    let begun = Instant::now();
    for value in ["1", "2", "3"] {
        world.annotate("events", "reconcile-requested-at", Some(value));
        world.until(value, || handled(value).then_some(()).ok_or_else(String::new)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_undeclared_policy_is_reported_and_blocks_a_deletion_until_it_is_gone() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    let policy = "arn:aws:iam::aws:policy/ReadOnlyAccess";
    world.roles.put("ns-events", |role| {
        role.attached_policies.insert(policy.into());
    });
    let message = world.says("events", "True", "ExtraPolicies").await;
    assert!(message.contains(policy), "{message}");
    world.delete("events");
    let message = world.says("events", "False", "DeletionBlocked").await;
    assert!(message.contains(policy), "{message}");
    world.roles.put("ns-events", |role| role.attached_policies.clear());
    world.gone("events").await;
    assert!(world.roles.role("ns-events").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_object_is_reported_and_reconciled_once_fixed() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    spec["driftPolicy"] = json!("Sometimes");
    world.cluster.apply(FIRST_KIND, NAMESPACE, "events", &spec);
    world
        .until("the problem to be reported", || {
            let object = world.cluster.get(FIRST_KIND, NAMESPACE, "events").unwrap();
            let message = object["status"]["conditions"][0]["message"].to_string();
            message.contains("spec.driftPolicy").then_some(()).ok_or(message)
        })
        .await;
    assert!(world.roles.take_calls().is_empty());
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_spec_is_reported_by_field_and_calls_nothing() {
    let world = InProcess::new();
    world.apply("events", &json!({"destination": {}}));
    let message = world.says("events", "False", "InvalidSpec").await;
    assert!(message.starts_with("spec.destination"), "{message}");
    let elsewhere = "arn:aws:kinesis:us-east-1:444455556666:stream/s";
    world.apply("elsewhere", &json!({"destination": {"kinesisStreamArn": elsewhere}}));
    let message = world.says("elsewhere", "False", "WrongAccount").await;
    assert!(message.contains("444455556666") && message.contains("111122223333"), "{message}");
    assert!(world.roles.take_calls().is_empty());
}
