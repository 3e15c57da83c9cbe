//! The controller's calls, counted on the wire.

use support::Fault;

use support::world::{World, kubectl};

#[tokio::test]
async fn creating_a_role_takes_two_calls_and_deleting_it_six() {
    let world = World::new("call-counts").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    assert_eq!(world.proxy.actions(), ["CreateRole", "PutRolePolicy"]);

    world.proxy.forget_calls();
    world.delete("events").await;
    world.gone("events").await;
    let mut actions = world.proxy.actions();
    actions.sort();
    let expected = [
        "DeleteRole",
        "DeleteRolePolicy",
        "GetRole",
        "ListAttachedRolePolicies",
        "ListInstanceProfilesForRole",
        "ListRolePolicies",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn an_idle_resync_takes_two_calls_whatever_the_number_of_roles_and_writes_nothing() {
    let world = World::resyncing("idle").await;
    let names = ["one", "two", "three"];
    for name in names {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    for name in names {
        world.ready(name).await;
        world.event(name, "Created").await;
    }
    let before = written(&world).await;
    world.proxy.forget_calls();
    world.resyncs(5).await;
    assert_eq!(written(&world).await, before, "{}", world.log());
    assert_only_lists(&world.proxy.actions());
}

/// The calls of an idle resync. Each list is one call, regardless of the number of roles.
fn assert_only_lists(actions: &[String]) {
    let lists = ["ListRoles", "GetAccountAuthorizationDetails"];
    let others: Vec<_> = actions.iter().filter(|action| !lists.contains(&&***action)).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// All objects that the controller could write, with the version that each write would change.
async fn written(world: &World) -> Vec<String> {
    let kinds = "pinpointeventstreamroles,events.events.k8s.io,leases,configmaps";
    let columns =
        "-o=custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    let printed = kubectl(world, &["get", kinds, columns]).await;
    printed.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn without_the_right_to_list_the_account_a_resync_looks_at_each_role_and_says_so_once() {
    let mut world = World::resyncing_later("no-snapshot").await;
    let denied = Fault::answer(403, "AccessDenied", "not authorized to perform: iam:ListRoles");
    world.proxy.inject("ListRoles", None, denied);
    world.start_controller().await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.tamper(&role).await;
    assert!(world.event("events", "DriftRepaired").await.contains("kinesis:*"));
    world.resyncs(2).await;
    assert_eq!(world.log().matches("Roles are compared one by one").count(), 1, "{}", world.log());
}
