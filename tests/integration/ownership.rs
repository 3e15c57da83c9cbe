//! Ownership tags that others remove or rewrite, and roles that outlive their resource.

use aws_sdk_iam::types::Tag;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use support::{eventually, http_get};

use support::world::{World, ready};

const OWNERSHIP: [&str; 3] =
    ["streamrole.dev/cluster", "streamrole.dev/resource", "streamrole.dev/uid"];

async fn strip(world: &World, role: &str, keys: &[&str]) {
    let mut untag = world.iam.untag_role().role_name(role);
    for key in keys {
        untag = untag.tag_keys(*key);
    }
    untag.send().await.unwrap();
}

async fn tag(world: &World, role: &str, key: &str, value: &str) {
    let tag = Tag::builder().key(key).value(value).build().unwrap();
    world.iam.tag_role().role_name(role).tags(tag).send().await.unwrap();
}

#[tokio::test]
async fn tags_that_others_strip_or_rewrite_are_restored() {
    let world = World::resyncing("stripped").await;
    let cases = ["all", "cluster", "resource", "uid", "case", "value", "other"];
    for case in cases {
        world.apply(case, &world.kinesis_spec(case)).await;
    }
    for case in cases {
        world.ready(case).await;
    }
    let before = {
        let mut before = Vec::new();
        for case in cases {
            before.push(world.tags(&world.role(case)).await);
        }
        before
    };
    for case in cases {
        let role = world.role(case);
        match case {
            "all" => strip(&world, &role, &OWNERSHIP).await,
            "case" => {
                strip(&world, &role, &["streamrole.dev/uid"]).await;
                let uid = world.resources.get(case).await.unwrap().metadata.uid.unwrap();
                tag(&world, &role, "StreamRole.dev/UID", &uid).await;
            }
            "value" => tag(&world, &role, "streamrole.dev/resource", "STRIPPED/VALUE").await,
            "other" => tag(&world, &role, "streamrole.dev/resource", "elsewhere/else").await,
            one => strip(&world, &role, &[&format!("streamrole.dev/{one}")]).await,
        }
    }
    for (case, before) in cases.into_iter().zip(before) {
        let role = world.role(case);
        eventually(&format!("the tags of «{case}» to be restored"), || async {
            let now = world.tags(&role).await;
            let is_restored = before.iter().all(|(key, value)| now.get(key) == Some(value));
            if is_restored { Ok(()) } else { Err(format!("{now:?}\n{}", world.log())) }
        })
        .await;
        world.ready(case).await;
    }
    assert!(!world.log().contains("belongs to"), "none is another's: {}", world.log());
}

#[tokio::test]
async fn an_adopted_role_whose_tags_are_stripped_is_still_kept_on_deletion() {
    let world = World::resyncing("stripped-adopted").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    let mut spec = world.kinesis_spec("events");
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    strip(&world, &role, &[&OWNERSHIP[..], &["streamrole.dev/adopted"]].concat()).await;
    eventually("the adoption to be remembered", || async {
        let tags = world.tags(&role).await;
        if tags.len() == 4 { Ok(()) } else { Err(format!("{tags:?}\n{}", world.log())) }
    })
    .await;
    world.delete("events").await;
    world.gone("events").await;
    assert!(world.role_exists(&role).await, "it was there before the resource");
}

#[tokio::test]
async fn whoever_writes_the_status_cannot_have_ownership_tags_taken_off() {
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
async fn a_role_whose_resource_others_let_go_is_told_of_and_counted() {
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

#[tokio::test]
async fn a_role_that_its_resource_only_reported_on_is_told_of_when_the_resource_goes() {
    let world = World::new("kept-report").await;
    let role = world.role("events");
    let mut spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    world.ready("events").await;
    spec["driftPolicy"] = "Report".into();
    world.apply("events", &spec).await;
    world.ready("events").await;
    world.delete("events").await;
    world.gone("events").await;
    let note = world.event("events", "RoleKept").await;
    assert!(note.contains(&role) && note.contains("driftPolicy is Report"), "{note}");
    assert!(world.role_exists(&role).await);
}

#[tokio::test]
async fn a_predecessor_s_role_goes_with_the_resource_that_never_came_to_claim_it() {
    let mut world = World::without_controller("predecessor").await;
    let role = world.role("events");
    world.create_foreign_role(&role).await;
    for (key, value) in [
        ("streamrole.dev/cluster", world.cluster_id().await.as_str()),
        ("streamrole.dev/resource", "predecessor/events"),
        ("streamrole.dev/uid", "00000000-0000-0000-0000-000000000000"),
    ] {
        tag(&world, &role, key, value).await;
    }
    let denied = support::Fault::answer(403, "AccessDenied", "not now");
    world.proxy.inject("TagRole", None, denied);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let message = ready(&world.sees("events", "False", "AccessDenied").await).message;
    assert!(message.contains("iam:TagRole"), "{message}");
    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(&role).await);
    assert!(world.event("events", "Deleted").await.contains(&role));
}
