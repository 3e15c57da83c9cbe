//! What users and administrators do: a sequence of operations that follows from the seed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use fastrand::Rng;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use streamrole::service::PINPOINT;
use support::{Role, eventually};

use crate::{Field, NAMESPACES, SLOTS};

const FOREIGN_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const OTHER_POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;

/// What a slot is there to show. Most are plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A role of this name exists already, and the resource says `Never`.
    Foreign,
    /// A role of this name belongs to another cluster.
    Elsewhere,
    /// A role of this name exists already, and the resource says `Adopt`.
    Adopted,
    /// The role stays when the resource goes.
    Retained,
    /// Two resources name one role, in different cases: the first is the older.
    FirstOfTwo,
    SecondOfTwo,
    Plain,
}

pub(crate) const fn kind(slot: usize) -> Kind {
    match slot {
        0..8 => Kind::Foreign,
        8..12 => Kind::Elsewhere,
        12..18 => Kind::Adopted,
        18..24 => Kind::Retained,
        24 | 26 | 28 => Kind::FirstOfTwo,
        25 | 27 | 29 => Kind::SecondOfTwo,
        _ => Kind::Plain,
    }
}

pub(crate) fn name(slot: usize) -> String {
    format!("events-{slot}")
}

fn namespace(slot: usize) -> String {
    format!("campaign-{}", slot % NAMESPACES)
}

pub(crate) fn role_name(slot: usize) -> String {
    match kind(slot) {
        Kind::SecondOfTwo => format!("CAMPAIGN-{}", slot - 1),
        Kind::Foreign
        | Kind::Elsewhere
        | Kind::Adopted
        | Kind::Retained
        | Kind::FirstOfTwo
        | Kind::Plain => format!("campaign-{slot}"),
    }
}

pub(crate) struct Generator {
    random: Rng,
    client: Client,
    /// The specs of the resources that are there, as far as this one knows.
    specs: HashMap<usize, Value>,
    paused: HashSet<usize>,
    /// When each generation was written, by uid and number.
    written: HashMap<(String, i64), Instant>,
    deleted: HashSet<String>,
    operations: BTreeMap<&'static str, usize>,
    log: Vec<String>,
    next: Schedule,
    regrets: Vec<Regret>,
}

/// Something that is taken back a moment after it was done: an edit, or with no spec a creation.
struct Regret {
    due: Instant,
    slot: usize,
    done: Value,
    back_to: Option<Value>,
}

/// What does not happen at each step.
struct Schedule {
    cut: Instant,
    kill: Instant,
    restart: Instant,
}

impl Generator {
    pub(crate) async fn new(seed: u64, field: &Field) -> Self {
        let now = Instant::now();
        Self {
            random: Rng::with_seed(seed),
            client: field.stack.admin().await.unwrap(),
            specs: HashMap::new(),
            paused: HashSet::new(),
            written: HashMap::new(),
            deleted: HashSet::new(),
            operations: BTreeMap::new(),
            log: Vec::new(),
            next: Schedule {
                cut: now + Duration::from_secs(5),
                kill: now + Duration::from_secs(9),
                restart: now + Duration::from_secs(25),
            },
            regrets: Vec::new(),
        }
    }

    /// All slots have a resource, and some a role that was there before.
    pub(crate) async fn fill(&mut self, field: &Field) {
        for slot in 0..SLOTS {
            let tags = match kind(slot) {
                Kind::Foreign | Kind::Adopted => Some(BTreeMap::new()),
                Kind::Elsewhere => Some(BTreeMap::from([
                    ("streamrole.dev/cluster".to_owned(), "another".to_owned()),
                    ("streamrole.dev/resource".to_owned(), "ns/other".to_owned()),
                    ("streamrole.dev/uid".to_owned(), "u".to_owned()),
                ])),
                Kind::Retained | Kind::FirstOfTwo | Kind::SecondOfTwo | Kind::Plain => None,
            };
            if let Some(tags) = tags {
                assert!(field.account.add(Role {
                    name: role_name(slot),
                    path: "/".into(),
                    trust_policy: FOREIGN_TRUST.into(),
                    max_session_duration: "3600".into(),
                    tags,
                    ..Role::default()
                }));
            }
            if kind(slot) == Kind::SecondOfTwo {
                self.wait_to_be_younger_than(slot - 1).await;
            }
            self.create(slot).await;
        }
    }

    /// Creation times have whole seconds.
    async fn wait_to_be_younger_than(&self, slot: usize) {
        let older = self.api(slot).get(&name(slot)).await.unwrap().creation_timestamp().unwrap().0;
        eventually("the next second", || async {
            let now = k8s_openapi::jiff::Timestamp::now();
            if now.as_second() > older.as_second() { Ok(()) } else { Err("not yet") }
        })
        .await;
    }

    /// One operation.
    pub(crate) async fn step(&mut self, field: &mut Field) {
        let now = Instant::now();
        if now > self.next.cut {
            field.tunnel.cut();
            self.did("watch cut", usize::MAX);
            self.next.cut = now + Duration::from_millis(self.random.u64(2000..6000));
        }
        if now > self.next.kill {
            field.kill_controller();
            self.did("controller killed", usize::MAX);
            self.next.kill = now + Duration::from_millis(self.random.u64(5000..20_000));
        }
        if now > self.next.restart {
            field.stack.restart_apiserver().await.unwrap();
            self.did("apiserver restarted", usize::MAX);
            self.next.restart = now + Duration::from_millis(self.random.u64(20_000..60_000));
        }
        self.take_back(now).await;
        let slot = self.random.usize(..SLOTS);
        if self.random.u8(..100) < 60 {
            self.use_kubernetes(slot).await;
        } else {
            self.use_iam(slot, field);
        }
        // A pace, not a wait for anything: about as many operations as the two cores take.
        tokio::time::sleep(Duration::from_millis(self.random.u64(5..40))).await;
    }

    async fn use_kubernetes(&mut self, slot: usize) {
        if !self.specs.contains_key(&slot) {
            return self.create(slot).await;
        }
        match self.random.u8(..100) {
            0..40 => self.edit(slot).await,
            40..70 => self.edit_and_back(slot).await,
            70..84 if kind(slot) == Kind::Plain => self.delete(slot).await,
            70..84 => {}
            84..92 if self.paused.contains(&slot) => self.pause(slot, "false").await,
            84..92 => self.pause(slot, "true").await,
            _ => self.ask(slot).await,
        }
    }

    fn use_iam(&mut self, slot: usize, field: &Field) {
        if matches!(kind(slot), Kind::Foreign | Kind::Elsewhere) {
            return;
        }
        let (account, role) = (&field.account, role_name(slot));
        let (what, done) = match self.random.u8(..100) {
            0..22 => (
                "trust tampered",
                account.tamper(&role, "trust", |role| {
                    role.trust_policy = FOREIGN_TRUST.into();
                    true
                }),
            ),
            22..44 => (
                "permissions tampered",
                account.tamper(&role, "permissions", |role| {
                    role.inline.insert(PINPOINT.policy_name.into(), OTHER_POLICY.into());
                    true
                }),
            ),
            44..56 => (
                "permissions removed",
                account.tamper(&role, "permissions removed", |role| {
                    role.inline.remove(PINPOINT.policy_name).is_some()
                }),
            ),
            56..64 if kind(slot) == Kind::Plain => ("role removed", account.remove(&role)),
            64..76 => (
                "policy added",
                account.tamper(&role, "added", |role| {
                    role.inline.insert("added".into(), OTHER_POLICY.into()).is_none()
                }),
            ),
            76..90 => (
                "policy taken off",
                account.tamper(&role, "taken off", |role| role.inline.remove("added").is_some()),
            ),
            _ => (
                "tag changed",
                account.tamper(&role, "tag", |role| {
                    role.tags.insert("team".into(), "intruders".into());
                    true
                }),
            ),
        };
        if done {
            self.did(what, slot);
        }
    }

    fn spec(&mut self, slot: usize) -> Value {
        let random = &mut self.random;
        let stream = random.u8(..4);
        let destination = if random.bool() {
            json!({"kinesisStreamArn": format!("arn:aws:kinesis:us-east-1:111122223333:stream/s{stream}")})
        } else {
            json!({"firehoseDeliveryStreamArn": format!("arn:aws:firehose:us-east-1:111122223333:deliverystream/f{stream}")})
        };
        let mut spec = json!({"roleName": role_name(slot), "destination": destination});
        let mut set = |field: &str, value: Value| spec[field] = value;
        match random.u8(..3) {
            0 => {}
            1 => set("source", json!({"accountId": "111122223333", "region": "us-east-1"})),
            _ => set("source", json!({"accountId": "111122223333", "region": "eu-west-1"})),
        }
        if random.bool() {
            set("tags", json!({"team": (["sales", "marketing"])[random.usize(..2)]}));
        }
        if random.u8(..4) == 0 {
            let boundary = ["x", "y"][random.usize(..2)];
            let arn = format!("arn:aws:iam::111122223333:policy/{boundary}");
            set("permissionsBoundaryArn", json!(arn));
        }
        if random.u8(..4) == 0 {
            set("description", json!(format!("number {}", random.u8(..9))));
        }
        if slot.is_multiple_of(7) {
            set("exclusivePolicies", json!(true));
        }
        match kind(slot) {
            Kind::Adopted => set("adoptionPolicy", json!("Adopt")),
            Kind::Retained => set("deletionPolicy", json!("Retain")),
            Kind::Foreign
            | Kind::Elsewhere
            | Kind::FirstOfTwo
            | Kind::SecondOfTwo
            | Kind::Plain => {}
        }
        spec
    }

    async fn create(&mut self, slot: usize) {
        // The last one may still be going away.
        if self.api(slot).get_opt(&name(slot)).await.is_ok_and(|there| there.is_some()) {
            return;
        }
        let spec = self.spec(slot);
        self.apply(slot, spec.clone()).await;
        self.did("created", slot);
        if kind(slot) == Kind::Plain && self.random.u8(..4) == 0 {
            self.regret(slot, spec, None);
        }
    }

    async fn edit(&mut self, slot: usize) {
        let spec = self.spec(slot);
        self.apply(slot, spec).await;
        self.did("edited", slot);
    }

    async fn edit_and_back(&mut self, slot: usize) {
        let Some(before) = self.specs.get(&slot).cloned() else { return };
        let spec = self.spec(slot);
        self.apply(slot, spec.clone()).await;
        self.did("edited", slot);
        self.regret(slot, spec, Some(before));
    }

    /// Soon enough for IAM still to show what was before, late enough for the controller to have acted.
    fn regret(&mut self, slot: usize, done: Value, back_to: Option<Value>) {
        let due = Instant::now() + Duration::from_millis(self.random.u64(100..2000));
        self.regrets.push(Regret { due, slot, done, back_to });
    }

    async fn take_back(&mut self, now: Instant) {
        while let Some(number) = self.regrets.iter().position(|regret| regret.due <= now) {
            let Regret { slot, done, back_to, .. } = self.regrets.swap_remove(number);
            match back_to {
                _ if self.specs.get(&slot) != Some(&done) => {}
                Some(spec) => {
                    self.apply(slot, spec).await;
                    self.did("edited back", slot);
                }
                None => self.delete(slot).await,
            }
        }
    }

    async fn apply(&mut self, slot: usize, spec: Value) {
        let before = Instant::now();
        let manifest = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {"name": name(slot), "namespace": namespace(slot)},
            "spec": spec,
        });
        let params = PatchParams::apply("user").force();
        let (api, name) = (self.api(slot), name(slot));
        let stored = eventually("an apply to be taken", || async {
            api.patch(&name, &params, &Patch::Apply(&manifest)).await
        })
        .await;
        self.specs.insert(slot, spec);
        let generation = (stored.uid().unwrap(), stored.metadata.generation.unwrap());
        self.written.entry(generation).or_insert(before);
    }

    async fn delete(&mut self, slot: usize) {
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
        self.specs.remove(&slot);
        // A deleted resource that is paused waits for us.
        if self.paused.contains(&slot) {
            self.pause(slot, "false").await;
        }
        self.did("deleted", slot);
    }

    async fn pause(&mut self, slot: usize, value: &str) {
        self.annotate(slot, "streamrole.dev/paused", value).await;
        if value == "true" {
            self.paused.insert(slot);
        } else {
            self.paused.remove(&slot);
        }
        self.did("paused or not", slot);
    }

    async fn ask(&mut self, slot: usize) {
        let value = self.random.u32(..).to_string();
        self.annotate(slot, "streamrole.dev/reconcile-requested-at", &value).await;
        self.did("asked for", slot);
    }

    async fn annotate(&self, slot: usize, key: &str, value: &str) {
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

    fn did(&mut self, what: &'static str, slot: usize) {
        *self.operations.entry(what).or_default() += 1;
        let slot = if slot < SLOTS { name(slot) } else { String::new() };
        self.log.push(format!("{what} {slot}"));
    }

    /// Nothing is paused any more.
    pub(crate) async fn resume_all(&mut self) {
        for slot in self.paused.clone() {
            self.pause(slot, "false").await;
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
        self.specs.keys().copied()
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

/// Whether the role with this name in lower case is nobody's of this cluster and must stay so.
pub(crate) fn is_protected(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| matches!(kind(slot), Kind::Foreign | Kind::Elsewhere))
}

/// Whether a resource asks for this role although it was there before.
pub(crate) fn may_adopt(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| kind(slot) == Kind::Adopted)
}

fn slot_of(key: &str) -> Option<usize> {
    key.strip_prefix("campaign-")?.parse().ok()
}
