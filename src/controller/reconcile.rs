//! One reconcile: pause first, then the finalizer, then bring the role to its declaration or, for a
//! deleted resource, let it go; write down how it went; say when to look again.

use std::collections::hash_map::DefaultHasher;
use std::convert::identity;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use kube::runtime::controller::Action;
use kube::runtime::finalizer;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource as _, ResourceExt as _};
use thiserror::Error;
use tracing::Instrument as _;

use crate::api::{
    ABANDON_ANNOTATION, FINALIZER, PAUSED_ANNOTATION, PinpointEventStreamRole,
    RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
};
use crate::iam::Retry;

use super::status::{Progress, Verdict};
use super::{Context, Guarded, cleanup, converge, publish, settled, unreadable};

/// When the API server is asked again for an object that it does not know.
const AFTER_UNKNOWN: Duration = Duration::from_secs(2);

/// Why a reconcile could not be finished. Failures of IAM are no such thing: they are outcomes, and the
/// status tells of them.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// The API server did not take what should be written.
    #[error("cannot write to the Kubernetes API: {0}")]
    Kube(#[from] kube::Error),
    /// The API server does not know the object. If that is so it is not asked for again; just after a start
    /// of the API server it may be the resource that is not known yet.
    #[error("the Kubernetes API does not know the object")]
    Unknown,
    /// The role of a deleted resource is still there; the status says why.
    #[error("the resource cannot be let go yet; its status says why")]
    CleanupPending(Option<Duration>),
    /// The object lacks what every stored object has.
    #[error("the object has no {0}")]
    Incomplete(&'static str),
}

/// What a change must touch to be looked at: the spec, deletion, our finalizer, our annotations. Never
/// the status, or each write of ours would call for another reconcile.
pub(super) fn trigger(resource: &Guarded) -> u64 {
    let meta = resource.meta();
    let mut hash = DefaultHasher::new();
    (meta.generation, meta.deletion_timestamp.is_some()).hash(&mut hash);
    settled::is_guarded(resource).hash(&mut hash);
    for annotation in [PAUSED_ANNOTATION, ABANDON_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION] {
        resource.annotations().get(annotation).hash(&mut hash);
    }
    hash.finish()
}

pub(super) async fn reconcile(
    resource: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    let _leaving = Leaving { resource: ObjectRef::from_obj(&*resource), context: &context };
    if !context.watched.works() {
        return Ok(Action::await_change());
    }
    let _running = context.metrics.reconcile_started();
    let resource = match &resource.0 {
        Ok(resource) if is_asked_for(resource, &context) => resource,
        Ok(_) => return Ok(Action::await_change()),
        Err(_) => return unreadable::reconcile(&resource, &context).await,
    };
    let reconciled = async {
        if settled::is_paused(resource) {
            pause(resource, &context).await
        } else {
            with_finalizer(resource, &context).await
        }
    };
    reconciled.instrument(publish::span(resource)).await
}

/// Whatever comes of a reconcile, the resource then no longer waits for one.
struct Leaving<'a> {
    resource: ObjectRef<Guarded>,
    context: &'a Context,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.context.watched.queue.leave(&self.resource);
    }
}

/// A settled resource is left to the resync, which looks at all of them for the price of one, until that
/// finds something suspicious, or something failed after the status was written.
fn is_asked_for(resource: &PinpointEventStreamRole, context: &Context) -> bool {
    let uid = resource.uid().unwrap_or_default();
    context.watched.take_suspect(&uid)
        || context.requeue.is_failing(&uid)
        || !settled::is_settled(resource)
}

/// After an error of Kubernetes the same object comes again, with growing pauses.
#[expect(clippy::needless_pass_by_value, reason = "the signature is kube's")]
pub(super) fn after_error(resource: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let uid = resource.uid().unwrap_or_default();
    match error {
        Error::Unknown => Action::requeue(AFTER_UNKNOWN),
        Error::CleanupPending(pause) => pause.map_or_else(Action::await_change, Action::requeue),
        Error::Kube(_) => {
            context.metrics.reconcile_failed();
            let pause = context.requeue.failed(&uid, Retry::Soon);
            pause.map_or_else(Action::await_change, Action::requeue)
        }
        Error::Incomplete(_) => {
            context.metrics.reconcile_failed();
            Action::await_change()
        }
    }
}

async fn with_finalizer(
    resource: &PinpointEventStreamRole,
    context: &Context,
) -> Result<Action, Error> {
    let namespace = resource.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api: Api<PinpointEventStreamRole> = Api::namespaced(context.client.clone(), &namespace);
    let done = finalizer(&api, FINALIZER, Arc::new(resource.clone()), |event| async {
        match event {
            finalizer::Event::Apply(resource) => {
                bring_about(Arc::unwrap_or_clone(resource), context).await
            }
            finalizer::Event::Cleanup(resource) => let_go(&resource, context).await,
        }
    });
    done.await.map_err(finalized)
}

/// Why the finalizer, or what it guards, could not be dealt with.
pub(super) fn finalized(error: finalizer::Error<Error>) -> Error {
    match error {
        finalizer::Error::ApplyFailed(error) | finalizer::Error::CleanupFailed(error) => error,
        finalizer::Error::AddFinalizer(kube::Error::Api(status))
        | finalizer::Error::RemoveFinalizer(kube::Error::Api(status))
            if status.is_not_found() =>
        {
            Error::Unknown
        }
        finalizer::Error::AddFinalizer(error) | finalizer::Error::RemoveFinalizer(error) => {
            error.into()
        }
        finalizer::Error::UnnamedObject => Error::Incomplete("name"),
        finalizer::Error::InvalidFinalizer => Error::Incomplete("valid finalizer"),
    }
}

/// Nothing is written for a paused resource, and one that is being deleted has to wait.
async fn pause(resource: &PinpointEventStreamRole, context: &Context) -> Result<Action, Error> {
    if resource.metadata.deletion_timestamp.is_none() {
        return bring_about(resource.clone(), context).await;
    }
    if settled::is_guarded(resource) {
        let progress = Progress::of(resource);
        publish::publish(resource, context, &progress, &Verdict::DeletionPaused).await?;
    }
    Ok(Action::await_change())
}

async fn bring_about(
    resource: PinpointEventStreamRole,
    context: &Context,
) -> Result<Action, Error> {
    let mut progress = Progress::of(&resource);
    let hands_off = settled::hands_off(&resource);
    let verdict = {
        let _worker = context.workers.acquire().await;
        let converged = converge::converge(&resource, context, &mut progress, hands_off).await;
        converged.unwrap_or_else(identity)
    };
    // While IAM is behind nothing new is learned, so what was said last stays so.
    let is_behind = matches!(verdict, Verdict::NotShownYet) && progress.made.is_empty();
    if !(is_behind && is_told(&resource)) {
        let published = publish::publish(&resource, context, &progress, &verdict).await;
        if published.is_err() {
            // If it is gone, the role may have been made after that was heard of.
            context.watched.vanished(&resource);
        }
        published?;
    }
    Ok(pause_after(&resource, context, &verdict).map_or_else(Action::await_change, Action::requeue))
}

/// Whether the status says how it went with this generation, and not only that work is under way.
fn is_told(resource: &PinpointEventStreamRole) -> bool {
    let ready = resource.status.as_ref().and_then(|status| status.ready());
    ready.is_some_and(|ready| {
        ready.observed_generation == resource.metadata.generation
            && ready.reason != Reason::Progressing.as_str()
    })
}

async fn let_go(resource: &PinpointEventStreamRole, context: &Context) -> Result<Action, Error> {
    let mut progress = Progress::of(resource);
    let worker = context.workers.acquire().await;
    let cleaned_up = cleanup::clean_up(resource, context, &mut progress).await;
    drop(worker);
    match cleaned_up {
        Ok(farewell) => {
            publish::publish_farewell(resource, context, farewell).await;
            context.requeue.forget(&resource.uid().unwrap_or_default());
            Ok(Action::await_change())
        }
        Err(verdict) => {
            publish::publish(resource, context, &progress, &verdict).await?;
            // The resync leaves resources out that are being deleted, so nothing else would come back to it.
            let slowly =
                || context.requeue.failed(&resource.uid().unwrap_or_default(), Retry::Slowly);
            Err(Error::CleanupPending(pause_after(resource, context, &verdict).or_else(slowly)))
        }
    }
}

/// How long until the next try; `None` when the resync is early enough.
fn pause_after(
    resource: &PinpointEventStreamRole,
    context: &Context,
    verdict: &Verdict,
) -> Option<Duration> {
    let uid = resource.uid().unwrap_or_default();
    if let Some(retry) = verdict.retry() {
        context.requeue.failed(&uid, retry)
    } else {
        context.requeue.forget(&uid);
        None
    }
}
