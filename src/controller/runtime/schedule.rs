//! What is to be seen to: which resources wait for a reconcile, which of them need a look at their role although their
//! status seems settled, whose edit is to be announced, and which went without our leave.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::runtime::watcher::Event;
use kube::{Resource as _, ResourceExt as _};
use tokio::time::Instant;

use crate::api::RoleResource;

use super::super::index::{Heard, Index, Key, Scope, StoredObject};
use super::super::lifecycle;
use super::queue::{Place, Queue};

/// What is to be seen to besides reconciles.
pub(crate) struct Asides {
    /// Those whose edit is to be announced.
    pub edited: UnboundedReceiver<Key>,
    /// Those that are gone although their role was not dealt with.
    pub vanished: UnboundedReceiver<Arc<StoredObject>>,
}

/// What is to be seen to.
pub(crate) struct Schedule {
    /// All resources.
    pub index: Index,
    /// Those that wait for a reconcile.
    pub queue: Queue,
    works: AtomicBool,
    /// Uids of resources whose next reconcile must look at the role although the status seems settled.
    suspects: Mutex<HashSet<String>>,
    edited: UnboundedSender<Key>,
    vanished: UnboundedSender<Arc<StoredObject>>,
}

impl Schedule {
    /// At most `share` resources of one namespace are reconciled at once.
    pub(crate) fn new(index: Index, share: usize) -> (Self, Asides) {
        let (edited, edits) = mpsc::unbounded();
        let (vanished, gone) = mpsc::unbounded();
        let works = AtomicBool::new(false);
        let (queue, suspects) = (Queue::new(share), Mutex::default());
        let schedule = Self { index, queue, works, suspects, edited, vanished };
        (schedule, Asides { edited: edits, vanished: gone })
    }

    /// Whether reconciles are to do anything yet. Before all resources are known nobody can say whose role is
    /// whose, and who does not lead leaves them to the leader.
    pub(crate) fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// From now on reconciles work. All resources are reconciled as they are now: what was heard of them
    /// before was left alone.
    pub(crate) fn begin(&self) {
        self.works.store(true, Ordering::Relaxed);
        for resource in self.index.all() {
            self.reconcile(&resource);
        }
    }

    /// Takes note of what the watch of `scope` heard, and schedules what follows from it. Returns those that are gone.
    pub(crate) fn hear(&self, scope: &Scope, event: Event<StoredObject>) -> Vec<Arc<StoredObject>> {
        let Heard { changed, gone, concerned, unlisted } =
            self.index.hear(scope, event, Instant::now());
        let gone: Vec<_> = gone.into_iter().chain(unlisted).collect();
        for resource in &gone {
            self.queue.forget(&Key::of_object(resource));
            self.take_suspect(&resource.uid().unwrap_or_default());
            if is_orphaned(resource) {
                self.vanished(resource);
            }
        }
        if !self.works() {
            return gone;
        }
        if let Some(resource) = changed {
            self.reconcile(&resource);
        }
        for key in concerned {
            if let Some(resource) = self.index.get(&key) {
                self.look_at(&resource);
            }
        }
        gone
    }

    /// Has the role of the resource looked at, even if its status seems settled.
    pub(crate) fn look_at(&self, resource: &StoredObject) {
        let uid = resource.uid().unwrap_or_default();
        self.suspects().insert(uid);
        self.reconcile(resource);
    }

    /// Has the resource reconciled, unless it is settled by then. An edit is announced before it has a worker.
    pub(crate) fn reconcile(&self, resource: &StoredObject) {
        let key = Key::of_object(resource);
        if resource.0.as_ref().is_ok_and(lifecycle::is_edited) {
            // The other end is gone when the controller is being stopped.
            let _ = self.edited.unbounded_send(key.clone());
        }
        // One that just got its finalizer: otherwise all of ten thousand got theirs before the first got its role.
        let place = match &resource.0 {
            Ok(resource) if lifecycle::is_new(resource) && lifecycle::has_finalizer(resource) => {
                Place::First
            }
            _ => Place::Last,
        };
        self.queue.add(key, place);
    }

    /// The resource is or may be gone although its role was not dealt with, which concerns who works.
    pub(crate) fn vanished(&self, resource: &Arc<StoredObject>) {
        if self.works() {
            // As above.
            let _ = self.vanished.unbounded_send(Arc::clone(resource));
        }
    }

    /// Whether a look was asked for. It no longer is.
    pub(crate) fn take_suspect(&self, uid: &str) -> bool {
        self.suspects().remove(uid)
    }

    /// The resource as it is now, if it is the same object.
    pub(crate) fn latest(&self, resource: &RoleResource) -> Option<Arc<StoredObject>> {
        self.index.get(&Key::of(resource)).filter(|latest| latest.uid() == resource.uid())
    }

    fn suspects(&self) -> MutexGuard<'_, HashSet<String>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an object that is gone went although our finalizer was on it. kube-apiserver lets that happen: a deletion looks
/// for finalizers first and deletes afterwards, whatever was added in between, and admission webhooks can make that long
/// (`Store.Delete` in k8s.io/apiserver, pkg/registry/generic/registry).
pub(crate) fn is_orphaned(object: &StoredObject) -> bool {
    object.0.is_ok()
        && lifecycle::has_finalizer(object)
        && object.meta().deletion_timestamp.is_none()
}
