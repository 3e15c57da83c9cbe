//! The owner of the credentials: the account, and the role that the controller runs as. STS returns both without any
//! permission (STS API reference, `GetCallerIdentity`). Where STS is unreachable, the first role that IAM shows reveals
//! the account.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use tracing::warn;

use crate::policy::{Caller, Place, readable};

use super::codes::in_one_line;

/// The pause after a failure of STS, and the age from which an answer can be doubted.
const PAUSE: Duration = Duration::from_secs(30);

/// The access key that signs requests; a change means other credentials.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessKey(Arc<Mutex<Option<String>>>);

impl AccessKey {
    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for AccessKey {
    fn name(&self) -> &'static str {
        "streamrole access key"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let key = context.request().headers().get("authorization").and_then(access_key_in);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if key.is_some() && last.as_deref() != key {
            *last = key.map(str::to_owned);
        }
        Ok(())
    }
}

/// The id of the access key in an `Authorization` header (AWS Signature Version 4).
pub(super) fn access_key_in(header: &str) -> Option<&str> {
    header.split_once("Credential=")?.1.split('/').next()
}

/// The known facts about the owner of the credentials.
#[derive(Debug, Default)]
struct Known {
    caller: Option<Caller>,
    /// The access key that signed requests to IAM at that time.
    access_key: Option<String>,
    asked: Option<Instant>,
    is_failing: bool,
}

/// Asks STS, and keeps the answer until the credentials change.
#[derive(Debug)]
pub(super) struct Callers {
    sts: aws_sdk_sts::Client,
    signs_with: AccessKey,
    known: Mutex<Known>,
    asking: tokio::sync::Mutex<()>,
}

impl Callers {
    /// `signs_with` is the access key of the requests to IAM.
    pub(super) fn new(config: &SdkConfig, signs_with: AccessKey) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(7))
            .build();
        let config = aws_sdk_sts::config::Builder::from(config)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .build();
        Self {
            sts: aws_sdk_sts::Client::from_conf(config),
            signs_with,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The owner of the credentials, as far as it is known without a call.
    pub(super) fn known(&self) -> Option<Caller> {
        self.lock().caller.clone()
    }

    /// The owner of the credentials. Calls STS when the owner is unknown, or when another key signs requests now.
    pub(super) async fn caller(&self) -> Option<Caller> {
        if !self.is_current() {
            self.ask(|callers| !callers.is_current()).await;
        }
        self.known()
    }

    /// The same, but calls STS again when the last answer is older than half a minute. For callers that the answer
    /// blocks.
    pub(super) async fn caller_now(&self) -> Option<Caller> {
        self.ask(|callers| !callers.asked_lately()).await;
        self.known()
    }

    /// Records the account of a role that IAM showed, which is the account of the credentials.
    pub(super) fn learn(&self, arn: &str) {
        let Some(place) = Place::of_arn(arn) else { return };
        let mut known = self.lock();
        if known.caller.as_ref().is_none_or(|caller| caller.place != place) {
            // Other credentials, of which only the account is known: STS must return the rest.
            *known = Known { caller: Some(Caller { place, role: None }), ..Known::default() };
        }
    }

    fn is_current(&self) -> bool {
        let (key, mut known) = (self.signs_with.get(), self.lock());
        if known.access_key.is_none() {
            // No request was signed yet when STS was asked at startup.
            known.access_key.clone_from(&key);
        }
        let is_same_key = known.access_key == key;
        let holds = |asked: Instant| !known.is_failing || asked.elapsed() < PAUSE;
        is_same_key && known.asked.is_some_and(holds)
    }

    fn asked_lately(&self) -> bool {
        self.lock().asked.is_some_and(|asked| asked.elapsed() < PAUSE)
    }

    async fn ask(&self, is_needed: impl Fn(&Self) -> bool) {
        let _asking = self.asking.lock().await;
        // Another task may have asked meanwhile.
        if !is_needed(self) {
            return;
        }
        let signs_with = self.signs_with.get();
        let answer = self.sts.get_caller_identity().send().await;
        let mut known = self.lock();
        known.asked = Some(Instant::now());
        known.access_key = signs_with;
        let caller = answer.map(|answer| answer.arn.as_deref().and_then(Caller::of_arn));
        match caller {
            Ok(Some(caller)) => {
                known.caller = Some(caller);
                known.is_failing = false;
            }
            Ok(None) | Err(_) if known.is_failing => {}
            Ok(None) => {
                known.is_failing = true;
                warn!("STS does not report the account of the AWS credentials. {CONSEQUENCE}");
            }
            Err(error) => {
                known.is_failing = true;
                let cause = readable(&in_one_line(&error), 300);
                warn!(
                    "cannot ask STS for the account of the AWS credentials: {cause}. {CONSEQUENCE}"
                );
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CONSEQUENCE: &str = "The account is taken from the first role that IAM returns; allow network access to STS to check it before the first call";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_key_is_read_from_the_signature() {
        let header = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=00";
        assert_eq!(access_key_in(header), Some("AKIDEXAMPLE"));
        assert_eq!(access_key_in("Bearer x"), None);
    }
}
