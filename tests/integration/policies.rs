//! The admission policies that are shipped, on the real API server: what each refuses, in which words, and what it
//! leaves alone.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, discovery};
use serde::Deserialize as _;
use serde_json::{Value, json};
use support::eventually;

use crate::world::World;

/// A world under the policies of this file, for its own namespace only.
async fn under(test: &str, policies: &str) -> World {
    let world = World::without_controller(test).await;
    let parameters = include_str!("../../deploy/policies/parameters.yaml");
    let mut parameters: ConfigMap = serde_saphyr::from_str(parameters).unwrap();
    parameters.metadata.namespace = Some(test.into());
    let config_maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), test);
    config_maps.create(&PostParams::default(), &parameters).await.unwrap();

    let documents: Vec<Value> = serde_saphyr::from_multiple(policies).unwrap();
    for mut document in documents {
        let kind = document["kind"].as_str().unwrap().to_owned();
        document["metadata"]["name"] = json!(test);
        if kind == "ValidatingAdmissionPolicyBinding" {
            let spec = &mut document["spec"];
            spec["policyName"] = json!(test);
            let here = json!({"matchLabels": {"kubernetes.io/metadata.name": test}});
            spec["matchResources"] = json!({"namespaceSelector": here});
            if let Some(parameters) = spec.get_mut("paramRef") {
                parameters["namespace"] = json!(test);
            }
        }
        let object = DynamicObject::deserialize(document).unwrap();
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &kind);
        let (resource, _) = discovery::pinned_kind(&world.client, &kind).await.unwrap();
        let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
        let params = PatchParams::apply("test").force();
        api.patch(test, &params, &Patch::Apply(&object)).await.unwrap();
    }
    world
}

/// Waits until the policy is in force: this spec is refused, and with all of these words.
async fn refused(world: &World, name: &str, spec: &Value, words: &[&str]) {
    eventually(&format!("{name} to be refused"), || async {
        // A dry run: until the policy is in force it would be stored.
        let manifest = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {"name": name},
            "spec": spec,
        });
        let params = PatchParams::apply("user").dry_run();
        match world.resources.patch(name, &params, &Patch::Apply(manifest)).await {
            Ok(_) => Err("it is accepted".to_owned()),
            Err(kube::Error::Api(answer)) if answer.code == 403 => {
                for word in words {
                    assert!(answer.message.contains(word), "{word} in: {}", answer.message);
                }
                Ok(())
            }
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

fn with(spec: &Value, field: &str, value: Value) -> Value {
    let mut spec = spec.clone();
    spec[field] = value;
    spec
}

#[tokio::test]
async fn role_names_begin_with_the_prefix_of_the_namespace() {
    let policies = include_str!("../../deploy/policies/role-name-prefix.yaml");
    let world = under("prefixes", policies).await;
    let own = world.kinesis_spec("events");
    let other = with(&own, "roleName", json!("admin"));
    refused(&world, "events", &other, &["spec.roleName", "admin", "begin with prefixes-"]).await;
    world.apply("events", &own).await;
    world.apply("unnamed", &json!({"destination": own["destination"]})).await;

    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let prefix = json!({"metadata": {"annotations": {"streamrole.dev/role-name-prefix": "team-"}}});
    namespaces.patch("prefixes", &PatchParams::default(), &Patch::Merge(prefix)).await.unwrap();
    refused(&world, "late", &own, &["begin with team-"]).await;
    refused(&world, "late", &json!({"destination": own["destination"]}), &["prefixes-late"]).await;
    world.apply("late", &with(&own, "roleName", json!("team-late"))).await;
}

#[tokio::test]
async fn events_go_to_streams_of_the_listed_accounts() {
    let policies = include_str!("../../deploy/policies/destination-accounts.yaml");
    let world = under("accounts", policies).await;
    let foreign = |service: &str, stream: &str| {
        format!("arn:aws:{service}:us-east-1:999999999999:{stream}/events")
    };
    for (field, arn) in [
        ("kinesisStreamArn", foreign("kinesis", "stream")),
        ("firehoseDeliveryStreamArn", foreign("firehose", "deliverystream")),
    ] {
        let spec = json!({"destination": {field: arn}});
        refused(&world, "events", &spec, &[field, "account 999999999999", "only: 111122223333"])
            .await;
    }
    world.apply("events", &world.kinesis_spec("events")).await;
}

#[tokio::test]
async fn every_role_has_one_of_the_listed_boundaries() {
    let policies = include_str!("../../deploy/policies/permissions-boundary.yaml");
    let world = under("boundaries", policies).await;
    let spec = world.kinesis_spec("events");
    let boundary = |name: &str| json!(format!("arn:aws:iam::111122223333:policy/{name}"));
    refused(&world, "events", &spec, &["spec.permissionsBoundaryArn is none"]).await;
    let other = with(&spec, "permissionsBoundaryArn", boundary("other"));
    refused(&world, "events", &other, &["policy/other", "one of", "policy/streamrole-boundary"])
        .await;
    let right = with(&spec, "permissionsBoundaryArn", boundary("streamrole-boundary"));
    world.apply("events", &right).await;
    refused(&world, "events", &spec, &["spec.permissionsBoundaryArn is none"]).await;
}

#[tokio::test]
async fn every_role_says_who_may_use_it_and_what_was_there_before_can_still_go() {
    let mut world = World::without_controller("sources").await;
    world.start_controller().await;
    let spec = world.kinesis_spec("old");
    world.apply("old", &spec).await;
    world.ready("old").await;

    let policies = include_str!("../../deploy/policies/source.yaml");
    let strict = under("sources-policy", policies).await;
    let source = json!({"accountId": "111122223333", "region": "us-east-1"});
    let spec = strict.kinesis_spec("events");
    refused(&strict, "events", &spec, &["spec.source is missing", "source.accountId"]).await;
    strict.apply("events", &with(&spec, "source", source)).await;

    // The old resource's namespace comes under the policy only now.
    let bindings = GroupVersionKind::gvk(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
    );
    let (resource, _) = discovery::pinned_kind(&world.client, &bindings).await.unwrap();
    let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "sources"}});
    let patch = json!({"spec": {"matchResources": {"namespaceSelector": here}}});
    api.patch("sources-policy", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let old = world.kinesis_spec("old");
    let edited = with(&old, "description", json!("edited"));
    refused(&world, "old", &edited, &["spec.source is missing"]).await;
    world.annotate("old", "streamrole.dev/reconcile-requested-at", "now").await;
    world.delete("old").await;
    world.gone("old").await;
}
