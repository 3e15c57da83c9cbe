//! The account of the destination and of the credentials. A controller with the credentials of another account writes
//! nothing, and nothing writes to the role that the controller runs as.

use serde_json::{Value, json};
use support::{Controller, ControllerOptions};

use crate::hostile::{live, works_on, writes};
use support::world::{World, condition, ready, stack};

fn spec(world: &World, arn: &str) -> Value {
    json!({"roleName": world.role("events"), "destination": {"kinesisStreamArn": arn}})
}

const ELSEWHERE: &str = "arn:aws:kinesis:us-east-1:444455556666:stream/events";

#[tokio::test]
async fn a_stream_of_another_account_is_reported_with_both_accounts_and_nothing_is_written() {
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

    // Corrected, it works. In the other direction, its role is left unchanged.
    let right = support::world::kinesis_arn("events");
    world.apply("events", &spec(&world, &right)).await;
    world.ready("events").await;
    world.proxy.forget_calls();
    world.apply("events", &spec(&world, ELSEWHERE)).await;
    world.sees("events", "False", "WrongAccount").await;
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
    let trust = world.permissions_policy(&world.role("events")).await.unwrap().to_string();
    assert!(trust.contains(&right), "{trust}");

    // The role is in the credentials' account, so it can be deleted.
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
async fn without_sts_the_first_role_reveals_the_account_and_a_wrong_one_is_deleted() {
    let mut world = World::without_controller("no-sts").await;
    world.proxy.without_sts();
    world.start_controller().await;
    world.apply("events", &spec(&world, ELSEWHERE)).await;
    let message = ready(&world.sees("events", "False", "WrongAccount").await).message;
    assert!(message.contains("444455556666") && message.contains("111122223333"), "{message}");
    assert_eq!(world.proxy.actions(), ["CreateRole", "DeleteRole"]);
    assert!(!world.role_exists(&world.role("events")).await);
    assert!(
        world.log().contains("cannot ask STS for the account of the AWS credentials"),
        "{}",
        world.log()
    );

    // From now on it is known: no other role is created.
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

#[tokio::test]
async fn the_controllers_own_role_is_rejected_for_every_resource() {
    let mut world = World::without_controller("own-role").await;
    let role = world.role("controller");
    world.create_foreign_role(&role).await;
    let arn = format!("arn:aws:iam::111122223333:role/{role}");
    let session = ["sts", "assume-role", "--role-session-name", "pod", "--role-arn", &arn];
    let assumed = stack().await.aws().args(session).output().unwrap();
    let assumed: Value = serde_json::from_slice(&assumed.stdout).unwrap();
    let credential = |name: &str| Some(assumed["Credentials"][name].as_str().unwrap().to_owned());
    let environment = vec![
        ("AWS_ACCESS_KEY_ID", credential("AccessKeyId")),
        ("AWS_SECRET_ACCESS_KEY", credential("SecretAccessKey")),
        ("AWS_SESSION_TOKEN", credential("SessionToken")),
    ];
    let options = ControllerOptions { environment, ..world.options() };
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
    let before = live(&world, "controller").await;

    let rows = [
        json!({}),
        json!({"adoptionPolicy": "Adopt"}),
        json!({"adoptionPolicy": "TakeOver", "exclusivePolicies": true}),
        json!({"adoptionPolicy": "Adopt", "deletionPolicy": "Delete"}),
        json!({"adoptionPolicy": "Adopt", "driftPolicy": "Report"}),
        json!({"adoptionPolicy": "Adopt", "path": "/elsewhere/"}),
        json!({"adoptionPolicy": "Adopt", "roleName": role.to_uppercase()}),
    ];
    for (number, row) in rows.iter().enumerate() {
        let mut spec = world.kinesis_spec("controller");
        for (field, value) in row.as_object().unwrap() {
            spec[field] = value.clone();
        }
        world.apply(&format!("r{number}"), &spec).await;
    }
    for (number, row) in rows.iter().enumerate() {
        let name = format!("r{number}");
        let message = ready(&world.sees(&name, "False", "RoleNotOwned").await).message;
        assert!(message.contains("that the controller itself runs as"), "{row}: {message}");
        world.delete(&name).await;
        world.gone(&name).await;
    }
    assert_eq!(writes(world.proxy.calls(), &[]), []);
    assert_eq!(live(&world, "controller").await, before);
    works_on(&world).await;
}
