//! One AWS account: its roles, their workers, and the recent writes of this process.

use std::sync::Arc;

use crate::role::{IamError, RecentWrites, RoleIdentity, RoleKey, RoleName, Roles, Write};
use crate::timing::Timing;

use super::super::runtime::Workers;
use super::ledger::Ledger;
use super::writers::Writers;

/// An account and its running work.
pub(crate) struct Account {
    pub roles: Arc<dyn Roles>,
    pub ledger: Ledger,
    writers: Writers,
    pub workers: Workers,
}

impl Account {
    /// The account of these roles, with this number of workers.
    pub(crate) fn new(roles: Arc<dyn Roles>, workers: u16, timing: &Timing) -> Self {
        Self {
            roles,
            ledger: Ledger::new(timing.iam_consistency),
            writers: Writers::default(),
            workers: Workers::new(workers),
        }
    }

    /// A permit to write to a role that was not observed; `None` while another has it.
    pub(crate) fn acquire(&self, role: &RoleKey) -> Option<impl Drop + use<'_>> {
        self.writers.acquire(role)
    }

    /// A permit to write to the role, if nothing was written to it since the observation that started after `before`.
    pub(crate) fn acquire_after(
        &self,
        role: &RoleKey,
        before: &RecentWrites,
    ) -> Option<impl Drop + use<'_>> {
        let writer = self.writers.acquire(role)?;
        (self.ledger.to(role) == *before).then_some(writer)
    }

    /// Makes one write and records it. Returns the role when the write created it.
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
