//! The schema of `spec.source` of an `EventStreamRole`, and the rules of its spec that depend on the service. All of it
//! comes from the table of services, so a new entry needs nothing here.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, ValidationRule,
};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::policy::{Partition, capitalized};
use crate::service::{Conditions, DestinationKind, Service, SourceField};

use super::rules::{self, SpecRules};

/// The schema of `spec.source`.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    let mut properties = Map::from_iter([
        (
            "accountId".to_owned(),
            json!({
                "description": "The AWS account of the source, 12 digits. Must be the account of the destination, which is the default.",
                "type": "string",
                "minLength": 12,
                "maxLength": 12,
                "x-kubernetes-validations": [{
                    "rule": "self.matches('^[0-9]{12}$')",
                    "message": "accountId must be 12 digits, in quotes, as in \"111122223333\"",
                }],
            }),
        ),
        (
            "region".to_owned(),
            json!({
                "description": "The AWS Region of the source, as in `us-east-1`, in the partition of the destination. Default: the Region of the destination.",
                "type": "string",
                "minLength": 1,
                "maxLength": 64,
                "x-kubernetes-validations": [{
                    "rule": rules::is_region("self"),
                    "message": "region must be the code of an AWS Region, as in us-east-1",
                }],
            }),
        ),
    ]);
    properties.extend(Service::current().map(|service| (service.key.to_owned(), of(service))));
    let keys: Vec<_> = Service::current().map(|service| service.key).collect();
    let schema = json!({
        "type": "object",
        "properties": properties,
        "x-kubernetes-validations": [{
            "rule": rules::one_of(keys.iter().copied()),
            "message": format!("source needs exactly one of {}", keys.join(", ")),
        }],
    });
    Schema::try_from(schema).unwrap_or_default()
}

fn of(service: &Service) -> Value {
    let fields = service.source.fields;
    let required: Vec<_> =
        fields.iter().filter(|field| field.default.is_none()).map(|field| field.name).collect();
    let properties: Map<_, _> =
        fields.iter().map(|field| (field.name.to_owned(), field_schema(field))).collect();
    let mut schema = json!({"description": description(service), "type": "object"});
    if let Some(schema) = schema.as_object_mut() {
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
    }
    schema
}

fn description(service: &Service) -> String {
    let works: Vec<_> = service.targets.iter().map(|target| target.kind.noun()).collect();
    let conditions = match service.conditions {
        Conditions::AccountAndArn => {
            "The trust policy has the `aws:SourceAccount` and `aws:SourceArn` conditions."
        }
        Conditions::ArnOnly => "The trust policy has the `aws:SourceArn` condition.",
        Conditions::Undocumented => {
            "The trust policy has no confused-deputy conditions, because AWS documents none for this service."
        }
    };
    let path = if service.takes_path { "" } else { " The role must have the path `/`." };
    format!("{} sends events to {}. {conditions}{path}", service.name, works.join(" or "))
}

fn field_schema(field: &SourceField) -> Value {
    let SourceField { name, what, length, default, example, .. } = field;
    let any = if default.is_none() { ", or `*` for any" } else { "" };
    let alternative = if default.is_none() { "|[*]" } else { "" };
    let mut schema = json!({
        "description": format!("{}{any}, as in `{example}`.", capitalized(what)),
        "type": "string",
        "minLength": 1,
        "maxLength": length.1,
        "x-kubernetes-validations": [{
            "rule": format!("self.matches('^({}{alternative})$')", field.pattern()),
            "message": format!("{name} must be {} to {} of the characters {}{}, as in {example}", length.0, length.1, field.characters, if default.is_none() { ", or *" } else { "" }),
        }],
    });
    if let (Some(default), Some(schema)) = (default, schema.as_object_mut()) {
        schema.insert("default".into(), (*default).into());
    }
    schema
}

/// Adds to the schema of a spec with these rules the rules of each service.
pub(super) fn add_rules(crd: &mut CustomResourceDefinition, rules: &SpecRules) {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut());
        let spec = schema.and_then(|s| s.properties.as_mut()).and_then(|p| p.get_mut("spec"));
        if let Some(spec) = spec {
            let all = spec.x_kubernetes_validations.get_or_insert_with(Vec::new);
            all.extend(Service::current().flat_map(|service| rules_of(service, &rules.place())));
        }
    }
}

/// The rules of a spec whose source is this service.
fn rules_of(service: &'static Service, place: &str) -> Vec<ValidationRule> {
    let has = format!("has(self.source.{})", service.key);
    let partition = format!("{place}.find('^arn:[a-z0-9-]+').replace('arn:', '')");
    let mut all: Vec<_> = DestinationKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, service.refusal(kind)?)))
        .map(|(kind, refusal)| ValidationRule {
            rule: format!("!({has} && has(self.destination.{}))", kind.field()),
            message: Some(refusal),
            field_path: Some(format!(".destination.{}", kind.field())),
            ..ValidationRule::default()
        })
        .collect();
    if service.partitions.len() < Partition::ALL.len() {
        let known: Vec<_> = service.partitions.iter().map(|p| format!("'{p}'")).collect();
        all.push(ValidationRule {
            rule: format!("!{has} || {place} == '' || {partition} in [{}]", known.join(", ")),
            message_expression: Some(format!(
                "'destination is in partition ' + {partition} + ', which does not have {}'",
                service.name
            )),
            field_path: Some(".destination".into()),
            ..ValidationRule::default()
        });
    }
    if service.same_region {
        all.push(ValidationRule {
            rule: format!(
                "!{has} || !has(self.source.region) || {place} == '' || {place}.split(':')[3] == self.source.region"
            ),
            message: Some(format!(
                "region must be that of the destination: {} sends events only to a destination in its Region",
                service.name
            )),
            field_path: Some(".source.region".into()),
            ..ValidationRule::default()
        });
    }
    if !service.takes_path {
        all.push(ValidationRule {
            rule: format!("!{has} || self.path == '/'"),
            message: Some(format!("path must be /: {} rejects a role with a path", service.name)),
            field_path: Some(".path".into()),
            ..ValidationRule::default()
        });
    }
    all
}
