//! Waits for a state: checks repeatedly until a deadline, and never sleeps for a fixed time.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

const LOOK_AGAIN: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(1);

/// Checks until `look` returns a value. After 60 s it panics with `what` and the last error of `look`.
///
/// # Panics
/// When the deadline passes.
pub async fn eventually<T, E, F>(what: &str, look: impl FnMut() -> F) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    eventually_within(PATIENCE, what, look).await
}

/// As [`eventually`], with another deadline.
///
/// # Panics
/// When the deadline passes.
#[expect(clippy::panic, reason = "a test fails by panicking")]
pub async fn eventually_within<T, E, F>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> F,
) -> T
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + patience;
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= deadline => {
                panic!("waited {patience:?} for this in vain: {what}. Seen last: {seen}")
            }
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
