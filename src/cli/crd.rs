//! `streamrole crd`.

use crate::api;

use super::{Error, print_yaml};

/// The CRD as YAML, as `crds/` holds it.
pub(super) fn print() -> Result<(), Error> {
    print_yaml(&api::crd())
}
