//! The AWS query protocol of IAM: calls are forms, answers are XML. Must not know: the meaning of actions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use quick_xml::escape::escape;

/// Every answer has its own id; no test uses it.
static ANSWERS: AtomicU64 = AtomicU64::new(0);

/// One call on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Call {
    /// The IAM action, as in `CreateRole`.
    pub action: String,
    /// All parameters, decoded.
    pub parameters: BTreeMap<String, String>,
}

impl Call {
    fn of(parameters: BTreeMap<String, String>) -> Self {
        Self { action: parameters.get("Action").cloned().unwrap_or_default(), parameters }
    }

    #[cfg(test)]
    pub(crate) fn new(parameters: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self::of(parameters.iter().map(owned).collect())
    }

    /// Whether the call changes something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !(self.action.starts_with("Get") || self.action.starts_with("List"))
    }

    /// Whether the call is to STS, which shares the endpoint. STS returns the owner of the credentials, without any
    /// permission and without load on IAM.
    #[must_use]
    pub fn is_to_sts(&self) -> bool {
        self.action == "GetCallerIdentity" || self.action.starts_with("AssumeRole")
    }

    /// The parameter of this name; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.parameters.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn list(&self, name: &str, field: &str) -> Vec<String> {
        let key = |index: usize| format!("{name}.member.{index}{field}");
        (1..).map_while(|index| self.parameters.get(&key(index)).cloned()).collect()
    }

    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        self.list("Tags", ".Key").into_iter().zip(self.list("Tags", ".Value")).collect()
    }

    pub(crate) fn concerns(&self, action: &str, role: Option<&str>) -> bool {
        let named = self.parameters.get("RoleName").map(String::as_str);
        self.action == action && role.is_none_or(|role| Some(role) == named)
    }
}

/// The call in the body of a request.
pub(crate) fn read_call(body: &[u8]) -> Call {
    Call::of(form_urlencoded::parse(body).into_owned().collect())
}

/// The form of IAM's errors (AWS query protocol).
pub(crate) fn error_answer(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let number = ANSWERS.fetch_add(1, Ordering::Relaxed);
    let request_id = format!("00000000-0000-0000-0000-{number:012x}");
    let body = format!(
        "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        escape(message)
    );
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        answer.headers_mut().insert("x-amzn-requestid", request_id);
    }
    *answer.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}
