//! The AWS query protocol as IAM speaks it: calls come as forms, answers go as XML. What actions mean is not
//! known here.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use quick_xml::escape::escape;
use tokio::net::TcpListener;

/// Every answer needs one; nobody looks these up.
const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000000";

/// One call as it crossed the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The IAM action, as in `CreateRole`.
    pub action: String,
    /// All parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl Call {
    /// Whether the call changes something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !(self.action.starts_with("Get") || self.action.starts_with("List"))
    }

    pub(crate) fn concerns(&self, action: &str, role: Option<&str>) -> bool {
        let named = self.parameters.get("RoleName").map(String::as_str);
        self.action == action && role.is_none_or(|role| Some(role) == named)
    }
}

/// Answers the requests that come to `listener` until it is aborted.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        // A small answer must not wait for the acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        let answer = answer.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer.clone();
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
                    Ok::<_, Infallible>(answer(Request::from_parts(head, body)).await)
                }
            });
            // A client that goes away is none of our concern.
            let connection = hyper::server::conn::http1::Builder::new();
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The call in the body of a request.
pub(crate) fn read_call(body: &[u8]) -> Call {
    let parameters: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
    Call { action: parameters.get("Action").cloned().unwrap_or_default(), parameters }
}

/// The form of IAM's errors (AWS query protocol).
pub(crate) fn error_answer(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>",
        escape(message)
    );
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    let request_id = HeaderValue::from_static(REQUEST_ID);
    answer.headers_mut().insert("x-amzn-requestid", request_id);
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}
