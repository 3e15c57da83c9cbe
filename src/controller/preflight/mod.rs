//! What must be there before the controller can start, and the rights that it asks for.

mod checks;
mod rbac;

pub use checks::{ClusterNotReady, denied_but_not_needed, look_at_cluster, wait_for_cluster};
pub use rbac::{cluster_role, lease_role};
