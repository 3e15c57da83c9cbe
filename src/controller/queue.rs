//! Which resources wait for a worker: asked for, and not yet worked on or found to need nothing. The queue
//! itself is kube's and shows nothing of its length.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;

use super::Guarded;

/// Hashes of those that wait: two that share one would be counted as one.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<HashSet<u64>>);

impl Queue {
    /// The resource was asked for.
    pub(super) fn enter(&self, resource: &ObjectRef<Guarded>) {
        self.lock().insert(key(resource));
    }

    /// The resource has a worker, or needs none, or is gone.
    pub(super) fn leave(&self, resource: &ObjectRef<Guarded>) {
        self.lock().remove(&key(resource));
    }

    /// How many wait.
    pub(super) fn depth(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(resource: &ObjectRef<Guarded>) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((&resource.namespace, &resource.name))
}
