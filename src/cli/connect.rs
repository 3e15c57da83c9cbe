//! Which cluster, which namespaces, which Lease and which AWS: what `run` works with and `check` looks at.

use aws_config::SdkConfig;
use clap::Args;

use crate::controller::{self, ApiServer, ClusterId, LeaseName};

use super::Error;

/// Flags that say what the controller works with. The cluster is that of KUBECONFIG, or the one the process runs in.
#[derive(Args, Debug)]
pub(super) struct Where {
    /// Watch this namespace only; can be repeated. Without it, all namespaces are watched.
    #[arg(
        long,
        env = "STREAMROLE_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespace: Vec<String>,

    /// Identity of the cluster, which the roles are tagged with. Without it, the uid of the namespace kube-system: give it
    /// where the controller may not get that namespace, and in a cluster that was restored from another one's backup.
    /// Roles that are tagged with another identity are another cluster's.
    #[arg(long, env = "STREAMROLE_CLUSTER_ID", value_parser = ClusterId::parse, value_name = "ID")]
    pub cluster_id: Option<ClusterId>,

    /// Of several replicas let one work, chosen by a Lease; the others stand by.
    #[arg(long, env = "STREAMROLE_LEADER_ELECTION")]
    pub leader_election: bool,

    /// Name of the Lease.
    #[arg(
        long,
        env = "STREAMROLE_LEASE_NAME",
        default_value = controller::CONTROLLER_NAME,
        value_name = "NAME",
        requires = "leader_election"
    )]
    pub lease_name: String,

    /// Namespace of the Lease. Without it, the one of the pod or of the kubeconfig's context.
    #[arg(
        long,
        env = "STREAMROLE_LEASE_NAMESPACE",
        value_name = "NAMESPACE",
        requires = "leader_election"
    )]
    pub lease_namespace: Option<String>,
}

/// A cluster that is configured, whether it answers or not.
pub(super) struct Cluster {
    pub server: ApiServer,
    /// The Lease, if replicas compete for one.
    pub lease: Option<LeaseName>,
}

/// The cluster that is configured.
pub(super) async fn cluster(place: &Where) -> Result<Cluster, Error> {
    let config =
        kube::Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    let lease = place.leader_election.then(|| LeaseName {
        namespace: place
            .lease_namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone()),
        name: place.lease_name.clone(),
    });
    Ok(Cluster { server: ApiServer::new(config), lease })
}

/// AWS as it is configured, in the way of every AWS SDK.
pub(super) async fn aws() -> Result<SdkConfig, Error> {
    let aws = aws_config::load_from_env().await;
    if aws.region().is_none() {
        return Err(Error::NoRegion);
    }
    Ok(aws)
}

/// Does `work` to its end.
pub(super) fn on_one_thread(work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // One thread: the loop waits for the network, and each thread more would hold memory of its own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
