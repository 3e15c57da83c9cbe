//! The recent writes of this process to each role, kept while IAM may still show an earlier state.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::role::{ErrorKind, IamError, Outcome, RecentWrites, RoleKey, Write};

/// The recent writes of this process.
pub(crate) struct Ledger {
    /// How long a read of IAM can be older than a write.
    settling: Duration,
    begun: OnceLock<Instant>,
    /// Uids of the resources that existed at startup, which an earlier process may have reconciled.
    inherited: OnceLock<HashSet<String>>,
    roles: Mutex<State>,
}

struct State {
    written: HashMap<RoleKey, (Instant, RecentWrites)>,
    pruned: Instant,
}

impl Ledger {
    /// A ledger that keeps each write for this time.
    pub(crate) fn new(settling: Duration) -> Self {
        let roles = Mutex::new(State { written: HashMap::new(), pruned: Instant::now() });
        Self { settling, begun: OnceLock::new(), inherited: OnceLock::new(), roles }
    }

    /// Records that this process now writes. An earlier process can only have written for these resources.
    pub(crate) fn begin(&self, inherited: impl Iterator<Item = String>) {
        self.begun.get_or_init(Instant::now);
        self.inherited.get_or_init(|| inherited.collect());
    }

    /// Whether an earlier process may have written so recently that IAM does not show it yet.
    pub(crate) fn may_lack_those_of_an_earlier_process(&self) -> bool {
        self.begun.get().is_none_or(|begun| begun.elapsed() < self.settling)
    }

    /// Whether an earlier process may have created a role for the resource so recently that IAM does not show it yet.
    pub(crate) fn may_lack_a_role_of(&self, uid: &str) -> bool {
        self.may_lack_those_of_an_earlier_process()
            && self.inherited.get().is_none_or(|inherited| inherited.contains(uid))
    }

    /// Records a write and its result.
    pub(crate) fn note(&self, role: &RoleKey, write: &Write, result: Result<(), &IamError>) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) if error.kind == ErrorKind::AlreadyExists => Outcome::ExistsAlready,
            Err(_) => Outcome::Unsure,
        };
        let now = Instant::now();
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(roles.pruned) > self.settling {
            roles.written.retain(|_, (at, _)| now.duration_since(*at) < self.settling);
            roles.pruned = now;
        }
        let (at, writes) =
            roles.written.entry(role.clone()).or_insert_with(|| (now, RecentWrites::default()));
        if now.duration_since(*at) >= self.settling {
            *writes = RecentWrites::default();
        }
        *at = now;
        writes.note(write, outcome);
    }

    /// The recent writes to this role. Read them before the request to IAM, so that they do not expire meanwhile.
    pub(crate) fn to(&self, role: &RoleKey) -> RecentWrites {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = roles.written.get(role);
        let recent = recent.filter(|(at, _)| at.elapsed() < self.settling);
        recent.map(|(_, writes)| writes.clone()).unwrap_or_default()
    }
}
