//! The events of a reconcile, and their text. Pure.

use kube::runtime::events::{Event, EventType};

use crate::api::{EventReason, RoleResource, RoleStatus};
use crate::policy::shortened;
use crate::role::{Change, Write};

use super::outcome::{Findings, Outcome};

/// The note of an event is limited to 1 kB (API reference, `events.k8s.io/v1`).
const LONGEST_NOTE: usize = 1024;

/// The events of a reconcile: one for its writes, and a warning that is not yet in the status.
pub(super) fn events(
    resource: &RoleResource,
    findings: &Findings,
    outcome: &Outcome,
    status: &RoleStatus,
) -> Vec<Event> {
    let mut events = Vec::new();
    if !findings.made.is_empty() {
        events.push(of_changes(findings));
    }
    if warns_anew(resource, outcome, status)
        && let Some(ready) = status.ready()
    {
        events.push(event(EventType::Warning, &ready.reason, "Reconcile", &ready.message));
    }
    events
}

/// Whether there is a warning that is not yet in the status.
pub(super) fn warns_anew(resource: &RoleResource, outcome: &Outcome, status: &RoleStatus) -> bool {
    let said = |status: &RoleStatus| {
        let ready = status.ready()?;
        Some((ready.reason.clone(), ready.message.clone(), ready.observed_generation))
    };
    outcome.warns && resource.status.as_ref().and_then(said) != said(status)
}

fn of_changes(findings: &Findings) -> Event {
    let role = findings.role_name.as_deref().unwrap_or_default();
    let made = &findings.made;
    let created = made.iter().any(|change| matches!(change.write, Write::CreateRole(_)));
    let adopted = made.iter().any(|change| change.write.adopts());
    let differences = made
        .iter()
        .flat_map(|change| &change.differences)
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    let what = format!("{} of the IAM role {role}: {}", parts(made), differences.join("; "));
    match (created, findings.was_in_sync) {
        (false, _) if adopted => event(
            EventType::Normal,
            EventReason::Adopted.as_str(),
            "Update",
            &format!("Adopted {what}"),
        ),
        (true, _) => {
            let note = format!("Created the IAM role {role}: {}.", parts(made));
            event(EventType::Normal, EventReason::Created.as_str(), "Create", &note)
        }
        (false, true) => event(
            EventType::Normal,
            EventReason::DriftRepaired.as_str(),
            "Update",
            &format!("Repaired {what}"),
        ),
        (false, false) => event(
            EventType::Normal,
            EventReason::Updated.as_str(),
            "Update",
            &format!("Updated {what}"),
        ),
    }
}

/// An event, its note cut to the limit.
pub(crate) fn event(type_: EventType, reason: &str, action: &str, note: &str) -> Event {
    Event {
        type_,
        reason: reason.into(),
        note: Some(shortened(note, LONGEST_NOTE)),
        action: action.into(),
        secondary: None,
    }
}

/// The parts that were written, each once.
pub(super) fn parts(changes: &[Change]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for change in changes {
        let part = change.part.to_string();
        // A repair can remove a part, and write it again later.
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(", ")
}
