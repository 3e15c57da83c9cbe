//! An endpoint for an [`Account`] on which everything goes wrong that goes wrong on the way to IAM: answers
//! that never come, come late, come broken, or tell of the past. Which call meets which fault follows from
//! the seed, the action, the role and how often it was called, not from the moment.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Collected, Full};
use hyper::Response;
use hyper::body::Bytes;

use crate::Error;
use crate::account::Account;
use crate::query::{Call, error_answer, read_call};
use crate::server::Server;

/// How far back a read goes at most.
pub const STALENESS: Duration = Duration::from_secs(3);

/// What can happen to a call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Mishap {
    /// 400 `Throttling`.
    Throttled,
    /// 403 `AccessDenied`.
    Denied,
    /// 500, and nothing was done.
    FailedBefore,
    /// 500, but it was done.
    FailedAfter,
    /// No answer, and nothing was done.
    HangsBefore,
    /// No answer, but it was done.
    HangsAfter,
    /// The connection is closed, and nothing was done.
    DroppedBefore,
    /// The connection is closed, but it was done.
    DroppedAfter,
    /// It was done; half of the answer comes.
    Truncated,
    /// It was done; the answer is no XML.
    Garbage,
    /// It was done; the answer comes late.
    Slow,
    /// A read is answered as of a moment ago.
    Stale,
}

/// Each mishap, and of 10,000 calls how many meet it.
const SHARES: [(Mishap, u64); 12] = [
    // Each slows the client down for seconds: more would leave nothing to be gone wrong.
    (Mishap::Throttled, 60),
    (Mishap::Denied, 60),
    (Mishap::FailedBefore, 150),
    (Mishap::FailedAfter, 150),
    // Each costs the client 10 s.
    (Mishap::HangsBefore, 15),
    (Mishap::HangsAfter, 15),
    (Mishap::DroppedBefore, 100),
    (Mishap::DroppedAfter, 100),
    (Mishap::Truncated, 100),
    (Mishap::Garbage, 100),
    (Mishap::Slow, 300),
    (Mishap::Stale, 1500),
];

impl Mishap {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        SHARES.into_iter().map(|(mishap, _)| mishap)
    }
}

#[derive(Debug)]
struct State {
    active: bool,
    /// No read goes back beyond this.
    since: Instant,
    occurrences: HashMap<(String, String), u64>,
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
    /// Starts an endpoint for `account` whose mishaps follow from `seed`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(account: Account, seed: u64) -> Result<Self, Error> {
        let state = Arc::new(Mutex::new(State {
            active: true,
            since: Instant::now(),
            occurrences: HashMap::new(),
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
                let fate = lock(&state).fate(seed, &call);
                answer(&call, &account, fate).await
            }
        })
        .await?;
        Ok(Self { state, server })
    }

    /// URL to give to a client of IAM.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// From now on no read tells of an earlier time: IAM's past is over when a new process starts.
    pub fn forget_the_past(&self) {
        lock(&self.state).since = Instant::now();
    }

    /// From now on all goes well.
    pub fn calm(&self) {
        lock(&self.state).active = false;
    }

    /// All calls so far, and how many met each mishap.
    #[must_use]
    pub fn tally(&self) -> (usize, BTreeMap<Mishap, usize>) {
        let state = lock(&self.state);
        (state.calls, state.mishaps.clone())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What happens to one call.
struct Fate {
    mishap: Option<Mishap>,
    as_of: Option<Instant>,
    delay: Duration,
}

impl State {
    fn fate(&mut self, seed: u64, call: &Call) -> Fate {
        self.calls += 1;
        let key = (call.action.clone(), call.text("RoleName").to_lowercase());
        let occurrence = self.occurrences.entry(key.clone()).or_default();
        *occurrence += 1;
        let mut hasher = DefaultHasher::new();
        (seed, &key, *occurrence).hash(&mut hasher);
        let mut random = fastrand::Rng::with_seed(hasher.finish());

        let mishap = self.active.then(|| drawn(random.u64(..10_000))).flatten();
        let mishap = mishap.filter(|mishap| *mishap != Mishap::Stale || !call.is_write());
        if let Some(mishap) = mishap {
            *self.mishaps.entry(mishap).or_default() += 1;
        }
        let age = Duration::from_millis(random.u64(50..=2900));
        let then = Instant::now().checked_sub(age).map_or(self.since, |t| t.max(self.since));
        Fate {
            mishap,
            as_of: (mishap == Some(Mishap::Stale)).then_some(then),
            delay: Duration::from_millis(random.u64(100..1500)),
        }
    }
}

fn drawn(number: u64) -> Option<Mishap> {
    let mut bound = 0;
    SHARES.into_iter().find_map(|(mishap, share)| {
        bound += share;
        (number < bound).then_some(mishap)
    })
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
