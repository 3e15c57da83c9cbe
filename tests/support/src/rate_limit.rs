//! How many calls a second an IAM takes: a bucket of tokens that fills at a steady rate. The clock comes in
//! as an argument; what becomes of a call beyond the limit is not known here.

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
    /// So many calls a second in the long run, and so many at once after a pause.
    #[must_use]
    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, tokens: burst, filled: None }
    }

    /// Whether a call at `now` is within the limit. One that is not takes nothing from it.
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
