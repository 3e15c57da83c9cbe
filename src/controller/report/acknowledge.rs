//! Acknowledges an edit in the status as soon as the watch delivers it. A reconcile can take time: all workers can be
//! busy, IAM can be slow, and the reconcile of an earlier edit can still be running. Without this, users could mistake
//! the Ready of an earlier generation for that of the current one. It never overwrites another write, which is always
//! more recent. A failure is harmless, because the reconcile reports its result.

use futures::{Stream, StreamExt as _};
use tracing::debug;

use super::super::index::Key;
use super::super::lifecycle;
use super::outcome::{Findings, Verdict};
use super::reporter::Reporter;
use super::status::status_after;

/// The most concurrent acknowledgments.
const AT_ONCE: usize = 8;

/// Acknowledges edits until the channel closes.
pub(crate) async fn acknowledge(reporter: &Reporter, edited: impl Stream<Item = Key>) {
    edited.for_each_concurrent(AT_ONCE, |edited| one(reporter, edited)).await;
}

async fn one(reporter: &Reporter, edited: Key) {
    let Some(object) = reporter.schedule.index.get(&edited) else { return };
    let Ok(resource) = &object.0 else { return };
    // A standby leaves it to the leader.
    if !reporter.schedule.is_active() || !lifecycle::is_edited(resource) {
        return;
    }
    let findings = Findings::before(resource);
    let inputs = reporter.inputs(resource, &findings);
    let verdict = Verdict::Progressing;
    let status = status_after(&verdict, &verdict.outcome(inputs), inputs);
    let (namespace, name) = (&*edited.namespace, &*edited.name);
    let generation = resource.metadata.generation;
    match reporter.write_status(resource.kind, &resource.metadata, &status).await {
        Ok(()) => debug!(namespace, name, generation, "acknowledged the edit"),
        Err(error) => debug!(namespace, name, generation, "cannot acknowledge the edit: {error}"),
    }
}
