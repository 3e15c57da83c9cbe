//! The environment of a test: a namespace, a proxy in front of IAM, a controller, and functions for the actions and
//! observations of a user. Every status that a test waits for or reads here is [checked](check_status).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::redundant_closure_for_method_calls,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use tokio::sync::OnceCell;

use crate::check_status::check_status;
use crate::controller::{Controller, ControllerOptions};
use crate::iam_policy::{Guard, IamPolicies};
use crate::proxy::Proxy;
pub use crate::resources::{condition, kinesis_arn, ready};
use crate::resources::{create_namespace, is_ready, manifest};
use crate::stack::{ACCOUNT_ID, Stack, iam_at};
use crate::wait::{eventually, eventually_within};

/// Name of the permissions policy.
pub const POLICY: &str = "PinpointEventStreamPermissionsPolicy";

/// The shipped policy of the controller.
pub const CONTROLLER_POLICY: &str = include_str!("../../../deploy/iam/policy.json");
/// The shipped policy for adoption.
pub const ADOPTION_POLICY: &str = include_str!("../../../deploy/iam/policy-adoption.json");
const TAKE_OVER_POLICY: &str = include_str!("../../../deploy/iam/policy-take-over.json");
/// The shipped policy that requires a boundary.
pub const BOUNDARY_POLICY: &str = include_str!("../../../deploy/iam/policy-boundary.json");

/// The permissions boundary that every role must have under [`BOUNDARY_POLICY`].
pub const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

/// The identity of another cluster.
pub const OTHER_CLUSTER: &str = "another-cluster";

/// Shipped policies, for all roles of the account and the cluster of this uid.
#[must_use]
pub fn shipped(policies: &[&str], cluster: &str) -> IamPolicies {
    let values = [
        ("partition", "aws"),
        ("account_id", ACCOUNT_ID),
        ("role_prefix", "/"),
        ("cluster_uid", cluster),
        ("other_cluster_uid", OTHER_CLUSTER),
        ("boundary_arn", BOUNDARY),
    ];
    IamPolicies::read(policies, &values).expect("the shipped policies are understood")
}

static STACK: OnceCell<Stack> = OnceCell::const_new();

/// The stack that all tests of this process share; the first test starts it.
pub async fn stack() -> &'static Stack {
    STACK.get_or_init(|| async { Stack::installed().await.expect("the local stack starts") }).await
}

/// The controller's binary. Cargo puts it beside this one or in the folder above.
#[must_use]
pub fn binary() -> PathBuf {
    let here = std::env::current_exe().expect("this program has a path");
    let folders = here.ancestors().skip(1).take(2);
    let mut binaries = folders.map(|folder| folder.join("streamrole"));
    binaries.find(|path| path.is_file()).expect("cargo build --workspace builds the binary")
}

/// A name that no other world of this process has: the given one if it is free.
fn unique(name: &str) -> String {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(|name| taken.insert(name.clone())).expect("there is always another number")
}

/// A namespace, a connection to IAM, and usually a controller.
#[expect(missing_debug_implementations, reason = "a client has none")]
pub struct World {
    /// The namespace.
    pub namespace: String,
    /// A client with all permissions.
    pub client: Client,
    /// The resources of the namespace.
    pub resources: Api<PinpointEventStreamRole>,
    /// A client that bypasses the proxy, for changes by an administrator.
    pub iam: aws_sdk_iam::Client,
    /// The proxy between the controller and IAM.
    pub proxy: Proxy,
    /// The controller, once started.
    pub controller: Option<Controller>,
    upstream: String,
    resync: &'static str,
}

impl World {
    /// A world without a controller. `test` names it. IAM permits what the shipped policies allow.
    pub async fn without_controller(test: &str) -> Self {
        Self::under(test, &[CONTROLLER_POLICY, ADOPTION_POLICY, TAKE_OVER_POLICY]).await
    }

    /// A world without a controller. IAM permits what these policies allow.
    pub async fn under(test: &str, policies: &[&str]) -> Self {
        let stack = stack().await;
        let cluster = crate::cluster_id(&stack.admin().await.unwrap()).await.unwrap();
        let guard = Guard::new(shipped(policies, &cluster), stack.iam_url());
        Self::before(test, stack.iam_url(), Some(guard)).await
    }

    /// A world without a controller, with the IAM at this URL.
    pub async fn before(test: &str, iam_url: &str, guard: Option<Guard>) -> Self {
        let client = stack().await.admin().await.unwrap();
        let namespace = unique(test);
        create_namespace(&client, &namespace).await.unwrap();
        Self {
            resources: Api::namespaced(client.clone(), &namespace),
            namespace,
            client,
            iam: iam_at(iam_url),
            proxy: Proxy::start(iam_url, guard).await.unwrap(),
            controller: None,
            upstream: iam_url.into(),
            resync: "10m",
        }
    }

    /// Permits leader election in the namespace.
    pub async fn with_election(self) -> Self {
        stack().await.allow_election_in(&self.namespace).await.unwrap();
        self
    }

    /// URL of the IAM behind the proxy.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// A world whose controller resyncs too rarely to matter.
    pub async fn new(test: &str) -> Self {
        let mut world = Self::without_controller(test).await;
        world.start_controller().await;
        world
    }

    /// A world whose controller resyncs every second.
    pub async fn resyncing(test: &str) -> Self {
        let mut world = Self::resyncing_later(test).await;
        world.start_controller().await;
        world
    }

    /// A world whose controller, once started, resyncs every second.
    pub async fn resyncing_later(test: &str) -> Self {
        Self::without_controller(test).await.resyncing_each_second()
    }

    /// The same, with a controller that resyncs every second.
    #[must_use]
    pub fn resyncing_each_second(self) -> Self {
        Self { resync: "1s", ..self }
    }

    /// Starts the controller.
    pub async fn start_controller(&mut self) {
        let options = self.options();
        self.controller = Some(Controller::start(stack().await, &options).unwrap());
    }

    /// The options of the controller.
    #[must_use]
    pub fn options(&self) -> ControllerOptions {
        ControllerOptions {
            namespaces: vec![self.namespace.clone()],
            resync: self.resync.into(),
            ..ControllerOptions::new(binary(), self.proxy.url())
        }
    }

    /// A role name that no other test uses.
    #[must_use]
    pub fn role(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    /// A spec with a role and a stream of this name.
    #[must_use]
    pub fn kinesis_spec(&self, name: &str) -> Value {
        json!({"roleName": self.role(name), "destination": {"kinesisStreamArn": kinesis_arn(name)}})
    }

    /// `kubectl apply --server-side`.
    pub async fn apply(&self, name: &str, spec: &Value) -> PinpointEventStreamRole {
        self.try_apply(name, spec)
            .await
            .unwrap_or_else(|error| panic!("{name} is accepted: {error}"))
    }

    /// As [`World::apply`], when the API server can reject it.
    ///
    /// # Errors
    /// When it does.
    pub async fn try_apply(
        &self,
        name: &str,
        spec: &Value,
    ) -> Result<PinpointEventStreamRole, kube::Error> {
        let manifest = manifest(&json!({"name": name, "namespace": self.namespace}), spec);
        let params = PatchParams::apply("user").force();
        self.resources.patch(name, &params, &Patch::Apply(manifest)).await
    }

    /// Annotates the resource.
    pub async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.resources.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Deletes the resource.
    pub async fn delete(&self, name: &str) {
        self.resources.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the Ready condition has this status and reason for the current generation.
    pub async fn sees(&self, name: &str, status: &str, reason: &str) -> PinpointEventStreamRole {
        self.says(name, status, reason, "").await
    }

    /// Waits until the Ready condition has this status and reason for the current generation, and this text in its
    /// message. The text matters because an acknowledged edit already has the reason that can follow.
    pub async fn says(
        &self,
        name: &str,
        status: &str,
        reason: &str,
        message: &str,
    ) -> PinpointEventStreamRole {
        let wanted = format!("{name} to be Ready={status} with reason {reason} and {message:?}");
        eventually(&wanted, || async {
            let resource = self.resources.get(name).await.map_err(|error| error.to_string())?;
            check_status(&resource);
            let ready = ready(&resource);
            let is_current = ready.observed_generation == resource.metadata.generation;
            let is_wanted = ready.status == status && ready.reason == reason;
            if is_current && is_wanted && ready.message.contains(message) {
                Ok(resource)
            } else {
                Err(format!("{:?}\nThe controller's log:\n{}", resource.status, self.log()))
            }
        })
        .await
    }

    /// Waits until the resource is ready for its current generation.
    pub async fn ready(&self, name: &str) -> PinpointEventStreamRole {
        self.sees(name, "True", "Synced").await
    }

    /// Waits until all resources of the namespace are ready for their current generation.
    pub async fn all_ready(&self) {
        eventually_within(Duration::from_mins(2), "all resources to be ready", || async {
            let all = self.resources.list(&ListParams::default()).await;
            let all = all.map_err(|error| error.to_string())?;
            all.iter().for_each(check_status);
            let unready: Vec<_> =
                all.iter().filter(|r| !is_ready(*r)).map(ResourceExt::name_any).collect();
            if unready.is_empty() { Ok(()) } else { Err(format!("{unready:?}\n{}", self.log())) }
        })
        .await;
    }

    /// Waits until the resource does not exist.
    pub async fn gone(&self, name: &str) {
        eventually(&format!("{name} to be gone"), || async {
            match self.resources.get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(resource)) => {
                    check_status(&resource);
                    Err(format!("{:?}\nThe controller's log:\n{}", resource.status, self.log()))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Returns after this number of further resyncs has started.
    pub async fn resyncs(&self, more: usize) {
        let resyncs =
            || self.proxy.actions().iter().filter(|action| *action == "ListRoles").count();
        let before = resyncs();
        // One per second, and the same again for a busy machine.
        let patience = Duration::from_mins(1) + 2 * Duration::from_secs(more as u64);
        eventually_within(patience, &format!("{more} more resyncs"), || async {
            let seen = resyncs() - before;
            if seen >= more { Ok(()) } else { Err(format!("{seen}\n{}", self.log())) }
        })
        .await;
    }

    /// The controller's log.
    pub fn log(&self) -> String {
        self.controller.as_ref().map(Controller::log).unwrap_or_default()
    }

    /// Waits for an event with this reason on the resource and returns its note.
    pub async fn event(&self, name: &str, reason: &str) -> String {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        eventually(&format!("an event {reason} on {name}"), || async {
            let all =
                events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            let seen: Vec<_> = all
                .iter()
                .filter(|event| {
                    event.regarding.as_ref().is_some_and(|r| r.name.as_deref() == Some(name))
                })
                .collect();
            let found = seen.iter().find(|event| event.reason.as_deref() == Some(reason));
            let note = found.map(|event| event.note.clone().unwrap_or_default());
            let reasons: Vec<_> = seen.iter().map(|event| &event.reason).collect();
            note.ok_or_else(|| format!("{reasons:?}\nThe controller's log:\n{}", self.log()))
        })
        .await
    }

    /// Whether IAM has this role.
    pub async fn role_exists(&self, role: &str) -> bool {
        match self.iam.get_role().role_name(role).send().await {
            Ok(_) => true,
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_no_such_entity_exception()) =>
            {
                false
            }
            Err(error) => panic!("GetRole {role}: {error:?}"),
        }
    }

    /// The trust policy of the role.
    pub async fn trust_policy(&self, role: &str) -> Value {
        let role = self.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
        decoded(&role.assume_role_policy_document.unwrap())
    }

    /// The permissions policy of the role.
    pub async fn permissions_policy(&self, role: &str) -> Option<Value> {
        let get = self.iam.get_role_policy().role_name(role).policy_name(POLICY).send().await;
        match get {
            Ok(output) => Some(decoded(&output.policy_document)),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_no_such_entity_exception()) =>
            {
                None
            }
            Err(error) => panic!("GetRolePolicy {role}: {error:?}"),
        }
    }

    /// The tags of the role.
    pub async fn tags(&self, role: &str) -> BTreeMap<String, String> {
        let role = self.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
        role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect()
    }

    /// The identity of this cluster on roles.
    pub async fn cluster_id(&self) -> String {
        crate::cluster_id(&self.client).await.unwrap()
    }

    /// Creates a role that no resource owns.
    pub async fn create_foreign_role(&self, role: &str) {
        self.iam
            .create_role()
            .role_name(role)
            .description("someone else's")
            .assume_role_policy_document(FOREIGN_TRUST)
            .send()
            .await
            .unwrap();
    }

    /// Overwrites the permissions policy as an administrator.
    pub async fn tamper(&self, role: &str) {
        let wide = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kinesis:*", "Resource": "*"}]});
        self.iam
            .put_role_policy()
            .role_name(role)
            .policy_name(POLICY)
            .policy_document(wide.to_string())
            .send()
            .await
            .unwrap();
    }
}

/// Runs kubectl in the namespace and returns its output.
pub async fn kubectl(world: &World, arguments: &[&str]) -> String {
    let mut kubectl = stack().await.kubectl();
    kubectl.args(["-n", &world.namespace]).args(arguments);
    // The proxy in front of IAM runs on this thread, and kubectl can wait for a call through it.
    let run = tokio::task::spawn_blocking(move || kubectl.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "kubectl {arguments:?}: {said}");
    said.into_owned()
}

/// A policy that no resource declares.
pub const OTHER_POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}}"#;

/// A trust policy that no resource declares.
pub const FOREIGN_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

/// The resource version.
#[must_use]
pub fn version(resource: &PinpointEventStreamRole) -> String {
    resource.resource_version().unwrap()
}

/// A document from IAM's answer.
#[must_use]
pub fn decoded(document: &str) -> Value {
    let text = percent_encoding::percent_decode_str(document).decode_utf8().unwrap();
    serde_json::from_str(&text).unwrap()
}
