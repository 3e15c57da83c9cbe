//! What people read: every condition and event of one resource in each state, compared with what was last accepted. To accept
//! new words: `INSTA_UPDATE=always cargo test --test in_process messages`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use streamrole::role::{Action, ErrorKind};
use support::in_process::{CLUSTER, InProcess, kinesis_spec};

/// All that the resource says, without what differs from run to run.
fn said(world: &InProcess, state: &str) -> String {
    let mut text = format!("# {state}\n");
    let status = world.get("events").and_then(|resource| resource.status).unwrap_or_default();
    for condition in status.conditions {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}={} {}: {}",
            condition.type_, condition.status, condition.reason, condition.message
        );
    }
    for (reason, note) in world.cluster.events() {
        let _ = writeln!(text, "event {reason}: {note}");
    }
    text
}

fn with(changes: &[(&str, Value)]) -> Value {
    let mut spec = kinesis_spec("s");
    for (field, value) in changes {
        spec[*field] = value.clone();
    }
    spec
}

#[tokio::test(start_paused = true)]
async fn the_message_of_each_state_matches_its_snapshot() {
    let mut text = String::new();

    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    text += &said(&world, "created");
    world.apply("events", &with(&[("description", json!("new"))]));
    world.synced("events").await;
    text += &said(&world, "edited");
    world.pass(Duration::from_mins(1)).await;
    world.roles.put("ns-events", |role| role.description = "by hand".into());
    world
        .until("the repair", || {
            world.notes("DriftRepaired").first().map(drop).ok_or_else(String::new)
        })
        .await;
    text += &said(&world, "drifted");
    world.roles.put("ns-events", |role| {
        role.attached_policies.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".into());
    });
    world.says("events", "True", "ExtraPolicies").await;
    text += &said(&world, "with a policy of others");
    world.delete("events");
    world.says("events", "False", "DeletionBlocked").await;
    text += &said(&world, "deleted, and blocked");

    for (state, spec, reason) in [
        ("invalid", with(&[("destination", json!({}))]), "InvalidSpec"),
        ("foreign", kinesis_spec("s"), "RoleNotOwned"),
        ("of another cluster", kinesis_spec("s"), "RoleOwnedByAnother"),
    ] {
        let world = InProcess::new();
        match state {
            "foreign" => world.roles.put("ns-events", |_| {}),
            "of another cluster" => world.roles.put_owned("ns-events", "c2", "ns/other", "u9"),
            _ => {}
        }
        world.apply("events", &spec);
        world.says("events", "False", reason).await;
        text += &said(&world, state);
    }

    let world = InProcess::new();
    world.roles.put_owned("ns-events", CLUSTER, "ns/gone", "u9");
    world.apply("events", &kinesis_spec("s"));
    world.says("events", "False", "RoleNotOwned").await;
    text += &said(&world, "left behind");

    for (kind, reason) in [
        (ErrorKind::AccessDenied, "AccessDenied"),
        (ErrorKind::Throttled, "Throttled"),
        (ErrorKind::Credentials, "CredentialsUnavailable"),
        (ErrorKind::LimitExceeded, "LimitExceeded"),
        (ErrorKind::InvalidPrincipal, "Progressing"),
    ] {
        let world = InProcess::new();
        world.roles.fail(Action::CreateRole, kind);
        world.apply("events", &kinesis_spec("s"));
        world.says("events", "False", reason).await;
        text += &said(&world, &format!("CreateRole fails: {kind:?}"));
    }

    let world = InProcess::new();
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    world.annotate("events", "paused", Some("true"));
    world.says("events", "True", "Paused").await;
    text += &said(&world, "paused");
    world.apply("events", &with(&[("description", json!("new"))]));
    world.says("events", "True", "Paused").await;
    text += &said(&world, "paused, and edited");
    world.delete("events");
    world.says("events", "False", "Paused").await;
    text += &said(&world, "paused, and deleted");
    world.annotate("events", "abandon", Some("true"));
    world.annotate("events", "paused", None);
    world.gone("events").await;
    text += &said(&world, "abandoned");

    insta::assert_snapshot!(text);
}
