//! Many resources at once, for tests and measurements with a load. Only their number matters.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde_json::json;

use crate::Error;

/// How `PinpointEventStreamRole` is served.
#[must_use]
pub fn api_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("streamrole.dev", "v1alpha1", "PinpointEventStreamRole");
    ApiResource::from_gvk_with_plural(&kind, "pinpointeventstreamroles")
}

/// Creates a resource for each namespace and name, 16 at a time.
///
/// # Errors
/// When the API server refuses one.
pub async fn create_resources(
    client: &Client,
    resources: impl Iterator<Item = (String, String)>,
) -> Result<(), Error> {
    let create = |(namespace, name): (String, String)| async move {
        let resource = api_resource();
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
        let mut manifest = DynamicObject::new(&name, &resource);
        manifest.data = json!({"spec": {
            "destination": {
                "kinesisStreamArn": format!("arn:aws:kinesis:us-east-1:111122223333:stream/{name}"),
            },
            "source": {"accountId": "111122223333", "region": "us-east-1"},
        }});
        api.create(&PostParams::default(), &manifest).await.map(drop)
    };
    Ok(stream::iter(resources.map(create)).buffer_unordered(16).try_collect().await?)
}
