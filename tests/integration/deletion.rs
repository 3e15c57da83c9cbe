//! What becomes of a role when its resource is deleted.

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
async fn a_policy_that_somebody_added_holds_the_deletion_until_it_is_gone() {
    let world = World::new("delete-blocked").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    let added = world.iam.put_role_policy().role_name(&role).policy_name("added");
    added.policy_document(OTHER_POLICY).send().await.unwrap();

    world.delete("events").await;
    let resource = world.sees("events", "False", "DeletionBlocked").await;
    let message = ready(&resource).message;
    assert!(
        message.contains("inlinePolicies[added]") && message.contains("exclusivePolicies"),
        "{message}"
    );
    assert!(world.event("events", "DeletionBlocked").await.contains("added"));
    assert!(world.permissions_policy(&role).await.is_some(), "a kept role keeps working");

    world.iam.delete_role_policy().role_name(&role).policy_name("added").send().await.unwrap();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}
