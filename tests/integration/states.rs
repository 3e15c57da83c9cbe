//! One resource in every state, as users and tools see it: conditions, kubectl's output, events, and the verdicts of
//! kstatus (which Flux waits for) and Argo CD, by their own code (tests/gitops, in Go).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{Fault, eventually};
use tokio::sync::OnceCell;

use support::world::{OTHER_POLICY, World, kubectl, stack, version};

static VERDICTS: OnceCell<PathBuf> = OnceCell::const_new();

fn gitops() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gitops")
}

fn go(arguments: &[&str]) -> String {
    let run = Command::new("go").args(arguments).current_dir(gitops()).output();
    let run = run.unwrap_or_else(|error| panic!("Go is needed for this test: {error}"));
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "go {arguments:?}: {said}");
    said.into_owned()
}

async fn verdicts() -> &'static Path {
    VERDICTS
        .get_or_init(|| async {
            let program = stack().await.scratch("verdicts");
            go(&["build", "-o", &program.to_string_lossy(), "."]);
            program
        })
        .await
}

/// The verdicts of kstatus and Argo CD on the resource as the API server returns it.
async fn judged(world: &World, name: &str) -> (String, String) {
    let stored = kubectl(world, &["get", "pesr", name, "-o", "json"]).await;
    let stored: Value = serde_json::from_str(&stored).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/argocd/health.lua");
    let mut judge = Command::new(verdicts().await);
    let judge = judge.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut judge = judge.spawn().unwrap();
    judge.stdin.take().unwrap().write_all(stored.to_string().as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let of = |tool: &str| said[tool].as_str().unwrap_or_default().to_owned();
    (of("kstatus"), of("argocd"))
}

const COLUMNS: [&str; 9] =
    ["NAME", "READY", "REASON", "ROLE", "DESTINATION", "ARN", "DRIFT", "LAST CHANGE", "AGE"];

/// The columns of `kubectl get pesr -o wide`, by header.
async fn columns(world: &World, name: &str) -> BTreeMap<&'static str, String> {
    let printed = kubectl(world, &["get", "pesr", name, "-o", "wide"]).await;
    let (header, row) = printed.split_once('\n').unwrap();
    let start = |title| header.find(title).unwrap_or_else(|| panic!("{title} in {header}"));
    let ends = COLUMNS.into_iter().skip(1).map(start).chain([row.len()]);
    let cell =
        |(title, end)| (title, row.get(start(title)..end).unwrap_or_default().trim().to_owned());
    COLUMNS.into_iter().zip(ends).map(cell).collect()
}

fn answer(status: u16, code: &str) -> Fault {
    Fault::answer(status, code, "as the test wants it")
}

async fn is_judged(world: &World, state: &str, kstatus: &str, argocd: &str) {
    eventually(&format!("{state} to be judged {kstatus} and {argocd}"), || async {
        let (said, health) = judged(world, "events").await;
        if (said.as_str(), health.as_str()) == (kstatus, argocd) {
            Ok(())
        } else {
            Err(format!("{said}, {health}"))
        }
    })
    .await;
}

#[tokio::test]
async fn all_tools_agree_on_a_resource_in_every_state() {
    let mut world = World::resyncing_later("states").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    is_judged(&world, "a resource that was not observed yet", "InProgress", "Progressing").await;

    world.start_controller().await;
    world.ready("events").await;
    is_judged(&world, "a ready resource", "Current", "Healthy").await;
    let printed = columns(&world, "events").await;
    let arn = format!("arn:aws:iam::111122223333:role/{role}");
    for (title, expected) in [
        ("READY", "True"),
        ("REASON", "Synced"),
        ("ROLE", &role),
        ("DESTINATION", "kinesis/events"),
        ("ARN", &arn),
        ("DRIFT", ""),
    ] {
        assert_eq!(printed[title], expected, "{printed:?}");
    }
    assert_ne!(printed["LAST CHANGE"], "", "{printed:?}");
    world.event("events", "Created").await;
    let waited =
        kubectl(&world, &["wait", "--for=condition=Ready", "pesr/events", "--timeout=5s"]).await;
    assert!(waited.contains("condition met"), "{waited}");

    world.proxy.inject("UpdateRole", None, answer(400, "Throttling"));
    spec["description"] = json!("edited");
    world.apply("events", &spec).await;
    world.sees("events", "False", "Throttled").await;
    is_judged(&world, "an edit under way", "InProgress", "Progressing").await;
    world.proxy.heal();
    world.ready("events").await;
    assert!(world.event("events", "Updated").await.contains("description"));

    world.tamper(&role).await;
    assert!(world.event("events", "DriftRepaired").await.contains("kinesis:*"));
    spec["driftPolicy"] = json!("Report");
    world.apply("events", &spec).await;
    world.ready("events").await;
    world.tamper(&role).await;
    world.sees("events", "False", "DriftReported").await;
    is_judged(&world, "drift that is only reported", "Failed", "Degraded").await;
    let drift = &columns(&world, "events").await["DRIFT"];
    assert!(drift.starts_with("permissionsPolicy."), "{drift}");
    world.event("events", "DriftReported").await;

    world.annotate("events", "streamrole.dev/paused", "true").await;
    world.sees("events", "False", "Paused").await;
    is_judged(&world, "a paused resource whose role differs", "Failed", "Suspended").await;
    spec.as_object_mut().unwrap().remove("driftPolicy");
    world.apply("events", &spec).await;
    world.annotate("events", "streamrole.dev/paused", "false").await;
    world.ready("events").await;
    world.annotate("events", "streamrole.dev/paused", "true").await;
    world.sees("events", "True", "Paused").await;
    is_judged(&world, "a paused resource", "Current", "Suspended").await;
    world.annotate("events", "streamrole.dev/paused", "false").await;
    world.ready("events").await;

    world.proxy.inject("UpdateRole", None, answer(403, "AccessDenied"));
    spec["description"] = json!("edited again");
    world.apply("events", &spec).await;
    world.sees("events", "False", "AccessDenied").await;
    is_judged(&world, "a resource that is denied access", "Failed", "Degraded").await;
    assert!(world.event("events", "AccessDenied").await.contains("iam:UpdateRole"));
    world.proxy.heal();
    world.ready("events").await;

    let added = world.iam.put_role_policy().role_name(&role).policy_name("added");
    added.policy_document(OTHER_POLICY).send().await.unwrap();
    world.sees("events", "True", "ExtraPolicies").await;
    is_judged(&world, "a role with other policies", "Current", "Healthy").await;
    world.delete("events").await;
    world.sees("events", "False", "DeletionBlocked").await;
    is_judged(&world, "a blocked deletion", "Terminating", "Progressing").await;
    assert!(world.event("events", "DeletionBlocked").await.contains("inlinePolicies[added]"));
    let described = kubectl(&world, &["describe", "pesr", "events"]).await;
    for part in ["inlinePolicies[added]", "DeletionBlocked", "exclusivePolicies: true"] {
        assert!(described.contains(part), "{part:?} in:\n{described}");
    }
    world.iam.delete_role_policy().role_name(&role).policy_name("added").send().await.unwrap();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    world.gone("events").await;
    world.event("events", "Deleted").await;
}

#[tokio::test]
async fn every_tool_reports_a_conflict_as_a_failure() {
    let world = World::new("states-conflict").await;
    world.create_foreign_role(&world.role("events")).await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.sees("events", "False", "RoleNotOwned").await;
    is_judged(&world, "a conflict", "Failed", "Degraded").await;
}

#[tokio::test]
async fn the_gitops_examples_match_their_documentation() {
    // Go does not notice changed files outside of its module.
    go(&["test", "-count=1", "./..."]);
}

#[tokio::test]
async fn samples_applied_twice_show_no_difference() {
    let world = World::new("samples-twice").await;
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples");
    for sample in ["kinesis.yaml", "firehose.yaml"] {
        let text = std::fs::read_to_string(samples.join(sample)).unwrap();
        // Role names are unique in an account, and other tests use the samples too.
        let text = text.replace("roleName: ", "roleName: samples-twice-");
        let path = stack().await.scratch(&format!("twice-{sample}"));
        std::fs::write(&path, &text).unwrap();
        let path = path.to_string_lossy();
        let server_side: [&[&str]; 2] = [&[], &["--server-side", "--force-conflicts"]];
        for how in server_side {
            let apply = [&["apply", "-f", &path], how].concat();
            kubectl(&world, &apply).await;
            let manifest: Value = serde_saphyr::from_str(&text).unwrap();
            let name = manifest["metadata"]["name"].as_str().unwrap();
            let settled = version(&world.ready(name).await);
            kubectl(&world, &apply).await;
            let diff = [&["diff", "-f", &path], how].concat();
            // Exit status 1 would mean a difference.
            assert_eq!(kubectl(&world, &diff).await, "", "{sample} {how:?}");
            let later = version(&world.resources.get(name).await.unwrap());
            assert_eq!(later, settled, "{sample} {how:?} applied again changes nothing");
        }
    }
}
