//! The requests that are actually sent, retries included. Each is counted, can be prevented, and is a span of the
//! trace.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_iam::config::interceptors::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tracing::field::Empty;
use tracing::{Span, info_span};

use crate::role::ErrorKind;

use super::codes::{code_in, kind_of_code};

/// One request to IAM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The IAM action, as in `GetRole`.
    pub action: String,
    /// HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
    /// IAM's code, such as `NoSuchEntity`, when the answer is an error; `other` for an unknown code.
    pub code: Option<&'static str>,
    /// Whether IAM throttled the request.
    pub throttled: bool,
}

/// Observes each request.
pub type OnAttempt = Arc<dyn Fn(Attempt) + Send + Sync>;

/// Decides before each request whether it can be sent.
pub type MayCall = Arc<dyn Fn() -> bool + Send + Sync>;

/// When a request last ended without an answer: IAM may still be processing it.
#[derive(Clone, Debug, Default)]
pub(super) struct Unanswered(Arc<Mutex<Option<Instant>>>);

impl Unanswered {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(super) fn is_within(&self, past: Duration) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < past)
    }
}

pub(super) struct Reporter {
    on_attempt: OnAttempt,
    may_call: MayCall,
    unanswered: Unanswered,
}

impl Reporter {
    pub(super) fn new(on_attempt: OnAttempt, may_call: MayCall, unanswered: Unanswered) -> Self {
        Self { on_attempt, may_call, unanswered }
    }
}

/// The span of the current request.
#[derive(Debug)]
struct Request(Span);

impl Storable for Request {
    type Storer = StoreReplace<Self>;
}

fn action(config: &ConfigBag) -> String {
    config.load::<Metadata>().map_or("unknown", |metadata| metadata.name()).into()
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reporter")
    }
}

impl Intercept for Reporter {
    fn name(&self) -> &'static str {
        "streamrole attempts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if !(self.may_call)() {
            return Err("no longer the leader".into());
        }
        // Fields as in OpenTelemetry's semantic conventions for the AWS SDK and HTTP.
        let method = format!("IAM/{}", action(config));
        let span = info_span!(
            "iam",
            otel.name = method,
            otel.kind = "client",
            otel.status_code = Empty,
            rpc.system.name = "aws-api",
            rpc.method = method,
            http.response.status_code = Empty,
        );
        config.interceptor_state().store_put(Request(span));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let status = response.map(|response| response.status().as_u16());
        if status.is_none() && config.load::<Request>().is_some() {
            self.unanswered.note();
        }
        if let Some(Request(span)) = config.load::<Request>() {
            span.record("http.response.status_code", status);
            if status.is_none_or(|status| status >= 400) {
                span.record("otel.status_code", "ERROR");
            }
        }
        config.interceptor_state().unset::<Request>();
        // An interceptor has no typed error yet.
        let refusal = response.filter(|response| !response.status().is_success());
        let code = refusal.and_then(|response| response.body().bytes()).and_then(code_in);
        let kind = code.and_then(kind_of_code);
        let throttled = kind == Some(ErrorKind::Throttled);
        (self.on_attempt)(Attempt { action: action(config), status, code, throttled });
        Ok(())
    }
}
