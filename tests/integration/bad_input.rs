//! The API server rejects bad input at `kubectl apply`, with a message that names the field.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use streamrole::api::{PinpointEventStreamRole, RoleResource, SpecError};
use streamrole::role::{Declaration, Defaults};

use support::world::{World, kinesis_arn};

fn with(changes: Value) -> Value {
    let mut spec = json!({"destination": {"kinesisStreamArn": kinesis_arn("events")}});
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    spec
}

#[tokio::test]
async fn every_bad_spec_is_rejected_naming_the_field() {
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
            &["spec.destination.kmsKeyArn", "partition", "arn:aws-cn:kms:cn-north-1:"],
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
            &["spec.source.region", "partition aws ", "cn-north-1"],
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
    refused(&world, table).await;
}

/// Applies each spec, and reports those for which the API server's message was not the expected one.
async fn refused(world: &World, table: Vec<(&str, Value, &[&str])>) {
    let mut wrong = Vec::new();
    for (case, spec, expected) in table {
        match world.try_apply("bad", &spec).await {
            Err(kube::Error::Api(status)) => {
                let message = status.message;
                for word in expected.iter().filter(|word| !message.contains(**word)) {
                    wrong.push(format!("{case}: no {word:?} in {message:?}"));
                }
                if message.contains("failed rule") {
                    wrong.push(format!("{case} deserves words: {message:?}"));
                }
            }
            Ok(_) => {
                wrong.push(format!("{case} is accepted: {spec}"));
                world.delete("bad").await;
            }
            Err(other) => wrong.push(format!("{case}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The same, and the controller rejects them too: a stored object can be older than a rule.
async fn refused_by_both(world: &World, table: Vec<(&str, Value, &[&str])>) {
    for (case, spec, _) in &table {
        let judged = by_the_controller(spec);
        assert!(judged.is_err(), "{case} is accepted by the controller: {spec}");
    }
    refused(world, table).await;
}

/// The controller's result for a stored spec.
fn by_the_controller(spec: &Value) -> Result<Declaration, SpecError> {
    let mut resource = PinpointEventStreamRole::new(
        "bad",
        serde_json::from_value(spec.clone()).expect("the spec fits the type"),
    );
    resource.metadata.namespace = Some("bad-input".into());
    resource.metadata.uid = Some("u1".into());
    RoleResource::from(resource).declaration(&Defaults::default())
}

fn to_kinesis(arn: &str) -> Value {
    with(json!({"destination": {"kinesisStreamArn": arn}}))
}

fn to_firehose(arn: &str) -> Value {
    with(json!({"destination": {"firehoseDeliveryStreamArn": arn}}))
}

/// A stream in us-east-1 and 111122223333 with this key.
fn with_key(stream: &str, key: &str) -> Value {
    with(json!({"destination": {stream: match stream {
        "kinesisStreamArn" => kinesis_arn("events"),
        _ => "arn:aws:firehose:us-east-1:111122223333:deliverystream/events".into(),
    }, "kmsKeyArn": key}}))
}

fn from_region(region: &str) -> Value {
    with(json!({"source": {"accountId": "111122223333", "region": region}}))
}

fn from_account(stream: &str, account: &str) -> Value {
    with(json!({
        "destination": {"kinesisStreamArn": stream},
        "source": {"accountId": account, "region": "us-east-1"},
    }))
}

fn tagged(key: &str) -> Value {
    with(json!({"tags": {key: "v"}}))
}

#[tokio::test]
async fn an_arn_is_checked_field_by_field() {
    let world = World::without_controller("bad-arn").await;
    let kinesis: &[&str] = &["spec.destination.kinesisStreamArn", "arn:aws:kinesis:"];
    let firehose: &[&str] = &["spec.destination.firehoseDeliveryStreamArn", "arn:aws:firehose:"];
    let key: &[&str] = &["spec.destination.kmsKeyArn", "partition, Region and account"];
    let no_key: &[&str] = &["spec.destination.kmsKeyArn", "arn:aws:kms:"];
    let region: &[&str] = &["spec.source.region", "us-east-1"];
    let accounts: &[&str] = &["spec.destination", "444455556666", "111122223333"];
    let partitions: &[&str] = &["spec.source.region", "partition"];
    let stream = |field: &str| format!("arn:aws:kinesis:{field}:111122223333:stream/a");
    let account = |field: &str| format!("arn:aws:kinesis:us-east-1:{field}:stream/a");
    let mut table: Vec<(&str, Value, &[&str])> = vec![
        ("a Region of China in aws", to_kinesis(&stream("cn-north-1")), kinesis),
        ("a sovereign Region in aws", to_kinesis(&stream("eusc-de-east-1")), kinesis),
        ("a GovCloud Region in aws", to_kinesis(&stream("us-gov-west-1")), kinesis),
        (
            "a commercial Region in aws-cn",
            to_kinesis("arn:aws-cn:kinesis:us-east-1:111122223333:stream/a"),
            kinesis,
        ),
        (
            "a Region of aws-iso-b in aws-iso",
            to_kinesis("arn:aws-iso:kinesis:us-isob-east-1:111122223333:stream/a"),
            kinesis,
        ),
        (
            "a commercial Region in aws-us-gov, for Firehose",
            to_firehose("arn:aws-us-gov:firehose:us-east-1:111122223333:deliverystream/a"),
            firehose,
        ),
        (
            "no Region, for Firehose",
            to_firehose("arn:aws:firehose::111122223333:deliverystream/a"),
            firehose,
        ),
        ("a wildcard account", to_kinesis(&account("*")), kinesis),
        ("an account of 13 digits", to_kinesis(&account("1111222233334")), kinesis),
        ("no account", to_kinesis(&account("")), kinesis),
        (
            "an account in the place of the Region",
            from_account("arn:aws:kinesis:111122223333:444455556666:stream/a", "111122223333"),
            kinesis,
        ),
        (
            "the account in the name of the stream alone",
            from_account(
                "arn:aws:kinesis:us-east-1:444455556666:stream/111122223333",
                "111122223333",
            ),
            accounts,
        ),
        ("a line break after the ARN", to_kinesis(&format!("{}\n", kinesis_arn("a"))), kinesis),
        ("a seventh field", to_kinesis(&format!("{}:1", kinesis_arn("a"))), kinesis),
        (
            "a key in another Region",
            with_key("kinesisStreamArn", "arn:aws:kms:eu-west-1:111122223333:key/a"),
            key,
        ),
        (
            "a key in another account",
            with_key("kinesisStreamArn", "arn:aws:kms:us-east-1:444455556666:key/a"),
            key,
        ),
        (
            "a key in another account, for Firehose",
            with_key("firehoseDeliveryStreamArn", "arn:aws:kms:us-east-1:444455556666:key/a"),
            key,
        ),
        (
            "the account in the id of the key alone",
            with_key("kinesisStreamArn", "arn:aws:kms:us-east-1:444455556666:key/111122223333"),
            key,
        ),
        (
            "a replica of a multi-Region key, of another Region",
            with_key(
                "firehoseDeliveryStreamArn",
                "arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            ),
            key,
        ),
        (
            "a key whose Region is not of its partition",
            with_key("kinesisStreamArn", "arn:aws:kms:cn-north-1:111122223333:key/a"),
            no_key,
        ),
        (
            "a key of no Region",
            with_key("kinesisStreamArn", "arn:aws:kms:-:111122223333:key/a"),
            no_key,
        ),
        (
            "any key",
            with_key("kinesisStreamArn", "arn:aws:kms:us-east-1:111122223333:key/*"),
            no_key,
        ),
        ("a source of China for a stream of aws", from_region("cn-northwest-1"), partitions),
        ("a source of GovCloud for a stream of aws", from_region("us-gov-east-1"), partitions),
        ("a sovereign source for a stream of aws", from_region("eusc-de-east-1"), partitions),
        ("a secret source for a stream of aws", from_region("us-isob-east-1"), partitions),
    ];
    let region_like = [
        "-",
        "us-east",
        "111122223333",
        "us-east-1a",
        "US-EAST-1",
        "us_east_1",
        "us-east-",
        "us--1",
        "us-east-0",
        "us-east-001",
        "aws-global",
        "moon-east-1",
        "us-east-1-",
        "us-iso-1-1",
        "*",
    ];
    for like in region_like {
        table.push((like, to_kinesis(&stream(like)), kinesis));
        table.push((like, from_region(like), region));
    }
    refused_by_both(&world, table).await;
}

#[tokio::test]
async fn paths_contain_no_policy_wildcards_or_variables() {
    let world = World::without_controller("bad-path").await;
    let path: &[&str] = &["spec.path", "/streaming/"];
    let boundary: &[&str] = &["spec.permissionsBoundaryArn", "managed policy"];
    let mut table: Vec<(&str, Value, &[&str])> = Vec::new();
    for part in ["a*", "a?", "${aws:username}", "$a", "{a}", "a}", "a//b", "/a", "a/"] {
        table.push((part, with(json!({"path": format!("/{part}/")})), path));
        let arn = format!("arn:aws:iam::111122223333:policy/{part}/b");
        table.push((part, with(json!({"permissionsBoundaryArn": arn})), boundary));
    }
    for reserved in ["/aws-service-role/", "/aws-service-role/a/", "/AWS-Service-Role/a.b.c/"] {
        let words: &[&str] = &["spec.path", "service-linked"];
        table.push((reserved, with(json!({"path": reserved})), words));
    }
    for arn in [
        "arn:aws:iam:us-east-1:111122223333:policy/b",
        "arn:aws:iam::*:policy/b",
        "arn:aws:iam::111122223333:policy/*",
        "arn:aws:iam::111122223333:policy/",
        "arn:aws-moon:iam::aws:policy/b",
    ] {
        table.push((arn, with(json!({"permissionsBoundaryArn": arn})), boundary));
    }
    refused_by_both(&world, table).await;
}

#[tokio::test]
async fn a_reserved_tag_key_is_rejected_in_every_disguise_and_so_is_outer_white_space() {
    let world = World::without_controller("bad-tags").await;
    let reserved: &[&str] = &["spec.tags", "reserved"];
    let space: &[&str] = &["spec.tags", "white space"];
    let mut table: Vec<(&str, Value, &[&str])> = Vec::new();
    for (case, key) in [
        ("upper case", "STREAMROLE.DEV/uid"),
        ("long s", "\u{17f}treamrole.dev/uid"),
        ("dotless i", "streamrole.dev/u\u{131}d"),
        ("full width", "\u{ff53}treamrole.dev/uid"),
        ("full width, all", "ｓｔｒｅａｍｒｏｌｅ.ｄｅｖ/uid"),
        ("full width, upper case", "ＳＴＲＥＡＭＲＯＬＥ.ＤＥＶ/uid"),
        ("mathematical", "𝐬𝐭𝐫𝐞𝐚𝐦𝐫𝐨𝐥𝐞.𝐝𝐞𝐯/uid"),
        ("script", "streamro\u{2113}\u{212f}.dev/uid"),
        ("a ligature", "\u{fb06}reamrole.dev/uid"),
        ("a superscript", "streamrole.de\u{1d5b}/uid"),
        ("a Roman numeral", "streamrole.\u{217e}ev/uid"),
        ("of AWS, long s", "aw\u{17f}:x"),
        ("of AWS, full width", "ａｗｓ:x"),
        ("of AWS, full width, upper case", "ＡＷＳ:x"),
        ("of AWS, mathematical", "𝒶𝓌𝓈:x"),
        ("of AWS, superscript", "\u{1d43}\u{2b7}\u{2e2}:x"),
    ] {
        table.push((case, tagged(key), reserved));
    }
    for (case, key) in [
        ("a space before", " team"),
        ("a space after", "team "),
        ("a space before what is reserved", " streamrole.dev/uid"),
        ("a space after what is reserved", "streamrole.dev/uid "),
        ("a no-break space", "\u{a0}team"),
        ("an ideographic space", "\u{3000}aws:x"),
        ("a mathematical space", "team\u{205f}"),
        ("a Hangul filler", "\u{3164}streamrole.dev/uid"),
        ("nothing but a space", " "),
    ] {
        table.push((case, tagged(key), space));
    }
    refused_by_both(&world, table).await;
}

#[tokio::test]
async fn valid_specs_are_accepted() {
    let world = World::without_controller("good-input").await;
    let regions = [
        ("aws", "mx-central-1"),
        ("aws", "ap-southeast-7"),
        ("aws", "il-central-1"),
        ("aws-cn", "cn-northwest-1"),
        ("aws-us-gov", "us-gov-east-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-iso", "us-iso-west-1"),
        ("aws-iso-b", "us-isob-east-1"),
        ("aws-iso-e", "eu-isoe-west-1"),
        ("aws-iso-f", "us-isof-south-1"),
    ];
    let mut good: Vec<Value> = Vec::new();
    for (partition, region) in regions {
        for (field, resource) in [
            ("kinesisStreamArn", "kinesis:REGION:111122223333:stream/444455556666"),
            ("firehoseDeliveryStreamArn", "firehose:REGION:111122223333:deliverystream/us-east"),
        ] {
            let arn = format!("arn:{partition}:{}", resource.replace("REGION", region));
            let key = format!("arn:{partition}:kms:{region}:111122223333:key/mrk-444455556666");
            good.push(json!({
                "destination": {field: arn, "kmsKeyArn": key},
                "source": {"accountId": "111122223333", "region": region},
                "permissionsBoundaryArn": format!("arn:{partition}:iam::aws:policy/a/b/ReadOnlyAccess"),
            }));
        }
    }
    good.push(from_region("eu-west-1"));
    for path in ["/", "/a/", "/a/b.c-d_e+f=g,h@i/", "/aws-service-roles/", "/a/aws-service-role/"] {
        good.push(with(json!({"path": path})));
    }
    for key in [
        "team",
        "cost center",
        "aws",
        "awsome:x",
        "ａｗｓ",
        "saw:x",
        "streamrole.develop/x",
        "mystreamrole.dev/x",
        "ﾀｸﾞ",
        "mastermole.dev/x",
        "größe",
        "名前",
        "team:aws:x",
    ] {
        good.push(tagged(key));
    }
    // As large as a spec can be: the rules stay within the API server's cost limit.
    let full = |i: usize| (format!("{i:0>128}"), "v".repeat(256));
    good.push(with(json!({
        "path": format!("/{}", "abcdefg/".repeat(63)),
        "description": "x".repeat(1000),
        "tags": (0..46).map(full).collect::<BTreeMap<_, _>>(),
    })));
    let mut wrong = Vec::new();
    for spec in good {
        if let Err(error) = by_the_controller(&spec) {
            wrong.push(format!("{spec}: {error}"));
        }
        match world.try_apply("good", &spec).await {
            Ok(_) => world.delete("good").await,
            Err(error) => wrong.push(format!("{spec}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{} refused:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn immutable_fields_are_rejected_with_what_to_do_instead() {
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
async fn a_name_that_does_not_fit_a_tag_is_rejected() {
    let world = World::without_controller("long-name").await;
    let error = world.try_apply(&"x".repeat(193), &world.kinesis_spec("events")).await;
    let message = error.expect_err("should be refused").to_string();
    assert!(message.contains("metadata.name must be at most 192 characters"), "{message}");
}

#[tokio::test]
async fn an_explicit_null_means_the_default_where_there_is_one() {
    let world = World::without_controller("null").await;
    let stored = world.apply("events", &with(json!({"path": null, "driftPolicy": null}))).await;
    assert_eq!(stored.spec.settings.path, "/");
}

#[tokio::test]
async fn specs_that_only_the_controller_can_check_stall_and_change_nothing() {
    let world = World::new("invalid-spec").await;
    for (name, one, other) in [
        ("case", "Team", "team"),
        ("width", "team", "ｔｅａｍ"),
        ("long-s", "sales", "\u{17f}ales"),
    ] {
        world.apply(name, &with(json!({"tags": {one: "a", other: "b"}}))).await;
        let resource = world.sees(name, "False", "InvalidSpec").await;
        let message = support::world::ready(&resource).message;
        let keys = format!("spec.tags: {one:?} and {other:?}");
        assert!(message.contains(&keys), "{keys} in {message}");
    }
    assert!(world.proxy.calls().is_empty(), "{:?}", world.proxy.actions());
}
