//! A proxy for `HTTPS_PROXY`: it accepts CONNECT, and records the hosts. Host names that no resolver knows are mapped
//! to given addresses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::Error;
use crate::server::Server;

/// A running proxy.
#[derive(Debug)]
pub struct ForwardProxy {
    asked_for: Arc<Mutex<Vec<String>>>,
    server: Server,
}

impl ForwardProxy {
    /// Starts a proxy. `hosts` maps a `host:port` to its real one; other names are used unchanged.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(hosts: &[(&str, &str)]) -> Result<Self, Error> {
        let asked_for = Arc::<Mutex<Vec<String>>>::default();
        let hosts: BTreeMap<String, String> =
            hosts.iter().map(|(host, at)| ((*host).into(), (*at).into())).collect();
        let (noted, hosts) = (Arc::clone(&asked_for), Arc::new(hosts));
        let server = Server::of_connections(move |near| {
            connect(near, Arc::clone(&noted), Arc::clone(&hosts))
        })
        .await?;
        Ok(Self { asked_for, server })
    }

    /// The proxy's URL, for clients.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// The `host:port` of each requested connection.
    #[must_use]
    pub fn asked_for(&self) -> Vec<String> {
        self.asked_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn connect(
    near: TcpStream,
    asked_for: Arc<Mutex<Vec<String>>>,
    hosts: Arc<BTreeMap<String, String>>,
) -> Option<()> {
    let mut near = BufReader::new(near);
    let mut request = String::new();
    near.read_line(&mut request).await.ok()?;
    let target = request.split(' ').nth(1)?.to_owned();
    asked_for.lock().unwrap_or_else(PoisonError::into_inner).push(target.clone());
    let mut header = String::new();
    while near.read_line(&mut header).await.ok()? > 2 {
        header.clear();
    }
    if !request.starts_with("CONNECT ") {
        near.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n")
            .await
            .ok()?;
        return None;
    }
    let mut far = TcpStream::connect(hosts.get(&target).unwrap_or(&target)).await.ok()?;
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    // When either end closes, both are done.
    tokio::io::copy_bidirectional(&mut near, &mut far).await.ok()?;
    None
}
