//! AWS End User Messaging SMS: the events of a configuration set for SMS, MMS, voice and RCS.

use super::table::{Certainty, Conditions, Difference, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};
use super::{DestinationKind, IN_SES_AND_SMS};

const PAGE: &str = "https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-kinesis-creating-role.html";
const PAGE_OF_LOGS: &str = "https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-cloud-watch-creating-role.html";

/// The entry for AWS End User Messaging SMS.
pub(super) static END_USER_MESSAGING_SMS: Service = Service {
    key: "endUserMessagingSms",
    name: "AWS End User Messaging SMS",
    principal: Principal::Global("sms-voice.amazonaws.com"),
    source: SourceForm {
        namespace: "sms-voice",
        resource: "configuration-set/",
        fields: &[SourceField {
            name: "configurationSetName",
            what: "the name of the configuration set",
            characters: "a-zA-Z0-9_-",
            length: (1, 64),
            default: None,
            example: "alerts",
        }],
    },
    conditions: Conditions::AccountAndArn,
    page: PAGE,
    targets: &[
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecord", "firehose:PutRecordBatch"],
            certainty: Certainty::Tested,
            page: PAGE,
            attach: "aws pinpoint-sms-voice-v2 create-event-destination --configuration-set-name {configurationSetName} --event-destination-name to-firehose --matching-event-types ALL --kinesis-firehose-destination IamRoleArn={role},DeliveryStreamArn={destination}",
        },
        Target {
            kind: DestinationKind::LogGroup,
            actions: &["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            certainty: Certainty::Documented,
            page: PAGE_OF_LOGS,
            attach: "aws pinpoint-sms-voice-v2 create-event-destination --configuration-set-name {configurationSetName} --event-destination-name to-logs --matching-event-types ALL --cloud-watch-logs-destination IamRoleArn={role},LogGroupArn={destination}",
        },
    ],
    instead: &[
        (
            DestinationKind::Kinesis,
            "send events to a log group, and from there to the stream with source.cloudWatchLogs",
        ),
        (
            DestinationKind::SnsTopic,
            "it publishes to SNS without a role; allow sms-voice.amazonaws.com in the topic policy",
        ),
    ],
    partitions: &IN_SES_AND_SMS,
    pass_role: "The caller needs `iam:PassRole` on the role: the Service Authorization Reference lists it as a dependent action.",
    differences: &[Difference {
        target: Some(DestinationKind::Firehose),
        reason: "`firehose:PutRecordBatch` besides `firehose:PutRecord`: Terraform's acceptance test has both, and whether the service batches is not documented.",
    }],
    ..USUAL
};
