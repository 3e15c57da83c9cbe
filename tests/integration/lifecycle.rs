//! The main job: from `kubectl apply` to a live role, through edits and drift.

use std::process::Command;

use serde_json::{Value, json};

use support::world::{World, condition, kinesis_arn, stack};

const TRUST: &str = include_str!("../aws-page/trust-policy.json");
const KINESIS: &str = include_str!("../aws-page/kinesis-permissions-policy.json");

fn from_page(document: &str, stream: &str) -> Value {
    let filled = document
        .replace("region:account-id", "us-east-1:111122223333")
        .replace("stream-name", stream);
    serde_json::from_str(&filled).unwrap()
}

#[tokio::test]
async fn applying_a_resource_creates_the_documented_role_and_becomes_ready() {
    let world = World::new("create").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.ready("events").await;

    assert_eq!(world.trust_policy(&role).await, from_page(TRUST, "events"));
    assert_eq!(world.permissions_policy(&role).await, Some(from_page(KINESIS, "events")));
    let status = resource.status.clone().unwrap();
    assert_eq!(
        status.role_arn.as_deref(),
        Some(&*format!("arn:aws:iam::111122223333:role/{role}"))
    );
    assert!(
        status.role_id.is_some_and(|id| id.starts_with("ARO")),
        "the role's id is in the status"
    );
    assert_eq!(status.destination.as_deref(), Some("kinesis/events"));
    for type_ in ["TrustPolicySynced", "PermissionsPolicySynced"] {
        assert_eq!(
            condition(&resource, type_).map(|c| c.status).as_deref(),
            Some("True"),
            "{type_}"
        );
    }
    for type_ in ["Reconciling", "Stalled"] {
        assert_eq!(condition(&resource, type_), None, "{type_} is present only while true");
    }
    assert!(world.event("events", "Created").await.contains(&role));
    let tags = world.tags(&role).await;
    assert_eq!(tags.get("streamrole.dev/resource").map(String::as_str), Some("create/events"));
    assert_eq!(tags.get("streamrole.dev/uid"), resource.metadata.uid.as_ref());
}

#[tokio::test]
async fn every_spec_field_reaches_the_role() {
    let world = World::new("whole-spec").await;
    let role = world.role("events");
    let boundary = "arn:aws:iam::111122223333:policy/boundary";
    world
        .apply(
            "events",
            &json!({
                "roleName": role,
                "path": "/streaming/",
                "description": "Events of the app",
                "destination": {
                    "firehoseDeliveryStreamArn": "arn:aws:firehose:us-east-1:111122223333:deliverystream/events",
                    "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd",
                },
                "source": {"accountId": "111122223333", "region": "us-east-1"},
                "permissionsBoundaryArn": boundary,
                "maxSessionDurationSeconds": 7200,
                "tags": {"team": "marketing", "cost center": "a+b=c"},
            }),
        )
        .await;
    world.ready("events").await;

    let live = world.iam.get_role().role_name(&role).send().await.unwrap().role.unwrap();
    assert_eq!(live.path, "/streaming/");
    assert_eq!(live.description.as_deref(), Some("Events of the app"));
    assert_eq!(live.max_session_duration, Some(7200));
    let live_boundary = live.permissions_boundary.and_then(|b| b.permissions_boundary_arn);
    assert_eq!(live_boundary.as_deref(), Some(boundary));
    let tags = world.tags(&role).await;
    assert_eq!(tags.get("team").map(String::as_str), Some("marketing"));
    assert_eq!(tags.get("cost center").map(String::as_str), Some("a+b=c"));
    let trust = world.trust_policy(&role).await;
    let account = &trust["Statement"][0]["Condition"]["StringEquals"]["aws:SourceAccount"];
    assert_eq!(*account, json!("111122223333"));
}

#[tokio::test]
async fn a_resource_without_a_role_name_gets_one_from_its_namespace_and_name() {
    let world = World::new("default-name").await;
    world
        .apply("events", &json!({"destination": {"kinesisStreamArn": kinesis_arn("events")}}))
        .await;
    let resource = world.ready("events").await;
    assert_eq!(resource.status.unwrap().role_name.as_deref(), Some("default-name-events"));
    assert!(world.role_exists("default-name-events").await);
}

#[tokio::test]
async fn an_edit_changes_the_role_and_ready_observes_the_new_generation() {
    let world = World::new("edit").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    spec["tags"] = json!({"team": "marketing", "stage": "test"});
    spec["description"] = "before".into();
    world.apply("events", &spec).await;
    let before = world.ready("events").await;

    spec["destination"] = json!({"kinesisStreamArn": kinesis_arn("other")});
    spec["source"] = json!({"accountId": "111122223333", "region": "us-east-1"});
    spec["tags"] = json!({"team": "sales"});
    spec["description"] = "after".into();
    spec["maxSessionDurationSeconds"] = 7200.into();
    spec["permissionsBoundaryArn"] = "arn:aws:iam::111122223333:policy/boundary".into();
    world.proxy.forget_calls();
    world.apply("events", &spec).await;
    let after = world.ready("events").await;

    assert_ne!(before.metadata.generation, after.metadata.generation);
    assert_eq!(world.permissions_policy(&role).await, Some(from_page(KINESIS, "other")));
    assert!(world.trust_policy(&role).await["Statement"][0]["Condition"].is_object());
    let tags = world.tags(&role).await;
    assert_eq!(tags.get("team").map(String::as_str), Some("sales"));
    assert_eq!(tags.get("stage"), None, "a tag that left the spec leaves the role");
    let live = world.iam.get_role().role_name(&role).send().await.unwrap().role.unwrap();
    assert_eq!(live.description.as_deref(), Some("after"));
    assert_eq!(live.max_session_duration, Some(7200));
    assert!(world.event("events", "Updated").await.contains("trust policy"));
    let writes: Vec<_> =
        world.proxy.calls().into_iter().filter(support::Call::is_write).map(|c| c.action).collect();
    assert_eq!(
        writes,
        [
            "PutRolePermissionsBoundary",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
            "TagRole",
            "UntagRole",
            "UpdateRole"
        ],
        "what restricts is written before what widens, each part once"
    );

    spec.as_object_mut().unwrap().remove("permissionsBoundaryArn");
    world.apply("events", &spec).await;
    world.ready("events").await;
    let live = world.iam.get_role().role_name(&role).send().await.unwrap().role.unwrap();
    assert_eq!(live.permissions_boundary, None, "a boundary that left the spec leaves the role");
}

#[tokio::test]
async fn a_requested_reconcile_is_acknowledged_in_the_status() {
    let world = World::new("requested").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.tamper(&role).await;
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "now-1").await;
    support::eventually("the request to be echoed", || async {
        let resource = world.resources.get("events").await.map_err(|error| error.to_string())?;
        let echoed = resource.status.and_then(|status| status.last_handled_reconcile_at);
        if echoed.as_deref() == Some("now-1") { Ok(()) } else { Err(format!("{echoed:?}")) }
    })
    .await;
    assert_eq!(world.permissions_policy(&role).await, Some(from_page(KINESIS, "events")));
}

#[tokio::test]
async fn kubectl_explains_lists_and_describes_the_resource() {
    let world = World::new("kubectl").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    let stack = stack().await;
    let kubectl = |arguments: &[&str]| {
        let mut kubectl: Command = stack.kubectl();
        let output = kubectl.args(["-n", "kubectl"]).args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };

    let explained = kubectl(&["explain", "pesr.spec.destination"]);
    for field in ["kinesisStreamArn", "firehoseDeliveryStreamArn", "kmsKeyArn"] {
        let described = explained.lines().skip_while(|line| !line.contains(field)).nth(1);
        assert!(described.is_some_and(|line| line.trim().len() > 20), "{field} in:\n{explained}");
    }
    let listed = kubectl(&["get", "pesr"]);
    for column in [
        "READY",
        "REASON",
        "ROLE",
        "DESTINATION",
        "AGE",
        "True",
        "Synced",
        "kubectl-events",
        "kinesis/events",
    ] {
        assert!(listed.contains(column), "{column} in:\n{listed}");
    }
    assert!(kubectl(&["get", "aws"]).contains("events"), "the category aws lists it");
    assert!(
        kubectl(&["get", "pesr", "-o", "wide"])
            .contains("arn:aws:iam::111122223333:role/kubectl-events")
    );
    let selected =
        kubectl(&["get", "pesr", "--field-selector", "spec.roleName=kubectl-events", "-o", "name"]);
    assert!(selected.contains("events"), "{selected}");
    kubectl(&["wait", "--for=condition=Ready", "pesr/events", "--timeout=10s"]);
}
