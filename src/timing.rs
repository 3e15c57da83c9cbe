//! Every wait of the program, and its time of day, in one value. Tests run the real code with other times.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

/// Every duration that the program waits for, on tokio's clock, and the clock of the timestamps that it writes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The time of day.
    pub now: fn() -> Timestamp,

    /// How long other replicas wait for an unchanged Lease to expire.
    pub lease_duration: Duration,
    /// How long a leader works after it sent the last successful renewal. The rest of `lease_duration` is longer than
    /// an attempt of a call to IAM, so an attempt that starts at the last moment ends before another replica leads.
    pub renew_deadline: Duration,
    /// How often the leader renews its Lease.
    pub renew_period: Duration,
    /// How often the other replicas check the Lease, and any replica after a failure.
    pub retry_period: Duration,
    /// How long one request about the Lease can take.
    pub lease_request_timeout: Duration,

    /// How long an answer of the API server can take to begin, and each part of it to follow.
    pub api_timeout: Duration,
    /// How long a watch lasts. If the API server does not end it by then, and sends nothing for 5 s more, the
    /// controller drops it. This bounds how long the controller misses changes when a connection dies silently.
    pub watch_length: Duration,
    /// The silence of the API server after which the controller is not ready.
    pub watch_silence: Duration,
    /// How long writing a status is retried while others write to the resource.
    pub status_conflicts: Duration,
    /// How long the API server can take for one event.
    pub event_timeout: Duration,

    /// How long one attempt of a call to IAM can take, connecting included. IAM answers in tens of milliseconds; a slower
    /// answer is a lost one.
    pub iam_attempt_timeout: Duration,
    /// How long a call to IAM can take with all its attempts.
    pub iam_call_timeout: Duration,
    /// How long a read of IAM can be older than a write. AWS documents no bound; seconds are usual.
    pub iam_consistency: Duration,
    /// How long a principal or a boundary that IAM does not know can be too new for IAM.
    pub iam_propagation: Duration,

    /// The first pause before a retry after a temporary failure; the pauses grow from there.
    pub first_retry: Duration,
    /// The same when someone has to act outside of Kubernetes.
    pub first_slow_retry: Duration,
    /// The longest pause before a role is observed again when IAM does not show a write yet, or when another resource
    /// writes to the role. Both pass within seconds, and repeated edits must not make the pauses grow.
    pub longest_consistency_retry: Duration,
    /// The pause before the API server is asked again for an object that it does not know.
    pub unknown_object_retry: Duration,
    /// The longest pause before a failed resync is retried.
    pub resync_retry: Duration,
    /// The least time between two reconciles of one object that were requested by annotation.
    pub request_interval: Duration,
    /// How long a role is reserved for a deleted resource, in case it is being recreated.
    pub reservation: Duration,

    /// How long running reconciles can take to end after the stop signal. With the Lease, the events and 5 s for
    /// traces, the total is below the 30 s that Kubernetes gives a pod by default.
    pub drain: Duration,
    /// How long the last events can take after that.
    pub event_flush: Duration,
}

impl Timing {
    /// The same with every duration multiplied by `scale`: for tests of real processes.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        let by = |duration: Duration| duration.mul_f64(scale);
        Self {
            now: self.now,
            lease_duration: by(self.lease_duration),
            renew_deadline: by(self.renew_deadline),
            renew_period: by(self.renew_period),
            retry_period: by(self.retry_period),
            lease_request_timeout: by(self.lease_request_timeout),
            api_timeout: by(self.api_timeout),
            watch_length: by(self.watch_length),
            watch_silence: by(self.watch_silence),
            status_conflicts: by(self.status_conflicts),
            event_timeout: by(self.event_timeout),
            iam_attempt_timeout: by(self.iam_attempt_timeout),
            iam_call_timeout: by(self.iam_call_timeout),
            iam_consistency: by(self.iam_consistency),
            iam_propagation: by(self.iam_propagation),
            first_retry: by(self.first_retry),
            first_slow_retry: by(self.first_slow_retry),
            longest_consistency_retry: by(self.longest_consistency_retry),
            unknown_object_retry: by(self.unknown_object_retry),
            resync_retry: by(self.resync_retry),
            request_interval: by(self.request_interval),
            reservation: by(self.reservation),
            drain: by(self.drain),
            event_flush: by(self.event_flush),
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            now: Timestamp::now,
            lease_duration: seconds(12),
            renew_deadline: seconds(7),
            renew_period: seconds(2),
            retry_period: seconds(1),
            lease_request_timeout: seconds(2),
            api_timeout: seconds(10),
            watch_length: seconds(30),
            watch_silence: seconds(60),
            status_conflicts: seconds(5),
            event_timeout: seconds(5),
            iam_attempt_timeout: seconds(4),
            iam_call_timeout: seconds(60),
            iam_consistency: seconds(10),
            iam_propagation: seconds(120),
            first_retry: seconds(1),
            first_slow_retry: seconds(30),
            longest_consistency_retry: seconds(4),
            unknown_object_retry: seconds(2),
            resync_retry: seconds(30),
            request_interval: seconds(10),
            reservation: seconds(5),
            drain: seconds(15),
            event_flush: seconds(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_sent_just_before_the_lease_expires_ends_before_another_replica_leads() {
        let timing = Timing::default();
        let last_call = timing.renew_deadline + timing.iam_attempt_timeout;
        assert!(last_call < timing.lease_duration);
        assert!(timing.renew_deadline + timing.lease_request_timeout < timing.lease_duration);
        // A missed renewal leaves time for two more.
        let renewals = timing.renew_period + 2 * (timing.lease_request_timeout);
        assert!(renewals < timing.renew_deadline);
    }
}
