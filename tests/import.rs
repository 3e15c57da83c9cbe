//! `streamrole import`: the real binary against an account in memory. After a change, `INSTA_UPDATE=always cargo test
//! --test import` accepts the output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use kube::core::ObjectMeta;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Value, json};
use streamrole::api::{Kind, RoleResource, unknown_fields};
use streamrole::policy::{AccountId, Document, Region};
use streamrole::role::{
    Action, Defaults, DesiredRole, Held, LiveDocument, ObservedRole, Owner, Plan, Standing, plan,
};
use streamrole::service::{
    DestinationArn, DestinationKind, EventStream, KeyArn, SERVICES, Service, Source,
};
use support::in_process::{InProcess, NAMESPACE};
use support::{ACCOUNT_ID, MemoryIam, Role, set_aws_environment};

/// The exit code, the resources, and the messages.
struct Imported {
    code: i32,
    out: String,
    err: String,
}

/// An account with these roles.
async fn account(roles: &[Role]) -> MemoryIam {
    let iam = MemoryIam::start(Duration::ZERO).await.unwrap();
    for role in roles {
        assert!(iam.account().add(role.clone()), "{} is there twice", role.name);
    }
    iam
}

async fn import(iam: &MemoryIam, args: &[&str], input: &str) -> Imported {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    set_aws_environment(&mut command, iam.url());
    command.env_remove("STREAMROLE_DEFAULT_TAG").arg("import").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let input = input.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A process that rejects its flags reads no input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    Imported {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A trust policy for this principal, with these conditions.
fn trust(principal: &str, conditions: impl Into<Option<Value>>) -> Value {
    let mut statement =
        json!({"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"});
    if let Some(conditions) = conditions.into() {
        statement["Condition"] = conditions;
    }
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn by_source(arn: &str) -> Value {
    json!({
        "StringEquals": {"aws:SourceAccount": ACCOUNT_ID},
        "ArnLike": {"aws:SourceArn": format!("arn:aws:{arn}")},
    })
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resource})
}

fn policy(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

fn kinesis(name: &str) -> String {
    format!("arn:aws:kinesis:us-east-1:{ACCOUNT_ID}:stream/{name}")
}

fn firehose(name: &str) -> String {
    format!("arn:aws:firehose:us-east-1:{ACCOUNT_ID}:deliverystream/{name}")
}

fn key() -> String {
    format!("arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/1234abcd")
}

const PINPOINT_POLICY: &str = "PinpointEventStreamPermissionsPolicy";
const POLICY: &str = "EventStreamPermissionsPolicy";
const TO_KINESIS: &[&str] = &["kinesis:PutRecords", "kinesis:DescribeStream"];
const TO_FIREHOSE: &[&str] = &["firehose:PutRecordBatch", "firehose:DescribeDeliveryStream"];
const WRITE: &[&str] = &["firehose:PutRecord", "firehose:PutRecordBatch"];

fn role(name: &str, trust: &Value, inline: &[(&str, String)]) -> Role {
    let inline = inline.iter().map(|(name, text)| ((*name).to_owned(), text.clone()));
    Role {
        name: name.into(),
        path: "/".into(),
        trust_policy: trust.to_string(),
        max_session_duration: "3600".into(),
        inline: inline.collect(),
        ..Role::default()
    }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Roles of many makers. The names begin with a letter that orders them.
#[allow(clippy::too_many_lines, reason = "a list")]
fn roles() -> Vec<Role> {
    let pinpoint = || trust("pinpoint.amazonaws.com", None);
    let project = "mobiletargeting:us-east-1:111122223333:apps/0123456789abcdef0123456789abcdef";
    let ses = || by_source("ses:us-east-1:111122223333:configuration-set/newsletter");
    vec![
        role(
            "a-pinpoint-by-the-older-page",
            &pinpoint(),
            &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("a"))]))],
        ),
        Role {
            path: "/streaming/".into(),
            description: "Zeilen\n--- und # mehr: \"x\" 'y' \u{e9}".into(),
            max_session_duration: "7200".into(),
            boundary: Some("arn:aws:iam::111122223333:policy/boundary".into()),
            tags: tags(&[("team", "yes"), ("stage", "1.10"), ("empty", ""), ("null", "no")]),
            ..role(
                "b-ses-with-settings",
                &trust("ses.amazonaws.com", ses()),
                &[(POLICY, policy(&[allow(&["firehose:PutRecordBatch"], &firehose("b"))]))],
            )
        },
        Role {
            path: "/service-role/".into(),
            ..role(
                "c-console-regional-principal",
                &trust("pinpoint.us-east-1.amazonaws.com", None),
                &[(
                    "oneClick_PinpointEventStream_1700000000",
                    policy(&[allow(TO_KINESIS, &kinesis("c"))]),
                )],
            )
        },
        Role {
            tags: tags(&[
                ("aws:cloudformation:stack-name", "Stack\nname"),
                ("aws:cloudformation:logical-id", "Role1ABC"),
                ("team", "a"),
            ]),
            ..role(
                "Stack-RoleD1E2F3A4-X5Y6",
                &trust("pinpoint.amazonaws.com", by_source(project)),
                &[("RoleDefaultPolicyABC123", policy(&[allow(TO_FIREHOSE, &firehose("d"))]))],
            )
        },
        role(
            "e-terraform",
            &json!({"Version": "2012-10-17", "Statement": {"Sid": "", "Effect": "Allow", "Principal": {"Service": ["pinpoint.amazonaws.com"]}, "Action": ["sts:AssumeRole"]}}),
            &[(
                "terraform-20260101000000000000000001",
                policy(&[allow(&["firehose:*"], &firehose("e"))]),
            )],
        ),
        role(
            "f-script-wide-with-other-statements",
            &pinpoint(),
            &[(
                PINPOINT_POLICY,
                policy(&[
                    allow(&["kinesis:*"], &kinesis("f")),
                    allow(&["s3:GetObject"], "arn:aws:s3:::bucket/*"),
                ]),
            )],
        ),
        Role {
            tags: tags(&[
                ("services.k8s.aws/controller-version", "iam-v1.3.13"),
                ("services.k8s.aws/namespace", "ack"),
            ]),
            ..role(
                "g-ack",
                &pinpoint(),
                &[(PINPOINT_POLICY, policy(&[allow(TO_FIREHOSE, &firehose("g"))]))],
            )
        },
        role(
            "h-rule-on-a-custom-bus",
            &trust(
                "events.amazonaws.com",
                by_source("events:us-east-1:111122223333:rule/orders/all"),
            ),
            &[(POLICY, policy(&[allow(&["kinesis:PutRecord"], &kinesis("h"))]))],
        ),
        role(
            "i-subscription-filter",
            &trust(
                "logs.us-east-1.amazonaws.com",
                Some(
                    json!({"StringLike": {"aws:SourceArn": "arn:aws:logs:us-east-1:111122223333:*"}}),
                ),
            ),
            &[(POLICY, policy(&[allow(&["kinesis:PutRecord"], &kinesis("i"))]))],
        ),
        role(
            "j-sms-to-a-log-group",
            &trust(
                "sms-voice.amazonaws.com",
                by_source("sms-voice:us-east-1:111122223333:configuration-set/alerts"),
            ),
            &[(
                POLICY,
                policy(&[allow(
                    &["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    "arn:aws:logs:us-east-1:111122223333:log-group:/sms/events:*",
                )]),
            )],
        ),
        role(
            "k-sns-subscription",
            &trust("sns.amazonaws.com", None),
            &[(
                POLICY,
                policy(&[allow(
                    &[
                        "firehose:DescribeDeliveryStream",
                        "firehose:ListDeliveryStreams",
                        "firehose:ListTagsForDeliveryStream",
                        "firehose:PutRecord",
                        "firehose:PutRecordBatch",
                    ],
                    &firehose("k"),
                )]),
            )],
        ),
        role(
            "l-whatsapp-to-a-topic",
            &trust(
                "social-messaging.amazonaws.com",
                by_source("social-messaging:us-east-1:111122223333:*"),
            ),
            &[(POLICY, policy(&[allow(&["sns:Publish"], "arn:aws:sns:us-east-1:111122223333:l")]))],
        ),
        Role {
            attached: BTreeSet::from(["arn:aws:iam::111122223333:policy/metrics".to_owned()]),
            ..role(
                "m-permissions-only-attached",
                &trust("streams.metrics.cloudwatch.amazonaws.com", None),
                &[],
            )
        },
        role(
            "n-iot-with-a-key",
            &trust("iot.amazonaws.com", by_source("iot:us-east-1:111122223333:rule/readings")),
            &[(
                POLICY,
                policy(&[
                    allow(WRITE, &firehose("n")),
                    allow(&["kms:GenerateDataKey", "kms:Decrypt"], &key()),
                ]),
            )],
        ),
        role(
            "o-schedules-of-a-group",
            &trust(
                "scheduler.amazonaws.com",
                by_source("scheduler:us-east-1:111122223333:schedule-group/default"),
            ),
            &[(POLICY, policy(&[allow(&["kinesis:PutRecord"], &kinesis("o"))]))],
        ),
        role(
            "p-several-destinations",
            &pinpoint(),
            &[(
                PINPOINT_POLICY,
                policy(&[
                    json!({"Effect": "Allow", "Action": TO_KINESIS, "Resource": [kinesis("p1"), kinesis("p2")]}),
                    allow(TO_FIREHOSE, &firehose("p3")),
                ]),
            )],
        ),
        role(
            "q-other-trust",
            &json!({"Version": "2012-10-17", "Statement": [trust("ses.amazonaws.com", ses())["Statement"][0], {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"}]}),
            &[(POLICY, policy(&[allow(&["firehose:PutRecordBatch"], &firehose("q"))]))],
        ),
        Role {
            tags: tags(&[
                ("streamrole.dev/cluster", "c1"),
                ("streamrole.dev/resource", "EventStreamRole/ns/a\nb"),
                ("streamrole.dev/uid", "u1"),
            ]),
            ..role(
                "r-owned",
                &pinpoint(),
                &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("r"))]))],
            )
        },
        Role {
            path: "/aws-service-role/ses.amazonaws.com/".into(),
            ..role(
                "AWSServiceRoleForAmazonSES",
                &trust("ses.amazonaws.com", None),
                &[("own", policy(&[allow(&["firehose:PutRecordBatch"], &firehose("s"))]))],
            )
        },
        role(
            "t-function",
            &trust("lambda.amazonaws.com", None),
            &[("own", policy(&[allow(&["firehose:PutRecordBatch"], &firehose("t"))]))],
        ),
        Role {
            attached: BTreeSet::from(["arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned()]),
            ..role(
                "u-extra-policies",
                &pinpoint(),
                &[
                    (PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("u"))])),
                    ("broken", "{".into()),
                    ("x\n---\nkind: Secret\u{2028}# \u{202e}", policy(&[allow(&["s3:*"], "*")])),
                ],
            )
        },
        Role {
            tags: tags(&[
                ("streamrole.dev/note", "x"),
                ("AWS:odd", "x"),
                ("cost center", "a/b:c=d"),
                ("bad*key", "x"),
            ]),
            ..role(
                "v-reserved-tags",
                &pinpoint(),
                &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("v"))]))],
            )
        },
        role(
            "w-ses-without-conditions",
            &trust("ses.amazonaws.com", None),
            &[(POLICY, policy(&[allow(&["firehose:PutRecordBatch"], &firehose("w"))]))],
        ),
        Role {
            path: "/streaming/".into(),
            ..role(
                "x-path-that-the-service-rejects",
                &trust(
                    "social-messaging.amazonaws.com",
                    by_source("social-messaging:us-east-1:111122223333:*"),
                ),
                &[(
                    POLICY,
                    policy(&[allow(&["sns:Publish"], "arn:aws:sns:us-east-1:111122223333:x")]),
                )],
            )
        },
        role(
            "Y_App_Events",
            &pinpoint(),
            &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("y"))]))],
        ),
        role(
            "y.app.events",
            &pinpoint(),
            &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("y2"))]))],
        ),
        role(
            "z-key-in-another-policy",
            &pinpoint(),
            &[
                ("stream", policy(&[allow(TO_FIREHOSE, &firehose("z"))])),
                ("key", policy(&[allow(&["kms:GenerateDataKey", "kms:Decrypt"], &key())])),
            ],
        ),
        Role {
            path: "/a*b/".into(),
            ..role(
                "z-path-with-a-wildcard",
                &pinpoint(),
                &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("z"))]))],
            )
        },
        role(
            "z-unreadable-trust",
            &json!("text"),
            &[(PINPOINT_POLICY, policy(&[allow(TO_KINESIS, &kinesis("z"))]))],
        ),
        role(
            "z-key-elsewhere",
            &trust("ses.amazonaws.com", ses()),
            &[
                (POLICY, policy(&[allow(&["firehose:PutRecordBatch"], &firehose("z2"))])),
                (
                    "other",
                    policy(&[allow(
                        &["kms:Decrypt"],
                        "arn:aws:kms:eu-west-1:111122223333:key/1234abcd",
                    )]),
                ),
            ],
        ),
    ]
}

/// The YAML documents of the output.
fn documents(out: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in out.split_inclusive('\n') {
        if line == "---\n" {
            all.push(String::new());
        } else {
            all.last_mut().unwrap().push_str(line);
        }
    }
    all.retain(|document| !document.is_empty());
    all
}

/// The resource of a document, as the API server and the controller read it.
fn resource(document: &str) -> RoleResource {
    let value: Value =
        serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"));
    let kind = Kind::named(value["kind"].as_str().unwrap()).unwrap();
    assert_eq!(value["apiVersion"], format!("{}/{}", kind.group, kind.version));
    assert_eq!(unknown_fields(kind, &value), Vec::<String>::new());
    let spec = (kind.read)(value["spec"].clone()).unwrap_or_else(|e| panic!("{e:?}: {document}"));
    let metadata: ObjectMeta = serde_json::from_value(value["metadata"].clone()).unwrap();
    let name = metadata.name.clone().unwrap();
    let is_label = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    assert!(name.split('.').all(is_label), "{name:?} is a DNS name");
    RoleResource { kind, metadata, spec, status: None }
}

/// The role as IAM shows it.
fn observed(role: &Role) -> ObservedRole {
    ObservedRole {
        arn: format!("arn:aws:iam::{ACCOUNT_ID}:role{}{}", role.path, role.name),
        role_id: role.id.clone(),
        path: role.path.clone(),
        description: role.description.clone(),
        max_session_duration_seconds: role.max_session_duration.parse().unwrap(),
        permissions_boundary: role.boundary.clone(),
        tags: role.tags.clone(),
        trust_policy: LiveDocument::read(&role.trust_policy),
        inline_policies: role
            .inline
            .iter()
            .map(|(name, text)| (name.clone(), Some(LiveDocument::read(text))))
            .collect(),
        attached_policies: role.attached.clone(),
        ..ObservedRole::default()
    }
}

/// The plan of the controller for an imported resource.
fn plan_of(resource: &RoleResource, live: &ObservedRole) -> Plan {
    let desired = DesiredRole {
        declaration: resource.declaration(&Defaults::default()).unwrap(),
        owner: Owner { cluster: "c1".into(), resource: "ns/a".into(), uid: "u1".into() },
        held: Held::default(),
    };
    plan(&desired, Some(live), |_| Standing::Gone).unwrap()
}

/// Asserts what the comment above the resource promises.
fn check(document: &str, iam: &MemoryIam) -> bool {
    let resource = resource(document);
    let name = resource.settings().role_name.clone().unwrap();
    let live = observed(&iam.account().role(&name).unwrap());
    let plan = plan_of(&resource, &live);
    assert!(plan.adopts(), "{name} is adopted");
    let is_empty = document.contains("# Adoption writes only the ownership tags.\n");
    assert_eq!(plan.changes.len() == 1, is_empty, "{name}: {:?}", plan.changes);
    is_empty
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_of_every_maker_become_resources_that_adopt_them() {
    let iam = account(&roles()).await;
    let Imported { code, out, err } = import(&iam, &["--all"], "").await;
    assert_eq!(code, 1, "{err}");
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("import-all", out);
        insta::assert_snapshot!("import-all-messages", err);
    });
    let documents = documents(&out);
    let empty = documents.iter().filter(|document| check(document, &iam)).count();
    assert!(documents.len() >= 15 && empty >= 10, "{} documents, {empty} empty", documents.len());
    let names = documents.iter().map(|document| resource(document).metadata.name.unwrap());
    assert_eq!(names.collect::<BTreeSet<_>>().len(), documents.len(), "names are unique");
    // Comments and documents hold no line by others.
    assert!(!out.lines().any(|line| line.starts_with("kind: Secret")), "{out}");
    let calls = iam.calls().by_action;
    assert_eq!(calls.keys().collect::<Vec<_>>(), ["GetAccountAuthorizationDetails", "ListRoles"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_by_name_gives_the_same_resource_as_all_roles() {
    let iam = account(&roles()).await;
    let all = documents(&import(&iam, &["--all"], "").await.out);
    for name in ["b-ses-with-settings", "z-key-in-another-policy", "u-extra-policies"] {
        let one = import(&iam, &["--role-name", name], "").await;
        assert_eq!(documents(&one.out).len(), 1, "{}", one.err);
        assert!(all.contains(&one.out), "{name}: {}", one.out);
        let expected = i32::from(!one.out.contains("# Adoption writes only the ownership tags."));
        assert_eq!(one.code, expected, "{name}: {}", one.err);
    }
    let two = import(&iam, &["-n", "ns", "--role-name", "y_app_events", "Y_APP_EVENTS"], "").await;
    let [only] = &*documents(&two.out) else { panic!("{}", two.out) };
    let resource = resource(only);
    assert_eq!(resource.metadata.namespace.as_deref(), Some("ns"));
    assert_eq!(resource.settings().role_name.as_deref(), Some("Y_App_Events"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_role_that_cannot_be_imported_is_an_error_with_the_reason() {
    let iam = account(&roles()).await;
    for (name, code, words) in [
        ("absent", 2, "role absent does not exist in this account"),
        ("t-function", 2, "names no service that streamrole knows"),
        ("AWSServiceRoleForAmazonSES", 2, "service-linked role"),
        ("m-permissions-only-attached", 2, "put the permissions into an inline policy first"),
        ("x-path-that-the-service-rejects", 2, "rejects a role with a path"),
        ("z-unreadable-trust", 2, "its trust policy cannot be compared"),
        ("r-owned", 0, r"its tags name an owner, EventStreamRole ns/a\nb"),
    ] {
        let one = import(&iam, &["--role-name", name], "").await;
        assert_eq!((one.code, &*one.out), (code, ""), "{name}: {}", one.err);
        assert!(one.err.contains(words), "{name}: {}", one.err);
    }
    let stream = "arn:aws:kinesis:us-east-1:444455556666:stream/events";
    let permissions = policy(&[allow(TO_KINESIS, stream)]);
    let pinpoint = trust("pinpoint.amazonaws.com", None);
    let elsewhere = account(&[role("elsewhere", &pinpoint, &[("p", permissions)])]).await;
    let one = import(&elsewhere, &["--role-name", "elsewhere"], "").await;
    assert_eq!((one.code, &*one.out), (2, ""), "{}", one.err);
    assert!(one.err.contains("in account 444455556666 and the role in account"), "{}", one.err);

    let nothing = account(&[]).await;
    let none = import(&nothing, &["--all"], "").await;
    assert_eq!((none.code, &*none.out), (0, ""));
    assert_eq!(none.err, "streamrole: no event stream role to import\n");
    for args in [&[][..], &["--all", "--role-name", "a"], &["--role-name", "a b"]] {
        assert_eq!(import(&nothing, args, "").await.code, 2, "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn default_tags_of_the_controller_are_a_change() {
    let iam = account(&roles()).await;
    let args = ["--role-name", "a-pinpoint-by-the-older-page", "--default-tag", "team=a"];
    let one = import(&iam, &args, "").await;
    assert_eq!(one.code, 1, "{}", one.err);
    assert!(one.out.contains("#   tags[team]: (none) -> a\n"), "{}", one.out);
}

const TERRAFORM: &str = r#"{"format_version": "1.0", "values": {"root_module": {
  "resources": [
    {"address": "aws_iam_role.events", "mode": "managed", "type": "aws_iam_role", "name": "events", "values": {"name": "e-terraform"}},
    {"address": "data.aws_iam_role.other", "mode": "data", "type": "aws_iam_role", "name": "other", "values": {"name": "g-ack"}},
    {"address": "aws_s3_bucket.a", "mode": "managed", "type": "aws_s3_bucket", "name": "a", "values": {"name": "g-ack"}}],
  "child_modules": [{"address": "module.x", "resources": [
    {"address": "module.x.aws_iam_role.y[\"o'\nne\"]", "mode": "managed", "type": "aws_iam_role", "name": "y", "values": {"name": "b-ses-with-settings"}},
    {"address": "module.x.aws_iam_role.function", "mode": "managed", "type": "aws_iam_role", "name": "function", "values": {"name": "t-function"}},
    {"address": "module.x.aws_iam_role.unknown", "mode": "managed", "type": "aws_iam_role", "name": "unknown", "values": {"name": null}}]}]}}}"#;

const TEMPLATE: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: {Type: String}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
Resources:
  Events:
    Type: AWS::IAM::Role
    Condition: IsProd
    Properties:
      RoleName: e-terraform
      AssumeRolePolicyDocument: !Sub |
        {"Version": "2012-10-17"}
  Quoted:
    Type: AWS::IAM::Role
    DeletionPolicy: Retain
    Properties: {RoleName: 'b-ses-with-settings', Tags: [{Key: a, Value: !GetAtt Events.Arn}]}
  Computed:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub "${AWS::StackName}-events"
  Referred: {Type: "AWS::IAM::Role", Properties: {RoleName: !Ref a-pinpoint-by-the-older-page}}
  Generated:
    Type: AWS::IAM::Role
    Properties:
      Path: !If [IsProd, /a/, !Ref "AWS::NoValue"]
  Fn::ForEach::Roles:
    - Name
    - [a, b]
    - "${Name}": {Type: AWS::IAM::Role}
  Bucket:
    Type: AWS::S3::Bucket
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_come_from_terraform_and_cloudformation() {
    let iam = account(&roles()).await;
    let json = json!({"Resources": {
        "Events": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "e-terraform"}},
        "Computed": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Fn::Sub": "x"}}},
    }});
    let mut shown = String::new();
    for (flag, input) in [
        ("--from-terraform", TERRAFORM),
        ("--from-cloudformation", TEMPLATE),
        (
            "--from-cloudformation",
            &serde_json::to_string_pretty(&json).unwrap().replace("  ", "\t"),
        ),
    ] {
        let Imported { code, out, err } = import(&iam, &[flag, "-"], input).await;
        assert_eq!(code, 1, "{err}");
        for document in documents(&out) {
            check(&document, &iam);
        }
        shown += &["===== ", flag, "\n", &out, "===== messages\n", &err].concat();
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("import-from-files", shown);
    });
    for (flag, input, words) in [
        ("--from-terraform", "not JSON", "terraform show -json"),
        ("--from-terraform", "{\"version\": 4}", "not the state file"),
        ("--from-cloudformation", "a: [", "not a CloudFormation template"),
        ("--from-cloudformation", "a: b", "has no Resources"),
        ("--from-cloudformation", "[]", "has no Resources"),
    ] {
        let bad = import(&iam, &[flag, "-"], input).await;
        assert!(bad.code == 2 && bad.err.contains(words), "{flag} {input}: {}", bad.err);
    }
    let missing = TERRAFORM.replace("e-terraform", "gone");
    let missing = import(&iam, &["--from-terraform", "-"], &missing).await;
    assert!(
        missing.code == 2 && missing.err.contains("role gone does not exist"),
        "{}",
        missing.err
    );
}

/// The resources for [`roles`] whose adoption writes only the ownership tags.
fn resources_with_an_empty_plan() -> Vec<(RoleResource, Value)> {
    let run = || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let iam = account(&roles()).await;
            import(&iam, &["--all", "-n", NAMESPACE], "").await.out
        })
    };
    // The clock of the test's own runtime is paused.
    let out = std::thread::spawn(run).join().unwrap();
    let is_empty = |document: &&String| document.contains("# Adoption writes only the");
    let with_spec = |document: &String| {
        let value: Value = serde_saphyr::from_str(document).unwrap();
        (resource(document), value["spec"].clone())
    };
    documents(&out).iter().filter(is_empty).map(with_spec).collect()
}

#[tokio::test(start_paused = true)]
async fn the_controller_adopts_such_a_role_with_no_write_but_the_ownership_tags() {
    let resources = resources_with_an_empty_plan();
    assert!(resources.len() >= 10, "{}", resources.len());
    let world = InProcess::new();
    let roles: BTreeMap<_, _> = roles().into_iter().map(|role| (role.name.clone(), role)).collect();
    for (resource, spec) in resources {
        let role = resource.settings().role_name.clone().unwrap();
        let id = format!("AROA{role}");
        world.roles.put(&role, |live| {
            *live = ObservedRole { role_id: id, ..observed(&roles[&role]) };
        });
        let _ = world.roles.take_calls();
        let (kind, name) = (resource.kind.name, resource.metadata.name.clone().unwrap());
        world.cluster.apply(kind, NAMESPACE, &name, &spec);
        let name = format!("{kind}/{NAMESPACE}/{name}");
        let is_ready = || match world.ready(&name) {
            (status, ..) if status == "True" => Ok(()),
            ready => Err(format!("{ready:?}")),
        };
        world.until(&format!("{name} to be Ready"), is_ready).await;
        let calls = world.roles.take_calls();
        let writes: Vec<_> = calls.iter().filter(|call| !call.name().starts_with("Get")).collect();
        // IAM rejects the creation, because the role exists.
        assert_eq!(writes, [&Action::CreateRole, &Action::TagRole], "{role}");
        let live = world.roles.role(&role).unwrap();
        let mut tags = roles[&role].tags.clone();
        tags.retain(|key, _| !key.starts_with("streamrole.dev/"));
        let without_ownership =
            live.tags.iter().filter(|(key, _)| !key.starts_with("streamrole.dev/"));
        assert!(without_ownership.eq(&tags), "{role}: {:?}", live.tags);
        assert_eq!(live.tags["streamrole.dev/adopted"], "true", "{role}");
    }
}

/// A declared event stream of this row.
fn stream(service: &'static Service, kind: DestinationKind) -> impl Strategy<Value = EventStream> {
    let fields: Vec<_> = service
        .source
        .fields
        .iter()
        .map(|field| {
            let name = string_regex(&field.pattern()).expect("a regular expression");
            prop_oneof![4 => name, 1 => Just(field.default.unwrap_or("*").to_owned())]
                .prop_map(|value| (field.name.to_owned(), value))
        })
        .collect();
    let (namespace, resource) = kind.pattern();
    let resource = string_regex(&resource).expect("a regular expression");
    (fields, resource, any::<bool>(), any::<bool>()).prop_map(
        move |(fields, resource, with_key, with_source)| {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let source = Source {
                account: AccountId::parse(ACCOUNT_ID).unwrap(),
                region: Region::parse("us-east-1").unwrap(),
                name: service.source.name_of(&fields).unwrap(),
            };
            let arn = format!("arn:aws:{namespace}:us-east-1:{ACCOUNT_ID}:{resource}");
            let destination = DestinationArn::parse(kind, &arn).unwrap();
            let has_key = with_key && kind != DestinationKind::LogGroup;
            let key = has_key.then(|| KeyArn::parse(&key()).unwrap());
            let has_source = with_source || service.ended.is_none();
            EventStream::new(service, has_source.then_some(source), destination, key).unwrap()
        },
    )
}

/// One event stream of each row of the table.
fn each_row() -> impl Strategy<Value = Vec<EventStream>> {
    let rows = SERVICES.into_iter().flat_map(|service| {
        service.targets.iter().map(move |target| stream(service, target.kind).boxed())
    });
    rows.collect::<Vec<_>>()
}

/// Text that IAM accepts and YAML could misread.
fn description() -> impl Strategy<Value = String> {
    const HOSTILE: &[&str] = &[
        "",
        "yes",
        "null",
        "~",
        "1e3",
        "0x1F",
        "- a",
        "a: b",
        "# x",
        "a #b",
        "---",
        "&a",
        "*a",
        "!x",
        "%",
        "@",
        "`",
        "|",
        ">",
        "\"",
        "'",
        " a ",
        "\ta",
        "a\n",
        "\n\na",
        "a\r\nb",
        "\ra",
        "{}",
        "[",
        "key:",
        "? a",
        "2026-01-01",
        "<<",
        "=",
        "\\",
        "...\n",
        "a\n---\nkind: X\n",
        "\u{a1}\u{ad}",
    ];
    prop_oneof![select(HOSTILE).prop_map(str::to_owned), "[\\t\\n\\r -~\u{a1}-\u{ff}]{0,60}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_role_that_a_declaration_makes_imports_to_an_equivalent_declaration(
        streams in each_row(),
        descriptions in vec(description(), 24),
        tag in "[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,40}",
        seconds in 3600_u32..=43200,
    ) {
        let roles: Vec<_> = streams.iter().enumerate().map(|(index, stream)| {
            let inline = stream.permissions_policy().unwrap().to_string();
            Role {
                description: descriptions[index % descriptions.len()].clone(),
                max_session_duration: seconds.to_string(),
                tags: tags(&[("tag", &tag)]),
                ..role(&format!("r{index}"), &stream.trust_policy().unwrap().to_value(), &[(stream.service().policy_name, inline)])
            }
        }).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (iam, imported) = runtime.block_on(async {
            let iam = account(&roles).await;
            let imported = import(&iam, &["--all"], "").await;
            (iam, imported)
        });
        prop_assert_eq!(imported.code, 0, "{}{}", imported.out, imported.err);
        let documents = documents(&imported.out);
        prop_assert_eq!(documents.len(), roles.len());
        for document in documents {
            prop_assert!(check(&document, &iam), "{}", document);
            let resource = resource(&document);
            let declaration = resource.declaration(&Defaults::default()).unwrap();
            let role = iam.account().role(declaration.name.as_str()).unwrap();
            let is = |ours: &Document, live: &str| ours.equivalent(&Document::parse(live).unwrap());
            prop_assert!(is(&declaration.trust_policy, &role.trust_policy));
            let policy = &declaration.permissions_policy;
            prop_assert!(is(&policy.document, &role.inline[&policy.name]));
            prop_assert_eq!(&declaration.description, &role.description);
            prop_assert_eq!(&declaration.tags, &role.tags);
        }
    }
}
