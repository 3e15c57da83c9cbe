//! The resync: the periodic comparison of all settled resources with IAM. Two lists of the whole account are used while
//! they are cheaper than one observation per role; their cost does not grow with the number of resources. The resync
//! writes nothing: it marks a difference as suspect, and a reconcile with its own observation follows. A list that is
//! older than our last write is therefore harmless.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tracing::{Instrument as _, info, info_span, warn};

use crate::api::RoleResource;
use crate::policy::{Place, readable};
use crate::role::{
    ClusterId, Defaults, ErrorKind, IamError, ObservedRole, Owner, RoleKey, RoleSettings,
};
use crate::telemetry::Metrics;
use crate::timing::Timing;

use super::super::index::StoredObject;
use super::super::lifecycle;
use super::super::reconcile::{Account, turn};
use super::super::runtime::{Requeue, Schedule};
use super::compare::{Facts, differs_from_status};

/// The number of steps after which other tasks get their turn, above all the Lease.
const STEPS: usize = 100;

/// The most calls that a resync makes to find orphans when there is no resource to compare.
const CALLS_FOR_ORPHANS: usize = 10;

/// The most orphans that one log line names.
const NAMED: usize = 10;

/// The calls that one observation of a role takes.
const CALLS_OF_ONE_LOOK: usize = 4;

/// How a resync observes the roles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Method {
    /// Lists of the whole account, abandoned after this number of calls.
    Snapshot { at_most: usize },
    /// One observation per role.
    OneByOne,
}

/// The cheaper method for this number of resources, when the last snapshot took `snapshot_calls`, or was abandoned
/// after them. At first nothing is known about the account, and the bound keeps the attempt cheap.
fn cheapest(resources: usize, snapshot_calls: Option<usize>) -> Method {
    let one_by_one = resources.saturating_mul(CALLS_OF_ONE_LOOK);
    match snapshot_calls {
        Some(calls) if calls > one_by_one => Method::OneByOne,
        Some(_) | None => Method::Snapshot { at_most: one_by_one },
    }
}

/// Settled resources by their role.
type Due = HashMap<RoleKey, Vec<Arc<StoredObject>>>;

/// The parts that a resync uses.
pub(crate) struct Parts {
    pub account: Arc<Account>,
    pub cluster: ClusterId,
    pub defaults: Arc<Defaults>,
    pub schedule: Arc<Schedule>,
    pub requeue: Arc<Requeue>,
    pub metrics: Arc<Metrics>,
    pub timing: Timing,
}

/// Compares all settled resources immediately and then every `period`, with a jitter of a tenth.
pub(crate) async fn resync(parts: Parts, period: Duration) {
    let (unfinished, orphans) = Default::default();
    let mut resync = Resync {
        parts,
        period,
        snapshot_calls: None,
        denied: false,
        unfinished,
        orphans,
        is_first: true,
    };
    loop {
        let pause = match resync.once().await {
            Ok(()) => {
                let now = (resync.parts.timing.now)().as_duration().as_secs_f64();
                resync.parts.metrics.resync_ended(now);
                period.mul_f64(fastrand::f64().mul_add(0.2, 0.9))
            }
            Err(error) => {
                warn!("resync failed; retrying: {error}");
                period.min(resync.parts.timing.resync_retry)
            }
        };
        tokio::time::sleep(pause).await;
    }
}

struct Resync {
    parts: Parts,
    period: Duration,
    snapshot_calls: Option<usize>,
    denied: bool,
    /// Uids and versions of the resources that were not settled at the last resync.
    unfinished: HashSet<String>,
    /// Names of this cluster's roles without a resource, as last logged.
    orphans: BTreeSet<String>,
    is_first: bool,
}

impl Resync {
    async fn once(&mut self) -> Result<(), IamError> {
        self.resume_unfinished().await;
        let due = self.due().await;
        let number: usize = due.values().map(Vec::len).sum();
        if number == 0 && std::mem::replace(&mut self.is_first, false) {
            // With nothing to compare at startup, there may be no working credentials either.
            return Ok(());
        }
        self.is_first = false;
        let method = match number {
            0 => Method::Snapshot { at_most: CALLS_FOR_ORPHANS },
            number => cheapest(number, self.snapshot_calls),
        };
        if let Method::Snapshot { at_most } = method {
            match self.snapshot(&due, at_most).instrument(info_span!("resync")).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if error.kind == ErrorKind::AccessDenied => self.say_denied(&error),
                Err(error) => return Err(error),
            }
        }
        self.one_by_one(due, number).await;
        Ok(())
    }

    /// Unsettled resources are being reconciled, or are requeued automatically after a failure. If a reconcile was
    /// lost, this repairs it: a resource that is unsettled in the same version as at the last resync is reconciled
    /// again.
    async fn resume_unfinished(&mut self) {
        let before = std::mem::take(&mut self.unfinished);
        for (step, guarded) in self.parts.schedule.index.all().into_iter().enumerate() {
            pass_turn(step).await;
            let Ok(resource) = &guarded.0 else { continue };
            let uid = resource.metadata.uid.as_deref().unwrap_or_default();
            if lifecycle::is_settled(resource) || self.parts.requeue.is_failing(uid) {
                continue;
            }
            let version = resource.metadata.resource_version.as_deref().unwrap_or_default();
            let state = format!("{uid} {version}");
            if before.contains(&state) {
                self.parts.schedule.reconcile(&guarded);
            }
            self.unfinished.insert(state);
        }
    }

    /// Settled resources by their role.
    async fn due(&self) -> Due {
        let mut due = Due::new();
        for (step, guarded) in self.parts.schedule.index.all().into_iter().enumerate() {
            pass_turn(step).await;
            let Ok(resource) = &guarded.0 else { continue };
            let Ok(key) = resource.role_key(&self.parts.defaults) else { continue };
            if lifecycle::is_settled(resource) {
                due.entry(key).or_default().push(guarded);
            }
        }
        due
    }

    /// Reads the lists page by page and marks differences. `false` when the method was abandoned as too expensive.
    async fn snapshot(&mut self, due: &Due, at_most: usize) -> Result<bool, IamError> {
        let roles = &self.parts.account.roles;
        let names: HashSet<&str> = due.keys().map(|key| key.name.as_str()).collect();
        let mut budget = Budget { calls: 0, at_most };
        let mut settings: HashMap<String, RoleSettings> = HashMap::new();
        let mut next = None;
        loop {
            let page = roles.settings_page(next).await?;
            settings.extend(named(page.roles, &names));
            match budget.after(page.next) {
                ControlFlow::Continue(marker) => next = Some(marker),
                ControlFlow::Break(true) => break,
                ControlFlow::Break(false) => return Ok(self.give_up(budget.calls)),
            }
        }

        let mut missing: HashSet<&RoleKey> = due.keys().collect();
        let mut orphans = BTreeSet::new();
        let mut next = None;
        loop {
            let page = roles.details_page(next).await?;
            for (step, (name, role)) in page.roles.enumerate() {
                pass_turn(step).await;
                let Some(place) = Place::of_arn(&role.arn) else { continue };
                let key = RoleKey { account: place.account, name: name.to_ascii_lowercase() };
                if self.note_owner(&key, &role) {
                    orphans.insert(name);
                }
                if let Some(declared) = due.get(&key) {
                    missing.remove(&key);
                    let role = with_settings(role, settings.get(&key.name));
                    self.compare(declared, Some(&role)).await;
                }
            }
            match budget.after(page.next) {
                ControlFlow::Continue(marker) => next = Some(marker),
                ControlFlow::Break(true) => break,
                ControlFlow::Break(false) => return Ok(self.give_up(budget.calls)),
            }
        }
        for declared in missing.into_iter().filter_map(|key| due.get(key)) {
            self.compare(declared, None).await;
        }
        self.tell_orphans(orphans);
        self.snapshot_calls = Some(budget.calls);
        self.denied = false;
        self.parts.metrics.resynced("snapshot", false);
        Ok(true)
    }

    fn give_up(&mut self, calls: usize) -> bool {
        info!("reading roles one by one: listing this account takes more calls");
        // One more call than was made, so that the comparison of costs prefers the other method next time.
        self.snapshot_calls = Some(calls + 1);
        false
    }

    async fn compare(&self, declared: &[Arc<StoredObject>], observed: Option<&ObservedRole>) {
        for (step, guarded) in declared.iter().enumerate() {
            pass_turn(step).await;
            let Ok(resource) = &guarded.0 else { continue };
            if self.is_news(resource, observed) {
                self.parts.schedule.observe_role(guarded);
            }
        }
    }

    fn is_news(&self, resource: &RoleResource, observed: Option<&ObservedRole>) -> bool {
        let Parts { account, cluster, defaults, schedule, requeue, .. } = &self.parts;
        let index = &schedule.index;
        let facts = Facts {
            cluster: cluster.as_str(),
            defaults,
            caller: account.roles.known_caller(),
            turn: &|declaration| turn(resource, declaration, index, defaults),
            standing: &|owner, role| index.standing(owner, role),
            is_written: &|status| {
                let uid = resource.uid().unwrap_or_default();
                let version = resource.resource_version().unwrap_or_default();
                requeue.is_written(&uid, &version, status)
            },
        };
        differs_from_status(resource, observed, &facts)
    }

    /// Records the owner in the tags of a role. Returns whether it is a role of this cluster that no resource declares.
    fn note_owner(&self, key: &RoleKey, role: &ObservedRole) -> bool {
        let Some(owner) = Owner::of(&role.tags) else { return false };
        let index = &self.parts.schedule.index;
        if let Some(holder) = index.note_owner(key, Some(&owner))
            && let Some(holder) = index.get(&holder)
        {
            self.parts.schedule.observe_role(&holder);
        }
        index.is_orphan(&owner, key)
    }

    fn tell_orphans(&mut self, orphans: BTreeSet<String>) {
        self.parts.metrics.orphans(orphans.len());
        let new: Vec<_> = orphans.difference(&self.orphans).collect();
        if !new.is_empty() {
            let names: Vec<_> = new.iter().take(NAMED).map(|name| readable(name, 100)).collect();
            let more = match new.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            warn!(
                "{} IAM roles carry this cluster's ownership tags but no resource declares them: {}{more}. Delete each, or adopt it by a resource with spec.adoptionPolicy: Adopt",
                new.len(),
                names.join(", ")
            );
        }
        self.orphans = orphans;
    }

    /// Spreads the observations over the period, to avoid a burst.
    async fn one_by_one(&self, due: Due, number: usize) {
        self.parts.metrics.resynced("one_by_one", self.denied);
        let pause = self.period / u32::try_from(number).unwrap_or(u32::MAX);
        for one in due.into_values().flatten() {
            self.parts.schedule.observe_role(&one);
            tokio::time::sleep(pause).await;
        }
    }

    fn say_denied(&mut self, error: &IamError) {
        if !self.denied {
            warn!(
                "{error}. Roles are compared one by one, with {CALLS_OF_ONE_LOOK} calls each; allow {} on * to compare all of them in two calls for each 1,000 roles of the account",
                error.action
            );
        }
        self.denied = true;
    }
}

async fn pass_turn(step: usize) {
    if step % STEPS == STEPS - 1 {
        tokio::task::yield_now().await;
    }
}

/// The most calls of a snapshot.
struct Budget {
    calls: usize,
    at_most: usize,
}

impl Budget {
    /// After a page: the marker of the next one, or whether the list is complete.
    fn after(&mut self, next: Option<String>) -> ControlFlow<bool, String> {
        self.calls += 1;
        match next {
            None => ControlFlow::Break(true),
            Some(_) if self.calls >= self.at_most => ControlFlow::Break(false),
            Some(marker) => ControlFlow::Continue(marker),
        }
    }
}

/// The entries of a page with one of these names, by name in lower case.
fn named<T>(
    page: impl Iterator<Item = (String, T)>,
    names: &HashSet<&str>,
) -> impl Iterator<Item = (String, T)> {
    page.map(|(name, role)| (name.to_ascii_lowercase(), role))
        .filter(|(name, _)| names.contains(name.as_str()))
}

/// A role in only one of the lists was created or deleted in between. It looks different and gets its own observation.
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
    fn the_resync_uses_the_cheaper_calls() {
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
