//! The controller's decisions, in this process: an API server and an account in memory, and a paused clock. Tests that
//! depend on a real API server, on IAM's wire format or on a real clock are in `tests/integration`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod claims;
mod consistency;
mod deletion;
mod drift;
mod errors;
mod life;
mod messages;
mod services;
