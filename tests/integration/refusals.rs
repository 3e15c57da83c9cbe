//! IAM says no.

use support::Fault;

use support::world::{World, condition, ready};

#[tokio::test]
async fn what_iam_refuses_ends_not_ready_with_its_own_words() {
    let world = World::without_controller("refused").await;
    let words = "This policy contains invalid Json";
    world.proxy.inject("PutRolePolicy", None, Fault::answer(400, "MalformedPolicyDocument", words));
    let mut world = world;
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.sees("events", "False", "RefusedByIam").await;
    let message = ready(&resource).message;
    assert!(message.contains(words) && message.contains("PutRolePolicy"), "{message}");
    assert!(message.contains("request id"), "{message}");
    assert_eq!(condition(&resource, "Stalled").map(|c| c.status).as_deref(), Some("True"));
    let synced = |type_| condition(&resource, type_).map(|c| c.status);
    assert_eq!(
        synced("TrustPolicySynced").as_deref(),
        Some("True"),
        "the half that was done is told"
    );
    assert_eq!(synced("PermissionsPolicySynced").as_deref(), Some("False"));
    assert!(world.event("events", "RefusedByIam").await.contains(words));

    world.proxy.heal();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    world.ready("events").await;
}

#[tokio::test]
async fn a_denied_call_names_the_action_and_the_role_to_allow() {
    let mut world = World::without_controller("denied").await;
    let denied =
        "User: arn:aws:iam::111122223333:user/x is not authorized to perform: iam:CreateRole";
    world.proxy.inject("CreateRole", None, Fault::answer(403, "AccessDenied", denied));
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.sees("events", "False", "AccessDenied").await;
    let message = ready(&resource).message;
    for part in
        [denied, "iam:CreateRole on arn:aws:iam::111122223333:role/denied-events", "AccessDenied"]
    {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
}

#[tokio::test]
async fn throttling_is_waited_out() {
    let mut world = World::without_controller("throttled").await;
    world.proxy.inject("CreateRole", None, Fault::answer(400, "Throttling", "Rate exceeded"));
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.sees("events", "False", "Throttled").await;
    assert_eq!(condition(&resource, "Reconciling").map(|c| c.status).as_deref(), Some("True"));
    world.proxy.heal();
    world.ready("events").await;
}
