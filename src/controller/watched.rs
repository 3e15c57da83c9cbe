//! The resources as they are watched: all of them in memory, and a way to have one looked at.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use kube::ResourceExt as _;
use kube::runtime::reflector::{self, ObjectRef, Store};

use crate::api::PinpointEventStreamRole;

use super::queue::Queue;
use super::{Guarded, announce};

/// What one watch needs: where it puts what it hears, and who asks for a reconcile besides it.
pub(super) struct Feed {
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
    pub resources: Store<Guarded>,
    pub writer: reflector::store::Writer<Guarded>,
    pub asked: UnboundedReceiver<ObjectRef<Guarded>>,
}

/// What is to be seen to besides reconciles.
pub(super) struct Asides {
    /// Those whose edit is to be announced.
    pub edited: UnboundedReceiver<ObjectRef<Guarded>>,
    /// Those that went without our leave.
    pub vanished: UnboundedReceiver<PinpointEventStreamRole>,
}

struct Scope {
    namespace: Option<String>,
    resources: Store<Guarded>,
    reconcile: UnboundedSender<ObjectRef<Guarded>>,
}

/// All watched resources, over all watches.
pub(super) struct Watched {
    scopes: Vec<Scope>,
    works: AtomicBool,
    /// Uids of resources whose next reconcile must look at the role although the status seems settled.
    suspects: Mutex<HashSet<String>>,
    edited: UnboundedSender<ObjectRef<Guarded>>,
    vanished: UnboundedSender<PinpointEventStreamRole>,
    /// Those that wait for a worker.
    pub queue: Queue,
}

impl Watched {
    /// One watch for each of `namespaces`, or one for all when there are none.
    pub(super) fn new(namespaces: &[String]) -> (Self, Vec<Feed>, Asides) {
        let all = [None];
        let named: Vec<_> = namespaces.iter().cloned().map(Some).collect();
        let (scopes, feeds) = if named.is_empty() { all.as_slice() } else { named.as_slice() }
            .iter()
            .map(|namespace| {
                let (resources, writer) = reflector::store();
                let (reconcile, asked) = mpsc::unbounded();
                let feed = Feed {
                    namespace: namespace.clone(),
                    resources: resources.clone(),
                    writer,
                    asked,
                };
                (Scope { namespace: namespace.clone(), resources, reconcile }, feed)
            })
            .unzip();
        let (suspects, queue) = Default::default();
        let (edited, edits) = mpsc::unbounded();
        let (vanished, gone) = mpsc::unbounded();
        let works = AtomicBool::new(false);
        let watched = Self { scopes, works, suspects, edited, vanished, queue };
        (watched, feeds, Asides { edited: edits, vanished: gone })
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
        for resource in self.all() {
            self.reconcile(&resource);
        }
    }

    /// Every resource.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Guarded>> {
        self.scopes.iter().flat_map(|scope| scope.resources.state())
    }

    /// Whether what is not found in this namespace does not exist.
    pub(super) fn sees(&self, namespace: &str) -> bool {
        self.scope(namespace).is_some()
    }

    /// The resource of this namespace and name.
    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Guarded>> {
        self.scope(namespace)?.resources.get(&ObjectRef::new(name).within(namespace))
    }

    /// Has the resource looked at, even if its status seems settled.
    pub(super) fn look_at(&self, resource: &Guarded) {
        let uid = resource.uid().unwrap_or_default();
        self.suspects().insert(uid);
        self.reconcile(resource);
    }

    /// Has the resource reconciled, unless it is settled by then.
    pub(super) fn reconcile(&self, resource: &Guarded) {
        let namespace = resource.namespace().unwrap_or_default();
        if let Some(scope) = self.scope(&namespace) {
            let waiting = self.wait(resource);
            // The other end is gone when the controller is being stopped.
            let _ = scope.reconcile.unbounded_send(waiting);
        }
    }

    /// From now on the resource waits for a worker. An edit is announced before it has one.
    pub(super) fn wait(&self, resource: &Guarded) -> ObjectRef<Guarded> {
        let waiting = ObjectRef::from_obj(resource);
        self.queue.enter(&waiting);
        if resource.0.as_ref().is_ok_and(announce::is_due) {
            // As above.
            let _ = self.edited.unbounded_send(waiting.clone());
        }
        waiting
    }

    /// The resource may be gone without our leave, which concerns who works.
    pub(super) fn vanished(&self, resource: &PinpointEventStreamRole) {
        if self.works() {
            // As above.
            let _ = self.vanished.unbounded_send(resource.clone());
        }
    }

    /// Whether a look was asked for. It no longer is.
    pub(super) fn take_suspect(&self, uid: &str) -> bool {
        self.suspects().remove(uid)
    }

    fn suspects(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.suspects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn scope(&self, namespace: &str) -> Option<&Scope> {
        let watches =
            |scope: &&Scope| scope.namespace.as_deref().is_none_or(|watched| watched == namespace);
        self.scopes.iter().find(watches)
    }
}
