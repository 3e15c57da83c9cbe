//! Watches the resources, updates the index from the watches, and tracks the state of each watch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use crate::api::Kind;
use crate::timing::Timing;

use super::super::index::{Scope, StoredObject};
use super::api_server::{Pulse, innermost};
use super::schedule::Schedule;
use super::stop::stopped;

/// Resources per page of a list, where the API server does not stream it. A page is kept in memory, including the parts
/// that the index drops, and each object can be as large as the API server allows.
const LIST_PAGE: u32 = 10;

/// The watches of all kinds in all watched namespaces.
pub(crate) struct Watches {
    all: Vec<Watch>,
    silence: Duration,
}

/// A watch of one kind, in one namespace or in all.
pub(crate) struct Watch {
    kind: &'static Kind,
    scope: Scope,
    /// Whether it is the only watch of its kind, so that the controller depends on it.
    is_only: bool,
    length: Duration,
    pulse: Pulse,
}

impl Watches {
    /// The watches of these kinds in these namespaces; in all namespaces when there are none.
    pub(crate) fn of(kinds: &[&'static Kind], namespaces: &[String], timing: &Timing) -> Self {
        let is_only = namespaces.len() < 2;
        let scopes: Vec<Option<Arc<str>>> = if namespaces.is_empty() {
            vec![None]
        } else {
            namespaces.iter().map(|namespace| Some(namespace.as_str().into())).collect()
        };
        let watch = |kind: &'static Kind, namespace: &Option<Arc<str>>| Watch {
            kind,
            scope: Scope { kind: kind.name, namespace: namespace.clone() },
            is_only,
            length: timing.watch_length,
            pulse: Pulse::default(),
        };
        let all = kinds.iter().flat_map(|kind| scopes.iter().map(|scope| watch(kind, scope)));
        Self { all: all.collect(), silence: timing.watch_silence }
    }

    /// All watches.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Watch> {
        self.all.iter()
    }

    /// The longest time since a watch delivered anything. Excludes watches that the API server denies.
    pub(crate) fn age(&self) -> Duration {
        self.iter().filter_map(|watch| watch.pulse.age()).max().unwrap_or_default()
    }

    /// The number of watched namespaces in which the API server denies a kind.
    pub(crate) fn denied(&self) -> usize {
        namespaces(self.iter().filter(|watch| watch.pulse.is_denied()))
    }

    /// The problem that prevents the controller from observing its resources, if any.
    pub(crate) fn problem(&self) -> Option<String> {
        problem(self.age(), self.silence, self.denied(), namespaces(self.iter()))
    }
}

/// The number of distinct scopes; all namespaces together are one.
fn namespaces<'a>(watches: impl Iterator<Item = &'a Watch>) -> usize {
    watches.map(|watch| &watch.scope.namespace).collect::<BTreeSet<_>>().len()
}

/// As [`Watches::problem`]. A denied namespace does not block the others.
fn problem(age: Duration, silence: Duration, denied: usize, all: usize) -> Option<String> {
    if denied == all {
        return Some("the Kubernetes API server denies the watch".into());
    }
    let seconds = age.as_secs();
    (age > silence).then(|| format!("nothing came from the Kubernetes API server for {seconds} s"))
}

impl Watch {
    /// Watches with `client` until the process stops, and passes each deleted object to `on_gone`. Signals once that
    /// all resources are listed, or that the API server denies the list for one of several namespaces.
    pub(crate) async fn run(
        &self,
        schedule: &Schedule,
        client: Client,
        on_gone: impl Fn(&StoredObject),
        listed: oneshot::Sender<()>,
        stop: watch::Receiver<bool>,
    ) {
        let client = self.pulse.of(client);
        let api: Api<StoredObject> = match &self.scope.namespace {
            None => Api::all_with(client, &self.kind),
            Some(namespace) => Api::namespaced_with(client, namespace, &self.kind),
        };
        let mut log = WatchLog { watch: self, listed: Some(listed), said: None };
        // In whole seconds, as the API server requires.
        let length = u32::try_from(self.length.as_secs()).unwrap_or(u32::MAX).max(1);
        let config = watcher::Config::default().timeout(length);
        let streaming = config.clone().streaming_lists();
        let on_event = |event| {
            for gone in schedule.observe(&self.scope, event) {
                on_gone(&gone);
            }
        };
        if !self.consume(&on_event, api.clone(), streaming, &mut log, stop.clone()).await {
            self.consume(&on_event, api, config.page_size(LIST_PAGE), &mut log, stop).await;
        }
    }

    /// Processes the events of the watch until the process stops. Returns false when the API server does not stream
    /// lists, or does not complete one within the length of a watch.
    async fn consume(
        &self,
        on_event: impl Fn(watcher::Event<StoredObject>),
        api: Api<StoredObject>,
        config: watcher::Config,
        log: &mut WatchLog<'_>,
        stop: watch::Receiver<bool>,
    ) -> bool {
        let streams = config.initial_list_strategy == watcher::InitialListStrategy::StreamingList;
        let events = watcher(api, config).default_backoff().take_until(stopped(stop));
        let mut events = std::pin::pin!(events);
        let mut is_listing = false;
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) if streams && is_refused(&error) => {
                    debug!("lists come in pages: {error}");
                    return false;
                }
                Err(error) => {
                    log.failed(&error);
                    continue;
                }
            };
            let is_begun = matches!(event, watcher::Event::Init);
            if streams && is_begun && is_listing {
                debug!("lists come in pages: one did not come whole in {:?}", self.length);
                return false;
            }
            let is_listed = matches!(event, watcher::Event::InitDone);
            is_listing = (is_listing || is_begun) && !is_listed;
            on_event(event);
            log.succeeded(is_listed);
        }
        true
    }

    /// The plural of the kind, and the namespace.
    fn place(&self) -> String {
        match &self.scope.namespace {
            None => format!("{}s in all namespaces", self.kind.name),
            Some(namespace) => format!("{}s in namespace {namespace}", self.kind.name),
        }
    }
}

/// Whether the API server rejects the request as such, and not only temporarily.
fn is_refused(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(answer)) = error else { return false };
    matches!(answer.code, 400 | 405 | 422)
}

/// The last report about a watch.
struct WatchLog<'a> {
    watch: &'a Watch,
    listed: Option<oneshot::Sender<()>>,
    /// The last logged failure.
    said: Option<String>,
}

impl WatchLog<'_> {
    fn succeeded(&mut self, is_listed: bool) {
        if self.said.take().is_some() {
            info!("watching {} again", self.watch.place());
        }
        if is_listed {
            self.tell();
        }
    }

    /// Logs an answer of the API server once. A missing answer is logged once for all requests.
    fn failed(&mut self, error: &watcher::Error) {
        let place = self.watch.place();
        let Some(said) = answer(error).map(str::to_owned) else {
            debug!("the watch {place} was interrupted: {}", innermost(error));
            return;
        };
        if self.said.as_ref() != Some(&said) {
            let others = if self.watch.is_only { "" } else { " Other namespaces are served." };
            warn!("cannot watch {place}: {said}.{others} Retrying");
            self.said = Some(said);
        }
        if self.watch.pulse.is_denied() && !self.watch.is_only {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if let Some(listed) = self.listed.take() {
            // The receiver is dropped when the process stops.
            let _ = listed.send(());
        }
    }
}

/// The API server's answer, if there was one.
fn answer(error: &watcher::Error) -> Option<&str> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(answer))
        | watcher::Error::WatchStartFailed(kube::Error::Api(answer))
        | watcher::Error::WatchFailed(kube::Error::Api(answer))
        | watcher::Error::WatchError(answer) => Some(&answer.message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_mins(1);

    #[test]
    fn silence_makes_the_controller_unready_but_one_denied_namespace_does_not() {
        let problem = |age, denied, all| problem(Duration::from_secs(age), SILENCE, denied, all);
        assert_eq!(problem(60, 0, 1), None);
        assert!(problem(61, 0, 1).is_some_and(|why| why.contains("61 s")));
        assert_eq!(problem(1, 1, 2), None);
        assert!(problem(61, 1, 2).is_some());
        assert!(problem(0, 2, 2).is_some_and(|why| why.contains("denies")));
    }
}
