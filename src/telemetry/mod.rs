//! What the controller shows of itself: logs, traces, metrics and health. Nothing here knows the resource, IAM
//! or Kubernetes.

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

/// Logs and traces. Sends what is left of the traces when it is dropped, for at most 5 s: outside of the
/// runtime, which it would hold up.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging, and tracing when an endpoint for it is set.
    ///
    /// # Errors
    /// When traces are to be sent by another protocol than OTLP over HTTP.
    pub fn start(format: LogFormat) -> Result<Self, UnknownProtocol> {
        let (traces, problem) = match traces::provider() {
            Ok(traces) => (traces, None),
            Err(NoTraces::Protocol(unknown)) => return Err(unknown),
            Err(NoTraces::Exporter(error)) => (None, Some(error)),
        };
        // Only a second start can fail, and then the first one's choice stands.
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
