//! What becomes of a role when its resource is deleted.

use support::Fault;

use crate::world::{OTHER_POLICY, POLICY, World, ready};

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
    for part in ["deletion of this resource, and of its namespace", "streamrole.dev/abandon"] {
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
