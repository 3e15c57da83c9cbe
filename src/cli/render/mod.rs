//! `streamrole render`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole render`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn render(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
