//! What happens to a role when its resource is deleted.

use std::time::Duration;

use serde_json::json;
use streamrole::role::{Action, ErrorKind};
use streamrole::service::FIRST_KIND;
use support::in_process::{InProcess, NAMESPACE, kinesis_spec};

#[tokio::test(start_paused = true)]
async fn deletion_deletes_the_role_and_succeeds_if_it_is_already_gone() {
    let world = InProcess::new();
    for name in ["there", "gone"] {
        world.apply(name, &kinesis_spec("s"));
        world.synced(name).await;
    }
    world.roles.remove("ns-gone");
    for name in ["there", "gone"] {
        world.delete(name);
        world.gone(name).await;
    }
    assert!(world.roles.role("ns-there").is_none());
    assert!(world.notes("Deleted").iter().any(|note| note.contains("ns-there")));
}

#[tokio::test(start_paused = true)]
async fn the_role_is_deleted_even_if_the_finalizer_was_removed() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.cluster.lose(FIRST_KIND, NAMESPACE, "events");
    world
        .until("the role to go", || match world.roles.role("ns-events") {
            None => Ok(()),
            Some(role) => Err(role.arn),
        })
        .await;
    assert_eq!(world.notes("Deleted").len(), 1, "{:?}", world.cluster.events());
}

#[tokio::test(start_paused = true)]
async fn retain_keeps_the_role_and_removes_our_tags() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    spec["deletionPolicy"] = json!("Retain");
    spec["tags"] = json!({"team": "marketing"});
    world.apply("events", &spec);
    world.synced("events").await;
    world.delete("events");
    world.gone("events").await;
    let role = world.roles.role("ns-events").unwrap();
    assert_eq!(role.tags.keys().collect::<Vec<_>>(), ["team"]);
    assert_eq!(role.inline_policies.len(), 1, "a retained role still works");
    assert_eq!(world.notes("Released").len(), 1, "{:?}", world.cluster.events());
}

#[tokio::test(start_paused = true)]
async fn an_undeclared_policy_is_deleted_with_the_role_under_exclusive_policies() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    spec["exclusivePolicies"] = json!(true);
    world.apply("events", &spec);
    world.synced("events").await;
    world.roles.put("ns-events", |role| {
        role.inline_policies.insert("added".into(), None);
    });
    world.delete("events");
    world.gone("events").await;
    assert!(world.roles.role("ns-events").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_blocked_deletion_continues_when_the_spec_allows_it() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    world.apply("events", &spec);
    world.synced("events").await;
    world.roles.put("ns-events", |role| {
        role.inline_policies.insert("added".into(), None);
        role.instance_profiles.insert("machines".into());
    });
    world.delete("events");
    let message = world.says("events", "False", "DeletionBlocked").await;
    for part in ["inlinePolicies[added]", "instanceProfiles[machines]", "exclusivePolicies: true"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    spec["deletionPolicy"] = json!("Retain");
    world.apply("events", &spec);
    world.gone("events").await;
    assert!(world.roles.role("ns-events").unwrap().tags.is_empty(), "released");
}

#[tokio::test(start_paused = true)]
async fn a_resource_without_working_credentials_reports_it_and_can_be_abandoned() {
    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.roles.fail(Action::GetRole, ErrorKind::Credentials);
    world.delete("events");
    let message = world.says("events", "False", "CredentialsUnavailable").await;
    assert!(message.contains("streamrole.dev/abandon"), "{message}");
    let _ = world.roles.take_calls();
    world.annotate("events", "abandon", Some("true"));
    world.gone("events").await;
    assert!(world.roles.take_calls().is_empty());
    assert!(world.notes("Abandoned").iter().all(|note| note.contains("ns-events")));
    assert!(world.roles.role("ns-events").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_role_whose_finalizer_others_removed_is_reported_and_counted_until_reclaimed() {
    let world = InProcess::new();
    for name in ["events", "other"] {
        world.apply(name, &kinesis_spec("s"));
        world.synced(name).await;
    }
    world.pass(Duration::from_mins(1)).await;
    world.roles.fail(Action::GetRole, ErrorKind::AccessDenied);
    world.delete("events");
    world.says("events", "False", "AccessDenied").await;
    world.cluster.change(FIRST_KIND, NAMESPACE, "events", |object| {
        object["metadata"]["finalizers"] = json!([]);
    });
    world.gone("events").await;
    world
        .until("the event", || {
            let notes = world.notes("RoleLeftBehind");
            notes
                .iter()
                .any(|note| note.contains("ns-events"))
                .then_some(())
                .ok_or_else(String::new)
        })
        .await;
    world.roles.heal();
    let counts = |number: usize| {
        let metrics = world.metrics.encode();
        let line = format!("streamrole_orphaned_roles {number}");
        metrics.contains(&line).then_some(()).ok_or(metrics)
    };
    world.until("the orphan to be counted", || counts(1)).await;
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.until("no orphan to be counted", || counts(0)).await;
}

#[tokio::test(start_paused = true)]
async fn a_role_under_drift_policy_report_is_retained_and_reported() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("s");
    world.apply("events", &spec);
    world.synced("events").await;
    spec["driftPolicy"] = json!("Report");
    world.apply("events", &spec);
    world.synced("events").await;
    world.delete("events");
    world.gone("events").await;
    let notes = world.notes("RoleKept");
    assert!(notes.iter().any(|note| note.contains("driftPolicy is Report")), "{notes:?}");
    assert!(world.roles.role("ns-events").is_some());
}
