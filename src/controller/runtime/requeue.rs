//! When a failing resource is retried: with backoff per object, which resets after a success.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use serde::Serialize;
use tokio::time::Instant;

use crate::role::Retry;
use crate::timing::Timing;

/// The backoff of every failing object, and other per-object state that lasts until the object is deleted.
pub(crate) struct Requeue {
    longest: Duration,
    timing: Timing,
    failing: Mutex<HashMap<String, ExponentialBackoff>>,
    /// When an object was last reconciled at the request of an annotation, and the annotation's value.
    requested: Mutex<HashMap<String, (Instant, String)>>,
    /// Objects without our finalizer, because their role was cleaned up.
    released: Mutex<HashSet<String>>,
    /// The version of an object after the last write of its status, and a hash of that status.
    written_statuses: Mutex<HashMap<String, (String, u64)>>,
}

impl Requeue {
    /// `longest` bounds the pauses, before jitter.
    pub(crate) fn new(longest: Duration, timing: &Timing) -> Self {
        let (failing, requested, released, written_statuses) = Default::default();
        let timing = *timing;
        Self { longest, timing, failing, requested, released, written_statuses }
    }

    /// How long to wait after a failure; `None` when only a change of the resource helps.
    pub(crate) fn failed(&self, uid: &str, retry: Retry) -> Option<Duration> {
        let first = match retry {
            Retry::Soon => self.timing.first_retry,
            Retry::Slowly => self.timing.first_slow_retry,
            Retry::AfterChange => {
                self.forget(uid);
                return None;
            }
        };
        let mut failing = self.lock();
        let pauses = failing.entry(uid.to_owned()).or_insert_with(|| pauses(first, self.longest));
        pauses.next().or(Some(self.longest))
    }

    /// Whether the object failed and will be retried.
    pub(crate) fn is_failing(&self, uid: &str) -> bool {
        self.lock().contains_key(uid)
    }

    /// Resets the backoff of an object that was deleted or works again.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// How long the reconcile that this annotation value requests must wait. `None` when it can start now, or has
    /// already started.
    pub(crate) fn until_request(&self, uid: &str, value: &str) -> Option<Duration> {
        let now = Instant::now();
        let mut requested = locked(&self.requested);
        if let Some((at, last)) = requested.get(uid)
            && last != value
            && let Some(left) = self.timing.request_interval.checked_sub(now.duration_since(*at))
            && !left.is_zero()
        {
            return Some(left);
        }
        if requested.get(uid).is_none_or(|(_, last)| last != value) {
            requested.insert(uid.to_owned(), (now, value.to_owned()));
        }
        None
    }

    /// Records that the status of the object was written and resulted in this version.
    pub(crate) fn note_written(&self, uid: &str, version: &str, status: &impl Serialize) {
        let written = (version.to_owned(), hash(status));
        locked(&self.written_statuses).insert(uid.to_owned(), written);
    }

    /// Whether this status was written at exactly this version. Other fields of the version then come from others, and
    /// writing the status again would not change them.
    pub(crate) fn is_written(&self, uid: &str, version: &str, status: &impl Serialize) -> bool {
        let written = locked(&self.written_statuses).get(uid).cloned();
        written.is_some_and(|(at, what)| at == version && what == hash(status))
    }

    /// Records that the role of the object was cleaned up and its finalizer is removed.
    pub(crate) fn note_released(&self, uid: &str) {
        locked(&self.released).insert(uid.to_owned());
    }

    /// Forgets a deleted object.
    pub(crate) fn forget_object(&self, uid: &str) {
        self.forget(uid);
        locked(&self.requested).remove(uid);
        locked(&self.written_statuses).remove(uid);
    }

    /// Whether the role of a deleted object was cleaned up before its finalizer was removed. Forgets it.
    pub(crate) fn was_released(&self, uid: &str) -> bool {
        locked(&self.released).remove(uid)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, ExponentialBackoff>> {
        locked(&self.failing)
    }
}

fn hash(status: &impl Serialize) -> u64 {
    let text = serde_json::to_string(status).unwrap_or_default();
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn the_backoff_grows_while_an_object_fails_and_resets_on_success() {
        let requeue = Requeue::new(LONGEST, &Timing::default());
        let pauses = fail(&requeue, "a", 12);
        assert_eq!(pauses.len(), 12);
        assert!(pauses.first() < pauses.get(4), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= LONGEST * 2), "{pauses:?}");
        requeue.forget("a");
        assert!(fail(&requeue, "a", 1) <= vec![Duration::from_secs(2)]);
    }

    #[test]
    fn user_errors_are_retried_later_than_transient_ones() {
        let first = |retry| Requeue::new(LONGEST, &Timing::default()).failed("a", retry);
        assert!(first(Retry::Soon).is_some_and(|pause| pause <= Duration::from_secs(2)));
        assert!(first(Retry::Slowly).is_some_and(|pause| pause >= Duration::from_secs(30)));
    }

    #[test]
    fn one_failing_object_does_not_slow_another() {
        let requeue = Requeue::new(LONGEST, &Timing::default());
        fail(&requeue, "a", 8);
        assert!(fail(&requeue, "b", 1) <= vec![Duration::from_secs(2)]);
        assert!(requeue.is_failing("a") && requeue.is_failing("b") && !requeue.is_failing("c"));
    }

    #[test]
    fn requests_for_one_object_have_a_minimum_interval() {
        let requeue = Requeue::new(LONGEST, &Timing::default());
        assert_eq!(requeue.until_request("a", "1"), None);
        assert_eq!(requeue.until_request("a", "1"), None, "a retry of the same");
        let left = requeue.until_request("a", "2");
        assert!(left.is_some_and(|left| left <= Timing::default().request_interval), "{left:?}");
        assert_eq!(requeue.until_request("b", "2"), None, "another object");
        requeue.forget_object("a");
        assert_eq!(requeue.until_request("a", "3"), None);
    }

    #[test]
    fn errors_that_need_a_change_are_not_retried_automatically() {
        let requeue = Requeue::new(LONGEST, &Timing::default());
        assert_eq!(requeue.failed("a", Retry::AfterChange), None);
        assert!(!requeue.is_failing("a"));
    }
}
