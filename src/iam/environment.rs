//! The AWS configuration of the process's environment, read as every AWS SDK does: region, credentials, certificates,
//! proxies, endpoints.

use std::time::Duration;

use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use thiserror::Error;

use super::credentials::{Credentials, NoCredentials};
use super::network::{self, BadBundle};

/// The variables that name the region, in order of precedence.
const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

/// The AWS configuration.
#[derive(Clone, Debug)]
pub struct Aws {
    pub(super) config: SdkConfig,
    pub(super) credentials: Credentials,
}

/// The configuration is unusable, and waiting does not help.
#[derive(Debug, Error)]
pub enum Unusable {
    /// No region is configured, or an empty one.
    #[error(
        "no AWS region is configured{}. Set AWS_REGION to any region of your partition, as in us-east-1: it decides which IAM is called",
        if *is_empty { ": it is empty" } else { "" }
    )]
    NoRegion {
        /// Whether the variable is set, but empty.
        is_empty: bool,
    },
    /// The configured value is not a region code.
    #[error(
        "the AWS region is {0:?}, which cannot be the code of one. Set AWS_REGION to any region of your partition, as in us-east-1"
    )]
    BadRegion(String),
    /// The certificates to trust are unusable.
    #[error(transparent)]
    BadBundle(#[from] BadBundle),
}

impl Aws {
    /// Reads the configuration from the environment.
    ///
    /// # Errors
    /// When there is no region, or the certificates are unreadable.
    pub async fn from_environment() -> Result<Self, Unusable> {
        let http = network::http_client()?;
        let values = REGION_VARIABLES.map(|name| std::env::var(name).ok());
        let is_empty = values.iter().any(Option::is_some);
        let region = match named(&values) {
            Some(region) => Some(region),
            None => region_elsewhere(&http).await,
        };
        let region = checked(region, is_empty)?;
        let (chain_region, chain_http) = (region.clone(), http.clone());
        let credentials = Credentials::new(Box::new(move || {
            let (region, http) = (chain_region.clone(), chain_http.clone());
            Box::pin(async move {
                let chain = aws_config::from_env()
                    .region(region)
                    .http_client(http)
                    .timeout_config(timeouts())
                    .load()
                    .await;
                chain.credentials_provider()
            })
        }));
        let config = aws_config::from_env()
            .region(region)
            .http_client(http)
            .credentials_provider(credentials.clone())
            .identity_cache(credentials.clone())
            .load()
            .await;
        Ok(Self { config, credentials })
    }

    /// Waits until there are credentials; the caller bounds the wait. Logs why there are none, and logs again when the
    /// cause changes.
    pub async fn wait_for_credentials(&self) {
        self.credentials.wait().await;
    }

    /// Checks for credentials.
    ///
    /// # Errors
    /// Why there are no credentials.
    pub async fn look_for_credentials(&self) -> Result<(), NoCredentials> {
        self.credentials.look().await
    }
}

/// Timeouts of the calls that obtain credentials.
fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(5))
        .build()
}

/// The first value that is not empty. The other SDKs read variables the same way.
fn named(values: &[Option<String>]) -> Option<Region> {
    let mut values = values.iter().flatten().map(|value| value.trim());
    values.find(|value| !value.is_empty()).map(|value| Region::new(value.to_owned()))
}

/// The region of the profile, or the region that the process runs in.
async fn region_elsewhere(http: &SharedHttpClient) -> Option<Region> {
    let config = ProviderConfig::default().with_http_client(http.clone());
    let profile = ProfileFileRegionProvider::builder().configure(&config).build();
    let machine = ImdsRegionProvider::builder().configure(&config).build();
    RegionProviderChain::first_try(profile).or_else(machine).region().await
}

/// A region must be a valid label of a host name, because it becomes one. `is_empty` means that a variable is set for
/// it.
fn checked(region: Option<Region>, is_empty: bool) -> Result<Region, Unusable> {
    let Some(region) = region.filter(|region| !region.as_ref().trim().is_empty()) else {
        return Err(Unusable::NoRegion { is_empty });
    };
    let code = region.as_ref();
    let fits = code.len() <= 63
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !code.starts_with('-')
        && !code.ends_with('-');
    if fits { Ok(region) } else { Err(Unusable::BadRegion(code.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_region_counts_as_unset() {
        let named = |values: [Option<&str>; 2]| {
            named(&values.map(|value| value.map(str::to_owned))).map(|region| region.to_string())
        };
        assert_eq!(named([Some("eu-west-1"), Some("us-east-1")]).as_deref(), Some("eu-west-1"));
        assert_eq!(named([Some(""), Some("us-east-1")]).as_deref(), Some("us-east-1"));
        assert_eq!(named([Some(" us-east-1\n"), None]).as_deref(), Some("us-east-1"));
        assert_eq!(named([Some(""), Some(" ")]), None);
        assert_eq!(named([None, None]), None);
    }

    #[test]
    fn an_invalid_region_is_reported_with_its_value() {
        let said = |region: Option<&'static str>, is_empty| {
            checked(region.map(Region::new), is_empty).err().map(|error| error.to_string())
        };
        let none = said(None, false).unwrap_or_default();
        assert!(none.starts_with("no AWS region is configured. Set AWS_REGION"), "{none}");
        let empty = said(Some(""), true).unwrap_or_default();
        assert!(empty.contains("it is empty"), "{empty}");
        for bad in ["us east 1", "us-east-1/", "https://x", "-a", "us-east-1 "] {
            assert!(said(Some(bad), false).is_some_and(|said| said.contains(bad)), "{bad:?}");
        }
        assert_eq!(said(Some("us-gov-west-1"), false), None);
    }
}
