//! `streamrole rbac`.

use std::io::Write as _;

use crate::controller;

use super::run::Error;

/// The ClusterRole as YAML, as `deploy/rbac/` holds it.
pub(super) fn print() -> Result<(), Error> {
    let yaml = serde_saphyr::to_string(&controller::cluster_role())
        .map_err(|error| Error::Print(error.to_string()))?;
    std::io::stdout().write_all(yaml.as_bytes()).map_err(|error| Error::Print(error.to_string()))
}
