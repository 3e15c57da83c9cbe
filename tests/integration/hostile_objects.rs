//! Hostile parts of a resource besides its spec: metadata of any size, odd annotations, and a status by others.

use aws_sdk_iam::types::Tag;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use streamrole::api::FINALIZER;
use support::{eventually, manifest};

use crate::hostile::{live, works_on, writes};
use support::world::{CONTROLLER_POLICY, OTHER_CLUSTER, World, ready, version};

const PAUSED: &str = "streamrole.dev/paused";
const REQUESTED: &str = "streamrole.dev/reconcile-requested-at";

async fn apply_with(world: &World, metadata: Value, spec: &Value) {
    let name = metadata["name"].as_str().unwrap().to_owned();
    let manifest = manifest(&metadata, spec);
    let params = PatchParams::apply("user").force();
    world.resources.patch(&name, &params, &Patch::Apply(manifest)).await.unwrap();
}

/// Finalizers that are never removed.
fn finalizers(many: usize) -> Vec<String> {
    (0..many).map(|number| format!("example.com/hold-{number}")).collect()
}

#[tokio::test]
async fn metadata_of_any_size_costs_no_extra_calls() {
    let world = World::resyncing("huge-metadata").await;
    let labels: serde_json::Map<_, _> =
        (0..4000).map(|n| (format!("example.com/{n:050}"), "x".repeat(63).into())).collect();
    let owners: Vec<_> = (0..5000)
        .map(|n| json!({"apiVersion": "v1", "kind": "Pod", "name": format!("p{n}"), "uid": format!("u{n}")}))
        .collect();
    let rows = [
        ("labels", json!({"labels": labels})),
        ("owners", json!({"ownerReferences": owners})),
        ("annotation", json!({"annotations": {"example.com/note": "x".repeat(250_000)}})),
        ("request", json!({"annotations": {REQUESTED: "x".repeat(200_000)}})),
        ("odd-request", json!({"annotations": {REQUESTED: "\u{202e}\u{1b}[2J\nnow"}})),
        ("finalizers", json!({"finalizers": finalizers(31)})),
    ];
    for (name, metadata) in &rows {
        let mut metadata = metadata.clone();
        metadata["name"] = (*name).into();
        apply_with(&world, metadata, &world.kinesis_spec(name)).await;
    }
    for (name, _) in &rows {
        let status = world.ready(name).await.status.unwrap();
        assert!(serde_json::to_string(&status).unwrap().len() < 8192, "{status:?}");
    }
    world.resyncs(2).await;
    world.proxy.forget_calls();
    world.resyncs(3).await;
    let lists = ["ListRoles", "GetAccountAuthorizationDetails"];
    let others: Vec<_> =
        world.proxy.actions().into_iter().filter(|action| !lists.contains(&&**action)).collect();
    assert_eq!(others, Vec::<String>::new(), "{}", world.log());
    assert!(!world.log().contains(['\u{202e}', '\u{1b}']), "{}", world.log());
    works_on(&world).await;
}

#[tokio::test]
async fn thousands_of_finalizers_block_neither_creation_nor_deletion() {
    let world = World::new("many-finalizers").await;
    // Present before the controller's own, and added after it.
    let metadata = json!({"name": "before", "finalizers": finalizers(5000)});
    apply_with(&world, metadata, &world.kinesis_spec("before")).await;
    world.ready("before").await;
    world.apply("after", &world.kinesis_spec("after")).await;
    let own = world.ready("after").await.metadata.finalizers.unwrap();
    assert_eq!(own, [FINALIZER]);
    let all: Vec<_> = own.into_iter().chain(finalizers(5000)).collect();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": all}}));
    world.resources.patch("after", &PatchParams::default(), &patch).await.unwrap();
    for name in ["before", "after"] {
        world.delete(name).await;
        world.event(name, "Deleted").await;
        assert!(!world.role_exists(&world.role(name)).await);
        eventually("only the finalizers of others to be left", || async {
            let left = world.resources.get(name).await.unwrap().metadata.finalizers.unwrap();
            if left == finalizers(5000) { Ok(()) } else { Err(world.log()) }
        })
        .await;
    }
    assert!(!world.log().contains("WARN"), "{}", world.log());
    works_on(&world).await;
}

#[tokio::test]
async fn any_annotation_value_but_false_pauses_and_is_printed_in_one_line() {
    let world = World::new("odd-pause").await;
    let long = "x".repeat(200_000);
    let pauses = [
        ("true", ""),
        ("TRUE", ""),
        ("", "neither"),
        (" ", "neither"),
        ("0", "neither"),
        ("no", "neither"),
        ("off", "neither"),
        (" false", "neither"),
        ("false\n", "neither"),
        ("f\u{430}lse", "neither"),
        ("\u{202e}eslaf\u{1b}[2J", "neither"),
        (&long, "neither"),
    ];
    for (number, (value, _)) in pauses.iter().enumerate() {
        let name = format!("p{number:02}");
        let metadata = json!({"name": name, "annotations": {PAUSED: value}});
        apply_with(&world, metadata, &world.kinesis_spec(&name)).await;
    }
    for (number, (value, part)) in pauses.iter().enumerate() {
        let name = format!("p{number:02}");
        let resource = world.sees(&name, "False", "Paused").await;
        let message = ready(&resource).message;
        assert!(message.contains("is annotated as paused"), "{value:?}: {message}");
        assert_eq!(message.contains("neither"), !part.is_empty(), "{value:?}: {message}");
        assert!(!message.contains(['\n', '\u{202e}', '\u{1b}']), "{message:?}");
        assert!(message.len() < 1024, "{message}");
        assert!(!world.role_exists(&world.role(&name)).await);
        assert_eq!(resource.metadata.finalizers, None, "a paused resource is not touched");
    }
    assert_eq!(writes(world.proxy.calls(), &[]), []);
    for (name, value) in [("no-pause", "false"), ("no-pause-2", "False"), ("no-pause-3", "FALSE")] {
        let metadata = json!({"name": name, "annotations": {PAUSED: value}});
        apply_with(&world, metadata, &world.kinesis_spec(name)).await;
        world.ready(name).await;
    }
    works_on(&world).await;
}

async fn forge(world: &World, name: &str, status: &Value) {
    let patch = Patch::Merge(json!({"status": status}));
    world.resources.patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Keys, without their prefix, and values.
type Tags<'a> = &'a [(&'a str, &'a str)];

/// Creates a role with these ownership tags, and returns its id.
async fn create_role(world: &World, role: &str, tags: Tags<'_>) -> String {
    world.create_foreign_role(role).await;
    for (key, value) in tags {
        let tag = Tag::builder().key(format!("streamrole.dev/{key}")).value(*value);
        let tag = tag.build().unwrap();
        world.iam.tag_role().role_name(role).tags(tag).send().await.unwrap();
    }
    world.iam.get_role().role_name(role).send().await.unwrap().role.unwrap().role_id
}

/// Without the policy for adoption.
#[tokio::test]
async fn a_forged_role_id_claims_no_role() {
    let mut world = World::under("forged-id", &[CONTROLLER_POLICY]).await;
    let cluster = world.cluster_id().await;
    let uid = ("uid", "00000000-0000-0000-0000-000000000000");
    let lives = world.apply("lives", &world.kinesis_spec("lives")).await.metadata.uid.unwrap();
    let living = [("cluster", &*cluster), ("resource", "forged-id/lives"), ("uid", &*lives)];
    let rows: [(&str, Tags<'_>, &str, &str); 5] = [
        ("untagged", &[], "AccessDenied", "iam:TagRole"),
        ("only-uid", &[uid], "AccessDenied", "iam:TagRole"),
        (
            "elsewhere",
            &[("cluster", OTHER_CLUSTER), ("resource", "a/b"), uid],
            "RoleOwnedByAnother",
            OTHER_CLUSTER,
        ),
        (
            "unseen",
            &[("cluster", &cluster), ("resource", "unwatched/x"), uid],
            "RoleOwnedByAnother",
            "unwatched/x",
        ),
        ("living", &living, "RoleOwnedByAnother", "forged-id/lives"),
    ];
    let mut before = Vec::new();
    for (name, tags, ..) in &rows {
        let id = create_role(&world, &world.role(name), tags).await;
        world.apply(name, &world.kinesis_spec(name)).await;
        forge(&world, name, &json!({"roleId": id, "roleName": world.role(name)})).await;
        before.push(live(&world, name).await);
    }
    world.start_controller().await;
    for ((name, _, reason, part), before) in rows.iter().zip(before) {
        world.says(name, "False", reason, part).await;
        assert_eq!(live(&world, name).await, before, "{name}");
        // Its deletion does not use it either.
        world.proxy.forget_calls();
        world.delete(name).await;
        match *reason {
            "AccessDenied" => world.proxy.saw("TagRole").await,
            _ => world.gone(name).await,
        }
        assert_eq!(live(&world, name).await, before, "{name}");
    }
    works_on(&world).await;
}

/// A role of this cluster carries its tag, so IAM cannot distinguish which resource in the cluster owns it.
#[tokio::test]
async fn a_forged_role_id_claims_only_orphans_of_this_cluster() {
    let mut world = World::under("forged-left", &[CONTROLLER_POLICY]).await;
    let cluster = world.cluster_id().await;
    let uid = ("uid", "00000000-0000-0000-0000-000000000000");
    let left = [("cluster", &*cluster), ("resource", "forged-left/gone"), uid];
    let rows: [(&str, Tags<'_>); 2] =
        [("left-behind", &left), ("only-cluster", &[("cluster", &cluster)])];
    for (name, tags) in rows {
        let id = create_role(&world, &world.role(name), tags).await;
        world.apply(name, &world.kinesis_spec(name)).await;
        forge(&world, name, &json!({"roleId": id})).await;
    }
    world.start_controller().await;
    for (name, _) in rows {
        world.ready(name).await;
    }
}

#[tokio::test]
async fn a_forged_status_proves_no_ownership() {
    let mut world = World::resyncing_later("forged-words").await;
    let time = "2026-11-23T00:00:00Z";
    let synced = |generation: i64| {
        json!({"type": "Ready", "status": "True", "reason": "Synced", "message": "as declared",
            "observedGeneration": generation, "lastTransitionTime": time})
    };
    let odd = json!({"type": "Ready", "status": "False", "reason": "Odd",
        "message": format!("\u{202e}\u{1b}[2J\n{}", "x".repeat(30_000)), "lastTransitionTime": time});
    let drift: Vec<_> =
        (0..128).map(|n| json!({"path": format!("p{n}"), "live": "\u{1b}[2J"})).collect();
    let rows = [
        ("synced", json!({"observedGeneration": 1, "conditions": [synced(1)], "reason": "Synced"})),
        ("future", json!({"observedGeneration": 99, "conditions": [synced(99)]})),
        ("odd", json!({"conditions": [odd], "drift": drift, "reason": "\u{202e}"})),
        ("identity", json!({"roleArn": "arn:aws:iam::444455556666:role/x", "roleId": "AROAX"})),
        ("absent", json!({"observedGeneration": 1, "conditions": [synced(1)], "adopted": true})),
    ];
    for (name, status) in &rows {
        // As an object with nothing left to do.
        let metadata = json!({"name": name, "finalizers": [FINALIZER]});
        apply_with(&world, metadata, &world.kinesis_spec(name)).await;
        forge(&world, name, status).await;
    }
    // The name of another resource's role.
    world.create_foreign_role(&world.role("victim")).await;
    let victim = live(&world, "victim").await;
    let unnamed = json!({"destination": world.kinesis_spec("x")["destination"]});
    world.apply("unnamed", &unnamed).await;
    let id = world.iam.get_role().role_name(world.role("victim")).send().await.unwrap();
    let forged = json!({"roleName": world.role("victim"), "roleId": id.role.unwrap().role_id});
    forge(&world, "unnamed", &forged).await;

    world.start_controller().await;
    for (name, _) in &rows {
        eventually(&format!("the role of {name}"), || async {
            if world.role_exists(&world.role(name)).await { Ok(()) } else { Err(world.log()) }
        })
        .await;
        let own = world.iam.get_role().role_name(world.role(name)).send().await.unwrap();
        let id = own.role.map(|role| role.role_id);
        // The forged status also reports ready.
        eventually(&format!("{name} to name its own role"), || async {
            let status = world.resources.get(name).await.unwrap().status.unwrap();
            if status.role_id == id { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
        let status = world.ready(name).await.status.unwrap();
        let told: Vec<_> = status.conditions.into_iter().map(|told| told.message).collect();
        assert!(!told.concat().contains(['\u{202e}', '\u{1b}']), "{told:?}");
    }
    let status = world.ready("unnamed").await.status.unwrap();
    assert_eq!(status.role_name.as_deref(), Some("forged-words-unnamed"));
    assert_eq!(live(&world, "victim").await, victim);
    assert!(!world.log().contains(['\u{202e}', '\u{1b}']), "{}", world.log());

    // The role's tag records whether it was adopted.
    let mut spec = world.kinesis_spec("victim");
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("victim", &spec).await;
    let adopted = world.ready("victim").await;
    forge(&world, "victim", &json!({"adopted": false})).await;
    assert_ne!(version(&world.resources.get("victim").await.unwrap()), version(&adopted));
    world.delete("victim").await;
    world.gone("victim").await;
    assert!(world.role_exists(&world.role("victim")).await, "it was there before the resource");
    works_on(&world).await;
}
