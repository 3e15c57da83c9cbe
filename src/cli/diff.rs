//! `streamrole diff`.

use clap::Args as ClapArgs;

use super::{Error, Exit};

/// Flags of `streamrole diff`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {}

/// Does nothing yet.
pub(super) fn diff(_: &Args) -> Result<Exit, Error> {
    Ok(Exit::Nothing)
}
