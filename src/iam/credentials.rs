//! The AWS credentials: their source, their lifetime, and why there are none. The SDK's provider chain finds them and
//! its cache keeps them. This module adds the rest. Keys that IAM rejects are dropped, and files are read again. A
//! failed source gets a pause, however many roles wait for it. A failure is one line, sorted by whether it is
//! temporary.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_config::identity::IdentityCache;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{
    ProvideCredentials, Result as Provided, SharedCredentialsProvider, future,
};
use aws_sdk_iam::config::{ConfigBag, RuntimeComponents};
use aws_sdk_iam::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::identity::{
    IdentityFuture, ResolveCachedIdentity, SharedIdentityCache, SharedIdentityResolver,
};
use aws_smithy_types::error::ErrorMetadata;
use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder, Retryable as _};
use futures::future::BoxFuture;
use thiserror::Error;
use tracing::warn;

use crate::policy::readable;

use crate::role::Retry;

use super::codes::{kind_of_code, source};

/// The longest cause in a message, in characters.
const MAX_CAUSE: usize = 200;
/// How long a call to IAM waits for credentials. Shorter than an attempt, so that the call can report why it failed.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest time that a source can take.
const LOADING: Duration = Duration::from_secs(20);
/// For this time after rejected keys were replaced, keys are not loaded again, even if they are rejected.
const SETTLED: Duration = Duration::from_secs(10);
/// The pauses before a failed source is asked again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Lack {
    /// No source is configured.
    NotConfigured,
    /// The configuration is wrong, or AWS denied it.
    Refused,
    /// The source is unreachable or failed.
    Away,
}

/// There are no credentials.
#[derive(Clone, Debug, Error)]
#[error("{}", said(*lack, cause))]
pub struct NoCredentials {
    pub(super) lack: Lack,
    cause: String,
}

fn said(lack: Lack, cause: &str) -> String {
    match lack {
        Lack::NotConfigured => format!(
            "no AWS credentials were found: {cause}. Give the pod's service account an IAM role (EKS Pod Identity or IRSA), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ),
        Lack::Refused => format!(
            "there are no AWS credentials: {cause}. Correct what this names: the trust policy of the role, the token's file, the profile"
        ),
        Lack::Away => format!("there are no AWS credentials yet: {cause}"),
    }
}

impl NoCredentials {
    pub(super) fn of(error: &CredentialsError) -> Self {
        if let Some(said) = source::<Self>(error) {
            return said.clone();
        }
        let (lack, cause) = reason(error);
        Self { lack, cause: readable(&cause, MAX_CAUSE) }
    }

    fn as_error(&self) -> CredentialsError {
        match self.lack {
            Lack::NotConfigured => CredentialsError::not_loaded(self.clone()),
            Lack::Refused => CredentialsError::invalid_configuration(self.clone()),
            Lack::Away => CredentialsError::provider_error(self.clone()),
        }
    }

    fn not_answered(waited: Duration) -> Self {
        let cause = format!("their source has not answered for {} s", waited.as_secs());
        Self { lack: Lack::Away, cause }
    }
}

/// Why there are none, as a kind and a text. A cause that does not clearly need a person counts as temporary.
fn reason(error: &CredentialsError) -> (Lack, String) {
    let deepest = || {
        let mut next: &dyn std::error::Error = error;
        while let Some(cause) = next.source() {
            next = cause;
        }
        next.to_string()
    };
    match error {
        CredentialsError::CredentialsNotLoaded(_) => (Lack::NotConfigured, deepest()),
        CredentialsError::InvalidConfiguration(_) => (Lack::Refused, deepest()),
        CredentialsError::ProviderTimedOut(_) => (Lack::Away, deepest()),
        _ => {
            if let Some((lack, cause)) = answer::<AssumeRoleWithWebIdentityError>(error)
                .or_else(|| answer::<AssumeRoleError>(error))
            {
                return (lack, cause);
            }
            if let Some(meta) = source::<ErrorMetadata>(error)
                && let Some(code) = meta.code()
            {
                return refusal("their source", code, meta.message());
            }
            if source::<ConnectorError>(error).is_some() {
                return (Lack::Away, format!("their source cannot be reached: {}", deepest()));
            }
            let is_missing = source::<std::io::Error>(error)
                .is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound);
            let lack = if is_missing { Lack::Refused } else { Lack::Away };
            let cause = deepest();
            (lack, if is_missing { format!("a file is missing: {cause}") } else { cause })
        }
    }
}

/// The error that STS answered with.
fn answer<E>(error: &CredentialsError) -> Option<(Lack, String)>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let error = source::<SdkError<E>>(error)?;
    let status = error.raw_response()?.status().as_u16();
    Some(match error.code() {
        Some(code) => refusal("STS", code, error.message()),
        None => (
            Lack::Away,
            format!(
                "STS did not answer: HTTP status {status} came without an error of AWS's, from a proxy or firewall on the way"
            ),
        ),
    })
}

fn refusal(who: &str, code: &str, message: Option<&str>) -> (Lack, String) {
    let passes = match kind_of_code(code) {
        Some(kind) => kind.retry() == Retry::Soon,
        // STS could not reach the identity provider (STS API reference, `AssumeRoleWithWebIdentity`).
        None => code == "IDPCommunicationError",
    };
    let lack = if passes { Lack::Away } else { Lack::Refused };
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    (lack, format!("{who} answers {code}{message}"))
}

/// The reaction to rejected keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum OnRefusal {
    /// Retry: there are other keys, or they are being loaded.
    Again,
    /// Load keys again, then retry.
    Renew,
    /// There are no other keys.
    GiveUp,
}

/// The current keys. Pure: the clock is an argument.
#[derive(Debug, Default)]
struct Loaded {
    access_key: Option<String>,
    /// When they were last loaded because IAM rejected others.
    renewed: Option<Instant>,
    is_stale: bool,
}

impl Loaded {
    fn note(&mut self, access_key: &str, now: Instant) {
        let renewed = self.is_stale.then_some(now).or(self.renewed);
        *self = Self { access_key: Some(access_key.to_owned()), renewed, is_stale: false };
    }

    fn refused(&mut self, access_key: &str, now: Instant) -> OnRefusal {
        let is_another = self.access_key.as_deref().is_some_and(|last| last != access_key);
        if self.is_stale || is_another {
            return OnRefusal::Again;
        }
        if self.renewed.is_some_and(|at| now.duration_since(at) < SETTLED) {
            return OnRefusal::GiveUp;
        }
        self.is_stale = true;
        OnRefusal::Renew
    }
}

/// Creates a new provider chain: only a new chain reads files again.
pub(super) type MakeChain = Box<dyn Fn() -> BoxFuture<'static, Option<Chain>> + Send + Sync>;
pub(super) type Chain = SharedCredentialsProvider;

/// The credentials of the process. Provider and cache for the SDK.
#[derive(Clone, Debug)]
pub(super) struct Credentials(Arc<Shared>);

struct Shared {
    make_chain: MakeChain,
    loaded: Mutex<Loaded>,
    cache: RwLock<SharedIdentityCache>,
    source: tokio::sync::Mutex<Source>,
}

/// The source of the credentials, and its last result.
#[derive(Default)]
struct Source {
    chain: Option<Chain>,
    last: Option<(Instant, Keys)>,
    failure: Option<Failure>,
}

struct Failure {
    why: NoCredentials,
    until: Instant,
    pauses: ExponentialBackoff,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    pub(super) fn new(make_chain: MakeChain) -> Self {
        Self(Arc::new(Shared {
            make_chain,
            loaded: Mutex::default(),
            cache: RwLock::new(IdentityCache::lazy().build()),
            source: tokio::sync::Mutex::default(),
        }))
    }

    /// IAM does not accept the key with this id.
    pub(super) fn refused(&self, access_key: &str) -> OnRefusal {
        let next = self.loaded().refused(access_key, Instant::now());
        if next == OnRefusal::Renew {
            let fresh = IdentityCache::lazy().build();
            *self.0.cache.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        next
    }

    /// Waits until there are credentials. Logs why there are none, and logs again when the cause changes.
    pub(super) async fn wait(&self) {
        let patiently = ExponentialBuilder::default()
            .with_max_delay(Duration::from_secs(30))
            .without_max_times();
        let mut said = String::new();
        let waited = (|| self.look())
            .retry(patiently)
            .notify(|missing, _| {
                let cause = missing.to_string();
                if cause != said {
                    warn!("{cause}. Retrying");
                    said = cause;
                }
            })
            .await;
        // Retried until it works.
        drop(waited);
    }

    /// Checks for credentials.
    pub(super) async fn look(&self) -> Result<(), NoCredentials> {
        match self.load(LOADING).await {
            Ok(_) => Ok(()),
            Err(error) => Err(NoCredentials::of(&error)),
        }
    }

    /// Loads in a separate task: if a call gives up meanwhile, loading continues, and the next call uses the result.
    async fn load(&self, patience: Duration) -> Provided {
        let shared = Arc::clone(&self.0);
        let loading = tokio::spawn(async move { shared.load().await });
        match tokio::time::timeout(patience, loading).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(lost)) => Err(CredentialsError::unhandled(lost)),
            Err(_) => Err(NoCredentials::not_answered(patience).as_error()),
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.0.loaded()
    }
}

impl Shared {
    async fn load(&self) -> Provided {
        let mut source = self.source.lock().await;
        let now = Instant::now();
        let is_stale = self.loaded().is_stale;
        if let Some((at, keys)) = &source.last
            && !is_stale
            && now.duration_since(*at) < FIRST_PAUSE
        {
            return Ok(keys.clone());
        }
        if let Some(failure) = &source.failure
            && now < failure.until
        {
            return Err(failure.why.as_error());
        }
        source.last = None;
        let chain = match source.chain.take().filter(|_| !is_stale) {
            Some(chain) => Some(chain),
            None => (self.make_chain)().await,
        };
        let loaded = match &chain {
            Some(chain) => tokio::time::timeout(LOADING, chain.provide_credentials())
                .await
                .unwrap_or_else(|_| Err(NoCredentials::not_answered(LOADING).as_error())),
            None => Err(CredentialsError::not_loaded("no provider is configured")),
        };
        match loaded {
            Ok(keys) => {
                self.loaded().note(keys.access_key_id(), Instant::now());
                // A chain caches the files that it has read. A chain whose keys expire asks its source again.
                source.chain = chain.filter(|_| keys.expiry().is_some());
                source.last = Some((Instant::now(), keys.clone()));
                source.failure = None;
                Ok(keys)
            }
            Err(error) => {
                let why = NoCredentials::of(&error);
                let mut pauses =
                    source.failure.take().map_or_else(pauses, |failure| failure.pauses);
                let until = Instant::now() + pauses.next().unwrap_or(LONGEST_PAUSE);
                let error = why.as_error();
                source.failure = Some(Failure { why, until, pauses });
                Err(error)
            }
        }
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .build()
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.load(PATIENCE))
    }
}

impl ResolveCachedIdentity for Credentials {
    fn resolve_cached_identity<'a>(
        &'a self,
        resolver: SharedIdentityResolver,
        components: &'a RuntimeComponents,
        config: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        let cache = self.0.cache.read().unwrap_or_else(PoisonError::into_inner).clone();
        IdentityFuture::new(async move {
            cache.resolve_cached_identity(resolver, components, config).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn rejected_keys_are_reloaded_once_and_all_rejected_calls_retry() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut loaded = Loaded::default();
        loaded.note("old", start);
        assert_eq!(loaded.refused("old", after(1)), OnRefusal::Renew);
        assert_eq!(loaded.refused("old", after(1)), OnRefusal::Again, "they are on their way");
        loaded.note("new", after(2));
        assert_eq!(loaded.refused("old", after(2)), OnRefusal::Again, "there are others by now");
        assert_eq!(loaded.refused("new", after(3)), OnRefusal::GiveUp, "they are the newest");
        assert_eq!(loaded.refused("new", after(12)), OnRefusal::Renew, "others may be there");
        loaded.note("new", after(13));
        assert_eq!(loaded.refused("new", after(14)), OnRefusal::GiveUp, "there are none");
    }

    #[test]
    fn transient_credential_failures_are_distinguished_and_fit_one_line() {
        let io = |kind| CredentialsError::provider_error(std::io::Error::new(kind, "no\nfile"));
        let refused = |code: &str| {
            let meta = ErrorMetadata::builder().code(code).message("m\nm").build();
            CredentialsError::provider_error(meta)
        };
        let unreachable = ConnectorError::io("connection refused".into());
        for (error, lack, words) in [
            (CredentialsError::not_loaded("none"), Lack::NotConfigured, "found: none"),
            (CredentialsError::invalid_configuration("bad"), Lack::Refused, "bad"),
            (CredentialsError::provider_timed_out(LOADING), Lack::Away, "20 s"),
            (io(std::io::ErrorKind::NotFound), Lack::Refused, "a file is missing"),
            (io(std::io::ErrorKind::TimedOut), Lack::Away, "no"),
            (refused("AccessDenied"), Lack::Refused, "answers AccessDenied: m"),
            (refused("ExpiredTokenException"), Lack::Refused, "ExpiredTokenException"),
            (refused("InvalidIdentityToken"), Lack::Refused, "InvalidIdentityToken"),
            (refused("IDPCommunicationError"), Lack::Away, "IDPCommunicationError"),
            (refused("Throttling"), Lack::Away, "Throttling"),
            (refused("ServiceUnavailable"), Lack::Away, "ServiceUnavailable"),
            (CredentialsError::provider_error(unreachable), Lack::Away, "connection refused"),
            (CredentialsError::unhandled("x".repeat(900)), Lack::Away, "xxx"),
        ] {
            let none = NoCredentials::of(&error);
            let said = none.to_string();
            assert_eq!(none.lack, lack, "{said}");
            assert!(said.contains(words) && !said.contains('\n'), "{words:?} in {said:?}");
            assert!(said.chars().count() < 450, "{said}");
            let again = NoCredentials::of(&none.as_error());
            assert_eq!((again.lack, again.to_string()), (lack, said), "said again as it was");
        }
    }

    /// Fails as often as it is set to.
    #[derive(Debug)]
    struct Failing(Arc<AtomicUsize>, usize);

    impl ProvideCredentials for Failing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            future::ProvideCredentials::ready(if asked < self.1 {
                Err(CredentialsError::provider_error("away"))
            } else {
                Ok(Keys::new("key", "secret", None, None, "test"))
            })
        }
    }

    #[tokio::test]
    async fn concurrent_requests_share_one_call_to_a_failing_source() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let credentials = Credentials::new(Box::new(move || {
            let chain = Chain::new(Failing(Arc::clone(&counted), 1));
            Box::pin(std::future::ready(Some(chain)))
        }));
        let all = futures::future::join_all((0..100).map(|_| credentials.provide_credentials()));
        assert!(all.await.iter().all(Result::is_err));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        credentials.wait().await;
        assert!(credentials.provide_credentials().await.is_ok(), "it recovers");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
