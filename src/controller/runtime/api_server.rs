//! The connections to the Kubernetes API server. A connection can die silently, for example when a load balancer drops
//! the flow. Each request therefore has a deadline, and each watch ends after a short time and is renewed. The
//! watches, the Lease and everything else have separate connections, so that none waits for another's timeout.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::{Client, Config};
use tokio::time::{Instant, timeout};
use tower::{BoxError, Layer, Service};
use tower_http::timeout::ResponseBodyTimeoutLayer;
use tracing::{debug, info, warn};

/// The shortest wait after which a canceled request counts as a failure of the API server.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// The configured API server, whether it answers or not.
#[derive(Clone, Debug)]
pub struct ApiServer {
    config: Config,
    timeout: Duration,
    reach: Reach,
}

impl ApiServer {
    /// The API server of `config`. `timeout` bounds the time until an answer starts and the time of each further part.
    #[must_use]
    pub fn new(mut config: Config, timeout: Duration) -> Self {
        config.connect_timeout = Some(timeout);
        let reach = Reach { url: config.cluster_url.to_string().into(), state: Arc::default() };
        Self { config, timeout, reach }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.reach.url
    }

    /// A client with separate connections. A request fails when its answer takes too long to start or to continue.
    ///
    /// # Errors
    /// When the configuration is unusable, for example an unreadable certificate.
    pub fn client(&self) -> kube::Result<Client> {
        let service = ResponseBodyTimeoutLayer::new(self.timeout).layer(self.service()?);
        Ok(Client::new(service, &self.config.default_namespace))
    }

    /// As [`ApiServer::client`], but an answer can pause indefinitely, as the answer to a watch does.
    ///
    /// # Errors
    /// As those of [`ApiServer::client`].
    pub fn watching_client(&self) -> kube::Result<Client> {
        Ok(Client::new(self.service()?, &self.config.default_namespace))
    }

    fn service(&self) -> kube::Result<Bounded> {
        let client = Client::try_from(self.config.clone())?;
        Ok(Bounded { server: self.clone(), client, has_dead: Arc::default() })
    }
}

/// Whether the API server answers. Logs when it stops answering, and when it resumes.
#[derive(Clone, Debug)]
struct Reach {
    url: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    answered: Option<Instant>,
    away_since: Option<Instant>,
}

impl State {
    /// Records an answer. Returns the length of the outage, if the outage was logged.
    fn answer(&mut self, now: Instant) -> Option<Duration> {
        self.answered = Some(now);
        self.away_since.take().map(|since| now.saturating_duration_since(since))
    }

    /// Records that a request sent at `asked` had no answer. Returns whether to log that. The first answer is awaited
    /// at startup, which has its own log line. When another request was answered meanwhile, only a connection had died.
    fn fail(&mut self, asked: Instant) -> bool {
        let is_news =
            self.away_since.is_none() && self.answered.is_some_and(|answered| answered < asked);
        if is_news {
            self.away_since = Some(asked);
        }
        is_news
    }
}

impl Reach {
    fn answered(&self) {
        if let Some(away) = self.lock().answer(Instant::now()) {
            let seconds = away.as_secs();
            info!("the Kubernetes API server at {} answers again, after {seconds} s", self.url);
        }
    }

    fn failed(&self, asked: Instant, cause: &str) {
        if self.lock().fail(asked) {
            warn!("the Kubernetes API server at {} does not answer: {cause}. Retrying", self.url);
        } else {
            debug!("a request to the Kubernetes API server failed: {cause}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounds the time of each request and records its result.
struct Bounded {
    server: ApiServer,
    client: Client,
    /// Whether a connection died silently, so that others may have too.
    has_dead: Arc<AtomicBool>,
}

impl Service<Request<Body>> for Bounded {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The remaining pooled connections would make the next requests time out too.
        if self.has_dead.swap(false, Ordering::Relaxed)
            && let Ok(client) = Client::try_from(self.server.config.clone())
        {
            self.client = client;
        }
        let (client, has_dead) = (self.client.clone(), Arc::clone(&self.has_dead));
        let deadline = self.server.timeout;
        let mut asked =
            Asked { reach: self.server.reach.clone(), at: Instant::now(), is_open: true };
        Box::pin(async move {
            let answer = timeout(deadline, client.send(request)).await;
            asked.is_open = false;
            match answer {
                Ok(Ok(answer)) => {
                    asked.reach.answered();
                    Ok(answer)
                }
                Ok(Err(error)) => {
                    asked.reach.failed(asked.at, &innermost(&error));
                    Err(error.into())
                }
                Err(elapsed) => {
                    has_dead.store(true, Ordering::Relaxed);
                    asked.reach.failed(asked.at, &no_answer(deadline));
                    Err(elapsed.into())
                }
            }
        })
    }
}

/// The innermost cause is the useful one: "connection refused" instead of "client error".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn no_answer(waited: Duration) -> String {
    format!("no answer within {} s", waited.as_secs())
}

/// A request that waits for its answer.
struct Asked {
    reach: Reach,
    at: Instant,
    is_open: bool,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let waited = self.at.elapsed();
        if self.is_open && waited >= GIVEN_UP {
            self.reach.failed(self.at, &no_answer(waited));
        }
    }
}

/// The state of one watch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<Mutex<LastAnswer>>);

#[derive(Clone, Copy, Debug, Default)]
struct LastAnswer {
    at: Option<Instant>,
    is_denied: bool,
}

impl Pulse {
    /// `client`, which records each part of an answer here.
    pub(crate) fn of(&self, client: Client) -> Client {
        let pulse = self.clone();
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request| {
            let (client, pulse) = (client.clone(), pulse.clone());
            async move {
                let answer = client.send(request).await?;
                pulse.answered(answer.status());
                let noted = move |frame| {
                    pulse.beat();
                    frame
                };
                Ok::<_, kube::Error>(answer.map(|body| body.map_frame(noted)))
            }
        });
        Client::new(service, namespace)
    }

    /// The time since the last part of an answer; `None` while the API server denies the watch, and before its first
    /// answer.
    pub(crate) fn age(&self) -> Option<Duration> {
        let last = *self.lock();
        last.at.filter(|_| !last.is_denied).map(|at| at.elapsed())
    }

    /// Whether the API server denies it.
    pub(crate) fn is_denied(&self) -> bool {
        self.lock().is_denied
    }

    fn answered(&self, status: StatusCode) {
        let mut last = self.lock();
        last.is_denied = status == StatusCode::FORBIDDEN;
        if status.is_success() {
            last.at = Some(Instant::now());
        }
    }

    fn beat(&self) {
        self.lock().at = Some(Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, LastAnswer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_without_any_answer_meanwhile_means_an_unreachable_server() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::default();
        assert!(!state.fail(at(0)), "startup waits for the first answer, and reports that itself");
        assert_eq!(state.answer(at(1)), None);
        assert!(!state.fail(at(0)), "another was answered after this one was sent");
        assert!(state.fail(at(2)));
        assert!(!state.fail(at(3)), "it was said");
        assert_eq!(state.answer(at(9)), Some(Duration::from_secs(7)));
        assert_eq!(state.answer(at(10)), None, "once");
        assert!(!state.fail(at(8)));
        assert!(state.fail(at(11)), "again");
    }
}
