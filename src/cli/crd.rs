//! `streamrole crd`.

use std::io::Write as _;

use crate::api;

use super::run::Error;

/// The CRD as YAML, as `crds/` holds it.
pub(super) fn print() -> Result<(), Error> {
    let yaml =
        serde_saphyr::to_string(&api::crd()).map_err(|error| Error::Print(error.to_string()))?;
    std::io::stdout().write_all(yaml.as_bytes()).map_err(|error| Error::Print(error.to_string()))
}
