//! The meaning of each code in IAM's answers, and what can be read from an error of unknown kind. Only this file reads
//! codes as strings.

use std::error::Error as StdError;

use crate::role::ErrorKind;

/// IAM's codes and their meanings: IAM API reference, "Common Error Types", including the page as it was before 2026,
/// and the errors of each action. The names that other AWS services use for the same errors are recognized too. Codes
/// about the form of the request, which the SDK builds, mean that something on the way changed it.
const CODES: &[(&str, ErrorKind)] = &[
    ("NoSuchEntity", ErrorKind::NotFound),
    ("EntityAlreadyExists", ErrorKind::AlreadyExists),
    ("ConcurrentModification", ErrorKind::Conflict),
    ("EntityTemporarilyUnmodifiable", ErrorKind::Conflict),
    ("DeleteConflict", ErrorKind::DeleteConflict),
    ("MalformedPolicyDocument", ErrorKind::Rejected),
    ("UnmodifiableEntity", ErrorKind::Rejected),
    ("InvalidInput", ErrorKind::Rejected),
    ("ValidationError", ErrorKind::Rejected),
    ("ValidationException", ErrorKind::Rejected),
    ("InvalidParameterValue", ErrorKind::Rejected),
    ("InvalidParameterCombination", ErrorKind::Rejected),
    ("MissingParameter", ErrorKind::Rejected),
    ("RequestEntityTooLarge", ErrorKind::Rejected),
    ("RequestEntityTooLargeException", ErrorKind::Rejected),
    ("PolicyNotAttachable", ErrorKind::Rejected),
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

/// The code in the body of an error: a known one, or `other`. For code that sees answers before the SDK parses them.
pub(super) fn code_in(body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(body);
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    Some(known(code.trim()).map_or("other", |(code, _)| code))
}

fn known(code: &str) -> Option<(&'static str, ErrorKind)> {
    CODES.iter().copied().find(|(known, _)| *known == code)
}

/// The meaning of an IAM code; `None` when the code is unknown.
pub(super) fn kind_of_code(code: &str) -> Option<ErrorKind> {
    known(code).map(|(_, kind)| kind)
}

/// For an answer without a known code. IAM's own errors have one. A proxy or a firewall on the way sent this answer,
/// which does not show how IAM would answer.
pub(super) const fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        429 => ErrorKind::Throttled,
        _ => ErrorKind::Unavailable,
    }
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
    use crate::role::Retry;

    #[test]
    fn each_documented_code_has_its_retry() {
        let table = [
            ("NoSuchEntity", ErrorKind::NotFound, Retry::Soon),
            ("EntityAlreadyExists", ErrorKind::AlreadyExists, Retry::Soon),
            ("ConcurrentModification", ErrorKind::Conflict, Retry::Soon),
            ("DeleteConflict", ErrorKind::DeleteConflict, Retry::Slowly),
            ("MalformedPolicyDocument", ErrorKind::Rejected, Retry::AfterChange),
            ("LimitExceeded", ErrorKind::LimitExceeded, Retry::Slowly),
            ("UnmodifiableEntity", ErrorKind::Rejected, Retry::AfterChange),
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
            ("RequestEntityTooLargeException", ErrorKind::Rejected, Retry::AfterChange),
            ("ValidationError", ErrorKind::Rejected, Retry::AfterChange),
            ("ServiceFailure", ErrorKind::Unavailable, Retry::Soon),
        ];
        for (code, kind, retry) in table {
            assert_eq!(kind_of_code(code), Some(kind), "kind of {code}");
            assert_eq!(kind.retry(), retry, "retry after {code}");
        }
    }

    #[test]
    fn an_answer_that_is_not_from_iam_implies_nothing_about_permissions_or_the_spec() {
        for status in [200, 301, 302, 400, 401, 403, 404, 407, 408, 413, 418, 451, 500, 502, 503] {
            assert_eq!(kind_of_status(status), ErrorKind::Unavailable, "{status}");
        }
        assert_eq!(kind_of_status(429), ErrorKind::Throttled);
        assert_eq!(kind_of_code("SomethingNew"), None);
    }

    #[test]
    fn only_the_code_classifies_an_answer() {
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
