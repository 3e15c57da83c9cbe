//! The kinds that the program serves: one entry each.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::crd::crd;
use super::kind::{Kind, read};
use super::resource::RoleResource;
use super::sources;
use super::v1alpha1::{
    EVENT_STREAM_ROLE_RULES, EventStreamRole, EventStreamRoleSpec, PinpointEventStreamRole,
    PinpointEventStreamRoleSpec,
};

/// Every kind that the program serves.
pub static KINDS: [&Kind; 2] = [&PINPOINT_EVENT_STREAM_ROLE, &EVENT_STREAM_ROLE];

static PINPOINT_EVENT_STREAM_ROLE: Kind = Kind {
    name: "PinpointEventStreamRole",
    plural: "pinpointeventstreamroles",
    group: "streamrole.dev",
    version: "v1alpha1",
    crd: crd::<PinpointEventStreamRole>,
    read: read::<PinpointEventStreamRoleSpec>,
};

static EVENT_STREAM_ROLE: Kind = Kind {
    name: "EventStreamRole",
    plural: "eventstreamroles",
    group: "streamrole.dev",
    version: "v1alpha1",
    crd: event_stream_role_crd,
    read: read::<EventStreamRoleSpec>,
};

fn event_stream_role_crd() -> CustomResourceDefinition {
    let mut crd = crd::<EventStreamRole>();
    sources::add_rules(&mut crd, &EVENT_STREAM_ROLE_RULES);
    crd
}

impl Kind {
    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

impl From<PinpointEventStreamRole> for RoleResource {
    fn from(resource: PinpointEventStreamRole) -> Self {
        let PinpointEventStreamRole { metadata, spec, status } = resource;
        Self { kind: &PINPOINT_EVENT_STREAM_ROLE, metadata, spec: Arc::new(spec), status }
    }
}

impl From<EventStreamRole> for RoleResource {
    fn from(resource: EventStreamRole) -> Self {
        let EventStreamRole { metadata, spec, status } = resource;
        Self { kind: &EVENT_STREAM_ROLE, metadata, spec: Arc::new(spec), status }
    }
}
