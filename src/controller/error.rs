//! Why a reconcile could not finish. Failures of IAM are not such errors: they are outcomes, and the status reports
//! them.

use std::time::Duration;

use kube::runtime::finalizer;
use thiserror::Error;

/// Why a reconcile could not finish.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The API server rejected a write.
    #[error("cannot write to the Kubernetes API: {0}")]
    Kube(#[from] kube::Error),
    /// The API server does not know the object. The object can be deleted; just after a start of the API server, the
    /// resource type can be unknown still. A deleted object is not reconciled again.
    #[error("the Kubernetes API does not know the object")]
    Unknown,
    /// The role of a deleted resource still exists; the status reports why.
    #[error("the finalizer cannot be removed yet; the status says why")]
    CleanupPending(Option<Duration>),
    /// The object lacks a field that every stored object has.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

impl From<finalizer::Error<Self>> for Error {
    fn from(error: finalizer::Error<Self>) -> Self {
        match error {
            finalizer::Error::ApplyFailed(error) | finalizer::Error::CleanupFailed(error) => error,
            finalizer::Error::AddFinalizer(kube::Error::Api(status))
            | finalizer::Error::RemoveFinalizer(kube::Error::Api(status))
                if status.is_not_found() =>
            {
                Self::Unknown
            }
            finalizer::Error::AddFinalizer(error) | finalizer::Error::RemoveFinalizer(error) => {
                error.into()
            }
            finalizer::Error::UnnamedObject => Self::Incomplete("name"),
            finalizer::Error::InvalidFinalizer => Self::Incomplete("valid finalizer"),
        }
    }
}
