//! `streamrole reference`.

use clap::{Args as ClapArgs, ValueEnum};

use crate::{api, service};

use super::Error;

/// Flags of `streamrole reference`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// The reference to print.
    #[arg(value_enum, default_value = "resources")]
    about: About,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum About {
    /// The fields, rules and conditions of the resources
    Resources,
    /// For each service: the documents of its role, and how to attach the role
    Services,
}

/// Prints the reference as Markdown, as in `docs/`.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    super::print(&match args.about {
        About::Resources => api::reference(),
        About::Services => service::guide(),
    })
}
