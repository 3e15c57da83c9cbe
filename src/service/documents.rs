//! The two documents of a role.

use serde_json::{Map, Value, json};

use crate::policy::{Document, DocumentError};

use super::destination::{DestinationArn, DestinationKind, KeyArn};
use super::event_stream::EventStream;
use super::source::Source;
use super::table::Conditions;

const VERSION: &str = "2012-10-17";

impl EventStream {
    /// Who can assume the role: the service, and if there is a source only on its behalf (IAM user guide, "The confused
    /// deputy problem").
    ///
    /// # Errors
    /// When the document is malformed, which is a defect.
    pub fn trust_policy(&self) -> Result<Document, DocumentError> {
        let mut statement = Map::from_iter([
            ("Effect".to_owned(), json!("Allow")),
            ("Principal".to_owned(), json!({"Service": self.principal()})),
            ("Action".to_owned(), json!("sts:AssumeRole")),
        ]);
        if let Some(conditions) = self.source.as_ref().and_then(|source| self.conditions(source)) {
            statement.insert("Condition".into(), conditions);
        }
        Document::from_value(&json!({"Version": VERSION, "Statement": [statement]}))
    }

    /// The service principal that assumes the role.
    #[must_use]
    pub fn principal(&self) -> String {
        let source = self.source.as_ref();
        let region = source.map_or_else(|| self.destination.region(), |source| &source.region);
        self.service.principal.in_region(region)
    }

    fn conditions(&self, source: &Source) -> Option<Value> {
        let arn = self.service.source.arn(source);
        match self.service.conditions {
            Conditions::AccountAndArn => Some(json!({
                "StringEquals": {"aws:SourceAccount": source.account.to_string()},
                "ArnLike": {"aws:SourceArn": arn},
            })),
            Conditions::ArnOnly => Some(json!({"StringLike": {"aws:SourceArn": arn}})),
            Conditions::Undocumented => None,
        }
    }

    /// The permissions of the role: write to the destination, and use the customer managed key of an encrypted one.
    ///
    /// # Errors
    /// When the document is malformed, which is a defect.
    pub fn permissions_policy(&self) -> Result<Document, DocumentError> {
        let destination = &self.destination;
        let actions = self.service.target(destination.kind()).map_or(&[][..], |t| t.actions);
        let write =
            json!({"Effect": "Allow", "Action": actions, "Resource": [destination.resource()]});
        let key = self.key.as_ref().and_then(|key| use_of_key(destination, key));
        let statement = match key {
            None => write,
            Some(key) => json!([write, key]),
        };
        Document::from_value(&json!({"Version": VERSION, "Statement": statement}))
    }
}

/// The permissions that a producer needs on the key that encrypts the destination.
///
/// Kinesis: `kms:GenerateDataKey`, limited to this stream by the encryption context that Kinesis sends (Kinesis
/// developer guide, "Permissions to use user-generated KMS keys", `permissions-user-key-KMS`).
///
/// Firehose: `kms:GenerateDataKey` and `kms:Decrypt`. AWS Health notice of 2026-04-20: callers of `PutRecord` and
/// `PutRecordBatch` need both, for streams created from that day on, and for all streams from 2027-02-28 on. The notice
/// is quoted in ministryofjustice/modernisation-platform issues 12957 and 12960; modernisation-platform-environments
/// pull request 19063 confirms the need. Not narrowed: AWS asks not to rely on the form of Firehose's encryption
/// context, and `kms:ViaService` is neither documented for this nor tested.
///
/// SNS: `kms:GenerateDataKey*` and `kms:Decrypt` through SNS for this topic (End User Messaging SMS user guide,
/// "Two-way SMS IAM policy", `two-way-sms-iam-policy`).
///
/// A log group: none, because CloudWatch Logs itself uses the key.
fn use_of_key(destination: &DestinationArn, key: &KeyArn) -> Option<Value> {
    let (destination, key, kind) = (destination.to_string(), key.to_string(), destination.kind());
    let actions = actions_on_key(kind);
    match kind {
        DestinationKind::Kinesis => Some(json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": [key],
            "Condition": {
                "StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": destination},
            },
        })),
        DestinationKind::Firehose => Some(json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": [key],
        })),
        DestinationKind::SnsTopic => Some(json!({
            "Effect": "Allow",
            "Action": actions,
            "Resource": [key],
            "Condition": {
                "StringEquals": {
                    "kms:EncryptionContext:aws:sns:topicArn": destination,
                    "aws:CalledViaLast": "sns.amazonaws.com",
                },
            },
        })),
        DestinationKind::LogGroup => None,
    }
}

/// The actions that a producer needs on the key of a destination of this kind.
pub(super) const fn actions_on_key(kind: DestinationKind) -> &'static [&'static str] {
    match kind {
        DestinationKind::Kinesis => &["kms:GenerateDataKey"],
        DestinationKind::Firehose => &["kms:GenerateDataKey", "kms:Decrypt"],
        DestinationKind::SnsTopic => &["kms:Decrypt", "kms:GenerateDataKey*"],
        DestinationKind::LogGroup => &[],
    }
}
