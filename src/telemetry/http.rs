//! Health and metrics on one port: `/healthz` while the process runs, `/readyz` once it can work, `/metrics`.
//!
//! Promise: a client of the port costs the process little. A separate thread serves the port, so no request delays the
//! Lease. The text of the metrics is built at most once a second. A connection carries one request and has a few
//! seconds for it. When there are more connections than a scrape and the kubelet's probes need, the oldest is closed.

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::metrics::Metrics;

/// How long the text of the metrics is reused.
const FRESH: Duration = Duration::from_secs(1);
/// The most open connections.
const CONNECTIONS: usize = 64;
/// The longest time for the head of a request, and for a whole connection.
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(30);

/// Whether the controller can work: caches are filled, credentials are resolved, and nothing prevents it from observing
/// changes.
#[derive(Clone, Default)]
pub struct Health {
    problem: Arc<OnceLock<Problem>>,
}

type Problem = Box<dyn Fn() -> Option<String> + Send + Sync>;

impl Health {
    /// From now on `/readyz` answers 200 unless there is a `problem`, which it then shows. Only the first call has an
    /// effect.
    pub fn set_ready(&self, problem: impl Fn() -> Option<String> + Send + Sync + 'static) {
        let _ = self.problem.set(Box::new(problem));
    }

    fn problem(&self) -> Option<String> {
        match self.problem.get() {
            Some(problem) => problem(),
            None => Some("waiting for the cluster or for AWS credentials".into()),
        }
    }
}

/// Serves on `address` until the process ends. Returns the bound address. Port 0 picks any free port, and where IPv6 is
/// off, `[::]` becomes `0.0.0.0`.
///
/// # Errors
/// When the address cannot be bound, or no thread can be started.
pub fn serve(address: SocketAddr, metrics: Arc<Metrics>, health: Health) -> io::Result<SocketAddr> {
    let listener = bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let shown = Arc::new(Shown { metrics, text: Mutex::default() });
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz).with_state(health))
        .route("/metrics", get(show_metrics).with_state(shown));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = move || runtime.block_on(accept(listener, router));
    std::thread::Builder::new().name("http".into()).spawn(serving)?;
    Ok(bound)
}

fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let without_ipv6 = |error: io::Error| match address {
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            StdListener::bind((Ipv4Addr::UNSPECIFIED, v6.port())).map_err(|_| error)
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => Err(error),
    };
    StdListener::bind(address).or_else(without_ipv6)
}

async fn accept(listener: StdListener, router: Router) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // File descriptors can be exhausted: the open connections end within their time.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(answer(stream, router.clone())).abort_handle());
    }
}

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Ignores clients that disconnect or are too slow.
    let _ = timeout(CONNECTION, connection).await;
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    match health.problem() {
        None => (StatusCode::OK, "ok\n".into()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

/// The metrics and their last text.
struct Shown {
    metrics: Arc<Metrics>,
    text: Mutex<Option<(Instant, Bytes)>>,
}

impl Shown {
    fn text(&self) -> Bytes {
        let mut made = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        match &*made {
            Some((at, text)) if at.elapsed() < FRESH => text.clone(),
            Some(_) | None => {
                let text = Bytes::from(self.metrics.encode());
                *made = Some((Instant::now(), text.clone()));
                text
            }
        }
    }
}

async fn show_metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPENMETRICS)], shown.text())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;

    fn start() -> SocketAddr {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        serve(any, Arc::new(Metrics::default()), Health::default())
            .unwrap_or_else(|e| panic!("{e}"))
    }

    fn get(address: SocketAddr, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    #[test]
    fn idle_connections_do_not_block_probes() {
        let address = start();
        let idle: Vec<_> = (0..4 * CONNECTIONS)
            .map(|_| TcpStream::connect(address))
            .filter_map(Result::ok)
            .collect();
        assert_eq!(idle.len(), 4 * CONNECTIONS, "all are let in");
        for _ in 0..10 {
            let answer = get(address, "/healthz").unwrap_or_else(|error| panic!("{error}"));
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
        let mut oldest = idle.into_iter().next().unwrap_or_else(|| panic!("none"));
        let mut nothing = Vec::new();
        let closed = oldest.read_to_end(&mut nothing);
        assert!(closed.is_err() || nothing.is_empty(), "the oldest is closed");
    }

    #[test]
    fn metrics_are_rendered_once_a_second_and_a_connection_serves_one_request() {
        let address = start();
        let answer = get(address, "/metrics").unwrap_or_else(|error| panic!("{error}"));
        assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
        let shown = Shown { metrics: Arc::new(Metrics::default()), text: Mutex::default() };
        let first = shown.text();
        shown.metrics.leads(true);
        assert_eq!(shown.text(), first, "not made again");
    }

    #[test]
    fn where_ipv6_is_off_all_addresses_are_those_of_ipv4() {
        let all = bind(SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0)));
        assert!(all.is_ok(), "{all:?}");
        let elsewhere = bind(SocketAddr::from(([192, 0, 2, 1], 0)));
        assert!(elsewhere.is_err(), "an address of another host");
    }
}
