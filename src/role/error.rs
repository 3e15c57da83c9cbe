//! How a call to IAM fails, as decisions see it.

use std::fmt;

use thiserror::Error;

use super::action::Action;
use super::name::RoleName;

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
}

/// A failed call. Its text says which action on which role, and IAM's own words.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub struct IamError {
    /// The IAM action.
    pub action: Action,
    /// The role it was for; `None` when it was for all.
    pub role: Option<RoleName>,
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// IAM's code, if it answered with one of its own.
    pub code: Option<String>,
    /// IAM's own message, or why there was no answer.
    pub message: String,
    /// Differs at each attempt, so it is not part of the text.
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
