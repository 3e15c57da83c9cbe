//! `streamrole man`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, CommandFactory as _};

use super::{Cli, Error};

/// Flags of `streamrole man`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// An existing folder for the pages, one for each command.
    folder: PathBuf,
}

/// Writes the pages.
pub(super) fn write(args: &Args) -> Result<(), Error> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command, &args.folder).map_err(|error| {
        Error::Input(format!("cannot write to {}: {error}", args.folder.display()))
    })
}
