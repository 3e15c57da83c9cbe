//! `streamrole crd`.

use clap::Args as ClapArgs;

use crate::api::{self, KINDS};

use super::{Error, print_yaml};

/// Flags of `streamrole crd`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Print the resource as a JSON schema instead, for editors and kubeconform.
    #[arg(long)]
    schema: bool,
}

/// Prints the CRDs as YAML, or their JSON schemas, as in `crds/`.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    for (number, kind) in KINDS.into_iter().enumerate() {
        if args.schema {
            super::print(&format!("{:#}\n", api::json_schema(kind)))?;
            continue;
        }
        if number > 0 {
            super::print("---\n")?;
        }
        print_yaml(&(kind.crd)())?;
    }
    Ok(())
}
