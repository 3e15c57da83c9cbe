//! The outcome of a deletion for the role, as event and log report it. Pure.

use kube::runtime::events::EventType;

use crate::api::EventReason;
use crate::role::{Kept, RoleName};

/// The outcome for the role of a deleted resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum DeletionOutcome {
    /// It was deleted.
    Deleted(RoleName),
    /// It was kept, without our tags.
    Released(RoleName),
    /// The role, if any, is left unchanged: the user asked to remove the finalizer without calling IAM. The name is the
    /// last known one.
    Abandoned(Option<String>),
    /// It is left unchanged, for this reason.
    Kept(RoleName, Kept),
    /// It is left unchanged, because others removed the finalizer.
    LeftBehind(RoleName),
    /// There was no role of ours to delete.
    Nothing,
}

impl DeletionOutcome {
    /// Type, reason and note of the event; `None` when there is nothing to report.
    pub(super) fn event(&self) -> Option<(EventType, EventReason, String)> {
        let (reason, note) = match self {
            Self::Deleted(name) => (EventReason::Deleted, format!("Deleted the IAM role {name}.")),
            Self::Released(name) => (
                EventReason::Released,
                format!("Removed the ownership tags from the IAM role {name}; the role stays."),
            ),
            Self::Abandoned(name) => {
                let name = name.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
                let note = format!(
                    "Removed the finalizer without calling IAM, as the annotation asks. An IAM role{name} may still exist with this resource's ownership tags."
                );
                (EventReason::Abandoned, note)
            }
            Self::Kept(name, why) => (
                EventReason::RoleKept,
                format!("The IAM role {name} stays, although its resource is gone: {why}."),
            ),
            Self::LeftBehind(name) => (
                EventReason::RoleLeftBehind,
                format!(
                    "Someone else removed the finalizer, so the IAM role {name} stays with its ownership tags although its resource is gone. Delete the role, or adopt it with a resource that sets spec.adoptionPolicy: Adopt."
                ),
            ),
            Self::Nothing => return None,
        };
        let type_ = match self {
            Self::Kept(..) | Self::LeftBehind(_) => EventType::Warning,
            Self::Deleted(_) | Self::Released(_) | Self::Abandoned(_) | Self::Nothing => {
                EventType::Normal
            }
        };
        Some((type_, reason, note))
    }
}
