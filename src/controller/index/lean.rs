//! What is kept of an object: only what is read. Labels, owner references, foreign annotations and foreign conditions
//! can be as large as the API server's limit for an object, and one author can write many of those.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::api::{
    ABANDON_ANNOTATION, ConditionType, PAUSED_ANNOTATION, PinpointEventStreamRoleStatus,
    RECONCILE_REQUESTED_AT_ANNOTATION,
};
use crate::controller::Guarded;

/// How many characters of an annotation are read, and echoed in the status.
const LONGEST_ANNOTATION: usize = 256;
/// How many finalizers are kept. An object that has more does not get ours.
const FINALIZERS: usize = 32;
/// Longer texts are none of the controller's: what it writes to a status is shorter.
const LONGEST_TEXT: usize = 4096;
const LONGEST_MESSAGE: usize = 32_768;
const LONGEST_LIST: usize = 128;

/// Drops what is not read, before the object is stored.
pub(in crate::controller) fn lean(guarded: &mut Guarded) {
    match &mut guarded.0 {
        Ok(resource) => {
            lean_metadata(&mut resource.metadata);
            if let Some(status) = &mut resource.status {
                lean_status(status);
            }
        }
        Err(invalid) => {
            lean_metadata(&mut invalid.metadata);
            invalid.error = crate::policy::readable(&invalid.error, LONGEST_TEXT);
        }
    }
}

fn lean_metadata(metadata: &mut ObjectMeta) {
    let read = [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION];
    let annotations = metadata.annotations.take().into_iter().flatten();
    let annotations = annotations.filter(|(name, _)| read.contains(&name.as_str()));
    let cut = |(name, value): (String, String)| (name, cut(value, LONGEST_ANNOTATION));
    let annotations: std::collections::BTreeMap<_, _> = annotations.map(cut).collect();
    let mut finalizers = metadata.finalizers.take().unwrap_or_default();
    finalizers.truncate(FINALIZERS);
    finalizers.shrink_to_fit();
    *metadata = ObjectMeta {
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        annotations: (!annotations.is_empty()).then_some(annotations),
        finalizers: (!finalizers.is_empty()).then_some(finalizers),
        ..ObjectMeta::default()
    };
}

/// A status can be written by others too. What is cut here then differs from what the controller would write, which
/// leads to its being written again.
fn lean_status(status: &mut PinpointEventStreamRoleStatus) {
    let is_own = |type_: &str| ConditionType::ALL.iter().any(|own| own.as_str() == type_);
    status.conditions.retain(|condition| is_own(&condition.type_));
    for condition in &mut status.conditions {
        cut_in_place(&mut condition.message, LONGEST_MESSAGE);
        cut_in_place(&mut condition.reason, LONGEST_ANNOTATION);
    }
    status.conditions.shrink_to_fit();
    status.drift.truncate(LONGEST_LIST);
    for drifted in &mut status.drift {
        cut_in_place(&mut drifted.path, LONGEST_TEXT);
        drifted.desired.iter_mut().for_each(|text| cut_in_place(text, LONGEST_TEXT));
        drifted.live.iter_mut().for_each(|text| cut_in_place(text, LONGEST_TEXT));
    }
    status.drift.shrink_to_fit();
    status.tag_keys.truncate(LONGEST_LIST);
    status.tag_keys.iter_mut().for_each(|key| cut_in_place(key, LONGEST_ANNOTATION));
    status.tag_keys.shrink_to_fit();
    let texts = [
        &mut status.reason,
        &mut status.role_name,
        &mut status.role_arn,
        &mut status.role_id,
        &mut status.destination,
        &mut status.last_handled_reconcile_at,
    ];
    texts.into_iter().flatten().for_each(|text| cut_in_place(text, LONGEST_TEXT));
}

fn cut(mut text: String, longest: usize) -> String {
    cut_in_place(&mut text, longest);
    text
}

fn cut_in_place(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use kube::core::DeserializeGuard;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::FINALIZER;

    fn lean_of(whole: Value) -> Value {
        let read = serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"));
        let mut guarded = DeserializeGuard(Ok(read));
        lean(&mut guarded);
        serde_json::to_value(guarded.0.ok()).unwrap_or_default()
    }

    #[test]
    fn of_an_object_only_what_is_read_is_kept() {
        let large = "x".repeat(900_000);
        let foreign = json!({"type": "Foreign", "status": "True", "reason": large, "message": large,
            "lastTransitionTime": "2026-11-23T00:00:00Z"});
        let whole = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {
                "name": "events", "namespace": "ns", "uid": "u1", "generation": 2,
                "resourceVersion": "7", "generateName": "events-",
                "labels": {"a": large},
                "annotations": {
                    "foreign": large, PAUSED_ANNOTATION: "true", RECONCILE_REQUESTED_AT_ANNOTATION: large,
                },
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": large, "uid": "u2"}],
                "finalizers": [FINALIZER],
            },
            "spec": {"destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/s"}},
            "status": {"conditions": [foreign], "roleArn": large, "drift": [{"path": large, "live": large}]},
        });
        let lean = lean_of(whole);
        assert!(lean.to_string().len() < 20_000, "{} bytes", lean.to_string().len());
        assert_eq!(lean["metadata"]["annotations"][PAUSED_ANNOTATION], "true");
        assert_eq!(lean["metadata"]["finalizers"], json!([FINALIZER]));
        assert_eq!(lean["metadata"]["resourceVersion"], "7");
        assert_eq!(lean["status"]["conditions"], Value::Null, "a foreign condition is not kept");
    }
}
