//! Several claims to one role: two resources that name it, a deleted resource, another cluster.

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::{eventually, manifest};

use support::world::{FOREIGN_TRUST, OTHER_CLUSTER, World, condition, ready};

fn created(resource: &PinpointEventStreamRole) -> k8s_openapi::jiff::Timestamp {
    resource.creation_timestamp().unwrap().0
}

/// Creates `name` after the second in which `older` was created: creation times have a resolution of one second.
async fn apply_younger(world: &World, name: &str, spec: &Value, older: &PinpointEventStreamRole) {
    eventually("the next second", || async {
        let now = k8s_openapi::jiff::Timestamp::now();
        if now.as_second() > created(older).as_second() { Ok(()) } else { Err(now) }
    })
    .await;
    let younger = world.apply(name, spec).await;
    assert!(created(&younger) > created(older), "the API server has this machine's clock");
}

#[tokio::test]
async fn the_older_of_two_resources_keeps_the_role_and_the_other_takes_over_once_it_is_gone() {
    let world = World::new("two").await;
    let role = world.role("shared");
    let older = world.apply("first", &world.kinesis_spec("shared")).await;
    world.ready("first").await;
    // IAM role names are case-insensitive.
    let mut spec = world.kinesis_spec("shared");
    spec["roleName"] = json!(role.to_uppercase());
    apply_younger(&world, "second", &spec, &older).await;
    let second = world.sees("second", "False", "RoleOwnedByAnother").await;
    let message = ready(&second).message;
    for part in ["two/first", "created earlier", &role, "takes the role over automatically"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert_eq!(condition(&second, "Stalled").map(|c| c.status).as_deref(), Some("True"));
    assert!(
        !world.role_exists(&role.to_uppercase()).await,
        "this IAM would have allowed it {}\n{:?}",
        world.log(),
        world.proxy.actions()
    );

    world.delete("first").await;
    world.gone("first").await;
    world.ready("second").await;
    assert!(world.role_exists(&role.to_uppercase()).await);
}

#[tokio::test]
async fn the_resource_that_the_role_s_tags_name_goes_before_an_older_one() {
    let mut world = World::without_controller("tags-first").await;
    let role = world.role("shared");
    let older = world.apply("older", &world.kinesis_spec("shared")).await;
    apply_younger(&world, "younger", &world.kinesis_spec("shared"), &older).await;
    let younger = world.resources.get("younger").await.unwrap();
    create_tagged(
        &world,
        &role,
        &world.cluster_id().await,
        "tags-first/younger",
        &younger.uid().unwrap(),
    )
    .await;
    world.start_controller().await;
    world.ready("younger").await;
    world.sees("older", "False", "RoleOwnedByAnother").await;
    let uid = world.tags(&role).await.get("streamrole.dev/uid").cloned();
    assert_eq!(uid, younger.uid());

    world.delete("younger").await;
    world.gone("younger").await;
    world.ready("older").await;
}

#[tokio::test]
async fn the_same_resource_recreated_has_its_role_back() {
    let world = World::new("restored").await;
    let role = world.role("events");
    let former = "00000000-0000-0000-0000-000000000000";
    create_tagged(&world, &role, &world.cluster_id().await, "restored/events", former).await;
    let resource = world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    assert_eq!(world.tags(&role).await.get("streamrole.dev/uid"), resource.uid().as_ref());
}

#[tokio::test]
async fn a_role_that_a_vanished_resource_left_behind_can_be_adopted() {
    let world = World::new("orphan").await;
    let role = world.role("events");
    let former = "00000000-0000-0000-0000-000000000000";
    create_tagged(&world, &role, &world.cluster_id().await, "orphan/vanished", former).await;
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    let message = ready(&world.sees("events", "False", "RoleNotOwned").await).message;
    for part in ["orphan/vanished", "no longer exists", "adoptionPolicy: Adopt"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec).await;
    world.ready("events").await;
}

#[tokio::test]
async fn a_namespace_that_is_not_watched_may_hold_the_owner() {
    let world = World::new("unwatched").await;
    let role = world.role("events");
    let former = "00000000-0000-0000-0000-000000000000";
    create_tagged(&world, &role, &world.cluster_id().await, "elsewhere/owner", former).await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = json!("TakeOver");
    world.apply("events", &spec).await;
    let message = ready(&world.sees("events", "False", "RoleOwnedByAnother").await).message;
    assert!(message.contains("elsewhere/owner"), "{message}");
}

#[tokio::test]
async fn a_role_of_another_cluster_is_taken_over_only_when_asked_and_only_once() {
    let world = World::resyncing("migration").await;
    let role = world.role("events");
    create_tagged(&world, &role, OTHER_CLUSTER, "migration/events", "u0").await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec).await;
    let message = ready(&world.sees("events", "False", "RoleOwnedByAnother").await).message;
    for part in ["migration/events", OTHER_CLUSTER, "adoptionPolicy: TakeOver"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    spec["adoptionPolicy"] = json!("TakeOver");
    let resource = world.apply("events", &spec).await;
    world.ready("events").await;
    assert_eq!(world.tags(&role).await.get("streamrole.dev/uid"), resource.uid().as_ref());

    // The other cluster takes it back. If both continued, they would never end.
    tag(&world, &role, OTHER_CLUSTER, "migration/events", "u0").await;
    let message = ready(&world.sees("events", "False", "RoleOwnedByAnother").await).message;
    assert!(message.contains("was taken over from this resource"), "{message}");
    world.delete("events").await;
    world.gone("events").await;
    assert!(world.role_exists(&role).await, "it is the other cluster's");
}

#[tokio::test]
async fn an_older_resource_that_cannot_or_will_not_write_keeps_no_other_from_the_role() {
    let world = World::new("idle-first").await;
    let annotated = |name: &str, spec: &Value| {
        manifest(&json!({"name": name, "annotations": {"streamrole.dev/paused": "yes"}}), spec)
    };
    for kind in ["paused", "report", "invalid"] {
        let older = format!("{kind}-older");
        let mut spec = world.kinesis_spec(kind);
        let params = PatchParams::apply("user").force();
        let older = match kind {
            "paused" => {
                let manifest = Patch::Apply(annotated(&older, &spec));
                world.resources.patch(&older, &params, &manifest).await.unwrap()
            }
            "report" => {
                spec["driftPolicy"] = json!("Report");
                world.apply(&older, &spec).await
            }
            _ => {
                spec["tags"] = json!({"Team": "a", "team": "b"});
                world.apply(&older, &spec).await
            }
        };
        apply_younger(&world, kind, &world.kinesis_spec(kind), &older).await;
        world.ready(kind).await;
    }
    let odd = annotated("odd", &world.kinesis_spec("odd"));
    let params = PatchParams::apply("user").force();
    world.resources.patch("odd", &params, &Patch::Apply(odd)).await.unwrap();
    let message = ready(&world.sees("odd", "False", "Paused").await).message;
    assert!(message.contains(r#""yes""#) && message.contains("neither"), "{message}");
}

#[tokio::test]
async fn a_default_name_goes_before_an_older_explicit_one_of_another_namespace() {
    let (mut world, squatter) = with_squatter("rightful", "squatter").await;
    let older = squatter.apply("waiting", &json!({"roleName": "rightful-events", "destination": world.kinesis_spec("x")["destination"]})).await;
    let spec = json!({"destination": world.kinesis_spec("events")["destination"]});
    apply_younger(&world, "events", &spec, &older).await;
    start_for_both(&mut world, &squatter).await;
    world.ready("events").await;
    let message = ready(&squatter.sees("waiting", "False", "RoleOwnedByAnother").await).message;
    assert!(message.contains("rightful/events"), "{message}");

    // Recreated immediately, it owns its role again, regardless of others that wait for it.
    world.delete("events").await;
    world.gone("events").await;
    world.apply("events", &spec).await;
    world.ready("events").await;
    squatter.sees("waiting", "False", "RoleOwnedByAnother").await;
    let uid = world.tags("rightful-events").await.get("streamrole.dev/uid").cloned();
    assert_eq!(uid, world.resources.get("events").await.unwrap().uid());
}

/// Two namespaces, without a controller.
async fn with_squatter(rightful: &str, squatter: &str) -> (World, World) {
    (World::without_controller(rightful).await, World::without_controller(squatter).await)
}

/// One controller for both, with the proxy of the first.
async fn start_for_both(world: &mut World, other: &World) {
    let options = support::ControllerOptions {
        namespaces: vec![world.namespace.clone(), other.namespace.clone()],
        ..world.options()
    };
    world.controller =
        Some(support::Controller::start(support::world::stack().await, &options).unwrap());
}

async fn create_tagged(world: &World, role: &str, cluster: &str, resource: &str, uid: &str) {
    let create = world.iam.create_role().role_name(role);
    create.assume_role_policy_document(FOREIGN_TRUST).send().await.unwrap();
    tag(world, role, cluster, resource, uid).await;
}

async fn tag(world: &World, role: &str, cluster: &str, resource: &str, uid: &str) {
    let mut tag = world.iam.tag_role().role_name(role);
    for (key, value) in [("cluster", cluster), ("resource", resource), ("uid", uid)] {
        let one = aws_sdk_iam::types::Tag::builder().key(format!("streamrole.dev/{key}"));
        tag = tag.tags(one.value(value).build().unwrap());
    }
    tag.send().await.unwrap();
}
