//! Known problems of other controllers for IAM roles: each test shows that this one does not have the problem.

use kube::ResourceExt as _;
use serde_json::json;
use support::{Fault, eventually};

use support::world::{FOREIGN_TRUST, OTHER_POLICY, POLICY, World, kinesis_arn, ready, version};

#[tokio::test]
async fn policies_are_compared_by_meaning() {
    let world = World::resyncing("peers-comparison").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    let settled = version(&world.ready("events").await);
    // An equivalent document: no list where there was one, another case, a Sid, another order.
    let same = json!({"Statement": [{
        "Sid": "Renamed", "Resource": kinesis_arn("events"), "Effect": "Allow",
        "Action": ["KINESIS:describestream", "kinesis:PutRecords", "kinesis:PutRecords"],
    }], "Version": "2012-10-17"});
    let put = world.iam.put_role_policy().role_name(&role).policy_name(POLICY);
    put.policy_document(same.to_string()).send().await.unwrap();
    world.proxy.forget_calls();
    world.resyncs(3).await;
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
    assert_eq!(version(&world.resources.get("events").await.unwrap()), settled);

    // The same number of different actions as declared, but other ones.
    let other = same.to_string().replace("KINESIS:describestream", "kinesis:GetRecords");
    let put = world.iam.put_role_policy().role_name(&role).policy_name(POLICY);
    put.policy_document(other).send().await.unwrap();
    assert!(world.event("events", "DriftRepaired").await.contains("kinesis:GetRecords"));
}

#[tokio::test]
async fn a_plus_sign_survives_in_names_documents_and_tags() {
    let world = World::resyncing("peers-plus").await;
    let role = format!("{}+a", world.role("events"));
    let mut spec = world.kinesis_spec("events");
    spec["roleName"] = json!(role);
    spec["description"] = json!("1+1 = 2%20");
    spec["tags"] = json!({"sum": "1+1"});
    world.apply("events", &spec).await;
    world.ready("events").await;
    let live = world.iam.get_role().role_name(&role).send().await.unwrap().role.unwrap();
    assert_eq!(live.description.as_deref(), Some("1+1 = 2%20"));
    assert_eq!(world.tags(&role).await.get("sum").map(String::as_str), Some("1+1"));

    // A plus in the live document is a plus too, so this one does not match the declared one.
    let stream = kinesis_arn("events");
    let plus = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["kinesis:PutRecords", "kinesis:DescribeStream"], "Resource": format!("{stream}+b")}});
    let put = world.iam.put_role_policy().role_name(&role).policy_name(POLICY);
    put.policy_document(plus.to_string()).send().await.unwrap();
    assert!(world.event("events", "DriftRepaired").await.contains(&format!("{stream}+b")));
}

#[tokio::test]
async fn a_tag_survives_a_change_of_value_or_case() {
    let world = World::new("peers-tags").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    spec["tags"] = json!({"team": "marketing", "stage": "test", "old": "x"});
    world.apply("events", &spec).await;
    world.ready("events").await;
    // One value changes, one key changes its case, one key is removed.
    spec["tags"] = json!({"team": "sales", "Stage": "live"});
    world.apply("events", &spec).await;
    world.ready("events").await;
    let tags = world.tags(&role).await;
    assert_eq!(tags.get("team").map(String::as_str), Some("sales"));
    assert!(tags.iter().any(|(key, value)| key.eq_ignore_ascii_case("stage") && value == "live"));
    assert_eq!(tags.get("old"), None);
}

#[tokio::test]
async fn ready_is_not_written_before_the_permissions_policy_is_on_the_role() {
    let mut world = World::without_controller("peers-early-ready").await;
    world.proxy.inject("PutRolePolicy", None, Fault::Hang);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    // The SDK drops an attempt after its timeout and makes another. Until then, Ready must not be true.
    eventually("a second attempt", || async {
        let attempts = world.proxy.actions().iter().filter(|a| *a == "PutRolePolicy").count();
        let resource = world.resources.get("events").await.unwrap();
        assert_ne!(ready(&resource).status, "True", "{:?}", resource.status);
        if attempts > 1 { Ok(()) } else { Err(attempts) }
    })
    .await;
    world.proxy.heal();
    world.ready("events").await;
    assert!(world.permissions_policy(&world.role("events")).await.is_some());
}

#[tokio::test]
async fn an_adopted_role_is_retained_whatever_the_default_deletion_policy() {
    let world = World::new("peers-takeover").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    let mut spec = world.kinesis_spec("events");
    spec["deletionPolicy"] = json!("Delete");
    world.apply("events", &spec).await;
    world.sees("events", "False", "RoleNotOwned").await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(world.role_exists(&role).await);
    assert_eq!(
        world.trust_policy(&role).await,
        serde_json::from_str::<serde_json::Value>(FOREIGN_TRUST).unwrap()
    );
    assert!(world.proxy.calls().iter().all(|call| !call.is_write() || call.action == "CreateRole"));
}

#[tokio::test]
async fn after_a_crash_before_the_status_write_the_role_is_still_owned() {
    let mut world = World::without_controller("peers-crash").await;
    let role = world.role("events");
    world.proxy.inject("PutRolePolicy", Some(&role), Fault::Hang);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.proxy.saw("PutRolePolicy").await;
    world.controller.take().unwrap().kill().unwrap();
    assert!(world.role_exists(&role).await, "the first write was made");
    assert_eq!(world.permissions_policy(&role).await, None, "the second was not");
    let status = world.resources.get("events").await.unwrap().status;
    assert!(status.is_none_or(|status| status.is_untouched()), "nor the status");

    world.proxy.heal();
    world.start_controller().await;
    let resource = world.ready("events").await;
    assert!(world.permissions_policy(&role).await.is_some());
    assert_eq!(world.tags(&role).await.get("streamrole.dev/uid"), resource.uid().as_ref());
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await, "recognized as its own, it goes with the resource");
}

#[tokio::test]
async fn a_blocked_deletion_names_the_cause_and_resumes_once_it_is_removed() {
    let world = World::new("peers-conflict").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    let added = world.iam.put_role_policy().role_name(&role).policy_name("added");
    added.policy_document(OTHER_POLICY).send().await.unwrap();
    world.iam.create_instance_profile().instance_profile_name(&role).send().await.unwrap();
    let add = world.iam.add_role_to_instance_profile().role_name(&role);
    add.instance_profile_name(&role).send().await.unwrap();

    world.delete("events").await;
    let message = ready(&world.sees("events", "False", "DeletionBlocked").await).message;
    for part in ["inlinePolicies[added]", &format!("instanceProfiles[{role}]"), "Remove"] {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
    assert!(world.event("events", "DeletionBlocked").await.contains("inlinePolicies[added]"));
    assert!(world.permissions_policy(&role).await.is_some(), "a kept role keeps working");

    world.iam.delete_role_policy().role_name(&role).policy_name("added").send().await.unwrap();
    let remove = world.iam.remove_role_from_instance_profile().role_name(&role);
    remove.instance_profile_name(&role).send().await.unwrap();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
}
