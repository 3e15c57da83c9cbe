//! Every way in which a call to IAM fails, mapped once. The mapping uses IAM's code instead of the SDK's typed
//! variants: codes occur on operations that do not declare them.

use std::error::Error as StdError;

use crate::policy::readable;
use crate::role::{Action, ErrorKind, IamError, RoleName};

use super::codes::{in_one_line, kind_of_code, kind_of_status, source};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId as _;

use super::credentials::{Lack, NoCredentials};

/// The longest message of IAM that is shown, in characters. A message with an encoded authorization message is longer.
const MAX_MESSAGE: usize = 1000;
/// The same for a code and a request id.
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
        // An answer from something on the way: only that fact and the status count.
        let stranger = status.filter(|_| known.is_none());
        let kind = match (kind, action, error.message()) {
            // IAM has the same code for a wrong document and for a correct one that came too early.
            (ErrorKind::Rejected, _, Some(message)) if message.contains("Invalid principal") => {
                ErrorKind::InvalidPrincipal
            }
            // A role that is being created refers to nothing else that could be missing.
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

/// The message for an answer that did not come from IAM.
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
