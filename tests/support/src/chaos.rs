//! An endpoint for an [`Account`] with every fault on the path to IAM: answers that never come, come late, are damaged,
//! or show an earlier state. The seed determines the order of the faults. Each fault has a quota in every 500 calls, so
//! a short run does not depend on luck.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::Response;
use hyper::body::Bytes;

use crate::Error;
use crate::account::Account;
use crate::query::{Call, error_answer, read_call};
use crate::server::Server;

/// The age of the oldest state that a read shows.
pub const STALENESS: Duration = Duration::from_secs(3);

/// A fault of a call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Mishap {
    /// 400 `Throttling`.
    Throttled,
    /// 403 `AccessDenied`.
    Denied,
    /// 500; the call had no effect.
    FailedBefore,
    /// 500; the call was applied.
    FailedAfter,
    /// No answer; the call had no effect.
    HangsBefore,
    /// No answer; the call was applied.
    HangsAfter,
    /// The connection is closed; the call had no effect.
    DroppedBefore,
    /// The connection is closed; the call was applied.
    DroppedAfter,
    /// The call was applied; half of the answer arrives.
    Truncated,
    /// The call was applied; the answer is not XML.
    Garbage,
    /// The call was applied; the answer is late.
    Slow,
    /// A read shows an earlier state.
    Stale,
}

/// The calls of a round, in which each fault has its quota.
const ROUND: usize = 500;

/// Each fault, and its number of calls per round.
const QUOTAS: [(Mishap, usize); 12] = [
    // Each slows the client down for seconds: more would leave too few calls for the other faults.
    (Mishap::Throttled, 3),
    (Mishap::Denied, 3),
    (Mishap::FailedBefore, 7),
    (Mishap::FailedAfter, 7),
    // Each costs the client 10 s.
    (Mishap::HangsBefore, 1),
    (Mishap::HangsAfter, 1),
    (Mishap::DroppedBefore, 5),
    (Mishap::DroppedAfter, 5),
    (Mishap::Truncated, 5),
    (Mishap::Garbage, 5),
    (Mishap::Slow, 15),
    (Mishap::Stale, 75),
];

impl Mishap {
    /// All faults.
    pub fn all() -> impl Iterator<Item = Self> {
        QUOTAS.into_iter().map(|(mishap, _)| mishap)
    }
}

#[derive(Debug)]
struct State {
    active: bool,
    /// No read shows a state before this.
    since: Instant,
    random: Rng,
    /// The faults of the next calls, last first.
    round: Vec<Option<Mishap>>,
    calls: usize,
    mishaps: BTreeMap<Mishap, usize>,
}

/// A running endpoint.
#[derive(Debug)]
pub struct Chaos {
    state: Arc<Mutex<State>>,
    server: Server,
}

impl Chaos {
    /// Starts an endpoint for `account`; `seed` determines the faults.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(account: Account, seed: u64) -> Result<Self, Error> {
        let state = Arc::new(Mutex::new(State {
            active: true,
            since: Instant::now(),
            random: Rng::with_seed(seed),
            round: Vec::new(),
            calls: 0,
            mishaps: BTreeMap::new(),
        }));
        let answering = Arc::clone(&state);
        let server = Server::of_requests(move |request| {
            let (state, account) = (Arc::clone(&answering), account.clone());
            async move {
                let call = read_call(request.body());
                if call.is_to_sts() {
                    return Some(account.answer(&call, None));
                }
                let fate = lock(&state).fate(&call);
                answer(&call, &account, fate).await
            }
        })
        .await?;
        Ok(Self { state, server })
    }

    /// URL for clients of IAM.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// From now on, no read shows an earlier state: delays of IAM end before a new process starts.
    pub fn forget_the_past(&self) {
        lock(&self.state).since = Instant::now();
    }

    /// From now on, no call has a fault.
    pub fn calm(&self) {
        lock(&self.state).active = false;
    }

    /// The number of calls so far, and of each fault.
    #[must_use]
    pub fn tally(&self) -> (usize, BTreeMap<Mishap, usize>) {
        let state = lock(&self.state);
        (state.calls, state.mishaps.clone())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The fate of one call.
struct Fate {
    mishap: Option<Mishap>,
    as_of: Option<Instant>,
    delay: Duration,
}

impl State {
    fn fate(&mut self, call: &Call) -> Fate {
        self.calls += 1;
        let mishap = if self.active { self.draw(call.is_write()) } else { None };
        if let Some(mishap) = mishap {
            *self.mishaps.entry(mishap).or_default() += 1;
        }
        let age = Duration::from_millis(self.random.u64(50..=2900));
        let then = Instant::now().checked_sub(age).map_or(self.since, |t| t.max(self.since));
        Fate {
            mishap,
            as_of: (mishap == Some(Mishap::Stale)).then_some(then),
            delay: Duration::from_millis(self.random.u64(100..1500)),
        }
    }

    /// The next fault of the round that applies to the call.
    fn draw(&mut self, is_write: bool) -> Option<Mishap> {
        if self.round.is_empty() {
            let mishaps = QUOTAS.into_iter().flat_map(|(mishap, quota)| vec![Some(mishap); quota]);
            self.round = mishaps.collect();
            self.round.resize(ROUND, None);
            self.random.shuffle(&mut self.round);
        }
        let fits = |mishap: &Option<Mishap>| !(is_write && *mishap == Some(Mishap::Stale));
        let number = self.round.iter().rposition(fits)?;
        self.round.remove(number)
    }
}

async fn answer(call: &Call, account: &Account, fate: Fate) -> Option<Response<Full<Bytes>>> {
    let done = || account.answer(call, fate.as_of);
    let failed = || error_answer(500, "ServiceFailure", "the request processing has failed");
    match fate.mishap {
        None | Some(Mishap::Stale) => Some(done()),
        Some(Mishap::Throttled) => Some(error_answer(400, "Throttling", "Rate exceeded")),
        Some(Mishap::Denied) => Some(error_answer(403, "AccessDenied", "not authorized")),
        Some(Mishap::FailedBefore) => Some(failed()),
        Some(Mishap::FailedAfter) => {
            done();
            Some(failed())
        }
        Some(Mishap::HangsBefore) => std::future::pending().await,
        Some(Mishap::HangsAfter) => {
            done();
            std::future::pending().await
        }
        Some(Mishap::DroppedBefore) => None,
        Some(Mishap::DroppedAfter) => {
            done();
            None
        }
        Some(Mishap::Truncated) => {
            let body = done().into_body().collect().await.map(Collected::to_bytes);
            let whole = body.unwrap_or_default();
            Some(Response::new(Full::new(whole.slice(..whole.len() / 2))))
        }
        Some(Mishap::Garbage) => {
            done();
            Some(Response::new(Full::new(Bytes::from_static(b"<html>Bad gateway</html"))))
        }
        Some(Mishap::Slow) => {
            let answer = done();
            tokio::time::sleep(fate.delay).await;
            Some(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_campaign_injects_every_fault_to_its_quota() {
        let mut state = State {
            active: true,
            since: Instant::now(),
            random: Rng::with_seed(1),
            round: Vec::new(),
            calls: 0,
            mishaps: BTreeMap::new(),
        };
        let (read, write) =
            (Call::new(&[("Action", "GetRole")]), Call::new(&[("Action", "TagRole")]));
        for number in 0..3 * ROUND {
            let is_write = number % 3 == 0;
            let fate = state.fate(if is_write { &write } else { &read });
            assert!(!is_write || fate.as_of.is_none(), "a write answers for what it does now");
        }
        for (mishap, quota) in QUOTAS {
            assert_eq!(state.mishaps.get(&mishap), Some(&(3 * quota)), "{mishap:?}");
        }
    }
}
