//! The pending work: which resources wait for a reconcile, which of them need an observation of their role although
//! their status is settled, whose edit must be acknowledged, and which were deleted without cleanup.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};
use tokio::time::Instant;

use crate::api::RoleResource;

use super::super::index::{Changes, Index, Key, Scope, StoredObject};
use super::super::lifecycle;
use super::queue::{Position, Queue};

/// The pending work besides reconciles.
pub(crate) struct SideEvents {
    /// Resources whose edit must be acknowledged.
    pub edited: UnboundedReceiver<Key>,
    /// Resources that were deleted before their role was cleaned up.
    pub orphaned: UnboundedReceiver<Arc<StoredObject>>,
}

/// The pending work.
pub(crate) struct Schedule {
    /// All resources.
    pub index: Index,
    /// The resources that wait for a reconcile.
    pub queue: Queue,
    active: AtomicBool,
    /// Uids of resources whose next reconcile must observe the role although the status is settled.
    suspects: Mutex<HashSet<String>>,
    edited: UnboundedSender<Key>,
    orphaned: UnboundedSender<Arc<StoredObject>>,
}

impl Schedule {
    /// At most `share` resources of one namespace are reconciled concurrently.
    pub(crate) fn new(index: Index, share: usize) -> (Self, SideEvents) {
        let (edited, edited_keys) = mpsc::unbounded();
        let (orphaned, orphans) = mpsc::unbounded();
        let active = AtomicBool::new(false);
        let (queue, suspects) = (Queue::new(share), Mutex::default());
        let schedule = Self { index, queue, active, suspects, edited, orphaned };
        (schedule, SideEvents { edited: edited_keys, orphaned: orphans })
    }

    /// Whether reconciles can act. Until all resources are known, the owner of a role is unknown. A standby leaves the
    /// resources to the leader.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Enables reconciles. All resources are reconciled in their current state, because earlier events had no effect.
    pub(crate) fn activate(&self) {
        self.active.store(true, Ordering::Relaxed);
        for resource in self.index.all() {
            self.reconcile(&resource);
        }
    }

    /// Records an event of the watch of `scope`, and schedules the resulting work. Returns the deleted resources.
    pub(crate) fn observe(
        &self,
        scope: &Scope,
        event: Event<StoredObject>,
    ) -> Vec<Arc<StoredObject>> {
        let Changes { changed, gone, concerned, unlisted } =
            self.index.observe(scope, event, Instant::now());
        let gone: Vec<_> = gone.into_iter().chain(unlisted).collect();
        for resource in &gone {
            self.queue.forget(&Key::of_object(resource));
            self.take_suspect(&resource.uid().unwrap_or_default());
            if is_orphaned(resource) {
                self.note_orphan(resource);
            }
        }
        if !self.is_active() {
            return gone;
        }
        if let Some(resource) = changed {
            self.reconcile(&resource);
        }
        for key in concerned {
            if let Some(resource) = self.index.get(&key) {
                self.observe_role(&resource);
            }
        }
        gone
    }

    /// Makes the next reconcile observe the role, even if the status is settled.
    pub(crate) fn observe_role(&self, resource: &StoredObject) {
        let uid = resource.uid().unwrap_or_default();
        self.suspects().insert(uid);
        self.reconcile(resource);
    }

    /// Schedules a reconcile, unless the resource is settled by then. An edit is acknowledged before a worker is free.
    pub(crate) fn reconcile(&self, resource: &StoredObject) {
        let key = Key::of_object(resource);
        if resource.0.as_ref().is_ok_and(lifecycle::is_edited) {
            // The receiver is dropped when the controller stops.
            let _ = self.edited.unbounded_send(key.clone());
        }
        // It just got its finalizer. Otherwise ten thousand resources would get their finalizers before the first got
        // its role.
        let position = match &resource.0 {
            Ok(resource) if lifecycle::is_new(resource) && lifecycle::has_finalizer(resource) => {
                Position::First
            }
            _ => Position::Last,
        };
        self.queue.add(key, position);
    }

    /// Records that the resource is or may be deleted although its role was not cleaned up. Only the leader acts on it.
    pub(crate) fn note_orphan(&self, resource: &Arc<StoredObject>) {
        if self.is_active() {
            // As above.
            let _ = self.orphaned.unbounded_send(Arc::clone(resource));
        }
    }

    /// Whether an observation was requested. Clears the request.
    pub(crate) fn take_suspect(&self, uid: &str) -> bool {
        self.suspects().remove(uid)
    }

    /// The current version of the resource, if it is the same object.
    pub(crate) fn latest(&self, resource: &RoleResource) -> Option<Arc<StoredObject>> {
        self.index.get(&Key::of(resource)).filter(|latest| latest.uid() == resource.uid())
    }

    fn suspects(&self) -> MutexGuard<'_, HashSet<String>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an object was deleted while our finalizer was on it. kube-apiserver permits this: a deletion checks for
/// finalizers first and deletes afterwards, whatever was added in between. Admission webhooks can extend that time
/// (`Store.Delete` in k8s.io/apiserver, pkg/registry/generic/registry).
pub(crate) fn is_orphaned(object: &StoredObject) -> bool {
    object.0.is_ok()
        && lifecycle::has_finalizer(object)
        && object.meta().deletion_timestamp.is_none()
}
