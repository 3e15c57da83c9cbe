//! The certificates, keys and tokens of one local control plane, generated for each start.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;

use crate::Error;

/// Token of the user `admin` in the group `system:masters`.
pub(crate) const ADMIN_TOKEN: &str = "local-admin";

/// Files for the start of the API server.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub authority: PathBuf,
    pub server_certificate: PathBuf,
    pub server_key: PathBuf,
    pub service_account_key: PathBuf,
    pub service_account_public_key: PathBuf,
    pub tokens: PathBuf,
}

impl Credentials {
    pub(crate) fn create(dir: &Path) -> Result<Self, Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let server_key = KeyPair::generate()?;
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let accounts = KeyPair::generate()?;
        let server = CertificateParams::new(names)?.signed_by(&server_key, &authority)?;

        let file = |name: &str, content: &str| -> Result<PathBuf, Error> {
            let path = dir.join(name);
            std::fs::write(&path, content)?;
            Ok(path)
        };
        Ok(Self {
            authority: file("ca.crt", &authority.pem())?,
            server_certificate: file("server.crt", &server.pem())?,
            server_key: file("server.key", &server_key.serialize_pem())?,
            service_account_key: file("service-account.key", &accounts.serialize_pem())?,
            service_account_public_key: file("service-account.pub", &accounts.public_key_pem())?,
            tokens: file("tokens.csv", &format!("{ADMIN_TOKEN},admin,admin,system:masters\n"))?,
        })
    }
}

/// A kubeconfig, as JSON (which is YAML), for one user of the API server at `url`.
pub(crate) fn kubeconfig(url: &str, authority: &Path, token: &str) -> String {
    const NAME: &str = "streamrole-local";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": url, "certificate-authority": authority}}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "current-context": NAME,
    })
    .to_string()
}
