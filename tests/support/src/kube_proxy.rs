//! A reverse proxy in front of the API server that can hold requests, as a hanging webhook or an overloaded server
//! does. It uses the permissions of the controller's service account.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST};
use hyper::{Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;

use crate::Error;
use crate::server::Server;
use crate::stack::{Stack, client_of};

/// Requests with this method whose path contains this text.
#[derive(Clone, Debug)]
struct Rule {
    method: String,
    part: String,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    /// The number of held requests.
    held: usize,
    /// Path and status of each answer to a held request.
    answers: Vec<(String, u16)>,
}

impl State {
    fn holds(&self, method: &str, path: &str) -> bool {
        self.rules.iter().any(|rule| rule.method == method && path.contains(&rule.part))
    }
}

/// A running proxy.
#[derive(Debug)]
pub struct KubeProxy {
    kubeconfig: PathBuf,
    state: Arc<watch::Sender<State>>,
    #[expect(dead_code, reason = "held so that it ends with the proxy")]
    server: Server,
}

impl KubeProxy {
    /// Starts a proxy in front of the stack's API server; after [`Stack::install`].
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(stack: &Stack) -> Result<Self, Error> {
        let client = client_of(&stack.controller_kubeconfig()).await?;
        let state = Arc::new(watch::Sender::<State>::default());
        let deciding = Arc::clone(&state);
        let server = Server::of_requests(move |request| {
            // A separate task: the request continues after its sender disconnects.
            let answer = tokio::spawn(handle(request, Arc::clone(&deciding), client.clone()));
            async move { answer.await.ok()? }
        })
        .await?;
        let direct = std::fs::read_to_string(stack.controller_kubeconfig())?;
        let kubeconfig =
            stack.scratch(&format!("by-way-of-{}.kubeconfig", server.address().replace(':', ".")));
        let direct_url = format!("https://{}", stack.kube_address());
        std::fs::write(&kubeconfig, direct.replace(&direct_url, server.url()))?;
        Ok(Self { kubeconfig, state, server })
    }

    /// Path of a kubeconfig for this proxy.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on, holds requests with this method whose path contains `part`.
    pub fn hold(&self, method: &str, part: &str) {
        let rule = Rule { method: method.into(), part: part.into() };
        self.state.send_modify(|state| state.rules.push(rule));
    }

    /// Returns when this number of requests is held.
    pub async fn holds(&self, many: usize) {
        // The sender lives as long as we do.
        let _ = self.state.subscribe().wait_for(|state| state.held >= many).await;
    }

    /// Forwards the held requests, and holds no further ones.
    pub fn let_go(&self) {
        self.state.send_modify(|state| state.rules.clear());
    }

    /// The statuses of the API server's answers to held requests with `part` in their path, once all have been
    /// forwarded.
    pub async fn answers(&self, part: &str) -> Vec<u16> {
        let mut state = self.state.subscribe();
        let answered = state.wait_for(|state| state.held == 0).await;
        let answers = answered.iter().flat_map(|state| &state.answers);
        answers.filter(|(path, _)| path.contains(part)).map(|(_, status)| *status).collect()
    }
}

/// `None` when the API server gave no answer.
async fn handle(
    request: Request<Bytes>,
    state: Arc<watch::Sender<State>>,
    client: Client,
) -> Option<Response<Body>> {
    let (mut head, body) = request.into_parts();
    // These belong to the incoming connection.
    head.headers.remove(HOST);
    head.headers.remove(CONNECTION);
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let is_held = state.borrow().holds(&method, &path);
    if is_held {
        state.send_modify(|state| state.held += 1);
        let is_let_go = |state: &State| !state.holds(&method, &path);
        // The sender lives as long as we do.
        let _ = state.subscribe().wait_for(is_let_go).await;
    }
    let answer = client.send(Request::from_parts(head, Body::from(body.to_vec()))).await;
    if is_held {
        state.send_modify(|state| {
            state.held -= 1;
            if let Ok(answer) = &answer {
                state.answers.push((path, answer.status().as_u16()));
            }
        });
    }
    answer.ok()
}
