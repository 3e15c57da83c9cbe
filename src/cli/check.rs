//! `streamrole check`.

use std::sync::Arc;

use clap::Args as ClapArgs;

use crate::controller;
use crate::iam::{Aws, Iam};
use crate::role::{ErrorKind, Roles as _};
use crate::timing::Timing;

use super::connect::{self, Cluster, Where};
use super::{Error, print};

/// Flags of `streamrole check`: the flags of `streamrole run` for the cluster, the namespaces and the Lease.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,
}

/// Reports what a controller with these flags would find, and changes nothing. Ends at the first problem.
pub(super) fn check(args: &Args) -> Result<(), Error> {
    connect::on_one_thread(look(&args.place))
}

async fn look(place: &Where) -> Result<(), Error> {
    let namespaces = &place.watch_namespace;
    let Cluster { server, lease } = connect::cluster(place, &Timing::default()).await?;
    let client = server.client().map_err(|error| Error::NoCluster(error.to_string()))?;
    let server = server.url();
    let identity = place.cluster_id.as_ref();
    controller::look_at_cluster(&client, server, namespaces, lease.as_ref(), identity).await?;
    print(&format!("Cluster {server}: CRDs installed, permissions sufficient.\n"))?;
    for right in controller::denied_but_not_needed(&client, namespaces).await {
        print(&format!("Warning: missing permission to {right}; events are not recorded.\n"))?;
    }

    let aws = Aws::from_environment().await?;
    aws.look_for_credentials().await?;
    let iam = Iam::new(&aws, Arc::new(|_| {}), Arc::new(|| true), &Timing::default());
    match iam.settings_page(None).await {
        Ok(_) => print("AWS: credentials accepted.\n"),
        Err(error) if error.kind == ErrorKind::AccessDenied => print(&format!(
            "AWS: credentials accepted, but a resync takes four calls per role: {error}.\n"
        )),
        Err(error) => Err(error.into()),
    }
}
