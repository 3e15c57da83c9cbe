//! IAM shows an earlier state for some time. Nothing is created twice, no status flaps, and the wait is bounded.

use std::time::Duration;

use serde_json::json;
use streamrole::role::{Action, ErrorKind};
use support::in_process::{InProcess, kinesis_spec};
use tokio::time::Instant;

fn creations(world: &InProcess) -> usize {
    world.roles.take_calls().iter().filter(|action| **action == Action::CreateRole).count()
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_visible_yet_is_neither_recreated_nor_reported_lost() {
    let world = InProcess::new();
    world.roles.hold_reads();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    assert_eq!(creations(&world), 1);
    // An edit meanwhile waits until IAM shows the role, and the status reports it.
    let mut spec = kinesis_spec("s");
    spec["tags"] = json!({"team": "marketing"});
    world.apply("events", &spec);
    let waits = world.says("events", "False", "Progressing").await;
    assert!(waits.contains("has not yet returned") || waits.contains("new spec"), "{waits}");
    world.roles.heal();
    world.synced("events").await;
    assert_eq!(creations(&world), 0);
    assert_eq!(world.roles.role("ns-events").unwrap().tags.get("team").unwrap(), "marketing");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_visible_yet_is_deleted_with_its_resource() {
    let world = InProcess::new();
    world.roles.hold_reads();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.delete("events");
    world.says("events", "False", "Progressing").await;
    world.roles.heal();
    world.gone("events").await;
    assert!(world.roles.role("ns-events").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_role_is_recreated_by_the_next_resync() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.roles.remove("ns-events");
    world
        .until("the role to be created again", || {
            world.roles.role("ns-events").map(drop).ok_or_else(|| "no role".into())
        })
        .await;
    world.synced("events").await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_answer_to_a_write_that_happened_is_handled() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("one"));
    world.synced("events").await;
    let policy = || format!("{:?}", world.roles.role("ns-events").unwrap().inline_policies);
    let first = policy();
    // The edit reaches IAM, but its answer is lost.
    world.roles.lose_answers(Action::PutRolePolicy, ErrorKind::Unavailable);
    world.apply("events", &kinesis_spec("two"));
    world.says("events", "False", "IamUnavailable").await;
    assert_ne!(policy(), first, "it was made");
    world.roles.heal();
    world.synced("events").await;
    world.apply("events", &kinesis_spec("one"));
    world.synced("events").await;
    assert_eq!(policy(), first);
}

#[tokio::test(start_paused = true)]
async fn a_reverted_edit_is_applied_despite_a_stale_read() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("one"));
    world.synced("events").await;
    world.pass(Duration::from_mins(1)).await;
    let policy = || format!("{:?}", world.roles.role("ns-events").unwrap().inline_policies);
    let first = policy();
    world.roles.hold_reads();
    world.apply("events", &kinesis_spec("two"));
    world.synced("events").await;
    assert_ne!(policy(), first);
    // Reads still show the first document, which is declared again now.
    world.apply("events", &kinesis_spec("one"));
    world.says("events", "False", "Progressing").await;
    world.roles.heal();
    world.synced("events").await;
    assert_eq!(policy(), first);
}

#[tokio::test(start_paused = true)]
async fn repeated_edits_right_after_startup_become_ready() {
    let mut world = InProcess::new();
    let mut spec = kinesis_spec("s");
    world.apply("events", &spec);
    world.synced("events").await;
    world.kill();
    world.start();
    for edit in 0..9 {
        let text = format!("edit {edit}");
        spec["description"] = text.as_str().into();
        world.apply("events", &spec);
        let is_written = || world.roles.role("ns-events").unwrap().description == text;
        world.until(&text, || is_written().then_some(()).ok_or_else(String::new)).await;
    }
    world.synced("events").await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_is_written_twice() {
    let mut world = InProcess::new();
    for number in 0..20 {
        world.apply(&format!("events-{number}"), &kinesis_spec("s"));
    }
    for number in 0..20 {
        world.synced(&format!("events-{number}")).await;
    }
    world.kill();
    let (written, _) = (world.cluster.status_writes(), world.roles.take_calls());
    world.start();
    world.pass(Duration::from_mins(1)).await;
    assert_eq!(
        world.roles.take_calls(),
        [Action::ListRoles, Action::GetAccountAuthorizationDetails]
    );
    assert_eq!(world.cluster.status_writes(), written);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_never_had_a_role_is_deleted_right_after_startup() {
    let mut world = InProcess::new();
    world.roles.put("ns-foreign", |_| {});
    world.apply("foreign", &kinesis_spec("s"));
    world.says("foreign", "False", "RoleNotOwned").await;
    world.roles.fail(Action::CreateRole, ErrorKind::AccessDenied);
    world.apply("denied", &kinesis_spec("s"));
    world.says("denied", "False", "AccessDenied").await;
    world.kill();
    world.roles.heal();
    world.roles.remove("ns-foreign");
    for name in ["foreign", "denied"] {
        world.delete(name);
    }
    let begun = Instant::now();
    world.start();
    for name in ["foreign", "denied"] {
        world.gone(name).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn deletion_waits_for_a_role_that_an_earlier_process_may_have_created() {
    let mut world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.kill();
    world.roles.remove("ns-events");
    world.delete("events");
    let begun = Instant::now();
    world.start();
    world.gone("events").await;
    let waited = begun.elapsed();
    let expected = Duration::from_secs(10)..Duration::from_secs(20);
    assert!(expected.contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stale_list_leads_to_a_read_and_no_write() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.pass(Duration::from_mins(1)).await;
    // The list fails to show the role; the look at it succeeds.
    world.roles.hide_from_lists("ns-events");
    let _ = world.roles.take_calls();
    world.pass(Duration::from_mins(30)).await;
    let calls = world.roles.take_calls();
    assert!(calls.contains(&Action::GetRole), "{calls:?}");
    let reads = [Action::GetRole, Action::ListRoles, Action::GetAccountAuthorizationDetails];
    assert!(calls.iter().all(|call| reads.contains(call)), "{calls:?}");
    world.synced("events").await;
}
