//! The parts of an object that are parsed. Labels, owner references, foreign annotations and foreign conditions can be
//! as large as the API server's limit for an object, and one author can write many such objects. The parser skips them
//! in every answer and event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use kube::core::DynamicResourceScope;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::api::{
    ABANDON_ANNOTATION, ConditionType, InvalidSpec, Kind, PAUSED_ANNOTATION,
    RECONCILE_REQUESTED_AT_ANNOTATION, RoleResource, RoleStatus,
};
use crate::policy::readable;

/// The annotations that are kept.
const ANNOTATIONS: [&str; 3] =
    [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION];
/// The longest annotation that is read, and echoed in the status, in characters.
const LONGEST_ANNOTATION: usize = 256;
/// The most finalizers that are read. Ours comes before those of others.
const FINALIZERS: usize = 32;
/// The controller writes only shorter texts to a status; longer ones come from others.
const LONGEST_TEXT: usize = 4096;
const LONGEST_PROBLEM: usize = 1000;
const LONGEST_MESSAGE: usize = 32_768;
const LONGEST_LIST: usize = 128;

/// A resource, or why it does not match the types: an invalid object must not hide all others.
#[derive(Clone, Debug)]
pub(crate) struct StoredObject(pub Result<RoleResource, InvalidObject>);

/// A stored object that does not match the types.
#[derive(Clone, Debug)]
pub(crate) struct InvalidObject {
    /// Its kind.
    pub kind: &'static Kind,
    /// The parsed part of its metadata.
    pub metadata: ObjectMeta,
    /// Where it does not match, and how.
    pub problem: String,
    /// Its status, as far as it can be parsed.
    pub status: Option<RoleStatus>,
}

impl StoredObject {
    /// Its kind.
    pub(crate) const fn kind(&self) -> &'static Kind {
        match &self.0 {
            Ok(resource) => resource.kind,
            Err(invalid) => invalid.kind,
        }
    }
}

impl Resource for StoredObject {
    type DynamicType = &'static Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        RoleResource::kind(kind)
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        RoleResource::group(kind)
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        RoleResource::version(kind)
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        RoleResource::plural(kind)
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(resource) => &resource.metadata,
            Err(invalid) => &invalid.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(resource) => &mut resource.metadata,
            Err(invalid) => &mut invalid.metadata,
        }
    }
}

impl<'de> Deserialize<'de> for StoredObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            kind: String,
            metadata: Metadata,
            #[serde(default)]
            spec: Value,
            #[serde(default)]
            status: Value,
        }
        let Object { kind, metadata, spec, status } = Object::deserialize(deserializer)?;
        let kind =
            Kind::named(&kind).ok_or_else(|| D::Error::custom(format!("unknown kind {kind}")))?;
        Ok(Self::read(kind, metadata.into(), spec, status))
    }
}

impl StoredObject {
    fn read(kind: &'static Kind, metadata: ObjectMeta, spec: Value, status: Value) -> Self {
        // An unreadable status by others counts as none and is written again.
        let status: Option<_> = serde_json::from_value(status).unwrap_or_default();
        let status = status.map(lean_status);
        Self(match (kind.read)(spec) {
            Ok(spec) => Ok(RoleResource { kind, metadata, spec, status }),
            Err(InvalidSpec { path, problem }) => {
                let field = if path.is_empty() { String::new() } else { format!(".{path}") };
                let problem = readable(&format!("spec{field}: {problem}"), LONGEST_PROBLEM);
                Err(InvalidObject { kind, metadata, problem, status })
            }
        })
    }
}

/// Only the metadata: setting and removing a finalizer compares nothing else.
impl Serialize for StoredObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("StoredObject", 1)?;
        object.serialize_field("metadata", self.meta())?;
        object.end()
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

/// The annotations that are kept.
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

/// The first finalizers.
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

/// Others can write a status too. A part that is cut here differs from what the controller would write, so the status
/// is written again.
fn lean_status(mut status: RoleStatus) -> RoleStatus {
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
    use crate::api::testing::{SECOND_KIND, resource};

    #[test]
    fn the_index_keeps_only_the_fields_it_reads() {
        let large = "x".repeat(900_000);
        let foreign = json!({"type": "Foreign", "status": "True", "reason": large, "message": large,
            "lastTransitionTime": "2026-11-23T00:00:00Z"});
        let whole = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": resource(&[]).kind.name,
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
        let read: Result<StoredObject, _> = serde_json::from_str(&whole.to_string());
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        let length = format!("{read:?}").len();
        assert!(length < 25_000, "{length} bytes");
        let annotations = BTreeMap::from([
            (PAUSED_ANNOTATION.to_owned(), "true".to_owned()),
            (RECONCILE_REQUESTED_AT_ANNOTATION.to_owned(), "x".repeat(LONGEST_ANNOTATION)),
        ]);
        assert_eq!(read.meta().annotations.as_ref(), Some(&annotations));
        assert_eq!(read.meta().finalizers, Some(vec![FINALIZER.to_owned()]));
        assert_eq!(read.meta().resource_version.as_deref(), Some("7"));
        let conditions = read.0.ok().and_then(|resource| resource.status).map(|s| s.conditions);
        assert_eq!(conditions, Some(Vec::new()), "a foreign condition is not kept");
    }

    #[test]
    fn an_unreadable_object_keeps_its_metadata() {
        let whole = json!({
            "kind": resource(&[]).kind.name,
            "metadata": {"name": "events", "namespace": "ns", "finalizers": vec![FINALIZER; 1000]},
            "spec": {"destination": {}, "driftPolicy": "Sometimes"},
        });
        let read: Result<StoredObject, _> = serde_json::from_value(whole);
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.meta().name.as_deref(), Some("events"));
        assert_eq!(read.meta().finalizers.as_ref().map(Vec::len), Some(FINALIZERS));
        let problem = read.0.err().map(|invalid| invalid.problem).unwrap_or_default();
        assert!(problem.starts_with("spec.driftPolicy: unknown variant `Sometimes`"), "{problem}");
    }

    #[test]
    fn each_kind_is_parsed_with_its_own_types() {
        let read =
            |spec| StoredObject::read(&SECOND_KIND, ObjectMeta::default(), spec, Value::Null);
        let stream = "arn:aws:firehose:us-east-1:111122223333:deliverystream/s";
        let fits = read(json!({"stream": stream, "roleName": "second"}));
        assert_eq!(fits.kind().name, SECOND_KIND.name);
        let name = fits.0.ok().and_then(|resource| resource.settings().role_name.clone());
        assert_eq!(name.as_deref(), Some("second"));
        let problem = read(json!({"destination": {}})).0.err().map(|invalid| invalid.problem);
        assert_eq!(problem.as_deref(), Some("spec: missing field `stream`"));
    }
}
