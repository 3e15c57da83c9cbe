//! The states of each role, with their times and authors.

use std::sync::{Arc, Mutex, MutexGuard};

use support::{Account, Applied};
use tokio::sync::mpsc::UnboundedReceiver;

/// The writes to an account, in order. A write is recorded before its caller can know of it.
pub(crate) struct History(Mutex<(UnboundedReceiver<Applied>, Vec<Arc<Applied>>)>);

impl History {
    /// Records all writes from now on.
    pub(crate) fn of(account: &Account) -> Self {
        Self(Mutex::new((account.journal(), Vec::new())))
    }

    fn up_to_now(&self) -> MutexGuard<'_, (UnboundedReceiver<Applied>, Vec<Arc<Applied>>)> {
        let mut history = self.0.lock().unwrap();
        let (journal, writes) = &mut *history;
        while let Ok(applied) = journal.try_recv() {
            writes.push(Arc::new(applied));
        }
        history
    }

    pub(crate) fn len(&self) -> usize {
        self.up_to_now().1.len()
    }

    /// The writes from number `first` on.
    pub(crate) fn from(&self, first: usize) -> Vec<Arc<Applied>> {
        self.up_to_now().1.get(first..).unwrap_or_default().to_vec()
    }

    /// The writes to one role.
    pub(crate) fn of_role(&self, key: &str) -> Vec<Arc<Applied>> {
        self.up_to_now().1.iter().filter(|applied| applied.key == key).cloned().collect()
    }
}
