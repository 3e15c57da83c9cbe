//! A server on a free port of loopback, which ends when its owner is dropped.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use http_body_util::{BodyExt as _, Collected};
use hyper::body::{Body, Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::Error;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    address: String,
    url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

impl Server {
    /// Handles each connection in its own task.
    pub(crate) async fn of_connections<F>(
        handle: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Result<Self, Error>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(handle(near));
            }
        });
        Ok(Self { address: address.to_string(), url: format!("http://{address}"), accepting })
    }

    /// Answers each request. `None` closes the connection instead.
    pub(crate) async fn of_requests<F, B>(
        answer: impl Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    ) -> Result<Self, Error>
    where
        F: Future<Output = Option<Response<B>>> + Send + 'static,
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        Self::of_connections(move |near| connection(near, answer.clone())).await
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The address as a URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn connection<F, B>(near: TcpStream, answer: impl Fn(Request<Bytes>) -> F + Clone)
where
    F: Future<Output = Option<Response<B>>>,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + 'static,
{
    // A small answer must not wait for the acknowledgment of the previous one.
    let _ = near.set_nodelay(true);
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            answer(Request::from_parts(head, body)).await.ok_or(Closed)
        }
    });
    // Ignores clients that disconnect.
    let connection = hyper::server::conn::http1::Builder::new();
    let _ = connection.serve_connection(TokioIo::new(near), service).await;
}
