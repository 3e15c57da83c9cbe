//! The finalizer and the annotations in a resource's metadata.

/// The finalizer that keeps a deleted resource until its role is cleaned up by its deletion policy.
pub const FINALIZER: &str = "streamrole.dev/finalizer";

/// While this annotation is `"true"`, nothing is written to IAM for the resource.
pub const PAUSED_ANNOTATION: &str = "streamrole.dev/paused";

/// While this annotation is `"true"`, the finalizer of a deleted resource is removed without calling IAM. Its role is
/// left unchanged.
pub const ABANDON_ANNOTATION: &str = "streamrole.dev/abandon";

/// A new value of this annotation requests a reconcile now; the status echoes the handled value.
pub const RECONCILE_REQUESTED_AT_ANNOTATION: &str = "streamrole.dev/reconcile-requested-at";

/// Field manager, event reporter, and the default name of the RBAC roles and the Lease in a cluster.
pub const CONTROLLER_NAME: &str = "streamrole";
