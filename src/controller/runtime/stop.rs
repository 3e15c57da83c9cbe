//! How the parts of the controller hear that it is being stopped.

use tokio::sync::watch;

/// Returns when it turns true.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that nobody is left to ask for a stop otherwise.
    let _ = stop.wait_for(|stopping| *stopping).await;
}
