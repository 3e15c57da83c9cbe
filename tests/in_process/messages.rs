//! What people read: every condition and event of one resource in each state, compared with what was last accepted. To accept
//! new words: `INSTA_UPDATE=always cargo test --test in_process messages`.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use streamrole::role::{Action, ErrorKind};
use support::in_process::{CLUSTER, InProcess, kinesis_spec, rule_spec};

/// All that the resource `events` says, without what differs from run to run.
fn said(world: &InProcess, state: &str) -> String {
    said_by(world, "events", state)
}

fn said_by(world: &InProcess, name: &str, state: &str) -> String {
    let mut text = format!("# {state}\n");
    let status = world.get(name).and_then(|resource| resource.status).unwrap_or_default();
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

#[tokio::test(start_paused = true)]
async fn the_messages_of_an_event_stream_role_match_their_snapshot() {
    const EVENTS: &str = "EventStreamRole/ns/events";
    let firehose = json!({"firehoseDeliveryStreamArn": "arn:aws:firehose:us-east-1:111122223333:deliverystream/s"});
    let of =
        |source: Value, destination: &Value| json!({"source": source, "destination": destination});
    let sns = of(json!({"sns": {}}), &firehose);
    let mut text = String::new();

    let world = InProcess::new();
    world.apply(EVENTS, &rule_spec("s"));
    world.synced(EVENTS).await;
    text += &said_by(&world, EVENTS, "with documented conditions");
    world.apply(EVENTS, &sns);
    world.synced(EVENTS).await;
    text += &said_by(&world, EVENTS, "edited to a service without documented conditions");
    let mut reported = sns.clone();
    reported["driftPolicy"] = json!("Report");
    reported["source"] = json!({"metricStreams": {}});
    world.apply(EVENTS, &reported);
    world.says(EVENTS, "False", "DriftReported").await;
    text += &said_by(&world, EVENTS, "reported: another service without documented conditions");

    let world = InProcess::new();
    world.apply(EVENTS, &sns);
    world.synced(EVENTS).await;
    text += &said_by(&world, EVENTS, "without documented conditions");
    world.annotate(EVENTS, "paused", Some("true"));
    world.says(EVENTS, "True", "Paused").await;
    text += &said_by(&world, EVENTS, "without documented conditions, and paused");

    let kinesis = &rule_spec("s")["destination"];
    for (state, spec) in [
        ("no service", of(json!({}), &firehose)),
        ("two services", of(json!({"sns": {}, "metricStreams": {}}), &firehose)),
        ("a destination that the service lacks", of(json!({"sns": {}}), kinesis)),
        ("a malformed name", of(json!({"ses": {"configurationSetName": "a/b"}}), &firehose)),
    ] {
        let world = InProcess::new();
        world.apply(EVENTS, &spec);
        world.says(EVENTS, "False", "InvalidSpec").await;
        text += &said_by(&world, EVENTS, state);
    }

    for (state, owner) in
        [("of the other kind", "ns/events"), ("left behind by the other kind", "ns/gone")]
    {
        let world = InProcess::new();
        world.apply("events", &kinesis_spec("s"));
        world.synced("events").await;
        if owner == "ns/gone" {
            world.delete("events");
            world.gone("events").await;
            world.roles.put_owned("ns-events", CLUSTER, owner, "u9");
        }
        world.apply(EVENTS, &rule_spec("s"));
        let reason = if owner == "ns/gone" { "RoleNotOwned" } else { "RoleOwnedByAnother" };
        world.says(EVENTS, "False", reason).await;
        text += &said_by(&world, EVENTS, state);
    }

    insta::assert_snapshot!(text);
}
