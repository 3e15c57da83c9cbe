//! Ownership tags that others remove or rewrite, and roles that outlive their resource.

use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::{eventually, http_get};

use support::world::World;

#[tokio::test]
async fn a_status_writer_cannot_have_ownership_tags_removed() {
    let world = World::resyncing("forged-status").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    let before = world.tags(&role).await;
    let keys = ["streamrole.dev/uid", "Streamrole.dev/cluster", "aws:x", "streamrole.dev/resource"];
    let foreign = json!([{"type": "Foreign", "status": "True", "reason": "Forged", "message": "x",
        "lastTransitionTime": "2026-11-23T00:00:00Z"}]);
    let forged = Patch::Merge(json!({"status": {"tagKeys": keys, "roleId": "AROAFORGED"}}));
    world.resources.patch_status("events", &PatchParams::default(), &forged).await.unwrap();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    eventually("the status to be corrected", || async {
        let status = world.resources.get("events").await.unwrap().status.unwrap_or_default();
        if status.role_id.as_deref() == Some("AROAFORGED") {
            Err(format!("{status:?}"))
        } else {
            Ok(())
        }
    })
    .await;
    // Other changes by others stay, and cost no more calls.
    world.ready("events").await;
    world.resyncs(1).await;
    world.proxy.forget_calls();
    world.resyncs(3).await;
    let lists = ["ListRoles", "GetAccountAuthorizationDetails"];
    let others: Vec<_> =
        world.proxy.actions().into_iter().filter(|action| !lists.contains(&&**action)).collect();
    assert_eq!(others, Vec::<String>::new(), "{}", world.log());
    assert_eq!(world.tags(&role).await, before);

    // A condition by others is left unchanged, is not a metric, and does not cause a write.
    let params = PatchParams::apply("foreign").force();
    let patch = Patch::Apply(
        json!({"apiVersion": "streamrole.dev/v1alpha1", "kind": "PinpointEventStreamRole",
        "status": {"conditions": foreign}}),
    );
    world.resources.patch_status("events", &params, &patch).await.unwrap();
    let settled = support::world::version(&world.resources.get("events").await.unwrap());
    world.resyncs(3).await;
    let later = world.resources.get("events").await.unwrap();
    assert_eq!(support::world::version(&later), settled);
    assert!(support::world::condition(&later, "Foreign").is_some());
    let url = world.controller.as_ref().unwrap().listen_url().await;
    let (_, metrics) = http_get(&format!("{url}/metrics")).await.unwrap();
    assert!(!metrics.contains("Forged"), "{metrics}");
}

#[tokio::test]
async fn a_role_whose_finalizer_others_removed_is_reported_and_counted() {
    let world = World::resyncing("orphans").await;
    let role = world.role("events");
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.apply("other", &world.kinesis_spec("other")).await;
    world.ready("other").await;
    // An IAM error blocks the deletion; a user removes the finalizer.
    let fault = support::Fault::answer(403, "AccessDenied", "not now");
    world.proxy.inject("ListInstanceProfilesForRole", None, fault);
    world.delete("events").await;
    world.sees("events", "False", "AccessDenied").await;
    let without = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    world.resources.patch("events", &PatchParams::default(), &without).await.unwrap();
    world.gone("events").await;
    assert!(world.event("events", "RoleLeftBehind").await.contains(&role));
    world.proxy.heal();
    assert!(world.role_exists(&role).await);
    let url = world.controller.as_ref().unwrap().listen_url().await;
    eventually("the orphan to be counted", || async {
        let (_, metrics) = http_get(&format!("{url}/metrics")).await.unwrap();
        let is_counted = metrics.contains("\nstreamrole_orphaned_roles 1\n");
        if is_counted { Ok(()) } else { Err(format!("{metrics}\n{}", world.log())) }
    })
    .await;
    let said = "carry this cluster's ownership tags but no resource declares them: orphans-events";
    assert_eq!(world.log().matches(said).count(), 1, "{}", world.log());

    // Its resource is recreated and owns it again.
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    eventually("no orphan to be counted", || async {
        let (_, metrics) = http_get(&format!("{url}/metrics")).await.unwrap();
        if metrics.contains("\nstreamrole_orphaned_roles 0\n") { Ok(()) } else { Err(metrics) }
    })
    .await;
}
