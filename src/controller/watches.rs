//! Watches the resources, keeps the index as they tell, and knows how each watch is going.

use std::time::Duration;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::api_server::Pulse;
use super::preflight::innermost;
use super::{Context, Guarded, stopped, vanished};

/// How long a watch lasts, in seconds. One that the API server does not end by then, and that tells nothing for 5 s
/// more, is given up: so long the controller is blind at most, where a connection dies in silence.
const LENGTH: u32 = 30;
/// After how much silence the controller says that it is not ready.
const SILENCE: Duration = Duration::from_mins(1);
/// Resources on one page of a list, where the API server does not stream it. A page is held whole, with all that is
/// dropped before the index, and each object can be as large as the API server allows.
const LIST_PAGE: u32 = 10;

/// The watches of all watched namespaces.
pub(super) struct Watches(Vec<Watch>);

/// A watch of one namespace, or of all.
pub(super) struct Watch {
    namespace: Option<String>,
    /// Whether it is the only one, so that the controller can do nothing without it.
    is_only: bool,
    pulse: Pulse,
}

impl Watches {
    /// Of these namespaces, or of all when there are none.
    pub(super) fn of(namespaces: &[String]) -> Self {
        let is_only = namespaces.len() < 2;
        let watch = |namespace| Watch { namespace, is_only, pulse: Pulse::default() };
        if namespaces.is_empty() {
            return Self(vec![watch(None)]);
        }
        Self(namespaces.iter().cloned().map(Some).map(watch).collect())
    }

    /// Each watch.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Watch> {
        self.0.iter()
    }

    /// For how long nothing came on the one that was silent longest, of those that the API server allows.
    pub(super) fn age(&self) -> Duration {
        self.iter().filter_map(|watch| watch.pulse.age()).max().unwrap_or_default()
    }

    /// How many the API server denies.
    pub(super) fn denied(&self) -> usize {
        self.iter().filter(|watch| watch.pulse.is_denied()).count()
    }

    /// What keeps the controller from seeing its resources, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        problem(self.age(), self.denied(), self.0.len())
    }
}

/// As [`Watches::problem`]. Namespaces that are denied do not make the others wait.
fn problem(age: Duration, denied: usize, all: usize) -> Option<String> {
    if denied == all {
        return Some("the Kubernetes API server denies the watch".into());
    }
    let seconds = age.as_secs();
    (age > SILENCE).then(|| format!("nothing came from the Kubernetes API server for {seconds} s"))
}

impl Watch {
    /// Watches with `client` until it is stopped. Tells once when all resources have been listed, or when the API
    /// server denies that for one namespace of several.
    pub(super) async fn run(
        &self,
        context: &Context,
        client: Client,
        listed: oneshot::Sender<()>,
        stop: watch::Receiver<bool>,
    ) {
        let client = self.pulse.of(client);
        let api: Api<Guarded> = match &self.namespace {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        };
        let mut told = Told { watch: self, listed: Some(listed), said: None };
        let config = watcher::Config::default().timeout(LENGTH);
        let streaming = config.clone().streaming_lists();
        if !self.hear(context, api.clone(), streaming, &mut told, stop.clone()).await {
            self.hear(context, api, config.page_size(LIST_PAGE), &mut told, stop).await;
        }
    }

    /// Hears what the watch says until it is stopped. False when the API server does not stream lists, or not a whole
    /// one while a watch lasts.
    async fn hear(
        &self,
        context: &Context,
        api: Api<Guarded>,
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
                debug!("lists come in pages: one did not come whole in {LENGTH} s");
                return false;
            }
            let is_listed = matches!(event, watcher::Event::InitDone);
            is_listing = (is_listing || is_begun) && !is_listed;
            for gone in context.schedule.hear(self.namespace.as_deref(), event) {
                context.forget(&gone);
                vanished::tell_if_unexpected(context, &gone);
            }
            told.works(is_listed);
        }
        true
    }

    fn place(&self) -> String {
        match &self.namespace {
            None => "in all namespaces".into(),
            Some(namespace) => format!("in namespace {namespace}"),
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
            info!("watches PinpointEventStreamRoles {} again", self.watch.place());
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
            warn!("cannot watch PinpointEventStreamRoles {place}: {said}.{others} Retrying");
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

    #[test]
    fn silence_makes_the_controller_not_ready_and_one_denied_namespace_of_several_does_not() {
        let seconds = Duration::from_secs;
        assert_eq!(problem(seconds(60), 0, 1), None);
        assert!(problem(seconds(61), 0, 1).is_some_and(|why| why.contains("61 s")));
        assert_eq!(problem(seconds(1), 1, 2), None);
        assert!(problem(seconds(61), 1, 2).is_some());
        assert!(problem(seconds(0), 2, 2).is_some_and(|why| why.contains("denies")));
    }
}
