//! IAM shows an earlier state for some time. Nothing is created twice, no status flaps, and the wait is bounded.

use serde_json::json;
use support::{Fault, eventually};

use support::world::{World, condition, version};

fn absent() -> Fault {
    Fault::answer(404, "NoSuchEntity", "The role cannot be found.")
}

pub(crate) fn body_of(action: &str, result: &str) -> Fault {
    Fault::Body {
        body: format!(
            "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}</{action}Result></{action}Response>"
        ),
    }
}

fn creations(world: &World) -> usize {
    world.proxy.actions().iter().filter(|action| *action == "CreateRole").count()
}

#[tokio::test]
async fn a_role_that_is_not_visible_yet_is_neither_created_again_nor_called_lost() {
    let world = World::resyncing("unseen").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let settled = world.ready("events").await;
    let none = "<IsTruncated>false</IsTruncated><RoleDetailList/>";
    world.proxy.inject("GetRole", None, absent());
    let no_details = body_of("GetAccountAuthorizationDetails", none);
    world.proxy.inject("GetAccountAuthorizationDetails", None, no_details);
    world.proxy.forget_calls();
    world.resyncs(3).await;
    world.proxy.saw("GetRole").await;
    assert_eq!(version(&world.resources.get("events").await.unwrap()), version(&settled));

    // An edit meanwhile waits until IAM shows the role, and the status reports it.
    let mut spec = world.kinesis_spec("events");
    spec["tags"] = json!({"team": "marketing"});
    world.apply("events", &spec).await;
    let waiting = world.says("events", "False", "Progressing", "has not yet returned").await;
    assert_eq!(condition(&waiting, "Reconciling").map(|c| c.status).as_deref(), Some("True"));
    assert_eq!(creations(&world), 0, "{:?}", world.proxy.actions());
    world.proxy.heal();
    world.ready("events").await;
    assert_eq!(creations(&world), 0, "{:?}", world.proxy.actions());
}

#[tokio::test]
async fn a_role_that_is_not_visible_yet_is_not_left_behind_when_its_resource_is_deleted() {
    let world = World::new("unseen-deleted").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.proxy.inject("GetRole", None, absent());
    world.delete("events").await;
    world.says("events", "False", "Progressing", "has not yet returned").await;
    world.proxy.heal();
    world.gone("events").await;
    assert!(!world.role_exists(&world.role("events")).await);
}

#[tokio::test]
async fn a_role_that_stays_unseen_is_believed_to_be_gone_in_the_end() {
    let world = World::resyncing("unseen-for-good").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world
        .iam
        .delete_role_policy()
        .role_name(&role)
        .policy_name(support::world::POLICY)
        .send()
        .await
        .unwrap();
    world.iam.delete_role().role_name(&role).send().await.unwrap();
    world.event("events", "Created").await;
    support::eventually("the role to be created again", || async {
        if world.role_exists(&role).await { Ok(()) } else { Err("no role") }
    })
    .await;
    world.ready("events").await;
}

#[tokio::test]
async fn an_edit_back_is_not_taken_for_done_because_of_a_read_that_is_older_than_the_edit() {
    let world = World::new("stale-read").await;
    let role_name = world.role("one");
    world.apply("events", &world.kinesis_spec("one")).await;
    world.ready("events").await;
    let first = world.permissions_policy(&role_name).await.unwrap();

    let mut edited = world.kinesis_spec("one");
    edited["destination"] = world.kinesis_spec("two")["destination"].clone();
    world.apply("events", &edited).await;
    world.ready("events").await;
    assert_ne!(world.permissions_policy(&role_name).await.unwrap(), first);

    let encoded = percent_encoding::utf8_percent_encode(
        &first.to_string(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .to_string();
    let stale = format!(
        "<RoleName>{role_name}</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{encoded}</PolicyDocument>",
        support::world::POLICY
    );
    world.proxy.inject("GetRolePolicy", None, body_of("GetRolePolicy", &stale));
    world.apply("events", &world.kinesis_spec("one")).await;
    world.says("events", "False", "Progressing", "has not yet returned").await;
    assert_ne!(world.permissions_policy(&role_name).await.unwrap(), first, "not written yet");
    world.proxy.heal();
    world.ready("events").await;
    assert_eq!(world.permissions_policy(&role_name).await.unwrap(), first);
}

#[tokio::test]
async fn a_write_that_failed_but_was_made_is_not_taken_for_unmade() {
    let world = World::new("unanswered").await;
    world.apply("events", &world.kinesis_spec("one")).await;
    world.ready("events").await;
    let role = world.role("one");
    let first = world.permissions_policy(&role).await.unwrap();

    // The edit reaches IAM, but its answer is lost.
    world.proxy.inject("PutRolePolicy", None, Fault::AppliedThen500);
    let mut edited = world.kinesis_spec("one");
    edited["destination"] = world.kinesis_spec("two")["destination"].clone();
    world.apply("events", &edited).await;
    world.sees("events", "False", "IamUnavailable").await;
    assert_ne!(world.permissions_policy(&role).await.unwrap(), first, "it was made");
    world.proxy.heal();
    world.ready("events").await;
    world.apply("events", &world.kinesis_spec("one")).await;
    world.ready("events").await;
    assert_eq!(world.permissions_policy(&role).await.unwrap(), first);
}

#[tokio::test]
async fn a_principal_that_iam_does_not_know_yet_is_waited_for() {
    let mut world = World::without_controller("principal").await;
    let invalid = Fault::answer(
        400,
        "MalformedPolicyDocument",
        "Invalid principal in policy: \"SERVICE\":\"pinpoint.amazonaws.com\"",
    );
    world.proxy.inject("CreateRole", None, invalid);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let waiting = world.says("events", "False", "Progressing", "Invalid principal").await;
    assert_eq!(condition(&waiting, "Stalled"), None);
    world.proxy.heal();
    world.ready("events").await;
}

#[tokio::test]
async fn edit_upon_edit_just_after_a_start_does_not_make_ready_wait_for_ever() {
    let mut world = World::new("many-edits").await;
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    world.ready("events").await;
    world.controller.take().unwrap().kill().unwrap();
    world.start_controller().await;
    // Possible writes of the earlier process are awaited again at each edit.
    for edit in 0..9 {
        let text = format!("edit {edit}");
        spec["description"] = text.as_str().into();
        world.apply("events", &spec).await;
        eventually(&format!("{text} to be written"), || async {
            let is_written =
                world.proxy.calls().iter().any(|call| call.text("Description") == text);
            if is_written { Ok(()) } else { Err(world.log()) }
        })
        .await;
    }
    world.ready("events").await;
}

#[tokio::test]
async fn a_resource_that_never_had_a_role_is_deleted_right_after_a_start() {
    let mut world = World::new("never-had-a-role").await;
    // Foreign, denied, and in another account.
    let foreign = world.role("foreign");
    world.create_foreign_role(&foreign).await;
    world.apply("foreign", &world.kinesis_spec("foreign")).await;
    world.sees("foreign", "False", "RoleNotOwned").await;
    world.proxy.inject("CreateRole", None, Fault::answer(403, "AccessDenied", "Denied."));
    world.apply("denied", &world.kinesis_spec("denied")).await;
    world.sees("denied", "False", "AccessDenied").await;
    let stream = "arn:aws:kinesis:us-east-1:444455556666:stream/events";
    let elsewhere = json!({"destination": {"kinesisStreamArn": stream}});
    world.apply("elsewhere", &elsewhere).await;
    world.sees("elsewhere", "False", "WrongAccount").await;

    world.controller.take().unwrap().kill().unwrap();
    world.iam.delete_role().role_name(&foreign).send().await.unwrap();
    let refused = ["foreign", "denied", "elsewhere"];
    for name in refused {
        world.delete(name).await;
    }
    world.start_controller().await;
    for name in refused {
        world.gone(name).await;
    }
    // The status has this text while an earlier replica's role could still be invisible.
    assert!(!world.log().contains("has just started"), "{}", world.log());
}
