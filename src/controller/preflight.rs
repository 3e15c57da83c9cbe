//! What must be there before the loop can start, each missing thing said in one sentence with its remedy
//! and waited for.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client};
use thiserror::Error;
use tracing::warn;

use crate::api::PinpointEventStreamRole;

/// Identity of a cluster: uid of its `kube-system` namespace, which lives as long as the cluster does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterId(String);

impl ClusterId {
    /// The uid.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keeps the controller from starting.
#[derive(Debug, Error)]
pub enum ClusterNotReady {
    /// The API server does not answer, or not as one.
    #[error(
        "cannot reach the Kubernetes API server at {server}: {cause}. Check that it runs and that KUBECONFIG names the right cluster"
    )]
    Server {
        /// URL of the API server.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// The API server does not know who we are.
    #[error(
        "the Kubernetes API server at {server} does not accept the controller's credentials. Check the user in KUBECONFIG, or the pod's service account"
    )]
    Identity {
        /// URL of the API server.
        server: String,
    },
    /// RBAC denies something that is needed.
    #[error(
        "the Kubernetes API server at {server} does not allow what the controller needs: {cause}. Apply deploy/rbac and bind its ClusterRole to the controller's user"
    )]
    Permission {
        /// URL of the API server.
        server: String,
        /// The API server's own words.
        cause: String,
    },
    /// The CRD is not installed.
    #[error(
        "the cluster at {server} does not know the resource PinpointEventStreamRole. Install it: streamrole crd | kubectl apply --server-side -f -"
    )]
    Crd {
        /// URL of the API server.
        server: String,
    },
}

/// Waits until `server` can be reached and knows and allows the resource in `namespaces` (all when empty),
/// and returns the cluster's identity. Says on the log what is missing, with pauses that grow to 30 s.
///
/// # Errors
/// None in practice: it waits as long as it takes, and the caller bounds it.
pub async fn wait_for_cluster(
    client: &Client,
    server: &str,
    namespaces: &[String],
) -> Result<ClusterId, ClusterNotReady> {
    let patiently =
        ExponentialBuilder::default().with_max_delay(Duration::from_secs(30)).without_max_times();
    (|| look(client, server, namespaces))
        .retry(patiently)
        .notify(|missing, pause| warn!("{missing}. Trying again in {pause:.0?}"))
        .await
}

async fn look(
    client: &Client,
    server: &str,
    namespaces: &[String],
) -> Result<ClusterId, ClusterNotReady> {
    let missing = |error: kube::Error| missing(server, error);
    let one = ListParams::default().limit(1);
    if namespaces.is_empty() {
        let resources: Api<PinpointEventStreamRole> = Api::all(client.clone());
        resources.list_metadata(&one).await.map_err(missing)?;
    }
    for namespace in namespaces {
        let resources: Api<PinpointEventStreamRole> = Api::namespaced(client.clone(), namespace);
        resources.list_metadata(&one).await.map_err(missing)?;
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = namespaces.get_metadata("kube-system").await.map_err(missing)?;
    Ok(ClusterId(system.metadata.uid.unwrap_or_default()))
}

fn missing(server: &str, error: kube::Error) -> ClusterNotReady {
    let server = server.to_owned();
    match error {
        kube::Error::Api(answer) => match answer.code {
            401 => ClusterNotReady::Identity { server },
            403 => ClusterNotReady::Permission { server, cause: answer.message },
            404 => ClusterNotReady::Crd { server },
            _ => ClusterNotReady::Server { server, cause: answer.message },
        },
        other => ClusterNotReady::Server { server, cause: innermost(&other) },
    }
}

/// The last cause is what a reader can act on: "connection refused" rather than "client error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
