//! Builds resources for tests and reads their status.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ApiResource, PostParams};
use kube::core::object::HasStatus;
use kube::core::{DynamicObject, ObjectMeta};
use kube::{Api, Client, Resource};
use serde_json::{Value, json};
use streamrole::api::{EventStreamRole, PinpointEventStreamRole, RoleStatus};

use crate::Error;

/// The API resource of `PinpointEventStreamRole`.
#[must_use]
pub fn api_resource() -> ApiResource {
    ApiResource::erase::<PinpointEventStreamRole>(&())
}

/// The API resource of the kind of this name.
fn api_resource_of(kind: &str) -> ApiResource {
    if kind == EventStreamRole::kind(&()) {
        ApiResource::erase::<EventStreamRole>(&())
    } else {
        api_resource()
    }
}

/// A resource as a user writes it.
#[must_use]
pub fn manifest(metadata: &Value, spec: &Value) -> Value {
    json!({
        "apiVersion": PinpointEventStreamRole::api_version(&()),
        "kind": PinpointEventStreamRole::kind(&()),
        "metadata": metadata,
        "spec": spec,
    })
}

/// ARN of a Kinesis data stream.
#[must_use]
pub fn kinesis_arn(stream: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:111122223333:stream/{stream}")
}

/// The condition of this type.
#[must_use]
pub fn condition(resource: &impl HasStatus<Status = RoleStatus>, type_: &str) -> Option<Condition> {
    resource
        .status()
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|c| c.type_ == type_)
        .cloned()
}

/// The condition `Ready`; a condition with the status "absent" if there is none.
#[must_use]
pub fn ready(resource: &impl HasStatus<Status = RoleStatus>) -> Condition {
    condition(resource, "Ready").unwrap_or_else(|| Condition {
        type_: "Ready".into(),
        status: "absent".into(),
        reason: String::new(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    })
}

/// Whether the resource is Ready for its current generation.
#[must_use]
pub fn is_ready(resource: &(impl Resource + HasStatus<Status = RoleStatus>)) -> bool {
    let ready = ready(resource);
    ready.status == "True" && ready.observed_generation == resource.meta().generation
}

/// Creates the namespace.
///
/// # Errors
/// When the API server rejects it, for example because it exists.
pub async fn create_namespace(client: &Client, name: &str) -> Result<(), kube::Error> {
    let metadata = ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let namespaces: Api<Namespace> = Api::all(client.clone());
    namespaces.create(&PostParams::default(), &namespace).await.map(drop)
}

/// Uid of the namespace `kube-system`, which identifies the cluster on roles.
///
/// # Errors
/// When the API server does not answer.
pub async fn cluster_id(client: &Client) -> Result<String, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    Ok(namespaces.get_metadata("kube-system").await?.metadata.uid.unwrap_or_default())
}

/// Creates these resources, a number of them concurrently.
///
/// # Errors
/// When the API server rejects one.
pub async fn create_all(
    client: &Client,
    manifests: impl Iterator<Item = Value>,
    concurrently: usize,
) -> Result<(), Error> {
    let create = |manifest: Value| async move {
        let resource: DynamicObject = serde_json::from_value(manifest)?;
        let namespace = resource.metadata.namespace.clone().unwrap_or_default();
        let kind = resource.types.as_ref().map_or("", |types| types.kind.as_str());
        let kind = api_resource_of(kind);
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
        api.create(&PostParams::default(), &resource).await?;
        Ok(())
    };
    stream::iter(manifests.map(create)).buffer_unordered(concurrently).try_collect().await
}

/// Creates a resource for each namespace and name, where only their number matters.
///
/// # Errors
/// When the API server rejects one.
pub async fn create_resources(
    client: &Client,
    resources: impl Iterator<Item = (String, String)>,
) -> Result<(), Error> {
    let manifests = resources.map(|(namespace, name)| {
        let spec = json!({
            "destination": {"kinesisStreamArn": kinesis_arn(&name)},
            "source": {"accountId": "111122223333", "region": "us-east-1"},
        });
        manifest(&json!({"namespace": namespace, "name": name}), &spec)
    });
    create_all(client, manifests, 16).await
}

/// Creates an `EventStreamRole` for each namespace and name, where only their number matters.
///
/// # Errors
/// When the API server rejects one.
pub async fn create_event_stream_roles(
    client: &Client,
    resources: impl Iterator<Item = (String, String)>,
) -> Result<(), Error> {
    let manifests = resources.map(|(namespace, name)| {
        json!({
            "apiVersion": EventStreamRole::api_version(&()),
            "kind": EventStreamRole::kind(&()),
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "source": {"eventBridgeRule": {"ruleName": name}},
                "destination": {"kinesisStreamArn": kinesis_arn(&name)},
            },
        })
    });
    create_all(client, manifests, 16).await
}
