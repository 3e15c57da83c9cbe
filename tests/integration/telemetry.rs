//! The contents of the controller's logs and traces, and what they never contain.

use std::process::{Command, Stdio};

use support::{Collector, Controller, ControllerOptions, Fault, Span, eventually, http_get};

use support::world::{World, binary, stack};

fn set(variable: &'static str, value: &str) -> (&'static str, Option<String>) {
    (variable, Some(value.to_owned()))
}

async fn start(world: &mut World, environment: Vec<(&'static str, Option<String>)>) {
    let options = ControllerOptions { environment, ..world.options() };
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
}

#[tokio::test]
async fn a_reconcile_is_a_trace_with_a_span_for_each_iam_request() {
    let mut world = World::without_controller("traces").await;
    let collector = Collector::start().await.unwrap();
    let endpoint = set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    start(&mut world, vec![endpoint, set("OTEL_BSP_SCHEDULE_DELAY", "100")]).await;
    world.proxy.inject("PutRolePolicy", None, Fault::answer(403, "AccessDenied", "no"));
    world.apply("events", &world.kinesis_spec("events")).await;
    world.sees("events", "False", "AccessDenied").await;

    let (reconcile, spans) = eventually("the reconcile's spans", || async {
        let spans = collector.spans();
        // The first reconcile only adds the finalizer.
        let is_it = |span: &&Span| span.name == "reconcile" && span.attributes.contains_key("role");
        let reconcile = spans.iter().find(is_it).cloned();
        reconcile.map(|reconcile| (reconcile, spans)).ok_or_else(|| world.log())
    })
    .await;
    let attribute = |span: &Span, key: &str| span.attributes.get(key).cloned().unwrap_or_default();
    assert!(reconcile.parent.is_empty() && reconcile.failed, "{reconcile:?}");
    for (key, value) in [
        ("service.name", "streamrole"),
        ("namespace", "traces"),
        ("name", "events"),
        ("generation", "1"),
        ("role", "traces-events"),
        ("reason", "AccessDenied"),
        ("changes", "role"),
    ] {
        assert_eq!(attribute(&reconcile, key), value, "{key} of {reconcile:?}");
    }
    let parts: Vec<_> = spans
        .iter()
        .filter(|span| span.parent == reconcile.id)
        .map(|span| {
            let status = attribute(span, "http.response.status_code");
            (span.name.as_str(), status, span.failed)
        })
        .collect();
    assert_eq!(
        parts,
        [
            ("IAM/CreateRole", "200".into(), false),
            ("IAM/PutRolePolicy", "403".into(), true),
            ("write status", String::new(), false),
        ]
    );
}

#[tokio::test]
async fn secrets_never_appear_at_any_log_level() {
    const SECRETS: [&str; 2] = ["the-secret-key-of-this-test", "the-session-token-of-this-test"];
    let mut world = World::resyncing_later("secrets").await;
    let environment = vec![
        set("AWS_SECRET_ACCESS_KEY", SECRETS[0]),
        set("AWS_SESSION_TOKEN", SECRETS[1]),
        set("RUST_LOG", "trace"),
    ];
    start(&mut world, environment).await;
    world.proxy.inject("PutRolePolicy", None, Fault::answer(403, "AccessDenied", "no"));
    world.apply("events", &world.kinesis_spec("events")).await;
    world.sees("events", "False", "AccessDenied").await;
    world.proxy.heal();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "now").await;
    world.ready("events").await;
    world.resyncs(1).await;
    world.tamper(&world.role("events")).await;
    world.event("events", "DriftRepaired").await;

    let url = world.controller.as_ref().unwrap().listen_url().await;
    let metrics = http_get(&format!("{url}/metrics")).await.unwrap().1;
    let resource = world.resources.get("events").await.unwrap();
    let status = serde_json::to_string(&resource.status).unwrap();
    world.delete("events").await;
    world.gone("events").await;
    let kubeconfig = std::fs::read_to_string(stack().await.controller_kubeconfig()).unwrap();
    let kubeconfig: serde_json::Value = serde_saphyr::from_str(&kubeconfig).unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();

    let log = world.log();
    assert!(log.contains("TRACE"), "the log tells all it can");
    for secret in SECRETS.into_iter().chain([token]) {
        for (place, text) in [("log", &log), ("metrics", &metrics), ("status", &status)] {
            let lines: Vec<_> = text.lines().filter(|line| line.contains(secret)).collect();
            assert!(lines.is_empty(), "{secret} in the {place}: {lines:#?}");
        }
    }
}

#[test]
fn an_unsupported_protocol_is_rejected_at_startup_naming_the_supported_ones() {
    let run = Command::new(binary())
        .args(["run", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success(), "{said}");
    for words in ["OTEL_EXPORTER_OTLP_PROTOCOL is \"grpc\"", "http/protobuf", "4318"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}
