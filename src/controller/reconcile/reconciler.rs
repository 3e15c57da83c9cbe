//! One reconcile: check for a pause, add the finalizer, make the role match the spec or clean up the role of a deleted
//! resource, report the result, and return when to requeue.

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

/// The time until the next reconcile without a change; `None` when the resync is early enough.
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

/// Whether a reconcile of the object can call IAM. The finalizer comes first, and needs no call.
fn needs_worker(object: &StoredObject) -> bool {
    object
        .0
        .as_ref()
        .is_ok_and(|resource| lifecycle::has_finalizer(resource) || lifecycle::is_paused(resource))
}

impl Reconciler {
    /// Reconciles the resource with this key, with a worker if it needs one. Returns when to requeue it.
    pub(crate) async fn run(&self, key: &Key) -> Pause {
        let mut object = self.schedule.index.get(key)?;
        let mut worker = None;
        if needs_worker(&object) {
            worker = Some(self.account.workers.worker().await);
            // The version after the wait.
            object = self.schedule.index.get(key)?;
        }
        match self.reconcile(&object, worker).await {
            Ok(pause) => pause,
            Err(error) => {
                let (namespace, name) = (object.namespace(), object.name_any());
                match &error {
                    // A silent API server is logged once, for all requests.
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

    /// Forgets a deleted object.
    pub(crate) fn forget(&self, object: &StoredObject) {
        self.requeue.forget_object(&object.uid().unwrap_or_default());
    }

    async fn reconcile(
        &self,
        object: &Arc<StoredObject>,
        worker: Option<Worker>,
    ) -> Result<Pause, Error> {
        if !self.schedule.is_active() {
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

    /// How long a requested reconcile must wait, if it has no other cause. A user who can annotate a resource must not
    /// be able to exhaust the calls of the whole account.
    fn requested_too_soon(&self, resource: &RoleResource) -> Pause {
        let request = lifecycle::request(resource)?;
        let uid = resource.uid().unwrap_or_default();
        self.requeue.until_request(&uid, request)
    }

    /// Leaves a settled resource to the resync, which observes all roles for the cost of one, unless the resync found a
    /// difference, or something failed after the status was written.
    fn is_asked_for(&self, resource: &RoleResource) -> bool {
        let uid = resource.uid().unwrap_or_default();
        self.schedule.take_suspect(&uid)
            || self.requeue.is_failing(&uid)
            || !lifecycle::is_settled(resource)
    }

    /// Requeues the object with backoff after an error of Kubernetes.
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

    /// The API for the kind and namespace of this object.
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

    /// Writes nothing for a paused resource. A paused resource that is being deleted must wait.
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
        // While IAM lags behind, nothing new is known, so the last report remains.
        let is_behind = matches!(verdict, Verdict::NotShownYet(_) | Verdict::Busy);
        if !(is_behind && findings.made.is_empty() && is_reported(resource)) {
            let published = self.reporter.publish(resource, &findings, &verdict).await;
            if published.is_err() {
                // If it was deleted, the role may have been created after the deletion was observed.
                self.schedule.note_orphan(object);
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
                self.requeue.note_released(&uid);
                Ok(None)
            }
            Err(verdict) => {
                self.reporter.publish(resource, &findings, &verdict).await?;
                // The resync skips resources that are being deleted, so nothing else would requeue it.
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
            // Its role is observed then, even if its status is settled.
            Verdict::Reserved { left, .. } => Some(*left),
            Verdict::NotShownYet(_) | Verdict::Busy => {
                pause.map(|pause| pause.min(self.timing.longest_consistency_retry))
            }
            _ => pause,
        }
    }
}

/// Puts our finalizer before those of others: only the beginning of a long list is read.
async fn add_finalizer(api: &Api<StoredObject>, name: &str, first: &str) -> Result<Pause, Error> {
    let front = "/metadata/finalizers/0";
    let patch = json!([
        // Another replica may have written it.
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

/// Whether the status has the result for this generation, and not only that work is in progress.
fn is_reported(resource: &RoleResource) -> bool {
    let ready = resource.status.as_ref().and_then(|status| status.ready());
    ready.is_some_and(|ready| {
        ready.observed_generation == resource.metadata.generation
            && Reason::parse(&ready.reason) != Some(Reason::Progressing)
    })
}
