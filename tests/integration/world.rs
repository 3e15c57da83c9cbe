//! What a test needs of the world: a namespace, a proxy in front of IAM, a controller, and words for what a
//! user does and sees.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::{
    ACCOUNT_ID, Controller, ControllerOptions, Guard, IamPolicies, Proxy, Stack, eventually,
    eventually_within, iam_at,
};
use tokio::sync::OnceCell;

pub(crate) const POLICY: &str = "PinpointEventStreamPermissionsPolicy";

pub(crate) const CONTROLLER_POLICY: &str = include_str!("../../deploy/iam/policy.json");
pub(crate) const ADOPTION_POLICY: &str = include_str!("../../deploy/iam/policy-adoption.json");
const TAKE_OVER_POLICY: &str = include_str!("../../deploy/iam/policy-take-over.json");
pub(crate) const BOUNDARY_POLICY: &str = include_str!("../../deploy/iam/policy-boundary.json");

/// The permissions boundary that every role must have under [`BOUNDARY_POLICY`].
pub(crate) const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

/// How the tests call a cluster that is not theirs.
pub(crate) const OTHER_CLUSTER: &str = "another-cluster";

/// Shipped policies, for all roles of the account and the cluster of this uid.
pub(crate) fn shipped(policies: &[&str], cluster: &str) -> IamPolicies {
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

/// The stack that all tests share; the first one starts it.
pub(crate) async fn stack() -> &'static Stack {
    STACK
        .get_or_init(|| async {
            let stack = Stack::start().await.expect("the local stack starts");
            let crd = include_str!("../../crds/streamrole.dev_pinpointeventstreamroles.yaml");
            let rbac = include_str!("../../deploy/rbac/clusterrole.yaml");
            stack.install(crd, rbac).await.expect("the CRD and the ClusterRole are accepted");
            stack
        })
        .await
}

pub(crate) fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_streamrole").into()
}

pub(crate) struct World {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    pub(crate) resources: Api<PinpointEventStreamRole>,
    /// Straight to IAM, past the proxy: what an administrator does out of band.
    pub(crate) iam: aws_sdk_iam::Client,
    pub(crate) proxy: Proxy,
    pub(crate) controller: Option<Controller>,
    resync: &'static str,
}

impl World {
    /// A world without a controller. `test` names it and must be unique. IAM allows what the shipped policies
    /// allow.
    pub(crate) async fn without_controller(test: &str) -> Self {
        Self::under(test, &[CONTROLLER_POLICY, ADOPTION_POLICY, TAKE_OVER_POLICY]).await
    }

    /// A world without a controller whose IAM allows what these policies allow.
    pub(crate) async fn under(test: &str, policies: &[&str]) -> Self {
        let stack = stack().await;
        let client = stack.admin().await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(test.into()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        let cluster = namespaces.get("kube-system").await.unwrap().uid().unwrap();
        let guard = Guard::new(shipped(policies, &cluster), stack.iam_url());
        Self {
            namespace: test.into(),
            resources: Api::namespaced(client.clone(), test),
            client,
            iam: iam_at(stack.iam_url()),
            proxy: Proxy::start(stack.iam_url(), Some(guard)).await.unwrap(),
            controller: None,
            resync: "10m",
        }
    }

    /// A world whose controller resyncs too rarely to matter.
    pub(crate) async fn new(test: &str) -> Self {
        let mut world = Self::without_controller(test).await;
        world.start_controller().await;
        world
    }

    /// A world whose controller looks again every second.
    pub(crate) async fn resyncing(test: &str) -> Self {
        let mut world = Self::resyncing_later(test).await;
        world.start_controller().await;
        world
    }

    /// A world whose controller, once it is started, looks again every second.
    pub(crate) async fn resyncing_later(test: &str) -> Self {
        Self::without_controller(test).await.resyncing_each_second()
    }

    pub(crate) fn resyncing_each_second(self) -> Self {
        Self { resync: "1s", ..self }
    }

    pub(crate) async fn start_controller(&mut self) {
        let options = self.options();
        self.controller = Some(Controller::start(stack().await, &options).unwrap());
    }

    /// How the controller is started.
    pub(crate) fn options(&self) -> ControllerOptions {
        ControllerOptions {
            namespaces: vec![self.namespace.clone()],
            resync: self.resync.into(),
            ..ControllerOptions::new(binary(), self.proxy.url())
        }
    }

    /// A role name that no other test uses.
    pub(crate) fn role(&self, name: &str) -> String {
        format!("{}-{name}", self.namespace)
    }

    pub(crate) fn kinesis_spec(&self, name: &str) -> Value {
        json!({"roleName": self.role(name), "destination": {"kinesisStreamArn": kinesis_arn(name)}})
    }

    /// `kubectl apply --server-side`.
    pub(crate) async fn apply(&self, name: &str, spec: &Value) -> PinpointEventStreamRole {
        self.try_apply(name, spec)
            .await
            .unwrap_or_else(|error| panic!("{name} is accepted: {error}"))
    }

    pub(crate) async fn try_apply(
        &self,
        name: &str,
        spec: &Value,
    ) -> Result<PinpointEventStreamRole, kube::Error> {
        let manifest = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        });
        let params = PatchParams::apply("user").force();
        self.resources.patch(name, &params, &Patch::Apply(manifest)).await
    }

    pub(crate) async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.resources.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.resources.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until the Ready condition has this status and reason for the current generation.
    pub(crate) async fn sees(
        &self,
        name: &str,
        status: &str,
        reason: &str,
    ) -> PinpointEventStreamRole {
        self.says(name, status, reason, "").await
    }

    /// Waits until the Ready condition has this status and reason for the current generation,
    /// and this in its message: what an edit announces has the reason of what may follow.
    pub(crate) async fn says(
        &self,
        name: &str,
        status: &str,
        reason: &str,
        message: &str,
    ) -> PinpointEventStreamRole {
        let wanted = format!("{name} to be Ready={status} with reason {reason} and {message:?}");
        eventually(&wanted, || async {
            let resource = self.resources.get(name).await.map_err(|error| error.to_string())?;
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

    pub(crate) async fn ready(&self, name: &str) -> PinpointEventStreamRole {
        self.sees(name, "True", "Synced").await
    }

    pub(crate) async fn gone(&self, name: &str) {
        eventually(&format!("{name} to be gone"), || async {
            match self.resources.get_opt(name).await {
                Ok(None) => Ok(()),
                Ok(Some(resource)) => {
                    Err(format!("{:?}\nThe controller's log:\n{}", resource.status, self.log()))
                }
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Returns when so many more resyncs have begun.
    pub(crate) async fn resyncs(&self, more: usize) {
        let resyncs =
            || self.proxy.actions().iter().filter(|action| *action == "ListRoles").count();
        let before = resyncs();
        // One a second, and as long again for a busy machine.
        let patience = Duration::from_mins(1) + 2 * Duration::from_secs(more as u64);
        eventually_within(patience, &format!("{more} more resyncs"), || async {
            let seen = resyncs() - before;
            if seen >= more { Ok(()) } else { Err(format!("{seen}\n{}", self.log())) }
        })
        .await;
    }

    pub(crate) fn log(&self) -> String {
        self.controller.as_ref().map(Controller::log).unwrap_or_default()
    }

    /// Waits for an event of this reason on the resource and gives its note.
    pub(crate) async fn event(&self, name: &str, reason: &str) -> String {
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

    pub(crate) async fn role_exists(&self, role: &str) -> bool {
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

    pub(crate) async fn trust_policy(&self, role: &str) -> Value {
        let role = self.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
        decoded(&role.assume_role_policy_document.unwrap())
    }

    pub(crate) async fn permissions_policy(&self, role: &str) -> Option<Value> {
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

    pub(crate) async fn tags(&self, role: &str) -> BTreeMap<String, String> {
        let role = self.iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
        role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect()
    }

    /// How this cluster is named on roles.
    pub(crate) async fn cluster_id(&self) -> String {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.get("kube-system").await.unwrap().uid().unwrap()
    }

    /// A role that somebody else made.
    pub(crate) async fn create_foreign_role(&self, role: &str) {
        self.iam
            .create_role()
            .role_name(role)
            .description("somebody else's")
            .assume_role_policy_document(FOREIGN_TRUST)
            .send()
            .await
            .unwrap();
    }

    /// Something that an administrator writes over the permissions policy out of band.
    pub(crate) async fn tamper(&self, role: &str) {
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

/// Runs kubectl in the namespace and gives what it prints.
pub(crate) async fn kubectl(world: &World, arguments: &[&str]) -> String {
    let mut kubectl = stack().await.kubectl();
    kubectl.args(["-n", &world.namespace]).args(arguments);
    // The proxy in front of IAM runs on this thread, and kubectl may wait for what crosses it.
    let run = tokio::task::spawn_blocking(move || kubectl.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "kubectl {arguments:?}: {said}");
    said.into_owned()
}

/// A policy that no resource declares.
pub(crate) const OTHER_POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListAllMyBuckets","Resource":"*"}}"#;

pub(crate) const FOREIGN_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

pub(crate) fn kinesis_arn(stream: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:111122223333:stream/{stream}")
}

pub(crate) fn ready(resource: &PinpointEventStreamRole) -> Condition {
    condition(resource, "Ready").unwrap_or_else(|| Condition {
        type_: "Ready".into(),
        status: "absent".into(),
        reason: String::new(),
        message: String::new(),
        observed_generation: None,
        last_transition_time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ),
    })
}

pub(crate) fn condition(resource: &PinpointEventStreamRole, type_: &str) -> Option<Condition> {
    resource.status.iter().flat_map(|status| &status.conditions).find(|c| c.type_ == type_).cloned()
}

pub(crate) fn version(resource: &PinpointEventStreamRole) -> String {
    resource.resource_version().unwrap()
}

pub(crate) fn decoded(document: &str) -> Value {
    let text = percent_encoding::percent_decode_str(document).decode_utf8().unwrap();
    serde_json::from_str(&text).unwrap()
}
