//! The controller when its connection to the API server fails: connections that die silently, an
//! unavailable API server, denied namespaces.

use std::time::Duration;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use support::{
    Controller, ControllerOptions, Fault, Tunnel, eventually, eventually_within, http_get, measures,
};

use support::world::{World, ready, stack};

/// A world whose controller uses leader election and reaches the API server through a tunnel.
async fn through_a_tunnel(test: &str) -> (World, Tunnel) {
    let world = World::without_controller(test).await.with_election().await;
    let lease_namespace = Some(world.namespace.clone());
    with_a_tunnel(world, lease_namespace).await
}

async fn with_a_tunnel(mut world: World, lease_namespace: Option<String>) -> (World, Tunnel) {
    let stack = stack().await;
    let tunnel = Tunnel::open(&stack.kube_address()).await.unwrap();
    let kubeconfig = stack.controller_kubeconfig_by_way_of(tunnel.address()).unwrap();
    let mut options = ControllerOptions { lease_namespace, ..world.options() };
    // A Lease in a hurry is lost on a busy machine.
    if options.lease_namespace.is_none() && !measures() {
        options = options.hurried(0.25);
    }
    world.controller =
        Some(Controller::start_with_kubeconfig(stack, &options, &kubeconfig).unwrap());
    (world, tunnel)
}

async fn get(world: &World, path: &str) -> (u16, String) {
    let url = world.controller.as_ref().unwrap().listen_url().await;
    http_get(&format!("{url}{path}")).await.unwrap()
}

fn log(world: &World) -> String {
    world.controller.as_ref().unwrap().log()
}

/// Waits until the resource is Ready for its current spec, at most for this time.
async fn ready_within(world: &World, limit: Duration) {
    eventually_within(limit, "the edit to be Ready", || async {
        let resource = world.resources.get("events").await.unwrap();
        let said = ready(&resource);
        let is_now = said.observed_generation == resource.metadata.generation;
        if is_now && said.status == "True" {
            Ok(())
        } else {
            Err(format!("{said:?}: {}", log(world)))
        }
    })
    .await;
}

fn spec(world: &World, description: &str) -> Value {
    let mut spec = world.kinesis_spec("events");
    spec["description"] = description.into();
    spec
}

#[tokio::test]
async fn silently_broken_connections_are_detected() {
    let (world, tunnel) = through_a_tunnel("silence").await;
    world.apply("events", &spec(&world, "1")).await;
    world.ready("events").await;

    tunnel.silence();
    world.apply("events", &spec(&world, "2")).await;
    ready_within(&world, Duration::from_secs(45)).await;

    // A write must go out on a connection that died during the call to IAM.
    world.proxy.inject("UpdateRole", None, Fault::Hang);
    world.proxy.forget_calls();
    world.apply("events", &spec(&world, "3")).await;
    world.proxy.saw("UpdateRole").await;
    tunnel.silence();
    world.proxy.heal();
    // The write takes 15 s, or the watch has to come back first: it may have died before it delivered our own last write.
    ready_within(&world, Duration::from_mins(1)).await;
    let is_running = world.controller.as_ref().unwrap().process().is_running();
    assert!(is_running, "it kept the lease: {}", log(&world));
}

#[tokio::test]
async fn an_unreachable_api_server_is_logged_once_and_fails_readyz() {
    let (world, tunnel) = through_a_tunnel("api-away").await;
    world.apply("events", &spec(&world, "1")).await;
    world.ready("events").await;
    assert_eq!(get(&world, "/readyz").await.0, 200);
    tunnel.close();
    eventually("the outage to be said", || async {
        let log = log(&world);
        if log.contains("does not answer") { Ok(()) } else { Err(log) }
    })
    .await;
    tunnel.reopen();
    eventually("its end to be said", || async {
        let log = log(&world);
        if log.contains("answers again") { Ok(()) } else { Err(log) }
    })
    .await;
    world.apply("events", &spec(&world, "2")).await;
    ready_within(&world, Duration::from_secs(45)).await;
    let log = log(&world);
    let about: Vec<_> = log.lines().filter(|line| line.contains("API server")).collect();
    assert_eq!(about.len(), 2, "{log}");
    assert!(about.iter().all(|line| line.contains(tunnel.address())), "{about:?}");
    assert!(!log.contains("ERROR"), "{log}");
    let (_, metrics) = get(&world, "/metrics").await;
    assert!(metrics.contains("streamrole_watch_age_seconds"), "{metrics}");
}

#[tokio::test]
async fn readyz_fails_while_the_api_server_is_silent_and_recovers() {
    let world = World::without_controller("readyz-silent").await;
    // A leader would end after losing its Lease.
    let (world, tunnel) = with_a_tunnel(world, None).await;
    world.apply("events", &spec(&world, "1")).await;
    world.ready("events").await;
    tunnel.close();
    eventually_within(Duration::from_secs(90), "/readyz to turn", || async {
        let answer = get(&world, "/readyz").await;
        let tells = answer.0 == 503 && answer.1.contains("from the Kubernetes API server for");
        if tells { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(get(&world, "/healthz").await.0, 200);
    tunnel.reopen();
    eventually_within(Duration::from_secs(45), "/readyz to turn back", || async {
        let answer = get(&world, "/readyz").await;
        if answer.0 == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
}

async fn bind(world: &World, namespace: &str, account: &str) {
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), namespace);
    let binding = json!({
        "metadata": {"name": "controller"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "streamrole"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": world.namespace}],
    });
    bindings
        .create(&PostParams::default(), &serde_json::from_value(binding).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_denied_namespace_is_served_once_it_is_allowed() {
    let mut world = World::without_controller("one-of-two").await;
    let other = World::without_controller("two-of-two").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &world.namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": "limited"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    bind(&world, &world.namespace, "limited").await;
    let stack = stack().await;
    let kubeconfig = stack.service_account_kubeconfig(&world.namespace, "limited").await.unwrap();
    let options = ControllerOptions {
        namespaces: vec![world.namespace.clone(), other.namespace.clone()],
        // It cannot get kube-system.
        environment: vec![("STREAMROLE_CLUSTER_ID", Some(cluster(&world).await))],
        ..world.options()
    };
    world.controller =
        Some(Controller::start_with_kubeconfig(stack, &options, &kubeconfig).unwrap());
    world.apply("events", &world.kinesis_spec("events")).await;
    other.apply("events", &other.kinesis_spec("events")).await;
    world.ready("events").await;
    let said = "cannot watch PinpointEventStreamRoles in namespace two-of-two";
    assert_eq!(log(&world).matches(said).count(), 1, "{}", log(&world));
    assert_eq!(get(&world, "/readyz").await.0, 200);
    counts_denied(&world, 1).await;

    bind(&world, &other.namespace, "limited").await;
    eventually_within(Duration::from_mins(1), "the other to be served", || async {
        let resource = other.resources.get("events").await.unwrap();
        let status = ready(&resource).status;
        if status == "True" { Ok(()) } else { Err(log(&world)) }
    })
    .await;
    assert_eq!(log(&world).matches(said).count(), 1, "{}", log(&world));
    counts_denied(&world, 0).await;

    // Without its permissions the namespace is ignored again, and the other one is still reconciled.
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), &other.namespace);
    bindings.delete("controller", &DeleteParams::default()).await.unwrap();
    counts_denied(&world, 1).await;
    world.apply("events", &spec(&world, "edited")).await;
    ready_within(&world, Duration::from_secs(30)).await;
}

/// Waits until the metrics show this number of denied namespaces.
async fn counts_denied(world: &World, number: usize) {
    let line = format!("\nstreamrole_watches_denied {number}\n");
    eventually_within(Duration::from_mins(1), "the denials to be counted", || async {
        let (_, metrics) = get(world, "/metrics").await;
        if metrics.contains(&line) { Ok(()) } else { Err(log(world)) }
    })
    .await;
}

async fn cluster(world: &World) -> String {
    use k8s_openapi::api::core::v1::Namespace;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.get("kube-system").await.unwrap().metadata.uid.unwrap()
}
