//! Why a reconcile could not be finished. Failures of IAM are no such thing: they are outcomes, and the status reports
//! them.

use std::time::Duration;

use kube::runtime::finalizer;
use thiserror::Error;

/// Why a reconcile could not be finished.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The API server did not take what should be written.
    #[error("cannot write to the Kubernetes API: {0}")]
    Kube(#[from] kube::Error),
    /// The API server does not know the object. If that is so it is not asked for again; just after a start
    /// of the API server it may be the resource that is not known yet.
    #[error("the Kubernetes API does not know the object")]
    Unknown,
    /// The role of a deleted resource is still there; the status says why.
    #[error("the finalizer cannot be removed yet; the status says why")]
    CleanupPending(Option<Duration>),
    /// The object lacks what every stored object has.
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
