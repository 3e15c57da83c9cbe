//! Two replicas: one leads, the other is on standby, and a former leader never works beside the current one.
//! `tests/hand_over.rs` measures the handover under load.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use support::{Fault, KubeProxy, Replica, Tunnel, eventually};

use support::world::{World, stack, version};

async fn world(test: &str) -> World {
    World::without_controller(test).await.with_election().await
}

fn leases(world: &World) -> Api<Lease> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

async fn holder(world: &World) -> Option<String> {
    leases(world).get("streamrole").await.unwrap().spec.unwrap().holder_identity
}

async fn describe(world: &World, text: &str) {
    let mut spec = world.kinesis_spec("events");
    spec["description"] = text.into();
    world.apply("events", &spec).await;
}

/// From now on, requests about the Lease through this proxy are held.
fn hold_lease(way: &KubeProxy) {
    for method in ["GET", "POST", "PUT"] {
        way.hold(method, "/leases");
    }
}

#[tokio::test]
async fn a_terminating_leader_hands_over_to_the_standby() {
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
    assert!(log.contains("released the lease streamrole in namespace hands-over"), "{log}");
    proxy.forget_calls();
    second.leads().await;
    assert_ne!(holder(&world).await, Some(held_by), "each process has its own name");
    describe(&world, "edited").await;
    world.ready("events").await;
    assert!(second.proxy.actions().contains(&"UpdateRole".into()), "{:?}", second.proxy.actions());
    assert_eq!(proxy.actions(), Vec::<String>::new());
}

#[tokio::test]
async fn a_leader_that_stops_during_a_call_keeps_the_lease() {
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
    assert!(log.contains("shutdown timed out"), "{log}");
    assert_eq!(holder(&world).await, held_by, "IAM may still be at work: {log}");

    let second = Replica::start(&world).await;
    second.leads().await;
    world.ready("events").await;
}

#[tokio::test]
async fn a_suspended_leader_makes_no_call_once_resumed() {
    let world = world("stopped-leader").await;
    let stale = Replica::start(&world).await;
    stale.leads().await;
    // It has a call in progress that it would retry.
    stale.proxy.inject("PutRolePolicy", None, Fault::Hang);
    world.apply("events", &world.kinesis_spec("events")).await;
    stale.proxy.saw("PutRolePolicy").await;
    stale.controller.process().signal("STOP");
    stale.proxy.heal();
    stale.proxy.forget_calls();

    let fresh = Replica::start(&world).await;
    fresh.leads().await;
    world.ready("events").await;
    // It observes work to do as soon as it resumes.
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
async fn a_leader_that_cannot_renew_stops_before_another_starts() {
    let world = world("cut-off-leader").await;
    let tunnel = Tunnel::open(&stack().await.kube_address()).await.unwrap();
    let kubeconfig = stack().await.controller_kubeconfig_by_way_of(tunnel.address()).unwrap();
    let cut_off = Replica::by_way_of(&world, &kubeconfig).await;
    cut_off.leads().await;
    let other = Replica::start(&world).await;
    other.stands_by().await;
    // It has work to do all the time.
    let throttled = Fault::answer(503, "ServiceUnavailable", "later");
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

#[tokio::test]
async fn a_delayed_status_does_not_overwrite_the_next_leaders() {
    let world = world("held-up-status").await;
    let way = KubeProxy::start(stack().await).await.unwrap();
    let old = Replica::by_way_of(&world, way.kubeconfig()).await;
    old.leads().await;
    way.hold("PATCH", "/events/status");
    world.apply("events", &world.kinesis_spec("events")).await;
    way.holds(1).await;
    hold_lease(&way);

    let next = Replica::start(&world).await;
    next.leads().await;
    describe(&world, "edited").await;
    world.ready("events").await;
    let (status, log, _) = old.ends().await;
    assert_ne!(status, 0, "Kubernetes is to start it again: {log}");
    let said = world.resources.get("events").await.unwrap();
    way.let_go();
    let answers = way.answers("/events/status").await;
    assert!(!answers.is_empty() && answers.iter().all(|status| *status == 409), "{answers:?}");
    let after = world.resources.get("events").await.unwrap();
    assert_eq!(version(&after), version(&said), "{:?}", after.status);
}

#[tokio::test]
async fn a_deleted_lease_never_makes_two_leaders() {
    let world = world("deleted-lease").await;
    let way = KubeProxy::start(stack().await).await.unwrap();
    let others_way = KubeProxy::start(stack().await).await.unwrap();
    let old = Replica::by_way_of(&world, way.kubeconfig()).await;
    old.leads().await;
    let held_by = holder(&world).await;
    // The other replica has observed the Lease.
    others_way.hold("GET", "/leases");
    let other = Replica::by_way_of(&world, others_way.kubeconfig()).await;
    others_way.holds(1).await;
    others_way.let_go();
    assert_eq!(others_way.answers("/leases").await, [200]);
    other.stands_by().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;

    // Its holder recreates it and continues.
    leases(&world).delete("streamrole", &DeleteParams::default()).await.unwrap();
    eventually("the Lease to be there again", || async {
        let lease = leases(&world).get_opt("streamrole").await.unwrap();
        lease.map(drop).ok_or_else(|| old.controller.log())
    })
    .await;
    assert_eq!(holder(&world).await, held_by);
    describe(&world, "edited").await;
    world.ready("events").await;
    other.stands_by().await;

    // A replica that cannot renew works until its claim ends, and the other waits for that.
    hold_lease(&way);
    way.holds(1).await;
    leases(&world).delete("streamrole", &DeleteParams::default()).await.unwrap();
    let mut edits = 0;
    eventually("the other to lead", || {
        edits += 1;
        let (world, other) = (&world, &other);
        async move {
            describe(world, &format!("edit {edits}")).await;
            if other.controller.metric("streamrole_leader").await > 0.5 {
                Ok(())
            } else {
                Err(other.controller.log())
            }
        }
    })
    .await;
    world.ready("events").await;
    let (status, log, proxy) = old.ends().await;
    assert_ne!(status, 0, "Kubernetes is to start it again: {log}");
    assert!(log.contains("could not be renewed"), "{log}");
    let (_, last) = proxy.first_and_last_call().unwrap();
    let (first, _) = other.proxy.first_and_last_call().unwrap();
    assert!(last < first, "the one called IAM after the other had begun: {log}");
}
