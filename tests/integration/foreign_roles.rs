//! Roles that the controller does not own.

use serde_json::json;

use support::world::{FOREIGN_TRUST, World, condition, ready};

#[tokio::test]
async fn a_foreign_role_is_left_alone_and_the_status_says_how_to_adopt_it() {
    let world = World::new("foreign").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.sees("events", "False", "RoleNotOwned").await;
    assert!(
        ready(&resource).message.contains("adoptionPolicy: Adopt"),
        "{}",
        ready(&resource).message
    );
    assert_eq!(condition(&resource, "Stalled").map(|c| c.status).as_deref(), Some("True"));

    world.delete("events").await;
    world.gone("events").await;
    assert!(world.tags(&role).await.is_empty());
    assert_eq!(
        world.trust_policy(&role).await,
        serde_json::from_str::<serde_json::Value>(FOREIGN_TRUST).unwrap()
    );
    assert_eq!(world.permissions_policy(&role).await, None);
}

#[tokio::test]
async fn an_adopted_role_is_tagged_first_then_changed_and_kept_on_deletion() {
    let world = World::new("adopt").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    let writes: Vec<_> =
        world.proxy.calls().into_iter().filter(support::Call::is_write).map(|c| c.action).collect();
    assert_eq!(
        writes,
        ["CreateRole", "TagRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "UpdateRole"]
    );

    world.delete("events").await;
    world.gone("events").await;
    assert!(world.role_exists(&role).await, "it was there before the resource");
    assert!(world.tags(&role).await.is_empty(), "released");
}

#[tokio::test]
async fn a_role_of_another_resource_is_a_conflict_that_names_it() {
    let world = World::new("conflict").await;
    world.apply("first", &world.kinesis_spec("shared")).await;
    world.ready("first").await;
    world.apply("second", &world.kinesis_spec("shared")).await;
    let second = world.sees("second", "False", "RoleOwnedByAnother").await;
    assert!(ready(&second).message.contains("conflict/first"), "{}", ready(&second).message);

    world.delete("second").await;
    world.gone("second").await;
    assert!(world.role_exists(&world.role("shared")).await, "whoever came first keeps it");
}

#[tokio::test]
async fn a_path_that_differs_is_said_and_nothing_is_orphaned() {
    let world = World::new("path").await;
    let role = world.role("events");
    let elsewhere = world.iam.create_role().role_name(&role).path("/elsewhere/");
    elsewhere.assume_role_policy_document(FOREIGN_TRUST).send().await.unwrap();
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec).await;
    let resource = world.sees("events", "False", "ImmutableFieldDiffers").await;
    let message = ready(&resource).message;
    assert!(message.contains("/elsewhere/") && message.contains("spec.path is /"), "{message}");
    assert!(world.tags(&role).await.is_empty(), "a role that cannot be made right is not claimed");
}

#[tokio::test]
async fn an_adopted_role_is_deleted_only_when_the_spec_says_so() {
    let world = World::new("adopt-delete").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = json!("Adopt");
    spec["deletionPolicy"] = json!("Delete");
    world.apply("events", &spec).await;
    world.ready("events").await;
    let adopted = world.tags(&role).await.get("streamrole.dev/adopted").cloned();
    assert_eq!(adopted.as_deref(), Some("true"));
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}
