//! Several resources that declare the same role, and roles of other owners.

use serde_json::json;
use support::in_process::{CLUSTER, InProcess, NAMESPACE, kinesis_spec};

fn shared(stream: &str) -> serde_json::Value {
    let mut spec = kinesis_spec(stream);
    spec["roleName"] = json!("shared");
    spec
}

fn owner(world: &InProcess) -> String {
    let role = world.roles.role("shared");
    role.and_then(|role| role.tags.get("streamrole.dev/resource").cloned()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn the_first_has_the_role_and_the_second_takes_it_over_once_it_is_gone() {
    let world = InProcess::new();
    world.apply("first", &shared("a"));
    world.synced("first").await;
    world.apply("second", &shared("b"));
    let refused = world.says("second", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("ns/first"), "{refused}");
    assert!(world.is("second", "Stalled"));
    assert_eq!(owner(&world), "ns/first");
    world.cluster.delete(NAMESPACE, "first");
    world.gone("first").await;
    world.synced("second").await;
    assert_eq!(owner(&world), "ns/second");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_was_just_released_is_kept_a_moment_for_a_recreated_resource() {
    let world = InProcess::new();
    // A default name takes precedence over an explicit name.
    world.apply("first", &kinesis_spec("a"));
    world.synced("first").await;
    let mut spec = kinesis_spec("b");
    spec["roleName"] = json!("ns-first");
    world.apply("second", &spec);
    world.says("second", "False", "RoleOwnedByAnother").await;
    world.cluster.delete(NAMESPACE, "first");
    world.gone("first").await;
    world
        .until("the second to wait", || {
            let is_waiting = world.is("second", "Reconciling") && !world.is("second", "Stalled");
            if is_waiting { Ok(()) } else { Err(format!("{:?}", world.ready("second"))) }
        })
        .await;
    world.apply("first", &kinesis_spec("a"));
    world.synced("first").await;
    world.says("second", "False", "RoleOwnedByAnother").await;
    world.cluster.delete(NAMESPACE, "first");
    world.gone("first").await;
    world.synced("second").await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_role_is_left_alone_until_the_spec_adopts_it_and_kept_on_deletion() {
    let world = InProcess::new();
    world.roles.put("shared", |role| role.description = "by hand".into());
    world.apply("events", &shared("a"));
    let refused = world.says("events", "False", "RoleNotOwned").await;
    assert!(refused.contains("adoptionPolicy: Adopt"), "{refused}");
    assert_eq!(world.roles.role("shared").unwrap().description, "by hand");
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    world.synced("events").await;
    assert_eq!(owner(&world), "ns/events");
    world.cluster.delete(NAMESPACE, "events");
    world.gone("events").await;
    let kept = world.roles.role("shared").unwrap();
    assert!(kept.tags.is_empty(), "{:?}", kept.tags);
}

#[tokio::test(start_paused = true)]
async fn a_role_of_another_cluster_is_taken_over_only_where_the_spec_says_so() {
    let world = InProcess::new();
    world.roles.put("shared", |role| {
        for (key, value) in [("cluster", "c2"), ("resource", "ns/other"), ("uid", "u9")] {
            role.tags.insert(format!("streamrole.dev/{key}"), value.into());
        }
    });
    let mut spec = shared("a");
    for policy in ["Never", "Adopt"] {
        spec["adoptionPolicy"] = json!(policy);
        world.apply("events", &spec);
        let refused = world.says("events", "False", "RoleOwnedByAnother").await;
        assert!(refused.contains("another cluster (c2)"), "{refused}");
    }
    spec["adoptionPolicy"] = json!("TakeOver");
    world.apply("events", &spec);
    world.synced("events").await;
    let role = world.roles.role("shared").unwrap();
    assert_eq!(role.tags.get("streamrole.dev/cluster").unwrap(), CLUSTER);
}

#[tokio::test(start_paused = true)]
async fn a_role_of_a_kind_that_this_version_does_not_know_is_left_alone() {
    let world = InProcess::new();
    world.roles.put("shared", |role| {
        for (key, value) in [("cluster", CLUSTER), ("resource", "NewKind/ns/events"), ("uid", "u9")]
        {
            role.tags.insert(format!("streamrole.dev/{key}"), value.into());
        }
    });
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    let refused = world.says("events", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("NewKind ns/events"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_service_linked_role_and_the_controllers_own_are_never_changed() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("a");
    spec["adoptionPolicy"] = json!("Adopt");
    spec["roleName"] = json!("Controller");
    world.apply("own", &spec);
    let refused = world.says("own", "False", "RoleNotOwned").await;
    assert!(refused.contains("itself runs as"), "{refused}");
    world.roles.put("linked", |role| role.path = "/aws-service-role/a.amazonaws.com/".into());
    spec["roleName"] = json!("linked");
    world.apply("linked", &spec);
    let refused = world.says("linked", "False", "RoleNotOwned").await;
    assert!(refused.contains("service-linked"), "{refused}");
    assert!(world.roles.role("linked").unwrap().tags.is_empty());
}
