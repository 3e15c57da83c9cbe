//! Writes down how a reconcile went: status, events, log line, metric. What is said already is not said
//! again.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource as _, ResourceExt};
use serde_json::json;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing::{Span, info, info_span, warn};

use crate::api::{PinpointEventStreamRole, PinpointEventStreamRoleStatus, Reason};
use crate::policy::shortened;
use crate::role::{Change, Write};

use super::cleanup::Farewell;
use super::index::Key;
use super::reconcile::Error;
use super::status::{Progress, Verdict, status_after};
use super::{CONTROLLER_NAME, Context, Guarded};

/// An event's note may hold 1 kB (API reference, `events.k8s.io/v1`).
const LONGEST_NOTE: usize = 1024;

/// How long a status is made and written anew when others keep writing to the resource.
const CONFLICTS: Duration = Duration::from_secs(5);

/// The span of a reconcile. What it came to is filled in with the status.
pub(super) fn span(resource: &PinpointEventStreamRole) -> Span {
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

/// Writes the status if it says something new, and tells events of what changed. What was edited meanwhile is not
/// called ready, nor anything else that was true before. The status is written onto the version that it was made for, so
/// that a write which was held up on its way never covers what another leader has said since.
pub(super) async fn publish(
    resource: &PinpointEventStreamRole,
    context: &Context,
    progress: &Progress,
    verdict: &Verdict,
) -> Result<(), Error> {
    let deadline = Instant::now() + CONFLICTS;
    loop {
        let (latest, is_edited) = as_of_now(resource, context);
        let verdict = if is_edited { &Verdict::Progressing } else { verdict };
        let status = status_after(&latest, progress, verdict, Timestamp::now());
        if latest.status.as_ref() != Some(&status) {
            match write_status(&latest, context, &status).await {
                Ok(()) => {}
                Err(Error::Kube(kube::Error::Api(answer)))
                    if answer.is_conflict() && Instant::now() < deadline =>
                {
                    let version = latest.metadata.resource_version.as_deref().unwrap_or_default();
                    let key = Key::of(&latest);
                    let newer = context.schedule.index.newer_than(&key, version);
                    // Without the newer one, another conflict says so.
                    let _ = timeout_at(deadline, newer).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        log_outcome(&latest, progress, verdict, &status);
        let reason = status.ready().and_then(|ready| Reason::parse(&ready.reason));
        context.metrics.reconciled(reason.map_or("", Reason::as_str));
        for event in events(&latest, progress, verdict, &status) {
            if event.reason == Reason::DriftReported.as_str() {
                context.metrics.drift_found();
            }
            context.events.send(event, latest.object_ref(&()));
        }
        return Ok(());
    }
}

/// The resource as it was worked on, with the status that it has by now; or, when its spec was edited since, as that
/// edit left it, and `true`.
fn as_of_now(
    resource: &PinpointEventStreamRole,
    context: &Context,
) -> (PinpointEventStreamRole, bool) {
    let latest = context.schedule.latest(resource);
    let latest = latest.as_ref().and_then(|guarded| guarded.0.as_ref().ok());
    let is_edited = |latest: &PinpointEventStreamRole| {
        // Deletion counts as a generation too.
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

/// Tells what became of the role of a resource that is going away.
pub(super) fn publish_farewell(
    resource: &impl kube::Resource<DynamicType = ()>,
    context: &Context,
    farewell: &Farewell,
) {
    let (reason, note) = match farewell {
        Farewell::Deleted(name) => ("Deleted", format!("Deleted the IAM role {name}.")),
        Farewell::Released(name) => (
            "Released",
            format!("The IAM role {name} stays; the ownership tags were taken off it."),
        ),
        Farewell::Abandoned(name) => (
            "Abandoned",
            format!(
                "The resource was let go without a call to IAM, as its annotation asks. An IAM role {name} may still exist, with this resource's ownership tags."
            ),
        ),
        Farewell::Kept(name, why) => (
            "RoleKept",
            format!("The IAM role {name} stays, although its resource is gone: {why}."),
        ),
        Farewell::LeftBehind(name) => (
            "RoleLeftBehind",
            format!(
                "The finalizer was removed by others, so the IAM role {name} stays although its resource is gone, with its ownership tags. Delete it, or adopt it by a resource with spec.adoptionPolicy: Adopt."
            ),
        ),
        Farewell::Nothing => return,
    };
    let type_ = match farewell {
        Farewell::Kept(..) | Farewell::LeftBehind(_) => EventType::Warning,
        Farewell::Deleted(_)
        | Farewell::Released(_)
        | Farewell::Abandoned(_)
        | Farewell::Nothing => EventType::Normal,
    };
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    info!(namespace, name, reason, "{note}");
    let event = event(type_, reason, "Delete", &note);
    context.events.send(event, resource.object_ref(&()));
}

/// Writes the whole status onto the version of `resource` that is given; the API server refuses it once somebody has
/// written meanwhile.
pub(super) async fn write_status(
    resource: &impl ResourceExt,
    context: &Context,
    status: &PinpointEventStreamRoleStatus,
) -> Result<(), Error> {
    let namespace = resource.namespace().ok_or(Error::Incomplete("namespace"))?;
    let api: Api<Guarded> = Api::namespaced(context.client.clone(), &namespace);
    let name = resource.name_any();
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        // So that a status never lands on another object that took the name meanwhile.
        uid: resource.uid(),
        resource_version: resource.resource_version(),
        ..ObjectMeta::default()
    };
    let body = json!({
        "apiVersion": PinpointEventStreamRole::api_version(&()),
        "kind": PinpointEventStreamRole::kind(&()),
        "metadata": metadata,
        "status": status,
    });
    let params = PatchParams::apply(CONTROLLER_NAME).force();
    let patch = Patch::Apply(body);
    let written = api.patch_status(&name, &params, &patch);
    match written.instrument(info_span!("write status")).await {
        Ok(written) => {
            let version = written.resource_version().unwrap_or_default();
            context.requeue.note_told(&written.uid().unwrap_or_default(), &version, status);
            Ok(())
        }
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Err(Error::Unknown),
        Err(error) => Err(error.into()),
    }
}

fn log_outcome(
    resource: &PinpointEventStreamRole,
    progress: &Progress,
    verdict: &Verdict,
    status: &PinpointEventStreamRoleStatus,
) {
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let generation = resource.metadata.generation.unwrap_or_default();
    let role = progress.role_name.as_deref().unwrap_or_default();
    let reason = status.ready().map_or("", |ready| ready.reason.as_str());
    let changes = parts(&progress.made);
    let span = Span::current();
    span.record("role", role).record("reason", reason).record("changes", &changes);
    if is_bad_news(verdict) {
        span.record("otel.status_code", "ERROR");
    }

    let is_news = resource.status.as_ref() != Some(status) || !progress.made.is_empty();
    if !is_news {
        return;
    }
    let message = ready_message(status);
    if is_bad_news(verdict) {
        warn!(namespace, name, generation, role, reason, changes, "{message}");
    } else {
        info!(namespace, name, generation, role, reason, changes, "{message}");
    }
}

fn events(
    resource: &PinpointEventStreamRole,
    progress: &Progress,
    verdict: &Verdict,
    status: &PinpointEventStreamRoleStatus,
) -> Vec<Event> {
    let mut events = Vec::new();
    if !progress.made.is_empty() {
        events.push(event_of_changes(progress));
    }
    let said = |status: &PinpointEventStreamRoleStatus| {
        let ready = status.ready()?;
        Some((ready.reason.clone(), ready.message.clone(), ready.observed_generation))
    };
    let said_already = resource.status.as_ref().and_then(said) == said(status);
    if let (true, false, Some(ready)) = (is_bad_news(verdict), said_already, status.ready()) {
        events.push(event(EventType::Warning, &ready.reason, "Reconcile", &ready.message));
    }
    events
}

fn event_of_changes(progress: &Progress) -> Event {
    let role = progress.role_name.as_deref().unwrap_or_default();
    let made = &progress.made;
    let created = made.iter().any(|change| matches!(change.write, Write::CreateRole(_)));
    let adopted = made.iter().any(|change| change.write.adopts());
    let differences = made
        .iter()
        .flat_map(|change| &change.differences)
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    let what = format!("{} of the IAM role {role}: {}", parts(made), differences.join("; "));
    match (created, progress.was_in_sync) {
        (false, _) if adopted => {
            event(EventType::Normal, "Adopted", "Update", &format!("Took over {what}"))
        }
        (true, _) => {
            let note = format!("Created the IAM role {role}: {}.", parts(made));
            event(EventType::Normal, "Created", "Create", &note)
        }
        (false, true) => {
            event(EventType::Normal, "DriftRepaired", "Update", &format!("Repaired {what}"))
        }
        (false, false) => event(EventType::Normal, "Updated", "Update", &format!("Updated {what}")),
    }
}

/// An event, its note cut to what one may hold.
pub(super) fn event(type_: EventType, reason: &str, action: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.into(),
        note: Some(shortened(note, LONGEST_NOTE)),
        action: action.into(),
        secondary: None,
    }
}

fn is_bad_news(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Progressing | Verdict::NotShownYet(_) | Verdict::Busy => false,
        Verdict::Synced { extra_policies } => !extra_policies.is_empty(),
        Verdict::LeftAlone { reason, differences } => {
            !differences.is_empty() && *reason == Reason::DriftReported
        }
        Verdict::InvalidSpec(_)
        | Verdict::Refused(_)
        | Verdict::Reserved { .. }
        | Verdict::WrongAccount { .. }
        | Verdict::Failed(_)
        | Verdict::DeletionBlocked(_)
        | Verdict::DeletionPaused => true,
    }
}

fn parts(changes: &[Change]) -> String {
    let mut parts: Vec<_> = changes.iter().map(|change| change.write.part()).collect();
    parts.dedup();
    parts.join(", ")
}

/// What the status says of Ready.
pub(super) fn ready_message(status: &PinpointEventStreamRoleStatus) -> &str {
    status.ready().map_or("", |ready| ready.message.as_str())
}
