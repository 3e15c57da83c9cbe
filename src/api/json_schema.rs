//! The resource as a JSON schema for tools that check manifests without a cluster: editors, kubeconform. It comes from
//! the schema that the API server enforces and is as strict, except for the CEL rules, which a JSON schema cannot
//! express. Pure.

use serde_json::{Map, Value, json};

use super::Kind;

/// The JSON schema of the stored version of a kind.
#[must_use]
pub fn json_schema(kind: &Kind) -> Value {
    let spec = (kind.crd)().spec;
    let stored = spec.versions.into_iter().find(|version| version.storage).unwrap_or_default();
    let schema = stored.schema.and_then(|schema| schema.open_api_v3_schema);
    let mut fields = match schema.map(serde_json::to_value) {
        Some(Ok(Value::Object(fields))) => fields,
        _ => Map::new(),
    };
    fields.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    // Every object has these; the API server adds them to the schema automatically.
    let about = [
        ("apiVersion", json!({"enum": [format!("{}/{}", spec.group, stored.name)]})),
        ("kind", json!({"enum": [spec.names.kind]})),
        ("metadata", json!({"type": "object"})),
    ];
    if let Some(Value::Object(properties)) = fields.get_mut("properties") {
        properties.extend(about.iter().map(|(name, schema)| ((*name).into(), schema.clone())));
    }
    if let Some(Value::Array(required)) = fields.get_mut("required") {
        required.extend(about.iter().map(|(name, _)| json!(name)));
    }
    closed(Value::Object(fields))
}

/// The schema without the extensions of the API server, and closed: a field that it does not name is an error, as in
/// `kubectl apply`.
fn closed(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let is_open =
                fields.contains_key("properties") && !fields.contains_key("additionalProperties");
            let mut fields: Map<_, _> = fields
                .into_iter()
                .filter(|(name, _)| !name.starts_with("x-kubernetes-"))
                .map(|(name, value)| (name, closed(value)))
                .collect();
            if is_open {
                fields.insert("additionalProperties".into(), json!(false));
            }
            Value::Object(fields)
        }
        Value::Array(items) => items.into_iter().map(closed).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
