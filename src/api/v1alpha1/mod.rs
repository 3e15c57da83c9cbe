//! `streamrole.dev/v1alpha1`, one file per kind. The next version gets a folder beside this one.

mod event_stream_role;
mod pinpoint_event_stream_role;

pub(super) use event_stream_role::RULES as EVENT_STREAM_ROLE_RULES;
pub use event_stream_role::{EventDestination, EventSource, EventStreamRole, EventStreamRoleSpec};
pub use pinpoint_event_stream_role::{
    Destination, PinpointEventStreamRole, PinpointEventStreamRoleSpec, Source,
};
