//! Reports the result of a reconcile to users and tools: status, messages, events, log, metrics.

mod acknowledge;
mod deletion;
mod events;
mod notes;
mod outcome;
mod reporter;
mod status;

pub(crate) use acknowledge::acknowledge;
pub(crate) use deletion::DeletionOutcome;
pub(crate) use events::events;
pub(crate) use outcome::{Findings, Inputs, Verdict, Writer, how_to_abandon};
pub(crate) use reporter::{Reporter, span};
pub(crate) use status::status_after;
