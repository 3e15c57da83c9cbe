//! The conditions for the start of the controller. Each missing one is reported in one sentence with its remedy, and
//! awaited.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use thiserror::Error;
use tracing::{debug, warn};

use crate::api::{KINDS, Kind};
use crate::role::ClusterId;

use super::super::election::LeaseName;
use super::super::index::StoredObject;
use super::super::runtime::innermost;
use super::rbac;

/// A missing condition for the start.
#[derive(Debug, Error)]
pub enum ClusterNotReady {
    /// The API server does not answer, or the answer is not that of an API server.
    #[error(
        "cannot reach the Kubernetes API server at {server}: {cause}. Check that it runs and that KUBECONFIG names the right cluster"
    )]
    Server {
        /// URL of the API server.
        server: String,
        /// The innermost cause.
        cause: String,
    },
    /// The API server does not recognize the credentials.
    #[error(
        "the Kubernetes API server at {server} does not accept the controller's credentials. Check the user in KUBECONFIG, or the pod's service account"
    )]
    Identity {
        /// URL of the API server.
        server: String,
    },
    /// RBAC denies a needed permission.
    #[error(
        "the Kubernetes API server at {server} does not allow what the controller needs: {cause}. Apply deploy/rbac and bind its roles to the controller's user; without the right to get the namespace kube-system, set --cluster-id"
    )]
    Permission {
        /// URL of the API server.
        server: String,
        /// The API server's message.
        cause: String,
    },
    /// The CRD is not installed.
    #[error(
        "the cluster at {server} does not know the resource {kind}. Install it: streamrole crd | kubectl apply --server-side -f -"
    )]
    Crd {
        /// URL of the API server.
        server: String,
        /// The kind.
        kind: &'static str,
    },
}

/// Waits until [`look_at_cluster`] finds no problem, and returns the cluster's identity. Logs each problem, and retries
/// with pauses that grow to 30 s.
///
/// # Errors
/// None in practice: it waits indefinitely, and the caller bounds it.
pub async fn wait_for_cluster(
    client: &Client,
    server: &str,
    namespaces: &[String],
    lease: Option<&LeaseName>,
    identity: Option<&ClusterId>,
) -> Result<ClusterId, ClusterNotReady> {
    let patiently =
        ExponentialBuilder::default().with_max_delay(Duration::from_secs(30)).without_max_times();
    let mut said = String::new();
    let cluster = (|| look_at_cluster(client, server, namespaces, lease, identity))
        .retry(patiently)
        .notify(|missing, _| {
            let missing = missing.to_string();
            if said != missing {
                warn!("{missing}. Retrying");
                said = missing;
            }
        })
        .await?;
    for right in denied_but_not_needed(client, namespaces).await {
        warn!(
            "the controller may not {right}. Events are not recorded; apply deploy/rbac to enable them"
        );
    }
    Ok(cluster)
}

/// The missing permissions, for messages, without which the controller works but reports less.
pub async fn denied_but_not_needed(client: &Client, namespaces: &[String]) -> Vec<String> {
    denied_in(client, &rbac::wanted(), namespaces).await
}

/// Checks that `server` is reachable, serves the resource, and permits it in all `watched` namespaces (every namespace
/// when empty), or at least in one of several, and checks the lease if there is one. Returns the cluster's identity.
///
/// # Errors
/// The first problem.
pub async fn look_at_cluster(
    client: &Client,
    server: &str,
    watched: &[String],
    lease: Option<&LeaseName>,
    identity: Option<&ClusterId>,
) -> Result<ClusterId, ClusterNotReady> {
    let mut allowed = watched.to_vec();
    for kind in KINDS {
        allowed = look_at_kind(client, server, kind, &allowed).await?;
    }
    let missing = |error: kube::Error| missing(server, "Namespace", error);
    let identity = match identity {
        Some(given) => given.clone(),
        None => identity_of(client).await.map_err(missing)?,
    };
    let mut denied = denied_in(client, &rbac::needed(&KINDS), &allowed).await;
    if let Some(LeaseName { namespace, name }) = lease {
        let namespace = std::slice::from_ref(namespace);
        denied.extend(denied_in(client, &rbac::for_lease(name), namespace).await);
    }
    if !denied.is_empty() {
        let cause = format!("it may not {}", denied.join(", nor "));
        return Err(ClusterNotReady::Permission { server: server.to_owned(), cause });
    }
    Ok(identity)
}

/// Checks that the API server serves and permits the kind. Returns the namespaces in which it does.
async fn look_at_kind(
    client: &Client,
    server: &str,
    kind: &'static Kind,
    watched: &[String],
) -> Result<Vec<String>, ClusterNotReady> {
    let missing = |error: kube::Error| missing(server, kind.name, error);
    let one = ListParams::default().limit(1);
    if watched.is_empty() {
        let resources: Api<StoredObject> = Api::all_with(client.clone(), &kind);
        resources.list_metadata(&one).await.map_err(missing)?;
    }
    let mut allowed = Vec::new();
    let mut refusal = None;
    for namespace in watched {
        let resources: Api<StoredObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        match resources.list_metadata(&one).await {
            Ok(_) => allowed.push(namespace.clone()),
            Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                refusal = Some(kube::Error::Api(answer));
            }
            Err(error) => return Err(missing(error)),
        }
    }
    match refusal {
        Some(refusal) if allowed.is_empty() => Err(missing(refusal)),
        Some(_) | None => Ok(allowed),
    }
}

async fn identity_of(client: &Client) -> kube::Result<ClusterId> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = namespaces.get_metadata("kube-system").await?;
    Ok(ClusterId::of_uid(system.metadata.uid.unwrap_or_default()))
}

/// The permissions of `rules` that the API server denies in `namespaces` (all when empty), for messages.
async fn denied_in(client: &Client, rules: &[PolicyRule], namespaces: &[String]) -> Vec<String> {
    let everywhere = [String::new()];
    let namespaces = if namespaces.is_empty() { everywhere.as_slice() } else { namespaces };
    let mut denied = Vec::new();
    for right in rules.iter().flat_map(rights) {
        for namespace in namespaces {
            // Namespaces themselves are not namespaced.
            let namespace = (right.resource.as_deref() != Some("namespaces")).then_some(namespace);
            let asked = ResourceAttributes { namespace: namespace.cloned(), ..right.clone() };
            if is_denied(client, &asked).await {
                denied.push(in_words(&asked));
            }
        }
    }
    denied.dedup();
    denied
}

/// Each single permission of the rule: every verb on every resource of every group, for every name if it has names.
fn rights(rule: &PolicyRule) -> Vec<ResourceAttributes> {
    let names: Vec<_> = match rule.resource_names.as_deref() {
        None | Some([]) => vec![None],
        Some(names) => names.iter().cloned().map(Some).collect(),
    };
    let mut rights = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for full in rule.resources.iter().flatten() {
            let (resource, subresource) = match full.split_once('/') {
                Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
                None => (full.as_str(), None),
            };
            for name in &names {
                rights.extend(rule.verbs.iter().map(|verb| ResourceAttributes {
                    group: Some(group.clone()),
                    name: name.clone(),
                    resource: Some(resource.to_owned()),
                    subresource: subresource.clone(),
                    verb: Some(verb.clone()),
                    ..ResourceAttributes::default()
                }));
            }
        }
    }
    rights
}

/// A failed review counts as a permission: the call itself will show it otherwise.
async fn is_denied(client: &Client, right: &ResourceAttributes) -> bool {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(right.clone()),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    match reviews.create(&PostParams::default(), &review).await {
        Ok(answer) => answer.status.is_some_and(|status| !status.allowed),
        Err(error) => {
            debug!("the API server does not tell what the controller may do: {error}");
            false
        }
    }
}

/// As in "watch events.events.k8s.io in all namespaces".
fn in_words(right: &ResourceAttributes) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let resource = match &right.subresource {
        Some(subresource) => format!("{}/{subresource}", text(&right.resource)),
        None => text(&right.resource),
    };
    let group = right.group.as_ref().filter(|group| !group.is_empty());
    let group = group.map(|group| format!(".{group}")).unwrap_or_default();
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    let place = match right.namespace.as_deref() {
        None => String::new(),
        Some("") => " in all namespaces".into(),
        Some(namespace) => format!(" in namespace {namespace}"),
    };
    format!("{} {resource}{group}{name}{place}", text(&right.verb))
}

fn missing(server: &str, kind: &'static str, error: kube::Error) -> ClusterNotReady {
    let server = server.to_owned();
    match error {
        kube::Error::Api(answer) => match answer.code {
            401 => ClusterNotReady::Identity { server },
            403 => ClusterNotReady::Permission { server, cause: answer.message },
            404 => ClusterNotReady::Crd { server, kind },
            _ => ClusterNotReady::Server { server, cause: answer.message },
        },
        other => ClusterNotReady::Server { server, cause: innermost(&other) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preflight_covers_every_group_resource_name_and_verb_of_a_rule() {
        let list = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        let mut rule = PolicyRule {
            api_groups: list(&["a.example", "b.example"]),
            resources: list(&["roles", "roles/status"]),
            resource_names: list(&["x", "y"]),
            verbs: vec!["get".into(), "patch".into()],
            ..PolicyRule::default()
        };
        let asked = |rule: &PolicyRule| rights(rule).iter().map(in_words).collect::<Vec<_>>();
        let expected = [
            "get roles.a.example x",
            "patch roles.a.example x",
            "get roles.a.example y",
            "patch roles.a.example y",
            "get roles/status.a.example x",
            "patch roles/status.a.example x",
            "get roles/status.a.example y",
            "patch roles/status.a.example y",
            "get roles.b.example x",
            "patch roles.b.example x",
            "get roles.b.example y",
            "patch roles.b.example y",
            "get roles/status.b.example x",
            "patch roles/status.b.example x",
            "get roles/status.b.example y",
            "patch roles/status.b.example y",
        ];
        assert_eq!(asked(&rule), expected);

        // No name means any.
        rule.resource_names = None;
        assert_eq!(asked(&rule).len(), 8);
    }
}
