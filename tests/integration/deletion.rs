//! The role of a resource that is deleted.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::{Fault, eventually, manifest};

use support::world::{World, ready, stack};

#[tokio::test]
async fn deleting_the_resource_deletes_the_role() {
    let world = World::new("delete").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&world.role("events")).await);
    assert!(world.event("events", "Deleted").await.contains(&world.role("events")));
}

#[tokio::test]
async fn the_role_is_deleted_even_if_the_finalizer_was_removed() {
    let world = World::new("vanished").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    stack().await.lose("vanished", "events").await.unwrap();
    assert!(world.event("events", "Deleted").await.contains(&role));
    assert!(!world.role_exists(&role).await);

    // A resource without a role is released once the controller is sure that an earlier process left none.
    let report = json!({
        "roleName": world.role("none"),
        "driftPolicy": "Report",
        "destination": world.kinesis_spec("none")["destination"],
    });
    world.apply("none", &report).await;
    world.sees("none", "False", "DriftReported").await;
    world.delete("none").await;
    world.gone("none").await;

    // One is deleted before its role exists in IAM; its role is also observed first.
    let role = world.role("early");
    world.proxy.forget_calls();
    let later = Fault::answer(503, "ServiceUnavailable", "later");
    world.proxy.inject("CreateRole", Some(&role), later);
    world.apply("early", &world.kinesis_spec("early")).await;
    world.proxy.saw("CreateRole").await;
    world.proxy.forget_calls();
    stack().await.lose("vanished", "early").await.unwrap();
    world.proxy.saw("GetRole").await;
    world.proxy.heal();
    assert!(world.event("early", "Deleted").await.contains(&role));
    assert!(!world.role_exists(&role).await);
}

#[tokio::test]
async fn a_recreated_resource_reclaims_the_role_of_an_orphaning_deletion() {
    let world = World::new("vanished-recreated").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    // IAM lags behind, so the successor exists before the role could be cleaned up.
    world.proxy.inject("GetRole", None, Fault::answer(503, "ServiceUnavailable", "later"));
    stack().await.lose("vanished-recreated", "events").await.unwrap();
    world.gone("events").await;
    let paused = manifest(
        &json!({"name": "events", "annotations": {"streamrole.dev/paused": "true"}}),
        &world.kinesis_spec("events"),
    );
    let params = PatchParams::apply("user");
    let successor = world.resources.patch("events", &params, &Patch::Apply(paused)).await.unwrap();
    eventually("the vanished one to be known to be recreated", || async {
        let log = world.log();
        if log.contains("recreated before its role could be cleaned up") {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    world.proxy.heal();
    world.annotate("events", "streamrole.dev/paused", "false").await;
    world.ready("events").await;
    let uid = world.tags(&role).await.get("streamrole.dev/uid").cloned();
    assert_eq!(uid, successor.metadata.uid);
    assert!(!world.proxy.actions().contains(&"DeleteRole".to_owned()), "{}", world.log());
}

#[tokio::test]
async fn a_resource_without_working_credentials_reports_it_and_can_be_abandoned() {
    let world = World::new("abandon").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    let fault = Fault::answer(
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid",
    );
    world.proxy.inject("GetRole", None, fault);
    world.delete("events").await;
    let message = ready(&world.sees("events", "False", "CredentialsUnavailable").await).message;
    for part in ["this resource and its namespace cannot be deleted", "streamrole.dev/abandon"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert!(
        world.event("events", "CredentialsUnavailable").await.contains("streamrole.dev/abandon")
    );

    world.proxy.forget_calls();
    world.annotate("events", "streamrole.dev/abandon", "true").await;
    world.gone("events").await;
    assert!(world.proxy.calls().is_empty(), "{:?}", world.proxy.actions());
    assert!(world.event("events", "Abandoned").await.contains(&role));
    assert!(world.role_exists(&role).await);
}
