//! Events, sent by a task of their own and in their order, so that they never hold up a reconcile: in a burst
//! of a thousand new resources the roles come first and the telling follows.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use tokio::sync::mpsc;
use tracing::warn;

use super::CONTROLLER_NAME;

/// So many may wait; who has one more to tell waits too.
const WAITING: usize = 1024;

/// A recorder keeps what it told for some minutes, to count repetitions instead of telling them again. More
/// than so many are not kept: in a burst they are about as many different objects.
const REMEMBERED: usize = 1000;

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
pub(super) fn events(client: Client) -> (Events, impl Future<Output = ()> + Send) {
    let (sender, mut waiting) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
    let sending = async move {
        let fresh = || Recorder::new(client.clone(), Reporter::from(CONTROLLER_NAME));
        let (mut recorder, mut remembered) = (fresh(), 0);
        let mut said_denied = false;
        while let Some((event, object)) = waiting.recv().await {
            if remembered == REMEMBERED {
                (recorder, remembered) = (fresh(), 0);
            }
            remembered += 1;
            match recorder.publish(&event, &object).await {
                Ok(()) => {}
                // Every event would say so, and the controller works without.
                Err(kube::Error::Api(answer)) if answer.is_forbidden() => {
                    if !std::mem::replace(&mut said_denied, true) {
                        warn!("cannot write events, and says so only once: {}", answer.message);
                    }
                }
                Err(error) => {
                    let (namespace, name) = (object.namespace.as_deref(), object.name.as_deref());
                    warn!(namespace, name, "cannot write the event {}: {error}", event.reason);
                }
            }
        }
    };
    (Events(sender), sending)
}
