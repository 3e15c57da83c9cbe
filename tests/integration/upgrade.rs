//! From an older schema to the present one: what was stored reads, can be changed, and is worked on.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::{Controller, ControllerOptions, Stack, eventually};

use crate::world::{binary, condition, kinesis_arn, ready};

const OLDER: &str = include_str!("../schema/first.yaml");
const PRESENT: &str = include_str!("../../crds/streamrole.dev_pinpointeventstreamroles.yaml");

/// Every field of the first schema.
fn full() -> Value {
    json!({
        "roleName": "Upgraded",
        "path": "/streaming/",
        "description": "as declared",
        "destination": {
            "firehoseDeliveryStreamArn": "arn:aws:firehose:us-east-1:111122223333:deliverystream/events",
            "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        },
        "source": {
            "accountId": "111122223333",
            "region": "us-east-1",
            "applicationId": "0123456789abcdef0123456789abcdef",
        },
        "permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary",
        "maxSessionDurationSeconds": 7200,
        "tags": {"team": "marketing"},
        "exclusivePolicies": true,
        "adoptionPolicy": "Adopt",
        "deletionPolicy": "Retain",
        "driftPolicy": "Correct",
    })
}

/// As the controller of that time left it.
fn status() -> Value {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Synced", "message": "The IAM role is as declared.",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-01T00:00:00Z",
        })
    };
    let conditions = ["Ready", "TrustPolicySynced", "PermissionsPolicySynced"].map(condition);
    json!({
        "observedGeneration": 1,
        "roleName": "Upgraded",
        "roleArn": "arn:aws:iam::123456789012:role/streaming/Upgraded",
        "roleId": "AROADBQP57FF2AEXAMPLE",
        "destination": "firehose/events",
        "tagKeys": ["team"],
        "lastHandledReconcileAt": "yesterday",
        "lastChangeTime": "2026-11-01T00:00:00Z",
        "drift": [{"path": "description", "desired": "as declared", "live": "other"}],
        "conditions": conditions,
    })
}

#[tokio::test]
async fn what_was_stored_under_the_first_schema_reads_and_is_worked_on_under_the_present_one() {
    let stack = Stack::start().await.unwrap();
    let rbac = include_str!("../../deploy/rbac/clusterrole.yaml");
    stack.install(OLDER, rbac).await.unwrap();
    let client = stack.admin().await.unwrap();
    let kind = GroupVersionKind::gvk("streamrole.dev", "v1alpha1", "PinpointEventStreamRole");
    let resource = kube::core::ApiResource::from_gvk(&kind);
    let untyped: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &resource);
    let params = PatchParams::apply("older").force();
    let minimal = json!({"destination": {"kinesisStreamArn": kinesis_arn("minimal")}});
    for (name, spec) in [("full", full()), ("minimal", minimal)] {
        let object = json!({
            "apiVersion": "streamrole.dev/v1alpha1", "kind": "PinpointEventStreamRole",
            "metadata": {"name": name, "finalizers": ["streamrole.dev/finalizer"]}, "spec": spec,
        });
        untyped.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }
    let told = json!({
        "apiVersion": "streamrole.dev/v1alpha1", "kind": "PinpointEventStreamRole", "status": status(),
    });
    let stored = untyped.patch_status("full", &params, &Patch::Apply(told)).await.unwrap();
    assert_eq!(stored.data["status"], status(), "the older schema knows all of it");

    stack.install(PRESENT, rbac).await.unwrap();
    let typed: Api<PinpointEventStreamRole> = Api::namespaced(client, "default");
    eventually("the present schema to be served", || async {
        let first = kube::api::ListParams::default().fields("status.reason=Synced");
        typed.list(&first).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let read = untyped.get("full").await.unwrap();
    assert_eq!((&read.data["spec"], &read.data["status"]), (&full(), &status()), "nothing is lost");
    let read = typed.get("full").await.unwrap();
    assert_eq!(serde_json::to_value(&read.spec).unwrap(), full());
    assert_eq!(ready(&read).reason, "Synced");
    let edit = Patch::Merge(json!({"spec": {"description": "edited"}}));
    for name in ["full", "minimal"] {
        let edited = typed.patch(name, &PatchParams::default(), &edit).await.unwrap();
        assert_eq!(edited.spec.description.as_deref(), Some("edited"), "{}", edited.name_any());
    }

    let options = ControllerOptions::new(binary(), stack.iam_url());
    let controller = Controller::start(&stack, &options).unwrap();
    for name in ["full", "minimal"] {
        eventually(&format!("{name} to be ready"), || async {
            let resource = typed.get(name).await.unwrap();
            let is_ready = condition(&resource, "Ready").is_some_and(|c| c.status == "True");
            let is_current = resource.status.as_ref().and_then(|s| s.observed_generation)
                == resource.metadata.generation;
            if is_ready && is_current { Ok(()) } else { Err(controller.log()) }
        })
        .await;
    }
}
