//! Finds in the documents of a role what a resource would declare.

use serde_json::Value;

use crate::policy::{Document, Region};

use super::SERVICES;
use super::destination::{DestinationArn, KeyArn};
use super::event_stream::EventStream;
use super::source::Source;
use super::table::{Principal, Service};

/// The event streams that documents seem to be for, best first: the service that the trust policy names, the source
/// from its conditions, and each destination that the permissions policy names. The documents that they declare need
/// not be equal to these.
#[must_use]
pub fn recognize(trust: &Document, permissions: &Document) -> Vec<EventStream> {
    let (mut conditions, mut resources) = (Vec::new(), Vec::new());
    let principals = principals(trust);
    for statement in trust.statements() {
        texts(statement.get("Condition").unwrap_or(&Value::Null), &mut conditions);
    }
    for statement in permissions.statements() {
        texts(statement.get("Resource").unwrap_or(&Value::Null), &mut resources);
    }
    let key = resources.iter().find_map(|resource| KeyArn::parse(resource).ok());
    let destinations: Vec<_> =
        resources.iter().filter_map(|resource| DestinationArn::of_resource(resource)).collect();

    let mut found: Vec<EventStream> = Vec::new();
    for service in SERVICES {
        let Some(of_service) = principals.iter().find_map(|p| assumed_by(service, p)) else {
            continue;
        };
        let source = conditions.iter().find_map(|text| service.source.source_with(text));
        for destination in &destinations {
            let regional = || source_in(&of_service, destination);
            let source = source.clone().or_else(regional);
            let stream = EventStream::new(service, source, destination.clone(), key.clone());
            found.extend(stream.ok().filter(|stream| !found.contains(stream)));
        }
    }
    found
}

/// The services that a trust policy names, in the order of the table.
#[must_use]
pub fn trusted(trust: &Document) -> Vec<&'static Service> {
    let principals = principals(trust);
    let is_named = |service: &&Service| principals.iter().any(|p| assumed_by(service, p).is_some());
    SERVICES.into_iter().filter(is_named).collect()
}

/// The service principals of a trust policy.
fn principals(trust: &Document) -> Vec<&str> {
    let mut found = Vec::new();
    for statement in trust.statements() {
        let service = statement.get("Principal").and_then(|principal| principal.get("Service"));
        texts(service.unwrap_or(&Value::Null), &mut found);
    }
    found
}

/// How a service assumes a role with this principal.
enum Assumed {
    Anywhere,
    In(Region),
}

fn assumed_by(service: &Service, principal: &str) -> Option<Assumed> {
    match service.principal {
        Principal::Global(global) if global == principal => Some(Assumed::Anywhere),
        Principal::Global(_) | Principal::Regional(_) => {
            service.principal.region_in(principal).map(Assumed::In)
        }
    }
}

/// The source of a trust policy without conditions, where the principal names its Region.
fn source_in(assumed: &Assumed, destination: &DestinationArn) -> Option<Source> {
    match assumed {
        Assumed::In(region) => Some(Source {
            account: destination.account().clone(),
            region: region.clone(),
            name: None,
        }),
        Assumed::Anywhere => None,
    }
}

/// All texts within a value.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
