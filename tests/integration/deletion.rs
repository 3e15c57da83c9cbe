//! The role of a resource that is deleted.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::{Fault, eventually, manifest};

use support::world::{OTHER_POLICY, POLICY, World, ready, stack};

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
async fn a_role_that_is_gone_already_does_not_hold_the_resource() {
    let world = World::new("delete-gone").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.iam.delete_role_policy().role_name(&role).policy_name(POLICY).send().await.unwrap();
    world.iam.delete_role().role_name(&role).send().await.unwrap();
    world.delete("events").await;
    world.gone("events").await;
}

#[tokio::test]
async fn the_role_of_a_resource_that_its_finalizer_could_not_hold_goes_too() {
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
async fn a_resource_that_takes_the_place_of_one_that_vanished_has_its_role_back() {
    let world = World::new("vanished-anew").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    // IAM lags behind, so the successor exists before the role could be cleaned up.
    world.proxy.inject("GetRole", None, Fault::answer(503, "ServiceUnavailable", "later"));
    stack().await.lose("vanished-anew", "events").await.unwrap();
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
async fn retain_keeps_the_role_without_our_tags() {
    let world = World::new("retain").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    spec["deletionPolicy"] = "Retain".into();
    spec["tags"] = serde_json::json!({"team": "marketing"});
    world.apply("events", &spec).await;
    world.ready("events").await;
    world.delete("events").await;
    world.gone("events").await;
    let tags = world.tags(&role).await;
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["team"]);
    assert!(world.permissions_policy(&role).await.is_some(), "a retained role still works");
}

#[tokio::test]
async fn a_policy_that_somebody_added_goes_with_the_role_when_policies_are_exclusive() {
    let world = World::new("delete-exclusive").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    spec["exclusivePolicies"] = true.into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    let added = world.iam.put_role_policy().role_name(&role).policy_name("added");
    added.policy_document(OTHER_POLICY).send().await.unwrap();
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}

#[tokio::test]
async fn a_blocked_deletion_goes_on_by_itself_when_the_spec_allows_it() {
    let world = World::new("delete-unblocked").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    world.ready("events").await;
    let added = world.iam.put_role_policy().role_name(&role).policy_name("added");
    added.policy_document(OTHER_POLICY).send().await.unwrap();
    world.delete("events").await;
    let message = ready(&world.sees("events", "False", "DeletionBlocked").await).message;
    assert!(message.contains("exclusivePolicies: true"), "{message}");
    spec["deletionPolicy"] = "Retain".into();
    world.apply("events", &spec).await;
    world.gone("events").await;
    assert!(world.tags(&role).await.is_empty(), "released");
}

#[tokio::test]
async fn a_resource_whose_credentials_no_longer_work_says_so_and_can_be_let_go() {
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

#[tokio::test]
async fn a_paused_resource_that_is_deleted_says_what_it_waits_for() {
    let world = World::new("delete-paused").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.annotate("events", "streamrole.dev/paused", "true").await;
    world.sees("events", "True", "Paused").await;
    world.delete("events").await;
    let message = ready(&world.sees("events", "False", "Paused").await).message;
    assert!(message.contains("Remove the annotation streamrole.dev/paused"), "{message}");
    assert!(world.event("events", "Paused").await.contains("is being deleted"));
    assert!(world.role_exists(&world.role("events")).await);
    world.annotate("events", "streamrole.dev/paused", "false").await;
    world.gone("events").await;
    assert!(!world.role_exists(&world.role("events")).await);
}
