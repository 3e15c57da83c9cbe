//! Hostile or careless declarations, and hostile changes to a live role: each row has its verdict, and
//! no row causes a write.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Tag;
use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::{Call, http_get, manifest};

use support::world::{OTHER_CLUSTER, OTHER_POLICY, World, kinesis_arn, ready};

const KMS: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";

fn with(field: &str, value: Value) -> Value {
    let mut spec = json!({"destination": {"kinesisStreamArn": kinesis_arn("events")}});
    spec[field] = value;
    spec
}

fn stream(arn: &str) -> Value {
    with("destination", json!({"kinesisStreamArn": arn}))
}

fn key(arn: &str) -> Value {
    with("destination", json!({"kinesisStreamArn": kinesis_arn("events"), "kmsKeyArn": arn}))
}

fn source(field: &str, value: &str) -> Value {
    let mut source = json!({"accountId": "111122223333", "region": "us-east-1"});
    source[field] = value.into();
    with("source", source)
}

/// Specs that the API server rejects, by the field in its message.
fn refused() -> Vec<(&'static str, Value)> {
    let kinesis = "spec.destination.kinesisStreamArn";
    let streams = [
        "arn:aws:kinesis:-:111122223333:stream/a",
        "arn:aws:kinesis:111122223333:111122223333:stream/a",
        "arn:aws:kinesis:cn-north-1:111122223333:stream/a",
        "arn:aws-cn:kinesis:us-east-1:111122223333:stream/a",
        "arn:aws:kinesis:us-gov-west-1:111122223333:stream/a",
        "arn:aws-us-gov:kinesis:eu-west-1:111122223333:stream/a",
        "arn:aws-iso:kinesis:us-east-1:111122223333:stream/a",
        "arn:aws-eusc:kinesis:eu-west-1:111122223333:stream/a",
        "arn:aws-moon:kinesis:us-east-1:111122223333:stream/a",
        "arn:aws:kinesis:US-EAST-1:111122223333:stream/a",
        "arn:aws:kinesis:us-east:111122223333:stream/a",
        "arn:aws:kinesis:us-east-1:111122223333:stream/a\n",
        " arn:aws:kinesis:us-east-1:111122223333:stream/a",
        "arn:aws:kinesis:us-east-1:11112222333:stream/a",
        "arn:aws:kinesis:us-east-1:11112222333x:stream/a",
        "arn:aws:kinesis:us-east-1:*:stream/a",
        "arn:aws:kinesis:us-east-1::stream/a",
        "arn:aws:kinesis::111122223333:stream/a",
        "arn:aws:kinesis:us-east-1:111122223333:stream/*",
        "arn:aws:kinesis:us-east-1:111122223333:stream/?",
        "arn:aws:kinesis:us-east-1:111122223333:stream/${aws:username}",
        "arn:aws:kinesis:us-east-1:111122223333:stream/a/consumer/b:1",
        "arn:aws:kinesis:us-east-1:111122223333:stream/snøhvit",
        "arn:aws:Kinesis:us-east-1:111122223333:stream/a",
    ];
    let kms = "spec.destination.kmsKeyArn";
    let keys = [
        "arn:aws:kms:eu-west-1:111122223333:key/1234abcd",
        "arn:aws:kms:us-east-1:444455556666:key/1234abcd",
        "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd",
        "arn:aws:kms:us-east-1:111122223333:key/*",
        "arn:aws:kms:us-east-1:111122223333:key/${x}",
        "arn:aws:kms:us-east-1:111122223333:alias/a",
        "arn:aws:kms:us-east-1:111122223333:key/a\n",
    ];
    let paths = [
        "//",
        "/a//b/",
        "/*/",
        "/a?b/",
        "/${aws:username}/",
        "/{x}/",
        "/aws-service-role/x/",
        "/AWS-Service-Role/x/",
        "/a b/",
        "/a\n/",
        "/é/",
        "/a",
    ];
    let names = ["a/b", "a*", "a\nb", "é", "a:b", "${x}"];
    let tags = [
        " streamrole.dev/uid",
        "streamrole.dev/uid ",
        "\u{a0}streamrole.dev/uid",
        "STREAMROLE.DEV/uid",
        "\u{17f}treamrole.dev/uid",
        "\u{1d42c}treamrole.dev/uid",
        "AwS:x",
        "\u{ff21}\u{ff37}\u{ff33}:x",
        "team\n",
    ];
    let boundaries = [
        "arn:aws:iam::111122223333:policy//x",
        "arn:aws:iam::111122223333:policy/a//x",
        "arn:aws:iam::111122223333:policy/*",
        "arn:aws:iam::111122223333:policy/${x}",
        "arn:aws:iam::1:policy/x",
        "arn:aws-cn:iam::111122223333:policy/x",
    ];
    let descriptions = ["\u{1b}[2J", "\u{202e}txt", "a\u{0}b"];
    let mut rows: Vec<(&'static str, Value)> = Vec::new();
    rows.extend(streams.map(|arn| (kinesis, stream(arn))));
    rows.extend(keys.map(|arn| (kms, key(arn))));
    rows.extend(paths.map(|path| ("spec.path", with("path", path.into()))));
    rows.extend(names.map(|name| ("spec.roleName", with("roleName", name.into()))));
    rows.extend(tags.map(|tag| ("spec.tags", with("tags", json!({tag: "x"})))));
    rows.extend(
        boundaries
            .map(|arn| ("spec.permissionsBoundaryArn", with("permissionsBoundaryArn", arn.into()))),
    );
    rows.extend(descriptions.map(|text| ("spec.description", with("description", text.into()))));
    rows.push(("spec.source.region", source("region", "us-east-1\n")));
    rows.push(("spec.source", source("region", "cn-north-1")));
    rows.push(("spec.source.accountId", source("accountId", "11112222333*")));
    rows.push(("spec.source.applicationId", source("applicationId", "*")));
    rows
}

/// Specs that are stored and end stalled, by reason and by a part of the message.
fn stalled(world: &World) -> Vec<(Value, &'static str, &'static str)> {
    let kinesis = |partition: &str, region: &str, account: &str| {
        stream(&format!("arn:{partition}:kinesis:{region}:{account}:stream/a"))
    };
    let mut taken = with("roleName", world.role("taken").into());
    taken["adoptionPolicy"] = "Never".into();
    vec![
        (kinesis("aws", "us-east-1", "444455556666"), "WrongAccount", "444455556666"),
        (kinesis("aws", "us-east-1", "111122223334"), "WrongAccount", "111122223334"),
        (kinesis("aws-cn", "cn-north-1", "111122223333"), "WrongAccount", "aws-cn"),
        (kinesis("aws-us-gov", "us-gov-west-1", "111122223333"), "WrongAccount", "aws-us-gov"),
        (kinesis("aws-eusc", "eusc-de-east-1", "111122223333"), "WrongAccount", "aws-eusc"),
        (kinesis("aws-iso", "us-iso-east-1", "111122223333"), "WrongAccount", "aws-iso"),
        (with("tags", json!({"Team": "a", "team": "b"})), "InvalidSpec", "spec.tags"),
        (with("tags", json!({"streamrole.\u{3164}dev/uid": "x"})), "InvalidSpec", "spec.tags"),
        (taken, "RoleNotOwned", "is not owned by this resource"),
    ]
}

/// The writes, except the `CreateRole` that IAM rejected because the role already exists. The controller creates a role
/// first, and observes it if its name is taken.
pub(crate) fn writes(calls: Vec<Call>, taken: &[String]) -> Vec<Call> {
    let is_refused =
        |call: &Call| call.action == "CreateRole" && taken.contains(&call.text("RoleName"));
    calls.into_iter().filter(|call| call.is_write() && !is_refused(call)).collect()
}

/// Asserts that the controller makes a valid resource ready and is healthy.
pub(crate) async fn works_on(world: &World) {
    world.apply("good", &world.kinesis_spec("good")).await;
    world.ready("good").await;
    let url = world.controller.as_ref().unwrap().listen_url().await;
    assert_eq!(http_get(&format!("{url}/healthz")).await.unwrap().0, 200);
    assert!(!world.log().contains("panicked"), "{}", world.log());
}

#[tokio::test]
async fn no_hostile_spec_leads_to_a_write() {
    let world = World::new("hostile").await;
    world.create_foreign_role(&world.role("taken")).await;
    let refused = refused();
    assert!(refused.len() >= 60, "{}", refused.len());
    for (field, spec) in refused {
        let message = match world.try_apply("refused", &spec).await {
            Err(kube::Error::Api(status)) => status.message,
            other => panic!("{spec} should be refused, got {other:?}"),
        };
        assert!(message.contains(field), "{spec}: {field} in {message:?}");
    }
    let stalled = stalled(&world);
    for (number, (spec, ..)) in stalled.iter().enumerate() {
        world.apply(&format!("s{number}"), spec).await;
    }
    for (number, (spec, reason, part)) in stalled.iter().enumerate() {
        let name = format!("s{number}");
        let message = ready(&world.sees(&name, "False", reason).await).message;
        assert!(message.contains(part), "{spec}: {part:?} in {message:?}");
    }
    assert_eq!(writes(world.proxy.calls(), &[world.role("taken")]), []);
    world.apply("key", &key(KMS)).await;
    world.ready("key").await;
    works_on(&world).await;
}

/// The state of the ownership tags on a live role.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tags {
    None,
    OtherClusters,
    Gone,
    Unseen,
    OnlyCluster,
    OnlyOtherCluster,
    OnlyResource,
    OnlyUid,
    NamesakeElsewhere,
    OtherCase,
}

const NAMESPACE: &str = "hostile-live";

impl Tags {
    fn of(self, cluster: &str, name: &str) -> BTreeMap<String, String> {
        let mine = format!("{NAMESPACE}/{name}");
        let tags = |tags: &[(&str, &str)]| {
            tags.iter()
                .map(|(key, value)| (format!("streamrole.dev/{key}"), (*value).to_owned()))
                .collect()
        };
        let uid = ("uid", "00000000-0000-0000-0000-000000000000");
        match self {
            Self::None => tags(&[]),
            Self::OtherClusters => tags(&[("cluster", OTHER_CLUSTER), ("resource", "a/b"), uid]),
            Self::Gone => tags(&[("cluster", cluster), ("resource", "hostile-live/gone"), uid]),
            Self::Unseen => tags(&[("cluster", cluster), ("resource", "elsewhere/x"), uid]),
            Self::OnlyCluster => tags(&[("cluster", cluster)]),
            Self::OnlyOtherCluster => tags(&[("cluster", OTHER_CLUSTER)]),
            Self::OnlyResource => tags(&[("resource", &mine)]),
            Self::OnlyUid => tags(&[uid]),
            Self::NamesakeElsewhere => {
                tags(&[("cluster", OTHER_CLUSTER), ("resource", &mine), uid])
            }
            Self::OtherCase => {
                let tags: BTreeMap<_, _> = Self::OtherClusters.of(cluster, name);
                tags.into_iter().map(|(key, value)| (key.to_uppercase(), value)).collect()
            }
        }
    }
}

type Row = (Tags, &'static str, &'static str, &'static str, &'static str);

/// Tags of the live role, its path, adoption policy, whether writes are permitted, and the resulting reason.
const LIVE: [Row; 44] = [
    (Tags::None, "/", "Never", "Correct", "RoleNotOwned"),
    (Tags::None, "/", "Never", "Report", "RoleNotOwned"),
    (Tags::None, "/", "Never", "Paused", "RoleNotOwned"),
    (Tags::None, "/", "Adopt", "Report", "DriftReported"),
    (Tags::None, "/", "TakeOver", "Report", "DriftReported"),
    (Tags::None, "/", "Adopt", "Paused", "Paused"),
    (Tags::OtherClusters, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::OtherClusters, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::OtherClusters, "/", "Never", "Report", "RoleOwnedByAnother"),
    (Tags::OtherClusters, "/", "Adopt", "Report", "RoleOwnedByAnother"),
    (Tags::OtherClusters, "/", "TakeOver", "Report", "DriftReported"),
    (Tags::OtherClusters, "/", "TakeOver", "Paused", "Paused"),
    (Tags::Gone, "/", "Never", "Correct", "RoleNotOwned"),
    (Tags::Gone, "/", "Never", "Report", "RoleNotOwned"),
    (Tags::Gone, "/", "Adopt", "Report", "DriftReported"),
    (Tags::Gone, "/", "Adopt", "Paused", "Paused"),
    (Tags::Unseen, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::Unseen, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::Unseen, "/", "TakeOver", "Correct", "RoleOwnedByAnother"),
    (Tags::Unseen, "/", "Adopt", "Report", "RoleOwnedByAnother"),
    (Tags::Unseen, "/", "TakeOver", "Report", "RoleOwnedByAnother"),
    (Tags::OnlyCluster, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::OnlyCluster, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::OnlyCluster, "/", "TakeOver", "Correct", "RoleOwnedByAnother"),
    (Tags::OnlyCluster, "/", "Adopt", "Report", "RoleOwnedByAnother"),
    (Tags::OnlyOtherCluster, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::OnlyOtherCluster, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::OnlyOtherCluster, "/", "TakeOver", "Report", "DriftReported"),
    (Tags::OnlyResource, "/", "Never", "Correct", "RoleNotOwned"),
    (Tags::OnlyResource, "/", "Adopt", "Report", "DriftReported"),
    (Tags::OnlyUid, "/", "Never", "Correct", "RoleNotOwned"),
    (Tags::OnlyUid, "/", "Adopt", "Report", "DriftReported"),
    (Tags::NamesakeElsewhere, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::NamesakeElsewhere, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::NamesakeElsewhere, "/", "TakeOver", "Report", "DriftReported"),
    (Tags::OtherCase, "/", "Never", "Correct", "RoleOwnedByAnother"),
    (Tags::OtherCase, "/", "Adopt", "Correct", "RoleOwnedByAnother"),
    (Tags::OtherCase, "/", "TakeOver", "Report", "DriftReported"),
    (Tags::None, "/elsewhere/", "Adopt", "Correct", "ImmutableFieldDiffers"),
    (Tags::None, "/elsewhere/", "TakeOver", "Correct", "ImmutableFieldDiffers"),
    (Tags::None, SERVICE_LINKED, "Never", "Correct", "RoleNotOwned"),
    (Tags::None, SERVICE_LINKED, "Adopt", "Correct", "RoleNotOwned"),
    (Tags::None, SERVICE_LINKED, "TakeOver", "Correct", "RoleNotOwned"),
    (Tags::None, SERVICE_LINKED, "Adopt", "Report", "RoleNotOwned"),
];

const SERVICE_LINKED: &str = "/aws-service-role/pinpoint.amazonaws.com/";

/// The content of each role, which must not be shown.
const SECRET: &str = "SECRET";

async fn create(world: &World, row: &Row, name: &str, cluster: &str) {
    let (tags, path, ..) = row;
    let role = world.role(name);
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": format!("{SECRET}-external-id")}},
    }});
    let mut create = world.iam.create_role().role_name(&role).path(*path);
    for (key, value) in tags.of(cluster, name) {
        create = create.tags(Tag::builder().key(key).value(value).build().unwrap());
    }
    let boundary = format!("arn:aws:iam::111122223333:policy/{SECRET}-boundary");
    create
        .description(format!("{SECRET} description"))
        .permissions_boundary(boundary)
        .assume_role_policy_document(trust.to_string())
        .send()
        .await
        .unwrap();
    let put = world.iam.put_role_policy().role_name(&role).policy_name(format!("{SECRET}-policy"));
    put.policy_document(OTHER_POLICY).send().await.unwrap();
}

/// The notes of the namespace's events.
pub(crate) async fn notes(world: &World) -> Vec<String> {
    let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
    let events = events.list(&ListParams::default()).await.unwrap();
    events.into_iter().filter_map(|event| event.note).collect()
}

/// All parts of a role that a write can change.
pub(crate) async fn live(world: &World, name: &str) -> String {
    let (iam, role) = (&world.iam, &world.role(name));
    let mut shown = iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
    shown.role_last_used = None;
    let policies = iam.list_role_policies().role_name(role).send().await.unwrap().policy_names;
    let mut documents = Vec::new();
    for policy in policies {
        let get = iam.get_role_policy().role_name(role).policy_name(policy).send().await.unwrap();
        documents.push((get.policy_name, get.policy_document));
    }
    format!("{shown:?} {documents:?}")
}

#[tokio::test]
async fn no_foreign_role_is_changed_or_shown() {
    let world = World::new(NAMESPACE).await;
    let cluster = world.cluster_id().await;
    let name = |number: usize| format!("l{number:02}");
    let mut before = Vec::new();
    for (number, row) in LIVE.iter().enumerate() {
        create(&world, row, &name(number), &cluster).await;
        before.push(live(&world, &name(number)).await);
    }
    for (number, (_, _, adoption, writes, _)) in LIVE.iter().enumerate() {
        let mut spec = world.kinesis_spec(&name(number));
        spec["adoptionPolicy"] = (*adoption).into();
        let mut metadata = json!({"name": name(number)});
        match *writes {
            "Paused" => metadata["annotations"] = json!({"streamrole.dev/paused": "TRUE"}),
            policy => spec["driftPolicy"] = policy.into(),
        }
        let manifest = manifest(&metadata, &spec);
        let params = PatchParams::apply("user").force();
        world.resources.patch(&name(number), &params, &Patch::Apply(manifest)).await.unwrap();
    }
    let mut shown = String::new();
    for (number, row) in LIVE.iter().enumerate() {
        let resource = world.sees(&name(number), "False", row.4).await;
        shown += &serde_json::to_string(&resource.status).unwrap();
    }
    shown += &notes(&world).await.concat();
    shown += &world.log();
    assert!(!shown.contains(SECRET), "{shown}");
    for (number, (row, before)) in LIVE.iter().zip(before).enumerate() {
        assert_eq!(live(&world, &name(number)).await, before, "{row:?}");
    }
    // Where no writes are permitted, the controller does not even read the role.
    let asks = LIVE.iter().enumerate().filter(|(_, (_, _, _, writes, _))| *writes == "Correct");
    let taken: Vec<_> = asks.map(|(number, _)| world.role(&name(number))).collect();
    assert_eq!(writes(world.proxy.calls(), &taken), []);
    works_on(&world).await;
}
