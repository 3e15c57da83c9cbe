//! `streamrole explain`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole explain`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn explain(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
