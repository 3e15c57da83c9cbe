//! After the faults: everything settles and can be deleted, in bounded time.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client, ResourceExt};
use streamrole::api::PinpointEventStreamRole;
use support::{Controller, check_status, eventually, eventually_within};

use crate::Field;
use crate::checks::{declaration, is_as};
use crate::generator::Generator;
use crate::slots::{Kind, SLOTS, kind, name, role_name};

/// Far more than needed; anything slower never ends.
const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until each resource is Ready and its role matches the spec, or the resource reports why it cannot be.
pub(crate) async fn everything_comes_to_rest(
    field: &mut Field,
    generator: &mut Generator,
    seed: u64,
) -> Duration {
    let since = Instant::now();
    generator.settle(field).await;
    let field = &*field;
    let client = field.stack.admin().await.unwrap();
    let slots: Vec<_> = generator.taken().collect();
    eventually_within(PATIENCE, &format!("seed {seed}: all to be at rest"), || async {
        let resources = all_resources(&client).await;
        let mut restless = String::new();
        for slot in &slots {
            let resource = resources.get(&name(*slot));
            if let Some(why) = resource
                .map_or_else(|| Some("it is not there".into()), |one| unrest(one, *slot, field))
            {
                // Writing to a String cannot fail.
                let _ = writeln!(restless, "{}: {why}", name(*slot));
            }
        }
        if restless.is_empty() { Ok(()) } else { Err(format!("{restless}\n{}", log(field))) }
    })
    .await;
    since.elapsed()
}

fn unrest(resource: &PinpointEventStreamRole, slot: usize, field: &Field) -> Option<String> {
    let ready = resource.status.as_ref()?.ready()?;
    let said = format!("{} {} {}", ready.status, ready.reason, ready.message);
    if ready.observed_generation != resource.metadata.generation {
        return Some(format!("it is for an earlier generation: {said}"));
    }
    let stalled = |reason: &str| {
        (ready.reason != reason).then(|| format!("expected {reason}, it says {said}"))
    };
    match kind(slot) {
        Kind::Foreign => stalled("RoleNotOwned"),
        Kind::Elsewhere | Kind::SecondOfTwo => stalled("RoleOwnedByAnother"),
        Kind::Adopted | Kind::Retained | Kind::FirstOfTwo | Kind::Plain => {
            let desired = declaration(resource);
            let role = field.account.role(&role_name(slot));
            let as_declared = role.as_ref().is_some_and(|role| {
                is_as(role, &desired)
                    && role.tags.get("streamrole.dev/uid") == resource.uid().as_ref()
            });
            let is_ready = ready.status == "True";
            (!(as_declared && is_ready)).then(|| format!("as declared: {as_declared}; {said}"))
        }
    }
}

/// Deletes all resources and waits until they are gone, together with their roles.
pub(crate) async fn everything_can_be_deleted(
    field: &Field,
    generator: &mut Generator,
    seed: u64,
) -> Duration {
    let since = Instant::now();
    for role in field.account.roles() {
        field.account.tamper(&role.name, "removed", |role| role.inline.remove("added").is_some());
    }
    let client = field.stack.admin().await.unwrap();
    let all = all_resources(&client).await;
    generator.deletes_all(all.values().filter_map(ResourceExt::uid));
    for resource in all.values() {
        let namespace = resource.namespace().unwrap();
        let api: Api<PinpointEventStreamRole> = Api::namespaced(client.clone(), &namespace);
        // An already deleted resource is fine.
        let _ = api.delete(&resource.name_any(), &DeleteParams::default()).await;
    }
    eventually_within(PATIENCE, &format!("seed {seed}: all to be gone"), || async {
        let api: Api<PinpointEventStreamRole> = Api::all(client.clone());
        let left = api.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        if left.items.is_empty() {
            return Ok(());
        }
        let told = left.items.iter().take(5).map(|one| {
            let ready = one.status.as_ref().and_then(|status| status.ready());
            format!("{}: {:?}", one.name_any(), ready.map(|r| &r.message))
        });
        Err(format!("{} left: {:#?}\n{}", left.items.len(), told.collect::<Vec<_>>(), log(field)))
    })
    .await;

    let expected: BTreeSet<_> = (0..SLOTS)
        .filter(|slot| {
            matches!(kind(*slot), Kind::Foreign | Kind::Elsewhere | Kind::Adopted | Kind::Retained)
        })
        .map(role_name)
        .collect();
    let left = field.account.roles();
    let names: BTreeSet<_> = left.iter().map(|role| role.name.clone()).collect();
    let unexpected: Vec<_> = names.symmetric_difference(&expected).collect();
    assert!(unexpected.is_empty(), "seed {seed}: roles left behind, or gone: {unexpected:?}");
    for role in &left {
        let ours = role.tags.get("streamrole.dev/cluster") == Some(&field.cluster);
        assert!(!ours, "seed {seed}: {} still carries our tags", role.name);
    }
    since.elapsed()
}

/// Resources by namespace and name.
async fn all_resources(client: &Client) -> HashMap<String, PinpointEventStreamRole> {
    let api: Api<PinpointEventStreamRole> = Api::all(client.clone());
    let all = eventually("the resources to be listed", || async {
        api.list(&ListParams::default()).await
    })
    .await;
    all.iter().for_each(check_status);
    all.items.into_iter().map(|one| (one.name_any(), one)).collect()
}

fn log(field: &Field) -> String {
    let log = field.controller.as_ref().map(Controller::log).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
