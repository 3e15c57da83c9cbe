//! The stop signal for the parts of the controller.

use tokio::sync::watch;

/// Returns when it turns true.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that no sender is left to request a stop.
    let _ = stop.wait_for(|stopping| *stopping).await;
}
