//! `streamrole.dev/v1alpha1`, one file per kind. The next version gets a folder beside this one.

mod pinpoint_event_stream_role;

pub use pinpoint_event_stream_role::{
    Destination, PinpointEventStreamRole, PinpointEventStreamRoleSpec, Source,
};
