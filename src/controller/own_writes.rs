//! What this process wrote to each role a moment ago, for as long as IAM may still show the time before.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::iam::{ErrorKind, IamError};
use crate::role::{Outcome, RecentWrites, RoleName, Write};

/// How long a read of IAM may be older than a write. AWS gives no bound; seconds are usual.
const SETTLING: Duration = Duration::from_secs(10);

/// The recent writes of this process.
pub(super) struct OwnWrites {
    begun: OnceLock<Instant>,
    /// Uids of the resources that there were then, which an earlier process may have seen to.
    inherited: OnceLock<HashSet<String>>,
    roles: Mutex<Roles>,
}

struct Roles {
    written: HashMap<String, (Instant, RecentWrites)>,
    pruned: Instant,
}

impl OwnWrites {
    pub(super) fn new() -> Self {
        let roles = Roles { written: HashMap::new(), pruned: Instant::now() };
        Self { begun: OnceLock::new(), inherited: OnceLock::new(), roles: Mutex::new(roles) }
    }

    /// From now on it is this process that writes, and only for these resources may another have written before.
    pub(super) fn begin(&self, inherited: impl Iterator<Item = String>) {
        self.begun.get_or_init(Instant::now);
        self.inherited.get_or_init(|| inherited.collect());
    }

    /// Whether an earlier process may have written so lately that IAM does not show it yet.
    pub(super) fn may_lack_those_of_an_earlier_process(&self) -> bool {
        self.begun.get().is_none_or(|begun| begun.elapsed() < SETTLING)
    }

    /// Whether an earlier process may have created a role for the resource so lately that IAM does not show it yet.
    pub(super) fn may_lack_a_role_of(&self, uid: &str) -> bool {
        self.may_lack_those_of_an_earlier_process()
            && self.inherited.get().is_none_or(|inherited| inherited.contains(uid))
    }

    /// Takes note of a write and how it went.
    pub(super) fn note(&self, name: &RoleName, write: &Write, result: Result<(), &IamError>) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) if error.kind == ErrorKind::AlreadyExists => Outcome::ExistsAlready,
            Err(_) => Outcome::Unsure,
        };
        let now = Instant::now();
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(roles.pruned) > SETTLING {
            roles.written.retain(|_, (at, _)| now.duration_since(*at) < SETTLING);
            roles.pruned = now;
        }
        let (at, writes) =
            roles.written.entry(name.key()).or_insert_with(|| (now, RecentWrites::default()));
        if now.duration_since(*at) >= SETTLING {
            *writes = RecentWrites::default();
        }
        *at = now;
        writes.note(write, outcome);
    }

    /// The recent writes to this role. To be asked before IAM is, so that they do not expire meanwhile.
    pub(super) fn to(&self, name: &RoleName) -> RecentWrites {
        let roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = roles.written.get(&name.key());
        let recent = recent.filter(|(at, _)| at.elapsed() < SETTLING);
        recent.map(|(_, writes)| writes.clone()).unwrap_or_default()
    }
}
