//! The documents that a resource declares, compared with AWS's page: its older form (2018 to 2022) without conditions,
//! and its current form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use kube::core::ObjectMeta;
use serde_json::{Value, json};
use streamrole::api::{
    PinpointEventStreamRole, PinpointEventStreamRoleSpec, RoleResource, SpecError,
};
use streamrole::role::{Declaration, Defaults};

const TRUST: &str = include_str!("aws-page/trust-policy.json");
const KINESIS: &str = include_str!("aws-page/kinesis-permissions-policy.json");
const FIREHOSE: &str = include_str!("aws-page/firehose-permissions-policy.json");

const KINESIS_ARN: &str = "arn:aws:kinesis:us-east-1:111122223333:stream/app-events";
const FIREHOSE_ARN: &str = "arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events";

fn declared(spec: Value) -> Result<Declaration, SpecError> {
    let spec: PinpointEventStreamRoleSpec =
        serde_json::from_value(spec).expect("the spec fits the type");
    let resource = PinpointEventStreamRole {
        metadata: ObjectMeta {
            name: Some("app-events".into()),
            namespace: Some("marketing".into()),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    };
    RoleResource::from(resource).declaration(&Defaults::default())
}

fn from_page(document: &str) -> Value {
    let filled = document
        .replace("region:account-id", "us-east-1:111122223333")
        .replace("delivery-stream-name", "app-events")
        .replace("stream-name", "app-events");
    serde_json::from_str(&filled).unwrap()
}

#[test]
fn with_only_name_and_destination_the_documents_are_those_of_awss_page_before_2022() {
    for (field, arn, page) in [
        ("kinesisStreamArn", KINESIS_ARN, KINESIS),
        ("firehoseDeliveryStreamArn", FIREHOSE_ARN, FIREHOSE),
    ] {
        let role =
            declared(json!({"roleName": "PinpointEventStreamRole", "destination": {field: arn}}))
                .unwrap_or_else(|error| panic!("{field}: {error}"));
        assert_eq!(role.name.as_str(), "PinpointEventStreamRole");
        assert_eq!(role.path.as_str(), "/");
        assert_eq!(role.trust_policy.to_value(), from_page(TRUST), "trust policy for {field}");
        assert_eq!(
            role.permissions_policy.document.to_value(),
            from_page(page),
            "permissions policy for {field}"
        );
    }
}

#[test]
fn a_source_adds_the_documented_conditions_in_its_partition() {
    for (partition, region) in [
        ("aws", "eu-central-1"),
        ("aws-cn", "cn-north-1"),
        ("aws-us-gov", "us-gov-west-1"),
        ("aws-eusc", "eusc-de-east-1"),
        ("aws-iso-b", "us-isob-east-1"),
    ] {
        for (application, expected) in [
            (None, "*"),
            (Some("0123456789abcdef0123456789abcdef"), "0123456789abcdef0123456789abcdef"),
        ] {
            let mut source = json!({"accountId": "111122223333", "region": region});
            if let Some(id) = application {
                source["applicationId"] = id.into();
            }
            let stream = format!("arn:{partition}:kinesis:{region}:111122223333:stream/app-events");
            let role =
                declared(json!({"destination": {"kinesisStreamArn": stream}, "source": source}))
                    .unwrap();
            let mut page = from_page(TRUST);
            page["Statement"][0]["Condition"] = json!({
                "StringEquals": {"aws:SourceAccount": "111122223333"},
                "ArnLike": {"aws:SourceArn": format!("arn:{partition}:mobiletargeting:{region}:111122223333:apps/{expected}")},
            });
            assert_eq!(
                role.trust_policy.to_value(),
                page,
                "{partition}, application {application:?}"
            );
        }
    }
}

#[test]
fn the_stream_region_may_differ_from_the_project_region() {
    let spec = json!({
        "destination": {"kinesisStreamArn": KINESIS_ARN},
        "source": {"accountId": "111122223333", "region": "eu-west-1"},
    });
    assert!(declared(spec).is_ok());
}

/// The key that encrypts the streams.
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

#[test]
fn a_kinesis_key_allows_data_keys_for_that_stream_only() {
    let role =
        declared(json!({"destination": {"kinesisStreamArn": KINESIS_ARN, "kmsKeyArn": KEY}}))
            .unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [
            from_page(KINESIS)["Statement"],
            {
                "Effect": "Allow",
                "Action": ["kms:GenerateDataKey"],
                "Resource": [KEY],
                "Condition": {
                    "StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": KINESIS_ARN},
                },
            },
        ],
    });
    assert_eq!(role.permissions_policy.document.to_value(), expected);
}

#[test]
fn a_firehose_key_allows_generate_data_key_and_decrypt() {
    let destination = json!({"firehoseDeliveryStreamArn": FIREHOSE_ARN, "kmsKeyArn": KEY});
    let role = declared(json!({"destination": destination})).unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [
            from_page(FIREHOSE)["Statement"],
            {
                "Effect": "Allow",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": [KEY],
            },
        ],
    });
    assert_eq!(role.permissions_policy.document.to_value(), expected);
}

#[test]
fn a_key_outside_the_streams_account_and_region_is_rejected_naming_both() {
    for (key, place) in [
        ("arn:aws:kms:eu-west-1:111122223333:key/a", "in eu-west-1 of account 111122223333,"),
        (
            "arn:aws:kms:us-east-1:444455556666:key/111122223333",
            "in us-east-1 of account 444455556666,",
        ),
        ("arn:aws-cn:kms:cn-north-1:111122223333:key/a", "in cn-north-1 of account 111122223333,"),
        (
            "arn:aws:kms:us-west-2:111122223333:key/mrk-1234",
            "in us-west-2 of account 111122223333,",
        ),
    ] {
        for (field, arn) in
            [("kinesisStreamArn", KINESIS_ARN), ("firehoseDeliveryStreamArn", FIREHOSE_ARN)]
        {
            let spec = json!({"destination": {field: arn, "kmsKeyArn": key}});
            let message = declared(spec).expect_err("should be refused").to_string();
            assert!(message.starts_with("spec.destination.kmsKeyArn"), "{message}");
            for said in [place, "the stream is in us-east-1 of account 111122223333"] {
                assert!(message.contains(said), "{message:?} should say {said:?}");
            }
        }
    }
}

#[test]
fn conflicting_fields_are_rejected_naming_both() {
    let other_account = json!({
        "destination": {"kinesisStreamArn": KINESIS_ARN},
        "source": {"accountId": "444455556666", "region": "us-east-1"},
    });
    let other_partition = json!({
        "destination": {"kinesisStreamArn": KINESIS_ARN},
        "source": {"accountId": "111122223333", "region": "cn-north-1"},
    });
    let other_boundary = json!({
        "destination": {"kinesisStreamArn": KINESIS_ARN},
        "permissionsBoundaryArn": "arn:aws-cn:iam::111122223333:policy/boundary",
    });
    for (spec, sides) in [
        (other_account, ["111122223333", "444455556666"]),
        (other_partition, ["partition aws ", "aws-cn"]),
        (other_boundary, ["partition aws ", "permissionsBoundaryArn is in aws-cn"]),
    ] {
        let message = declared(spec).expect_err("should be refused").to_string();
        for side in sides {
            assert!(message.contains(side), "{message:?} should name {side:?}");
        }
    }
}

#[test]
fn tag_keys_that_iam_treats_as_equal_are_rejected_naming_both() {
    for (one, other) in
        [("Team", "team"), ("team", "\u{ff54}eam"), ("id", "\u{131}d"), ("key", "\u{212a}ey")]
    {
        let spec = json!({"destination": {"kinesisStreamArn": KINESIS_ARN}, "tags": {one: "a", other: "b"}});
        let message = declared(spec).expect_err("should be refused").to_string();
        assert!(message.contains(&format!("{one:?} and {other:?}")), "{message}");
    }
}

#[test]
fn tag_keys_that_iam_treats_as_ownership_keys_are_rejected() {
    for (key, said) in [
        ("streamrole.dev/uid", "reserved"),
        ("\u{17f}treamrole.dev/uid", "reserved"),
        ("streamrole.dev/u\u{131}d", "reserved"),
        (" streamrole.dev/uid", "reserved"),
        ("\u{ff41}ws:x", "reserved"),
        ("team ", "white space"),
        ("\u{3000}team", "white space"),
    ] {
        let spec = json!({"destination": {"kinesisStreamArn": KINESIS_ARN}, "tags": {key: "a"}});
        let message = declared(spec).expect_err("should be refused").to_string();
        assert!(message.contains(&format!("{key:?}")) && message.contains(said), "{message}");
    }
}
