//! A way to the API server that can be cut: it forwards TCP connections, and what is inside stays between
//! the two ends.

use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Error;

/// A running tunnel.
#[derive(Debug)]
pub struct Tunnel {
    address: String,
    cuts: watch::Sender<()>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Tunnel {
    /// Opens a tunnel to `host:port`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(target: &str) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let cuts = watch::Sender::new(());
        let (target, cutting) = (target.to_owned(), cuts.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, target.clone(), cutting.subscribe()));
            }
        });
        Ok(Self { address, cuts, accepting })
    }

    /// `host:port` of the near end.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends all connections. New ones can be made.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }
}

async fn forward(mut near: TcpStream, target: String, mut cut: watch::Receiver<()>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        // Whichever end closes, both are done.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
    }
}
