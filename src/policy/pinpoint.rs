//! The two documents of an event stream role, as the AWS page "IAM role for streaming events to Kinesis"
//! (Amazon Pinpoint developer guide, `permissions-streams`) gives them, with two optional additions: the
//! confused-deputy conditions and the permission to use a stream's customer managed key.

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

/// What the role may do: put records to the stream, describe it, and, for a stream that is encrypted with
/// a customer managed key, generate data keys with that key (Kinesis developer guide, "Permissions to use
/// user-generated KMS keys").
#[must_use]
pub fn permissions_policy(stream: &StreamArn, key: Option<&KeyArn>) -> Value {
    let actions = match stream.kind() {
        StreamKind::Kinesis => ["kinesis:PutRecords", "kinesis:DescribeStream"],
        StreamKind::Firehose => ["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"],
    };
    let to_stream = json!({"Effect": "Allow", "Action": actions, "Resource": [stream.to_string()]});
    let statement = match key {
        None => to_stream,
        Some(key) => json!([
            to_stream,
            {"Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": [key.to_string()]},
        ]),
    };
    json!({"Version": VERSION, "Statement": statement})
}
