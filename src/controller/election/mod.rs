//! Leader election: one of several replicas works, and it knows when it must stop. A Lease object only changes by
//! compare-and-swap. Clocks of different machines are never compared. A standby counts from when it saw the Lease
//! change. A holder counts from before it sent its request. Both use their own monotonic clock. So a holder's leadership
//! always ends before another one begins.
//!
//! A process can pause and resume at any point, so each request is also checked when it is sent. Not covered: a machine
//! that is suspended as a whole, so that its clock stops; this does not happen to the nodes of a cluster. (Coordination
//! API: <https://kubernetes.io/docs/concepts/architecture/leases/>.)

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::timing::Timing;

/// The Lease object that the replicas compete for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in namespace {}", self.name, self.namespace)
    }
}

/// The Lease could not be renewed, or another replica holds it. The process must end, because the other replica now
/// does its work.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "the lease {lease} {how}, so another replica may lead now. Exiting; after a restart this replica rejoins as a standby"
)]
pub struct Lost {
    lease: LeaseName,
    how: String,
}

/// Whether this process can work. All its parts share this value.
#[derive(Clone, Debug)]
pub struct Leadership {
    until: watch::Sender<Option<Instant>>,
}

impl Leadership {
    /// The leadership of a process that does not lead yet.
    #[must_use]
    pub fn none() -> Self {
        Self { until: watch::Sender::new(None) }
    }

    /// Whether the process can work at present.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the leadership is won for the first time.
    pub async fn won(&self) {
        // The sender lives as long as `self`.
        let _ = self.until.subscribe().wait_for(Option::is_some).await;
    }

    fn is_won(&self) -> bool {
        self.until.borrow().is_some()
    }

    fn extend(&self, until: Instant) {
        self.until.send_replace(Some(until));
    }

    /// Waits until the leadership has been won and then not extended in time.
    async fn ran_out(&self) {
        let mut changes = self.until.subscribe();
        loop {
            let until = *changes.borrow_and_update();
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = over => return,
            }
        }
    }
}

/// One replica's part in the election.
pub struct Election {
    leases: Api<Lease>,
    name: LeaseName,
    identity: String,
    leadership: Leadership,
    timing: Timing,
    /// The Lease as the API server last returned it; `None` when it must be read.
    known: Option<Lease>,
    /// The last observed version, and when it was first observed.
    seen: Option<(String, Instant)>,
    /// Whether a Lease was ever observed: a missing one was then deleted.
    saw_lease: bool,
    is_failing: bool,
}

impl Election {
    /// A candidate that records in `leadership` whether it leads. `host` appears in the Lease for people, as a pod's name. A
    /// random part makes it unique, so that a process never mistakes another's Lease for its own.
    #[must_use]
    pub fn new(
        client: Client,
        name: LeaseName,
        host: &str,
        leadership: Leadership,
        timing: Timing,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, &name.namespace),
            identity: format!("{host}_{:016x}", fastrand::u64(..)),
            name,
            leadership,
            timing,
            known: None,
            seen: None,
            saw_lease: false,
            is_failing: false,
        }
    }

    /// Runs `work`, which must wait for the leadership, and competes for the Lease meanwhile.
    ///
    /// # Errors
    /// [`Lost`] when the leadership ends before the work does; `work` is then dropped at its current point.
    pub async fn lead<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Lost> {
        let leadership = self.leadership.clone();
        let expired = Lost {
            lease: self.name.clone(),
            how: format!("could not be renewed for {} s", self.timing.renew_deadline.as_secs()),
        };
        let mut work = pin!(work);
        // Timers fire a little late, and a process that was paused finds many events ready at the same time.
        let guarded = poll_fn(|context| {
            if leadership.is_won() && !leadership.is_valid() {
                return Poll::Pending;
            }
            work.as_mut().poll(context)
        });
        tokio::select! {
            biased;
            () = leadership.ran_out() => Err(expired),
            lost = self.stand() => Err(lost),
            done = guarded => Ok(done),
        }
    }

    /// Acquires the Lease when it is free and renews it. Ends when another replica holds it nevertheless.
    async fn stand(&mut self) -> Lost {
        let timing = self.timing;
        loop {
            let asked = Instant::now();
            let attempt = timeout(timing.lease_request_timeout, self.attempt()).await;
            let answer = match attempt {
                Ok(answer) => answer.map_err(|error| match error {
                    kube::Error::Api(answer) => Some(answer.message),
                    // A silent API server is logged once, for all requests.
                    _ => None,
                }),
                Err(_) => Err(None),
            };
            let pause = match answer {
                Ok(Attempt::Held) => {
                    if !self.leadership.is_won() {
                        info!("leading: holds the lease {} as {}", self.name, self.identity);
                    }
                    self.leadership.extend(asked + timing.renew_deadline);
                    timing.renew_period
                }
                Ok(Attempt::HeldBy(holder)) if self.leadership.is_won() => {
                    let how = format!("is held by {holder}");
                    return Lost { lease: self.name.clone(), how };
                }
                Ok(Attempt::HeldBy(_) | Attempt::Conflict) => timing.retry_period,
                Err(refusal) => {
                    self.known = None;
                    if let Some(refusal) = refusal
                        && !self.is_failing
                    {
                        warn!(
                            "cannot acquire or renew the lease {}: {refusal}. Retrying",
                            self.name
                        );
                        self.is_failing = true;
                    }
                    sleep(timing.retry_period).await;
                    continue;
                }
            };
            self.is_failing = false;
            sleep(pause).await;
        }
    }

    /// One request, or two when the Lease is unknown.
    async fn attempt(&mut self) -> Result<Attempt, kube::Error> {
        let lease = match self.known.take() {
            Some(lease) => Some(lease),
            None => self.leases.get_opt(&self.name.name).await?,
        };
        let params = PostParams::default();
        self.saw_lease |= lease.is_some();
        let unchanged = self.observe(lease.as_ref());
        if lease.is_none()
            && self.saw_lease
            && !self.leadership.is_won()
            && unchanged < self.timing.lease_duration
        {
            // Someone deleted it. Its holder does not know that yet and may still be working.
            return Ok(Attempt::HeldBy("the replica that had it before it was deleted".into()));
        }
        let duration = self.timing.lease_duration;
        let written = match decide(lease.as_ref(), &self.identity, unchanged, duration) {
            Decision::Wait(holder) => return Ok(Attempt::HeldBy(holder)),
            Decision::Create => {
                let lease = held(None, &self.name, &self.identity, duration, Timestamp::now());
                self.leases.create(&params, &lease).await
            }
            Decision::Take => {
                let lease = held(lease, &self.name, &self.identity, duration, Timestamp::now());
                self.leases.replace(&self.name.name, &params, &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.known = Some(lease);
                Ok(Attempt::Held)
            }
            Err(kube::Error::Api(answer)) if answer.is_conflict() || answer.is_already_exists() => {
                Ok(Attempt::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// Records the current Lease, and returns how long it has been unchanged.
    fn observe(&mut self, lease: Option<&Lease>) -> Duration {
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
        let version = version.unwrap_or_default();
        match &self.seen {
            Some((seen, since)) if *seen == version => since.elapsed(),
            Some(_) | None => {
                self.seen = Some((version, Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Releases the Lease if this replica holds it, so that another need not wait for its expiry.
    pub async fn release(self) {
        let patience = self.timing.lease_request_timeout;
        if !self.leadership.is_won() {
            return;
        }
        let release = async {
            let Some(lease) = self.leases.get_opt(&self.name.name).await? else { return Ok(()) };
            if holder(&lease) != Some(&self.identity) {
                return Ok(());
            }
            let lease = free(lease);
            self.leases.replace(&self.name.name, &PostParams::default(), &lease).await.map(drop)
        };
        match timeout(patience, release).await {
            Ok(Ok(())) => info!("released the lease {}", self.name),
            Ok(Err(error)) => warn!("could not release the lease {}: {error}", self.name),
            Err(_) => warn!("could not release the lease {} in time", self.name),
        }
    }
}

/// The result of an attempt to hold the Lease.
enum Attempt {
    Held,
    /// Another replica holds it.
    HeldBy(String),
    /// Another replica wrote it meanwhile.
    Conflict,
}

/// The next step of a replica for the Lease.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Decision {
    Create,
    /// Acquire it, or renew it.
    Take,
    /// Wait: this other replica holds it.
    Wait(String),
}

/// The next step of a candidate that has seen the Lease unchanged for this time. Pure.
fn decide(
    lease: Option<&Lease>,
    identity: &str,
    unchanged: Duration,
    lease_duration: Duration,
) -> Decision {
    let Some(lease) = lease else { return Decision::Create };
    match holder(lease) {
        None => Decision::Take,
        Some(holder) if holder == identity || unchanged >= duration(lease, lease_duration) => {
            Decision::Take
        }
        Some(holder) => Decision::Wait(holder.to_owned()),
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// The duration that the holder asked for.
fn duration(lease: &Lease, default: Duration) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(default, Duration::from_secs)
}

/// The Lease as its holder writes it. It keeps the version, so that the API server rejects it after another write.
fn held(
    lease: Option<Lease>,
    name: &LeaseName,
    identity: &str,
    duration: Duration,
    now: Timestamp,
) -> Lease {
    let mut lease = lease.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            ..ObjectMeta::default()
        },
        ..Lease::default()
    });
    let is_mine = holder(&lease) == Some(identity);
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    spec.renew_time = Some(MicroTime(now));
    spec.lease_duration_seconds = i32::try_from(duration.as_secs()).ok();
    if !is_mine {
        spec.holder_identity = Some(identity.to_owned());
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |n| n.saturating_add(1)));
    }
    lease
}

/// The Lease without a holder.
fn free(mut lease: Lease) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = None;
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(12);

    fn of(holder: Option<&str>, seconds: Option<i32>) -> Lease {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: seconds,
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        let metadata = ObjectMeta { resource_version: Some("7".into()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn a_lease_is_acquired_when_free_or_unchanged_for_its_duration() {
        let wait = || Decision::Wait("other".into());
        let table = [
            (None, 0, Decision::Create),
            (Some(Lease::default()), 0, Decision::Take),
            (Some(of(None, Some(10))), 0, Decision::Take),
            (Some(of(Some(""), Some(10))), 0, Decision::Take),
            (Some(of(Some("me"), Some(10))), 0, Decision::Take),
            (Some(of(Some("other"), Some(10))), 0, wait()),
            (Some(of(Some("other"), Some(10))), 9, wait()),
            (Some(of(Some("other"), Some(10))), 10, Decision::Take),
            (Some(of(Some("other"), Some(60))), 59, wait()),
            (Some(of(Some("other"), None)), 11, wait()),
            (Some(of(Some("other"), Some(-1))), 11, wait()),
            (Some(of(Some("other"), None)), 12, Decision::Take),
        ];
        for (lease, seconds, expected) in table {
            let decision = decide(lease.as_ref(), "me", Duration::from_secs(seconds), DURATION);
            assert_eq!(decision, expected, "{lease:?} after {seconds} s");
        }
    }

    #[test]
    fn a_lease_write_names_the_replaced_version_and_counts_transitions() {
        let name = LeaseName { namespace: "ns".into(), name: "streamrole".into() };
        let write = |lease| held(lease, &name, "me", DURATION, Timestamp::UNIX_EPOCH);
        let transitions = |lease: &Lease| lease.spec.as_ref().and_then(|s| s.lease_transitions);

        let taken = write(Some(of(Some("other"), Some(60))));
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!((holder(&taken), transitions(&taken)), (Some("me"), Some(5)));
        assert_eq!(duration(&taken, Duration::ZERO), DURATION);
        let renewed = write(Some(taken.clone()));
        assert_eq!(transitions(&renewed), Some(5));
        let created = write(None);
        assert_eq!((holder(&created), transitions(&created)), (Some("me"), Some(0)));
        assert_eq!(decide(Some(&free(renewed)), "other", Duration::ZERO, DURATION), Decision::Take);
    }
}
