//! The fields of a manifest that its kind does not have, which `kubectl apply` rejects too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

use super::{KINDS, Kind};

/// The schemas of each kind, by its name. Building them costs more than reading a manifest.
static SCHEMAS: LazyLock<BTreeMap<&'static str, Vec<JSONSchemaProps>>> = LazyLock::new(|| {
    let of = |kind: &Kind| {
        let versions = (kind.crd)().spec.versions;
        versions.into_iter().filter_map(|version| version.schema?.open_api_v3_schema).collect()
    };
    KINDS.into_iter().map(|kind| (kind.name, of(kind))).collect()
});

/// The fields of `object` that the schema of the kind does not know, as in `spec.destination.streamArn`.
#[must_use]
pub fn unknown_fields(kind: &Kind, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for schema in SCHEMAS.get(kind.name).into_iter().flatten() {
        for (name, value) in object.as_object().into_iter().flatten() {
            // The schema leaves these to the API server.
            if ["apiVersion", "kind", "metadata"].contains(&name.as_str()) {
                continue;
            }
            match schema.properties.as_ref().and_then(|properties| properties.get(name)) {
                Some(property) => walk(name, property, value, &mut found),
                None => found.push(name.clone()),
            }
        }
    }
    found
}

fn walk(path: &str, schema: &JSONSchemaProps, value: &Value, found: &mut Vec<String>) {
    let (Some(fields), None) = (value.as_object(), &schema.additional_properties) else { return };
    for (name, value) in fields {
        let path = format!("{path}.{name}");
        match schema.properties.as_ref().and_then(|properties| properties.get(name)) {
            Some(property) => walk(&path, property, value, found),
            None => found.push(path),
        }
    }
}
