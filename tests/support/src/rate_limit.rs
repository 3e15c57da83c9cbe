//! The number of calls per second that an IAM accepts: a token bucket with a steady rate. The clock is an argument.
//! Must not know: what happens to a call beyond the limit.

use std::time::Instant;

/// A limit on the rate of calls.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: Option<Instant>,
}

impl RateLimit {
    /// This number of calls per second on average, and this number concurrently after a pause.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, filled: None }
    }

    /// Whether a call at `now` is within the limit. A rejected call takes no token.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let elapsed = self.filled.map_or(0.0, |filled| (now - filled).as_secs_f64());
        self.filled = Some(now);
        self.tokens = elapsed.mul_add(self.per_second, self.tokens).min(self.burst);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}
