//! An administrator changes the live role. One resync detects each kind of change.

use std::collections::BTreeMap;

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};
use support::{Fault, eventually};

use support::world::{FOREIGN_TRUST, OTHER_POLICY, POLICY, World, ready};

const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";
const OTHER_BOUNDARY: &str = "arn:aws:iam::111122223333:policy/other";

/// All parts of a role that a resource declares, and the other policies on it.
#[derive(Debug, PartialEq)]
struct Live {
    trust_policy: Value,
    permissions_policy: Option<Value>,
    boundary: Option<String>,
    session: Option<i32>,
    description: Option<String>,
    tags: BTreeMap<String, String>,
    inline: Vec<String>,
    attached: Vec<String>,
}

async fn live(world: &World, role: &str) -> Option<Live> {
    if !world.role_exists(role).await {
        return None;
    }
    let got = world.iam.get_role().role_name(role).send().await.ok()?.role?;
    let inline = world.iam.list_role_policies().role_name(role).send().await.ok()?.policy_names;
    let attached = world.iam.list_attached_role_policies().role_name(role).send().await.ok()?;
    Some(Live {
        trust_policy: world.trust_policy(role).await,
        permissions_policy: world.permissions_policy(role).await,
        boundary: got.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
        session: got.max_session_duration,
        description: got.description,
        tags: world.tags(role).await,
        inline,
        attached: attached
            .attached_policies()
            .iter()
            .filter_map(|p| p.policy_arn.clone())
            .collect(),
    })
}

async fn tamper(world: &World, kind: &str, role: &str) {
    let iam = &world.iam;
    match kind {
        "trust" => {
            let update = iam.update_assume_role_policy().role_name(role);
            update.policy_document(FOREIGN_TRUST).send().await.unwrap();
        }
        "permissions" => world.tamper(role).await,
        "boundary" => {
            let put = iam.put_role_permissions_boundary().role_name(role);
            put.permissions_boundary(OTHER_BOUNDARY).send().await.unwrap();
        }
        "boundary-removed" => {
            iam.delete_role_permissions_boundary().role_name(role).send().await.unwrap();
        }
        "session" => {
            let update = iam.update_role().role_name(role).description("declared");
            update.max_session_duration(43_200).send().await.unwrap();
        }
        "description" => {
            let update = iam.update_role().role_name(role).description("changed");
            update.max_session_duration(7200).send().await.unwrap();
        }
        "tag" => {
            let tag =
                aws_sdk_iam::types::Tag::builder().key("team").value("other").build().unwrap();
            iam.tag_role().role_name(role).tags(tag).send().await.unwrap();
        }
        "tag-removed" => {
            iam.untag_role().role_name(role).tag_keys("team").send().await.unwrap();
        }
        "extra-inline" => {
            let put = iam.put_role_policy().role_name(role).policy_name("extra");
            put.policy_document(OTHER_POLICY).send().await.unwrap();
        }
        "extra-attached" => {
            let create = iam.create_policy().policy_name(format!("{role}-extra"));
            let policy = create.policy_document(OTHER_POLICY).send().await.unwrap().policy.unwrap();
            let attach = iam.attach_role_policy().role_name(role);
            attach.policy_arn(policy.arn.unwrap()).send().await.unwrap();
        }
        "policy-deleted" => {
            let delete = iam.delete_role_policy().role_name(role).policy_name(POLICY);
            delete.send().await.unwrap();
        }
        "role-deleted" => {
            let delete = iam.delete_role_policy().role_name(role).policy_name(POLICY);
            delete.send().await.unwrap();
            iam.delete_role().role_name(role).send().await.unwrap();
        }
        other => panic!("no such kind: {other}"),
    }
}

const KINDS: [&str; 12] = [
    "trust",
    "permissions",
    "boundary",
    "boundary-removed",
    "session",
    "description",
    "tag",
    "tag-removed",
    "extra-inline",
    "extra-attached",
    "policy-deleted",
    "role-deleted",
];

fn spec(world: &World, kind: &str) -> Value {
    let mut spec = world.kinesis_spec(kind);
    spec["permissionsBoundaryArn"] = BOUNDARY.into();
    spec["maxSessionDurationSeconds"] = 7200.into();
    spec["description"] = "declared".into();
    spec["tags"] = json!({"team": "marketing"});
    spec["exclusivePolicies"] = true.into();
    spec
}

#[tokio::test]
async fn each_kind_of_drift_is_repaired_and_told() {
    let world = World::resyncing("each-drift").await;
    let mut before = BTreeMap::new();
    for kind in KINDS {
        world.apply(kind, &spec(&world, kind)).await;
    }
    for kind in KINDS {
        world.ready(kind).await;
        before.insert(kind, live(&world, &world.role(kind)).await.unwrap());
    }
    for kind in KINDS {
        tamper(&world, kind, &world.role(kind)).await;
    }
    for kind in KINDS {
        let role = world.role(kind);
        eventually(&format!("the drift «{kind}» to be repaired"), || async {
            let now = live(&world, &role).await;
            if now.as_ref() == before.get(kind) {
                Ok(())
            } else {
                Err(format!("{now:?}\n{}", world.log()))
            }
        })
        .await;
        let expected = if kind == "role-deleted" { "Created" } else { "DriftRepaired" };
        world.event(kind, expected).await;
        world.ready(kind).await;
    }
}

#[tokio::test]
async fn each_kind_of_drift_is_reported_where_nothing_may_be_written() {
    let world = World::resyncing("each-report").await;
    for kind in KINDS {
        world.apply(kind, &spec(&world, kind)).await;
    }
    for kind in KINDS {
        world.ready(kind).await;
        let mut spec = spec(&world, kind);
        spec["driftPolicy"] = "Report".into();
        world.apply(kind, &spec).await;
    }
    for kind in KINDS {
        world.ready(kind).await;
    }
    world.proxy.forget_calls();
    for kind in KINDS {
        tamper(&world, kind, &world.role(kind)).await;
    }
    let paths = [
        ("trust", "trustPolicy."),
        ("permissions", "permissionsPolicy."),
        ("boundary", "permissionsBoundaryArn"),
        ("boundary-removed", "permissionsBoundaryArn"),
        ("session", "maxSessionDurationSeconds"),
        ("description", "description"),
        ("tag", "tags[team]"),
        ("tag-removed", "tags[team]"),
        ("extra-inline", "inlinePolicies[extra]"),
        ("extra-attached", "attachedPolicies["),
        ("policy-deleted", "permissionsPolicy"),
        ("role-deleted", "role"),
    ];
    for (kind, path) in paths {
        let drift = eventually(&format!("the drift «{kind}» to be listed"), || async {
            let resource = world.resources.get(kind).await.map_err(|error| error.to_string())?;
            let drift = resource.status.clone().unwrap_or_default().drift;
            let told = ready(&resource).reason == "DriftReported";
            if told && !drift.is_empty() {
                Ok(drift)
            } else {
                Err(format!("{:?}", resource.status))
            }
        })
        .await;
        assert!(drift.iter().any(|d| d.path.starts_with(path)), "{kind}: {path} in {drift:?}");
    }
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
}

#[tokio::test]
async fn one_drift_makes_one_event_however_often_it_is_seen() {
    let world = World::resyncing("one-event").await;
    let mut spec = world.kinesis_spec("events");
    spec["driftPolicy"] = "Report".into();
    world.create_foreign_role(&world.role("events")).await;
    spec["adoptionPolicy"] = "Adopt".into();
    world.apply("events", &spec).await;
    world.sees("events", "False", "DriftReported").await;
    world.resyncs(3).await;
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let all = events.list(&ListParams::default()).await.unwrap();
    let counts: Vec<_> =
        all.iter().map(|e| (e.reason.clone(), e.series.as_ref().map_or(1, |s| s.count))).collect();
    assert_eq!(counts, [(Some("DriftReported".to_owned()), 1)]);
}

#[tokio::test]
async fn a_list_that_is_older_than_the_role_leads_to_a_look_and_to_no_write() {
    let mut world = World::resyncing_later("stale-list").await;
    let no_roles = "<GetAccountAuthorizationDetailsResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><GetAccountAuthorizationDetailsResult><IsTruncated>false</IsTruncated><RoleDetailList/></GetAccountAuthorizationDetailsResult></GetAccountAuthorizationDetailsResponse>";
    let stale = Fault::Body { body: no_roles.into() };
    world.proxy.inject("GetAccountAuthorizationDetails", None, stale);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.ready("events").await;
    world.proxy.forget_calls();
    world.proxy.saw("GetRole").await;
    world.proxy.saw("ListAttachedRolePolicies").await;
    // A write for a detected difference would come before the next resyncs.
    world.resyncs(2).await;
    world.ready("events").await;
    assert!(world.proxy.calls().iter().all(|call| !call.is_write()), "{:?}", world.proxy.actions());
}
