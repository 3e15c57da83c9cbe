//! Amazon CloudWatch Logs: a subscription filter. It relays the events that End User Messaging SMS writes to a log
//! group.

use super::DestinationKind;
use super::table::{
    Certainty, Conditions, Difference, Principal, Service, SourceForm, Target, USUAL,
};

const PAGE: &str =
    "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html";
const ATTACH: &str = "aws logs put-subscription-filter --log-group-name LOG_GROUP --filter-name to-stream --filter-pattern '' --destination-arn {destination} --role-arn {role}";

const VERSION: &str =
    "A `Version`, which the page omits: IAM reads a document without one by the rules of 2008.";

/// The entry for subscription filters of CloudWatch Logs, whose principal and page name the Region.
pub(super) static CLOUD_WATCH_LOGS: Service = Service {
    key: "cloudWatchLogs",
    name: "Amazon CloudWatch Logs",
    principal: Principal::Regional("logs"),
    source: SourceForm { namespace: "logs", resource: "", fields: &[] },
    conditions: Conditions::ArnOnly,
    page: PAGE,
    targets: &[
        Target {
            kind: DestinationKind::Kinesis,
            actions: &["kinesis:PutRecord"],
            certainty: Certainty::Documented,
            page: PAGE,
            attach: ATTACH,
        },
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecord", "firehose:PutRecordBatch"],
            certainty: Certainty::Inferred,
            page: PAGE,
            attach: ATTACH,
        },
    ],
    instead: &[
        (DestinationKind::LogGroup, "a subscription filter does not write to a log group"),
        (DestinationKind::SnsTopic, "a subscription filter does not publish to SNS"),
    ],
    same_region: true,
    differences: &[
        Difference { target: None, reason: VERSION },
        Difference { target: Some(DestinationKind::Kinesis), reason: VERSION },
        Difference {
            target: Some(DestinationKind::Firehose),
            reason: "The two actions that write, where the page has `firehose:*`; and a `Version`, which the page omits.",
        },
    ],
    ..USUAL
};
