//! AWS IoT Core: the action of a rule.

use crate::policy::Partition;

use super::DestinationKind;
use super::table::{Certainty, Conditions, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};

const STREAMS_ONLY: &str = "streamrole covers streams only here; write the role by hand";

/// The entry for rules of AWS IoT Core.
pub(super) static IOT: Service = Service {
    key: "iot",
    name: "AWS IoT Core",
    principal: Principal::Global("iot.amazonaws.com"),
    source: SourceForm {
        namespace: "iot",
        resource: "rule/",
        fields: &[SourceField {
            name: "ruleName",
            what: "the name of the rule",
            characters: "a-zA-Z0-9_",
            length: (1, 128),
            default: None,
            example: "readings",
        }],
    },
    conditions: Conditions::AccountAndArn,
    page: "https://docs.aws.amazon.com/iot/latest/developerguide/iot-create-role.html",
    targets: &[
        Target {
            kind: DestinationKind::Kinesis,
            actions: &["kinesis:PutRecord"],
            certainty: Certainty::Documented,
            page: "https://docs.aws.amazon.com/iot/latest/developerguide/kinesis-rule-action.html",
            attach: "aws iot create-topic-rule --rule-name {ruleName} --topic-rule-payload 'sql=\"SELECT * FROM '\\''TOPIC'\\''\",actions=[{kinesis={roleArn={role},streamName={destinationName},partitionKey=KEY}}]'",
        },
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecord", "firehose:PutRecordBatch"],
            certainty: Certainty::Documented,
            page: "https://docs.aws.amazon.com/iot/latest/developerguide/kinesis-firehose-rule-action.html",
            attach: "aws iot create-topic-rule --rule-name {ruleName} --topic-rule-payload 'sql=\"SELECT * FROM '\\''TOPIC'\\''\",actions=[{firehose={roleArn={role},deliveryStreamName={destinationName}}}]'",
        },
    ],
    instead: &[
        (DestinationKind::LogGroup, STREAMS_ONLY),
        (DestinationKind::SnsTopic, STREAMS_ONLY),
    ],
    partitions: &[Partition::Aws, Partition::AwsCn, Partition::AwsUsGov],
    ..USUAL
};
