//! When a resource is looked at again: settled ones at the resync period, failing ones with pauses that
//! grow by object and shrink to nothing once it succeeds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use crate::iam::Retry;

/// The pauses of every failing object, and the resync period.
pub(super) struct Requeue {
    resync: Duration,
    failing: Mutex<HashMap<String, ExponentialBackoff>>,
}

impl Requeue {
    pub(super) fn new(resync: Duration) -> Self {
        Self { resync, failing: Mutex::default() }
    }

    /// After success, or when only a user can help: at the next resync, a tenth sooner or later so that a
    /// thousand objects do not come at once.
    pub(super) fn settled(&self, uid: &str) -> Duration {
        self.forget(uid);
        self.resync.mul_f64(fastrand::f64().mul_add(0.2, 0.9))
    }

    /// After a failure: sooner or later as its kind asks.
    pub(super) fn failed(&self, uid: &str, retry: Retry) -> Duration {
        let first = match retry {
            Retry::Soon => Duration::from_secs(1),
            Retry::Slowly => Duration::from_secs(30),
            Retry::AfterChange => return self.settled(uid),
        };
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let pauses = failing.entry(uid.to_owned()).or_insert_with(|| pauses(first, self.resync));
        pauses.next().unwrap_or(self.resync).max(first / 2)
    }

    /// The object is gone, or works again.
    pub(super) fn forget(&self, uid: &str) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn pauses(first: Duration, longest: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESYNC: Duration = Duration::from_mins(10);

    #[test]
    fn pauses_grow_while_an_object_fails_and_start_anew_once_it_succeeded() {
        let requeue = Requeue::new(RESYNC);
        let pauses: Vec<_> = (0..12).map(|_| requeue.failed("a", Retry::Soon)).collect();
        assert!(pauses.first() < pauses.get(4), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= RESYNC * 2), "{pauses:?}");
        requeue.settled("a");
        assert!(requeue.failed("a", Retry::Soon) <= Duration::from_secs(2));
    }

    #[test]
    fn one_failing_object_does_not_slow_another() {
        let requeue = Requeue::new(RESYNC);
        for _ in 0..8 {
            requeue.failed("a", Retry::Soon);
        }
        assert!(requeue.failed("b", Retry::Soon) <= Duration::from_secs(2));
    }

    #[test]
    fn resyncs_are_spread_by_a_tenth_either_way() {
        let requeue = Requeue::new(RESYNC);
        for _ in 0..100 {
            let pause = requeue.settled("a");
            assert!(pause >= RESYNC.mul_f64(0.9) && pause <= RESYNC.mul_f64(1.1), "{pause:?}");
        }
    }
}
