//! Someone changes the live role. Each kind of change is seen within one resync.

use std::time::Duration;

use serde_json::{Value, json};
use streamrole::role::{Action, LiveDocument, ObservedRole};
use support::in_process::{InProcess, kinesis_spec};

const POLICY: &str = "PinpointEventStreamPermissionsPolicy";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";
const OTHER: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

/// Each kind of drift, and where the status says that it is.
const KINDS: [(&str, &str); 12] = [
    ("trust", "trustPolicy."),
    ("permissions", "permissionsPolicy."),
    ("boundary", "permissionsBoundaryArn"),
    ("boundary-removed", "permissionsBoundaryArn"),
    ("session", "maxSessionDurationSeconds"),
    ("description", "description"),
    ("tag", "tags[team]"),
    ("tag-removed", "tags[team]"),
    ("extra-inline", "inlinePolicies[extra]"),
    ("extra-attached", "attachedPolicies["),
    ("policy-deleted", "permissionsPolicy"),
    ("unreadable", "permissionsPolicy"),
];

fn tamper(kind: &str, role: &mut ObservedRole) {
    let other = || LiveDocument::read(OTHER);
    match kind {
        "trust" => role.trust_policy = other(),
        "permissions" => drop(role.inline_policies.insert(POLICY.into(), Some(other()))),
        "boundary" => role.permissions_boundary = Some("arn:aws:iam::111122223333:policy/x".into()),
        "boundary-removed" => role.permissions_boundary = None,
        "session" => role.max_session_duration_seconds = 43_200,
        "description" => role.description = "changed".into(),
        "tag" => drop(role.tags.insert("team".into(), "other".into())),
        "tag-removed" => drop(role.tags.remove("team")),
        "extra-inline" => drop(role.inline_policies.insert("extra".into(), Some(other()))),
        "extra-attached" => {
            role.attached_policies.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".into());
        }
        "policy-deleted" => drop(role.inline_policies.remove(POLICY)),
        "unreadable" => {
            role.inline_policies.insert(POLICY.into(), Some(LiveDocument::read("no JSON")));
        }
        other => panic!("no such kind: {other}"),
    }
}

fn spec() -> Value {
    let mut spec = kinesis_spec("s");
    spec["permissionsBoundaryArn"] = BOUNDARY.into();
    spec["maxSessionDurationSeconds"] = 7200.into();
    spec["description"] = "declared".into();
    spec["tags"] = json!({"team": "marketing"});
    spec["exclusivePolicies"] = true.into();
    spec
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_drift_is_repaired_and_reported() {
    for (kind, _) in KINDS {
        let world = InProcess::new();
        world.apply("events", &spec());
        world.synced("events").await;
        world.pass(Duration::from_mins(1)).await;
        let live = || format!("{:?}", world.roles.role("ns-events").unwrap());
        let before = live();
        world.roles.put("ns-events", |role| tamper(kind, role));
        assert_ne!(live(), before, "{kind}");
        world
            .until(&format!("the drift {kind} to be repaired"), || {
                let now = live();
                if now == before { Ok(()) } else { Err(now) }
            })
            .await;
        world.synced("events").await;
        assert_eq!(world.notes("DriftRepaired").len(), 1, "{kind}: {:?}", world.cluster.events());
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_drift_is_listed_under_report_and_makes_one_event() {
    for (kind, path) in KINDS {
        let world = InProcess::new();
        let mut spec = spec();
        world.apply("events", &spec);
        world.synced("events").await;
        spec["driftPolicy"] = "Report".into();
        world.apply("events", &spec);
        world.synced("events").await;
        world.pass(Duration::from_mins(1)).await;
        world.roles.put("ns-events", |role| tamper(kind, role));
        let _ = world.roles.take_calls();
        let drift = world
            .until(&format!("the drift {kind} to be listed"), || {
                let status = world.get("events").unwrap().status.unwrap();
                if status.drift.is_empty() { Err(format!("{status:?}")) } else { Ok(status.drift) }
            })
            .await;
        assert!(drift.iter().any(|d| d.path.starts_with(path)), "{kind}: {path} in {drift:?}");
        world.pass(Duration::from_hours(1)).await;
        let reads = [Action::GetRole, Action::ListRoles, Action::GetAccountAuthorizationDetails];
        let calls = world.roles.take_calls();
        assert!(calls.iter().all(|call| reads.contains(call)), "{kind}: {calls:?}");
        let is_warned = world.ready("events").1 == "DriftReported";
        assert_eq!(world.notes("DriftReported").len(), usize::from(is_warned), "{kind}");
    }
}
