//! `streamrole reference`.

use crate::api;

use super::Error;

/// Prints the reference as Markdown, as in `docs/reference.md`.
pub(super) fn print() -> Result<(), Error> {
    super::print(&api::reference())
}
