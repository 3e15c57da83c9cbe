//! Amazon SNS: a subscription with the protocol `firehose`. It relays the events of End User Messaging.

use super::DestinationKind;
use super::table::{Certainty, Principal, Service, SourceForm, Target, USUAL};

const PAGE: &str = "https://docs.aws.amazon.com/sns/latest/dg/prereqs-kinesis-data-firehose.html";

/// The entry for SNS subscriptions. The page's trust policy has no conditions.
pub(super) static SNS: Service = Service {
    key: "sns",
    name: "Amazon SNS",
    principal: Principal::Global("sns.amazonaws.com"),
    source: SourceForm { namespace: "sns", resource: "", fields: &[] },
    page: PAGE,
    targets: &[Target {
        kind: DestinationKind::Firehose,
        actions: &[
            "firehose:DescribeDeliveryStream",
            "firehose:ListDeliveryStreams",
            "firehose:ListTagsForDeliveryStream",
            "firehose:PutRecord",
            "firehose:PutRecordBatch",
        ],
        certainty: Certainty::Documented,
        page: PAGE,
        attach: "aws sns subscribe --topic-arn TOPIC_ARN --protocol firehose --notification-endpoint {destination} --attributes SubscriptionRoleArn={role}",
    }],
    instead: &[
        (DestinationKind::Kinesis, "SNS has no subscription for it; use a Firehose stream"),
        (DestinationKind::LogGroup, "SNS has no subscription for it; use a Firehose stream"),
        (DestinationKind::SnsTopic, "SNS does not forward to a topic; use a Firehose stream"),
    ],
    ..USUAL
};
