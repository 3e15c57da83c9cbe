//! An administrator changes the live role. One resync detects each kind of change.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::eventually;

use support::world::{FOREIGN_TRUST, OTHER_POLICY, POLICY, World};

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
async fn each_kind_of_drift_is_repaired_and_reported() {
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
