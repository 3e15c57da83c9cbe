//! What people and the controller put into a resource's metadata.

/// The finalizer that keeps a resource until its role has been dealt with as its deletion policy says.
pub const FINALIZER: &str = "streamrole.dev/finalizer";

/// While this annotation is `"true"`, nothing is written to IAM for the resource.
pub const PAUSED_ANNOTATION: &str = "streamrole.dev/paused";

/// While this annotation is `"true"`, a resource that is being deleted is let go without a call to IAM, and
/// whatever role it has stays as it is.
pub const ABANDON_ANNOTATION: &str = "streamrole.dev/abandon";

/// Any new value of this annotation asks for a reconcile now; the status echoes the value it handled.
pub const RECONCILE_REQUESTED_AT_ANNOTATION: &str = "streamrole.dev/reconcile-requested-at";

/// Field manager, event reporter, and the default name of roles and Lease in a cluster.
pub const CONTROLLER_NAME: &str = "streamrole";
