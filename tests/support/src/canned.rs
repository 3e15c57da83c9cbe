//! An endpoint that says the same to everybody, and notes who was asked for.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use tokio::net::TcpListener;

use crate::Error;
use crate::query::serve;

/// A running endpoint.
#[derive(Debug)]
pub struct Canned {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Canned {
    /// Starts an endpoint that answers with this body.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(body: String) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&requests);
        let accepting = tokio::spawn(serve(listener, move |request| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(request.uri().to_string());
            let answer = Response::new(Full::new(Bytes::from(body.clone())));
            async move { Some(answer) }
        }));
        Ok(Self { url, requests, accepting })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked for so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
