//! Events do not delay the work, however slowly the API server accepts them.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::json;
use support::{Controller, KubeProxy, eventually, eventually_within, http_get};

use support::world::{World, stack};

/// More than the queue of events holds, and more than there are workers.
const RESOURCES: usize = 1100;
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);

#[tokio::test]
async fn a_hanging_events_endpoint_delays_no_reconcile() {
    let mut world = World::without_controller("events-hang").await;
    let way = KubeProxy::start(stack().await).await.unwrap();
    way.hold("POST", "/events");
    let started =
        Controller::start_with_kubeconfig(stack().await, &world.options(), way.kubeconfig());
    let url = world.controller.insert(started.unwrap()).listen_url().await;

    // Each causes an event, and no call to IAM.
    let elsewhere = "arn:aws:kinesis:us-east-1:444455556666:stream/events";
    let spec = json!({"destination": {"kinesisStreamArn": elsewhere}});
    let create = |number| {
        let (world, spec) = (&world, &spec);
        async move { drop(world.apply(&format!("r{number}"), spec).await) }
    };
    stream::iter((0..RESOURCES).map(create)).buffer_unordered(16).collect::<()>().await;
    eventually_within(PATIENCE, "each to have its verdict", || async {
        let without = ListParams::default().fields("status.reason!=WrongAccount").limit(1);
        let left = world.resources.list_metadata(&without).await.unwrap();
        if left.items.is_empty() { Ok(()) } else { Err(world.log()) }
    })
    .await;
    way.holds(1).await;
    world.apply("good", &world.kinesis_spec("good")).await;
    world.ready("good").await;
    eventually("events to be dropped and counted", || async {
        let (_, metrics) = http_get(&format!("{url}/metrics")).await.unwrap();
        let none = metrics.contains("\nstreamrole_events_dropped_total 0\n");
        if none { Err(metrics) } else { Ok(()) }
    })
    .await;

    // When the API server accepts events again, they are sent again.
    way.let_go();
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let mut edits = 0;
    eventually_within(PATIENCE, "an event on an edit", || {
        edits += 1;
        let (world, events) = (&world, &events);
        async move {
            let mut spec = world.kinesis_spec("good");
            spec["description"] = format!("edit {edits}").into();
            world.apply("good", &spec).await;
            let about_good = ListParams::default().fields("regarding.name=good");
            let seen = events.list(&about_good).await.unwrap();
            if seen.items.is_empty() { Err(world.log()) } else { Ok(()) }
        }
    })
    .await;
}
