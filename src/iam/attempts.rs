//! Lets somebody count the requests that really went out, retries included.

use std::fmt;
use std::sync::Arc;

use aws_sdk_iam::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// One request to IAM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The IAM action, as in `GetRole`.
    pub action: String,
    /// HTTP status of the answer; `None` when there was none.
    pub status: Option<u16>,
}

/// Hears of each request.
pub type OnAttempt = Arc<dyn Fn(Attempt) + Send + Sync>;

pub(super) struct Reporter {
    on_attempt: OnAttempt,
}

impl Reporter {
    pub(super) fn new(on_attempt: OnAttempt) -> Self {
        Self { on_attempt }
    }
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

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let action = config.load::<Metadata>().map_or("unknown", |metadata| metadata.name());
        (self.on_attempt)(Attempt {
            action: action.into(),
            status: context.response().map(|response| response.status().as_u16()),
        });
        Ok(())
    }
}
