//! The invariants that hold at every moment, whatever fails.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::StreamExt as _;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use streamrole::api::{PinpointEventStreamRole, RoleResource};
use streamrole::policy::Document;
use streamrole::role::{Declaration, Defaults, DriftPolicy};
use support::{Applied, By, Role, STALENESS, status_violations};

use crate::generator::Generator;
use crate::history::History;
use crate::slots::{is_protected, may_adopt};

const UID_TAG: &str = "streamrole.dev/uid";
const CLUSTER_TAG: &str = "streamrole.dev/cluster";

/// A resource that was observed Ready.
struct Sighting {
    at: Instant,
    resource: PinpointEventStreamRole,
}

/// The first time that each generation of each resource was observed Ready.
pub(crate) struct Sightings {
    waiting: Arc<Mutex<Vec<Sighting>>>,
    /// The violations in all written statuses.
    broken: Arc<Mutex<Vec<String>>>,
    checked: Mutex<usize>,
    judged: Mutex<usize>,
    created: Mutex<BTreeMap<String, i64>>,
}

impl Sightings {
    pub(crate) fn watch(client: Client) -> Self {
        let waiting = Arc::<Mutex<Vec<_>>>::default();
        let broken = Arc::<Mutex<Vec<_>>>::default();
        let sightings = Self {
            waiting: Arc::clone(&waiting),
            broken: Arc::clone(&broken),
            checked: Mutex::default(),
            judged: Mutex::default(),
            created: Mutex::default(),
        };
        tokio::spawn(async move {
            let api: Api<PinpointEventStreamRole> = Api::all(client);
            let changes = watcher(api, watcher::Config::default()).default_backoff();
            let mut changes = std::pin::pin!(changes.applied_objects());
            let mut seen = HashSet::new();
            while let Some(change) = changes.next().await {
                // An interrupted watch resumes.
                let Ok(resource) = change else { continue };
                let wrong = status_violations(&resource);
                if !wrong.is_empty() {
                    let seen =
                        format!("{}: {wrong:?} in {:?}", resource.name_any(), resource.status);
                    broken.lock().unwrap().push(seen);
                }
                let generation = (resource.uid(), resource.metadata.generation);
                if says_ready(&resource) && seen.insert(generation) {
                    let sighting = Sighting { at: Instant::now(), resource };
                    waiting.lock().unwrap().push(sighting);
                }
            }
        });
        sightings
    }

    pub(crate) fn checked(&self) -> usize {
        *self.checked.lock().unwrap()
    }
}

/// Whether the resource reports that the controller made the role match its current spec.
fn says_ready(resource: &PinpointEventStreamRole) -> bool {
    let Some(ready) = resource.status.as_ref().and_then(|status| status.ready()) else {
        return false;
    };
    ready.status == "True"
        && ready.observed_generation == resource.metadata.generation
        && ["Synced", "ExtraPolicies"].contains(&ready.reason.as_str())
        && resource.spec.settings.drift_policy == DriftPolicy::Correct
}

/// All violations since the last call.
pub(crate) fn violations(
    history: &History,
    sightings: &Sightings,
    generator: &Generator,
    cluster: &str,
) -> Vec<String> {
    let mut wrong = std::mem::take(&mut *sightings.broken.lock().unwrap());
    let mut judged = sightings.judged.lock().unwrap();
    let fresh = history.from(*judged);
    *judged += fresh.len();
    for applied in &fresh {
        wrong.extend(wrong_write(applied, generator, cluster));
        wrong.extend(wrong_creation(applied, &mut sightings.created.lock().unwrap()));
    }
    let waiting = std::mem::take(&mut *sightings.waiting.lock().unwrap());
    for sighting in waiting {
        match generator.written(&sighting.resource) {
            Some(since) => {
                *sightings.checked.lock().unwrap() += 1;
                wrong.extend(wrong_ready(&sighting, since, history));
            }
            // The answer to the edit has not arrived yet.
            None => sightings.waiting.lock().unwrap().push(sighting),
        }
    }
    wrong
}

/// The controller changes a role only if this cluster owns it, or if a resource can adopt it. It deletes a role only
/// after its resource was deleted.
fn wrong_write(applied: &Applied, generator: &Generator, cluster: &str) -> Option<String> {
    let (By::Caller, Some(before)) = (applied.by, &applied.before) else {
        return None;
    };
    let what = || format!("{} of {} with tags {:?}", applied.action, applied.key, before.tags);
    let is_ours = before.tags.get(CLUSTER_TAG).is_some_and(|tag| tag == cluster);
    if is_protected(&applied.key) || !(is_ours || may_adopt(&applied.key)) {
        return Some(format!("a role that is not ours was written: {}", what()));
    }
    let uid = before.tags.get(UID_TAG).cloned().unwrap_or_default();
    let deletes = applied.after.is_none();
    (deletes && !generator.was_deleted(&uid))
        .then(|| format!("a role was deleted whose resource was not: {}", what()))
}

/// One creation for each resource, and one more each time an administrator deleted its role.
fn wrong_creation(applied: &Applied, allowed: &mut BTreeMap<String, i64>) -> Option<String> {
    let uid = |role: &Option<Arc<Role>>| {
        role.as_ref().and_then(|role| role.tags.get(UID_TAG).cloned()).unwrap_or_default()
    };
    if applied.by == By::Administrator && applied.after.is_none() {
        *allowed.entry(uid(&applied.before)).or_insert(1) += 1;
    }
    if applied.by == By::Caller && applied.before.is_none() {
        let left = allowed.entry(uid(&applied.after)).or_insert(1);
        *left -= 1;
        if *left < 0 {
            return Some(format!("{} was created twice for {}", applied.key, uid(&applied.after)));
        }
    }
    None
}

/// Users can rely on Ready: since the spec was written there was a moment at which both documents matched it. If an
/// administrator changed the role meanwhile, there was such a moment for each document. Between two writes the
/// controller cannot see changes to the part that it wrote first.
fn wrong_ready(sighting: &Sighting, since: Instant, history: &History) -> Option<String> {
    let resource = &sighting.resource;
    let desired = declaration(resource);
    let writes = history.of_role(&desired.name.as_str().to_ascii_lowercase());
    let states = states(&writes, since, sighting.at);
    let interfered = writes
        .iter()
        .any(|w| w.by == By::Administrator && w.at + STALENESS > since && w.at <= sighting.at);
    let was_so = if interfered {
        states.iter().any(|role| trusts_as(role, &desired))
            && states.iter().any(|role| permits_as(role, &desired))
    } else {
        states.iter().any(|role| is_as(role, &desired))
    };
    (!was_so).then(|| {
        let trail: Vec<_> = writes
            .iter()
            .map(|w| {
                let age = sighting.at.saturating_duration_since(w.at);
                let as_declared = w.after.as_ref().map(|role| {
                    (trusts_as(role, &desired), permits_as(role, &desired))
                });
                format!("-{age:.1?} {:?} {}: as declared {as_declared:?}", w.by, w.action)
            })
            .collect();
        format!(
            "{}/{} generation {:?} was called Ready but never was since it was written {:.1?} before: {trail:#?}",
            resource.namespace().unwrap_or_default(),
            resource.name_any(),
            resource.metadata.generation,
            sighting.at.saturating_duration_since(since),
        )
    })
}

/// The states of a role between two moments. An administrator's recent change may not have been visible yet, so the
/// states before it count too. The controller must know its own writes.
fn states(writes: &[Arc<Applied>], since: Instant, until: Instant) -> Vec<Arc<Role>> {
    let invisible = since.checked_sub(STALENESS).unwrap_or(since);
    let mut states = Vec::new();
    let mut first = None;
    for applied in writes.iter().filter(|applied| applied.at <= until) {
        if applied.at > since {
            states.extend(first.take().flatten());
            states.extend(applied.after.clone());
        } else if applied.by == By::Administrator && applied.at > invisible {
            states.extend(first.take().flatten());
            first = Some(applied.after.clone());
        } else {
            states.clear();
            first = Some(applied.after.clone());
        }
    }
    states.extend(first.flatten());
    states
}

/// The declaration of the resource.
pub(crate) fn declaration(resource: &PinpointEventStreamRole) -> Declaration {
    RoleResource::from(resource.clone()).declaration(&Defaults::default()).unwrap()
}

/// Whether both documents match the spec.
pub(crate) fn is_as(role: &Role, desired: &Declaration) -> bool {
    trusts_as(role, desired) && permits_as(role, desired)
}

fn trusts_as(role: &Role, desired: &Declaration) -> bool {
    says(&role.trust_policy, &desired.trust_policy)
}

fn permits_as(role: &Role, desired: &Declaration) -> bool {
    let live = role.inline.get(&desired.permissions_policy.name);
    live.is_some_and(|text| says(text, &desired.permissions_policy.document))
}

fn says(text: &str, document: &Document) -> bool {
    Document::parse(text).is_ok_and(|live| live.equivalent(document))
}
