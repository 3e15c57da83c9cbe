//! Two replicas: one works, the other stands by, and what was the leader never works beside the one that is.
//! How long a hand-over takes under load is in `tests/hand_over.rs`.

use std::path::Path;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::json;
use support::{Controller, ControllerOptions, Fault, Proxy, Tunnel, eventually, http_get};

use crate::world::{World, stack};

/// A controller with a proxy of its own in front of IAM.
struct Replica {
    controller: Controller,
    proxy: Proxy,
}

impl Replica {
    async fn start(world: &World) -> Self {
        Self::by_way_of(world, &stack().await.controller_kubeconfig()).await
    }

    async fn by_way_of(world: &World, kubeconfig: &Path) -> Self {
        let proxy = Proxy::start(stack().await.iam_url(), None).await.unwrap();
        let options = ControllerOptions {
            iam_url: proxy.url().into(),
            lease_namespace: Some(world.namespace.clone()),
            ..world.options()
        };
        let controller =
            Controller::start_with_kubeconfig(stack().await, &options, kubeconfig).unwrap();
        Self { controller, proxy }
    }

    async fn metrics(&self) -> String {
        let url = self.controller.listen_url().await;
        http_get(&format!("{url}/metrics")).await.unwrap().1
    }

    async fn leads(&self) {
        eventually("the replica to lead", || async {
            let metrics = self.metrics().await;
            if metrics.contains("\nstreamrole_leader 1\n") {
                Ok(())
            } else {
                Err(self.controller.log())
            }
        })
        .await;
    }

    async fn stands_by(&self) {
        let url = self.controller.listen_url().await;
        eventually("the replica to be ready", || async {
            let (status, said) = http_get(&format!("{url}/readyz")).await.unwrap();
            if status == 200 { Ok(()) } else { Err(said) }
        })
        .await;
        let metrics = self.metrics().await;
        assert!(metrics.contains("\nstreamrole_leader 0\n"), "{metrics}");
        assert!(metrics.contains("\nstreamrole_last_resync_timestamp_seconds 0"), "{metrics}");
        assert_eq!(self.proxy.actions(), Vec::<String>::new(), "it leaves IAM alone");
    }

    /// Waits until it has ended by itself and gives its exit status and what it said.
    async fn ends(self) -> (i32, String, Proxy) {
        let Self { controller, proxy } = self;
        eventually("the replica to end", || async {
            if controller.process().is_running() { Err(controller.log()) } else { Ok(()) }
        })
        .await;
        let log = controller.log();
        (controller.wait().unwrap(), log, proxy)
    }
}

async fn world(test: &str) -> World {
    let world = World::without_controller(test).await;
    let role = include_str!("../../deploy/rbac/role.yaml");
    stack().await.allow_controller_in(&world.namespace, role).await.unwrap();
    world
}

async fn holder(world: &World) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    leases.get("streamrole").await.unwrap().spec.unwrap().holder_identity
}

#[tokio::test]
async fn a_leader_that_is_asked_to_stop_hands_over_to_the_one_that_stood_by() {
    let world = world("hands-over").await;
    let first = Replica::start(&world).await;
    first.leads().await;
    let held_by = holder(&world).await.expect("the leader has the lease");
    let second = Replica::start(&world).await;
    second.stands_by().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    assert_eq!(second.proxy.actions(), Vec::<String>::new(), "it leaves IAM alone");

    first.controller.process().signal("TERM");
    let (status, log, proxy) = first.ends().await;
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("gave the lease streamrole in namespace hands-over back"), "{log}");
    proxy.forget_calls();
    second.leads().await;
    assert_ne!(holder(&world).await, Some(held_by), "each process has a name of its own");
    world
        .apply(
            "events",
            &json!({"description": "edited", "roleName": world.role("events"),
        "destination": world.kinesis_spec("events")["destination"]}),
        )
        .await;
    world.ready("events").await;
    assert!(second.proxy.actions().contains(&"UpdateRole".into()), "{:?}", second.proxy.actions());
    assert_eq!(proxy.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_leader_that_stops_with_a_call_under_way_does_not_give_the_lease_back() {
    let world = world("stops-amid-call").await;
    let first = Replica::start(&world).await;
    first.leads().await;
    let held_by = holder(&world).await;
    first.proxy.inject("PutRolePolicy", None, Fault::Hang);
    world.apply("events", &world.kinesis_spec("events")).await;
    first.proxy.saw("PutRolePolicy").await;
    first.controller.process().signal("TERM");
    let (status, log, _) = first.ends().await;
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("stopped with work unfinished"), "{log}");
    assert_eq!(holder(&world).await, held_by, "IAM may still be at work: {log}");

    let second = Replica::start(&world).await;
    second.leads().await;
    world.ready("events").await;
}

#[tokio::test]
async fn a_leader_that_was_stopped_for_a_while_makes_no_call_once_it_goes_on() {
    let world = world("stopped-leader").await;
    let stale = Replica::start(&world).await;
    stale.leads().await;
    // It has a call under way that it would make again.
    stale.proxy.inject("PutRolePolicy", None, Fault::Hang);
    world.apply("events", &world.kinesis_spec("events")).await;
    stale.proxy.saw("PutRolePolicy").await;
    stale.controller.process().signal("STOP");
    stale.proxy.heal();
    stale.proxy.forget_calls();

    let fresh = Replica::start(&world).await;
    fresh.leads().await;
    world.ready("events").await;
    // It hears of work to do as soon as it goes on.
    world.apply("second", &world.kinesis_spec("second")).await;
    world.ready("second").await;
    let version = world.resources.get("second").await.unwrap().metadata.resource_version;
    stale.controller.process().signal("CONT");
    let (status, log, proxy) = stale.ends().await;
    assert_ne!(status, 0, "Kubernetes is to start it again: {log}");
    assert!(log.contains("another replica may lead now"), "{log}");
    assert_eq!(proxy.actions(), Vec::<String>::new(), "{log}");
    let after = world.resources.get("second").await.unwrap().metadata.resource_version;
    assert_eq!(after, version, "nor did it write to Kubernetes");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_its_lease_stops_before_another_begins() {
    let world = world("cut-off-leader").await;
    let tunnel = Tunnel::open(&stack().await.kube_address()).await.unwrap();
    let kubeconfig = stack().await.controller_kubeconfig_by_way_of(tunnel.address()).unwrap();
    let cut_off = Replica::by_way_of(&world, &kubeconfig).await;
    cut_off.leads().await;
    let other = Replica::start(&world).await;
    other.stands_by().await;
    // It has work to do all the time.
    let throttled = Fault::answer(503, "ServiceUnavailable", "try again");
    cut_off.proxy.inject("CreateRole", None, throttled);
    world.apply("events", &world.kinesis_spec("events")).await;
    cut_off.proxy.saw("CreateRole").await;
    drop(tunnel);

    other.leads().await;
    world.ready("events").await;
    let (status, log, proxy) = cut_off.ends().await;
    assert_ne!(status, 0, "Kubernetes is to start it again: {log}");
    assert!(log.contains("could not be renewed"), "{log}");
    let (_, last) = proxy.first_and_last_call().unwrap();
    let (first, _) = other.proxy.first_and_last_call().unwrap();
    assert!(last < first, "the one called IAM after the other had begun: {log}");
}
