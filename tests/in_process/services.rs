//! An `EventStreamRole` that is edited from one service to another: no moment between the writes grants more than the role
//! granted before or grants after.

use serde_json::{Value, json};
use streamrole::policy::Document;
use streamrole::role::{Action, LiveDocument, ObservedRole};
use support::in_process::{InProcess, rule_spec};

const EVENTS: &str = "EventStreamRole/ns/events";
const POLICY: &str = "EventStreamPermissionsPolicy";

fn document(live: &LiveDocument) -> &Document {
    match live {
        LiveDocument::Document(document) => document,
        LiveDocument::Unreadable(error) => panic!("{error}"),
    }
}

/// Whether the role grants no more to no one else.
fn is_within(less: &ObservedRole, more: &ObservedRole) -> bool {
    let Some(permissions) = less.inline_policy(POLICY) else { return true };
    document(&less.trust_policy).grants_no_more_than(document(&more.trust_policy))
        && more
            .inline_policy(POLICY)
            .is_some_and(|more| document(permissions).grants_no_more_than(document(more)))
}

fn to_firehose(source: &Value) -> Value {
    let arn = "arn:aws:firehose:us-east-1:111122223333:deliverystream/s";
    json!({"source": source, "destination": {"firehoseDeliveryStreamArn": arn}})
}

#[tokio::test(start_paused = true)]
async fn no_moment_of_a_change_of_the_service_grants_more_than_before_or_after() {
    use Action::{DeleteRolePolicy, PutRolePolicy, UpdateAssumeRolePolicy};
    let ses = to_firehose(&json!({"ses": {"configurationSetName": "a"}}));
    let sns = to_firehose(&json!({"sns": {}}));
    // Each is an edit of the previous one.
    let edits: [(&str, Value, &[Action]); 6] = [
        (
            "the permissions widen, so the trust changes first",
            sns.clone(),
            &[UpdateAssumeRolePolicy, PutRolePolicy],
        ),
        (
            "the permissions narrow, so they change first",
            ses,
            &[PutRolePolicy, UpdateAssumeRolePolicy],
        ),
        (
            "another destination, so there are no permissions while the trust changes",
            rule_spec("s"),
            &[DeleteRolePolicy, UpdateAssumeRolePolicy, PutRolePolicy],
        ),
        (
            "the same permissions",
            {
                let mut spec = rule_spec("s");
                spec["source"] = json!({"iot": {"ruleName": "a"}});
                spec
            },
            &[UpdateAssumeRolePolicy],
        ),
        (
            "back to another destination",
            to_firehose(&json!({"metricStreams": {}})),
            &[DeleteRolePolicy, UpdateAssumeRolePolicy, PutRolePolicy],
        ),
        ("the permissions widen", sns, &[UpdateAssumeRolePolicy, PutRolePolicy]),
    ];
    let world = InProcess::new();
    world.apply(EVENTS, &to_firehose(&json!({"ses": {"configurationSetName": "a"}})));
    world.synced(EVENTS).await;
    for (why, next, expected) in edits {
        let before = world.roles.role("ns-events").unwrap();
        let _ = (world.roles.take_calls(), world.roles.take_moments("ns-events"));
        world.apply(EVENTS, &next);
        world.synced(EVENTS).await;
        let mut writes = world.roles.take_calls();
        writes.retain(|call| *call != Action::GetRole);
        assert_eq!(writes, expected, "{why}: {next}");
        let after = world.roles.role("ns-events").unwrap();
        for moment in world.roles.take_moments("ns-events") {
            let moment = moment.unwrap();
            assert!(
                is_within(&moment, &before) || is_within(&moment, &after),
                "{why}: {moment:#?}\nbefore: {before:#?}\nafter: {after:#?}"
            );
        }
        assert_ne!(format!("{:?}", after.trust_policy), format!("{:?}", before.trust_policy));
    }
}
