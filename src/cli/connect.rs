//! The cluster, the namespaces, the Lease and AWS that `run` uses and `check` checks.

use clap::Args;
use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{Cluster as KubeconfigCluster, Kubeconfig};

use crate::api::CONTROLLER_NAME;
use crate::controller::{ApiServer, LeaseName};
use crate::iam;
use crate::role::ClusterId;
use crate::timing::Timing;

use super::Error;

/// Flags for the cluster, the namespaces and the Lease. The cluster is that of KUBECONFIG, or the one that the process
/// runs in.
#[derive(Args, Debug, Default)]
pub(super) struct Where {
    /// Watch only this namespace; can be repeated. By default, all namespaces are watched.
    #[arg(
        long,
        env = "STREAMROLE_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    pub watch_namespace: Vec<String>,

    /// Identity of the cluster in the tags of its roles. Default: the uid of the namespace kube-system. Set it where
    /// the controller cannot read that namespace, and in a cluster that was restored from another cluster's backup.
    /// Roles tagged with another identity belong to another cluster.
    #[arg(long, env = "STREAMROLE_CLUSTER_ID", value_parser = ClusterId::parse, value_name = "ID")]
    pub cluster_id: Option<ClusterId>,

    /// Elect a leader among the replicas through a Lease; the others are on standby.
    #[arg(long, env = "STREAMROLE_LEADER_ELECTION")]
    pub leader_election: bool,

    /// Name of the Lease.
    #[arg(
        long,
        env = "STREAMROLE_LEASE_NAME",
        default_value = CONTROLLER_NAME,
        value_name = "NAME",
        requires = "leader_election"
    )]
    pub lease_name: String,

    /// Namespace of the Lease. Default: the namespace of the pod or of the kubeconfig's context.
    #[arg(
        long,
        env = "STREAMROLE_LEASE_NAMESPACE",
        value_name = "NAMESPACE",
        requires = "leader_election"
    )]
    pub lease_namespace: Option<String>,
}

/// A configured cluster, whether it answers or not.
pub(super) struct Cluster {
    pub server: ApiServer,
    /// The Lease, if replicas compete for one.
    pub lease: Option<LeaseName>,
}

/// The configured cluster.
pub(super) async fn cluster(place: &Where, timing: &Timing) -> Result<Cluster, Error> {
    let mut config =
        kube::Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    // In a pod there is none: the API server is close.
    if let Some(cluster) = chosen_cluster() {
        let own = cluster.proxy_url.filter(|proxy| !proxy.is_empty());
        let own = own.and_then(|proxy| proxy.parse().ok());
        let environment = PROXY_VARIABLES.map(|name| std::env::var(name).unwrap_or_default());
        config.proxy_url = proxy_for(&config.cluster_url, own, &environment, &Matcher::from_env());
    }
    let lease = place.leader_election.then(|| LeaseName {
        namespace: place
            .lease_namespace
            .clone()
            .unwrap_or_else(|| config.default_namespace.clone()),
        name: place.lease_name.clone(),
    });
    Ok(Cluster { server: ApiServer::new(config, timing.api_timeout), lease })
}

/// The variables that name a proxy for HTTPS.
const PROXY_VARIABLES: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];

/// The cluster of the kubeconfig's current context, if there is one.
fn chosen_cluster() -> Option<KubeconfigCluster> {
    let config = Kubeconfig::read().ok()?;
    let current = config.current_context?;
    let context = config.contexts.into_iter().find(|context| context.name == current)?.context?;
    config.clusters.into_iter().find(|cluster| cluster.name == context.cluster)?.cluster
}

/// The proxy for requests to the API server: the kubeconfig's in any case, otherwise the environment's, as for AWS.
/// kube itself matches `NO_PROXY` with the proxy instead of the server.
fn proxy_for(
    server: &Uri,
    own: Option<Uri>,
    environment: &[String],
    matcher: &Matcher,
) -> Option<Uri> {
    if own.is_some() || server.host().is_some_and(iam::is_on_the_node) {
        return own;
    }
    let intercept = matcher.intercept(server)?;
    // The intercept omits name and password.
    let full = environment.iter().find_map(|value| value.parse::<Uri>().ok());
    let is_same = |full: &Uri| {
        full.scheme() == intercept.uri().scheme() && full.host() == intercept.uri().host()
    };
    Some(full.filter(is_same).unwrap_or_else(|| intercept.uri().clone()))
}

/// Runs `work` to completion.
pub(super) fn on_one_thread<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // An error means that a provider is already installed, which also works.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // One thread: the loop waits for the network, and each further thread needs memory.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(server: &str, own: Option<&str>, https_proxy: &str, no_proxy: &str) -> String {
        let uri = |text: &str| text.parse::<Uri>().unwrap_or_else(|error| panic!("{error}"));
        let matcher = Matcher::builder().https(https_proxy.to_owned()).no(no_proxy.to_owned());
        let environment = [https_proxy.to_owned()];
        proxy_for(&uri(server), own.map(uri), &environment, &matcher.build())
            .map(|proxy| proxy.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn no_proxy_applies_to_the_server_not_the_proxy() {
        let server = "https://api.example:6443";
        let proxy = "http://user:secret@proxy:3128";
        for no_proxy in ["", "proxy", "10.0.0.0/8,"] {
            assert_eq!(asked(server, None, proxy, no_proxy), format!("{proxy}/"), "{no_proxy}");
        }
        for no_proxy in ["api.example", ".example", "x, api.example", "*"] {
            assert_eq!(asked(server, None, proxy, no_proxy), "", "{no_proxy}");
        }
        assert_eq!(asked("https://10.0.0.1", None, proxy, "10.0.0.0/8"), "");
        assert_eq!(asked("https://127.0.0.1:6443", None, proxy, ""), "", "this machine");
        assert_eq!(asked(server, None, "proxy:3128", ""), "http://proxy:3128/");
        assert_eq!(asked(server, None, "", ""), "");
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_is_used_in_any_case() {
        let own = "socks5://own:1080";
        assert_eq!(asked("https://api.example", Some(own), "http://proxy", "*"), format!("{own}/"));
        assert_eq!(asked("https://127.0.0.1", Some(own), "", ""), format!("{own}/"));
    }
}
