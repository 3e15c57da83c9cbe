//! A way to the API server that can be cut: it forwards TCP connections, and what is inside stays between
//! the two ends.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Error;

/// A running tunnel.
#[derive(Debug)]
pub struct Tunnel {
    address: String,
    cuts: watch::Sender<()>,
    silences: watch::Sender<()>,
    refuses: Arc<AtomicBool>,
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
        let (cuts, silences) = (watch::Sender::new(()), watch::Sender::new(()));
        let refuses = Arc::new(AtomicBool::new(false));
        let (target, cutting, silencing) = (target.to_owned(), cuts.clone(), silences.clone());
        let refusing = Arc::clone(&refuses);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if refusing.load(Ordering::Relaxed) {
                    continue;
                }
                let (cut, silence) = (cutting.subscribe(), silencing.subscribe());
                tokio::spawn(forward(near, target.clone(), cut, silence));
            }
        });
        Ok(Self { address, cuts, silences, refuses, accepting })
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

    /// Keeps all connections open and forwards nothing on them any more, as where a load balancer forgot the flow. New
    /// ones can be made.
    pub fn silence(&self) {
        self.silences.send_replace(());
    }

    /// Ends all connections, and each new one until it [opens](Tunnel::reopen) again.
    pub fn close(&self) {
        self.refuses.store(true, Ordering::Relaxed);
        self.cut();
    }

    /// Lets connections through again.
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
        // Whichever end closes, both are done.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
        _ = silence.changed() => {
            let _ = cut.changed().await;
        }
    }
}
