//! The last observed version of every watched resource, and the declarations of roles. The watches update it; it makes
//! no requests itself. An event returns the resulting work as [`Changes`].

mod claims;
mod object;

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::api::{
    ABANDON_ANNOTATION, Kind, PAUSED_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION, RoleResource,
};
use crate::role::{Defaults, Owner, ResourceName, RoleKey, Standing};

use super::lifecycle;

use claims::{Claim, Claims};

pub(crate) use claims::Turn;
pub(crate) use object::{InvalidObject, StoredObject};

/// The key of a resource.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl Key {
    pub(crate) fn of(resource: &RoleResource) -> Self {
        Self::new(resource.kind, &resource.metadata)
    }

    pub(crate) fn of_object(object: &StoredObject) -> Self {
        Self::new(object.kind(), object.meta())
    }

    fn new(kind: &'static Kind, meta: &ObjectMeta) -> Self {
        Self {
            kind: kind.name,
            namespace: meta.namespace.as_deref().unwrap_or_default().into(),
            name: meta.name.as_deref().unwrap_or_default().into(),
        }
    }

    /// The resource that the tags of a role name, if it is of a known kind.
    fn of_owner(owner: &Owner) -> Option<Self> {
        let ResourceName { kind, namespace, name } = ResourceName::of_tag(&owner.resource)?;
        let kind = Kind::named(&kind)?.name;
        Some(Self { kind, namespace: namespace.into(), name: name.into() })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// The work that an event causes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The resource, if it must be reconciled.
    pub changed: Option<Arc<StoredObject>>,
    /// The last version of the resource, if it was deleted.
    pub gone: Option<Arc<StoredObject>>,
    /// The resources whose turn at a role may have changed.
    pub concerned: Vec<Key>,
    /// The resources that a list no longer contains.
    pub unlisted: Vec<Arc<StoredObject>>,
}

/// The scope of one watch.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Scope {
    /// A kind.
    pub kind: &'static str,
    /// A namespace; `None` for all.
    pub namespace: Option<Arc<str>>,
}

/// All watched resources.
pub(crate) struct Index {
    /// The watched namespaces; all when empty.
    namespaces: Vec<String>,
    cluster: String,
    defaults: Arc<Defaults>,
    reservation: Duration,
    state: Mutex<State>,
    observed: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    claims: Claims,
    /// For a list that is being read: its resources so far.
    listed: HashMap<Scope, HashSet<Key>>,
    /// The scopes that were listed completely.
    seen: HashSet<Scope>,
}

struct Entry {
    resource: Arc<StoredObject>,
    trigger: u64,
}

#[derive(Clone, Copy)]
struct Time {
    now: Instant,
    reservation: Duration,
}

impl Index {
    /// An index of these namespaces (all when there are none), in the cluster with this id.
    pub(crate) fn new(
        namespaces: &[String],
        cluster: &str,
        defaults: Arc<Defaults>,
        reservation: Duration,
    ) -> Self {
        Self {
            namespaces: namespaces.to_vec(),
            cluster: cluster.into(),
            defaults,
            reservation,
            state: Mutex::default(),
            observed: Notify::new(),
        }
    }

    /// Records an event of the watch of `scope`.
    pub(crate) fn observe(
        &self,
        scope: &Scope,
        event: Event<StoredObject>,
        now: Instant,
    ) -> Changes {
        let changes = self.note(scope, event, now);
        self.observed.notify_waiters();
        changes
    }

    /// Returns when the index has another version of the resource than this one, or its deletion.
    pub(crate) async fn newer_than(&self, key: &Key, version: &str) {
        loop {
            let observed = self.observed.notified();
            let mut observed = std::pin::pin!(observed);
            // Subscribes before the check, so that no change is missed in between.
            observed.as_mut().enable();
            if self.get(key).and_then(|found| found.resource_version()).as_deref() != Some(version)
            {
                return;
            }
            observed.await;
        }
    }

    fn note(&self, scope: &Scope, event: Event<StoredObject>, now: Instant) -> Changes {
        let mut state = self.lock();
        let time = Time { now, reservation: self.reservation };
        match event {
            Event::Apply(resource) => {
                let claim = self.claim(&resource);
                state.apply(resource, claim, time)
            }
            Event::Delete(resource) => {
                let changes = state.delete(&Key::of_object(&resource), time);
                // The last version.
                Changes { gone: changes.gone.map(|_| Arc::new(resource)), ..changes }
            }
            Event::Init => {
                state.listed.insert(scope.clone(), HashSet::new());
                Changes::default()
            }
            Event::InitApply(resource) => {
                let key = Key::of_object(&resource);
                state.listed.entry(scope.clone()).or_default().insert(key);
                let claim = self.claim(&resource);
                state.apply(resource, claim, time)
            }
            Event::InitDone => {
                state.seen.insert(scope.clone());
                let listed = state.listed.remove(scope).unwrap_or_default();
                state.keep_only(scope, &listed, time)
            }
        }
    }

    /// All resources.
    pub(crate) fn all(&self) -> Vec<Arc<StoredObject>> {
        self.lock().entries.values().map(|entry| Arc::clone(&entry.resource)).collect()
    }

    /// The uids of all resources.
    pub(crate) fn uids(&self) -> Vec<String> {
        self.all().iter().filter_map(|resource| resource.uid()).collect()
    }

    /// The resource with this key.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<StoredObject>> {
        self.lock().entries.get(key).map(|entry| Arc::clone(&entry.resource))
    }

    /// The position of `resource` among those that declare its role.
    pub(crate) fn turn(&self, resource: &RoleResource, now: Instant) -> Turn {
        // A status that names a role is a reason to observe that role's tags, but not proof.
        let may_own = resource.status.as_ref().is_some_and(|status| status.role_arn.is_some());
        self.lock().claims.turn(&Key::of(resource), may_own, now)
    }

    /// Records the owner in the tags of a role, from an observation. Returns the resource whose turn has come and that
    /// must be reconciled.
    pub(crate) fn note_owner(&self, role: &RoleKey, owner: Option<&Owner>) -> Option<Key> {
        let mut state = self.lock();
        let owner = owner.filter(|owner| owner.cluster == self.cluster);
        let key = owner.and_then(Key::of_owner);
        let Some(key) = key.filter(|key| state.claims.declares(key, role)) else {
            state.claims.note_no_holder(role);
            return None;
        };
        state.claims.note_holder(role, &key).then_some(key)
    }

    /// The state of the object in the tags of `role`, when another resource of its cluster declares that role. An
    /// object outside the watched scope counts as existing. A recreated object counts as claiming its role again.
    pub(crate) fn standing(&self, owner: &Owner, role: &RoleKey) -> Standing {
        let Some(key) = Key::of_owner(owner) else {
            return Standing::Keeps;
        };
        let state = self.lock();
        match state.entries.get(&key) {
            Some(found) if found.resource.uid().as_ref() == Some(&owner.uid) => Standing::Keeps,
            // Its declaration cannot be parsed.
            Some(found) if found.resource.0.is_err() => Standing::Keeps,
            Some(_) if state.claims.declares(&key, role) => Standing::Keeps,
            Some(_) | None if state.sees(&key) => Standing::Gone,
            Some(_) | None => Standing::Keeps,
        }
    }

    /// Whether no resource declares a role whose tags name this cluster. An unreadable resource, or one outside the
    /// watched scope, may declare it.
    pub(crate) fn is_orphan(&self, owner: &Owner, role: &RoleKey) -> bool {
        if owner.cluster != self.cluster {
            return false;
        }
        let Some(key) = Key::of_owner(owner) else {
            // A kind that this version does not know can be a newer version's.
            let is_of_a_kind = ResourceName::of_tag(&owner.resource).is_some();
            return self.namespaces.is_empty() && !is_of_a_kind;
        };
        let state = self.lock();
        let is_readable = |entry: &Entry| entry.resource.0.is_ok();
        state.sees(&key)
            && state.entries.get(&key).is_none_or(is_readable)
            && !state.claims.declares(&key, role)
    }

    fn claim(&self, resource: &StoredObject) -> Option<Claim> {
        let resource = resource.0.as_ref().ok()?;
        Claim::of(resource, &self.cluster, &self.defaults)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether a missing resource with this key does not exist. Resources that the API server denies are not observed.
    fn sees(&self, key: &Key) -> bool {
        let scope = |namespace| Scope { kind: key.kind, namespace };
        self.seen.contains(&scope(None))
            || self.seen.contains(&scope(Some(Arc::clone(&key.namespace))))
    }

    fn apply(&mut self, resource: StoredObject, claim: Option<Claim>, time: Time) -> Changes {
        let (key, trigger) = (Key::of_object(&resource), trigger(&resource));
        let resource = Arc::new(resource);
        let entry = Entry { resource: Arc::clone(&resource), trigger };
        let before = self.entries.insert(key.clone(), entry);
        let is_same =
            |before: &Entry| before.trigger == trigger && before.resource.uid() == resource.uid();
        let concerned = self.claims.set(&key, claim, time.now);
        let changed = (!before.as_ref().is_some_and(is_same)).then_some(resource);
        Changes { changed, concerned, ..Changes::default() }
    }

    fn delete(&mut self, key: &Key, time: Time) -> Changes {
        let gone = self.entries.remove(key).map(|entry| entry.resource);
        Changes {
            gone,
            concerned: self.claims.forget(key, time.now, time.reservation),
            ..Changes::default()
        }
    }

    /// Drops the resources of `scope` that a list does not contain: their deletion was missed.
    fn keep_only(&mut self, scope: &Scope, listed: &HashSet<Key>, time: Time) -> Changes {
        let is_of = |key: &Key| {
            key.kind == scope.kind
                && scope.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
        };
        let stale: Vec<_> = self
            .entries
            .keys()
            .filter(|key| is_of(key) && !listed.contains(key))
            .cloned()
            .collect();
        let mut changes = Changes::default();
        for key in stale {
            let gone = self.delete(&key, time);
            changes.unlisted.extend(gone.gone);
            changes.concerned.extend(gone.concerned);
        }
        changes
    }
}

/// The fields whose change causes a reconcile: the spec, deletion, our finalizer, our annotations. Never the status, or
/// each of our writes would cause another reconcile.
fn trigger(resource: &StoredObject) -> u64 {
    let meta = resource.meta();
    let mut hash = DefaultHasher::new();
    (meta.generation, meta.deletion_timestamp.is_some()).hash(&mut hash);
    lifecycle::has_finalizer(resource).hash(&mut hash);
    for annotation in [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION] {
        resource.annotations().get(annotation).hash(&mut hash);
    }
    hash.finish()
}
