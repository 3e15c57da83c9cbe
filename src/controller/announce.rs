//! Says in the status that an edit was seen, as soon as the watch tells of it: a worker may have to be waited for,
//! IAM may be slow, and an earlier edit of the same resource may still be at work. Nobody shall take the Ready of an
//! earlier generation for that of this one. It never overwrites: whoever wrote meanwhile knew more. Failing to say so
//! does no harm, the reconcile says how it went.

use futures::{Stream, StreamExt as _};
use k8s_openapi::jiff::Timestamp;
use tracing::debug;

use crate::api::PinpointEventStreamRole;

use super::index::Key;
use super::publish::write_status;
use super::status::{Progress, Verdict, status_after};
use super::{Context, converge};

/// How many are told at once.
const AT_ONCE: usize = 8;

/// Whether the status speaks of an earlier generation than the one that the resource now has. Of a new resource it
/// says nothing, and the deletion of one is seen by all tools without a word in the status.
pub(super) fn is_due(resource: &PinpointEventStreamRole) -> bool {
    let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
    resource.metadata.deletion_timestamp.is_none()
        && !converge::is_new(resource)
        && observed != resource.metadata.generation
}

/// Announces edits until there can be no more.
pub(super) async fn announce(context: &Context, edited: impl Stream<Item = Key>) {
    edited.for_each_concurrent(AT_ONCE, |edited| one(context, edited)).await;
}

async fn one(context: &Context, edited: Key) {
    let Some(guarded) = context.schedule.index.get(&edited) else { return };
    let Ok(resource) = &guarded.0 else { return };
    // Who does not lead leaves it to the leader.
    if !context.schedule.works() || !is_due(resource) {
        return;
    }
    let progress = Progress::of(resource);
    let status = status_after(resource, &progress, &Verdict::Progressing, Timestamp::now());
    let (namespace, name) = (&*edited.namespace, &*edited.name);
    let generation = resource.metadata.generation;
    match write_status(resource, context, &status).await {
        Ok(()) => debug!(namespace, name, generation, "announced the edit"),
        Err(error) => debug!(namespace, name, generation, "the edit was not announced: {error}"),
    }
}
