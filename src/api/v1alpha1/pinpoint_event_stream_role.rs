//! `PinpointEventStreamRole`. The schema contains every rule that a manifest can break, so `kubectl apply` rejects it
//! with a message that names the field.

#![allow(clippy::struct_field_names, reason = "the names are the resource's API")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::policy::{AccountId, Region};
use crate::service::{self, EventStream, KeyArn, PINPOINT, StreamArn};

use super::super::kind::{RoleSpec, SpecError, at, optional};
use super::super::rules;
use super::super::settings::RoleSettings;
use super::super::status::RoleStatus;

/// The declared state of one IAM role.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "streamrole.dev",
    version = "v1alpha1",
    kind = "PinpointEventStreamRole",
    plural = "pinpointeventstreamroles",
    shortname = "pesr",
    category = "aws",
    namespaced,
    derive = "PartialEq",
    status = "RoleStatus",
    doc = "Declares the IAM role that lets Amazon Pinpoint send event data to a Kinesis data stream or a Firehose stream. The controller creates the role, keeps its trust policy and permissions policy equal to this declaration, and reports in the status conditions.",
    validation = Rule::new("self.metadata.name.size() <= 192").message(
        "metadata.name must be at most 192 characters: <namespace>/<name> is kept in a tag on the IAM role, and IAM allows 256 characters in a tag's value"
    ),
    selectable = ".spec.roleName",
    selectable = ".status.roleName",
    selectable = ".status.reason",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the live role matches the spec"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why Ready has its status"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.roleName", description = "Name of the IAM role"),
    printcolumn(name = "Destination", type_ = "string", json_path = ".status.destination", description = "The stream that events go to"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.roleArn", description = "ARN of the IAM role", priority = 1),
    printcolumn(name = "Drift", type_ = "string", json_path = ".status.drift[0].path", description = "First reported difference", priority = 1),
    printcolumn(name = "Last Change", type_ = "date", json_path = ".status.lastChangeTime", description = "When the controller last wrote to IAM", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age of the resource")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)"
    ).message("roleName cannot be changed: IAM cannot rename a role. Create another resource with the new name, then delete this one").field_path(".roleName"),
    validation = Rule::new(rules::source_has_account_of_stream()).message(Message::Expression(rules::source_has_another_account())).field_path(".destination"),
    validation = Rule::new(rules::source_has_partition_of_stream()).message(Message::Expression(rules::source_has_another_partition())).field_path(".source.region"),
    validation = Rule::new(rules::boundary_has_partition_of_stream()).message("permissionsBoundaryArn must be in the same partition as the destination").field_path(".permissionsBoundaryArn"),
)]
pub struct PinpointEventStreamRoleSpec {
    /// The role itself.
    #[serde(flatten)]
    pub settings: RoleSettings,

    /// The stream that Amazon Pinpoint sends event data to. Set exactly one of the two stream ARNs.
    pub destination: Destination,

    /// The Amazon Pinpoint project that can use the role. When set, the trust policy gets the `aws:SourceAccount` and
    /// `aws:SourceArn` conditions, which prevent the confused deputy problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// The stream that Amazon Pinpoint sends event data to: exactly one of the two stream ARNs.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.kinesisStreamArn) != has(self.firehoseDeliveryStreamArn)").message("destination needs exactly one of kinesisStreamArn and firehoseDeliveryStreamArn"),
    validation = Rule::new(rules::key_is_where_stream_is()).message(Message::Expression(rules::key_is_elsewhere())).field_path(".kmsKeyArn"),
)]
pub struct Destination {
    /// ARN of a Kinesis data stream, as in `arn:aws:kinesis:us-east-1:111122223333:stream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("kinesis", "stream/[a-zA-Z0-9_.-]{1,128}")).message("kinesisStreamArn must be the ARN of a Kinesis data stream, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events"),
        validation = Rule::new(rules::region_is_of_partition()).message("kinesisStreamArn must name a Region of its partition, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events")
    )]
    pub kinesis_stream_arn: Option<String>,

    /// ARN of a Firehose stream, as in `arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("firehose", "deliverystream/[a-zA-Z0-9_.-]{1,64}")).message("firehoseDeliveryStreamArn must be the ARN of a Firehose stream, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events"),
        validation = Rule::new(rules::region_is_of_partition()).message("firehoseDeliveryStreamArn must name a Region of its partition, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events")
    )]
    pub firehose_delivery_stream_arn: Option<String>,

    /// ARN of the customer managed KMS key that encrypts the stream, if any. The key must be in the stream's account
    /// and Region; for a multi-Region key, give the ARN in the stream's Region. For a Kinesis data stream, the role can
    /// then generate data keys with it, for this stream only. For a Firehose stream, the role can also decrypt:
    /// Firehose requires this for streams created since 2026-04-20, and for all streams from 2027-02-28 on. The key
    /// policy must allow the role too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("kms", "key/[a-zA-Z0-9-]{1,128}")).message("kmsKeyArn must be the ARN of a key (not of an alias), as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        validation = Rule::new(rules::region_is_of_partition()).message("kmsKeyArn must name a Region of its partition, as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    )]
    pub kms_key_arn: Option<String>,
}

/// The Amazon Pinpoint project that can use the role.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The AWS account of the Pinpoint project, 12 digits. Must be the account of the destination.
    #[schemars(length(min = 12, max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')").message("accountId must be 12 digits, in quotes, as in \"111122223333\""))]
    pub account_id: String,

    /// The AWS Region of the Pinpoint project, as in `us-east-1`, in the partition of the destination.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new(rules::is_region("self")).message("region must be the code of an AWS Region, as in us-east-1"))]
    pub region: String,

    /// The ID of the Pinpoint project (application), 32 hexadecimal digits. Absent means any project in this account
    /// and Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 32, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{32}$')").message("applicationId must be 32 hexadecimal digits in lower case, as in 0123456789abcdef0123456789abcdef"))]
    pub application_id: Option<String>,
}

impl RoleSpec for PinpointEventStreamRoleSpec {
    fn settings(&self) -> &RoleSettings {
        &self.settings
    }

    fn policy_name(&self) -> &'static str {
        PINPOINT.policy_name
    }

    fn stream(&self) -> Result<EventStream, SpecError> {
        let destination = &self.destination;
        let stream = stream(destination)?;
        let source = self.source.as_ref().map(source).transpose()?;
        let key =
            optional(destination.kms_key_arn.as_deref(), "destination.kmsKeyArn", KeyArn::parse)?;
        Ok(EventStream::new(&PINPOINT, source, stream, key)?)
    }
}

fn stream(destination: &Destination) -> Result<StreamArn, SpecError> {
    match (&destination.kinesis_stream_arn, &destination.firehose_delivery_stream_arn) {
        (Some(arn), None) => {
            StreamArn::parse_kinesis(arn).map_err(at("destination.kinesisStreamArn"))
        }
        (None, Some(arn)) => {
            StreamArn::parse_firehose(arn).map_err(at("destination.firehoseDeliveryStreamArn"))
        }
        (Some(_), Some(_)) | (None, None) => Err(SpecError::DestinationCount),
    }
}

fn source(source: &Source) -> Result<service::Source, SpecError> {
    let id = source.application_id.as_deref();
    Ok(service::Source {
        account: AccountId::parse(&source.account_id).map_err(at("source.accountId"))?,
        region: Region::parse(&source.region).map_err(at("source.region"))?,
        id: id.map(service::project_id).transpose().map_err(at("source.applicationId"))?,
    })
}
