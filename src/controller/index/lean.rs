//! What is read of an object, and no more. Labels, owner references, foreign annotations and foreign conditions can be as
//! large as the API server's limit for an object, and one author can write many of those: they are skipped while the
//! object is parsed, in every answer and event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::api::{
    ABANDON_ANNOTATION, ConditionType, PAUSED_ANNOTATION, PinpointEventStreamRole,
    PinpointEventStreamRoleStatus, RECONCILE_REQUESTED_AT_ANNOTATION,
};
use crate::policy::readable;

/// The annotations that are read.
const ANNOTATIONS: [&str; 3] =
    [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION];
/// How many characters of an annotation are read, and echoed in the status.
const LONGEST_ANNOTATION: usize = 256;
/// How many finalizers are read. Ours is put before those of others.
const FINALIZERS: usize = 32;
/// Longer texts are none of the controller's: what it writes to a status is shorter.
const LONGEST_TEXT: usize = 4096;
const LONGEST_PROBLEM: usize = 1000;
const LONGEST_MESSAGE: usize = 32_768;
const LONGEST_LIST: usize = 128;

/// A resource, or why it does not fit the types: one that does not must not hide all others.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Guarded(pub Result<PinpointEventStreamRole, Unreadable>);

/// A stored object that does not fit the types.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Unreadable {
    /// What is read of its metadata.
    pub metadata: ObjectMeta,
    /// Where it does not fit, and how.
    pub problem: String,
    /// Its status, as far as that fits.
    pub status: Option<PinpointEventStreamRoleStatus>,
}

impl Resource for Guarded {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        PinpointEventStreamRole::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        PinpointEventStreamRole::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        PinpointEventStreamRole::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        PinpointEventStreamRole::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(resource) => &resource.metadata,
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(resource) => &mut resource.metadata,
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

impl<'de> Deserialize<'de> for Guarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Object { metadata, spec, status } = Object::deserialize(deserializer)?;
        let metadata = metadata.into();
        let spec = serde_path_to_error::deserialize(spec);
        // A status that others wrote and that cannot be read is none: it is written again.
        let status: Option<_> = serde_json::from_value(status).unwrap_or_default();
        let status = status.map(lean_status);
        Ok(Self(match spec {
            Ok(spec) => Ok(PinpointEventStreamRole { metadata, spec, status }),
            Err(error) => {
                let problem = format!("spec.{}: {}", error.path(), error.inner());
                Err(Unreadable { metadata, problem: readable(&problem, LONGEST_PROBLEM), status })
            }
        }))
    }
}

/// As the API server would have it, but for what is not read.
impl Serialize for Guarded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(resource) => resource.serialize(serializer),
            Err(unreadable) => unreadable.metadata.serialize(serializer),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default)]
    annotations: Annotations,
    #[serde(default)]
    finalizers: Finalizers,
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        let Metadata { annotations: Annotations(annotations), .. } = read;
        let Finalizers(finalizers) = read.finalizers;
        Self {
            name: read.name,
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            annotations: (!annotations.is_empty()).then_some(annotations),
            finalizers: (!finalizers.is_empty()).then_some(finalizers),
            ..Self::default()
        }
    }
}

/// Those that are read.
#[derive(Default)]
struct Annotations(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("annotations")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Annotations, E> {
                Ok(Annotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
                let mut read = Annotations::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    if ANNOTATIONS.contains(&&*name) {
                        let mut value: String = map.next_value()?;
                        cut(&mut value, LONGEST_ANNOTATION);
                        read.0.insert(name.into_owned(), value);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// The first ones.
#[derive(Default)]
struct Finalizers(Vec<String>);

impl<'de> Deserialize<'de> for Finalizers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;

        impl<'de> Visitor<'de> for Read {
            type Value = Finalizers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("finalizers")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Finalizers, E> {
                Ok(Finalizers::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Finalizers, A::Error> {
                let mut read = Vec::new();
                while read.len() < FINALIZERS {
                    let Some(finalizer) = list.next_element()? else { return Ok(Finalizers(read)) };
                    read.push(finalizer);
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Finalizers(read))
            }
        }

        deserializer.deserialize_any(Read)
    }
}

/// A status can be written by others too. What is cut here then differs from what the controller would write, which
/// leads to its being written again.
fn lean_status(mut status: PinpointEventStreamRoleStatus) -> PinpointEventStreamRoleStatus {
    let is_own = |type_: &str| ConditionType::ALL.iter().any(|own| own.as_str() == type_);
    status.conditions.retain(|condition| is_own(&condition.type_));
    for condition in &mut status.conditions {
        cut(&mut condition.message, LONGEST_MESSAGE);
        cut(&mut condition.reason, LONGEST_ANNOTATION);
    }
    status.conditions.shrink_to_fit();
    status.drift.truncate(LONGEST_LIST);
    for drifted in &mut status.drift {
        cut(&mut drifted.path, LONGEST_TEXT);
        drifted.desired.iter_mut().for_each(|text| cut(text, LONGEST_TEXT));
        drifted.live.iter_mut().for_each(|text| cut(text, LONGEST_TEXT));
    }
    status.drift.shrink_to_fit();
    status.tag_keys.truncate(LONGEST_LIST);
    status.tag_keys.iter_mut().for_each(|key| cut(key, LONGEST_ANNOTATION));
    status.tag_keys.shrink_to_fit();
    let texts = [
        &mut status.reason,
        &mut status.role_name,
        &mut status.role_arn,
        &mut status.role_id,
        &mut status.destination,
        &mut status.last_handled_reconcile_at,
    ];
    texts.into_iter().flatten().for_each(|text| cut(text, LONGEST_TEXT));
    status
}

fn cut(text: &mut String, longest: usize) {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::FINALIZER;

    fn lean_of(whole: &Value) -> Value {
        let read: Result<Guarded, _> = serde_json::from_str(&whole.to_string());
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_value(read).unwrap_or_default()
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
        let lean = lean_of(&whole);
        let at = |path: &str| lean.pointer(path).cloned().unwrap_or_default();
        assert!(lean.to_string().len() < 20_000, "{} bytes", lean.to_string().len());
        assert_eq!(
            at("/metadata/annotations"),
            json!({PAUSED_ANNOTATION: "true", RECONCILE_REQUESTED_AT_ANNOTATION: "x".repeat(LONGEST_ANNOTATION)})
        );
        assert_eq!(at("/metadata/finalizers"), json!([FINALIZER]));
        assert_eq!(at("/metadata/resourceVersion"), json!("7"));
        assert_eq!(at("/status/conditions"), Value::Null, "a foreign condition is not kept");
    }

    #[test]
    fn an_object_that_does_not_fit_the_types_keeps_its_metadata() {
        let whole = json!({
            "metadata": {"name": "events", "namespace": "ns", "finalizers": vec![FINALIZER; 1000]},
            "spec": {"destination": {}, "driftPolicy": "Sometimes"},
        });
        let read: Result<Guarded, _> = serde_json::from_value(whole);
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.meta().name.as_deref(), Some("events"));
        assert_eq!(read.meta().finalizers.as_ref().map(Vec::len), Some(FINALIZERS));
        let problem = read.0.err().map(|unreadable| unreadable.problem).unwrap_or_default();
        assert!(problem.starts_with("spec.driftPolicy: unknown variant `Sometimes`"), "{problem}");
    }
}
