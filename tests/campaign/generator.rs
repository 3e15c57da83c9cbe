//! Performs the script against Kubernetes and IAM, and records the time of each write.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Instant;

use futures::{StreamExt as _, stream};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use streamrole::service::PINPOINT;
use support::world::FOREIGN_TRUST;
use support::{Account, Role, eventually, manifest};

use crate::Field;
use crate::script::{Operation, Script, Tampering};
use crate::slots::{Kind, SLOTS, kind, name, namespace, role_name};

const OTHER_POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

pub(crate) struct Generator {
    script: Script,
    client: Client,
    /// Slots whose last resource may still be in deletion.
    going: HashSet<usize>,
    /// Specs to apply once the last resource of the slot is deleted.
    waiting: BTreeMap<usize, Value>,
    /// The write time of each generation, by uid and number.
    written: HashMap<(String, i64), Instant>,
    deleted: HashSet<String>,
    operations: BTreeMap<&'static str, usize>,
    log: Vec<String>,
}

impl Generator {
    pub(crate) async fn new(seed: u64, field: &Field) -> Self {
        Self {
            script: Script::new(seed),
            client: field.stack.admin().await.unwrap(),
            going: HashSet::new(),
            waiting: BTreeMap::new(),
            written: HashMap::new(),
            deleted: HashSet::new(),
            operations: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// Fills all slots with a resource, and some with an existing role.
    pub(crate) async fn fill(&mut self, field: &Field) {
        for slot in 0..SLOTS {
            add_role_of_others(&field.account, slot);
        }
        let (seconds, firsts): (Vec<_>, Vec<_>) =
            self.script.fill().into_iter().partition(|(slot, _)| kind(*slot) == Kind::SecondOfTwo);
        self.store_all(firsts).await;
        for (slot, _) in &seconds {
            self.wait_to_be_younger_than(slot - 1).await;
        }
        self.store_all(seconds).await;
    }

    async fn store_all(&mut self, specs: Vec<(usize, Value)>) {
        let client = &self.client;
        let stored = specs.into_iter().map(|(slot, spec)| store(client, slot, spec));
        let stored: Vec<_> = stream::iter(stored).buffer_unordered(8).collect().await;
        for (generation, since) in stored {
            self.written.entry(generation).or_insert(since);
        }
    }

    /// Creation times have a resolution of one second.
    async fn wait_to_be_younger_than(&self, slot: usize) {
        let older = self.api(slot).get(&name(slot)).await.unwrap().creation_timestamp().unwrap().0;
        eventually("the next second", || async {
            let now = k8s_openapi::jiff::Timestamp::now();
            if now.as_second() > older.as_second() { Ok(()) } else { Err("not yet") }
        })
        .await;
    }

    /// Performs the next step of the script.
    pub(crate) async fn step(&mut self, field: &mut Field) {
        let (pause, operations) = self.script.step();
        // A pace, not a wait for anything: about as many operations as the two cores can process.
        tokio::time::sleep(pause).await;
        self.apply_what_waited().await;
        for operation in operations {
            self.perform(operation, field).await;
        }
    }

    async fn perform(&mut self, operation: Operation, field: &mut Field) {
        let what = label(&operation);
        let slot = match operation {
            Operation::Apply { slot, spec, .. } => {
                self.apply(slot, spec).await;
                Some(slot)
            }
            Operation::Delete(slot) => {
                self.delete(slot).await;
                Some(slot)
            }
            Operation::Pause(slot, paused) => {
                self.annotate(slot, "streamrole.dev/paused", &paused.to_string()).await;
                Some(slot)
            }
            Operation::Ask(slot, value) => {
                let requested = "streamrole.dev/reconcile-requested-at";
                self.annotate(slot, requested, &value.to_string()).await;
                Some(slot)
            }
            Operation::Tamper(slot, tampering) => {
                // Without anything to change, nothing happens.
                if !tamper(&field.account, &role_name(slot), tampering) {
                    return;
                }
                Some(slot)
            }
            Operation::CutWatch => {
                field.tunnel.cut();
                None
            }
            Operation::KillController => {
                field.kill_controller();
                None
            }
            Operation::RestartApiServer => {
                field.stack.restart_apiserver().await.unwrap();
                None
            }
        };
        *self.operations.entry(what).or_default() += 1;
        self.log.push(format!("{what} {}", slot.map(name).unwrap_or_default()));
    }

    async fn apply(&mut self, slot: usize, spec: Value) {
        if self.going.contains(&slot) {
            self.waiting.insert(slot, spec);
            self.apply_what_waited().await;
        } else {
            self.store_all(vec![(slot, spec)]).await;
        }
    }

    async fn apply_what_waited(&mut self) {
        for slot in self.waiting.keys().copied().collect::<BTreeSet<_>>() {
            let is_gone = self.api(slot).get_opt(&name(slot)).await.is_ok_and(|it| it.is_none());
            if is_gone && let Some(spec) = self.waiting.remove(&slot) {
                self.going.remove(&slot);
                self.store_all(vec![(slot, spec)]).await;
            }
        }
    }

    async fn delete(&mut self, slot: usize) {
        if self.waiting.remove(&slot).is_some() {
            return;
        }
        let (api, name) = (self.api(slot), name(slot));
        let there = eventually("a read", || async { api.get_opt(&name).await }).await;
        if let Some(uid) = there.and_then(|resource| resource.uid()) {
            self.deleted.insert(uid);
        }
        eventually("a deletion to be taken", || async {
            match api.delete(&name, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
        self.going.insert(slot);
    }

    async fn annotate(&self, slot: usize, key: &str, value: &str) {
        // The last resource of the slot is not the intended one.
        if self.waiting.contains_key(&slot) {
            return;
        }
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let (api, name) = (self.api(slot), name(slot));
        eventually("an annotation to be taken", || async {
            match api.patch(&name, &PatchParams::default(), &patch).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await;
    }

    fn api(&self, slot: usize) -> Api<PinpointEventStreamRole> {
        Api::namespaced(self.client.clone(), &namespace(slot))
    }

    /// Resumes what is paused, and applies what waits.
    pub(crate) async fn settle(&mut self, field: &mut Field) {
        for operation in self.script.resume_all() {
            self.perform(operation, field).await;
        }
        for slot in self.waiting.keys() {
            // It would correctly block the deletion of the last resource.
            tamper(&field.account, &role_name(*slot), Tampering::PolicyRemoved);
        }
        while !self.waiting.is_empty() {
            let first = self.waiting.keys().next().copied().unwrap_or_default();
            let (api, name) = (self.api(first), name(first));
            eventually(&format!("the deleted {name} to be gone"), || async {
                match api.get_opt(&name).await {
                    Ok(None) => Ok(()),
                    Ok(Some(resource)) => Err(format!("{:?}", resource.status)),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
            self.apply_what_waited().await;
        }
    }

    pub(crate) fn operations(&self) -> &BTreeMap<&'static str, usize> {
        &self.operations
    }

    pub(crate) fn last_operations(&self) -> String {
        let from = self.log.len().saturating_sub(300);
        format!("the last operations:\n{}", self.log[from..].join("\n"))
    }

    /// The slots that have a resource.
    pub(crate) fn taken(&self) -> impl Iterator<Item = usize> {
        self.script.taken()
    }

    /// Marks all resources as deleted.
    pub(crate) fn deletes_all(&mut self, uids: impl Iterator<Item = String>) {
        self.deleted.extend(uids);
    }

    pub(crate) fn written(&self, resource: &PinpointEventStreamRole) -> Option<Instant> {
        let generation = (resource.uid()?, resource.metadata.generation?);
        self.written.get(&generation).copied()
    }

    pub(crate) fn was_deleted(&self, uid: &str) -> bool {
        self.deleted.contains(uid)
    }
}

/// The name of an operation in the figures.
pub(crate) fn label(operation: &Operation) -> &'static str {
    match operation {
        Operation::Apply { what, .. } => what,
        Operation::Delete(_) => "deleted",
        Operation::Pause(..) => "paused or not",
        Operation::Ask(..) => "reconcile requested",
        Operation::Tamper(_, Tampering::Trust) => "trust policy tampered with",
        Operation::Tamper(_, Tampering::Permissions) => "permissions policy tampered with",
        Operation::Tamper(_, Tampering::PermissionsRemoved) => "permissions policy removed",
        Operation::Tamper(_, Tampering::RoleRemoved) => "role removed",
        Operation::Tamper(_, Tampering::PolicyAdded) => "policy added",
        Operation::Tamper(_, Tampering::PolicyRemoved) => "policy removed",
        Operation::Tamper(_, Tampering::Tag) => "tag changed",
        Operation::CutWatch => "watch cut",
        Operation::KillController => "controller killed",
        Operation::RestartApiServer => "API server restarted",
    }
}

/// Applies the spec, and returns its generation and the earliest time at which it can be true.
async fn store(client: &Client, slot: usize, spec: Value) -> ((String, i64), Instant) {
    let since = Instant::now();
    let manifest = manifest(&json!({"name": name(slot), "namespace": namespace(slot)}), &spec);
    let params = PatchParams::apply("user").force();
    let api: Api<PinpointEventStreamRole> = Api::namespaced(client.clone(), &namespace(slot));
    let name = name(slot);
    let stored = eventually("an apply to be taken", || async {
        api.patch(&name, &params, &Patch::Apply(&manifest)).await
    })
    .await;
    ((stored.uid().unwrap(), stored.metadata.generation.unwrap()), since)
}

/// Adds the role that exists before the resource of this slot, if the slot's purpose needs one.
fn add_role_of_others(account: &Account, slot: usize) {
    let tags = match kind(slot) {
        Kind::Foreign | Kind::Adopted => BTreeMap::new(),
        Kind::Elsewhere => {
            let tag = |key: &str, value: &str| (format!("streamrole.dev/{key}"), value.to_owned());
            [tag("cluster", "another"), tag("resource", "ns/other"), tag("uid", "u")].into()
        }
        Kind::Retained | Kind::FirstOfTwo | Kind::SecondOfTwo | Kind::Plain => return,
    };
    assert!(account.add(Role {
        name: role_name(slot),
        path: "/".into(),
        trust_policy: FOREIGN_TRUST.into(),
        max_session_duration: "3600".into(),
        tags,
        ..Role::default()
    }));
}

/// Whether there was anything to change.
fn tamper(account: &Account, role: &str, tampering: Tampering) -> bool {
    match tampering {
        Tampering::RoleRemoved => account.remove(role),
        Tampering::Trust => account.tamper(role, "trust", |role| {
            role.trust_policy = FOREIGN_TRUST.into();
            true
        }),
        Tampering::Permissions => account.tamper(role, "permissions", |role| {
            role.inline.insert(PINPOINT.policy_name.into(), OTHER_POLICY.into());
            true
        }),
        Tampering::PermissionsRemoved => account.tamper(role, "permissions removed", |role| {
            role.inline.remove(PINPOINT.policy_name).is_some()
        }),
        Tampering::PolicyAdded => account.tamper(role, "added", |role| {
            role.inline.insert("added".into(), OTHER_POLICY.into()).is_none()
        }),
        Tampering::PolicyRemoved => {
            account.tamper(role, "removed", |role| role.inline.remove("added").is_some())
        }
        Tampering::Tag => account.tamper(role, "tag", |role| {
            role.tags.insert("team".into(), "intruders".into());
            true
        }),
    }
}
