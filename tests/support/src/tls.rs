//! TLS in front of an endpoint without it, with a certificate of an unknown authority.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::Error;
use crate::server::Server;

/// A running TLS front.
#[derive(Debug)]
pub struct TlsFront {
    authority: String,
    server: Server,
}

impl TlsFront {
    /// Opens a front for `host` before the endpoint at `target`, as in `127.0.0.1:80`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn open(host: &str, target: &str) -> Result<Self, Error> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &authority)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let target = target.to_owned();
        let server =
            Server::of_connections(move |near| forward(near, acceptor.clone(), target.clone()))
                .await?;
        Ok(Self { authority: authority.pem(), server })
    }

    /// `host:port` to connect to.
    #[must_use]
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Certificate of the authority, as PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

async fn forward(near: TcpStream, acceptor: TlsAcceptor, target: String) {
    let Ok(mut near) = acceptor.accept(near).await else { return };
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    // When either end closes, both are done.
    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
}
