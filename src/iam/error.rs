//! Every way in which a call to IAM fails, sorted once. The sorting goes by IAM's code and not by the
//! SDK's typed variants: codes turn up on operations that do not declare them. This is the only place
//! that reads codes as strings.

use std::error::Error as StdError;
use std::fmt;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId as _;
use thiserror::Error;

use crate::policy::readable;
use crate::role::RoleName;

use super::Action;
use super::credentials::{Lack, NoCredentials};

/// How many characters of IAM's messages are shown. One that holds an encoded authorization message is longer.
const MAX_MESSAGE: usize = 1000;
/// The same of a code and of a request id.
const MAX_CODE: usize = 100;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// What the call names does not exist, or is not visible yet.
    NotFound,
    /// A role of this name exists already.
    AlreadyExists,
    /// Another change to the same role is under way.
    Conflict,
    /// Something on the role keeps it from being deleted.
    DeleteConflict,
    /// IAM does not know a principal that a trust policy names, perhaps because it is new (IAM user guide,
    /// "Changes that I make are not always immediately visible").
    InvalidPrincipal,
    /// IAM does not know the permissions boundary that a role is to have, perhaps because it is new.
    MissingBoundary,
    /// IAM does not accept what was declared.
    Refused,
    /// A quota of the account is used up.
    LimitExceeded,
    /// IAM asked to slow down.
    Throttled,
    /// The credentials do not allow the call.
    AccessDenied,
    /// There are no credentials, or IAM does not know them, or they have expired.
    Credentials,
    /// There are no credentials for the moment: their source could not be reached or failed.
    CredentialsAway,
    /// IAM could not be reached, did not answer in time, or failed. The write may have happened.
    Unavailable,
    /// A defect of this program.
    Internal,
}

/// When to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Soon, with growing pauses: it is expected to pass.
    Soon,
    /// Slowly: somebody has to act, outside of Kubernetes, and will not tell us.
    Slowly,
    /// When the resource changes, or at the next resync.
    AfterChange,
}

impl ErrorKind {
    /// When to try again after a failure of this kind.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::NotFound
            | Self::AlreadyExists
            | Self::Conflict
            | Self::InvalidPrincipal
            | Self::MissingBoundary
            | Self::Throttled
            | Self::CredentialsAway
            | Self::Unavailable => Retry::Soon,
            Self::DeleteConflict | Self::LimitExceeded | Self::AccessDenied | Self::Credentials => {
                Retry::Slowly
            }
            Self::Refused | Self::Internal => Retry::AfterChange,
        }
    }

    /// What a code of IAM's means; `None` when it is not known.
    pub(super) fn of_code(code: &str) -> Option<Self> {
        known(code).map(|(_, kind)| kind)
    }

    /// For an answer without a code that we know. IAM's own errors have one of these, so that something on the way gave
    /// it, a proxy or a firewall, and it says nothing of what IAM would say.
    const fn of_status(status: u16) -> Self {
        match status {
            429 => Self::Throttled,
            _ => Self::Unavailable,
        }
    }
}

/// The codes that IAM answers with and what each means (IAM API reference, "Common Error Types", also as the page was
/// before 2026, and the errors of each action; the names that other AWS services give to the same are understood too).
/// Codes that speak of the request as such, which the SDK builds, mean that something on the way changed it.
const CODES: &[(&str, ErrorKind)] = &[
    ("NoSuchEntity", ErrorKind::NotFound),
    ("EntityAlreadyExists", ErrorKind::AlreadyExists),
    ("ConcurrentModification", ErrorKind::Conflict),
    ("EntityTemporarilyUnmodifiable", ErrorKind::Conflict),
    ("DeleteConflict", ErrorKind::DeleteConflict),
    ("MalformedPolicyDocument", ErrorKind::Refused),
    ("UnmodifiableEntity", ErrorKind::Refused),
    ("InvalidInput", ErrorKind::Refused),
    ("ValidationError", ErrorKind::Refused),
    ("ValidationException", ErrorKind::Refused),
    ("InvalidParameterValue", ErrorKind::Refused),
    ("InvalidParameterCombination", ErrorKind::Refused),
    ("MissingParameter", ErrorKind::Refused),
    ("RequestEntityTooLarge", ErrorKind::Refused),
    ("RequestEntityTooLargeException", ErrorKind::Refused),
    ("PolicyNotAttachable", ErrorKind::Refused),
    ("LimitExceeded", ErrorKind::LimitExceeded),
    ("Throttling", ErrorKind::Throttled),
    ("ThrottlingException", ErrorKind::Throttled),
    ("RequestLimitExceeded", ErrorKind::Throttled),
    ("RequestThrottled", ErrorKind::Throttled),
    ("RequestThrottledException", ErrorKind::Throttled),
    ("ThrottledException", ErrorKind::Throttled),
    ("TooManyRequestsException", ErrorKind::Throttled),
    ("SlowDown", ErrorKind::Throttled),
    ("AccessDenied", ErrorKind::AccessDenied),
    ("AccessDeniedException", ErrorKind::AccessDenied),
    ("UnauthorizedOperation", ErrorKind::AccessDenied),
    ("NotAuthorized", ErrorKind::AccessDenied),
    ("NotAuthorizedException", ErrorKind::AccessDenied),
    ("InvalidClientTokenId", ErrorKind::Credentials),
    ("UnrecognizedClientException", ErrorKind::Credentials),
    ("ExpiredToken", ErrorKind::Credentials),
    ("ExpiredTokenException", ErrorKind::Credentials),
    ("RequestExpired", ErrorKind::Credentials),
    ("RequestTimeTooSkewed", ErrorKind::Credentials),
    ("AuthFailure", ErrorKind::Credentials),
    ("InvalidSignatureException", ErrorKind::Credentials),
    ("SignatureDoesNotMatch", ErrorKind::Credentials),
    ("IncompleteSignature", ErrorKind::Credentials),
    ("IncompleteSignatureException", ErrorKind::Credentials),
    ("MissingAuthenticationToken", ErrorKind::Credentials),
    ("MissingAuthenticationTokenException", ErrorKind::Credentials),
    ("OptInRequired", ErrorKind::Credentials),
    ("ServiceFailure", ErrorKind::Unavailable),
    ("InternalFailure", ErrorKind::Unavailable),
    ("InternalError", ErrorKind::Unavailable),
    ("InternalServerError", ErrorKind::Unavailable),
    ("InternalServiceError", ErrorKind::Unavailable),
    ("ServiceUnavailable", ErrorKind::Unavailable),
    ("ServiceUnavailableException", ErrorKind::Unavailable),
    ("RequestTimeout", ErrorKind::Unavailable),
    ("RequestTimeoutException", ErrorKind::Unavailable),
    ("RequestAbortedException", ErrorKind::Unavailable),
    ("MalformedHttpRequestException", ErrorKind::Unavailable),
    ("MalformedQueryString", ErrorKind::Unavailable),
    ("InvalidQueryParameter", ErrorKind::Unavailable),
    ("MissingAction", ErrorKind::Unavailable),
    ("InvalidAction", ErrorKind::Unavailable),
    ("UnknownOperationException", ErrorKind::Unavailable),
];

/// The code in the body of an answer that is an error: one that is known, or `other`. For those who see answers before
/// the SDK has read them.
pub(super) fn code_in(body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(body);
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    Some(known(code.trim()).map_or("other", |(code, _)| code))
}

fn known(code: &str) -> Option<(&'static str, ErrorKind)> {
    CODES.iter().copied().find(|(known, _)| *known == code)
}

/// A failed call. Its text says which action on which role, and IAM's own words.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct IamError {
    /// The IAM action, as in `CreateRole`.
    pub action: &'static str,
    /// The role it was for; `None` when it was for all.
    pub role: Option<String>,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// IAM's code, if it answered with one of its own.
    pub code: Option<String>,
    /// IAM's own message, or why there was no answer.
    pub message: String,
    /// Differs at each attempt, so it is not part of the text.
    pub request_id: Option<String>,
}

impl IamError {
    pub(super) fn new<E>(action: Action, role: Option<&RoleName>, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let code = error.code().map(str::to_owned);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let no_credentials = source::<CredentialsError>(error).map(NoCredentials::of);
        let known = code.as_deref().and_then(ErrorKind::of_code);
        let kind = match (known, status, &no_credentials) {
            (Some(kind), _, _) => kind,
            (None, Some(status), _) => ErrorKind::of_status(status),
            (None, None, Some(none)) if none.lack == Lack::Away => ErrorKind::CredentialsAway,
            (None, None, Some(_)) => ErrorKind::Credentials,
            (None, None, None) => ErrorKind::Unavailable,
        };
        // An answer that something on the way gave: what counts is that it did, and with which status.
        let stranger = status.filter(|_| known.is_none());
        let kind = match (kind, action, error.message()) {
            // One code for a document that is wrong and for one that is right too early.
            (ErrorKind::Refused, _, Some(message)) if message.contains("Invalid principal") => {
                ErrorKind::InvalidPrincipal
            }
            // A role that is created refers to nothing else that could be missing.
            (ErrorKind::NotFound, Action::CreateRole | Action::PutRolePermissionsBoundary, _) => {
                ErrorKind::MissingBoundary
            }
            (kind, _, _) => kind,
        };
        let message = match (error.message(), no_credentials, stranger) {
            (words, _, Some(status)) => strange(status, code.as_deref(), words),
            (Some(message), _, None) => message.to_owned(),
            (None, Some(none), None) => none.to_string(),
            (None, None, None) => in_one_line(error),
        };
        let message = readable(&message, MAX_MESSAGE);
        Self {
            action: action.name(),
            role: role.map(ToString::to_string),
            kind,
            code: code.filter(|_| known.is_some()).map(|code| readable(&code, MAX_CODE)),
            message,
            request_id: error.request_id().map(|id| readable(id, MAX_CODE)),
        }
    }

    pub(super) fn internal(action: Action, error: &dyn StdError) -> Self {
        Self {
            action: action.name(),
            role: None,
            kind: ErrorKind::Internal,
            code: None,
            message: error.to_string(),
            request_id: None,
        }
    }
}

impl fmt::Display for IamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, message, .. } = self;
        let what = match &self.role {
            Some(role) => format!("{action} for role {role}"),
            None => (*action).to_owned(),
        };
        match &self.code {
            Some(code) => write!(f, "IAM answered {what} with {code}: {message}"),
            None => write!(f, "{what} got no usable answer from IAM: {message}"),
        }
    }
}

/// What to say of an answer that is none of IAM's.
fn strange(status: u16, code: Option<&str>, words: Option<&str>) -> String {
    let said = match (code, words) {
        (None, None) => String::new(),
        (Some(only), None) | (None, Some(only)) => format!(" ({only})"),
        (Some(code), Some(words)) => format!(" ({code}: {words})"),
    };
    format!(
        "HTTP status {status} without an error that IAM has{said}; what answered may be a proxy or firewall on the way, or no IAM"
    )
}

/// An error and its causes on one line.
pub(super) fn in_one_line(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn source<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_code_is_retried_as_its_meaning_asks() {
        let table = [
            ("NoSuchEntity", ErrorKind::NotFound, Retry::Soon),
            ("EntityAlreadyExists", ErrorKind::AlreadyExists, Retry::Soon),
            ("ConcurrentModification", ErrorKind::Conflict, Retry::Soon),
            ("DeleteConflict", ErrorKind::DeleteConflict, Retry::Slowly),
            ("MalformedPolicyDocument", ErrorKind::Refused, Retry::AfterChange),
            ("LimitExceeded", ErrorKind::LimitExceeded, Retry::Slowly),
            ("UnmodifiableEntity", ErrorKind::Refused, Retry::AfterChange),
            ("Throttling", ErrorKind::Throttled, Retry::Soon),
            ("AccessDenied", ErrorKind::AccessDenied, Retry::Slowly),
            ("NotAuthorized", ErrorKind::AccessDenied, Retry::Slowly),
            ("ExpiredTokenException", ErrorKind::Credentials, Retry::Slowly),
            ("IncompleteSignature", ErrorKind::Credentials, Retry::Slowly),
            ("OptInRequired", ErrorKind::Credentials, Retry::Slowly),
            ("RequestExpired", ErrorKind::Credentials, Retry::Slowly),
            ("UnrecognizedClientException", ErrorKind::Credentials, Retry::Slowly),
            ("RequestTimeoutException", ErrorKind::Unavailable, Retry::Soon),
            ("RequestAbortedException", ErrorKind::Unavailable, Retry::Soon),
            ("MalformedHttpRequestException", ErrorKind::Unavailable, Retry::Soon),
            ("UnknownOperationException", ErrorKind::Unavailable, Retry::Soon),
            ("ServiceUnavailable", ErrorKind::Unavailable, Retry::Soon),
            ("InternalFailure", ErrorKind::Unavailable, Retry::Soon),
            ("ThrottlingException", ErrorKind::Throttled, Retry::Soon),
            ("RequestEntityTooLargeException", ErrorKind::Refused, Retry::AfterChange),
            ("ValidationError", ErrorKind::Refused, Retry::AfterChange),
            ("ServiceFailure", ErrorKind::Unavailable, Retry::Soon),
        ];
        for (code, kind, retry) in table {
            assert_eq!(ErrorKind::of_code(code), Some(kind), "kind of {code}");
            assert_eq!(kind.retry(), retry, "retry after {code}");
        }
    }

    #[test]
    fn an_answer_that_is_not_iams_says_nothing_of_rights_or_of_what_was_declared() {
        for status in [200, 301, 302, 400, 401, 403, 404, 407, 408, 413, 418, 451, 500, 502, 503] {
            assert_eq!(ErrorKind::of_status(status), ErrorKind::Unavailable, "{status}");
        }
        assert_eq!(ErrorKind::of_status(429), ErrorKind::Throttled);
        assert_eq!(ErrorKind::of_code("SomethingNew"), None);
    }

    #[test]
    fn an_answer_is_known_by_its_code_and_by_nothing_else_in_it() {
        let table = [
            (
                "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>",
                Some("Throttling"),
            ),
            (
                "<Error><Code>\n AccessDenied </Code><Message>Throttling</Message></Error>",
                Some("AccessDenied"),
            ),
            ("<Error><Code>Invented</Code></Error>", Some("other")),
            ("<Description>Throttling</Description>", None),
            ("<Error><Code>Throttling", None),
            ("", None),
        ];
        for (body, code) in table {
            assert_eq!(code_in(body.as_bytes()), code, "{body}");
        }
    }
}
