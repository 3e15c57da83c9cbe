//! Whose account: the destination's and the credentials'. A controller with the credentials of another account writes
//! nothing.

use serde_json::{Value, json};

use crate::world::{World, condition, ready};

fn spec(world: &World, arn: &str) -> Value {
    json!({"roleName": world.role("events"), "destination": {"kinesisStreamArn": arn}})
}

const ELSEWHERE: &str = "arn:aws:kinesis:us-east-1:444455556666:stream/events";

#[tokio::test]
async fn a_stream_of_another_account_is_named_with_both_accounts_and_nothing_is_written() {
    let world = World::new("wrong-account").await;
    world.apply("events", &spec(&world, ELSEWHERE)).await;
    let resource = world.sees("events", "False", "WrongAccount").await;
    let message = ready(&resource).message;
    for part in ["spec.destination", "444455556666", "111122223333"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert!(
        condition(&resource, "Stalled").is_some() && condition(&resource, "Reconciling").is_none()
    );
    assert!(world.event("events", "WrongAccount").await.contains("444455556666"));
    assert_eq!(world.proxy.actions(), Vec::<String>::new());

    // Corrected, it works; the other way round, its role stays as it is.
    let right = crate::world::kinesis_arn("events");
    world.apply("events", &spec(&world, &right)).await;
    world.ready("events").await;
    world.proxy.forget_calls();
    world.apply("events", &spec(&world, ELSEWHERE)).await;
    world.sees("events", "False", "WrongAccount").await;
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
    let trust = world.permissions_policy(&world.role("events")).await.unwrap().to_string();
    assert!(trust.contains(&right), "{trust}");

    // The role is in the credentials' account, so its deletion is possible.
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&world.role("events")).await);
}

#[tokio::test]
async fn a_stream_of_another_partition_is_the_wrong_account_too_and_can_be_deleted() {
    let world = World::new("wrong-partition").await;
    let arn = "arn:aws-cn:kinesis:cn-north-1:111122223333:stream/events";
    world.apply("events", &spec(&world, arn)).await;
    let message = ready(&world.sees("events", "False", "WrongAccount").await).message;
    for part in ["aws-cn", "partition aws "] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    world.delete("events").await;
    world.gone("events").await;
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
}

#[tokio::test]
async fn where_sts_is_away_the_first_role_tells_the_account_and_a_wrong_one_is_removed_again() {
    let mut world = World::without_controller("no-sts").await;
    world.proxy.without_sts();
    world.start_controller().await;
    world.apply("events", &spec(&world, ELSEWHERE)).await;
    let message = ready(&world.sees("events", "False", "WrongAccount").await).message;
    assert!(message.contains("444455556666") && message.contains("111122223333"), "{message}");
    assert_eq!(world.proxy.actions(), ["CreateRole", "DeleteRole"]);
    assert!(!world.role_exists(&world.role("events")).await);
    assert!(
        world.log().contains("cannot ask STS whose the AWS credentials are"),
        "{}",
        world.log()
    );

    // From now on it is known: no other is created.
    world.proxy.forget_calls();
    let other =
        json!({"roleName": world.role("other"), "destination": {"kinesisStreamArn": ELSEWHERE}});
    world.apply("other", &other).await;
    world.sees("other", "False", "WrongAccount").await;
    assert_eq!(world.proxy.actions(), Vec::<String>::new());
    world.apply("right", &world.kinesis_spec("right")).await;
    world.ready("right").await;
    assert_eq!(world.proxy.actions(), ["CreateRole", "PutRolePolicy"]);
}
