//! One AWS account: its roles, the workers for them, and what this process wrote to them a moment ago.

use std::sync::Arc;

use crate::role::{IamError, RecentWrites, RoleIdentity, RoleKey, RoleName, Roles, Write};
use crate::timing::Timing;

use super::super::runtime::Workers;
use super::ledger::Ledger;
use super::writers::Writers;

/// An account and what is under way in it.
pub(crate) struct Account {
    pub roles: Arc<dyn Roles>,
    pub ledger: Ledger,
    writers: Writers,
    pub workers: Workers,
}

impl Account {
    /// The account whose roles these are, for so many workers.
    pub(crate) fn new(roles: Arc<dyn Roles>, workers: u16, timing: &Timing) -> Self {
        Self {
            roles,
            ledger: Ledger::new(timing.iam_consistency),
            writers: Writers::default(),
            workers: Workers::new(workers),
        }
    }

    /// Leave to write to a role of which nobody has seen anything; `None` while another has it.
    pub(crate) fn enter(&self, role: &RoleKey) -> Option<impl Drop + use<'_>> {
        self.writers.enter(role)
    }

    /// Leave to write to the role, if nothing was written to it since the look that began after `before`.
    pub(crate) fn enter_after(
        &self,
        role: &RoleKey,
        before: &RecentWrites,
    ) -> Option<impl Drop + use<'_>> {
        let writer = self.writers.enter(role)?;
        (self.ledger.to(role) == *before).then_some(writer)
    }

    /// Makes one write and remembers it. Gives the role when it was created.
    pub(crate) async fn write(
        &self,
        role: &RoleKey,
        name: &RoleName,
        write: &Write,
    ) -> Result<Option<RoleIdentity>, IamError> {
        let result = self.roles.apply(name, write).await;
        self.ledger.note(role, write, result.as_ref().map(drop));
        result
    }
}
