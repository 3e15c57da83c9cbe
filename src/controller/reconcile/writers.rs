//! One writer per role at a time. Two resources can declare the same role, and a resource can be recreated while the
//! role of its predecessor is being deleted. All writes use the role's name, so interleaved writers would corrupt both
//! results.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::role::RoleKey;

/// The roles that are being written.
#[derive(Debug, Default)]
pub(crate) struct Writers(Mutex<HashSet<RoleKey>>);

impl Writers {
    /// A permit to write to the role, until it is dropped; `None` while another has it.
    pub(crate) fn acquire(&self, role: &RoleKey) -> Option<impl Drop + use<'_>> {
        let key = role.clone();
        self.lock().insert(key.clone()).then(|| Writer { writers: self, key })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<RoleKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Writer<'a> {
    writers: &'a Writers,
    key: RoleKey,
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.writers.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AccountId;
    use crate::role::RoleName;

    #[test]
    fn a_role_has_one_writer_at_a_time_whatever_the_case_of_its_name() {
        let writers = Writers::default();
        let account = AccountId::parse("111122223333").unwrap_or_else(|error| panic!("{error}"));
        let role = |name| {
            let name = RoleName::parse(name).unwrap_or_else(|error| panic!("{error}"));
            name.in_account(&account)
        };
        let first = writers.acquire(&role("a"));
        assert!(first.is_some() && writers.acquire(&role("A")).is_none());
        assert!(writers.acquire(&role("b")).is_some());
        drop(first);
        assert!(writers.acquire(&role("A")).is_some());
    }
}
