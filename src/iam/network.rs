//! The network path to AWS: which certificates are trusted, and which requests use a proxy. As in the other AWS SDKs,
//! `AWS_CA_BUNDLE` replaces the system's certificates (or those of `SSL_CERT_FILE`), and `HTTPS_PROXY`, `HTTP_PROXY`,
//! `ALL_PROXY` and `NO_PROXY` apply. Requests to the agents that provide credentials on the node never use a proxy,
//! which could not reach them.

use std::net::IpAddr;
use std::path::PathBuf;

use aws_sdk_iam::config::{ConfigBag, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use hyper::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;
use tracing::warn;

/// The variable that names a file of certificates.
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// The file of certificates to trust cannot be used.
#[derive(Debug, Error)]
#[error(
    "{BUNDLE} is {}, but {problem}. Let it name a file of PEM certificates, or unset it to trust those of the system",
    path.display()
)]
pub struct BadBundle {
    path: PathBuf,
    problem: String,
}

/// A client for AWS as the environment configures it.
pub(super) fn http_client() -> Result<SharedHttpClient, BadBundle> {
    let path = std::env::var_os(BUNDLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let trusted = path.map(|path| {
        let read = std::fs::read(&path).map_err(|error| format!("it cannot be read: {error}"));
        read.and_then(|bundle| certificates(&bundle)).map_err(|problem| BadBundle { path, problem })
    });
    let trusted = trusted.transpose()?.map_or_else(TrustStore::default, |certificates| {
        TrustStore::empty().with_pem_certificate(certificates)
    });
    Ok(SharedHttpClient::new(Ways {
        direct: client(&trusted, ProxyConfig::disabled()),
        usual: client(&trusted, ProxyConfig::from_env()),
    }))
}

fn client(trusted: &TrustStore, proxy: ProxyConfig) -> SharedHttpClient {
    let trusted = trusted.clone();
    Builder::new().build_with_connector_fn(move |settings, components| {
        // This cannot fail: it only combines values.
        let tls = TlsContext::builder().with_trust_store(trusted.clone()).build();
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.unwrap_or_default())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The usable certificates of a bundle, as PEM again: the client accepts no other form.
fn certificates(bundle: &[u8]) -> Result<Vec<u8>, String> {
    let mut store = RootCertStore::empty();
    let mut usable = String::new();
    let mut odd = 0;
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        match certificate {
            Ok(certificate) if store.add(certificate.clone()).is_ok() => {
                usable.push_str(&pem::encode(&pem::Pem::new("CERTIFICATE", certificate.to_vec())));
            }
            Ok(_) | Err(_) => odd += 1,
        }
    }
    match (store.is_empty(), odd) {
        (true, 0) => Err("it holds no certificate".into()),
        (true, _) => Err("it holds no certificate that can be read".into()),
        (false, 0) => Ok(usable.into_bytes()),
        (false, _) => {
            warn!("{BUNDLE}: {odd} certificates cannot be read and are not trusted");
            Ok(usable.into_bytes())
        }
    }
}

/// The usual path, which can use a proxy, and the direct one. Each opens its connections on first use.
#[derive(Clone, Debug)]
struct Ways {
    direct: SharedHttpClient,
    usual: SharedHttpClient,
}

impl HttpClient for Ways {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let (ways, settings, components) = (self.clone(), settings.clone(), components.clone());
        SharedHttpConnector::new(Fork { ways, settings, components })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.usual.validate_base_client_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.usual.connector_metadata()
    }
}

/// The place where the target of a request is known.
#[derive(Debug)]
struct Fork {
    ways: Ways,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Fork {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.uri().parse::<Uri>();
        let is_direct = target.is_ok_and(|target| target.host().is_some_and(is_on_the_node));
        let way = if is_direct { &self.ways.direct } else { &self.ways.usual };
        way.http_connector(&self.settings, &self.components).call(request)
    }
}

/// Whether the host is the machine itself, or an address that is local to each machine. The agents of EKS Pod Identity
/// and ECS and the instance metadata have such addresses (`fd00:ec2::/32` is theirs for IPv6).
pub(crate) fn is_on_the_node(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => {
            let agents = matches!(address.segments(), [0xfd00, 0x0ec2, ..]);
            address.is_loopback() || address.is_unicast_link_local() || agents
        }
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_agents_bypass_the_proxy_and_aws_does_not() {
        for host in
            ["169.254.170.23", "169.254.170.2", "169.254.169.254", "[fd00:ec2::23]", "127.0.0.1"]
        {
            assert!(is_on_the_node(host), "{host}");
        }
        for host in ["localhost", "[::1]", "[fe80::1]"] {
            assert!(is_on_the_node(host), "{host}");
        }
        for host in ["iam.amazonaws.com", "10.0.0.1", "[fd00:1::1]", "169.253.1.1", "localhost.aws"]
        {
            assert!(!is_on_the_node(host), "{host}");
        }
    }

    #[test]
    fn a_bundle_without_a_certificate_is_rejected() {
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let cut = "-----BEGIN CERTIFICATE-----\nAAAA";
        for (bundle, problem) in [
            ("", "holds no certificate"),
            ("text", "holds no certificate"),
            (odd, "that can be read"),
            (cut, "that can be read"),
        ] {
            let refused = certificates(bundle.as_bytes()).err().unwrap_or_default();
            assert!(refused.contains(problem), "{bundle:?}: {refused}");
        }
    }
}
