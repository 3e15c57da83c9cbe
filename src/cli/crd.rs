//! `streamrole crd`.

use clap::Args as ClapArgs;

use crate::api::{self, KINDS, Kind};

use super::{Error, print_yaml};

/// Flags of `streamrole crd`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Print only this kind. Default: all.
    #[arg(long, value_name = "KIND", value_parser = KINDS.map(|kind| kind.name))]
    kind: Option<String>,

    /// Print the JSON schema of each kind instead, for editors and kubeconform.
    #[arg(long)]
    schema: bool,
}

/// Prints the CRDs as YAML, or their JSON schemas, as in `crds/`.
pub(super) fn print(args: &Args) -> Result<(), Error> {
    let is_meant = |kind: &&Kind| args.kind.as_ref().is_none_or(|name| name == kind.name);
    for (number, kind) in KINDS.into_iter().filter(is_meant).enumerate() {
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
