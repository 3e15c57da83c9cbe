//! A controller that dies at the worst moment.

use support::Fault;

use crate::world::World;

#[tokio::test]
async fn a_crash_between_the_two_writes_of_a_creation_is_made_good_after_restart() {
    let mut world = World::without_controller("crash").await;
    let role = world.role("events");
    world.proxy.inject("PutRolePolicy", Some(&role), Fault::Hang);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.proxy.saw("PutRolePolicy").await;
    world.controller.take().unwrap().kill().unwrap();
    assert!(world.role_exists(&role).await, "the first write was made");
    assert_eq!(world.permissions_policy(&role).await, None, "the second was not");

    world.proxy.heal();
    world.start_controller().await;
    let resource = world.ready("events").await;
    assert!(world.permissions_policy(&role).await.is_some());
    assert_eq!(world.tags(&role).await.get("streamrole.dev/uid"), resource.metadata.uid.as_ref());
    world.delete("events").await;
    world.gone("events").await;
    assert!(
        !world.role_exists(&role).await,
        "it was recognized as its own, so it goes with the resource"
    );
}
