//! The documents that a resource declares, held against AWS's own page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use kube::core::ObjectMeta;
use serde_json::{Value, json};
use streamrole::api::{PinpointEventStreamRole, PinpointEventStreamRoleSpec};
use streamrole::role::{DesiredRole, SpecError, desired};

const TRUST: &str = include_str!("aws-page/trust-policy.json");
const KINESIS: &str = include_str!("aws-page/kinesis-permissions-policy.json");
const FIREHOSE: &str = include_str!("aws-page/firehose-permissions-policy.json");

const KINESIS_ARN: &str = "arn:aws:kinesis:us-east-1:111122223333:stream/app-events";
const FIREHOSE_ARN: &str = "arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events";

fn declared(spec: Value) -> Result<DesiredRole, SpecError> {
    let spec: PinpointEventStreamRoleSpec =
        serde_json::from_value(spec).expect("the spec fits the type");
    let resource = PinpointEventStreamRole {
        metadata: ObjectMeta {
            name: Some("app-events".into()),
            namespace: Some("marketing".into()),
            uid: Some("u1".into()),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    };
    desired(&resource, "c1")
}

fn from_page(document: &str) -> Value {
    let filled = document
        .replace("region:account-id", "us-east-1:111122223333")
        .replace("delivery-stream-name", "app-events")
        .replace("stream-name", "app-events");
    serde_json::from_str(&filled).unwrap()
}

#[test]
fn with_only_name_and_destination_the_documents_are_those_of_awss_page() {
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
            role.permissions_policy.to_value(),
            from_page(page),
            "permissions policy for {field}"
        );
    }
}

#[test]
fn a_source_adds_the_confused_deputy_conditions_in_its_own_partition() {
    for (partition, region) in
        [("aws", "eu-central-1"), ("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")]
    {
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
fn the_region_of_the_stream_may_differ_from_that_of_the_project() {
    let spec = json!({
        "destination": {"kinesisStreamArn": KINESIS_ARN},
        "source": {"accountId": "111122223333", "region": "eu-west-1"},
    });
    assert!(declared(spec).is_ok());
}

#[test]
fn a_customer_managed_key_adds_the_permission_to_generate_data_keys_with_it_alone() {
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let role =
        declared(json!({"destination": {"kinesisStreamArn": KINESIS_ARN, "kmsKeyArn": key}}))
            .unwrap();
    let expected = json!({
        "Version": "2012-10-17",
        "Statement": [
            from_page(KINESIS)["Statement"],
            {"Effect": "Allow", "Action": ["kms:GenerateDataKey"], "Resource": [key]},
        ],
    });
    assert_eq!(role.permissions_policy.to_value(), expected);
}

#[test]
fn what_cannot_work_together_is_refused_naming_both_sides() {
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
    let key_elsewhere = json!({
        "destination": {
            "kinesisStreamArn": KINESIS_ARN,
            "kmsKeyArn": "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd",
        },
    });
    for (spec, sides) in [
        (other_account, ["111122223333", "444455556666"]),
        (other_partition, ["partition aws ", "aws-cn"]),
        (other_boundary, ["partition aws ", "permissionsBoundaryArn is in aws-cn"]),
        (key_elsewhere, ["partition aws ", "kmsKeyArn is in aws-cn"]),
    ] {
        let message = declared(spec).expect_err("should be refused").to_string();
        for side in sides {
            assert!(message.contains(side), "{message:?} should name {side:?}");
        }
    }
}

#[test]
fn tag_keys_that_iam_takes_for_one_are_refused_naming_both() {
    let spec = json!({"destination": {"kinesisStreamArn": KINESIS_ARN}, "tags": {"Team": "a", "team": "b"}});
    let message = declared(spec).expect_err("should be refused").to_string();
    assert!(message.contains("\"Team\" and \"team\""), "{message}");
}
