//! Whether there are AWS credentials at all, asked before the loop starts so that a missing setting is said
//! once and plainly, not once for each resource.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use backon::{ExponentialBuilder, Retryable as _};
use thiserror::Error;
use tracing::warn;

use super::error::in_one_line;

/// The provider chain yields no credentials.
#[derive(Debug, Error)]
#[error(
    "no AWS credentials were found: {cause}. Give the pod's service account an IAM role (EKS Pod Identity or IRSA), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)]
pub struct NoCredentials {
    cause: String,
}

/// Waits until the provider chain of `config` yields credentials. Says on the log why it does not, with
/// pauses that grow to 30 s.
///
/// # Errors
/// None in practice: it waits as long as it takes, and the caller bounds it.
pub async fn wait_for_credentials(config: &SdkConfig) -> Result<(), NoCredentials> {
    let patiently =
        ExponentialBuilder::default().with_max_delay(Duration::from_secs(30)).without_max_times();
    (|| look_for_credentials(config))
        .retry(patiently)
        .notify(|missing, pause| warn!("{missing}. Trying again in {pause:.0?}"))
        .await
}

/// Whether the provider chain of `config` yields credentials.
///
/// # Errors
/// Why it does not.
pub async fn look_for_credentials(config: &SdkConfig) -> Result<(), NoCredentials> {
    let Some(provider) = config.credentials_provider() else {
        return Err(NoCredentials { cause: "no provider is configured".into() });
    };
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(NoCredentials { cause: in_one_line(&error) }),
    }
}
