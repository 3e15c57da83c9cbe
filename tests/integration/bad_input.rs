//! Bad input is refused by the API server, at `kubectl apply`, with a message that names the field.

use serde_json::{Value, json};

use crate::world::{World, kinesis_arn};

fn with(changes: Value) -> Value {
    let mut spec = json!({"destination": {"kinesisStreamArn": kinesis_arn("events")}});
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

#[tokio::test]
async fn every_bad_spec_is_refused_naming_the_field() {
    let world = World::without_controller("bad-input").await;
    let kinesis = kinesis_arn("events");
    let firehose = "arn:aws:firehose:us-east-1:111122223333:deliverystream/events";
    let source = |account: &str, region: &str| json!({"accountId": account, "region": region});
    let many_tags: serde_json::Map<_, _> = (0..47).map(|i| (format!("k{i}"), json!("v"))).collect();
    let table: Vec<(&str, Value, &[&str])> = vec![
        ("no destination", json!({}), &["spec.destination", "Required"]),
        (
            "an empty destination",
            with(json!({"destination": {}})),
            &["spec.destination", "exactly one"],
        ),
        (
            "two destinations",
            with(
                json!({"destination": {"kinesisStreamArn": kinesis, "firehoseDeliveryStreamArn": firehose}}),
            ),
            &["spec.destination", "exactly one"],
        ),
        (
            "only a key",
            with(json!({"destination": {"kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/a"}})),
            &["spec.destination", "exactly one"],
        ),
        (
            "a stream name for an ARN",
            with(json!({"destination": {"kinesisStreamArn": "events"}})),
            &["spec.destination.kinesisStreamArn", "arn:aws:kinesis:"],
        ),
        (
            "a Firehose ARN as Kinesis",
            with(json!({"destination": {"kinesisStreamArn": firehose}})),
            &["spec.destination.kinesisStreamArn"],
        ),
        (
            "a Kinesis ARN as Firehose",
            with(json!({"destination": {"firehoseDeliveryStreamArn": kinesis}})),
            &["spec.destination.firehoseDeliveryStreamArn"],
        ),
        (
            "an unknown partition",
            with(
                json!({"destination": {"kinesisStreamArn": "arn:aws-moon:kinesis:us-east-1:111122223333:stream/a"}}),
            ),
            &["spec.destination.kinesisStreamArn"],
        ),
        (
            "a short account in an ARN",
            with(
                json!({"destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:1111:stream/a"}}),
            ),
            &["spec.destination.kinesisStreamArn"],
        ),
        (
            "a wildcard stream",
            with(
                json!({"destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/*"}}),
            ),
            &["spec.destination.kinesisStreamArn"],
        ),
        (
            "a key alias",
            with(
                json!({"destination": {"kinesisStreamArn": kinesis, "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:alias/a"}}),
            ),
            &["spec.destination.kmsKeyArn", "alias"],
        ),
        (
            "a key in another partition",
            with(
                json!({"destination": {"kinesisStreamArn": kinesis, "kmsKeyArn": "arn:aws-cn:kms:cn-north-1:111122223333:key/a"}}),
            ),
            &["spec.destination.kmsKeyArn", "partition"],
        ),
        ("an empty role name", with(json!({"roleName": ""})), &["spec.roleName"]),
        (
            "a role name with a space",
            with(json!({"roleName": "my role"})),
            &["spec.roleName", "_+=,.@-"],
        ),
        ("a long role name", with(json!({"roleName": "x".repeat(65)})), &["spec.roleName", "64"]),
        (
            "a role ARN as name",
            with(json!({"roleName": "arn:aws:iam::111122223333:role/x"})),
            &["spec.roleName"],
        ),
        (
            "a path without slashes",
            with(json!({"path": "streaming"})),
            &["spec.path", "/streaming/"],
        ),
        ("a path with a space", with(json!({"path": "/my path/"})), &["spec.path"]),
        (
            "a long path",
            with(json!({"path": format!("/{}/", "x".repeat(511))})),
            &["spec.path", "512"],
        ),
        (
            "a long description",
            with(json!({"description": "x".repeat(1001)})),
            &["spec.description", "1000"],
        ),
        (
            "a description that IAM cannot store",
            with(json!({"description": "smile 😀"})),
            &["spec.description", "Latin-1"],
        ),
        (
            "a short session",
            with(json!({"maxSessionDurationSeconds": 3599})),
            &["spec.maxSessionDurationSeconds", "3600"],
        ),
        (
            "a long session",
            with(json!({"maxSessionDurationSeconds": 43201})),
            &["spec.maxSessionDurationSeconds", "43200"],
        ),
        (
            "a session in words",
            with(json!({"maxSessionDurationSeconds": "1h"})),
            &["spec.maxSessionDurationSeconds"],
        ),
        (
            "a boundary that is no policy",
            with(json!({"permissionsBoundaryArn": "arn:aws:iam::111122223333:role/x"})),
            &["spec.permissionsBoundaryArn", "managed policy"],
        ),
        (
            "a boundary in another partition",
            with(json!({"permissionsBoundaryArn": "arn:aws-cn:iam::111122223333:policy/x"})),
            &["spec.permissionsBoundaryArn", "partition"],
        ),
        (
            "a short account",
            with(json!({"source": source("1111", "us-east-1")})),
            &["spec.source.accountId"],
        ),
        (
            "an account with letters",
            with(json!({"source": source("11112222333x", "us-east-1")})),
            &["spec.source.accountId", "12 digits"],
        ),
        (
            "another account",
            with(json!({"source": source("444455556666", "us-east-1")})),
            &["spec.destination", "111122223333", "444455556666"],
        ),
        (
            "a region name",
            with(json!({"source": source("111122223333", "N. Virginia")})),
            &["spec.source.region", "us-east-1"],
        ),
        (
            "a region of another partition",
            with(json!({"source": source("111122223333", "cn-north-1")})),
            &["spec.destination", "arn:aws ", "arn:aws-cn"],
        ),
        (
            "a source without a region",
            with(json!({"source": {"accountId": "111122223333"}})),
            &["spec.source.region", "Required"],
        ),
        (
            "a short application id",
            with(
                json!({"source": {"accountId": "111122223333", "region": "us-east-1", "applicationId": "abc"}}),
            ),
            &["spec.source.applicationId", "32"],
        ),
        (
            "an application id that is no hexadecimal number",
            with(
                json!({"source": {"accountId": "111122223333", "region": "us-east-1", "applicationId": "z".repeat(32)}}),
            ),
            &["spec.source.applicationId", "hexadecimal"],
        ),
        ("too many tags", with(json!({"tags": many_tags})), &["spec.tags", "46"]),
        ("a reserved tag", with(json!({"tags": {"AWS:x": "y"}})), &["spec.tags", "reserved"]),
        (
            "one of our own tags",
            with(json!({"tags": {"streamrole.dev/uid": "y"}})),
            &["spec.tags", "reserved"],
        ),
        ("an empty tag key", with(json!({"tags": {"": "y"}})), &["spec.tags", "key"]),
        ("a long tag key", with(json!({"tags": {"k".repeat(129): "y"}})), &["spec.tags", "128"]),
        ("a tag key with a bracket", with(json!({"tags": {"a[b]": "y"}})), &["spec.tags", "key"]),
        ("a long tag value", with(json!({"tags": {"k": "v".repeat(257)}})), &["spec.tags", "256"]),
        (
            "an unknown adoption policy",
            with(json!({"adoptionPolicy": "Maybe"})),
            &["spec.adoptionPolicy", "Never"],
        ),
        (
            "an unknown deletion policy",
            with(json!({"deletionPolicy": "Keep"})),
            &["spec.deletionPolicy", "Retain"],
        ),
        (
            "an unknown drift policy",
            with(json!({"driftPolicy": "Ignore"})),
            &["spec.driftPolicy", "Report"],
        ),
    ];
    for (case, spec, expected) in table {
        let refused = world.try_apply("bad", &spec).await;
        let message = match refused {
            Err(kube::Error::Api(status)) => status.message,
            other => panic!("{case} should be refused by the API server, got {other:?}"),
        };
        for word in expected {
            assert!(message.contains(word), "{case}: {word:?} in {message:?}");
        }
        assert!(!message.contains("failed rule"), "{case} deserves words: {message:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_changed_later_is_refused_with_what_to_do_instead() {
    let world = World::without_controller("immutable").await;
    let spec = world.kinesis_spec("events");
    world.apply("events", &spec).await;
    for (field, value) in [("roleName", json!("other")), ("path", json!("/other/"))] {
        let mut changed = spec.clone();
        changed[field] = value;
        let error = world.try_apply("events", &changed).await.expect_err("should be refused");
        let message = error.to_string();
        assert!(
            message.contains(&format!("spec.{field}"))
                && message.contains("Create another resource"),
            "{message}"
        );
    }
    let mut unnamed = spec.clone();
    unnamed.as_object_mut().unwrap().remove("roleName");
    let error =
        world.try_apply("events", &unnamed).await.expect_err("should be refused").to_string();
    assert!(error.contains("roleName cannot be changed"), "{error}");
}

#[tokio::test]
async fn a_name_that_would_not_fit_a_tag_is_refused() {
    let world = World::without_controller("long-name").await;
    let error = world.try_apply(&"x".repeat(193), &world.kinesis_spec("events")).await;
    let message = error.expect_err("should be refused").to_string();
    assert!(message.contains("metadata.name must be at most 192 characters"), "{message}");
}

#[tokio::test]
async fn an_explicit_null_means_the_default_where_there_is_one() {
    let world = World::without_controller("null").await;
    let stored = world.apply("events", &with(json!({"path": null, "driftPolicy": null}))).await;
    assert_eq!(stored.spec.path, "/");
}

#[tokio::test]
async fn what_only_the_controller_can_check_ends_stalled_and_changes_nothing_on_aws() {
    let world = World::new("invalid-spec").await;
    world.apply("events", &with(json!({"tags": {"Team": "a", "team": "b"}}))).await;
    let resource = world.sees("events", "False", "InvalidSpec").await;
    let message = crate::world::ready(&resource).message;
    assert!(
        message.contains("spec.tags") && message.contains("\"Team\" and \"team\""),
        "{message}"
    );
    assert!(world.proxy.calls().is_empty(), "{:?}", world.proxy.actions());
}
