//! What is to be seen to: which resources wait for a reconcile, which of them need a look at their role although their
//! status seems settled, whose edit is to be announced, and which went without our leave.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;

use crate::api::PinpointEventStreamRole;

use super::index::{Heard, Index, Key};
use super::queue::{Place, Queue};
use super::{Guarded, announce, converge, settled, vanished};

/// What is to be seen to besides reconciles.
pub(super) struct Asides {
    /// Those whose edit is to be announced.
    pub edited: UnboundedReceiver<Key>,
    /// Those that are gone although their role was not dealt with.
    pub vanished: UnboundedReceiver<Arc<Guarded>>,
}

/// What is to be seen to.
pub(super) struct Schedule {
    /// All resources.
    pub index: Index,
    /// Those that wait for a reconcile.
    pub queue: Queue,
    works: AtomicBool,
    /// Uids of resources whose next reconcile must look at the role although the status seems settled.
    suspects: Mutex<HashSet<String>>,
    edited: UnboundedSender<Key>,
    vanished: UnboundedSender<Arc<Guarded>>,
}

impl Schedule {
    /// At most `share` resources of one namespace are reconciled at once.
    pub(super) fn new(index: Index, share: usize) -> (Self, Asides) {
        let (edited, edits) = mpsc::unbounded();
        let (vanished, gone) = mpsc::unbounded();
        let works = AtomicBool::new(false);
        let (queue, suspects) = (Queue::new(share), Mutex::default());
        let schedule = Self { index, queue, works, suspects, edited, vanished };
        (schedule, Asides { edited: edits, vanished: gone })
    }

    /// Whether reconciles are to do anything yet. Before all resources are known nobody can say whose role is
    /// whose, and who does not lead leaves them to the leader.
    pub(super) fn works(&self) -> bool {
        self.works.load(Ordering::Relaxed)
    }

    /// From now on reconciles work. All resources are reconciled as they are now: what was heard of them
    /// before was left alone.
    pub(super) fn begin(&self) {
        self.works.store(true, Ordering::Relaxed);
        for resource in self.index.all() {
            self.reconcile(&resource);
        }
    }

    /// Takes note of what the watch of `namespace` (`None`: of all) heard, and schedules what follows from it. Returns
    /// those that are gone.
    pub(super) fn hear(&self, namespace: Option<&str>, event: Event<Guarded>) -> Vec<Arc<Guarded>> {
        let Heard { changed, gone, concerned, unlisted } =
            self.index.hear(namespace, event, Instant::now());
        let gone: Vec<_> = gone.into_iter().chain(unlisted).collect();
        for resource in &gone {
            self.queue.forget(&Key::of(&**resource));
            self.take_suspect(&resource.uid().unwrap_or_default());
            if vanished::is_due(resource) {
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
    pub(super) fn look_at(&self, resource: &Guarded) {
        let uid = resource.uid().unwrap_or_default();
        self.suspects().insert(uid);
        self.reconcile(resource);
    }

    /// Has the resource reconciled, unless it is settled by then. An edit is announced before it has a worker.
    pub(super) fn reconcile(&self, resource: &Guarded) {
        let key = Key::of(resource);
        if resource.0.as_ref().is_ok_and(announce::is_due) {
            // The other end is gone when the controller is being stopped.
            let _ = self.edited.unbounded_send(key.clone());
        }
        // One that just got its finalizer: otherwise all of ten thousand got theirs before the first got its role.
        let place = match &resource.0 {
            Ok(resource) if converge::is_new(resource) && settled::is_guarded(resource) => {
                Place::First
            }
            _ => Place::Last,
        };
        self.queue.add(key, place);
    }

    /// The resource is or may be gone although its role was not dealt with, which concerns who works.
    pub(super) fn vanished(&self, resource: &Arc<Guarded>) {
        if self.works() {
            // As above.
            let _ = self.vanished.unbounded_send(Arc::clone(resource));
        }
    }

    /// Whether a look was asked for. It no longer is.
    pub(super) fn take_suspect(&self, uid: &str) -> bool {
        self.suspects().remove(uid)
    }

    /// The resource as it is now, if it is the same object.
    pub(super) fn latest(&self, resource: &PinpointEventStreamRole) -> Option<Arc<Guarded>> {
        self.index.get(&Key::of(resource)).filter(|latest| latest.uid() == resource.uid())
    }

    fn suspects(&self) -> MutexGuard<'_, HashSet<String>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
