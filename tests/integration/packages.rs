//! The Helm chart and the Kustomize base, rendered by Helm's and Kustomize's own code (tests/packages, in Go). The API
//! server accepts them, they need no more permissions than the code does, and the binary accepts their arguments.

use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, PodSpec};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use support::eventually;
use tokio::sync::OnceCell;

use support::world::{World, binary, kubectl, stack};

static RENDERED: OnceCell<PathBuf> = OnceCell::const_new();

/// The folder with all rendered packages.
async fn rendered() -> &'static Path {
    let render = || async {
        let folder = stack().await.scratch("packages");
        std::fs::create_dir_all(&folder).unwrap();
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages");
        let mut go = Command::new("go");
        go.args(["run", "."]).arg(&folder).current_dir(packages);
        let run = tokio::task::spawn_blocking(move || go.output()).await.unwrap().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        folder
    };
    RENDERED.get_or_init(render).await
}

async fn documents(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(rendered().await.join(format!("{name}.yaml"))).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// The rendered objects of this kind.
fn of_kind<T: DeserializeOwned>(documents: &[Value], kind: &str) -> Vec<T> {
    let of_kind = documents.iter().filter(|document| document["kind"] == kind);
    of_kind.map(|document| serde_json::from_value(document.clone()).unwrap()).collect()
}

fn deployment(documents: &[Value]) -> Deployment {
    let [deployment] = of_kind(documents, "Deployment").try_into().unwrap();
    deployment
}

/// The controller's pod and, for the chart, the pod of `helm test`.
fn pods(documents: &[Value]) -> Vec<PodSpec> {
    let controller = deployment(documents).spec.unwrap().template.spec;
    let tests: Vec<Pod> = of_kind(documents, "Pod");
    controller.into_iter().chain(tests.into_iter().filter_map(|pod| pod.spec)).collect()
}

/// The arguments of our own container, which precedes the user's additions.
fn arguments(pod: PodSpec) -> Vec<String> {
    pod.containers.into_iter().next().unwrap().args.unwrap()
}

const ALL: [&str; 10] = [
    "helm-default",
    "helm-everything",
    "helm-namespaced",
    "helm-openshift",
    "helm-single",
    "kustomize-base",
    "kustomize-irsa",
    "kustomize-openshift",
    "kustomize-pod-identity",
    "kustomize-monitoring",
];

#[tokio::test]
async fn the_api_server_accepts_both_packages() {
    let world = World::without_controller("packages").await;
    // The kinds of the Prometheus operator.
    for (kind, plural) in
        [("ServiceMonitor", "servicemonitors"), ("PrometheusRule", "prometheusrules")]
    {
        let group = "monitoring.coreos.com";
        let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let crd = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": plural},
                "versions": [{
                    "name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": schema},
                }],
            },
        });
        let crds: Api<CustomResourceDefinition> = Api::all(world.client.clone());
        let name = format!("{plural}.{group}");
        let params = PatchParams::apply("test").force();
        crds.patch(&name, &params, &Patch::Apply(crd)).await.unwrap();
        let established = format!("crd/{name}");
        kubectl(&world, &["wait", "--for=condition=Established", &established]).await;
    }
    for name in ALL {
        let file = rendered().await.join(format!("{name}.yaml"));
        let mut command = stack().await.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", "--dry-run=server"]);
        command.args(["--validate=strict", "-f"]).arg(file);
        let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{name}: {said}");
        assert!(!said.contains("Warning"), "{name}: {said}");
    }
}

#[tokio::test]
async fn the_pods_pass_restricted_pod_security() {
    let world = World::without_controller("pod-security").await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let restricted =
        json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    let patch = Patch::Merge(restricted);
    namespaces.patch("pod-security", &PatchParams::default(), &patch).await.unwrap();
    let api: Api<Pod> = Api::namespaced(world.client.clone(), "pod-security");
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    for name in ALL {
        for spec in pods(&documents(name).await) {
            let mut pod = Pod { spec: Some(spec), ..Pod::default() };
            pod.metadata.name = Some(name.into());
            let allowed = api.create(&dry_run, &pod).await;
            allowed.unwrap_or_else(|error| panic!("{name}: {error}"));

            pod.spec.as_mut().unwrap().containers[0].security_context = None;
            let refused = api.create(&dry_run, &pod).await.expect_err("pod security is enforced");
            assert!(refused.to_string().contains("restricted"), "{refused}");
        }
    }
}

#[tokio::test]
async fn the_binary_accepts_the_arguments_of_both_packages() {
    let [controller, test] = pods(&documents("helm-default").await).try_into().unwrap();
    let [base] = pods(&documents("kustomize-base").await).try_into().unwrap();
    assert_eq!(arguments(controller), arguments(base));
    assert_eq!(arguments(test), ["check", "--leader-election", "--lease-name=streamrole"]);
    for name in ALL {
        for pod in pods(&documents(name).await) {
            let mut arguments = arguments(pod);
            for argument in &mut arguments {
                if argument.starts_with("--listen=") {
                    *argument = "--listen=127.0.0.1:0".into();
                }
            }
            let mut command = Command::new(binary());
            // It gets as far as looking for a cluster.
            command.args(&arguments).env_clear().env("KUBECONFIG", "/nonexistent");
            let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            let said = String::from_utf8_lossy(&run.stderr);
            assert!(
                said.contains("no Kubernetes cluster is configured"),
                "{name}: {arguments:?}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn the_packages_grant_exactly_the_permissions_the_code_needs() {
    let everywhere: ClusterRole =
        serde_saphyr::from_str(include_str!("../../deploy/rbac/clusterrole.yaml")).unwrap();
    let everywhere = everywhere.rules.unwrap();
    let lease: Role = serde_saphyr::from_str(include_str!("../../deploy/rbac/role.yaml")).unwrap();
    let lease = lease.rules.unwrap();
    let of_cluster = |documents: &[Value]| -> Vec<PolicyRule> {
        let roles: Vec<ClusterRole> = of_kind(documents, "ClusterRole");
        let own = roles.into_iter().find(|r| r.metadata.name.as_deref() == Some("streamrole"));
        own.unwrap().rules.unwrap()
    };
    let of_namespace = |documents: &[Value], namespace: &str| -> Vec<PolicyRule> {
        let roles: Vec<Role> = of_kind(documents, "Role");
        let there = |role: &Role| role.metadata.namespace.as_deref() == Some(namespace);
        roles.into_iter().find(there).unwrap().rules.unwrap()
    };
    for name in ["helm-default", "kustomize-base"] {
        let documents = documents(name).await;
        assert_eq!(of_cluster(&documents), everywhere, "{name}");
        assert_eq!(of_namespace(&documents, "streamrole-system"), lease, "{name}");
    }

    let namespaced = documents("helm-namespaced").await;
    assert_eq!(of_namespace(&namespaced, "streamrole-system"), lease);
    for namespace in ["default", "kube-public"] {
        let both = [of_namespace(&namespaced, namespace), of_cluster(&namespaced)].concat();
        let missing: Vec<_> = everywhere.iter().filter(|rule| !both.contains(rule)).collect();
        assert_eq!((both.len(), missing), (everywhere.len(), vec![]), "{namespace}");
    }
}

#[tokio::test]
async fn the_packages_install_the_crds_that_the_code_declares() {
    let declared = [
        include_str!("../../crds/streamrole.dev_eventstreamroles.yaml"),
        include_str!("../../crds/streamrole.dev_pinpointeventstreamroles.yaml"),
    ];
    let declared = declared.map(|crd| {
        let crd: CustomResourceDefinition = serde_saphyr::from_str(crd).unwrap();
        crd.spec
    });
    for name in ["helm-default", "kustomize-base"] {
        let crds: Vec<CustomResourceDefinition> =
            of_kind(&documents(name).await, "CustomResourceDefinition");
        let specs: Vec<_> = crds.into_iter().map(|crd| crd.spec).collect();
        assert_eq!(specs, declared, "{name}");
    }
}

/// The rules of `edit` once these `ClusterRole`s are installed. The controller manager, which the stack does not run,
/// collects them by label.
async fn rules_of_edit(world: &World, installed: &[ClusterRole]) -> Vec<PolicyRule> {
    let cluster_roles: Api<ClusterRole> = Api::all(world.client.clone());
    let edit = cluster_roles.get("edit").await.unwrap();
    let selectors = edit.aggregation_rule.unwrap().cluster_role_selectors.unwrap();
    let there = cluster_roles.list(&ListParams::default()).await.unwrap();
    let selected = there.iter().chain(installed).filter(|role| {
        selectors.iter().any(|selector| {
            let wanted = selector.match_labels.as_ref().unwrap();
            wanted.iter().all(|(key, value)| role.labels().get(key) == Some(value))
        })
    });
    selected.flat_map(|role| role.rules.clone().unwrap_or_default()).collect()
}

/// Permits the user `user` in the namespace what these rules allow.
async fn allow(world: &World, user: &str, rules: Vec<PolicyRule>) {
    let name = &format!("{}-{user}", world.namespace);
    let cluster_roles: Api<ClusterRole> = Api::all(world.client.clone());
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let role = serde_json::from_value(role).unwrap();
    cluster_roles.create(&PostParams::default(), &role).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), &world.namespace);
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    let binding = serde_json::from_value(binding).unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();
}

/// The API server's denial of this request by the user in this namespace; nothing when it permits the request.
async fn refusal(user: &str, namespace: &str, arguments: &[&str]) -> Option<String> {
    let mut kubectl = stack().await.kubectl();
    kubectl.args(["--as", user, "-n", namespace]).args(arguments);
    let run = tokio::task::spawn_blocking(move || kubectl.output()).await.unwrap().unwrap();
    (!run.status.success()).then(|| String::from_utf8_lossy(&run.stderr).into_owned())
}

#[tokio::test]
async fn only_bound_users_are_authors_unless_aggregated_to_edit() {
    let world = World::without_controller("authors").await;
    let manifest = stack().await.scratch("authors.yaml");
    let sample = include_str!("../../deploy/samples/kinesis.yaml");
    std::fs::write(&manifest, sample).unwrap();
    let apply = ["apply", "--dry-run=server", "-f", manifest.to_str().unwrap()];
    let (read, other) = (["get", "pesr"], ["create", "configmap", "c", "--dry-run=server"]);

    for (name, editors_are_authors) in
        [("helm-default", false), ("kustomize-base", false), ("helm-everything", true)]
    {
        let installed: Vec<ClusterRole> = of_kind(&documents(name).await, "ClusterRole");
        let editor = &format!("editor-{name}");
        allow(&world, editor, rules_of_edit(&world, &installed).await).await;
        eventually("the editor to be one", || async {
            refusal(editor, "authors", &other).await.map_or(Ok(()), Err)
        })
        .await;
        assert_eq!(refusal(editor, "authors", &read).await, None, "{name}: editors read it");
        let refused = refusal(editor, "authors", &apply).await;
        assert_eq!(refused.is_none(), editors_are_authors, "{name}: {refused:?}");
        assert!(refused.is_none_or(|said| said.contains("Forbidden")), "{name}");

        // The ClusterRole for bindings is sufficient on its own.
        let author = &format!("author-{name}");
        let of_authors = |role: &ClusterRole| role.name_any() == "streamrole-edit";
        let of_authors = installed.into_iter().find(of_authors).unwrap();
        allow(&world, author, of_authors.rules.unwrap()).await;
        eventually("the author to be one", || async {
            refusal(author, "authors", &apply).await.map_or(Ok(()), Err)
        })
        .await;
        assert_eq!(refusal(author, "authors", &read).await, None, "{name}: authors read it");
        assert!(refusal(author, "default", &apply).await.is_some(), "{name}: elsewhere too");
        assert!(refusal(author, "authors", &other).await.is_some(), "{name}: anything");
    }
}

#[tokio::test]
async fn both_packages_warn_of_a_missing_source_and_guard_the_port() {
    let shipped = include_str!("../../deploy/policies/source-warning.yaml");
    let [policy, binding]: [Value; 2] =
        serde_saphyr::from_multiple(shipped).unwrap().try_into().unwrap();
    for name in ["helm-default", "kustomize-base"] {
        let documents = documents(name).await;
        for expected in [&policy, &binding] {
            let kind = expected["kind"].as_str().unwrap();
            let [found] = of_kind::<Value>(&documents, kind).try_into().unwrap();
            assert_eq!(found["spec"], expected["spec"], "{name}");
            assert_eq!(found["metadata"]["name"], expected["metadata"]["name"], "{name}");
            assert_eq!(found["metadata"].get("namespace"), None, "{name}: {kind}");
        }
        let [guard]: [NetworkPolicy; 1] = of_kind(&documents, "NetworkPolicy").try_into().unwrap();
        let guard = guard.spec.unwrap();
        let pods = deployment(&documents).spec.unwrap().selector;
        assert_eq!(guard.pod_selector.unwrap(), pods, "{name}");
        let expected = json!([{
            "ports": [{"port": "metrics"}],
            "from": [{"namespaceSelector": {"matchLabels": {"streamrole.dev/metrics": "allowed"}}}],
        }]);
        assert_eq!(serde_json::to_value(guard.ingress).unwrap(), expected, "{name}");
    }
    let namespaced = documents("helm-namespaced").await;
    let kind = "ValidatingAdmissionPolicyBinding";
    let [found] = of_kind::<Value>(&namespaced, kind).try_into().unwrap();
    let here = &found["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(here["values"], json!(["default", "kube-public"]));
    let single = documents("helm-single").await;
    for kind in [kind, "ValidatingAdmissionPolicy", "NetworkPolicy", "ClusterRole"] {
        assert_eq!(of_kind::<Value>(&single, kind), Vec::<Value>::new(), "{kind} can be left out");
    }
}
