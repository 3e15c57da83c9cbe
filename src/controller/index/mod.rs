//! Every watched resource as it was last heard of, and who declares which role. Kept by what the watches tell; it
//! writes nothing and asks nothing. What an event calls for comes back as [`Heard`].

mod claims;
mod lean;

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};
use tokio::sync::Notify;

use crate::api::{
    ABANDON_ANNOTATION, PAUSED_ANNOTATION, PinpointEventStreamRole,
    RECONCILE_REQUESTED_AT_ANNOTATION,
};
use crate::role::{Defaults, Owner, RoleKey, Standing};

use super::settled;

use claims::{Claim, Claims};

pub(super) use claims::Turn;
pub(super) use lean::{Guarded, Unreadable};

/// Which resource.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

impl Key {
    pub(super) fn of(resource: &impl Resource) -> Self {
        let meta = resource.meta();
        Self {
            namespace: meta.namespace.as_deref().unwrap_or_default().into(),
            name: meta.name.as_deref().unwrap_or_default().into(),
        }
    }

    /// Reads `namespace/name`.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let (namespace, name) = path.split_once('/')?;
        Some(Self { namespace: namespace.into(), name: name.into() })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What an event calls for.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The resource, if it has to be reconciled.
    pub changed: Option<Arc<Guarded>>,
    /// The resource, if it is gone, as it was last.
    pub gone: Option<Arc<Guarded>>,
    /// Those whose turn at a role may have come or gone.
    pub concerned: Vec<Key>,
    /// Those that a list no longer has.
    pub unlisted: Vec<Arc<Guarded>>,
}

/// All watched resources.
pub(super) struct Index {
    /// The watched namespaces; all when empty.
    namespaces: Vec<String>,
    cluster: String,
    defaults: Arc<Defaults>,
    state: Mutex<State>,
    heard: Notify,
}

#[derive(Default)]
struct State {
    entries: HashMap<Key, Entry>,
    claims: Claims,
    /// Of a list that is being read: what it had so far.
    listed: HashMap<Option<String>, HashSet<Key>>,
    /// The namespaces that were listed whole, or `None` when all were.
    seen: HashSet<Option<String>>,
}

struct Entry {
    resource: Arc<Guarded>,
    trigger: u64,
}

impl Index {
    /// An index of these namespaces, or of all when there are none, in the cluster with this id.
    pub(super) fn new(namespaces: &[String], cluster: &str, defaults: Arc<Defaults>) -> Self {
        let (state, heard) = (Mutex::default(), Notify::new());
        Self { namespaces: namespaces.to_vec(), cluster: cluster.into(), defaults, state, heard }
    }

    /// Takes note of what the watch of `namespace` (`None`: of all) heard.
    pub(super) fn hear(
        &self,
        namespace: Option<&str>,
        event: Event<Guarded>,
        now: Instant,
    ) -> Heard {
        let heard = self.note(namespace, event, now);
        self.heard.notify_waiters();
        heard
    }

    /// Returns when another version of the resource than this one was heard of, or that it is gone.
    pub(super) async fn newer_than(&self, key: &Key, version: &str) {
        loop {
            let heard = self.heard.notified();
            let mut heard = std::pin::pin!(heard);
            // From now on, so that nothing is missed between the look and the wait.
            heard.as_mut().enable();
            if self.get(key).and_then(|found| found.resource_version()).as_deref() != Some(version)
            {
                return;
            }
            heard.await;
        }
    }

    fn note(&self, namespace: Option<&str>, event: Event<Guarded>, now: Instant) -> Heard {
        let mut state = self.lock();
        match event {
            Event::Apply(resource) => {
                let claim = self.claim(&resource);
                state.apply(resource, claim, now)
            }
            Event::Delete(resource) => {
                let heard = state.delete(&Key::of(&resource), now);
                // As it was at the very last.
                Heard { gone: heard.gone.map(|_| Arc::new(resource)), ..heard }
            }
            Event::Init => {
                state.listed.insert(namespace.map(Into::into), HashSet::new());
                Heard::default()
            }
            Event::InitApply(resource) => {
                let key = Key::of(&resource);
                state.listed.entry(namespace.map(Into::into)).or_default().insert(key);
                let claim = self.claim(&resource);
                state.apply(resource, claim, now)
            }
            Event::InitDone => {
                state.seen.insert(namespace.map(Into::into));
                let listed = state.listed.remove(&namespace.map(Into::into)).unwrap_or_default();
                state.keep_only(namespace, &listed, now)
            }
        }
    }

    /// Every resource.
    pub(super) fn all(&self) -> Vec<Arc<Guarded>> {
        self.lock().entries.values().map(|entry| Arc::clone(&entry.resource)).collect()
    }

    /// The resource of this key.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Guarded>> {
        self.lock().entries.get(key).map(|entry| Arc::clone(&entry.resource))
    }

    /// Where `resource` stands among those that declare its role.
    pub(super) fn turn(&self, resource: &PinpointEventStreamRole, now: Instant) -> Turn {
        // A status that names a role calls for a look at that role's tags, and is no proof by itself.
        let may_own = resource.status.as_ref().is_some_and(|status| status.role_arn.is_some());
        self.lock().claims.turn(&Key::of(resource), may_own, now)
    }

    /// Notes whom the tags of a role name, as a look has shown. Returns the resource that has to be told that its turn
    /// has come.
    pub(super) fn note_owner(&self, role: &RoleKey, owner: Option<&Owner>) -> Option<Key> {
        let mut state = self.lock();
        let owner = owner.filter(|owner| owner.cluster == self.cluster);
        let key = owner.and_then(|owner| Key::parse(&owner.resource));
        let Some(key) = key.filter(|key| state.claims.declares(key, role)) else {
            state.claims.note_no_holder(role);
            return None;
        };
        state.claims.note_holder(role, &key).then_some(key)
    }

    /// What is known of the object that the tags of `role` name, when another resource of its own cluster declares that
    /// role. An object that cannot be seen is taken to exist, and one that was recreated to want its role back.
    pub(super) fn standing(&self, owner: &Owner, role: &RoleKey) -> Standing {
        let Some(key) = Key::parse(&owner.resource) else {
            return Standing::Keeps;
        };
        let state = self.lock();
        match state.entries.get(&key) {
            Some(found) if found.resource.uid().as_ref() == Some(&owner.uid) => Standing::Keeps,
            // What it declares cannot be read.
            Some(found) if found.resource.0.is_err() => Standing::Keeps,
            Some(_) if state.claims.declares(&key, role) => Standing::Keeps,
            Some(_) | None if state.sees(&key.namespace) => Standing::Gone,
            Some(_) | None => Standing::Keeps,
        }
    }

    /// Whether no resource declares a role whose tags name this cluster. A resource that could not be seen, or cannot be
    /// read, may declare it.
    pub(super) fn is_orphan(&self, owner: &Owner, role: &RoleKey) -> bool {
        if owner.cluster != self.cluster {
            return false;
        }
        let Some(key) = Key::parse(&owner.resource) else { return self.namespaces.is_empty() };
        let state = self.lock();
        let is_readable = |entry: &Entry| entry.resource.0.is_ok();
        state.sees(&key.namespace)
            && state.entries.get(&key).is_none_or(is_readable)
            && !state.claims.declares(&key, role)
    }

    fn claim(&self, resource: &Guarded) -> Option<Claim> {
        let resource = resource.0.as_ref().ok()?;
        Claim::of(resource, &self.cluster, &self.defaults)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether what is not found in this namespace does not exist. One that the API server denies is not seen.
    fn sees(&self, namespace: &str) -> bool {
        self.seen.contains(&None) || self.seen.contains(&Some(namespace.to_owned()))
    }

    fn apply(&mut self, resource: Guarded, claim: Option<Claim>, now: Instant) -> Heard {
        let (key, trigger) = (Key::of(&resource), trigger(&resource));
        let resource = Arc::new(resource);
        let entry = Entry { resource: Arc::clone(&resource), trigger };
        let before = self.entries.insert(key.clone(), entry);
        let is_same =
            |before: &Entry| before.trigger == trigger && before.resource.uid() == resource.uid();
        let concerned = self.claims.set(&key, claim, now);
        let changed = (!before.as_ref().is_some_and(is_same)).then_some(resource);
        Heard { changed, concerned, ..Heard::default() }
    }

    fn delete(&mut self, key: &Key, now: Instant) -> Heard {
        let gone = self.entries.remove(key).map(|entry| entry.resource);
        Heard { gone, concerned: self.claims.forget(key, now), ..Heard::default() }
    }

    /// Drops what a list of `namespace` did not have: it went unheard.
    fn keep_only(&mut self, namespace: Option<&str>, listed: &HashSet<Key>, now: Instant) -> Heard {
        let is_of = |key: &Key| namespace.is_none_or(|namespace| *key.namespace == *namespace);
        let stale: Vec<_> = self
            .entries
            .keys()
            .filter(|key| is_of(key) && !listed.contains(key))
            .cloned()
            .collect();
        let mut heard = Heard::default();
        for key in stale {
            let gone = self.delete(&key, now);
            heard.unlisted.extend(gone.gone);
            heard.concerned.extend(gone.concerned);
        }
        heard
    }
}

/// What a change must touch to call for a reconcile: the spec, deletion, our finalizer, our annotations. Never
/// the status, or each write of ours would call for another reconcile.
fn trigger(resource: &Guarded) -> u64 {
    let meta = resource.meta();
    let mut hash = DefaultHasher::new();
    (meta.generation, meta.deletion_timestamp.is_some()).hash(&mut hash);
    settled::is_guarded(resource).hash(&mut hash);
    for annotation in [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION] {
        resource.annotations().get(annotation).hash(&mut hash);
    }
    hash.finish()
}
