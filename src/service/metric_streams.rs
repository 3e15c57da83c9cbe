//! Amazon CloudWatch: a metric stream.

use super::DestinationKind;
use super::table::{Certainty, Principal, Service, SourceForm, Target, USUAL};

const PAGE: &str = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-metric-streams-trustpolicy.html";
const FIREHOSE_ONLY: &str = "a metric stream has no other destination; use a Firehose stream";

/// The entry for metric streams. The page's trust policy has no conditions.
pub(super) static METRIC_STREAMS: Service = Service {
    key: "metricStreams",
    name: "Amazon CloudWatch metric streams",
    principal: Principal::Global("streams.metrics.cloudwatch.amazonaws.com"),
    source: SourceForm { namespace: "cloudwatch", resource: "metric-stream/", fields: &[] },
    page: PAGE,
    targets: &[Target {
        kind: DestinationKind::Firehose,
        actions: &["firehose:PutRecord", "firehose:PutRecordBatch"],
        certainty: Certainty::Documented,
        page: PAGE,
        attach: "aws cloudwatch put-metric-stream --name METRIC_STREAM --firehose-arn {destination} --role-arn {role} --output-format json",
    }],
    instead: &[
        (DestinationKind::Kinesis, FIREHOSE_ONLY),
        (DestinationKind::LogGroup, FIREHOSE_ONLY),
        (DestinationKind::SnsTopic, FIREHOSE_ONLY),
    ],
    ..USUAL
};
