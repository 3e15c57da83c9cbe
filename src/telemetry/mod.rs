//! The controller's logs, traces, metrics and health. Must not know: the resource, IAM, Kubernetes.

mod http;
mod logs;
mod metrics;
mod traces;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{info, warn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use traces::NoTraces;

pub use http::{Health, serve};
pub use logs::LogFormat;
pub use metrics::{ConditionLabels, Counted, Metrics};
pub use traces::UnknownProtocol;

/// Logs and traces. Dropping it sends the remaining traces, for at most 5 s. Drop it outside of the runtime, which it
/// would block.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging, and tracing when an endpoint is set.
    ///
    /// # Errors
    /// When the environment configures another protocol than OTLP over HTTP.
    pub fn start(format: LogFormat) -> Result<Self, UnknownProtocol> {
        let (traces, problem) = match traces::provider() {
            Ok(traces) => (traces, None),
            Err(NoTraces::Protocol(unknown)) => return Err(unknown),
            Err(NoTraces::Exporter(error)) => (None, Some(error)),
        };
        // Only a second start can fail; the first one's settings remain.
        let _ = tracing_subscriber::registry()
            .with(logs::layer(format))
            .with(traces.as_ref().map(traces::layer))
            .try_init();
        if let Some(problem) = problem {
            warn!("tracing is disabled: {problem}");
        }
        if traces.is_some() {
            info!("traces are sent by OTLP");
        }
        Ok(Self { traces })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.traces.as_ref().map(SdkTracerProvider::shutdown) {
            warn!("the last traces were lost: {error}");
        }
    }
}
