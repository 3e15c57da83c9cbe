//! How a call to IAM fails, sorted by what the controller does about it.

use std::fmt;

use thiserror::Error;

use super::action::Action;
use super::name::RoleName;

/// The kind of failure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorKind {
    /// The object that the call names does not exist, or is not visible yet.
    NotFound,
    /// A role of this name already exists.
    AlreadyExists,
    /// Another change to the same role is in progress.
    Conflict,
    /// Something on the role prevents its deletion.
    DeleteConflict,
    /// IAM does not know a principal that a trust policy names, perhaps because it is new (IAM user guide,
    /// "Changes that I make are not always immediately visible").
    InvalidPrincipal,
    /// IAM does not know the requested permissions boundary, perhaps because it is new.
    MissingBoundary,
    /// IAM does not accept the declared value.
    Rejected,
    /// A quota of the account is exhausted.
    LimitExceeded,
    /// IAM asked to slow down.
    Throttled,
    /// The credentials do not allow the call.
    AccessDenied,
    /// There are no credentials, IAM does not know them, or they have expired.
    Credentials,
    /// There are no credentials at present: their source is unreachable or failed.
    CredentialsAway,
    /// IAM is unreachable, did not answer in time, or failed. The write may have succeeded.
    Unavailable,
    /// A defect of this program.
    Internal,
}

/// When to retry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Retry {
    /// Soon, with exponential backoff: the failure is temporary.
    Soon,
    /// Slowly: someone has to act outside of Kubernetes, and no watch reports it.
    Slowly,
    /// When the resource changes, or at the next resync.
    AfterChange,
}

impl ErrorKind {
    /// When to retry after a failure of this kind.
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
            Self::Rejected | Self::Internal => Retry::AfterChange,
        }
    }
}

/// A failed call. Its text names the action and the role, and quotes IAM.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct IamError {
    /// The IAM action.
    pub action: Action,
    /// The role of the call; `None` when the call was for all roles.
    pub role: Option<RoleName>,
    /// The kind of failure.
    pub kind: ErrorKind,
    /// IAM's code, if IAM answered with one.
    pub code: Option<String>,
    /// IAM's message, or why there was no answer.
    pub message: String,
    /// Differs for each attempt, so it is not part of the text.
    pub request_id: Option<String>,
}

impl fmt::Display for IamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, message, .. } = self;
        let what = match &self.role {
            Some(role) => format!("{} for role {role}", action.name()),
            None => action.name().to_owned(),
        };
        match &self.code {
            Some(code) => write!(f, "IAM answered {what} with {code}: {message}"),
            None => write!(f, "{what} got no usable answer from IAM: {message}"),
        }
    }
}
