//! `streamrole migrate`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole migrate`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn migrate(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
