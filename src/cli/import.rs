//! `streamrole import`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole import`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn import(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
