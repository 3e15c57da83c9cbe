//! `streamrole audit`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole audit`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn audit(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
