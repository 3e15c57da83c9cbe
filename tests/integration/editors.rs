//! Several writers of one resource, with their usual tools: two field managers, `kubectl edit`, a tool that self-heals
//! and prunes, with `kubectl get -w` and `kubectl wait` beside them.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};
use streamrole::api::PinpointEventStreamRole;
use support::{Controller, ControllerOptions, Fault, eventually, eventually_within, manifest};

use support::world::{World, condition, kinesis_arn, kubectl, ready, stack, version};

async fn apply_as(world: &World, manager: &str, spec: Value) -> Result<(), kube::Error> {
    let manifest = manifest(&json!({"name": "events"}), &spec);
    let params = PatchParams::apply(manager);
    world.resources.patch("events", &params, &Patch::Apply(manifest)).await.map(drop)
}

fn in_git(world: &World, description: &str) -> String {
    let role = world.role("events");
    let stream = kinesis_arn("events");
    format!(
        "apiVersion: streamrole.dev/v1alpha1\nkind: PinpointEventStreamRole\nmetadata:\n  name: events\n  labels: {{in: git}}\nspec:\n  roleName: {role}\n  description: {description}\n  destination: {{kinesisStreamArn: {stream:?}}}\n"
    )
}

async fn description(world: &World) -> String {
    let role = world.iam.get_role().role_name(world.role("events")).send().await.unwrap().role;
    role.unwrap().description.unwrap_or_default()
}

#[tokio::test]
async fn two_field_managers_and_the_controller_do_not_conflict() {
    let world = World::new("managers").await;
    let role = world.role("events");
    apply_as(&world, "platform", world.kinesis_spec("events")).await.unwrap();
    apply_as(&world, "team", json!({"tags": {"team": "marketing"}})).await.unwrap();
    world.ready("events").await;
    let conflict =
        apply_as(&world, "team", json!({"destination": {"kinesisStreamArn": kinesis_arn("mine")}}));
    assert!(conflict.await.is_err(), "the managers are distinct");

    let resource = world.ready("events").await;
    let of_controller: Vec<_> = resource
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() == Some("streamrole"))
        .map(|entry| entry.fields_v1.clone().unwrap().0)
        .collect();
    assert!(!of_controller.is_empty(), "{resource:?}");
    for fields in of_controller {
        assert_eq!(fields.get("f:spec"), None, "the controller owns nothing of the spec: {fields}");
    }
    assert_eq!(world.tags(&role).await.get("team").map(String::as_str), Some("marketing"));

    apply_as(&world, "team", json!({})).await.unwrap();
    eventually("the tag to go with its manager's wish", || async {
        let tags = world.tags(&role).await;
        if tags.contains_key("team") { Err(format!("{tags:?}")) } else { Ok(()) }
    })
    .await;
    world.ready("events").await;
}

#[tokio::test]
async fn a_manual_edit_is_reverted_by_gitops_and_the_resource_can_be_pruned() {
    let world = World::new("healed").await;
    let file = stack().await.scratch("healed.yaml");
    std::fs::write(&file, in_git(&world, "of-git")).unwrap();
    let file = file.to_string_lossy();
    let apply = ["apply", "-f", &file];
    kubectl(&world, &apply).await;
    world.ready("events").await;

    let mut edit = stack().await.kubectl();
    edit.args(["-n", &world.namespace, "edit", "pesr/events"]);
    let edited = edit.env("KUBE_EDITOR", "sed -i s/of-git/by-hand/").output().unwrap();
    assert!(edited.status.success(), "{edited:?}");
    world.ready("events").await;
    assert_eq!(description(&world).await, "by-hand");

    kubectl(&world, &apply).await;
    world.ready("events").await;
    assert_eq!(description(&world).await, "of-git");

    let nothing = stack().await.scratch("pruned");
    std::fs::create_dir_all(&nothing).unwrap();
    let other = in_git(&world, "of-git")
        .replace("name: events", "name: other")
        .replace(&world.role("events"), &world.role("other"));
    std::fs::write(nothing.join("other.yaml"), other).unwrap();
    let nothing = nothing.to_string_lossy();
    kubectl(
        &world,
        &[
            "apply",
            "-f",
            &nothing,
            "--prune",
            "-l",
            "in=git",
            "--prune-allowlist",
            "streamrole.dev/v1alpha1/PinpointEventStreamRole",
        ],
    )
    .await;
    world.gone("events").await;
    assert!(!world.role_exists(&world.role("events")).await, "the role went with its resource");
    world.ready("other").await;
}

#[tokio::test]
async fn an_edit_is_acknowledged_before_iam_answers() {
    let world = World::new("slow-edit").await;
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    world.ready("events").await;
    world.proxy.inject("GetRole", None, Fault::Hang);
    spec["description"] = json!("edited");
    let generation = world.apply("events", &spec).await.metadata.generation;
    let seen = world.sees("events", "False", "Progressing").await;
    assert_eq!(seen.status.as_ref().unwrap().observed_generation, generation);
    assert!(condition(&seen, "Reconciling").is_some(), "{:?}", seen.status);
    world.proxy.heal();
}

/// Waits until the status acknowledges the edit with this generation, for a shorter time than IAM takes.
async fn told(resources: &Api<PinpointEventStreamRole>, generation: Option<i64>) {
    eventually_within(Duration::from_secs(8), "the edit to be reported", || async {
        let resource = resources.get("events").await.unwrap();
        let ready = ready(&resource);
        let is_told = ready.observed_generation == generation && ready.status == "False";
        if is_told { Ok(()) } else { Err(format!("{ready:?}")) }
    })
    .await;
}

fn set_description(text: &str) -> Patch<Value> {
    Patch::Merge(json!({"spec": {"description": text}}))
}

async fn edit(resources: &Api<PinpointEventStreamRole>, name: &str, text: &str) -> Option<i64> {
    let params = PatchParams::default();
    let edited = resources.patch(name, &params, &set_description(text)).await.unwrap();
    edited.metadata.generation
}

#[tokio::test]
async fn edits_are_acknowledged_while_all_workers_wait_for_iam() {
    let mut world = World::without_controller("slow-edits").await;
    let options = ControllerOptions { concurrency: 1, ..world.options() };
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
    let others = ["one", "two", "three", "four"];
    for name in others.into_iter().chain(["events"]) {
        world.apply(name, &world.kinesis_spec(name)).await;
        world.ready(name).await;
    }
    world.proxy.inject("GetRole", None, Fault::Hang);
    for name in others {
        edit(&world.resources, name, "edited").await;
    }
    world.proxy.saw("GetRole").await;
    for text in ["edited", "edited again"] {
        let generation = edit(&world.resources, "events", text).await;
        told(&world.resources, generation).await;
    }
    world.proxy.heal();
    world.ready("events").await;
    assert_eq!(description(&world).await, "edited again");
}

#[tokio::test]
async fn an_edit_during_a_write_is_never_reported_ready_for_the_earlier_generation() {
    let world = World::new("edit-of-edit").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let settled = version(&world.ready("events").await);
    let mut changes =
        world.resources.watch(&WatchParams::default(), &settled).await.unwrap().boxed();

    // The second edit comes when IAM has applied the first one, and the controller does not know yet.
    let again = Arc::new(Mutex::new(Some(world.resources.clone())));
    world.proxy.after_each_write(move || {
        let resources = again.lock().unwrap().take();
        async move {
            let Some(resources) = resources else { return };
            told(&resources, Some(2)).await;
            let generation = edit(&resources, "events", "second").await;
            told(&resources, generation).await;
        }
        .boxed()
    });
    edit(&world.resources, "events", "first").await;
    let last = world.ready("events").await;
    assert_eq!(description(&world).await, "second");

    let mut ready_for = Vec::new();
    while let Some(Ok(WatchEvent::Modified(seen))) = changes.next().await {
        let ready = ready(&seen);
        if ready.status == "True" {
            ready_for.push((ready.observed_generation, seen.metadata.generation));
        }
        if version(&seen) == version(&last) {
            break;
        }
    }
    // The first edit itself leaves the status unchanged.
    assert_eq!(ready_for, [(Some(1), Some(2)), (Some(3), Some(3))]);
}

#[tokio::test]
async fn kubectl_watch_prints_each_state_once_and_kubectl_wait_works() {
    let world = World::resyncing("watched").await;
    world.apply("before", &world.kinesis_spec("before")).await;
    world.ready("before").await;
    let mut watch = stack().await.kubectl();
    watch.args(["-n", &world.namespace, "get", "pesr", "-w", "--output-watch-events"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let lines = Arc::<Mutex<Vec<String>>>::default();
    let (out, printed) = (BufReader::new(watch.stdout.take().unwrap()), Arc::clone(&lines));
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            printed.lock().unwrap().push(line);
        }
    });
    // The first words of its rows.
    let rows = || -> Vec<String> {
        let words = |line: &String| line.split_whitespace().take(4).collect::<Vec<_>>().join(" ");
        lines.lock().unwrap().iter().map(words).collect()
    };
    let is_printed = async |words: &str| {
        eventually(words, || async {
            if rows().iter().any(|row| row.starts_with(words)) {
                Ok(())
            } else {
                Err(rows().join("\n"))
            }
        })
        .await;
    };
    is_printed("ADDED before True Synced").await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    is_printed("MODIFIED events True Synced").await;
    world.resyncs(3).await;
    let seen: Vec<_> = rows().into_iter().filter(|row| row.contains(" events ")).collect();
    assert_eq!(seen.last().map(String::as_str), Some("MODIFIED events True Synced"), "{seen:?}");
    let settled = seen.iter().filter(|row| row.contains("Synced")).count();
    assert_eq!(settled, 1, "resyncs print nothing: {seen:?}");

    kubectl(
        &world,
        &["annotate", "--overwrite", "pesr/events", "streamrole.dev/reconcile-requested-at=now"],
    )
    .await;
    let waited = [
        "wait",
        "--for=jsonpath={.status.lastHandledReconcileAt}=now",
        "pesr/events",
        "--timeout=20s",
    ];
    assert!(kubectl(&world, &waited).await.contains("condition met"));
    kubectl(&world, &["delete", "pesr/events", "--wait=false"]).await;
    is_printed("DELETED events").await;
    watch.kill().unwrap();
    watch.wait().unwrap();
}

#[tokio::test]
async fn a_repeated_failure_makes_one_event_until_it_changes() {
    let mut world = World::resyncing_later("storm").await;
    let denied = |message| Fault::answer(403, "AccessDenied", message);
    world.proxy.inject("CreateRole", None, denied("not authorized to perform: iam:CreateRole"));
    world.start_controller().await;
    for name in ["one", "two", "three"] {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    let tries = |many: usize| {
        let world = &world;
        eventually("more tries", move || async move {
            let seen =
                world.proxy.actions().iter().filter(|action| *action == "CreateRole").count();
            if seen >= many { Ok(()) } else { Err(seen) }
        })
    };
    tries(6).await;
    let events = counted(&world).await;
    assert_eq!(events, [("AccessDenied".to_owned(), 3)], "one for each resource");

    world.proxy.forget_calls();
    world.proxy.heal();
    world.proxy.inject(
        "CreateRole",
        None,
        denied("with an explicit deny in a service control policy: iam:CreateRole"),
    );
    tries(6).await;
    assert_eq!(counted(&world).await, [("AccessDenied".to_owned(), 6)], "one more for each");
    let settled = version(&world.sees("one", "False", "AccessDenied").await);
    world.proxy.forget_calls();
    tries(3).await;
    assert_eq!(
        version(&world.resources.get("one").await.unwrap()),
        settled,
        "no status write either"
    );
}

/// The count of each event, including series, by reason.
async fn counted(world: &World) -> Vec<(String, i32)> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut counts = std::collections::BTreeMap::<String, i32>::new();
    for event in events.list(&ListParams::default()).await.unwrap() {
        let times = event.series.map_or(1, |series| series.count);
        *counts.entry(event.reason.unwrap_or_default()).or_default() += times;
    }
    counts.into_iter().collect()
}

#[tokio::test]
async fn resources_are_selected_by_the_reason_of_ready_and_the_name_of_the_role() {
    let world = World::new("selectors").await;
    let denied = world.role("denied");
    world.proxy.inject("PutRolePolicy", Some(&denied), Fault::answer(403, "AccessDenied", "no"));
    world.apply("well", &world.kinesis_spec("well")).await;
    world.apply("denied", &world.kinesis_spec("denied")).await;
    world
        .apply("unnamed", &json!({"destination": world.kinesis_spec("unnamed")["destination"]}))
        .await;
    for (name, status, reason) in [
        ("well", "True", "Synced"),
        ("unnamed", "True", "Synced"),
        ("denied", "False", "AccessDenied"),
    ] {
        world.sees(name, status, reason).await;
    }
    for (selector, selected) in [
        ("status.reason=AccessDenied", "denied"),
        ("status.reason!=Synced", "denied"),
        ("status.roleName=selectors-unnamed", "unnamed"),
        ("spec.roleName=selectors-well", "well"),
    ] {
        let names = ["get", "pesr", "-o", "jsonpath={.items[*].metadata.name}"];
        let listed = kubectl(&world, &[&names[..], &["--field-selector", selector]].concat()).await;
        assert_eq!(listed, selected, "{selector}");
    }
}
