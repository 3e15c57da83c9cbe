//! `streamrole rbac`.

use crate::controller;

use super::{Error, print_yaml};

/// The ClusterRole as YAML, as `deploy/rbac/` holds it.
pub(super) fn print() -> Result<(), Error> {
    print_yaml(&controller::cluster_role())
}
