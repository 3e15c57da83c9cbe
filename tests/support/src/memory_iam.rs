//! An [`Account`] behind an endpoint, for measurements. It answers after a set latency, as fast for 10,000 roles as for
//! one, limits the rate of calls, and counts them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;

use crate::Error;
use crate::account::Account;
use crate::query::{Call, error_answer, read_call};
use crate::rate_limit::RateLimit;
use crate::server::Server;

/// The calls since the last reset.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// The number of calls, by action.
    pub by_action: BTreeMap<String, usize>,
    /// The number of calls beyond the rate limit.
    pub throttled: usize,
    /// The time of the first call.
    pub first: Option<Instant>,
    /// The time of the last call.
    pub last: Option<Instant>,
}

impl Calls {
    /// The number of calls.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_action.values().sum()
    }

    fn note(&mut self, call: &Call) {
        let now = Instant::now();
        *self.by_action.entry(call.action.clone()).or_default() += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }
}

#[derive(Debug, Default)]
struct State {
    calls: Calls,
    limit: Option<RateLimit>,
}

/// A running IAM.
#[derive(Debug)]
pub struct MemoryIam {
    account: Account,
    state: Arc<Mutex<State>>,
    server: Server,
}

impl MemoryIam {
    /// Starts an IAM without roles that answers each call after `latency`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(latency: Duration) -> Result<Self, Error> {
        let state = Arc::<Mutex<State>>::default();
        let account = Account::default();
        let (answering, answered_from) = (Arc::clone(&state), account.clone());
        let server = Server::of_requests(move |request| {
            let (state, account) = (Arc::clone(&answering), answered_from.clone());
            async move {
                let call = read_call(request.body());
                if call.is_to_sts() {
                    return Some(account.answer(&call, None));
                }
                let admitted = lock(&state).admit(&call);
                tokio::time::sleep(latency).await;
                Some(if admitted { account.answer(&call, None) } else { throttled() })
            }
        })
        .await?;
        Ok(Self { account, state, server })
    }

    /// URL for clients of IAM.
    #[must_use]
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// Its roles.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// From now on, calls beyond `limit` are throttled with `Throttling`.
    pub fn limit_rate(&self, limit: RateLimit) {
        lock(&self.state).limit = Some(limit);
    }

    /// The calls since the last reset.
    #[must_use]
    pub fn calls(&self) -> Calls {
        lock(&self.state).calls.clone()
    }

    /// Resets the calls.
    pub fn forget_calls(&self) {
        lock(&self.state).calls = Calls::default();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn throttled() -> Response<Full<Bytes>> {
    error_answer(400, "Throttling", "Rate exceeded")
}

impl State {
    /// Records the call. `false` when it is beyond the rate limit.
    fn admit(&mut self, call: &Call) -> bool {
        self.calls.note(call);
        let admitted = self.limit.as_mut().is_none_or(|limit| limit.admits(Instant::now()));
        if !admitted {
            self.calls.throttled += 1;
        }
        admitted
    }
}
