//! A reverse proxy in front of IAM. It records each call and can answer for IAM or withhold the answer. With a
//! [`Guard`] it denies what policies do not allow, as IAM would.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use futures::future::BoxFuture;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;

use crate::Error;
use crate::iam_policy::Guard;
use crate::query::{Call, error_answer, read_call};
use crate::server::Server;

/// A fault that replaces the forwarding of a call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// IAM is not called; the caller gets this error, in IAM's form.
    Answer {
        /// HTTP status.
        status: u16,
        /// IAM's code.
        code: String,
        /// IAM's message.
        message: String,
    },
    /// IAM is not called; the caller gets this body as a success.
    Body {
        /// The answer's XML.
        body: String,
    },
    /// IAM is not called; the caller gets a web page with this status, as from a proxy or firewall on the way.
    Page {
        /// HTTP status.
        status: u16,
    },
    /// IAM is not called, and the caller gets no answer.
    Hang,
    /// IAM is called, and the caller gets an error.
    AppliedThen500,
}

impl Fault {
    /// An error from IAM.
    #[must_use]
    pub fn answer(status: u16, code: &str, message: &str) -> Self {
        Self::Answer { status, code: code.into(), message: message.into() }
    }
}

#[derive(Debug)]
struct Rule {
    action: String,
    role: Option<String>,
    fault: Fault,
}

#[derive(Debug)]
struct Shared {
    upstream: String,
    guard: Option<Guard>,
    calls: watch::Sender<Vec<Call>>,
    times: Mutex<Option<(Instant, Instant)>>,
    sts_is_away: AtomicBool,
    sts_calls: AtomicUsize,
    /// Access keys that IAM does not know, and the number of calls rejected for them.
    unknown_keys: Mutex<BTreeSet<String>>,
    refused: AtomicUsize,
    rules: Mutex<Vec<Rule>>,
    after_write: OnceLock<Look>,
}

struct Look(Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>);

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Look")
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    server: Server,
}

impl Proxy {
    /// Starts a proxy in front of the endpoint at `upstream`. A call that `guard` denies is answered with
    /// `AccessDenied`, which takes precedence over any fault.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(upstream: &str, guard: Option<Guard>) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            guard,
            calls: watch::Sender::default(),
            times: Mutex::default(),
            sts_is_away: AtomicBool::new(false),
            sts_calls: AtomicUsize::new(0),
            unknown_keys: Mutex::default(),
            refused: AtomicUsize::new(0),
            rules: Mutex::default(),
            after_write: OnceLock::new(),
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answering = Arc::clone(&shared);
        let server = Server::of_requests(move |request| {
            let answer = handle(request, Arc::clone(&answering), client.clone());
            async move { Some(answer.await) }
        })
        .await?;
        Ok(Self { shared, server })
    }

    /// URL for clients of IAM.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// All calls so far, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.shared.calls.borrow().clone()
    }

    /// The times of the first and the last call.
    #[must_use]
    pub fn first_and_last_call(&self) -> Option<(Instant, Instant)> {
        *self.shared.times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The actions of all calls so far.
    #[must_use]
    pub fn actions(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.action).collect()
    }

    /// Resets the calls.
    pub fn forget_calls(&self) {
        self.shared.calls.send_modify(Vec::clear);
    }

    /// Returns after a call of this action.
    pub async fn saw(&self, action: &str) {
        let mut calls = self.shared.calls.subscribe();
        // The sender lives as long as we do.
        let _ = calls.wait_for(|calls| calls.iter().any(|call| call.action == action)).await;
    }

    /// From now on, calls of `action`, for `role` or for all roles, have this fault.
    pub fn inject(&self, action: &str, role: Option<&str>, fault: Fault) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Rule {
            action: action.into(),
            role: role.map(Into::into),
            fault,
        });
    }

    /// From now on, STS does not answer.
    pub fn without_sts(&self) {
        self.shared.sts_is_away.store(true, Ordering::Relaxed);
    }

    /// From now on, STS answers again.
    pub fn with_sts(&self) {
        self.shared.sts_is_away.store(false, Ordering::Relaxed);
    }

    /// The number of calls to STS.
    #[must_use]
    pub fn sts_calls(&self) -> usize {
        self.shared.sts_calls.load(Ordering::Relaxed)
    }

    /// From now on, IAM does not know this access key.
    pub fn forget_key(&self, access_key: &str) {
        let mut unknown = self.shared.unknown_keys.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.insert(access_key.into());
    }

    /// The number of calls signed with a key that IAM does not know.
    #[must_use]
    pub fn refused_calls(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// From now on, `look` runs after each forwarded write, before its caller is answered.
    pub fn after_each_write(
        &self,
        look: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        // Only the first one counts.
        let _ = self.shared.after_write.set(Look(Box::new(look)));
    }

    /// From now on, all calls are forwarded.
    pub fn heal(&self) {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Shared {
    /// Whether the request is signed with a key that IAM does not know.
    fn refuses(&self, head: &hyper::http::request::Parts) -> bool {
        let header = head.headers.get("authorization").and_then(|header| header.to_str().ok());
        let key = header.and_then(|header| header.split_once("Credential=")?.1.split('/').next());
        let unknown = self.unknown_keys.lock().unwrap_or_else(PoisonError::into_inner);
        let refuses = key.is_some_and(|key| unknown.contains(key));
        if refuses {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        refuses
    }

    fn fault(&self, call: &Call) -> Option<Fault> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules.iter().find(|rule| call.concerns(&rule.action, rule.role.as_deref()));
        rule.map(|rule| rule.fault.clone())
    }

    fn note(&self, call: Call) {
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        *times = Some(times.map_or((now, now), |(first, _)| (first, now)));
        self.calls.send_modify(|calls| calls.push(call));
    }
}

async fn handle(
    request: Request<Bytes>,
    shared: Arc<Shared>,
    client: Client<HttpConnector, Full<Bytes>>,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let call = read_call(&body);
    if call.is_to_sts() {
        shared.sts_calls.fetch_add(1, Ordering::Relaxed);
        if let Some(Fault::Body { body }) = shared.fault(&call) {
            return Response::new(Full::new(Bytes::from(body)));
        }
        if shared.sts_is_away.load(Ordering::Relaxed) {
            return error_answer(503, "ServiceUnavailable", "STS is unavailable");
        }
        let passed_on = pass_on(head, body, &shared, &client).await;
        return passed_on
            .unwrap_or_else(|error| error_answer(500, "ServiceFailure", &error.to_string()));
    }
    if shared.refuses(&head) {
        let words = "The security token included in the request is invalid.";
        return error_answer(403, "InvalidClientTokenId", words);
    }
    let fault = shared.fault(&call);
    let is_write = call.is_write();
    let objection = match &shared.guard {
        Some(guard) => guard.objection(&call).await,
        None => None,
    };
    shared.note(call);
    if let Some(objection) = objection {
        return error_answer(403, "AccessDenied", &objection);
    }
    match fault {
        Some(Fault::Answer { status, code, message }) => error_answer(status, &code, &message),
        Some(Fault::Body { body }) => Response::new(Full::new(Bytes::from(body))),
        Some(Fault::Page { status }) => page(status),
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::AppliedThen500) => {
            // The caller must not learn the result.
            let _ = pass_on(head, body, &shared, &client).await;
            error_answer(500, "ServiceFailure", "the answer was lost")
        }
        None => {
            let passed_on = pass_on(head, body, &shared, &client).await;
            if let (true, Some(look)) = (is_write, shared.after_write.get()) {
                (look.0)().await;
            }
            passed_on
                .unwrap_or_else(|error| error_answer(500, "ServiceFailure", &error.to_string()))
        }
    }
}

/// The page of a proxy or firewall.
fn page(status: u16) -> Response<Full<Bytes>> {
    let body =
        format!("<html><head><title>{status}</title></head><body>Not allowed<br></body></html>");
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    let html = hyper::header::HeaderValue::from_static("text/html");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, html);
    *answer.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::BAD_GATEWAY);
    answer
}

async fn pass_on(
    mut head: hyper::http::request::Parts,
    body: Bytes,
    shared: &Shared,
    client: &Client<HttpConnector, Full<Bytes>>,
) -> Result<Response<Full<Bytes>>, Error> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("{}{path}", shared.upstream).parse::<Uri>()?;
    let answer = client.request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, Full::new(body.collect().await?.to_bytes())))
}
