//! Amazon EventBridge: the events that match a rule. It relays the events of SES and of other AWS services.

use super::DestinationKind;
use super::table::{Certainty, Conditions, Difference, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};

const PAGE: &str =
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-iam-roles.html";

/// The entry for EventBridge rules. A rule's targets must be in its Region (EventBridge user guide, "Sending events to
/// an AWS service in another account"); for a target in another account, the role is in the account of the rule.
pub(super) static EVENT_BRIDGE_RULE: Service = Service {
    key: "eventBridgeRule",
    name: "Amazon EventBridge",
    principal: Principal::Global("events.amazonaws.com"),
    source: SourceForm {
        namespace: "events",
        resource: "rule/",
        fields: &[
            SourceField {
                name: "eventBusName",
                what: "the name of the rule's event bus",
                characters: "a-zA-Z0-9_./-",
                length: (1, 256),
                default: Some("default"),
                example: "default",
            },
            SourceField {
                name: "ruleName",
                what: "the name of the rule",
                characters: "a-zA-Z0-9_.-",
                length: (1, 64),
                default: None,
                example: "email-events",
            },
        ],
    },
    conditions: Conditions::AccountAndArn,
    page: "https://docs.aws.amazon.com/eventbridge/latest/userguide/cross-service-confused-deputy-prevention.html",
    targets: &[
        Target {
            kind: DestinationKind::Kinesis,
            actions: &["kinesis:PutRecord"],
            certainty: Certainty::Documented,
            page: PAGE,
            attach: "aws events put-targets --event-bus-name {eventBusName} --rule {ruleName} --targets Id=stream,Arn={destination},RoleArn={role}",
        },
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecord", "firehose:PutRecordBatch"],
            certainty: Certainty::Tested,
            page: PAGE,
            attach: "aws events put-targets --event-bus-name {eventBusName} --rule {ruleName} --targets Id=stream,Arn={destination},RoleArn={role}",
        },
    ],
    instead: &[
        (
            DestinationKind::LogGroup,
            "a rule writes to a log group without a role; allow events.amazonaws.com and delivery.logs.amazonaws.com in a resource policy of CloudWatch Logs",
        ),
        (
            DestinationKind::SnsTopic,
            "a rule publishes to SNS without a role; allow events.amazonaws.com in the topic policy",
        ),
    ],
    same_region: true,
    differences: &[
        Difference {
            target: None,
            reason: "The Region of the rule in `aws:SourceArn`, where the page's example has `*`.",
        },
        Difference {
            target: Some(DestinationKind::Kinesis),
            reason: "The stream as the resource, where the page's example has `*`.",
        },
    ],
    ..USUAL
};
