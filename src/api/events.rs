//! The reasons of events that are not reasons of conditions. An event about a condition has the condition's reason.

/// An event in the life of a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, strum::IntoStaticStr, strum::VariantArray)]
pub enum EventReason {
    /// The role was created.
    Created,
    /// The role was changed to match an edit.
    Updated,
    /// A role that existed before was adopted.
    Adopted,
    /// A change that others made to the role was reverted.
    DriftRepaired,
    /// The role was deleted with its resource.
    Deleted,
    /// The role was left without ownership tags when its resource was deleted.
    Released,
    /// The finalizer was removed without a call to IAM.
    Abandoned,
    /// The role was left unchanged when its resource was deleted.
    RoleKept,
    /// The role was left unchanged because others removed the finalizer.
    RoleLeftBehind,
}

impl EventReason {
    /// The reason as written in events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
