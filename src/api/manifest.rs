//! The spec that declares a given role: the inverse of reading one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::service::{DestinationKind, EventStream, PINPOINT};

use super::kind::Kind;
use super::settings::RoleSettings;
use super::v1alpha1::{
    Destination, EventDestination, EventSource, EventStreamRoleSpec, PinpointEventStreamRoleSpec,
    Source,
};

/// The fields of a source whose name can be any.
const ANY: &str = "*";

/// The kind and the spec that declare a role of this purpose with these settings, without fields that have their default
/// value; `None` when no fields express the source.
#[must_use]
pub fn spec_of(stream: &EventStream, settings: &RoleSettings) -> Option<(&'static Kind, Value)> {
    let fields = stream.service().fields_of(stream.source())?;
    let settings = settings.clone();
    if stream.service().key == PINPOINT.key {
        let spec = PinpointEventStreamRoleSpec {
            settings,
            destination: pinpoint_destination(stream),
            source: pinpoint_source(stream, fields),
        };
        return Some((Kind::named("PinpointEventStreamRole")?, sparse(&spec)?));
    }
    let spec = EventStreamRoleSpec {
        settings,
        source: source(stream, fields),
        destination: destination(stream),
    };
    Some((Kind::named("EventStreamRole")?, sparse(&spec)?))
}

/// The spec without fields that have their default value.
fn sparse(spec: &impl Serialize) -> Option<Value> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(spec) else { return None };
    let defaults = Map::from_iter([
        ("path".to_owned(), json!("/")),
        ("maxSessionDurationSeconds".to_owned(), json!(3600)),
        ("exclusivePolicies".to_owned(), json!(false)),
        ("adoptionPolicy".to_owned(), json!("Never")),
        ("driftPolicy".to_owned(), json!("Correct")),
    ]);
    fields.retain(|name, value| defaults.get(name) != Some(value));
    Some(Value::Object(fields))
}

fn arn_of(stream: &EventStream, kind: DestinationKind) -> Option<String> {
    let destination = stream.destination();
    (destination.kind() == kind).then(|| destination.to_string())
}

fn pinpoint_destination(stream: &EventStream) -> Destination {
    Destination {
        kinesis_stream_arn: arn_of(stream, DestinationKind::Kinesis),
        firehose_delivery_stream_arn: arn_of(stream, DestinationKind::Firehose),
        kms_key_arn: stream.key().map(ToString::to_string),
    }
}

fn pinpoint_source(stream: &EventStream, mut fields: BTreeMap<String, String>) -> Option<Source> {
    let source = stream.source()?;
    Some(Source {
        account_id: source.account.to_string(),
        region: source.region.to_string(),
        application_id: fields.remove("applicationId").filter(|id| id != ANY),
    })
}

fn destination(stream: &EventStream) -> EventDestination {
    EventDestination {
        kinesis_stream_arn: arn_of(stream, DestinationKind::Kinesis),
        firehose_delivery_stream_arn: arn_of(stream, DestinationKind::Firehose),
        log_group_arn: arn_of(stream, DestinationKind::LogGroup),
        sns_topic_arn: arn_of(stream, DestinationKind::SnsTopic),
        kms_key_arn: stream.key().map(ToString::to_string),
    }
}

fn source(stream: &EventStream, fields: BTreeMap<String, String>) -> EventSource {
    let of_another = |region: &String| *region != stream.destination().region().to_string();
    let region = stream.source().map(|source| source.region.to_string());
    EventSource {
        // Always the account of the destination, which is the default.
        account_id: None,
        region: region.filter(of_another),
        services: BTreeMap::from([(stream.service().key.to_owned(), fields)]),
    }
}
