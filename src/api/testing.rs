//! Resources for unit tests: one of the first kind, and one of a kind that only exists in tests.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use serde::Deserialize;
use serde_json::{Value, json};

use crate::policy::{AccountId, Region};
use crate::service::{DestinationArn, DestinationKind, EventStream, PINPOINT, Source};

use super::kind::{Kind, RoleSpec, SpecError, at, read};
use super::resource::RoleResource;
use super::settings::RoleSettings;
use super::{FINALIZER, PinpointEventStreamRole};

/// A settled resource. `changes` replaces the value at each of these JSON pointers.
pub(crate) fn resource(changes: &[(&str, Value)]) -> RoleResource {
    let mut whole = json!({
        "apiVersion": "streamrole.dev/v1alpha1",
        "kind": "PinpointEventStreamRole",
        "metadata": {
            "name": "events", "namespace": "ns", "uid": "u1", "generation": 2,
            "finalizers": [FINALIZER], "annotations": {},
        },
        "spec": {"destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/s"}},
        "status": {
            "observedGeneration": 2,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Synced", "message": "",
                "lastTransitionTime": "2026-11-23T00:00:00Z", "observedGeneration": 2,
            }],
        },
    });
    for (path, value) in changes {
        let (parent, field) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(parent) = whole.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.insert((*field).to_owned(), value.clone());
        }
    }
    let resource: PinpointEventStreamRole =
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"));
    resource.into()
}

/// A kind with another spec, as a further service would have.
pub(crate) static SECOND_KIND: Kind = Kind {
    name: "SecondRole",
    plural: "secondroles",
    group: "streamrole.dev",
    version: "v1alpha1",
    crd: super::crd::crd::<PinpointEventStreamRole>,
    read: read::<SecondSpec>,
};

#[derive(Debug, Deserialize)]
struct SecondSpec {
    #[serde(flatten)]
    settings: RoleSettings,
    stream: String,
}

impl RoleSpec for SecondSpec {
    fn settings(&self) -> &RoleSettings {
        &self.settings
    }

    fn policy_name(&self) -> &'static str {
        PINPOINT.policy_name
    }

    fn stream(&self) -> Result<EventStream, SpecError> {
        let stream =
            DestinationArn::parse(DestinationKind::Firehose, &self.stream).map_err(at("stream"))?;
        let source = Source {
            account: AccountId::parse("111122223333").map_err(at("stream"))?,
            region: Region::parse("us-east-1").map_err(at("stream"))?,
            name: None,
        };
        Ok(EventStream::new(&PINPOINT, Some(source), stream, None)?)
    }
}

/// The same resource as [`resource`] builds without changes, but of the second kind.
pub(crate) fn second() -> RoleResource {
    let spec = json!({"stream": "arn:aws:firehose:us-east-1:111122223333:deliverystream/s"});
    let spec = (SECOND_KIND.read)(spec).unwrap_or_else(|error| panic!("{error:?}"));
    RoleResource { kind: &SECOND_KIND, spec, ..resource(&[]) }
}
