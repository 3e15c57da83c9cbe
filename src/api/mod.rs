//! The custom resource: its types, the schema with the rules that the API server enforces, and the
//! conditions and reasons that its status speaks in. Nothing here knows IAM, the network or a clock;
//! the next version of the resource is a new file beside `v1alpha1`, not a rewrite.

mod conditions;
mod json_schema;
mod reference;
mod rules;
mod v1alpha1;

pub use conditions::{ConditionType, Reason, condition, conditions_after};
pub use json_schema::json_schema;
pub use reference::reference;
pub use v1alpha1::{
    ABANDON_ANNOTATION, AdoptionPolicy, DeletionPolicy, Destination, DriftPolicy, DriftedField,
    FINALIZER, PAUSED_ANNOTATION, PinpointEventStreamRole, PinpointEventStreamRoleSpec,
    PinpointEventStreamRoleStatus, RECONCILE_REQUESTED_AT_ANNOTATION, Source, crd,
};
