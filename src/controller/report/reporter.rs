//! Reports the result of a reconcile: status, events, log line, metric. It does not report the same result twice.

use std::sync::Arc;

use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::events::EventType;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info, info_span, warn};

use crate::api::{CONTROLLER_NAME, Kind, Reason, RoleResource, RoleStatus};
use crate::telemetry::Metrics;
use crate::timing::Timing;

use super::super::error::Error;
use super::super::index::{Key, StoredObject};
use super::super::runtime::{Requeue, Schedule};
use super::deletion::DeletionOutcome;
use super::events::Events;
use super::notes;
use super::outcome::{Findings, Inputs, Outcome, Verdict};
use super::status::status_after;

/// Reports on resources.
pub(crate) struct Reporter {
    pub client: Client,
    pub schedule: Arc<Schedule>,
    pub requeue: Arc<Requeue>,
    pub events: Events,
    pub metrics: Arc<Metrics>,
    pub timing: Timing,
}

/// The span of a reconcile. Its result is added with the status.
pub(crate) fn span(resource: &RoleResource) -> Span {
    let (namespace, name) = (resource.namespace(), resource.name_any());
    let generation = resource.metadata.generation;
    info_span!(
        "reconcile",
        namespace,
        name,
        generation,
        role = Empty,
        reason = Empty,
        changes = Empty,
        otel.status_code = Empty
    )
}

impl Reporter {
    /// Writes the status if it changed, and sends events for the changes. If the resource was edited meanwhile, the
    /// status does not call it ready and does not repeat other results of the earlier spec. The write applies only to
    /// the version that the status was made for, so a delayed write never overwrites the status of a later leader.
    /// Returns the outcome of the verdict.
    pub(crate) async fn publish(
        &self,
        resource: &RoleResource,
        findings: &Findings,
        verdict: &Verdict,
    ) -> Result<Outcome, Error> {
        let deadline = Instant::now() + self.timing.status_conflicts;
        loop {
            let (latest, is_edited) = self.as_of_now(resource);
            let verdict = if is_edited { &Verdict::Progressing } else { verdict };
            let inputs = self.inputs(&latest, findings);
            let outcome = verdict.outcome(inputs);
            let status = status_after(verdict, &outcome, inputs);
            if latest.status.as_ref() != Some(&status) {
                match self.write_status(latest.kind, &latest.metadata, &status).await {
                    Ok(()) => {}
                    Err(Error::Kube(kube::Error::Api(answer)))
                        if answer.is_conflict() && Instant::now() < deadline =>
                    {
                        let version =
                            latest.metadata.resource_version.as_deref().unwrap_or_default();
                        let key = Key::of(&latest);
                        let newer = self.schedule.index.newer_than(&key, version);
                        // Without the newer version, the next write fails with another conflict.
                        let _ = timeout_at(deadline, newer).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            log(&latest, findings, &outcome, &status);
            self.metrics.reconciled(latest.kind.name, outcome.reason.as_str());
            if outcome.reason == Reason::DriftReported
                && notes::warns_anew(&latest, &outcome, &status)
            {
                self.metrics.drift_found();
            }
            for event in notes::events(&latest, findings, &outcome, &status) {
                self.events.send(event, latest.object_ref(&latest.kind));
            }
            return Ok(outcome);
        }
    }

    /// The current inputs of a verdict on `resource`.
    pub(crate) fn inputs<'a>(
        &self,
        resource: &'a RoleResource,
        findings: &'a Findings,
    ) -> Inputs<'a> {
        let propagation = self.timing.iam_propagation;
        Inputs { resource, findings, now: (self.timing.now)(), propagation }
    }

    /// The resource as reconciled, with its current status. If its spec was edited since, the edited resource and
    /// `true`.
    fn as_of_now(&self, resource: &RoleResource) -> (RoleResource, bool) {
        let latest = self.schedule.latest(resource);
        let latest = latest.as_ref().and_then(|object| object.0.as_ref().ok());
        let is_edited = |latest: &RoleResource| {
            // A deletion also increments the generation.
            latest.metadata.generation != resource.metadata.generation
                && latest.metadata.deletion_timestamp.is_none()
        };
        match latest {
            Some(latest) if is_edited(latest) => (latest.clone(), true),
            Some(latest) => {
                let mut resource = resource.clone();
                resource.status.clone_from(&latest.status);
                resource.metadata.resource_version.clone_from(&latest.metadata.resource_version);
                (resource, false)
            }
            None => (resource.clone(), false),
        }
    }

    /// Reports the outcome for the role of an object that is being deleted.
    pub(crate) fn deleted(&self, object: &StoredObject, outcome: &DeletionOutcome) {
        let Some((type_, reason, note)) = outcome.event() else { return };
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        let reason = reason.as_str();
        info!(namespace, name, reason, "{note}");
        let event = notes::event(type_, reason, "Delete", &note);
        self.events.send(event, object.object_ref(&object.kind()));
    }

    /// Sends a warning about an object.
    pub(crate) fn warn(&self, object: &StoredObject, reason: Reason, message: &str) {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        warn!(namespace, name, reason = reason.as_str(), "{message}");
        let event = notes::event(EventType::Warning, reason.as_str(), "Reconcile", message);
        self.events.send(event, object.object_ref(&object.kind()));
    }

    /// Writes the whole status onto the given version. The API server rejects it after another write.
    pub(crate) async fn write_status(
        &self,
        kind: &'static Kind,
        metadata: &ObjectMeta,
        status: &RoleStatus,
    ) -> Result<(), Error> {
        let namespace = metadata.namespace.as_deref().ok_or(Error::Incomplete("namespace"))?;
        let api: Api<StoredObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let name = metadata.name.clone().unwrap_or_default();
        let precondition = ObjectMeta {
            name: Some(name.clone()),
            // A status must never reach another object that has the same name by now.
            uid: metadata.uid.clone(),
            resource_version: metadata.resource_version.clone(),
            ..ObjectMeta::default()
        };
        let body = json!({
            "apiVersion": format!("{}/{}", kind.group, kind.version),
            "kind": kind.name,
            "metadata": precondition,
            "status": status,
        });
        let params = PatchParams::apply(CONTROLLER_NAME).force();
        let patch = Patch::Apply(body);
        let written = api.patch_status(&name, &params, &patch);
        match written.instrument(info_span!("write status")).await {
            Ok(written) => {
                let version = written.resource_version().unwrap_or_default();
                self.requeue.note_written(&written.uid().unwrap_or_default(), &version, status);
                Ok(())
            }
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Err(Error::Unknown),
            Err(error) => Err(error.into()),
        }
    }
}

fn log(resource: &RoleResource, findings: &Findings, outcome: &Outcome, status: &RoleStatus) {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let generation = resource.metadata.generation.unwrap_or_default();
    let role = findings.role_name.as_deref().unwrap_or_default();
    let reason = outcome.reason.as_str();
    let changes = notes::parts(&findings.made);
    let span = Span::current();
    span.record("role", role).record("reason", reason).record("changes", &changes);
    if outcome.warns {
        span.record("otel.status_code", "ERROR");
    }

    let is_news = resource.status.as_ref() != Some(status) || !findings.made.is_empty();
    if !is_news {
        return;
    }
    let message = status.ready().map_or("", |ready| ready.message.as_str());
    if outcome.warns {
        warn!(namespace, name, generation, role, reason, changes, "{message}");
    } else {
        info!(namespace, name, generation, role, reason, changes, "{message}");
    }
}
