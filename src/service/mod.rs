//! The documents that each AWS service needs on the role with which it sends events: one entry and one file per
//! service. Only this folder and the file of a kind name a service. Pure: it builds documents from what a resource
//! declares.

mod destination;
mod pinpoint;

use serde_json::{Value, json};
use thiserror::Error;

use crate::policy::{AccountId, Document, DocumentError, Partition, Region};

pub use destination::{KeyArn, StreamArn, StreamKind};
pub use pinpoint::{FIRST_KIND, PINPOINT, project_id};

const VERSION: &str = "2012-10-17";

/// The entry of a service.
#[derive(Debug)]
pub struct Service {
    /// The name of the service as AWS writes it.
    pub name: &'static str,
    /// The service principal that assumes the role.
    pub principal: &'static str,
    /// Name of the inline policy with the role's permissions, as on AWS's page.
    pub policy_name: &'static str,
    /// The ARN, or the pattern of ARNs, that the service sends as `aws:SourceArn`.
    pub source_arn: fn(&Source) -> String,
    /// The actions that the service needs on a stream of each kind.
    pub stream_actions: fn(StreamKind) -> &'static [&'static str],
}

/// The source on whose behalf the service can use the role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// The account of the source.
    pub account: AccountId,
    /// The Region of the source.
    pub region: Region,
    /// The source; `None` for any source in the account and Region.
    pub id: Option<String>,
}

/// The purpose of a role: a service sends events to a stream.
#[derive(Clone, Debug)]
pub struct EventStream {
    service: &'static Service,
    source: Option<Source>,
    stream: StreamArn,
    key: Option<KeyArn>,
}

/// Parts of a declaration that contradict each other. Each message begins with the field and ends with the remedy.
#[derive(Debug, Error)]
pub enum Mismatch {
    /// The stream and the source are in different accounts.
    #[error(
        "spec.destination is in account {destination} but spec.source.accountId is {origin}: {service} streams only to a stream in its own account"
    )]
    Account {
        /// The service.
        service: &'static str,
        /// Account of the stream.
        destination: AccountId,
        /// Account of the source.
        origin: AccountId,
    },
    /// Another part is in another partition.
    #[error(
        "spec.destination is in partition {destination} but spec.{field} is in {other}: all must be in the same partition"
    )]
    Partition {
        /// Partition of the stream.
        destination: Partition,
        /// The other field, below `spec`.
        field: &'static str,
        /// Its partition.
        other: Partition,
    },
    /// The stream and the key that encrypts it are in different places.
    #[error(
        "spec.destination.kmsKeyArn is in {} of account {}, but the stream is in {} of account {}: name the key that encrypts the stream; it must be in the stream's partition, Region and account",
        key.region(), key.account(), stream.region(), stream.account()
    )]
    Key {
        /// The stream.
        stream: Box<StreamArn>,
        /// The key.
        key: Box<KeyArn>,
    },
}

impl EventStream {
    /// A service that sends the events of `source`, or of any source, to `stream`, which `key` encrypts.
    ///
    /// # Errors
    /// When the parts are in different places.
    pub fn new(
        service: &'static Service,
        source: Option<Source>,
        stream: StreamArn,
        key: Option<KeyArn>,
    ) -> Result<Self, Mismatch> {
        if let Some(source) = &source
            && source.account != *stream.account()
        {
            return Err(Mismatch::Account {
                service: service.name,
                destination: stream.account().clone(),
                origin: source.account.clone(),
            });
        }
        let this = Self { service, source, stream, key };
        this.check_partition("source.region", this.source.as_ref().map(|s| s.region.partition()))?;
        match &this.key {
            // A Region belongs to one partition, so comparing Regions covers both.
            Some(key)
                if (key.region(), key.account())
                    != (this.stream.region(), this.stream.account()) =>
            {
                Err(Mismatch::Key {
                    stream: Box::new(this.stream.clone()),
                    key: Box::new(key.clone()),
                })
            }
            Some(_) | None => Ok(this),
        }
    }

    /// Checks that another field of the spec is in the partition of the stream.
    ///
    /// # Errors
    /// When it is in another one.
    pub fn check_partition(
        &self,
        field: &'static str,
        other: Option<Partition>,
    ) -> Result<(), Mismatch> {
        let destination = self.partition();
        match other {
            Some(other) if other != destination => {
                Err(Mismatch::Partition { destination, field, other })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The account of the stream, and so of the role: a service only streams within its account.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        self.stream.account()
    }

    /// The partition of the stream, and so of the role.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.stream.partition()
    }

    /// The stream, shortened for people: `kinesis/<stream>` or `firehose/<stream>`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.stream.kind() {
            StreamKind::Kinesis => format!("kinesis/{}", self.stream.name()),
            StreamKind::Firehose => format!("firehose/{}", self.stream.name()),
        }
    }

    /// Who can assume the role: the service, and if there is a source only on its behalf (IAM user guide, "The confused
    /// deputy problem").
    ///
    /// # Errors
    /// When the document is malformed, which is a defect.
    pub fn trust_policy(&self) -> Result<Document, DocumentError> {
        let mut statement = json!({
            "Effect": "Allow",
            "Principal": {"Service": self.service.principal},
            "Action": "sts:AssumeRole",
        });
        if let (Some(source), Some(statement)) = (&self.source, statement.as_object_mut()) {
            statement.insert(
                "Condition".into(),
                json!({
                    "StringEquals": {"aws:SourceAccount": source.account.to_string()},
                    "ArnLike": {"aws:SourceArn": (self.service.source_arn)(source)},
                }),
            );
        }
        Document::from_value(&json!({"Version": VERSION, "Statement": [statement]}))
    }

    /// The permissions of the role: put records to the stream, describe it, and use the customer managed key of an
    /// encrypted stream.
    ///
    /// # Errors
    /// When the document is malformed, which is a defect.
    pub fn permissions_policy(&self) -> Result<Document, DocumentError> {
        let stream = &self.stream;
        let actions = (self.service.stream_actions)(stream.kind());
        let to_stream =
            json!({"Effect": "Allow", "Action": actions, "Resource": [stream.to_string()]});
        let statement = match &self.key {
            None => to_stream,
            Some(key) => json!([to_stream, use_of_key(stream, key)]),
        };
        Document::from_value(&json!({"Version": VERSION, "Statement": statement}))
    }
}

/// The permissions that a producer needs on the key that encrypts the stream.
///
/// Kinesis: `kms:GenerateDataKey`, limited to this stream by the encryption context that Kinesis sends (Kinesis
/// developer guide, "Permissions to use user-generated KMS keys", `permissions-user-key-KMS`).
///
/// Firehose: `kms:GenerateDataKey` and `kms:Decrypt`. AWS Health notice of 2026-04-20: callers of `PutRecord` and
/// `PutRecordBatch` need both, for streams created from that day on, and for all streams from 2027-02-28 on. The notice
/// is quoted in ministryofjustice/modernisation-platform issues 12957 and 12960; modernisation-platform-environments
/// pull request 19063 confirms the need. Not narrowed: AWS asks not to rely on the form of Firehose's encryption
/// context, and `kms:ViaService` is neither documented for this nor tested.
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
