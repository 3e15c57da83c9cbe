//! The definitions of the kinds, for the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// The `CustomResourceDefinition` of a kind, as shipped in `crds/`.
///
/// No field is nullable. The API server then replaces an explicit `null` with the default, and rejects it where there
/// is no default. So rules need not distinguish `null` from an absent field.
#[must_use]
pub(super) fn crd<K: CustomResourceExt>() -> CustomResourceDefinition {
    let mut crd = K::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        let tidy =
            serde_json::to_value(&*schema).map(without_nullable).and_then(serde_json::from_value);
        if let Ok(tidy) = tidy {
            *schema = tidy;
        }
        if let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
            limit_conditions(status);
        }
    }
    crd
}

/// The limits that Kubernetes sets on conditions (`metav1.Condition`), which its `OpenAPI` omits.
fn limit_conditions(status: &mut JSONSchemaProps) {
    let conditions = status.properties.as_mut().and_then(|fields| fields.get_mut("conditions"));
    let Some(JSONSchemaPropsOrArray::Schema(condition)) = conditions.and_then(|c| c.items.as_mut())
    else {
        return;
    };
    for (field, longest) in [("type", 316), ("reason", 1024), ("message", 32_768)] {
        if let Some(field) = condition.properties.as_mut().and_then(|p| p.get_mut(field)) {
            field.max_length = Some(longest);
        }
    }
}

fn without_nullable(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !(name == "nullable" && value.is_boolean()))
            .map(|(name, value)| (name, without_nullable(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nullable).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
