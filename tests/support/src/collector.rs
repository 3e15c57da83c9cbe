//! A collector of traces: accepts OTLP over HTTP and keeps the spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use crate::Error;
use crate::server::Server;

/// A span as it was sent.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id.
    pub id: Vec<u8>,
    /// The id of the parent span; empty for a root span.
    pub parent: Vec<u8>,
    /// Its name.
    pub name: String,
    /// Its attributes as text, and those of its service.
    pub attributes: BTreeMap<String, String>,
    /// Whether it reports a failure.
    pub failed: bool,
}

/// A running collector.
#[derive(Debug)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    server: Server,
}

impl Collector {
    /// Starts a collector.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self, Error> {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let collected = Arc::clone(&spans);
        let server = Server::of_requests(move |request| {
            let spans = ExportTraceServiceRequest::decode(request.into_body()).map(read);
            collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(spans.unwrap_or_default());
            async { Some(Response::new(Full::new(Bytes::new()))) }
        })
        .await?;
        Ok(Self { spans, server })
    }

    /// URL for exporters of traces.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut all = Vec::new();
    for service in request.resource_spans {
        let of_service = service.resource.map(|resource| resource.attributes).unwrap_or_default();
        for span in service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let attributes = of_service.iter().chain(&span.attributes).map(text).collect();
            let failed = span.status.is_some_and(|status| status.code == 2);
            let (id, parent, name) = (span.span_id, span.parent_span_id, span.name);
            all.push(Span { id, parent, name, attributes, failed });
        }
    }
    all
}

fn text(attribute: &KeyValue) -> (String, String) {
    let value = match &attribute.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => text.clone(),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => number.to_string(),
        other => format!("{other:?}"),
    };
    (attribute.key.clone(), value)
}
