//! What the controller costs, counted on the wire.

use crate::world::{World, version};

#[tokio::test]
async fn creating_a_role_takes_two_calls_and_deleting_it_five() {
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
        "ListRolePolicies",
    ];
    assert_eq!(actions, expected);
}

#[tokio::test]
async fn an_idle_resync_takes_four_calls_and_writes_nothing() {
    let world = World::resyncing("idle").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let settled = world.ready("events").await;
    let resyncs = |actions: &[String]| actions.iter().filter(|action| *action == "GetRole").count();
    world.proxy.forget_calls();
    support::eventually("three resyncs", || async {
        let seen = resyncs(&world.proxy.actions());
        if seen >= 4 { Ok(()) } else { Err(seen) }
    })
    .await;

    let actions = world.proxy.actions();
    let last = actions.iter().rposition(|action| action == "GetRole").unwrap();
    let whole = &actions[..last];
    assert_eq!(whole.len(), 4 * resyncs(whole), "calls of {} resyncs: {whole:?}", resyncs(whole));
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{actions:?}");
    let later = world.resources.get("events").await.unwrap();
    assert_eq!(version(&later), version(&settled), "an unchanged resource gets no status write");
}

#[tokio::test]
async fn a_restart_with_nothing_to_do_writes_nothing() {
    let mut world = World::new("restart").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let settled = world.ready("events").await;
    let status = world.controller.take().unwrap().stop().unwrap();
    assert_eq!(status, 0, "SIGTERM ends it in order");

    world.proxy.forget_calls();
    world.start_controller().await;
    world.proxy.saw("ListAttachedRolePolicies").await;
    assert_eq!(world.controller.take().unwrap().stop().unwrap(), 0);
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
    assert!(world.proxy.calls().len() <= 4, "{:?}", world.proxy.actions());
    let later = world.resources.get("events").await.unwrap();
    assert_eq!(version(&later), version(&settled), "nothing is written to Kubernetes either");
}
