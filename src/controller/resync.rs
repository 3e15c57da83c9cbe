//! The resync: compares all settled resources with IAM every so often. What it costs does not grow with
//! their number as long as two lists of the whole account are cheaper than a look at each role. It writes
//! nothing: what looks different is marked as suspect and reconciled with a look of its own, so that a list
//! which is older than our last write does no harm.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tracing::{info, warn};

use crate::iam::{ErrorKind, IamError, RoleSettings};
use crate::role::{self, ObservedRole};

use super::{Context, Guarded, settled};

/// Calls that a look at one role takes.
const CALLS_OF_ONE_LOOK: usize = 4;

/// How soon a resync that failed is tried again, at the latest.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Resources (by uid) whose next reconcile must look at the role although the status seems settled.
#[derive(Debug, Default)]
pub(super) struct Suspects(Mutex<HashSet<String>>);

impl Suspects {
    fn mark(&self, uid: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    /// Whether the resource was marked. It no longer is.
    pub(super) fn take(&self, uid: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid)
    }
}

/// The resources that one controller watches, and how to have one of them reconciled.
pub(super) struct Watched {
    pub resources: Store<Guarded>,
    pub reconcile: UnboundedSender<ObjectRef<Guarded>>,
}

/// How a resync looks at the roles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    /// Lists of the whole account, given up when they take more calls than this.
    Snapshot { at_most: usize },
    /// A look at each role.
    OneByOne,
}

/// The cheaper method for so many resources, when the last snapshot took, or was given up after,
/// `snapshot_calls`. Nothing is known of an account at first, and the bound keeps the try cheap.
fn cheapest(resources: usize, snapshot_calls: Option<usize>) -> Method {
    let one_by_one = resources.saturating_mul(CALLS_OF_ONE_LOOK);
    match snapshot_calls {
        Some(calls) if calls > one_by_one => Method::OneByOne,
        Some(_) | None => Method::Snapshot { at_most: one_by_one },
    }
}

/// A settled resource whose turn it is.
struct Due {
    watched: usize,
    resource: Arc<Guarded>,
}

/// Compares all settled resources at once and then every `period`, spread by a tenth either way.
pub(super) async fn resync(watched: Vec<Watched>, context: Arc<Context>, period: Duration) {
    let mut resync = Resync { watched, context, period, snapshot_calls: None, denied: false };
    loop {
        let pause = match resync.once().await {
            Ok(()) => period.mul_f64(fastrand::f64().mul_add(0.2, 0.9)),
            Err(error) => {
                warn!("the resync failed and is tried again: {error}");
                period.min(AFTER_FAILURE)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

struct Resync {
    watched: Vec<Watched>,
    context: Arc<Context>,
    period: Duration,
    snapshot_calls: Option<usize>,
    denied: bool,
}

impl Resync {
    async fn once(&mut self) -> Result<(), IamError> {
        let due = self.due();
        let number: usize = due.values().map(Vec::len).sum();
        if number == 0 {
            return Ok(());
        }
        if let Method::Snapshot { at_most } = cheapest(number, self.snapshot_calls) {
            match self.snapshot(&due, at_most).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind == ErrorKind::AccessDenied => self.say_denied(&error),
                Err(error) => return Err(error),
            }
        }
        self.one_by_one(due, number).await;
        Ok(())
    }

    /// Settled resources by the name of their role in lower case: IAM does not tell role names apart by case.
    fn due(&self) -> HashMap<String, Vec<Due>> {
        let mut due: HashMap<String, Vec<Due>> = HashMap::new();
        for (index, watched) in self.watched.iter().enumerate() {
            for guarded in watched.resources.state() {
                let Ok(resource) = &guarded.0 else { continue };
                let Ok(name) = role::role_name(resource) else { continue };
                if settled::is_settled(resource) {
                    let name = name.as_str().to_ascii_lowercase();
                    due.entry(name).or_default().push(Due { watched: index, resource: guarded });
                }
            }
        }
        due
    }

    /// Reads the lists page by page and marks what is news. `false` when it was given up as too dear.
    async fn snapshot(
        &mut self,
        due: &HashMap<String, Vec<Due>>,
        at_most: usize,
    ) -> Result<bool, IamError> {
        let mut calls = 0;
        let mut settings: HashMap<String, RoleSettings> = HashMap::new();
        let mut next = None;
        loop {
            let page = self.context.iam.settings_page(next).await?;
            calls += 1;
            settings.extend(named(page.roles, due));
            next = page.next;
            if next.is_none() {
                break;
            }
            if calls >= at_most {
                return Ok(self.give_up(calls));
            }
        }

        let mut missing: HashSet<&str> = due.keys().map(String::as_str).collect();
        loop {
            let page = self.context.iam.details_page(next).await?;
            calls += 1;
            for (name, role) in named(page.roles, due) {
                missing.remove(name.as_str());
                let role = with_settings(role, settings.get(&name));
                self.compare(due.get(&name), Some(&role));
            }
            next = page.next;
            if next.is_none() {
                break;
            }
            if calls >= at_most {
                return Ok(self.give_up(calls));
            }
        }
        for name in missing {
            self.compare(due.get(name), None);
        }
        self.snapshot_calls = Some(calls);
        self.denied = false;
        self.context.metrics.resynced("snapshot", false);
        Ok(true)
    }

    fn give_up(&mut self, calls: usize) -> bool {
        info!("the account has so many roles that comparing ours one by one takes fewer calls");
        // One more than was tried, so that the comparison of costs goes the other way next time.
        self.snapshot_calls = Some(calls + 1);
        false
    }

    fn compare(&self, due: Option<&Vec<Due>>, observed: Option<&ObservedRole>) {
        for one in due.into_iter().flatten() {
            let Ok(resource) = &one.resource.0 else { continue };
            if settled::is_news(resource, observed, self.context.cluster.as_str()) {
                self.suspect(one);
            }
        }
    }

    fn suspect(&self, due: &Due) {
        let Some(watched) = self.watched.get(due.watched) else { return };
        self.context.suspects.mark(due.resource.uid().unwrap_or_default());
        // The other end is gone when the controller is being stopped.
        let _ = watched.reconcile.unbounded_send(ObjectRef::from_obj(&*due.resource));
    }

    /// Spread over the period, so that they do not come all at once.
    async fn one_by_one(&self, due: HashMap<String, Vec<Due>>, number: usize) {
        self.context.metrics.resynced("one_by_one", self.denied);
        let pause = self.period / u32::try_from(number).unwrap_or(u32::MAX);
        for one in due.into_values().flatten() {
            self.suspect(&one);
            tokio::time::sleep(pause).await;
        }
    }

    fn say_denied(&mut self, error: &IamError) {
        if !self.denied {
            warn!(
                "{error}. Roles are compared one by one, with {CALLS_OF_ONE_LOOK} calls each; allow iam:{} on * to compare all of them in two calls for each 1,000 roles of the account",
                error.action
            );
        }
        self.denied = true;
    }
}

/// Of a page, what is due, by name in lower case.
fn named<T>(
    page: impl Iterator<Item = (String, T)>,
    due: &HashMap<String, Vec<Due>>,
) -> impl Iterator<Item = (String, T)> {
    page.map(|(name, role)| (name.to_ascii_lowercase(), role))
        .filter(|(name, _)| due.contains_key(name))
}

/// A role that only one list has was made or deleted in between: it looks different and gets its own look.
fn with_settings(role: ObservedRole, settings: Option<&RoleSettings>) -> ObservedRole {
    match settings {
        Some(settings) => ObservedRole {
            description: settings.description.clone(),
            max_session_duration_seconds: settings.max_session_duration_seconds,
            ..role
        },
        None => role,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheaper_way_is_taken_and_a_try_never_costs_more_than_the_other_way() {
        let table = [
            // resources, calls of the last snapshot, expected
            (1, None, Method::Snapshot { at_most: 4 }),
            (1, Some(2), Method::Snapshot { at_most: 4 }),
            (1, Some(4), Method::Snapshot { at_most: 4 }),
            (1, Some(5), Method::OneByOne),
            (3, Some(10), Method::Snapshot { at_most: 12 }),
            (2, Some(10), Method::OneByOne),
            (1000, Some(2), Method::Snapshot { at_most: 4000 }),
            (10_000, Some(20), Method::Snapshot { at_most: 40_000 }),
        ];
        for (resources, calls, expected) in table {
            assert_eq!(
                cheapest(resources, calls),
                expected,
                "{resources} resources, {calls:?} calls"
            );
        }
    }
}
