//! The two documents of an event stream role, as the AWS page "IAM role for streaming events to Kinesis"
//! (Amazon Pinpoint developer guide, `permissions-streams`) gives them. The page prints the confused-deputy
//! conditions since 2022-07-22; without a source the trust policy is the page's older form. The permission to
//! use a stream's customer managed key is on no page of Pinpoint's: it comes from those of the streams.

use serde_json::{Value, json};

use super::arn::{AccountId, KeyArn, Partition, Region, StreamArn, StreamKind};

/// The name that AWS's page gives to the inline policy.
pub const PERMISSIONS_POLICY_NAME: &str = "PinpointEventStreamPermissionsPolicy";

const VERSION: &str = "2012-10-17";

/// The Pinpoint project, or all projects of an account and Region, that may use the role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceProject {
    /// The account of the project.
    pub account: AccountId,
    /// The Region of the project.
    pub region: Region,
    /// The project's (application's) id; `None` for any.
    pub application_id: Option<String>,
}

/// Who may assume the role: Amazon Pinpoint, and when `source` is given only on behalf of that project
/// (IAM user guide, "The confused deputy problem").
#[must_use]
pub fn trust_policy(partition: Partition, source: Option<&SourceProject>) -> Value {
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"Service": "pinpoint.amazonaws.com"},
        "Action": "sts:AssumeRole",
    });
    if let (Some(SourceProject { account, region, application_id }), Some(statement)) =
        (source, statement.as_object_mut())
    {
        let application = application_id.as_deref().unwrap_or("*");
        let project =
            format!("arn:{partition}:mobiletargeting:{region}:{account}:apps/{application}");
        statement.insert(
            "Condition".into(),
            json!({
                "StringEquals": {"aws:SourceAccount": account.to_string()},
                "ArnLike": {"aws:SourceArn": project},
            }),
        );
    }
    json!({"Version": VERSION, "Statement": [statement]})
}

/// What the role may do: put records to the stream, describe it, and use the customer managed key of a
/// stream that is encrypted with one.
#[must_use]
pub fn permissions_policy(stream: &StreamArn, key: Option<&KeyArn>) -> Value {
    let actions = match stream.kind() {
        StreamKind::Kinesis => ["kinesis:PutRecords", "kinesis:DescribeStream"],
        StreamKind::Firehose => ["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"],
    };
    let to_stream = json!({"Effect": "Allow", "Action": actions, "Resource": [stream.to_string()]});
    let statement = match key {
        None => to_stream,
        Some(key) => json!([to_stream, use_of_key(stream, key)]),
    };
    json!({"Version": VERSION, "Statement": statement})
}

/// What a producer needs of the key that encrypts the stream.
///
/// Kinesis: `kms:GenerateDataKey`, for this stream alone by the encryption context that Kinesis sends
/// (Kinesis developer guide, "Permissions to use user-generated KMS keys", `permissions-user-key-KMS`).
///
/// Firehose: `kms:GenerateDataKey` and `kms:Decrypt`. AWS Health notice of 2026-04-20: callers of `PutRecord`
/// and `PutRecordBatch` need both, for streams created from that day on, and for all from 2027-02-28 on;
/// quoted in ministryofjustice/modernisation-platform issues 12957 and 12960, and seen to be needed in
/// modernisation-platform-environments pull request 19063. Not narrowed: AWS asks not to rely on the form
/// of Firehose's encryption context, and `kms:ViaService` is neither documented for this nor tried.
fn use_of_key(stream: &StreamArn, key: &KeyArn) -> Value {
    match stream.kind() {
        StreamKind::Kinesis => json!({
            "Effect": "Allow",
            "Action": ["kms:GenerateDataKey"],
            "Resource": [key.to_string()],
            "Condition": {
                "StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": stream.to_string()},
            },
        }),
        StreamKind::Firehose => json!({
            "Effect": "Allow",
            "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
            "Resource": [key.to_string()],
        }),
    }
}
