//! One reconcile: pause first, then the finalizer, then bring the role to its declaration or, for a deleted resource,
//! clean it up; report how it went; say when the resource comes again.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::finalizer;
use kube::{Api, Client, ResourceExt as _};
use serde_json::json;
use tracing::{Instrument as _, debug, warn};

use crate::api::{FINALIZER, Reason, RoleResource};
use crate::role::{ClusterId, Defaults, Retry};
use crate::telemetry::Metrics;
use crate::timing::Timing;

use super::super::error::Error;
use super::super::index::{Key, StoredObject};
use super::super::lifecycle;
use super::super::report::{self, Findings, Reporter, Verdict};
use super::super::runtime::{Requeue, Schedule, Worker};
use super::account::Account;

/// How long until the resource is to be reconciled again without a change; `None` when the resync is early enough.
pub(super) type Pause = Option<Duration>;

/// Reconciles resources.
pub(crate) struct Reconciler {
    pub client: Client,
    pub account: Arc<Account>,
    pub cluster: ClusterId,
    pub defaults: Arc<Defaults>,
    pub schedule: Arc<Schedule>,
    pub requeue: Arc<Requeue>,
    pub reporter: Arc<Reporter>,
    pub metrics: Arc<Metrics>,
    pub timing: Timing,
}

/// Whether a reconcile of the object may call IAM. The finalizer comes first, and takes no call.
fn needs_worker(object: &StoredObject) -> bool {
    object
        .0
        .as_ref()
        .is_ok_and(|resource| lifecycle::has_finalizer(resource) || lifecycle::is_paused(resource))
}

impl Reconciler {
    /// Reconciles the resource of this key, with a worker if it needs one. Returns when it comes again.
    pub(crate) async fn run(&self, key: &Key) -> Pause {
        let mut object = self.schedule.index.get(key)?;
        let mut worker = None;
        if needs_worker(&object) {
            worker = Some(self.account.workers.worker().await);
            // As it is after the wait.
            object = self.schedule.index.get(key)?;
        }
        match self.reconcile(&object, worker).await {
            Ok(pause) => pause,
            Err(error) => {
                let (namespace, name) = (object.namespace(), object.name_any());
                match &error {
                    // That the API server does not answer is said once, for all requests.
                    Error::Kube(kube::Error::HyperError(_) | kube::Error::Service(_))
                    | Error::Unknown => debug!(namespace, name, "{error}"),
                    Error::Kube(_) | Error::CleanupPending(_) | Error::Incomplete(_) => {
                        warn!(namespace, name, "{error}");
                    }
                }
                self.pause_after_error(&object, &error)
            }
        }
    }

    /// The object is gone: nothing of it is remembered.
    pub(crate) fn forget(&self, object: &StoredObject) {
        self.requeue.forget_object(&object.uid().unwrap_or_default());
    }

    async fn reconcile(
        &self,
        object: &Arc<StoredObject>,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        if !self.schedule.works() {
            return Ok(None);
        }
        let resource = match &object.0 {
            Ok(resource) => resource,
            Err(invalid) => {
                drop(worker);
                let _running = self.metrics.reconcile_started();
                return self.reconcile_invalid(object, invalid).await;
            }
        };
        if let Some(pause) = self.requested_too_soon(resource) {
            return Ok(Some(pause));
        }
        if !self.is_asked_for(resource) {
            return Ok(None);
        }
        let _running = self.metrics.reconcile_started();
        let reconciled = async {
            if lifecycle::is_paused(resource) {
                self.pause(object, resource, worker).await
            } else {
                self.with_finalizer(object, resource, worker).await
            }
        };
        reconciled.instrument(report::span(resource)).await
    }

    /// How long a requested reconcile has to wait, if nothing else calls for one: whoever may annotate a resource must
    /// not be able to use up the calls of the whole account.
    fn requested_too_soon(&self, resource: &RoleResource) -> Pause {
        let request = lifecycle::request(resource)?;
        let uid = resource.uid().unwrap_or_default();
        self.requeue.until_request(&uid, request)
    }

    /// A settled resource is left to the resync, which looks at all of them for the price of one, until that
    /// finds something suspicious, or something failed after the status was written.
    fn is_asked_for(&self, resource: &RoleResource) -> bool {
        let uid = resource.uid().unwrap_or_default();
        self.schedule.take_suspect(&uid)
            || self.requeue.is_failing(&uid)
            || !lifecycle::is_settled(resource)
    }

    /// After an error of Kubernetes the same object comes again, with growing pauses.
    fn pause_after_error(&self, object: &StoredObject, error: &Error) -> Pause {
        let uid = object.uid().unwrap_or_default();
        match error {
            Error::Unknown => Some(self.timing.unknown_object_retry),
            Error::CleanupPending(pause) => *pause,
            Error::Kube(_) => {
                self.metrics.reconcile_failed();
                self.requeue.failed(&uid, Retry::Soon)
            }
            Error::Incomplete(_) => {
                self.metrics.reconcile_failed();
                None
            }
        }
    }

    /// The objects of the kind and in the namespace of this one.
    pub(super) fn api(&self, object: &StoredObject) -> Result<Api<StoredObject>, Error> {
        let namespace = object.namespace().ok_or(Error::Incomplete("namespace"))?;
        Ok(Api::namespaced_with(self.client.clone(), &namespace, &object.kind()))
    }

    async fn with_finalizer(
        &self,
        object: &Arc<StoredObject>,
        resource: &RoleResource,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        let api = self.api(object)?;
        if let Some(first) = resource.finalizers().first()
            && !lifecycle::has_finalizer(resource)
            && resource.metadata.deletion_timestamp.is_none()
        {
            return add_finalizer(&api, &resource.name_any(), first).await;
        }
        let mut pause = None;
        let reached = &mut pause;
        let done = finalizer(&api, FINALIZER, Arc::clone(object), |event| async move {
            *reached = match event {
                finalizer::Event::Apply(_) => self.bring_about(object, resource, worker).await?,
                finalizer::Event::Cleanup(_) => self.clean_up(object, resource, worker).await?,
            };
            Ok(Action::await_change())
        });
        done.await?;
        Ok(pause)
    }

    /// Nothing is written for a paused resource, and one that is being deleted has to wait.
    async fn pause(
        &self,
        object: &Arc<StoredObject>,
        resource: &RoleResource,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        if resource.metadata.deletion_timestamp.is_none() {
            return self.bring_about(object, resource, worker).await;
        }
        drop(worker);
        if lifecycle::has_finalizer(resource) {
            let findings = Findings::before(resource);
            self.reporter.publish(resource, &findings, &Verdict::DeletionPaused).await?;
        }
        Ok(None)
    }

    async fn bring_about(
        &self,
        object: &Arc<StoredObject>,
        resource: &RoleResource,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        let mut findings = Findings::before(resource);
        let hands_off = lifecycle::hands_off(resource);
        let applied = self.apply(resource, &mut findings, hands_off).await;
        let verdict = applied.unwrap_or_else(|verdict| verdict);
        drop(worker);
        // While IAM is behind nothing new is learned, so what was said last stays so.
        let is_behind = matches!(verdict, Verdict::NotShownYet(_) | Verdict::Busy);
        if !(is_behind && findings.made.is_empty() && is_reported(resource)) {
            let published = self.reporter.publish(resource, &findings, &verdict).await;
            if published.is_err() {
                // If it is gone, the role may have been made after that was heard of.
                self.schedule.vanished(object);
            }
            published?;
        }
        Ok(self.pause_after(resource, &findings, &verdict))
    }

    async fn clean_up(
        &self,
        object: &StoredObject,
        resource: &RoleResource,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        let mut findings = Findings::before(resource);
        let deleted = self.delete(resource, &mut findings).await;
        drop(worker);
        match deleted {
            Ok(outcome) => {
                self.reporter.deleted(object, &outcome);
                let uid = resource.uid().unwrap_or_default();
                self.requeue.forget(&uid);
                self.requeue.let_go(&uid);
                Ok(None)
            }
            Err(verdict) => {
                self.reporter.publish(resource, &findings, &verdict).await?;
                // The resync leaves resources out that are being deleted, so nothing else would come back to it.
                let slowly =
                    || self.requeue.failed(&resource.uid().unwrap_or_default(), Retry::Slowly);
                let pause = self.pause_after(resource, &findings, &verdict).or_else(slowly);
                Err(Error::CleanupPending(pause))
            }
        }
    }

    fn pause_after(
        &self,
        resource: &RoleResource,
        findings: &Findings,
        verdict: &Verdict,
    ) -> Pause {
        let uid = resource.uid().unwrap_or_default();
        let outlook = verdict.outcome(self.reporter.inputs(resource, findings)).outlook;
        let Some(retry) = outlook.retry() else {
            self.requeue.forget(&uid);
            return None;
        };
        let pause = self.requeue.failed(&uid, retry);
        match verdict {
            // It is looked at then, however settled its status seems.
            Verdict::Reserved { left, .. } => Some(*left),
            Verdict::NotShownYet(_) | Verdict::Busy => {
                pause.map(|pause| pause.min(self.timing.longest_consistency_retry))
            }
            _ => pause,
        }
    }
}

/// Puts our finalizer before those of others: of a long list only the beginning is read.
async fn add_finalizer(api: &Api<StoredObject>, name: &str, first: &str) -> Result<Pause, Error> {
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
        Err(error) => Err(finalizer::Error::AddFinalizer(error).into()),
    }
}

/// Whether the status says how it went with this generation, and not only that work is under way.
fn is_reported(resource: &RoleResource) -> bool {
    let ready = resource.status.as_ref().and_then(|status| status.ready());
    ready.is_some_and(|ready| {
        ready.observed_generation == resource.metadata.generation
            && Reason::parse(&ready.reason) != Some(Reason::Progressing)
    })
}
