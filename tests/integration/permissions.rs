//! The controller's own permissions in IAM. In every test of this binary, IAM denies what the shipped policies do not
//! allow, including their conditions on tags. This file tests that they allow nothing that is not needed.

use std::collections::BTreeSet;

use aws_sdk_iam::types::Tag;
use serde_json::{Value, json};

use support::world::{
    ADOPTION_POLICY, BOUNDARY, BOUNDARY_POLICY, CONTROLLER_POLICY, FOREIGN_TRUST, OTHER_POLICY,
    World, ready, shipped,
};

const OTHER_BOUNDARY: &str = "arn:aws:iam::111122223333:policy/other-boundary";

/// Makes a controller do all kinds of work.
async fn all_work(world: &mut World) {
    world.start_controller().await;

    let mut spec = world.kinesis_spec("events");
    spec["permissionsBoundaryArn"] = BOUNDARY.into();
    spec["tags"] = json!({"team": "marketing"});
    spec["exclusivePolicies"] = true.into();
    world.apply("events", &spec).await;
    world.ready("events").await;

    // Each part drifts, and the role gets other policies.
    let role = world.role("events");
    let iam = &world.iam;
    let trust = iam.update_assume_role_policy().role_name(&role);
    trust.policy_document(FOREIGN_TRUST).send().await.unwrap();
    iam.update_role().role_name(&role).description("changed").send().await.unwrap();
    let tag = Tag::builder().key("team").value("other").build().unwrap();
    iam.tag_role().role_name(&role).tags(tag).send().await.unwrap();
    iam.delete_role_permissions_boundary().role_name(&role).send().await.unwrap();
    let put = iam.put_role_policy().role_name(&role).policy_name("extra");
    put.policy_document(OTHER_POLICY).send().await.unwrap();
    let create = iam.create_policy().policy_name(format!("{role}-extra"));
    let policy = create.policy_document(OTHER_POLICY).send().await.unwrap().policy.unwrap();
    let attach = iam.attach_role_policy().role_name(&role).policy_arn(policy.arn.unwrap());
    attach.send().await.unwrap();
    world.event("events", "DriftRepaired").await;
    world.ready("events").await;

    // An edit that removes something.
    let less = world.kinesis_spec("events");
    world.apply("events", &less).await;
    world.ready("events").await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}

#[tokio::test]
async fn the_shipped_policy_allows_exactly_what_the_controller_does() {
    let mut world = World::under("all-work", &[CONTROLLER_POLICY]).await.resyncing_each_second();
    all_work(&mut world).await;
    let done: BTreeSet<_> =
        world.proxy.actions().into_iter().map(|action| format!("iam:{action}")).collect();
    let policy = shipped(&[CONTROLLER_POLICY], "any");
    let allowed: BTreeSet<_> = policy.allowed_actions().map(str::to_owned).collect();
    let needless: Vec<_> = allowed.difference(&done).collect();
    assert!(needless.is_empty(), "never done: {needless:?}");
    let missing: Vec<_> = done.difference(&allowed).collect();
    assert!(missing.is_empty(), "done but not allowed: {missing:?}");
}

#[tokio::test]
async fn without_the_policy_for_adoption_no_role_of_others_is_adopted_and_the_status_says_why() {
    let mut world = World::under("no-adoption", &[CONTROLLER_POLICY]).await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    world.start_controller().await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("events", &spec).await;
    let message = ready(&world.sees("events", "False", "AccessDenied").await).message;
    for part in ["iam:TagRole", &format!("role/{role}")] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert!(world.tags(&role).await.is_empty());
}

#[tokio::test]
async fn without_the_right_to_list_roles_all_else_is_done_one_by_one() {
    let needed = CONTROLLER_POLICY.replace("iam:ListRoles", "iam:None");
    let needed = needed.replace("iam:GetAccountAuthorizationDetails", "iam:None");
    let mut world = World::under("no-lists", &[&needed]).await.resyncing_each_second();
    all_work(&mut world).await;
    let denied = world.proxy.actions();
    assert!(denied.iter().any(|action| action == "ListRoles"), "it tries: {denied:?}");
}

/// A world whose IAM requires [`BOUNDARY`] on every role that is written.
async fn bounded(test: &str) -> World {
    let policies = [CONTROLLER_POLICY, ADOPTION_POLICY, BOUNDARY_POLICY];
    let mut world = World::under(test, &policies).await;
    world.start_controller().await;
    world
}

fn bounded_spec(world: &World) -> Value {
    let mut spec = world.kinesis_spec("events");
    spec["permissionsBoundaryArn"] = BOUNDARY.into();
    spec["source"] = json!({"accountId": "111122223333", "region": "us-east-1"});
    spec
}

async fn swap_boundary(world: &World, role: &str) {
    let put = world.iam.put_role_permissions_boundary().role_name(role);
    put.permissions_boundary(OTHER_BOUNDARY).send().await.unwrap();
}

async fn boundary(world: &World, role: &str) -> Option<String> {
    let role = world.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
    role.permissions_boundary.and_then(|boundary| boundary.permissions_boundary_arn)
}

#[tokio::test]
async fn with_a_required_boundary_it_is_replaced_with_narrower_permissions() {
    let world = bounded("rotation").await;
    let role = world.role("events");
    let mut spec = bounded_spec(&world);
    spec["destination"]["kmsKeyArn"] = "arn:aws:kms:us-east-1:111122223333:key/1".into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    // As if another boundary had been required so far.
    swap_boundary(&world, &role).await;

    world.apply("events", &bounded_spec(&world)).await;
    world.ready("events").await;
    assert_eq!(boundary(&world, &role).await.as_deref(), Some(BOUNDARY));
    let permissions = world.permissions_policy(&role).await.unwrap().to_string();
    assert!(!permissions.contains("kms:"), "{permissions}");
}

#[tokio::test]
async fn with_a_required_boundary_a_role_changed_in_every_part_is_repaired() {
    let world = bounded("tampered").await;
    let role = world.role("events");
    let mut spec = bounded_spec(&world);
    spec["exclusivePolicies"] = true.into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    let declared = (world.trust_policy(&role).await, world.permissions_policy(&role).await);

    world.tamper(&role).await;
    swap_boundary(&world, &role).await;
    let trust = world.iam.update_assume_role_policy().role_name(&role);
    trust.policy_document(FOREIGN_TRUST).send().await.unwrap();
    let put = world.iam.put_role_policy().role_name(&role).policy_name("extra");
    put.policy_document(OTHER_POLICY).send().await.unwrap();
    world.iam.update_role().role_name(&role).description("changed").send().await.unwrap();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "now").await;
    world.event("events", "DriftRepaired").await;
    world.ready("events").await;
    assert_eq!(boundary(&world, &role).await.as_deref(), Some(BOUNDARY));
    let repaired = (world.trust_policy(&role).await, world.permissions_policy(&role).await);
    assert_eq!(repaired, declared);
}

#[tokio::test]
async fn with_a_required_boundary_a_role_with_another_one_is_adopted() {
    let world = bounded("bounded-adoption").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    world.tamper(&role).await;
    swap_boundary(&world, &role).await;
    let mut spec = bounded_spec(&world);
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    assert_eq!(boundary(&world, &role).await.as_deref(), Some(BOUNDARY));
}

#[tokio::test]
async fn with_a_required_boundary_a_role_that_lost_it_is_deleted() {
    let world = bounded("bounded-deletion").await;
    let role = world.role("events");
    world.apply("events", &bounded_spec(&world)).await;
    world.ready("events").await;
    world.tamper(&role).await;
    swap_boundary(&world, &role).await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);

    // No declared value can block it, such as a boundary that its role cannot have.
    world.apply("events", &bounded_spec(&world)).await;
    world.ready("events").await;
    let mut spec = bounded_spec(&world);
    spec["permissionsBoundaryArn"] = OTHER_BOUNDARY.into();
    world.apply("events", &spec).await;
    world.sees("events", "False", "AccessDenied").await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}
