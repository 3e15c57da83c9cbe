//! The conditions for the start of the controller, and its permissions in the cluster.

mod checks;
mod rbac;

pub use checks::{ClusterNotReady, denied_but_not_needed, look_at_cluster, wait_for_cluster};
pub use rbac::{cluster_role, lease_role};
