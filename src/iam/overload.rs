//! Counts a burst of throttled answers as one overload. The SDK's rate limiter reduces its rate by three tenths for
//! each throttled answer. Several calls are in flight when IAM starts to throttle. Without this module a single
//! overload would reduce the rate of all workers to a fraction of what IAM accepts, and recovery would take ten seconds
//! and more. The first answer of a burst counts; the others are retried like any temporary failure.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::retry::ErrorKind;
use aws_sdk_iam::config::interceptors::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{
    ClassifyRetry, RetryAction, RetryClassifierPriority, RetryReason,
};

/// Throttled answers within this time belong to the same burst: their calls were sent before the rate was reduced.
const BURST: Duration = Duration::from_millis(500);

/// Turns all throttled answers of a burst except the first into failures that do not affect the rate.
#[derive(Debug, Default)]
pub(super) struct OncePerOverload {
    counted: Mutex<Option<Counted>>,
}

/// The last throttled answer that counted.
#[derive(Debug)]
struct Counted {
    at: Instant,
    request_id: Option<String>,
}

impl OncePerOverload {
    /// Whether this answer counts. The SDK asks more than once about the same answer and must get the same reply.
    fn counts(&self, now: Instant, request_id: Option<&str>) -> bool {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match &*counted {
            Some(last) if last.request_id.as_deref() == request_id => true,
            Some(last) if now.duration_since(last.at) < BURST => false,
            Some(_) | None => {
                *counted = Some(Counted { at: now, request_id: request_id.map(Into::into) });
                true
            }
        }
    }
}

impl ClassifyRetry for OncePerOverload {
    fn classify_retry(&self, _: &InterceptorContext) -> RetryAction {
        RetryAction::NoActionIndicated
    }

    fn classify_retry_v2(
        &self,
        context: &InterceptorContext,
        verdict: &RetryAction,
    ) -> RetryAction {
        let RetryAction::RetryIndicated(RetryReason::RetryableError {
            kind: ErrorKind::ThrottlingError,
            ..
        }) = verdict
        else {
            return RetryAction::NoActionIndicated;
        };
        let request_id =
            context.response().and_then(|answer| answer.headers().get("x-amzn-requestid"));
        if self.counts(Instant::now(), request_id) {
            RetryAction::NoActionIndicated
        } else {
            RetryAction::server_error()
        }
    }

    fn name(&self) -> &'static str {
        "streamrole overload"
    }

    /// After all classifiers that recognize throttling.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_throttle_of_a_burst_counts() {
        let overload = OncePerOverload::default();
        let start = Instant::now();
        let counts = |id, after| overload.counts(start + Duration::from_millis(after), Some(id));
        assert!(counts("a", 0));
        assert!(counts("a", 1), "the same answer again");
        assert!(!counts("b", 2));
        assert!(!counts("c", 499));
        assert!(counts("d", 500), "another burst");
        assert!(!counts("b", 501), "one that did not count does not count later");
    }
}
