//! One reconcile: pause first, then the finalizer, then bring the role to its declaration or, for a
//! deleted resource, let it go; write down how it went; say when to look again.

use std::convert::identity;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::finalizer;
use kube::{Api, ResourceExt as _};
use serde_json::json;
use thiserror::Error;
use tracing::Instrument as _;

use crate::api::{FINALIZER, PinpointEventStreamRole, Reason};
use crate::iam::Retry;

use super::runner::Worker;
use super::status::{Progress, Verdict};
use super::{Context, Guarded, cleanup, converge, publish, settled, unreadable};

/// When the API server is asked again for an object that it does not know.
const AFTER_UNKNOWN: Duration = Duration::from_secs(2);

/// When a role is looked at again, at the latest, that IAM does not show yet as it was written or that another resource
/// writes to: both pass within seconds, and edit upon edit must not make the pauses grow.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

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

/// How long until the resource is to be reconciled again without a change; `None` when the resync is early enough.
pub(super) type Pause = Option<Duration>;

/// Whether a reconcile of the resource may call IAM. The finalizer comes first, and takes no call.
pub(super) fn needs_worker(guarded: &Guarded) -> bool {
    guarded
        .0
        .as_ref()
        .is_ok_and(|resource| settled::is_guarded(resource) || settled::is_paused(resource))
}

/// Reconciles the resource, with a worker if it [`needs_worker`].
pub(super) async fn reconcile(
    guarded: &Arc<Guarded>,
    context: &Context,
    worker: Option<Worker>,
) -> Result<Pause, Error> {
    if !context.schedule.works() {
        return Ok(None);
    }
    let resource = match &guarded.0 {
        Ok(resource) => resource,
        Err(unreadable) => {
            drop(worker);
            let _running = context.metrics.reconcile_started();
            return unreadable::reconcile(guarded, unreadable, context).await;
        }
    };
    if let Some(pause) = requested_too_soon(resource, context) {
        return Ok(Some(pause));
    }
    if !is_asked_for(resource, context) {
        return Ok(None);
    }
    let _running = context.metrics.reconcile_started();
    let reconciled = async {
        if settled::is_paused(resource) {
            pause(guarded, resource, context, worker).await
        } else {
            with_finalizer(guarded, resource, context, worker).await
        }
    };
    reconciled.instrument(publish::span(resource)).await
}

/// How long a requested reconcile has to wait, if nothing else calls for one: whoever may annotate a resource must not
/// be able to use up the calls of the whole account.
fn requested_too_soon(resource: &PinpointEventStreamRole, context: &Context) -> Pause {
    let request = settled::request(resource)?;
    let uid = resource.uid().unwrap_or_default();
    context.requeue.until_request(&uid, request)
}

/// A settled resource is left to the resync, which looks at all of them for the price of one, until that
/// finds something suspicious, or something failed after the status was written.
fn is_asked_for(resource: &PinpointEventStreamRole, context: &Context) -> bool {
    let uid = resource.uid().unwrap_or_default();
    context.schedule.take_suspect(&uid)
        || context.requeue.is_failing(&uid)
        || !settled::is_settled(resource)
}

/// After an error of Kubernetes the same object comes again, with growing pauses.
pub(super) fn pause_after_error(resource: &Guarded, error: &Error, context: &Context) -> Pause {
    let uid = resource.uid().unwrap_or_default();
    match error {
        Error::Unknown => Some(AFTER_UNKNOWN),
        Error::CleanupPending(pause) => *pause,
        Error::Kube(_) => {
            context.metrics.reconcile_failed();
            context.requeue.failed(&uid, Retry::Soon)
        }
        Error::Incomplete(_) => {
            context.metrics.reconcile_failed();
            None
        }
    }
}

async fn with_finalizer(
    guarded: &Arc<Guarded>,
    resource: &PinpointEventStreamRole,
    context: &Context,
    worker: Option<Worker>,
) -> Result<Pause, Error> {
    let namespace = resource.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), &namespace);
    if let Some(first) = resource.finalizers().first()
        && !settled::is_guarded(resource)
        && resource.metadata.deletion_timestamp.is_none()
    {
        return guard(&api, &resource.name_any(), first).await;
    }
    let mut pause = None;
    let reached = &mut pause;
    let done = finalizer(&api, FINALIZER, Arc::clone(guarded), |event| async move {
        *reached = match event {
            finalizer::Event::Apply(_) => bring_about(guarded, resource, context, worker).await?,
            finalizer::Event::Cleanup(_) => let_go(resource, context, worker).await?,
        };
        Ok(Action::await_change())
    });
    done.await.map_err(finalized)?;
    Ok(pause)
}

/// Puts our finalizer before those of others: of a long list only the beginning is read.
async fn guard(api: &Api<Guarded>, name: &str, first: &str) -> Result<Pause, Error> {
    let front = "/metadata/finalizers/0";
    let patch = json!([
        // Another replica may have been here.
        {"op": "test", "path": front, "value": first},
        {"op": "add", "path": front, "value": FINALIZER},
    ]);
    let patch = serde_json::from_value(patch).map_err(|_| Error::Incomplete("finalizers"))?;
    let patched = api.patch(name, &PatchParams::default(), &Patch::Json::<()>(patch)).await;
    match patched {
        Ok(_) => Ok(None),
        Err(error) => Err(finalized(finalizer::Error::AddFinalizer(error))),
    }
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
async fn pause(
    guarded: &Arc<Guarded>,
    resource: &PinpointEventStreamRole,
    context: &Context,
    worker: Option<Worker>,
) -> Result<Pause, Error> {
    if resource.metadata.deletion_timestamp.is_none() {
        return bring_about(guarded, resource, context, worker).await;
    }
    drop(worker);
    if settled::is_guarded(resource) {
        let progress = Progress::of(resource);
        publish::publish(resource, context, &progress, &Verdict::DeletionPaused).await?;
    }
    Ok(None)
}

async fn bring_about(
    guarded: &Arc<Guarded>,
    resource: &PinpointEventStreamRole,
    context: &Context,
    worker: Option<Worker>,
) -> Result<Pause, Error> {
    let mut progress = Progress::of(resource);
    let hands_off = settled::hands_off(resource);
    let converged = converge::converge(resource, context, &mut progress, hands_off).await;
    let verdict = converged.unwrap_or_else(identity);
    drop(worker);
    // While IAM is behind nothing new is learned, so what was said last stays so.
    let is_behind = matches!(verdict, Verdict::NotShownYet(_) | Verdict::Busy);
    if !(is_behind && progress.made.is_empty() && is_told(resource)) {
        let published = publish::publish(resource, context, &progress, &verdict).await;
        if published.is_err() {
            // If it is gone, the role may have been made after that was heard of.
            context.schedule.vanished(guarded);
        }
        published?;
    }
    Ok(pause_after(resource, context, &verdict))
}

/// Whether the status says how it went with this generation, and not only that work is under way.
fn is_told(resource: &PinpointEventStreamRole) -> bool {
    let ready = resource.status.as_ref().and_then(|status| status.ready());
    ready.is_some_and(|ready| {
        ready.observed_generation == resource.metadata.generation
            && ready.reason != Reason::Progressing.as_str()
    })
}

async fn let_go(
    resource: &PinpointEventStreamRole,
    context: &Context,
    worker: Option<Worker>,
) -> Result<Pause, Error> {
    let mut progress = Progress::of(resource);
    let cleaned_up = cleanup::clean_up(resource, context, &mut progress).await;
    drop(worker);
    match cleaned_up {
        Ok(farewell) => {
            publish::publish_farewell(resource, context, &farewell);
            let uid = resource.uid().unwrap_or_default();
            context.requeue.forget(&uid);
            context.requeue.let_go(&uid);
            Ok(None)
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

fn pause_after(resource: &PinpointEventStreamRole, context: &Context, verdict: &Verdict) -> Pause {
    let uid = resource.uid().unwrap_or_default();
    if let Verdict::Reserved { left, .. } = verdict {
        // It is looked at then, however settled its status seems.
        context.requeue.failed(&uid, Retry::Soon);
        return Some(*left);
    }
    if let Some(retry) = verdict.retry(resource, Timestamp::now()) {
        let pause = context.requeue.failed(&uid, retry);
        let nothing_failed = matches!(verdict, Verdict::NotShownYet(_) | Verdict::Busy);
        if nothing_failed { pause.map(|pause| pause.min(LOOK_AGAIN)) } else { pause }
    } else {
        context.requeue.forget(&uid);
        None
    }
}
