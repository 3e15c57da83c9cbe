//! Runs the reconciles: the connections to the API server, the watches, the queue, the workers, and the requeues. Must
//! not know: roles and IAM.

mod api_server;
mod queue;
mod requeue;
mod runner;
mod schedule;
mod stop;
mod watches;

pub use api_server::ApiServer;
pub(crate) use api_server::innermost;
pub(crate) use requeue::Requeue;
pub(crate) use runner::{Worker, Workers, work};
pub(crate) use schedule::{Schedule, SideEvents, is_orphaned};
pub(crate) use stop::stopped;
pub(crate) use watches::Watches;
