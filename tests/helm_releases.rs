//! The definition and the resources through the life of Helm releases: upgrade, rollback, uninstall, a
//! move, a second release. Uses the commands in the documents, Helm 3 and Helm 4, and a separate API server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Stack, eventually};

const CRD: &str = "crd/pinpointeventstreamroles.streamrole.dev";
/// A field that the older version does not have.
const NEWER: &str = "driftPolicy";
const NAMESPACE: &str = "streamrole-system";

/// An API server and one version of Helm.
struct Cluster {
    stack: Stack,
    helm: PathBuf,
    /// The chart of this version, and an older one.
    chart: PathBuf,
    older: PathBuf,
}

async fn output(mut command: Command) -> Result<String, String> {
    let run = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if run.status.success() { Ok(said(&run.stdout)) } else { Err(said(&run.stderr)) }
}

impl Cluster {
    async fn new(helm: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut go = Command::new("go");
        go.args(["tool", "-n", helm]).current_dir(root.join("tests/packages"));
        let helm = output(go).await.unwrap().trim().into();
        let chart = root.join("deploy/helm/streamrole");
        let stack = Stack::start().await.unwrap();
        let older = stack.scratch("older");
        let mut copy = Command::new("cp");
        copy.arg("-R").arg(&chart).arg(&older);
        output(copy).await.unwrap();
        let crd = older.join("files/crds/streamrole.dev_pinpointeventstreamroles.yaml");
        let mut definition: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(&crd).unwrap()).unwrap();
        let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        let fields = schema["properties"]["spec"]["properties"].as_object_mut().unwrap();
        fields.remove(NEWER).expect("the field is there");
        std::fs::write(&crd, definition.to_string()).unwrap();
        Self { stack, helm, chart, older }
    }

    /// Runs Helm in this namespace.
    async fn helm(&self, namespace: &str, arguments: &str, chart: &Path) -> Result<String, String> {
        let mut command = Command::new(&self.helm);
        let chart = chart.to_str().unwrap();
        command.args(arguments.split(' ').map(|word| if word == "CHART" { chart } else { word }));
        command.args(["--namespace", namespace]);
        command.env("KUBECONFIG", self.stack.admin_kubeconfig());
        for (variable, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.stack.scratch("helm").join(folder));
        }
        output(command).await
    }

    async fn succeeds(&self, namespace: &str, arguments: &str) {
        self.with(namespace, arguments, &self.chart).await;
    }

    async fn with(&self, namespace: &str, arguments: &str, chart: &Path) {
        let ran = self.helm(namespace, arguments, chart).await;
        ran.unwrap_or_else(|said| panic!("helm {arguments}: {said}"));
    }

    async fn refused(&self, namespace: &str, arguments: &str, because: &str) {
        let ran = self.helm(namespace, arguments, &self.chart).await;
        let said = ran.expect_err(arguments);
        assert!(said.contains(because), "helm {arguments}: {said}");
    }

    async fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut kubectl = self.stack.kubectl();
        kubectl.args(arguments);
        output(kubectl).await
    }

    async fn get(&self, what: &[&str]) -> Value {
        let json = self.kubectl(&[&["get", "-o", "json"], what].concat()).await;
        serde_json::from_str(&json.unwrap()).unwrap()
    }

    /// Creates a resource as soon as the definition exists.
    async fn declare(&self) {
        self.kubectl(&["wait", "--for=condition=Established", CRD]).await.unwrap();
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples/kinesis.yaml");
        eventually("the resource to be taken", || async {
            self.kubectl(&["apply", "-f", sample]).await
        })
        .await;
    }

    /// Sets the newer field on the resource as soon as its definition has it.
    async fn use_the_newer_field(&self) {
        let patch = json!({"spec": {NEWER: "Report"}}).to_string();
        eventually("the field to be kept", || async {
            self.kubectl(&["patch", "pesr/app-events", "--type=merge", "-p", &patch]).await?;
            if self.field().await == "Report" { Ok(()) } else { Err(String::from("it is not")) }
        })
        .await;
    }

    async fn field(&self) -> Value {
        self.get(&["pesr/app-events"]).await["spec"][NEWER].clone()
    }

    async fn definition_has_the_newer_field(&self) -> bool {
        let crd = self.get(&[CRD]).await;
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        schema["properties"]["spec"]["properties"].get(NEWER).is_some()
    }

    /// Asserts that an uninstall keeps the definition. A definition that is being deleted still exists for some time.
    async fn definition_stays(&self) {
        let definition = self.get(&[CRD]).await;
        assert!(definition["metadata"].get("deletionTimestamp").is_none(), "it is being deleted");
    }

    /// Name and namespace of the release that owns the definition in Helm's view.
    async fn owner(&self) -> [Value; 2] {
        let annotations = &self.get(&[CRD]).await["metadata"]["annotations"];
        ["name", "namespace"]
            .map(|part| annotations[format!("meta.helm.sh/release-{part}")].clone())
    }

    /// Kind and name of every object of these releases, except the definition.
    async fn made_by(&self, release: &str) -> Vec<String> {
        let kinds = "clusterroles,clusterrolebindings,roles,rolebindings,deployments,services,serviceaccounts,networkpolicies,poddisruptionbudgets,validatingadmissionpolicies,validatingadmissionpolicybindings";
        let label = format!("--selector=app.kubernetes.io/instance={release}");
        let made = self.kubectl(&["get", kinds, "-A", "-o", "name", &label]).await.unwrap();
        made.lines().map(Into::into).collect()
    }
}

async fn the_definition_survives(helm: &str) {
    let cluster = Cluster::new(helm).await;
    let older = &cluster.older;
    cluster.with(NAMESPACE, "install streamrole CHART --create-namespace", older).await;
    cluster.declare().await;
    assert!(!cluster.definition_has_the_newer_field().await, "the older one");

    cluster.succeeds(NAMESPACE, "upgrade streamrole CHART").await;
    assert!(cluster.definition_has_the_newer_field().await, "an upgrade brings the newer");
    cluster.use_the_newer_field().await;

    // The rollback that docs/upgrading.md warns about.
    cluster.succeeds(NAMESPACE, "rollback streamrole 1").await;
    assert!(!cluster.definition_has_the_newer_field().await, "a rollback brings the older back");
    eventually("the field to be lost", || async {
        if cluster.field().await.is_null() { Ok(()) } else { Err("it is there") }
    })
    .await;

    // The alternative that it recommends.
    cluster.succeeds(NAMESPACE, "upgrade streamrole CHART").await;
    cluster.use_the_newer_field().await;
    let back = "upgrade streamrole CHART --reset-then-reuse-values --set crds.install=false";
    cluster.with(NAMESPACE, back, older).await;
    assert!(cluster.definition_has_the_newer_field().await, "the newer stays");
    assert_eq!(cluster.field().await, "Report");
    let forward = "upgrade streamrole CHART --reset-then-reuse-values --set crds.install=true";
    cluster.succeeds(NAMESPACE, forward).await;
    cluster.succeeds(NAMESPACE, "rollback streamrole").await;
    assert!(cluster.definition_has_the_newer_field().await, "nor does that rollback touch it");
    cluster.succeeds(NAMESPACE, forward).await;

    cluster.succeeds(NAMESPACE, "uninstall streamrole").await;
    assert_eq!(cluster.made_by("streamrole").await, Vec::<String>::new());
    cluster.definition_stays().await;
    assert_eq!(cluster.field().await, "Report", "the resource stays");

    // Moved to another name and namespace.
    let moved = "install moved CHART --create-namespace";
    cluster.refused("platform", moved, "invalid ownership metadata").await;
    cluster.succeeds("platform", &format!("{moved} --take-ownership")).await;
    assert_eq!(cluster.owner().await, ["moved", "platform"]);
    cluster.succeeds("platform", "upgrade moved CHART").await;
    assert_eq!(cluster.field().await, "Report");
    cluster.succeeds("platform", "uninstall moved").await;
    assert_eq!(cluster.made_by("moved").await, Vec::<String>::new());
    cluster.definition_stays().await;

    // Installed again as before, without management of the definition.
    let without = "install streamrole CHART --set crds.install=false";
    cluster.succeeds(NAMESPACE, without).await;
    assert_eq!(cluster.owner().await, ["moved", "platform"]);
    assert_eq!(cluster.field().await, "Report");
}

async fn a_second_release_lives_beside_the_first(helm: &str) {
    let cluster = Cluster::new(helm).await;
    let first =
        "install streamrole CHART --create-namespace --set controller.watchNamespaces={default}";
    cluster.succeeds(NAMESPACE, first).await;
    cluster.declare().await;
    let there = cluster.made_by("streamrole").await;

    // The objects without a namespace would belong to the first release.
    let same = "install streamrole CHART --create-namespace --set crds.install=false";
    cluster.refused("team", same, "invalid ownership metadata").await;
    let second = "install streamrole-team CHART --create-namespace --set crds.install=false,controller.watchNamespaces={kube-public}";
    cluster.succeeds("team", second).await;
    assert_eq!(cluster.made_by("streamrole").await, there);
    let of_second = cluster.made_by("streamrole-team").await;
    assert_eq!(of_second.len(), there.len());

    cluster.succeeds(NAMESPACE, "uninstall streamrole").await;
    assert_eq!(cluster.made_by("streamrole").await, Vec::<String>::new());
    assert_eq!(cluster.made_by("streamrole-team").await, of_second);
    cluster.definition_stays().await;

    // From then on, the second release manages the definition.
    let take = "upgrade streamrole-team CHART --reset-then-reuse-values --set crds.install=true";
    cluster.refused("team", take, "invalid ownership metadata").await;
    cluster.succeeds("team", &format!("{take} --take-ownership")).await;
    assert_eq!(cluster.owner().await, ["streamrole-team", "team"]);
}

const HELM_3: &str = "helm.sh/helm/v3/cmd/helm";
const HELM_4: &str = "helm.sh/helm/v4/cmd/helm";

#[tokio::test]
async fn the_definition_survives_helm_3() {
    the_definition_survives(HELM_3).await;
}

#[tokio::test]
async fn the_definition_survives_helm_4() {
    the_definition_survives(HELM_4).await;
}

#[tokio::test]
async fn a_second_release_lives_beside_the_first_with_helm_3() {
    a_second_release_lives_beside_the_first(HELM_3).await;
}

#[tokio::test]
async fn a_second_release_lives_beside_the_first_with_helm_4() {
    a_second_release_lives_beside_the_first(HELM_4).await;
}
