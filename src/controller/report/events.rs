//! Events, sent in order by a separate task, so that they never delay a reconcile: in a burst of a thousand new
//! resources the roles come first and the events follow. When the API server is too slow, surplus events are dropped
//! and counted; the status has the same information.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use crate::api::CONTROLLER_NAME;
use crate::telemetry::Metrics;

/// The most events that can wait.
const WAITING: usize = 1024;

/// A recorder keeps recent events for some minutes, to count repetitions instead of sending them again. This bounds
/// their number: in a burst they are about as many different objects.
const REMEMBERED: usize = 1000;

/// The queue for events.
pub(crate) struct Events {
    waiting: mpsc::Sender<(Event, ObjectReference)>,
    metrics: Arc<Metrics>,
}

impl Events {
    /// Sends `event` about the object, unless too many events wait already.
    pub(crate) fn send(&self, event: Event, object: ObjectReference) {
        if self.waiting.try_send((event, object)).is_err() {
            self.metrics.event_dropped();
        }
    }
}

/// The queue for events and the task that sends them. Each event can take as long as `patience`. The task ends once the
/// queue is dropped.
pub(crate) fn events(
    client: Client,
    metrics: Arc<Metrics>,
    patience: Duration,
) -> (Events, impl Future<Output = ()> + Send) {
    let (sender, mut waiting) = mpsc::channel::<(Event, ObjectReference)>(WAITING);
    let events = Events { waiting: sender, metrics: Arc::clone(&metrics) };
    let sending = async move {
        let fresh = || Recorder::new(client.clone(), Reporter::from(CONTROLLER_NAME));
        let (mut recorder, mut remembered) = (fresh(), 0);
        let mut said_denied = false;
        while let Some((event, object)) = waiting.recv().await {
            if remembered == REMEMBERED {
                (recorder, remembered) = (fresh(), 0);
            }
            remembered += 1;
            let problem = match timeout(patience, recorder.publish(&event, &object)).await {
                Ok(Ok(())) => continue,
                // Every further event would fail the same way, and the controller works without events.
                Ok(Err(kube::Error::Api(answer))) if answer.is_forbidden() => {
                    if !std::mem::replace(&mut said_denied, true) {
                        warn!("cannot record events (logged once): {}", answer.message);
                    }
                    metrics.event_dropped();
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {patience:?}"),
            };
            metrics.event_dropped();
            let (namespace, name) = (object.namespace.as_deref(), object.name.as_deref());
            warn!(namespace, name, "cannot record the event {}: {problem}", event.reason);
        }
    };
    (events, sending)
}

#[cfg(test)]
mod tests {
    use kube::runtime::events::EventType;

    use super::*;

    #[test]
    fn an_event_beyond_the_buffer_is_dropped_and_counted() {
        let (waiting, _unread) = mpsc::channel(2);
        let events = Events { waiting, metrics: Arc::default() };
        for _ in 0..5 {
            let event = Event {
                type_: EventType::Normal,
                reason: "Created".into(),
                note: None,
                action: "Create".into(),
                secondary: None,
            };
            events.send(event, ObjectReference::default());
        }
        let text = events.metrics.encode();
        assert!(text.contains("streamrole_events_dropped_total 3"), "{text}");
    }
}
