//! Events, sent by a task of their own and in their order, so that they never hold up a reconcile: in a burst
//! of a thousand new resources the roles come first and the telling follows.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, Recorder};
use tokio::sync::mpsc;
use tracing::warn;

/// So many may wait; who has one more to tell waits too.
const WAITING: usize = 1024;

/// Where events are handed in.
pub(super) struct Events(mpsc::Sender<(Event, ObjectReference)>);

impl Events {
    /// Has `event` told of the object.
    pub(super) async fn tell(&self, event: Event, object: ObjectReference) {
        // The other end goes only after all that could tell something.
        let _ = self.0.send((event, object)).await;
    }
}

/// The place to hand events in, and the work of sending them, which ends once that place is gone.
pub(super) fn events(recorder: Recorder) -> (Events, impl Future<Output = ()> + Send) {
    let (sender, mut waiting) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
    let sending = async move {
        while let Some((event, object)) = waiting.recv().await {
            if let Err(error) = recorder.publish(&event, &object).await {
                let (namespace, name) = (object.namespace.as_deref(), object.name.as_deref());
                warn!(namespace, name, "cannot write the event {}: {error}", event.reason);
            }
        }
    };
    (Events(sender), sending)
}
