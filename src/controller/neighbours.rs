//! Other resources of the same cluster that have to do with a role: those that declare the same one, and
//! the one that its tags name. Of several that declare one role the oldest keeps it; when it goes, the next
//! takes over by itself.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};

use crate::api::PinpointEventStreamRole;
use crate::role::{self, Owner, Refusal, RoleName, Standing};

use super::Guarded;
use super::watched::Watched;

/// Who declares which role. Hashes of the role's name and the resource's uid, because there is one for each
/// resource; what they agree on is looked up and compared in full.
#[derive(Debug, Default)]
pub(super) struct Neighbours(Mutex<BTreeSet<(u64, u64)>>);

impl Neighbours {
    /// Takes note of what a watch heard, after `watched` did, and has those looked at that it concerns.
    pub(super) fn heard(&self, event: &Event<Guarded>, watched: &Watched) {
        let concerned = match event {
            Event::Apply(guarded) => declaration(guarded).filter(|one| {
                let mut declared = self.lock();
                declared.insert(*one) && is_shared(&declared, one.0)
            }),
            Event::Delete(guarded) => declaration(guarded).filter(|one| {
                let mut declared = self.lock();
                let was_shared = is_shared(&declared, one.0);
                declared.remove(one) && was_shared
            }),
            Event::Init | Event::InitApply(_) => None,
            Event::InitDone => return self.listed_anew(watched),
        };
        if let Some((name, _)) = concerned {
            look_at_all(&HashSet::from([name]), watched);
        }
    }

    /// Some may have come or gone unheard before the list.
    fn listed_anew(&self, watched: &Watched) {
        let now: BTreeSet<_> = watched.all().filter_map(|guarded| declaration(&guarded)).collect();
        let before = std::mem::replace(&mut *self.lock(), now.clone());
        let shared = before.iter().chain(&now).map(|(name, _)| *name);
        let shared = shared.filter(|name| is_shared(&before, *name) || is_shared(&now, *name));
        look_at_all(&shared.collect(), watched);
    }

    /// Why the resource has to leave the role to an older one, if so.
    pub(super) fn precedence(
        &self,
        resource: &PinpointEventStreamRole,
        name: &RoleName,
        watched: &Watched,
    ) -> Option<Refusal> {
        if !is_shared(&self.lock(), hash(&name.key())) {
            return None;
        }
        let others = watched.all().filter_map(|guarded| {
            let other = guarded.0.as_ref().ok()?;
            let declared = role::role_name(other).ok()?;
            let precedes = declared.key() == name.key() && is_older(other, resource);
            precedes.then(|| (created(other), path_of(other), declared))
        });
        let (_, older, declared) = others.min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)))?;
        Some(Refusal::DeclaredEarlier { role: declared.to_string(), older })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the object that a role's tags name, when `resource` finds the role to be another's of
/// its own cluster. An object that cannot be seen is taken to exist.
pub(super) fn standing(
    owner: &Owner,
    resource: &PinpointEventStreamRole,
    watched: &Watched,
) -> Standing {
    let Some((namespace, name)) = owner.resource.split_once('/') else {
        return Standing::Keeps;
    };
    match watched.get(namespace, name) {
        Some(found) if found.uid().as_ref() == Some(&owner.uid) => standing_of(&found, resource),
        Some(_) | None if watched.sees(namespace) => Standing::Gone,
        Some(_) | None => Standing::Keeps,
    }
}

fn standing_of(other: &Arc<Guarded>, resource: &PinpointEventStreamRole) -> Standing {
    let key = |resource| role::role_name(resource).map(|name| name.key()).ok();
    match &other.0 {
        Ok(other) if key(other) == key(resource) && is_older(resource, other) => Standing::Yields,
        Ok(_) | Err(_) => Standing::Keeps,
    }
}

/// Of two that were created within the same second, neither is older: who has the role keeps it.
fn is_older(one: &PinpointEventStreamRole, other: &PinpointEventStreamRole) -> bool {
    one.uid() != other.uid()
        && created(one).zip(created(other)).is_some_and(|(one, other)| one < other)
}

fn created(resource: &PinpointEventStreamRole) -> Option<k8s_openapi::jiff::Timestamp> {
    resource.meta().creation_timestamp.as_ref().map(|time| time.0)
}

fn path_of(resource: &PinpointEventStreamRole) -> String {
    format!("{}/{}", resource.namespace().unwrap_or_default(), resource.name_any())
}

fn declaration(guarded: &Guarded) -> Option<(u64, u64)> {
    let resource = guarded.0.as_ref().ok()?;
    let name = role::role_name(resource).ok()?;
    Some((hash(&name.key()), hash(&resource.uid()?)))
}

fn is_shared(declared: &BTreeSet<(u64, u64)>, name: u64) -> bool {
    declared.range((name, 0)..=(name, u64::MAX)).nth(1).is_some()
}

fn look_at_all(names: &HashSet<u64>, watched: &Watched) {
    if names.is_empty() {
        return;
    }
    let is_concerned = |guarded: &Arc<Guarded>| {
        declaration(guarded).is_some_and(|(name, _)| names.contains(&name))
    };
    for guarded in watched.all().filter(is_concerned) {
        watched.look_at(&guarded);
    }
}

fn hash(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}
