//! From an older schema to the current one: stored objects can be parsed, edited and reconciled. From a newer schema
//! back: the controller reports what it cannot parse, and leaves it unchanged.

use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::{
    CLUSTER_ROLE, CRD, Call, Controller, ControllerOptions, Proxy, Stack, api_resource,
    check_status, eventually, http_get, is_ready, manifest,
};

use support::world::{binary, kinesis_arn, ready};

const OLDER: &str = include_str!("../schema/first.yaml");

/// The schema of the last release with one kind.
const ONE_KIND: &str = include_str!("../schema/second.yaml");

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

/// As the controller of that time wrote it.
fn status() -> Value {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Synced", "message": "The IAM role matches the spec.",
            "observedGeneration": 1, "lastTransitionTime": "2026-11-01T00:00:00Z",
        })
    };
    let conditions = ["Ready", "TrustPolicySynced", "PermissionsPolicySynced"].map(condition);
    json!({
        "observedGeneration": 1,
        "roleName": "Upgraded",
        "roleArn": "arn:aws:iam::111122223333:role/streaming/Upgraded",
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
async fn objects_stored_under_the_first_schema_are_reconciled() {
    let stack = Stack::start().await.unwrap();
    stack.install(OLDER, CLUSTER_ROLE).await.unwrap();
    let client = stack.admin().await.unwrap();
    let untyped: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &api_resource());
    let params = PatchParams::apply("older").force();
    let minimal = json!({"destination": {"kinesisStreamArn": kinesis_arn("minimal")}});
    for (name, spec) in [("full", full()), ("minimal", minimal)] {
        let metadata = json!({"name": name, "finalizers": ["streamrole.dev/finalizer"]});
        let object = manifest(&metadata, &spec);
        untyped.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }
    let told = json!({
        "apiVersion": "streamrole.dev/v1alpha1", "kind": "PinpointEventStreamRole", "status": status(),
    });
    let stored = untyped.patch_status("full", &params, &Patch::Apply(told)).await.unwrap();
    assert_eq!(stored.data["status"], status(), "the older schema knows all of it");

    stack.install(CRD, CLUSTER_ROLE).await.unwrap();
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
        assert_eq!(
            edited.spec.settings.description.as_deref(),
            Some("edited"),
            "{}",
            edited.name_any()
        );
    }

    let options = ControllerOptions::new(binary(), stack.iam_url());
    let controller = Controller::start(&stack, &options).unwrap();
    for name in ["full", "minimal"] {
        eventually(&format!("{name} to be ready"), || async {
            let resource = typed.get(name).await.unwrap();
            check_status(&resource);
            if is_ready(&resource) { Ok(()) } else { Err(controller.log()) }
        })
        .await;
    }
}

/// All objects that the controller could write, with the version that each write would change.
async fn versions(stack: &Stack) -> Vec<String> {
    let kinds = "pinpointeventstreamroles,eventstreamroles,events.events.k8s.io,leases,configmaps";
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    let mut kubectl = stack.kubectl();
    kubectl.args(["get", kinds, "--namespace", "default", "--output", columns]);
    // The proxy in front of IAM runs on this thread.
    let run = tokio::task::spawn_blocking(move || kubectl.output()).await.unwrap().unwrap();
    assert!(run.status.success(), "{run:?}");
    String::from_utf8(run.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Returns after `more` further resyncs.
async fn resyncs(proxy: &Proxy, controller: &Controller, more: usize) {
    let begun = || proxy.actions().iter().filter(|action| *action == "ListRoles").count();
    let before = begun();
    // The last one has begun when the one before it has ended.
    eventually(&format!("{more} more resyncs"), || async {
        let seen = begun() - before;
        if seen > more { Ok(()) } else { Err(format!("{seen}\n{}", controller.log())) }
    })
    .await;
}

#[tokio::test]
async fn an_upgrade_from_one_kind_writes_to_no_object_and_no_role() {
    let stack = Stack::start().await.unwrap();
    stack.install(ONE_KIND, CLUSTER_ROLE).await.unwrap();
    let client = stack.admin().await.unwrap();
    let resources: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &api_resource());
    let params = PatchParams::apply("user").force();
    let apply = async |name: &str, spec: &Value| {
        let object = manifest(&json!({"name": name}), spec);
        resources.patch(name, &params, &Patch::Apply(object)).await.unwrap();
    };
    let proxy = Proxy::start(stack.iam_url(), None).await.unwrap();
    let options =
        ControllerOptions { resync: "1s".into(), ..ControllerOptions::new(binary(), proxy.url()) };
    let controller = Controller::start(&stack, &options).unwrap();
    let settles = async |name: &str, reason: &str| {
        eventually(&format!("{name} to be {reason}"), || async {
            let object = resources.get(name).await.unwrap();
            let resource: PinpointEventStreamRole =
                serde_json::from_value(serde_json::to_value(&object).unwrap()).unwrap();
            check_status(&resource);
            if is_ready(&resource) && ready(&resource).reason == reason {
                Ok(object)
            } else {
                Err(format!("{:?}\n{}", resource.status, controller.log()))
            }
        })
        .await
    };
    let minimal = json!({"destination": {"kinesisStreamArn": kinesis_arn("minimal")}});
    let mut reported = json!({"destination": {"kinesisStreamArn": kinesis_arn("reported")}});
    for (name, spec) in [("full", &full()), ("minimal", &minimal), ("reported", &reported)] {
        apply(name, spec).await;
        let settled = settles(name, "Synced").await;
        assert!(settled.data["status"].get("source").is_none(), "{}", settled.data);
    }
    reported["driftPolicy"] = json!("Report");
    reported["description"] = json!("new");
    apply("reported", &reported).await;
    settles("reported", "DriftReported").await;
    resyncs(&proxy, &controller, 2).await;
    assert_eq!(controller.stop().unwrap(), 0);

    stack.install(CRD, CLUSTER_ROLE).await.unwrap();
    eventually("the present schema to be served", || async {
        let told = Patch::Merge(json!({"status": {"source": "ses/a"}}));
        let dry_run = PatchParams::default().dry_run();
        let kept = resources.patch_status("full", &dry_run, &told).await;
        let kept = kept.map_err(|error| error.to_string())?;
        if kept.data["status"]["source"] == "ses/a" { Ok(()) } else { Err(kept.data.to_string()) }
    })
    .await;
    let before = versions(&stack).await;
    assert!(before.len() > 3, "{before:?}");
    proxy.forget_calls();
    let controller = Controller::start(&stack, &options).unwrap();
    resyncs(&proxy, &controller, 2).await;
    let metrics = controller.metrics().await;
    for (reason, number) in [("Synced", 2), ("DriftReported", 1)] {
        let known = format!(
            r#"streamrole_resources{{kind="PinpointEventStreamRole",condition="Ready",status="True",reason="{reason}"}} {number}"#
        );
        assert!(metrics.contains(&known), "{known} in {metrics}");
    }
    assert_eq!(versions(&stack).await, before, "{}", controller.log());
    let writes: Vec<_> =
        proxy.calls().into_iter().filter(|call| call.is_write() && !call.is_to_sts()).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

/// The current schema as a later version could extend it: `adoptionPolicy` accepts any word.
fn newer() -> String {
    let mut crd: Value = serde_saphyr::from_str(CRD).unwrap();
    let schema = &mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let field = &mut schema["properties"]["spec"]["properties"]["adoptionPolicy"];
    assert!(field.as_object_mut().unwrap().remove("enum").is_some(), "{field}");
    crd.to_string()
}

#[tokio::test]
async fn values_of_a_newer_schema_are_reported_and_change_nothing() {
    let stack = Stack::start().await.unwrap();
    stack.install(&newer(), CLUSTER_ROLE).await.unwrap();
    let client = stack.admin().await.unwrap();
    let resources: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &api_resource());
    let apply = async |name: &str, adoption_policy: &str| {
        let spec = json!({
            "roleName": name,
            "adoptionPolicy": adoption_policy,
            "destination": {"kinesisStreamArn": kinesis_arn(name)},
        });
        let object = manifest(&json!({"name": name}), &spec);
        let params = PatchParams::apply("user");
        resources.patch(name, &params, &Patch::Apply(object)).await.unwrap()
    };
    let proxy = Proxy::start(stack.iam_url(), None).await.unwrap();
    let options = ControllerOptions::new(binary(), proxy.url());
    let controller = Controller::start(&stack, &options).unwrap();
    let says = async |name: &str, status: &str, words: &str| {
        eventually(&format!("{name} to be {status} and say {words:?}"), || async {
            let object = resources.get(name).await.unwrap();
            // Only a newer version may be able to parse the spec; the status is always ours.
            let mut ours = manifest(&json!(object.metadata), &json!({"destination": {}}));
            ours["status"] = object.data["status"].clone();
            check_status(&serde_json::from_value::<PinpointEventStreamRole>(ours).unwrap());
            let said = object.data["status"].clone();
            let all = said["conditions"].as_array().cloned().unwrap_or_default();
            let ready = all.iter().find(|condition| condition["type"] == "Ready").cloned();
            let ready = ready.unwrap_or_default();
            let generation = object.metadata.generation.unwrap();
            let is_said = ready["status"] == status
                && ready["observedGeneration"] == generation
                && ready["message"].as_str().is_some_and(|message| message.contains(words));
            if is_said { Ok(said) } else { Err(format!("{said}\n{}", controller.log())) }
        })
        .await
    };
    apply("well", "Never").await;
    let known = says("well", "True", "matches the spec").await;
    proxy.forget_calls();

    // One that was never readable, and one that is no longer readable.
    apply("never", "Share").await;
    apply("well", "Share").await;
    for name in ["never", "well"] {
        let said = says(name, "False", "spec.adoptionPolicy: unknown variant `Share`").await;
        assert_eq!(said["reason"], "InvalidSpec", "{said}");
        assert!(said["conditions"].to_string().contains("Stalled"), "{said}");
    }
    let said = says("well", "False", "a version of the controller that knows it").await;
    assert_eq!(said["roleArn"], known["roleArn"], "what was known stays");
    let url = controller.listen_url().await;
    let metrics = http_get(&format!("{url}/metrics")).await.unwrap().1;
    let stalled = r#"streamrole_resources{kind="PinpointEventStreamRole",condition="Stalled",status="True",reason="InvalidSpec"} 2"#;
    assert!(metrics.contains(stalled), "{metrics}");
    apply("other", "Never").await;
    says("other", "True", "matches the spec").await;

    resources.delete("well", &kube::api::DeleteParams::default()).await.unwrap();
    says("well", "False", "streamrole.dev/abandon").await;
    let abandon =
        Patch::Merge(json!({"metadata": {"annotations": {"streamrole.dev/abandon": "true"}}}));
    resources.patch("well", &PatchParams::default(), &abandon).await.unwrap();
    eventually("the abandoned resource to go", || async {
        let object = resources.get_opt("well").await.unwrap();
        object.map_or(Ok(()), |object| Err(format!("{object:?}\n{}", controller.log())))
    })
    .await;
    let calls = proxy.calls();
    let concerns = |call: &&Call| ["never", "well"].contains(&call.text("RoleName").as_str());
    let concerned: Vec<_> = calls.iter().filter(concerns).collect();
    assert!(concerned.is_empty(), "{concerned:?}");

    apply("never", "Adopt").await;
    says("never", "True", "matches the spec").await;
}
