//! Amazon EventBridge Scheduler: the schedules of a group.

use super::DestinationKind;
use super::table::{Certainty, Conditions, Difference, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};

const PAGE: &str = "https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html";

/// The entry for EventBridge Scheduler. It sends the ARN of the schedule's group, never that of the schedule.
pub(super) static SCHEDULER: Service = Service {
    key: "scheduler",
    name: "Amazon EventBridge Scheduler",
    principal: Principal::Global("scheduler.amazonaws.com"),
    source: SourceForm {
        namespace: "scheduler",
        resource: "schedule-group/",
        fields: &[SourceField {
            name: "groupName",
            what: "the name of the schedule group, not of a schedule",
            characters: "a-zA-Z0-9_.-",
            length: (1, 64),
            default: None,
            example: "default",
        }],
    },
    conditions: Conditions::AccountAndArn,
    page: "https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html",
    targets: &[
        Target {
            kind: DestinationKind::Kinesis,
            actions: &["kinesis:PutRecord"],
            certainty: Certainty::Documented,
            page: PAGE,
            attach: "aws scheduler create-schedule --name SCHEDULE --group-name {groupName} --schedule-expression 'rate(1 hour)' --flexible-time-window Mode=OFF --target 'Arn={destination},RoleArn={role},KinesisParameters={PartitionKey=events},Input=EVENT'",
        },
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecord"],
            certainty: Certainty::Inferred,
            page: PAGE,
            attach: "aws scheduler create-schedule --name SCHEDULE --group-name {groupName} --schedule-expression 'rate(1 hour)' --flexible-time-window Mode=OFF --target 'Arn={destination},RoleArn={role},Input=EVENT'",
        },
    ],
    instead: &[
        (
            DestinationKind::LogGroup,
            "send the schedule's event to an event bus; a rule writes to a log group without a role",
        ),
        (
            DestinationKind::SnsTopic,
            "streamrole covers streams only here; write a role with sns:Publish by hand",
        ),
    ],
    differences: &[Difference {
        target: None,
        reason: "`ArnLike` instead of `StringEquals` for `aws:SourceArn`: it means the same for a name, and `*` works.",
    }],
    ..USUAL
};
