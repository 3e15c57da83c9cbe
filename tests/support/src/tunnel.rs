//! A tunnel to the API server that tests can cut. It forwards TCP connections without reading them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Error;
use crate::server::Server;

/// A running tunnel.
#[derive(Debug)]
pub struct Tunnel {
    cuts: watch::Sender<()>,
    silences: watch::Sender<()>,
    refuses: Arc<AtomicBool>,
    server: Server,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Tunnel {
    /// Opens a tunnel to `host:port`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(target: &str) -> Result<Self, Error> {
        let (cuts, silences) = (watch::Sender::new(()), watch::Sender::new(()));
        let refuses = Arc::new(AtomicBool::new(false));
        let (target, cutting, silencing) = (target.to_owned(), cuts.clone(), silences.clone());
        let refusing = Arc::clone(&refuses);
        let server = Server::of_connections(move |near| {
            let ways = (cutting.subscribe(), silencing.subscribe());
            let (is_refused, target) = (refusing.load(Ordering::Relaxed), target.clone());
            async move {
                if !is_refused {
                    forward(near, target, ways.0, ways.1).await;
                }
            }
        })
        .await?;
        Ok(Self { cuts, silences, refuses, server })
    }

    /// `host:port` of the near end.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Closes all connections. New ones are possible.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// Keeps all connections open but forwards nothing on them, as when a load balancer drops the flow. New ones are
    /// possible.
    pub fn silence(&self) {
        self.silences.send_replace(());
    }

    /// Closes all connections, and each new one until the tunnel [reopens](Tunnel::reopen).
    pub fn close(&self) {
        self.refuses.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Accepts connections again.
    pub fn reopen(&self) {
        self.refuses.store(false, Ordering::Relaxed);
    }
}

async fn forward(
    mut near: TcpStream,
    target: String,
    mut cut: watch::Receiver<()>,
    mut silence: watch::Receiver<()>,
) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        // When either end closes, both are done.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
        _ = silence.changed() => {
            let _ = cut.changed().await;
        }
    }
}
