//! Traces: the steps of a reconcile and their durations, sent by OTLP over HTTP when an endpoint is set. The standard
//! variables of OpenTelemetry set endpoint, headers, sampling, service name and resource attributes (OpenTelemetry
//! specification, "Environment Variable Specification").

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, SpanExporter,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The only supported protocol.
const PROTOCOL: &str = "http/protobuf";

/// The configured protocol for traces is not supported.
#[derive(Debug, Eq, Error, PartialEq)]
#[error(
    "{variable} is {seen:?}, but traces can only be sent by {PROTOCOL}. Set it to {PROTOCOL} or unset it, and let the endpoint be the collector's for OTLP over HTTP: its port is 4318 unless configured otherwise, and 4317 is for gRPC"
)]
pub struct UnknownProtocol {
    variable: &'static str,
    seen: String,
}

/// Why there are no traces.
#[derive(Debug, Error)]
pub(super) enum NoTraces {
    #[error(transparent)]
    Protocol(#[from] UnknownProtocol),
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// Whether the protocol in the first of these variables is supported.
fn check_protocol(variables: [(&'static str, Option<String>); 2]) -> Result<(), UnknownProtocol> {
    let mut set = variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    match set.find(|(_, value)| !value.is_empty()) {
        Some((variable, seen)) if seen != PROTOCOL => Err(UnknownProtocol { variable, seen }),
        Some(_) | None => Ok(()),
    }
}

/// Builds the exporter of traces; `None` when no endpoint is set.
pub(super) fn provider() -> Result<Option<SdkTracerProvider>, NoTraces> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_disabled = std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value == "true");
    let endpoints = [OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT];
    if is_disabled || !endpoints.into_iter().any(is_set) {
        return Ok(None);
    }
    check_protocol(
        [OTEL_EXPORTER_OTLP_TRACES_PROTOCOL, OTEL_EXPORTER_OTLP_PROTOCOL]
            .map(|name| (name, std::env::var(name).ok())),
    )?;
    let exporter = SpanExporter::builder().with_http().build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if !is_set("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name(env!("CARGO_PKG_NAME"));
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    Ok(Some(provider))
}

/// Sends the controller's own spans to `provider`. The spans of its libraries and the log are omitted.
pub(super) fn layer<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let own = filter_fn(|metadata| {
        let is_own = metadata.target().starts_with(env!("CARGO_PKG_NAME"));
        metadata.is_span() && is_own && *metadata.level() <= Level::INFO
    });
    let tracer = provider.tracer(env!("CARGO_PKG_NAME"));
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsupported_otlp_settings_are_rejected_naming_the_variable() {
        let check = |traces: Option<&str>, all: Option<&str>| {
            check_protocol([("TRACES", traces.map(Into::into)), ("ALL", all.map(Into::into))])
                .map_err(|refused| refused.variable)
        };
        assert_eq!(check(None, None), Ok(()));
        assert_eq!(check(None, Some("")), Ok(()));
        assert_eq!(check(None, Some("http/protobuf")), Ok(()));
        assert_eq!(check(Some("http/protobuf"), Some("grpc")), Ok(()), "the first one counts");
        assert_eq!(check(Some(""), Some("grpc")), Err("ALL"));
        assert_eq!(check(Some("grpc"), None), Err("TRACES"));
        assert_eq!(check(None, Some("http/json")), Err("ALL"));
    }
}
