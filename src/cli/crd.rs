//! `streamrole crd`.

use clap::Args as ClapArgs;

use crate::api;

use super::{Error, print_yaml};

/// Flags of `streamrole crd`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Print the resource as a JSON schema instead, for editors and kubeconform.
    #[arg(long)]
    schema: bool,
}

/// The CRD as YAML, or its JSON schema, as `crds/` holds them.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    if args.schema {
        return super::print(&format!("{:#}\n", api::json_schema()));
    }
    print_yaml(&api::crd())
}
