//! The controller's reports when something is missing at startup.

use std::process::{Command, Stdio};

use support::{
    CLUSTER_ROLE, CRD, Controller, ControllerOptions, Fault, Stack, eventually, set_aws_environment,
};

use support::world::{World, binary, stack};

async fn says(controller: &Controller, words: &[&str]) {
    eventually(&format!("the controller to say {words:?}"), || async {
        let log = controller.log();
        if log.lines().any(|line| words.iter().all(|word| line.contains(word))) {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
}

fn options(iam_url: &str) -> ControllerOptions {
    ControllerOptions::new(binary(), iam_url)
}

#[tokio::test]
async fn an_unreachable_cluster_is_said_and_waited_for() {
    let stack = stack().await;
    let kubeconfig = stack.scratch("unreachable.kubeconfig");
    std::fs::write(
        &kubeconfig,
        r#"{"apiVersion":"v1","kind":"Config","current-context":"x",
            "clusters":[{"name":"x","cluster":{"server":"http://127.0.0.1:9"}}],
            "users":[{"name":"x","user":{}}],
            "contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}]}"#,
    )
    .unwrap();
    let controller =
        Controller::start_with_kubeconfig(stack, &options(stack.iam_url()), &kubeconfig).unwrap();
    says(
        &controller,
        &["cannot reach the Kubernetes API server at http://127.0.0.1:9", "KUBECONFIG"],
    )
    .await;
    assert!(controller.process().is_running(), "waiting can help, so it waits");
    assert_eq!(controller.stop().unwrap(), 0, "SIGTERM ends the waiting");
}

#[tokio::test]
async fn a_missing_crd_is_reported_and_waited_for() {
    let bare = Stack::start().await.unwrap();
    let options = options(bare.iam_url());
    let controller =
        Controller::start_with_kubeconfig(&bare, &options, &bare.admin_kubeconfig()).unwrap();
    says(
        &controller,
        &["does not know the resource PinpointEventStreamRole", "streamrole crd | kubectl apply"],
    )
    .await;
    bare.install(CRD, CLUSTER_ROLE).await.unwrap();
    says(&controller, &["watching; ready"]).await;
}

#[tokio::test]
async fn missing_permissions_are_reported_with_what_to_apply() {
    let world = World::without_controller("rights").await;
    let stack = stack().await;
    let service_account = serde_json::json!({"metadata": {"name": "nobody"}});
    let accounts: kube::Api<k8s_openapi::api::core::v1::ServiceAccount> =
        kube::Api::namespaced(world.client.clone(), "rights");
    accounts
        .create(
            &kube::api::PostParams::default(),
            &serde_json::from_value(service_account).unwrap(),
        )
        .await
        .unwrap();
    let kubeconfig = stack.service_account_kubeconfig("rights", "nobody").await.unwrap();
    let controller =
        Controller::start_with_kubeconfig(stack, &options(stack.iam_url()), &kubeconfig).unwrap();
    says(&controller, &["does not allow", "pinpointeventstreamroles", "deploy/rbac"]).await;
}

#[test]
fn permanent_startup_errors_exit_with_one_sentence() {
    let run = |environment: &[(&str, &str)]| {
        let output = Command::new(binary())
            .args(["run", "--listen", "127.0.0.1:0"])
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let said = run(&[("HOME", "/nonexistent")]);
    assert!(
        said.contains("no Kubernetes cluster is configured") && said.contains("KUBECONFIG"),
        "{said}"
    );
    let said = run(&[("HOME", "/nonexistent"), ("KUBECONFIG", "/nonexistent/config")]);
    assert!(said.contains("no Kubernetes cluster is configured"), "{said}");
}

#[tokio::test]
async fn missing_aws_settings_are_reported_with_the_remedy() {
    let stack = stack().await;
    let kubeconfig = stack.controller_kubeconfig();
    let without = |missing: &'static [&'static str]| {
        let stack_url = stack.iam_url().to_owned();
        let kubeconfig = kubeconfig.clone();
        async move {
            let options = ControllerOptions {
                environment: missing.iter().map(|variable| (*variable, None)).collect(),
                ..options(&stack_url)
            };
            Controller::start_with_kubeconfig(stack, &options, &kubeconfig).unwrap()
        }
    };
    let controller = without(&["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]).await;
    says(&controller, &["no AWS credentials were found", "AWS_ACCESS_KEY_ID"]).await;
    assert!(controller.process().is_running(), "waiting can help, so it waits");

    let controller = without(&["AWS_REGION", "AWS_DEFAULT_REGION"]).await;
    says(&controller, &["no AWS region is configured", "AWS_REGION"]).await;
    assert_ne!(controller.wait().unwrap(), 0, "waiting cannot help");
}

/// The output of `streamrole check` as this user of the cluster, and whether it succeeded.
async fn checked(world: &World, kubeconfig: &std::path::Path, flags: &[&str]) -> (bool, String) {
    let mut check = Command::new(binary());
    check.arg("check").args(flags).env("KUBECONFIG", kubeconfig);
    set_aws_environment(&mut check, world.proxy.url());
    let run = tokio::task::spawn_blocking(move || check.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    (run.status.success(), said.into_owned())
}

#[tokio::test]
async fn check_reports_what_is_missing_and_changes_nothing() {
    let world = World::without_controller("check").await;
    let controller = stack().await.controller_kubeconfig();
    let (is_well, said) = checked(&world, &controller, &[]).await;
    assert!(is_well, "{said}");
    assert!(said.contains("CRDs installed, permissions sufficient"), "{said}");
    assert!(said.contains("AWS: credentials accepted"), "{said}");
    // A slow answer is awaited with another attempt.
    let mut actions = world.proxy.actions();
    actions.dedup();
    assert_eq!(actions, ["ListRoles"]);

    let denied = Fault::answer(403, "AccessDenied", "not authorized to perform: iam:ListRoles");
    world.proxy.inject("ListRoles", None, denied);
    let (is_well, said) = checked(&world, &controller, &[]).await;
    assert!(is_well && said.contains("four calls per role"), "{said}");
    world.proxy.heal();
    let unknown = Fault::answer(403, "InvalidClientTokenId", "The security token is invalid");
    world.proxy.inject("ListRoles", None, unknown);
    let (is_well, said) = checked(&world, &controller, &[]).await;
    assert!(!is_well && said.contains("The security token is invalid"), "{said}");

    // The controller's account has no Role for a Lease here.
    let flags = ["--leader-election", "--lease-namespace", "check"];
    let (is_well, said) = checked(&world, &controller, &flags).await;
    assert!(!is_well && said.contains("leases.coordination.k8s.io"), "{said}");
    let (is_well, said) = checked(&world, std::path::Path::new("/nonexistent"), &[]).await;
    assert!(!is_well && said.contains("no Kubernetes cluster is configured"), "{said}");
}

#[tokio::test]
async fn health_and_metrics_report_the_state() {
    let mut world = World::resyncing_later("health").await;
    // A temporary fault causes a throttled call; the shared stack's IAM throttles no calls.
    world.proxy.inject("CreateRole", None, Fault::answer(400, "Throttling", "Rate exceeded"));
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.proxy.saw("CreateRole").await;
    world.proxy.heal();
    world.ready("events").await;
    // Calls before the first resync after Ready can belong to the end of the creation.
    world.resyncs(2).await;
    world.tamper(&world.role("events")).await;
    world.event("events", "DriftRepaired").await;
    world.ready("events").await;
    world.resyncs(1).await;
    let url = world.controller.as_ref().unwrap().listen_url().await;
    let get = |path: &str| {
        let url = format!("{url}{path}");
        async move { support::http_get(&url).await.unwrap() }
    };
    assert_eq!(get("/healthz").await.0, 200);
    assert_eq!(get("/readyz").await.0, 200);
    let (status, metrics) = get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"streamrole_reconciles_total{kind="PinpointEventStreamRole",reason="Synced"}"#,
        r#"streamrole_iam_requests_total{action="CreateRole",status="200",code="none"} 1"#,
        r#"streamrole_iam_requests_total{action="CreateRole",status="400",code="Throttling"} "#,
        r#"streamrole_iam_throttled_total{action="CreateRole"} "#,
        r#"streamrole_resources{kind="PinpointEventStreamRole",condition="Ready",status="True",reason="Synced"} 1"#,
        "streamrole_drift_found_total 1",
        "streamrole_drift_repaired_total 1",
        "streamrole_queue_depth 0",
        "\nstreamrole_leader 1\n",
        r#"streamrole_build_info{version=""#,
        "# EOF",
    ] {
        assert!(metrics.contains(line), "{line} in:\n{metrics}");
    }
    let resync = metrics.lines().find(|line| line.starts_with("streamrole_last_resync")).unwrap();
    assert!(!resync.ends_with(" 0.0"), "{resync}");

    let shown = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut shown: Vec<_> = shown.map(|it| it.replace(' ', "` | ")).collect();
    let documented = include_str!("../../docs/metrics.md");
    let documented = documented.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut documented: Vec<_> =
        documented.map(|row| row.split(" | ").take(2).collect::<Vec<_>>().join(" | ")).collect();
    shown.sort();
    documented.sort();
    assert_eq!(documented, shown, "docs/metrics.md names each metric with its type");

    // Prometheus' own parsers, and the queries of alerts and the dashboard.
    let file = stack().await.scratch("exposition");
    std::fs::write(&file, &metrics).unwrap();
    let checks = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/alerts");
    let mut go = std::process::Command::new("go");
    let output = go.args(["run", "."]).arg(&file).current_dir(checks).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{metrics}");
}
