//! When a failing resource is tried again: with pauses that grow by object and shrink to nothing once it
//! succeeds.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::iam::Retry;

/// The pauses of every failing object.
pub(super) struct Requeue {
    longest: Duration,
    failing: Mutex<HashMap<String, ExponentialBackoff>>,
}

impl Requeue {
    /// `longest` bounds the pauses, but for their jitter.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, failing: Mutex::default() }
    }

    /// How long to wait after a failure; `None` when only a change of the resource can help.
    pub(super) fn failed(&self, uid: &str, retry: Retry) -> Option<Duration> {
        let first = match retry {
            Retry::Soon => Duration::from_secs(1),
            Retry::Slowly => Duration::from_secs(30),
            Retry::AfterChange => {
                self.forget(uid);
                return None;
            }
        };
        let mut failing = self.lock();
        let pauses = failing.entry(uid.to_owned()).or_insert_with(|| pauses(first, self.longest));
        pauses.next().or(Some(self.longest))
    }

    /// Whether the object failed and is to be tried again.
    pub(super) fn is_failing(&self, uid: &str) -> bool {
        self.lock().contains_key(uid)
    }

    /// The object is gone, or works again.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ExponentialBackoff>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first.min(longest))
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_mins(10);

    fn fail(requeue: &Requeue, uid: &str, times: usize) -> Vec<Duration> {
        (0..times).filter_map(|_| requeue.failed(uid, Retry::Soon)).collect()
    }

    #[test]
    fn pauses_grow_while_an_object_fails_and_start_anew_once_it_succeeded() {
        let requeue = Requeue::new(LONGEST);
        let pauses = fail(&requeue, "a", 12);
        assert_eq!(pauses.len(), 12);
        assert!(pauses.first() < pauses.get(4), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST * 2), "{pauses:?}");
        requeue.forget("a");
        assert!(fail(&requeue, "a", 1) <= vec![Duration::from_secs(2)]);
    }

    #[test]
    fn one_failing_object_does_not_slow_another() {
        let requeue = Requeue::new(LONGEST);
        fail(&requeue, "a", 8);
        assert!(fail(&requeue, "b", 1) <= vec![Duration::from_secs(2)]);
        assert!(requeue.is_failing("a") && requeue.is_failing("b") && !requeue.is_failing("c"));
    }

    #[test]
    fn what_only_a_change_can_help_is_not_tried_again_by_itself() {
        let requeue = Requeue::new(LONGEST);
        assert_eq!(requeue.failed("a", Retry::AfterChange), None);
        assert!(!requeue.is_failing("a"));
    }
}
