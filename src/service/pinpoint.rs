//! Amazon Pinpoint, with the two documents of the AWS page "IAM role for streaming events to Kinesis" (Amazon Pinpoint
//! developer guide, `permissions-streams`). The page has the confused-deputy conditions since 2022-07-22; without a
//! source the trust policy is the page's older form. No page of Pinpoint documents the permission to use a stream's
//! customer managed key: it comes from the pages of the streams.

use super::{Service, Source, StreamKind};
use crate::policy::InvalidIdentifier;

/// The kind that existed before all others.
pub const FIRST_KIND: &str = "PinpointEventStreamRole";

/// The entry for Amazon Pinpoint.
pub static PINPOINT: Service = Service {
    name: "Amazon Pinpoint",
    principal: "pinpoint.amazonaws.com",
    policy_name: "PinpointEventStreamPermissionsPolicy",
    source_arn: project,
    stream_actions: actions,
};

fn project(source: &Source) -> String {
    let Source { account, region, id } = source;
    let id = id.as_deref().unwrap_or("*");
    format!("arn:{}:mobiletargeting:{region}:{account}:apps/{id}", region.partition())
}

const fn actions(kind: StreamKind) -> &'static [&'static str] {
    match kind {
        StreamKind::Kinesis => &["kinesis:PutRecords", "kinesis:DescribeStream"],
        StreamKind::Firehose => &["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"],
    }
}

/// Parses the id of a project (an application): 32 hexadecimal digits in lower case.
///
/// # Errors
/// When `text` is anything else.
pub fn project_id(text: &str) -> Result<String, InvalidIdentifier> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 32 && text.bytes().all(is_hex) {
        return Ok(text.to_owned());
    }
    Err(InvalidIdentifier::new(
        text,
        "a Pinpoint project id of 32 hexadecimal digits in lower case",
    ))
}
