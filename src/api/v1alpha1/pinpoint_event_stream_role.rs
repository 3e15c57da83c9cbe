//! `PinpointEventStreamRole`. The schema contains every rule that a manifest can break, so `kubectl apply` rejects it
//! with a message that names the field.

#![allow(clippy::struct_field_names, reason = "the names are the resource's API")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::policy::{AccountId, Region};
use crate::service::{self, DestinationArn, DestinationKind, EventStream, KeyArn, PINPOINT};

use super::super::kind::{RoleSpec, SpecError, at, optional};
use super::super::rules;
use super::super::settings::RoleSettings;
use super::super::status::RoleStatus;

const RULES: rules::SpecRules = rules::SpecRules {
    destinations: &[DestinationKind::Kinesis, DestinationKind::Firehose],
    has_account: "has(self.source)",
    has_region: "has(self.source)",
    own_account: "Amazon Pinpoint streams only to a stream in its own account",
};

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
    validation = Rule::new(rules::role_name_is_unchanged()).message(rules::ROLE_NAME_CHANGED).field_path(".roleName"),
    validation = Rule::new(RULES.source_has_account()).message(Message::Expression(RULES.source_has_another_account())).field_path(".destination"),
    validation = Rule::new(RULES.source_has_partition()).message(Message::Expression(RULES.source_has_another_partition())).field_path(".source.region"),
    validation = Rule::new(RULES.boundary_has_partition()).message("permissionsBoundaryArn must be in the same partition as the destination").field_path(".permissionsBoundaryArn"),
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
    validation = Rule::new(rules::one_destination(RULES.destinations)).message(rules::other_than_one_destination(RULES.destinations)),
    validation = Rule::new(RULES.key_is_with_destination()).message(Message::Expression(RULES.key_is_elsewhere("stream"))).field_path(".kmsKeyArn"),
)]
pub struct Destination {
    /// ARN of a Kinesis data stream, as in `arn:aws:kinesis:us-east-1:111122223333:stream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_destination(DestinationKind::Kinesis)).message(rules::is_no_destination(DestinationKind::Kinesis)),
        validation = Rule::new(rules::region_is_of_partition()).message(rules::region_is_of_another_partition(DestinationKind::Kinesis.field(), DestinationKind::Kinesis.example()))
    )]
    pub kinesis_stream_arn: Option<String>,

    /// ARN of a Firehose stream, as in `arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_destination(DestinationKind::Firehose)).message(rules::is_no_destination(DestinationKind::Firehose)),
        validation = Rule::new(rules::region_is_of_partition()).message(rules::region_is_of_another_partition(DestinationKind::Firehose.field(), DestinationKind::Firehose.example()))
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

fn stream(destination: &Destination) -> Result<DestinationArn, SpecError> {
    match (&destination.kinesis_stream_arn, &destination.firehose_delivery_stream_arn) {
        (Some(arn), None) => DestinationArn::parse(DestinationKind::Kinesis, arn)
            .map_err(at("destination.kinesisStreamArn")),
        (None, Some(arn)) => DestinationArn::parse(DestinationKind::Firehose, arn)
            .map_err(at("destination.firehoseDeliveryStreamArn")),
        (Some(_), Some(_)) | (None, None) => {
            Err(SpecError::DestinationCount("kinesisStreamArn and firehoseDeliveryStreamArn"))
        }
    }
}

fn source(source: &Source) -> Result<service::Source, SpecError> {
    let id = source.application_id.as_deref();
    Ok(service::Source {
        account: AccountId::parse(&source.account_id).map_err(at("source.accountId"))?,
        region: Region::parse(&source.region).map_err(at("source.region"))?,
        name: id.map(service::project_id).transpose().map_err(at("source.applicationId"))?,
    })
}
