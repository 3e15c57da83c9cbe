//! `streamrole reference`.

use crate::api;

use super::Error;

/// The reference as Markdown, as `docs/reference.md` holds it.
pub(super) fn print() -> Result<(), Error> {
    super::print(&api::reference())
}
