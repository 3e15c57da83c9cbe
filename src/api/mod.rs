//! The resources: their types, the schemas with the rules that the API server enforces, the roles that they declare,
//! and the conditions and reasons of their status. Must not know: the network and the clock.

mod annotations;
mod conditions;
mod crd;
mod declaration;
mod events;
mod json_schema;
mod kind;
mod kinds;
mod manifest;
mod reference;
mod resource;
mod rules;
mod settings;
mod sources;
mod status;
#[cfg(test)]
pub(crate) mod testing;
mod unknown_fields;
mod v1alpha1;

pub use annotations::{
    ABANDON_ANNOTATION, CONTROLLER_NAME, FINALIZER, PAUSED_ANNOTATION,
    RECONCILE_REQUESTED_AT_ANNOTATION,
};
pub use conditions::{ConditionType, Reason, condition, conditions_after};
pub use events::EventReason;
pub use json_schema::json_schema;
pub use kind::{InvalidSpec, Kind, RoleSpec, Spec, SpecError, read};
pub use kinds::KINDS;
pub use manifest::spec_of;
pub use reference::reference;
pub use resource::RoleResource;
pub use settings::RoleSettings;
pub use status::{DriftedField, RoleStatus};
pub use unknown_fields::unknown_fields;
pub use v1alpha1::{
    Destination, EventDestination, EventSource, EventStreamRole, EventStreamRoleSpec,
    PinpointEventStreamRole, PinpointEventStreamRoleSpec, Source,
};
