//! Every way in which a call to IAM fails, sorted once. The sorting goes by IAM's code and not by the
//! SDK's typed variants: codes turn up on operations that do not declare them.

use std::error::Error as StdError;

use crate::policy::readable;
use crate::role::{Action, ErrorKind, IamError, RoleName};

use super::codes::{in_one_line, kind_of_code, kind_of_status, source};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId as _;

use super::credentials::{Lack, NoCredentials};

/// How many characters of IAM's messages are shown. One that holds an encoded authorization message is longer.
const MAX_MESSAGE: usize = 1000;
/// The same of a code and of a request id.
const MAX_CODE: usize = 100;

impl IamError {
    pub(super) fn new<E>(action: Action, role: Option<&RoleName>, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let code = error.code().map(str::to_owned);
        let status = error.raw_response().map(|response| response.status().as_u16());
        let no_credentials = source::<CredentialsError>(error).map(NoCredentials::of);
        let known = code.as_deref().and_then(kind_of_code);
        let kind = match (known, status, &no_credentials) {
            (Some(kind), _, _) => kind,
            (None, Some(status), _) => kind_of_status(status),
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
            action,
            role: role.cloned(),
            kind,
            code: code.filter(|_| known.is_some()).map(|code| readable(&code, MAX_CODE)),
            message,
            request_id: error.request_id().map(|id| readable(id, MAX_CODE)),
        }
    }

    pub(super) fn internal(action: Action, error: &dyn StdError) -> Self {
        Self {
            action,
            role: None,
            kind: ErrorKind::Internal,
            code: None,
            message: error.to_string(),
            request_id: None,
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
