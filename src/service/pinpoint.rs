//! Amazon Pinpoint, with the two documents of the AWS page "IAM role for streaming events to Kinesis" (Amazon Pinpoint
//! developer guide, `permissions-streams`). The page has the confused-deputy conditions since 2022-07-22; without a
//! source the trust policy is the page's older form. No page of Pinpoint documents the permission to use a stream's
//! customer managed key: it comes from the pages of the streams.

use super::DestinationKind;
use super::table::{Certainty, Conditions, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};
use crate::policy::InvalidIdentifier;

/// The kind that existed before all others.
pub const FIRST_KIND: &str = "PinpointEventStreamRole";

const PAGE: &str =
    "https://docs.aws.amazon.com/pinpoint/latest/developerguide/permissions-streams.html";
const ATTACH: &str = "aws pinpoint put-event-stream --application-id {applicationId} --write-event-stream DestinationStreamArn={destination},RoleArn={role}";

const PROJECT: SourceField = SourceField {
    name: "applicationId",
    what: "the ID of the Pinpoint project (application)",
    characters: "a-f0-9",
    length: (32, 32),
    default: None,
    example: "0123456789abcdef0123456789abcdef",
};

/// The entry for Amazon Pinpoint.
pub static PINPOINT: Service = Service {
    key: "pinpoint",
    name: "Amazon Pinpoint",
    policy_name: "PinpointEventStreamPermissionsPolicy",
    principal: Principal::Global("pinpoint.amazonaws.com"),
    source: SourceForm { namespace: "mobiletargeting", resource: "apps/", fields: &[PROJECT] },
    conditions: Conditions::AccountAndArn,
    page: PAGE,
    targets: &[
        Target {
            kind: DestinationKind::Kinesis,
            actions: &["kinesis:PutRecords", "kinesis:DescribeStream"],
            certainty: Certainty::Documented,
            page: PAGE,
            attach: ATTACH,
        },
        Target {
            kind: DestinationKind::Firehose,
            actions: &["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"],
            certainty: Certainty::Documented,
            page: PAGE,
            attach: ATTACH,
        },
    ],
    instead: &[
        (DestinationKind::LogGroup, "an event stream of Pinpoint has no other destination"),
        (DestinationKind::SnsTopic, "an event stream of Pinpoint has no other destination"),
    ],
    ended: Some("2026-10-30"),
    ..USUAL
};

/// Parses the id of a project (an application): 32 hexadecimal digits in lower case.
///
/// # Errors
/// When `text` is anything else.
pub fn project_id(text: &str) -> Result<String, InvalidIdentifier> {
    if PROJECT.accepts(text) {
        return Ok(text.to_owned());
    }
    Err(InvalidIdentifier::new(
        text,
        "a Pinpoint project id of 32 hexadecimal digits in lower case",
    ))
}
