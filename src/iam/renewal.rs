//! Reports to the credentials that IAM rejected the keys of a request, and makes the SDK retry when other keys exist. A
//! rotation of keys then costs one attempt of a call, and no call fails.

use std::fmt;

use aws_sdk_iam::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut, InterceptorContext,
};
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};

use super::caller::access_key_in;
use super::credentials::{Credentials, OnRefusal};
use crate::role::ErrorKind;

use super::codes::{code_in, kind_of_code};

/// Observes each answer.
pub(super) struct Renewal(pub Credentials);

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Renewal")
    }
}

/// The access key that signs the current request.
#[derive(Debug)]
struct SignedWith(String);

impl Storable for SignedWith {
    type Storer = StoreReplace<Self>;
}

/// Marks an answer that is to be retried.
#[derive(Clone, Debug)]
struct TryAgain;

impl Intercept for Renewal {
    fn name(&self) -> &'static str {
        "streamrole renewal"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let key = context.request().headers().get("authorization").and_then(access_key_in);
        if let Some(key) = key {
            config.interceptor_state().store_put(SignedWith(key.to_owned()));
        }
        Ok(())
    }

    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(SignedWith(key)) = config.load::<SignedWith>() else { return Ok(()) };
        let Some(answer) = context.response_mut().filter(|answer| !answer.status().is_success())
        else {
            return Ok(());
        };
        let code = answer.body().bytes().and_then(code_in);
        if code.and_then(kind_of_code) == Some(ErrorKind::Credentials)
            && self.0.refused(key) != OnRefusal::GiveUp
        {
            answer.add_extension(TryAgain);
        }
        Ok(())
    }
}

/// Classifies marked answers as retryable.
#[derive(Debug)]
pub(super) struct OtherKeys;

impl ClassifyRetry for OtherKeys {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response().and_then(|answer| answer.extension::<TryAgain>()) {
            Some(TryAgain) => RetryAction::server_error(),
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "streamrole other keys"
    }

    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
