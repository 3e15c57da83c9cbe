//! Watches the resources, keeps the index as they tell, and knows how each watch is going.

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

/// Resources on one page of a list, where the API server does not stream it. A page is held whole, with all that is
/// dropped before the index, and each object can be as large as the API server allows.
const LIST_PAGE: u32 = 10;

/// The watches of all kinds in all watched namespaces.
pub(crate) struct Watches {
    all: Vec<Watch>,
    silence: Duration,
}

/// A watch of one kind in one namespace, or in all.
pub(crate) struct Watch {
    kind: &'static Kind,
    scope: Scope,
    /// Whether it is its kind's only one, so that the controller can do nothing without it.
    is_only: bool,
    length: Duration,
    pulse: Pulse,
}

impl Watches {
    /// Of these kinds in these namespaces, or in all when there are none.
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

    /// Each watch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Watch> {
        self.all.iter()
    }

    /// For how long nothing came on the one that was silent longest, of those that the API server allows.
    pub(crate) fn age(&self) -> Duration {
        self.iter().filter_map(|watch| watch.pulse.age()).max().unwrap_or_default()
    }

    /// How many the API server denies.
    pub(crate) fn denied(&self) -> usize {
        self.iter().filter(|watch| watch.pulse.is_denied()).count()
    }

    /// What keeps the controller from seeing its resources, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        problem(self.age(), self.silence, self.denied(), self.all.len())
    }
}

/// As [`Watches::problem`]. Namespaces that are denied do not make the others wait.
fn problem(age: Duration, silence: Duration, denied: usize, all: usize) -> Option<String> {
    if denied == all {
        return Some("the Kubernetes API server denies the watch".into());
    }
    let seconds = age.as_secs();
    (age > silence).then(|| format!("nothing came from the Kubernetes API server for {seconds} s"))
}

impl Watch {
    /// Watches with `client` until it is stopped, and hands each object that is gone to `on_gone`. Tells once when all
    /// resources have been listed, or when the API server denies that for one namespace of several.
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
        let mut told = Told { watch: self, listed: Some(listed), said: None };
        // In whole seconds, as the API server takes it.
        let length = u32::try_from(self.length.as_secs()).unwrap_or(u32::MAX).max(1);
        let config = watcher::Config::default().timeout(length);
        let streaming = config.clone().streaming_lists();
        let heard = |event| {
            for gone in schedule.hear(&self.scope, event) {
                on_gone(&gone);
            }
        };
        if !self.hear(&heard, api.clone(), streaming, &mut told, stop.clone()).await {
            self.hear(&heard, api, config.page_size(LIST_PAGE), &mut told, stop).await;
        }
    }

    /// Hears what the watch says until it is stopped. False when the API server does not stream lists, or not a whole
    /// one while a watch lasts.
    async fn hear(
        &self,
        heard: impl Fn(watcher::Event<StoredObject>),
        api: Api<StoredObject>,
        config: watcher::Config,
        told: &mut Told<'_>,
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
                    told.failed(&error);
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
            heard(event);
            told.works(is_listed);
        }
        true
    }

    /// The plural of the kind, and where.
    fn place(&self) -> String {
        match &self.scope.namespace {
            None => format!("{}s in all namespaces", self.kind.name),
            Some(namespace) => format!("{}s in namespace {namespace}", self.kind.name),
        }
    }
}

/// Whether the API server does not take the request as it is, rather than not now.
fn is_refused(error: &watcher::Error) -> bool {
    let watcher::Error::WatchStartFailed(kube::Error::Api(answer)) = error else { return false };
    matches!(answer.code, 400 | 405 | 422)
}

/// What a watch has told of itself.
struct Told<'a> {
    watch: &'a Watch,
    listed: Option<oneshot::Sender<()>>,
    /// What the log says of its failure.
    said: Option<String>,
}

impl Told<'_> {
    fn works(&mut self, is_listed: bool) {
        if self.said.take().is_some() {
            info!("watching {} again", self.watch.place());
        }
        if is_listed {
            self.tell();
        }
    }

    /// Says an answer of the API server once. That there is none is said for all requests together.
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
            // The other end is gone when the process is being stopped.
            let _ = listed.send(());
        }
    }
}

/// What the API server answered, if it did.
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
    fn silence_makes_the_controller_not_ready_and_one_denied_namespace_of_several_does_not() {
        let problem = |age, denied, all| problem(Duration::from_secs(age), SILENCE, denied, all);
        assert_eq!(problem(60, 0, 1), None);
        assert!(problem(61, 0, 1).is_some_and(|why| why.contains("61 s")));
        assert_eq!(problem(1, 1, 2), None);
        assert!(problem(61, 1, 2).is_some());
        assert!(problem(0, 2, 2).is_some_and(|why| why.contains("denies")));
    }
}
