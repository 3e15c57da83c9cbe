//! `streamrole completion`.

use clap::{Args as ClapArgs, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Error};

/// Flags of `streamrole completion`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

/// Prints the completion script.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "streamrole", &mut script);
    super::print(&String::from_utf8_lossy(&script))
}
