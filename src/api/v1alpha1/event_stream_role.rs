//! `EventStreamRole`. The schema contains every rule that a manifest can break, so `kubectl apply` rejects it with a
//! message that names the field. The part for `spec.source` comes from the table of services.

#![allow(clippy::struct_field_names, reason = "the names are the resource's API")]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::policy::{AccountId, Region};
use crate::service::{self, DestinationArn, DestinationKind, EventStream, KeyArn, Service};

use super::super::kind::{RoleSpec, SpecError, at, optional};
use super::super::rules;
use super::super::settings::RoleSettings;
use super::super::sources;
use super::super::status::RoleStatus;

/// The rules that compare the fields of the spec.
pub(in super::super) const RULES: rules::SpecRules = rules::SpecRules {
    destinations: &DestinationKind::ALL,
    has_account: "has(self.source.accountId)",
    has_region: "has(self.source.region)",
    own_account: "a service uses only a role in its own account, and the role is in that of the destination",
};

const EXAMPLE_KEY: &str =
    "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// The declared state of one IAM role.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "streamrole.dev",
    version = "v1alpha1",
    kind = "EventStreamRole",
    plural = "eventstreamroles",
    shortname = "esr",
    category = "aws",
    namespaced,
    derive = "PartialEq",
    status = "RoleStatus",
    doc = "Declares the IAM role that lets an AWS service send events to a Kinesis data stream, a Firehose stream, a log group or an SNS topic. The controller creates the role, keeps its trust policy and permissions policy equal to this declaration, and reports in the status conditions.",
    validation = Rule::new("self.metadata.name.size() <= 176").message(
        "metadata.name must be at most 176 characters: EventStreamRole/<namespace>/<name> is kept in a tag on the IAM role, and IAM allows 256 characters in a tag's value"
    ),
    selectable = ".spec.roleName",
    selectable = ".status.roleName",
    selectable = ".status.reason",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the live role matches the spec"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why Ready has its status"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.roleName", description = "Name of the IAM role"),
    printcolumn(name = "Source", type_ = "string", json_path = ".status.source", description = "The service that sends the events"),
    printcolumn(name = "Destination", type_ = "string", json_path = ".status.destination", description = "Where events go to"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.roleArn", description = "ARN of the IAM role", priority = 1),
    printcolumn(name = "Drift", type_ = "string", json_path = ".status.drift[0].path", description = "First reported difference", priority = 1),
    printcolumn(name = "Last Change", type_ = "date", json_path = ".status.lastChangeTime", description = "When the controller last wrote to IAM", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Age of the resource")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(rules::role_name_is_unchanged()).message(rules::ROLE_NAME_CHANGED).field_path(".roleName"),
    validation = Rule::new(RULES.source_has_account()).message(Message::Expression(RULES.source_has_another_account())).field_path(".source.accountId"),
    validation = Rule::new(RULES.source_has_partition()).message(Message::Expression(RULES.source_has_another_partition())).field_path(".source.region"),
    validation = Rule::new(RULES.boundary_has_partition()).message("permissionsBoundaryArn must be in the same partition as the destination").field_path(".permissionsBoundaryArn"),
)]
pub struct EventStreamRoleSpec {
    /// The role itself.
    #[serde(flatten)]
    pub settings: RoleSettings,

    /// The service that sends the events, and the source on whose behalf it can use the role. Set exactly one service.
    #[schemars(schema_with = "sources::schema")]
    pub source: EventSource,

    /// Where the service sends the events. Set exactly one of the ARNs, of a kind that the service writes to.
    pub destination: EventDestination,
}

/// The service that sends the events, and the source on whose behalf it can use the role.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventSource {
    /// The AWS account of the source. Default: that of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The AWS Region of the source. Default: that of the destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The service by its key in the table of services, with its fields.
    #[serde(flatten)]
    pub services: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where the service sends the events: exactly one of the ARNs.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(rules::one_destination(RULES.destinations)).message(rules::other_than_one_destination(RULES.destinations)),
    validation = Rule::new(RULES.key_is_with_destination()).message(Message::Expression(RULES.key_is_elsewhere("destination"))).field_path(".kmsKeyArn"),
    validation = Rule::new("!(has(self.kmsKeyArn) && has(self.logGroupArn))").message("kmsKeyArn does not go with logGroupArn: CloudWatch Logs itself uses the key of a log group, so the role needs no permission for it; remove kmsKeyArn").field_path(".kmsKeyArn"),
)]
pub struct EventDestination {
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

    /// ARN of a log group without `:*` at its end, as in `arn:aws:logs:us-east-1:111122223333:log-group:app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 640))]
    #[x_kube(
        validation = Rule::new(rules::is_destination(DestinationKind::LogGroup)).message(rules::is_no_destination(DestinationKind::LogGroup)),
        validation = Rule::new(rules::region_is_of_partition()).message(rules::region_is_of_another_partition(DestinationKind::LogGroup.field(), DestinationKind::LogGroup.example()))
    )]
    pub log_group_arn: Option<String>,

    /// ARN of a standard SNS topic, as in `arn:aws:sns:us-east-1:111122223333:app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 384))]
    #[x_kube(
        validation = Rule::new(rules::is_destination(DestinationKind::SnsTopic)).message(rules::is_no_destination(DestinationKind::SnsTopic)),
        validation = Rule::new(rules::region_is_of_partition()).message(rules::region_is_of_another_partition(DestinationKind::SnsTopic.field(), DestinationKind::SnsTopic.example()))
    )]
    pub sns_topic_arn: Option<String>,

    /// ARN of the customer managed KMS key that encrypts the destination, if any. The key must be in the account and
    /// Region of the destination; for a multi-Region key, give the ARN in that Region. The role can then generate data
    /// keys with it: for a Kinesis data stream or an SNS topic, for this destination only. For a Firehose stream and an
    /// SNS topic, it can also decrypt. Firehose requires this for streams created since 2026-04-20, and for all streams
    /// from 2027-02-28 on. The key policy must allow the role too. Not for a log group: CloudWatch Logs itself uses its
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("kms", "key/[a-zA-Z0-9-]{1,128}")).message("kmsKeyArn must be the ARN of a key (not of an alias), as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        validation = Rule::new(rules::region_is_of_partition()).message(rules::region_is_of_another_partition("kmsKeyArn", EXAMPLE_KEY))
    )]
    pub kms_key_arn: Option<String>,
}

impl EventDestination {
    /// The declared ARNs.
    fn given(&self) -> impl Iterator<Item = (DestinationKind, &String)> {
        DestinationKind::ALL.into_iter().filter_map(|kind| {
            let arn = match kind {
                DestinationKind::Kinesis => &self.kinesis_stream_arn,
                DestinationKind::Firehose => &self.firehose_delivery_stream_arn,
                DestinationKind::LogGroup => &self.log_group_arn,
                DestinationKind::SnsTopic => &self.sns_topic_arn,
            };
            arn.as_ref().map(|arn| (kind, arn))
        })
    }
}

impl RoleSpec for EventStreamRoleSpec {
    fn settings(&self) -> &RoleSettings {
        &self.settings
    }

    fn policy_name(&self) -> &'static str {
        service::USUAL_POLICY_NAME
    }

    fn stream(&self) -> Result<EventStream, SpecError> {
        let destination = destination(&self.destination)?;
        let (service, source) = source(&self.source, &destination)?;
        let key = self.destination.kms_key_arn.as_deref();
        let key = optional(key, "destination.kmsKeyArn", KeyArn::parse)?;
        Ok(EventStream::new(service, Some(source), destination, key)?)
    }
}

fn destination(destination: &EventDestination) -> Result<DestinationArn, SpecError> {
    let mut given = destination.given();
    let (Some((kind, arn)), None) = (given.next(), given.next()) else {
        return Err(SpecError::DestinationCount(
            "kinesisStreamArn, firehoseDeliveryStreamArn, logGroupArn and snsTopicArn",
        ));
    };
    DestinationArn::parse(kind, arn).map_err(at(match kind {
        DestinationKind::Kinesis => "destination.kinesisStreamArn",
        DestinationKind::Firehose => "destination.firehoseDeliveryStreamArn",
        DestinationKind::LogGroup => "destination.logGroupArn",
        DestinationKind::SnsTopic => "destination.snsTopicArn",
    }))
}

fn source(
    source: &EventSource,
    destination: &DestinationArn,
) -> Result<(&'static Service, service::Source), SpecError> {
    let mut given = source.services.iter();
    let (Some((key, fields)), None) = (given.next(), given.next()) else {
        return Err(SpecError::SourceCount);
    };
    let service = Service::with_key(key).ok_or(SpecError::SourceCount)?;
    let account = optional(source.account_id.as_deref(), "source.accountId", AccountId::parse)?;
    let region = optional(source.region.as_deref(), "source.region", Region::parse)?;
    let name = service.source.name_of(fields);
    Ok((
        service,
        service::Source {
            account: account.unwrap_or_else(|| destination.account().clone()),
            region: region.unwrap_or_else(|| destination.region().clone()),
            name: name.map_err(|error| SpecError::Source { service: service.key, error })?,
        },
    ))
}
