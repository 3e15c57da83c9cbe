//! An endpoint that gives every client the same answer, and records the requested hosts.

use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;

use crate::Error;
use crate::server::Server;

/// A running endpoint.
#[derive(Debug)]
pub struct Canned {
    requests: Arc<Mutex<Vec<String>>>,
    server: Server,
}

impl Canned {
    /// Starts an endpoint that answers with this body.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(body: String) -> Result<Self, Error> {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&requests);
        let server = Server::of_requests(move |request| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(request.uri().to_string());
            let answer = Response::new(Full::new(Bytes::from(body.clone())));
            async move { Some(answer) }
        })
        .await?;
        Ok(Self { requests, server })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
