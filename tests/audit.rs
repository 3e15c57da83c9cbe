//! `streamrole audit`: no finding on a role that a declaration makes, a finding for each planted fault, and the views of
//! an account with roles of different origin. `INSTA_UPDATE=always cargo test --test audit` accepts changed views.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use jiff::civil::{Date, date};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::{Value, json};
use streamrole::audit::{Report, Rule, Severity, audit};
use streamrole::policy::{AccountId, Region};
use streamrole::role::{LiveDocument, ObservedRole, Owner, ResourceName};
use streamrole::service::{
    Conditions, DestinationArn, DestinationKind, EventStream, FIRST_KIND, KeyArn, SERVICES,
    Service, Source, SourceField,
};
use support::{MemoryIam, Role, measures, set_aws_environment};

const ACCOUNT: &str = "111122223333";
const TODAY: Date = date(2026, 11, 25);

fn live(document: &Value) -> LiveDocument {
    LiveDocument::read(&document.to_string())
}

fn audited(role: &ObservedRole) -> Report {
    audit([("role", role)], TODAY)
}

/// The rules with a finding of level warning or error.
fn alarms(report: &Report) -> BTreeSet<&'static str> {
    let findings = report.findings.iter();
    let alarms = findings.filter(|finding| finding.severity >= Severity::Warning);
    alarms.map(|finding| finding.rule.id()).collect()
}

// The role that a declaration makes.

fn value(field: &'static SourceField) -> BoxedStrategy<String> {
    let name = string_regex(&field.pattern()).expect("a regular expression");
    match field.default {
        Some(default) => prop_oneof![name, Just(default.to_owned())].boxed(),
        None => prop_oneof![4 => name, 1 => Just("*".to_owned())].boxed(),
    }
}

fn fields(service: &'static Service) -> impl Strategy<Value = BTreeMap<String, String>> {
    let of = |field: &'static SourceField| value(field).prop_map(|v| (field.name.to_owned(), v));
    let all: Vec<_> = service.source.fields.iter().map(of).collect();
    all.prop_map(|fields| fields.into_iter().collect())
}

fn destination(kind: DestinationKind, region: String) -> impl Strategy<Value = DestinationArn> {
    let (namespace, resource) = kind.pattern();
    let resource = string_regex(&resource).expect("a regular expression");
    resource.prop_map(move |resource| {
        let partition = Region::parse(&region).unwrap().partition();
        let arn = format!("arn:{partition}:{namespace}:{region}:{ACCOUNT}:{resource}");
        DestinationArn::parse(kind, &arn).unwrap()
    })
}

fn streams(service: &'static Service, kind: DestinationKind) -> impl Strategy<Value = EventStream> {
    select(service.partitions).prop_flat_map(move |partition| {
        let code = string_regex(&partition.region_pattern()).expect("a regular expression");
        (code, fields(service)).prop_flat_map(move |(region, fields)| {
            let source = Source {
                account: AccountId::parse(ACCOUNT).unwrap(),
                region: Region::parse(&region).unwrap(),
                name: service.source.name_of(&fields).unwrap(),
            };
            let is_optional = service.ended.is_some();
            (destination(kind, region.clone()), any::<bool>(), any::<bool>()).prop_map(
                move |(destination, has_source, with_key)| {
                    let key = format!("arn:{partition}:kms:{region}:{ACCOUNT}:key/1234abcd");
                    let key = (kind != DestinationKind::LogGroup && with_key)
                        .then(|| KeyArn::parse(&key).unwrap());
                    let source = (has_source || !is_optional).then(|| source.clone());
                    EventStream::new(service, source, destination, key).unwrap()
                },
            )
        })
    })
}

fn role_of(stream: &EventStream) -> ObservedRole {
    let service = stream.service();
    let kind = if service.ended.is_some() { FIRST_KIND } else { "EventStreamRole" };
    let resource = ResourceName { kind: kind.into(), namespace: "ns".into(), name: "a".into() };
    let owner = Owner { cluster: "c".into(), resource: resource.tag(), uid: "u".into() };
    let permissions = LiveDocument::Document(stream.permissions_policy().unwrap());
    ObservedRole {
        arn: format!("arn:{}:iam::{ACCOUNT}:role/role", stream.partition()),
        path: "/".into(),
        tags: owner.tags(),
        trust_policy: LiveDocument::Document(stream.trust_policy().unwrap()),
        inline_policies: BTreeMap::from([(service.policy_name.to_owned(), Some(permissions))]),
        ..ObservedRole::default()
    }
}

#[test]
fn no_role_that_a_declaration_makes_has_a_finding() {
    for service in SERVICES {
        for target in service.targets {
            let mut runner = proptest::test_runner::TestRunner::deterministic();
            runner
                .run(&streams(service, target.kind), |stream| {
                    let report = audited(&role_of(&stream));
                    prop_assert_eq!(report.roles.len(), 1);
                    prop_assert!(report.roles[0].is_stream);
                    let mut expected = BTreeSet::new();
                    if service.ended.is_some() {
                        expected.insert("ended-service");
                    }
                    if stream.source().is_none() && service.conditions != Conditions::Undocumented {
                        expected.insert("missing-conditions");
                    }
                    prop_assert_eq!(alarms(&report), expected, "{:?}", report.findings);
                    Ok(())
                })
                .unwrap_or_else(|error| panic!("{} {:?}: {error}", service.key, target.kind));
        }
    }
}

// Planted faults.

/// A role by its documents.
struct Made {
    trust: Value,
    permissions: Value,
    role: ObservedRole,
}

impl Made {
    fn into_role(self) -> ObservedRole {
        let mut role = self.role;
        role.trust_policy = live(&self.trust);
        if !self.permissions.is_null() {
            let document = Some(live(&self.permissions));
            role.inline_policies.insert("write".into(), document);
        }
        role
    }
}

fn made(service: &str, kind: DestinationKind, name: &str) -> Made {
    let service = SERVICES.into_iter().find(|s| s.key == service).unwrap();
    let source = Source {
        account: AccountId::parse(ACCOUNT).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        name: Some(name.to_owned()).filter(|_| !service.source.fields.is_empty()),
    };
    let destination = DestinationArn::parse(kind, kind.example()).unwrap();
    let stream = EventStream::new(service, Some(source), destination, None).unwrap();
    Made {
        trust: json!({"Version": "2012-10-17", "Statement": [stream.trust_policy().unwrap().to_value()["Statement"][0]]}),
        permissions: json!({"Version": "2012-10-17", "Statement": [stream.permissions_policy().unwrap().to_value()["Statement"]]}),
        role: ObservedRole {
            arn: format!("arn:aws:iam::{ACCOUNT}:role/role"),
            path: "/".into(),
            ..ObservedRole::default()
        },
    }
}

fn ses() -> Made {
    made("ses", DestinationKind::Firehose, "a")
}

fn rule() -> Made {
    made("eventBridgeRule", DestinationKind::Kinesis, "a")
}

fn with_condition(mut made: Made, condition: Value) -> Made {
    made.trust["Statement"][0]["Condition"] = condition;
    made
}

fn with_principal(mut made: Made, principal: Value) -> Made {
    made.trust["Statement"][0]["Principal"] = principal;
    made
}

fn with_arn(made: Made, arn: &str) -> Made {
    let condition =
        json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": arn}});
    with_condition(made, condition)
}

fn with_actions(mut made: Made, actions: Value) -> Made {
    made.permissions["Statement"][0]["Action"] = actions;
    made
}

fn with_resource(mut made: Made, resource: Value) -> Made {
    made.permissions["Statement"][0]["Resource"] = resource;
    made
}

fn with_statement(mut made: Made, statement: Value) -> Made {
    made.permissions["Statement"].as_array_mut().unwrap().push(statement);
    made
}

fn with_trust(mut made: Made, statement: Value) -> Made {
    made.trust["Statement"].as_array_mut().unwrap().push(statement);
    made
}

fn with_role(mut made: Made, change: impl FnOnce(&mut ObservedRole)) -> Made {
    change(&mut made.role);
    made
}

fn with_attached(made: Made, arn: &str) -> Made {
    with_role(made, |role| {
        role.attached_policies.insert(arn.to_owned());
    })
}

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
const SET: &str = "arn:aws:ses:us-east-1:111122223333:configuration-set/a";

fn key_statement(actions: &str) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": KEY})
}

fn faults_of_trust() -> Vec<(&'static str, Made, &'static [&'static str])> {
    let pinpoint =
        || made("pinpoint", DestinationKind::Kinesis, "0123456789abcdef0123456789abcdef");
    let scheduler = || made("scheduler", DestinationKind::Kinesis, "default");
    let logs = || made("cloudWatchLogs", DestinationKind::Kinesis, "");
    let account =
        |value: Value| with_condition(ses(), json!({"StringEquals": {"aws:SourceAccount": value}}));
    vec![
        ("no condition", with_condition(ses(), Value::Null), &["missing-conditions"]),
        ("empty condition", with_condition(rule(), json!({})), &["missing-conditions"]),
        ("logs without condition", with_condition(logs(), json!({})), &["missing-conditions"]),
        (
            "only an excluded account",
            with_condition(
                ses(),
                json!({"StringNotEquals": {"aws:SourceAccount": "999988887777"}}),
            ),
            &["missing-conditions"],
        ),
        (
            "a condition on the user agent",
            with_condition(ses(), json!({"StringLike": {"aws:UserAgent": "*"}})),
            &["missing-conditions"],
        ),
        ("another account", account(json!("999988887777")), &["dead-condition"]),
        ("an account with dashes", account(json!("1111-2222-3333")), &["dead-condition"]),
        (
            "no account of the list",
            account(json!(["999988887777", "999988887778"])),
            &["dead-condition"],
        ),
        (
            "StringLike with another account",
            with_condition(
                ses(),
                json!({"StringLike": {"aws:SourceArn": "arn:aws:ses:*:999988887777:*"}}),
            ),
            &["dead-condition"],
        ),
        (
            "ArnLike on the account",
            with_condition(ses(), json!({"ArnLike": {"aws:SourceAccount": ACCOUNT}})),
            &["dead-condition"],
        ),
        (
            "an ARN of another account",
            with_arn(ses(), "arn:aws:ses:us-east-1:999988887777:configuration-set/a"),
            &["dead-condition"],
        ),
        (
            "an ARN of another Region",
            with_arn(ses(), "arn:aws:ses:eu-west-1:111122223333:configuration-set/a"),
            &["dead-condition"],
        ),
        (
            "an ARN of no Region",
            with_arn(ses(), "arn:aws:ses::111122223333:configuration-set/a"),
            &["dead-condition"],
        ),
        (
            "a Region in capitals",
            with_arn(ses(), "arn:aws:ses:US-EAST-1:111122223333:configuration-set/a"),
            &["dead-condition"],
        ),
        (
            "an ARN of another partition",
            with_arn(ses(), "arn:aws-cn:ses:us-east-1:111122223333:configuration-set/a"),
            &["dead-condition"],
        ),
        (
            "an identity instead of a configuration set",
            with_arn(ses(), "arn:aws:ses:us-east-1:111122223333:identity/a"),
            &["dead-condition"],
        ),
        (
            "the other service's configuration set",
            with_arn(ses(), "arn:aws:sms-voice:us-east-1:111122223333:configuration-set/a"),
            &["dead-condition"],
        ),
        ("a name instead of an ARN", with_arn(ses(), "a"), &["dead-condition"]),
        (
            "a leading slash",
            with_arn(
                pinpoint(),
                "arn:aws:mobiletargeting:us-east-1:111122223333:/apps/0123456789abcdef0123456789abcdef",
            ),
            &["dead-condition", "ended-service"],
        ),
        (
            "app: instead of apps/",
            with_arn(
                pinpoint(),
                "arn:aws:mobiletargeting:us-east-1:111122223333:app:0123456789abcdef0123456789abcdef",
            ),
            &["dead-condition", "ended-service"],
        ),
        (
            "the namespace of the principal",
            with_arn(
                pinpoint(),
                "arn:aws:pinpoint:us-east-1:111122223333:apps/0123456789abcdef0123456789abcdef",
            ),
            &["dead-condition", "ended-service"],
        ),
        (
            "a schedule instead of its group",
            with_arn(scheduler(), "arn:aws:scheduler:us-east-1:111122223333:schedule/default/a"),
            &["dead-condition"],
        ),
        (
            "a bus instead of a rule",
            with_arn(rule(), "arn:aws:events:us-east-1:111122223333:event-bus/default"),
            &["dead-condition"],
        ),
        (
            "logs of another Region",
            with_condition(
                logs(),
                json!({"StringLike": {"aws:SourceArn": "arn:aws:logs:eu-west-1:111122223333:*"}}),
            ),
            &["dead-condition"],
        ),
        (
            "an external id",
            with_condition(ses(), json!({"StringEquals": {"sts:ExternalId": ACCOUNT}})),
            &["external-id"],
        ),
        (
            "an external id besides the conditions",
            with_condition(
                ses(),
                json!({"StringEquals": {"aws:SourceAccount": ACCOUNT, "sts:ExternalId": "x"}}),
            ),
            &["external-id"],
        ),
        (
            "the organization of a principal",
            with_condition(ses(), json!({"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}})),
            &["unsent-key"],
        ),
        (
            "multi-factor authentication",
            with_condition(ses(), json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}})),
            &["unsent-key"],
        ),
        (
            "a literal wildcard in an ARN",
            with_condition(
                ses(),
                json!({"StringEquals": {"aws:SourceArn": "arn:aws:ses:us-east-1:111122223333:configuration-set/*"}}),
            ),
            &["wildcard-in-string-equals"],
        ),
        (
            "a literal wildcard, key and operator in another spelling",
            with_condition(
                ses(),
                json!({"ForAnyValue:StringEqualsIgnoreCase": {"AWS:SOURCEARN": ["arn:aws:ses:*:111122223333:configuration-set/a"]}}),
            ),
            &["wildcard-in-string-equals"],
        ),
        ("a literal wildcard in an account", account(json!("*")), &["wildcard-in-string-equals"]),
        (
            "any account",
            with_condition(
                ses(),
                json!({"ArnLike": {"aws:SourceArn": "arn:aws:ses:us-east-1:*:configuration-set/a"}}),
            ),
            &["any-account"],
        ),
        (
            "any ARN",
            with_condition(ses(), json!({"ArnLike": {"aws:SourceArn": "*"}})),
            &["any-account"],
        ),
        (
            "any account by StringLike",
            with_condition(ses(), json!({"StringLike": {"aws:SourceAccount": "*"}})),
            &["any-account"],
        ),
        (
            "everyone",
            with_trust(
                ses(),
                json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}),
            ),
            &["any-principal"],
        ),
        (
            "everyone else",
            with_trust(
                ses(),
                json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"}),
            ),
            &["any-principal"],
        ),
        (
            "two services",
            with_principal(
                with_condition(ses(), json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
                json!({"Service": ["ses.amazonaws.com", "ec2.amazonaws.com"]}),
            ),
            &["several-trusts"],
        ),
        (
            "another account besides",
            with_trust(
                ses(),
                json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999988887777:root"}, "Action": "sts:*"}),
            ),
            &["several-trusts"],
        ),
        (
            "the principal of another Region",
            with_condition(
                with_principal(logs(), json!({"Service": "logs.eu-west-1.amazonaws.com"})),
                json!({"StringLike": {"aws:SourceArn": "arn:aws:logs:*:111122223333:*"}}),
            ),
            &["wrong-principal"],
        ),
        ("an ended service", pinpoint(), &["ended-service"]),
        (
            "an ended service, regional",
            with_principal(pinpoint(), json!({"Service": "pinpoint.us-east-1.amazonaws.com"})),
            &["ended-service"],
        ),
    ]
}

fn faults_of_permissions() -> Vec<(&'static str, Made, &'static [&'static str])> {
    let logs = || made("endUserMessagingSms", DestinationKind::LogGroup, "a");
    let social = || made("endUserMessagingSocial", DestinationKind::SnsTopic, "");
    let none = |made: Made| Made { permissions: Value::Null, ..made };
    let stream = "arn:aws:kinesis:us-east-1:111122223333:stream/a";
    vec![
        (
            "every action of Firehose",
            with_actions(ses(), json!("firehose:*")),
            &["wide-permissions"],
        ),
        ("every action", with_actions(ses(), json!("*")), &["wide-permissions"]),
        (
            "an action to delete",
            with_actions(
                ses(),
                json!(["firehose:PutRecordBatch", "firehose:DeleteDeliveryStream"]),
            ),
            &["wide-permissions"],
        ),
        (
            "an action to read",
            with_actions(rule(), json!(["kinesis:PutRecord", "kinesis:GetRecords"])),
            &["wide-permissions"],
        ),
        (
            "all but one action",
            with_statement(
                ses(),
                json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}),
            ),
            &["wide-permissions"],
        ),
        ("every resource", with_resource(ses(), json!("*")), &["wide-permissions"]),
        (
            "every stream",
            with_resource(rule(), json!("arn:aws:kinesis:us-east-1:111122223333:stream/*")),
            &["wide-permissions"],
        ),
        (
            "every Region",
            with_resource(rule(), json!("arn:aws:kinesis:*:111122223333:stream/a")),
            &["wide-permissions"],
        ),
        (
            "every key",
            with_statement(
                ses(),
                json!({"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}),
            ),
            &["wide-permissions"],
        ),
        (
            "every action on a key",
            with_statement(ses(), key_statement("kms:*")),
            &["wide-permissions"],
        ),
        (
            "a bucket",
            with_statement(
                ses(),
                json!({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*"}),
            ),
            &["other-permissions"],
        ),
        ("no permissions", none(ses()), &["no-permissions"]),
        (
            "a permission that is denied",
            {
                let mut made = ses();
                made.permissions["Statement"][0]["Effect"] = json!("Deny");
                made
            },
            &["no-permissions"],
        ),
        (
            "the single put of Kinesis",
            with_actions(
                made("pinpoint", DestinationKind::Kinesis, "*"),
                json!("kinesis:PutRecord"),
            ),
            &["ended-service", "wrong-actions"],
        ),
        (
            "the single put of Firehose",
            with_actions(ses(), json!("firehose:PutRecord")),
            &["wrong-actions"],
        ),
        (
            "only to describe",
            with_actions(ses(), json!("firehose:DescribeDeliveryStream")),
            &["wrong-actions"],
        ),
        (
            "a batch for a rule",
            with_actions(rule(), json!("kinesis:PutRecords")),
            &["wrong-actions"],
        ),
        (
            "no put of log events",
            with_actions(logs(), json!("logs:CreateLogStream")),
            &["wrong-actions"],
        ),
        (
            "SES to Kinesis",
            with_resource(with_actions(ses(), json!("kinesis:PutRecords")), json!(stream)),
            &["wrong-destination"],
        ),
        (
            "SNS to Kinesis",
            with_resource(
                with_actions(
                    made("sns", DestinationKind::Firehose, ""),
                    json!("kinesis:PutRecord"),
                ),
                json!(stream),
            ),
            &["wrong-destination"],
        ),
        (
            "Firehose's action on a Kinesis stream",
            with_resource(ses(), json!(stream)),
            &["resource-mismatch"],
        ),
        (
            "a stream without its type",
            with_resource(rule(), json!("arn:aws:kinesis:us-east-1:111122223333:a")),
            &["resource-mismatch"],
        ),
        (
            "a log group without its streams",
            with_resource(logs(), json!("arn:aws:logs:us-east-1:111122223333:log-group:a")),
            &["resource-mismatch"],
        ),
        (
            "a stream of another partition",
            with_resource(rule(), json!("arn:aws-cn:kinesis:cn-north-1:111122223333:stream/a")),
            &["resource-mismatch"],
        ),
        (
            "no decrypt",
            with_statement(ses(), key_statement("kms:GenerateDataKey")),
            &["missing-kms-decrypt"],
        ),
        (
            "only decrypt",
            with_statement(rule(), key_statement("kms:Decrypt")),
            &["missing-kms-generate-data-key"],
        ),
        (
            "an alias",
            with_statement(
                rule(),
                json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "arn:aws:kms:us-east-1:111122223333:alias/a"}),
            ),
            &["kms-alias"],
        ),
        (
            "an attached policy",
            with_attached(ses(), "arn:aws:iam::111122223333:policy/p"),
            &["attached-policies"],
        ),
        (
            "full access",
            with_attached(ses(), "arn:aws:iam::aws:policy/AmazonKinesisFirehoseFullAccess"),
            &["attached-policies", "wide-permissions"],
        ),
        (
            "a policy besides that of the resource",
            with_role(ses(), |role| {
                let resource = ResourceName {
                    kind: "EventStreamRole".into(),
                    namespace: "n".into(),
                    name: "a".into(),
                };
                role.tags =
                    Owner { cluster: "c".into(), resource: resource.tag(), uid: "u".into() }.tags();
            }),
            &["extra-policies"],
        ),
        ("a path", with_role(social(), |role| role.path = "/a/".into()), &["path-rejected"]),
        (
            "a policy that is no JSON",
            with_role(ses(), |role| {
                role.inline_policies.insert("p".into(), Some(LiveDocument::read("{")));
            }),
            &["unreadable-document"],
        ),
        (
            "an action twice in one object",
            with_role(none(ses()), |role| {
                role.inline_policies
                    .insert("write".into(), Some(LiveDocument::read(r#"{"a":1,"a":2}"#)));
            }),
            &["unreadable-document"],
        ),
    ]
}

#[test]
fn each_planted_fault_has_its_finding_and_no_other() {
    let mut wrong = Vec::new();
    let mut rules = BTreeSet::new();
    let faults: Vec<_> = faults_of_trust().into_iter().chain(faults_of_permissions()).collect();
    assert!(faults.len() >= 40, "{} faults", faults.len());
    for (what, made, expected) in faults {
        let report = audited(&made.into_role());
        let found = alarms(&report);
        rules.extend(found.clone());
        if found != expected.iter().copied().collect() {
            wrong.push(format!("{what}: {found:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Notes have their own test.
    let notes = ["any-source", "missing-actions", "undocumented-condition", "unused-role"];
    let untested: Vec<_> = Rule::ALL
        .iter()
        .map(|r| r.id())
        .filter(|id| !rules.contains(id) && !notes.contains(id))
        .collect();
    assert!(untested.is_empty(), "no fault for {untested:?}");
}

#[test]
fn what_works_or_is_not_documented_is_no_alarm() {
    let sns = || made("sns", DestinationKind::Firehose, "");
    let sms = || made("endUserMessagingSms", DestinationKind::Firehose, "a");
    let logs = || made("cloudWatchLogs", DestinationKind::Kinesis, "");
    let denied = |condition: Value| {
        with_trust(
            with_condition(ses(), json!({})),
            json!({"Effect": "Deny", "Principal": {"Service": "ses.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": condition}),
        )
    };
    let table = [
        (
            "the key in capitals",
            with_condition(
                ses(),
                json!({"StringEquals": {"AWS:SourceAccount": ACCOUNT, "AWS:SourceArn": SET}}),
            ),
        ),
        (
            "an account without quotes",
            with_condition(
                ses(),
                json!({"StringEquals": {"aws:SourceAccount": 111_122_223_333_u64}}),
            ),
        ),
        (
            "StringLike",
            with_condition(
                ses(),
                json!({"StringLike": {"aws:SourceArn": "arn:aws:ses:*:111122223333:configuration-set/*"}}),
            ),
        ),
        (
            "ArnEquals with IfExists",
            with_condition(ses(), json!({"ArnEqualsIfExists": {"aws:sourcearn": SET}})),
        ),
        (
            "a quantifier",
            with_condition(ses(), json!({"ForAnyValue:ArnLike": {"aws:SourceArn": ["x", SET]}})),
        ),
        (
            "the organization of the source",
            with_condition(ses(), json!({"StringEquals": {"aws:SourceOrgID": "o-1234567890"}})),
        ),
        (
            "a wildcard over several parts",
            with_condition(
                ses(),
                json!({"StringLike": {"aws:SourceArn": "arn:aws:ses:*111122223333:configuration-set/*"}}),
            ),
        ),
        (
            "a variable",
            with_condition(
                ses(),
                json!({"ArnLike": {"aws:SourceArn": "arn:aws:ses:us-east-1:${aws:PrincipalAccount}:configuration-set/a"}}),
            ),
        ),
        (
            "a denial of other accounts",
            denied(json!({"StringNotEquals": {"aws:SourceAccount": ACCOUNT}})),
        ),
        (
            "only the account",
            with_condition(sms(), json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
        ),
        ("only the documented action of SMS", with_actions(sms(), json!("firehose:PutRecord"))),
        ("no condition where none is documented", sns()),
        (
            "a condition where none is documented",
            with_condition(sns(), json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
        ),
        ("the least actions of SNS", with_actions(sns(), json!("firehose:PutRecord"))),
        (
            "logs without Region in the principal",
            with_principal(logs(), json!({"Service": "logs.amazonaws.com"})),
        ),
        (
            "logs of two accounts",
            with_condition(
                logs(),
                json!({"StringLike": {"aws:SourceArn": ["arn:aws:logs:us-east-1:999988887777:*", "arn:aws:logs:us-east-1:111122223333:*"]}}),
            ),
        ),
        (
            "a subscriber of a custom bus",
            with_arn(rule(), "arn:aws:events:us-east-1:111122223333:subscriber/a/b"),
        ),
        ("a rule of any Region", with_arn(rule(), "arn:aws:events:*:111122223333:rule/a")),
        (
            "both puts",
            with_actions(
                rule(),
                json!(["kinesis:PutRecord", "kinesis:PutRecords", "kinesis:DescribeStream"]),
            ),
        ),
        ("all puts of records", with_actions(ses(), json!("firehose:PutRecord*"))),
        (
            "a key narrowed by its context",
            with_statement(
                rule(),
                json!({"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:aws:kinesis:arn": "x"}}}),
            ),
        ),
        (
            "two-way SMS",
            with_resource(
                with_actions(
                    with_condition(sms(), json!({"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
                    json!("sns:Publish"),
                ),
                json!("arn:aws:sns:us-east-1:111122223333:t"),
            ),
        ),
        (
            "a rule that starts a state machine",
            with_resource(
                with_actions(with_condition(rule(), json!({})), json!("states:StartExecution")),
                json!("*"),
            ),
        ),
        (
            "a rule set of Mail Manager",
            with_arn(
                with_resource(
                    with_actions(ses(), json!("sns:Publish")),
                    json!("arn:aws:sns:us-east-1:111122223333:t"),
                ),
                "arn:aws:ses:us-east-1:111122223333:mailmanager-rule-set/*",
            ),
        ),
        (
            "a service-linked role",
            with_role(with_condition(ses(), json!({})), |role| {
                role.path = "/aws-service-role/ses.amazonaws.com/".into();
            }),
        ),
        (
            "a service that only tags a session",
            with_trust(
                ses(),
                json!({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:TagSession"}),
            ),
        ),
    ];
    let mut wrong = Vec::new();
    for (what, made) in table {
        let report = audited(&made.into_role());
        if !alarms(&report).is_empty() {
            wrong.push(format!("{what}: {:?}", report.findings));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn notes_and_dates_depend_on_the_day() {
    let used = with_role(ses(), |role| role.last_used = "2026-01-31T12:00:00Z".parse().ok());
    let report = audited(&used.into_role());
    assert_eq!(report.findings[0].rule, Rule::UnusedRole);
    assert_eq!(report.roles[0].last_used, Some(date(2026, 1, 31)));

    let ended = with_role(made("pinpoint", DestinationKind::Firehose, "*"), |role| {
        role.last_used = "2026-11-24T12:00:00Z".parse().ok();
    });
    let ended = ended.into_role();
    let of = |day: Date, rule: Rule, role: &ObservedRole| {
        let report = audit([("role", role)], day);
        report.findings.into_iter().find(|f| f.rule == rule).unwrap()
    };
    let found = of(TODAY, Rule::EndedService, &ended);
    assert!(found.message.contains("last used on 2026-11-24"), "{}", found.message);
    assert_eq!(of(date(2026, 10, 30), Rule::EndedService, &ended).severity, Severity::Note);

    let key = with_statement(ses(), key_statement("kms:GenerateDataKey")).into_role();
    assert_eq!(of(date(2027, 2, 27), Rule::MissingKmsDecrypt, &key).severity, Severity::Warning);
    assert_eq!(of(date(2027, 2, 28), Rule::MissingKmsDecrypt, &key).severity, Severity::Error);

    let notes = [
        (Rule::AnySource, made("ses", DestinationKind::Firehose, "*")),
        (
            Rule::UndocumentedCondition,
            with_condition(
                made("sns", DestinationKind::Firehose, ""),
                json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:t"}}),
            ),
        ),
        (
            Rule::MissingActions,
            with_actions(
                made("metricStreams", DestinationKind::Firehose, ""),
                json!("firehose:PutRecord"),
            ),
        ),
    ];
    for (rule, made) in notes {
        assert_eq!(of(TODAY, rule, &made.into_role()).severity, Severity::Note);
    }
}

proptest! {
    #[test]
    fn no_document_makes_the_audit_panic(
        trust in any_value(), permissions in any_value(), arn in ".{0,40}",
    ) {
        let mut role = ses().into_role();
        role.arn = arn;
        role.trust_policy = live(&json!({"Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ses.amazonaws.com"},
            "Condition": {"StringLike": {"aws:SourceArn": trust.clone()}, "x": trust.clone()},
        }, trust]}));
        role.inline_policies.insert("p".into(), Some(live(&json!({"Statement": [
            {"Effect": "Allow", "Action": permissions.clone(), "Resource": permissions.clone()}, permissions,
        ]}))));
        let report = audited(&role);
        let prints: BTreeSet<_> = report.findings.iter().map(|f| &f.fingerprint).collect();
        prop_assert_eq!(prints.len(), report.findings.len());
        for finding in &report.findings {
            prop_assert!(finding.evidence.chars().count() <= 200);
            let text = format!("{}{}{}", finding.evidence, finding.path, finding.message);
            prop_assert!(!text.contains(|c: char| c.is_control()), "{text:?}");
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
        "arn:[a*]{0,3}:[a-z*]{0,8}:[a-z0-9*-]{0,9}:[0-9*]{0,12}:.{0,9}".prop_map(Value::from),
        "(kinesis|firehose|logs|sns|kms|\\*):[A-Za-z*]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[A-Za-z:]{0,9}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn each_finding_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/findings.md");
    let text = std::fs::read_to_string(path).unwrap();
    let sections: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let ids: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(sections, ids);
    for rule in Rule::ALL {
        let section = text.split(&format!("\n## {}\n", rule.id())).nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        for part in
            [format!("Level: {}", rule.severity()), rule.source().to_owned(), "Remedy: ".to_owned()]
        {
            assert!(section.contains(&part), "{}: no {part}", rule.id());
        }
    }
}

// The command.

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
    command.arg("audit").args(["--today", "2026-11-25"]).args(args);
    command
}

fn run(args: &[&str]) -> (i32, String, String) {
    read(&command(args).output().unwrap())
}

fn read(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

async fn run_at(iam: &MemoryIam, args: &[&str]) -> (i32, String, String) {
    let mut command = command(args);
    set_aws_environment(&mut command, iam.url());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    read(&output)
}

/// An account with the roles of `tests/audit/account.json`.
async fn account() -> MemoryIam {
    let iam = MemoryIam::start(Duration::ZERO).await.unwrap();
    let roles: Vec<Value> = serde_json::from_str(include_str!("audit/account.json")).unwrap();
    for role in roles {
        let texts = |field: &str| -> BTreeMap<String, String> {
            let of =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            role[field].as_object().unwrap().iter().map(|(k, v)| (k.clone(), of(v))).collect()
        };
        let attached = role["attached"].as_array().unwrap().iter();
        let added = iam.account().add(Role {
            name: role["name"].as_str().unwrap().to_owned(),
            path: role["path"].as_str().unwrap().to_owned(),
            trust_policy: role["trust"].to_string(),
            max_session_duration: "3600".into(),
            tags: texts("tags"),
            inline: texts("inline"),
            attached: attached.map(|arn| arn.as_str().unwrap().to_owned()).collect(),
            ..Role::default()
        });
        assert!(added);
    }
    iam
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, text);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_reported_in_each_form() {
    let iam = account().await;
    let (code, table, errors) = run_at(&iam, &[]).await;
    assert_eq!(code, 1, "{errors}");
    assert!(!table.contains('\u{1b}'), "no color outside a terminal");
    snapshot("audit-table", &table);
    snapshot("audit-stderr", &errors);
    let calls = iam.calls();
    assert_eq!(calls.by_action, BTreeMap::from([("GetAccountAuthorizationDetails".into(), 1)]));

    let (_, json, _) = run_at(&iam, &["-o", "json"]).await;
    snapshot("audit-json", &json);
    let (_, sarif, _) = run_at(&iam, &["-o", "sarif"]).await;
    check_sarif(&sarif);
    // The rules have their own test.
    let mut short: Value = serde_json::from_str(&sarif).unwrap();
    short["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap().truncate(1);
    short["runs"][0]["tool"]["driver"]["version"] = "VERSION".into();
    short["runs"][0]["tool"]["driver"]["semanticVersion"] = "VERSION".into();
    snapshot("audit-sarif", &serde_json::to_string_pretty(&short).unwrap());

    let (code, html, _) = run_at(&iam, &["-o", "html", "--fail-on", "never"]).await;
    assert_eq!(code, 0);
    check_page(&html);

    let (code, one, _) = run_at(&iam, &["--role-name", "MARKETING-newsletter"]).await;
    assert_eq!(code, 0, "{one}");
    assert!(one.contains("1 of 1 role"), "{one}");
    let (code, _, errors) = run_at(&iam, &["--role-name", "absent"]).await;
    assert_eq!((code, errors.trim()), (2, "streamrole: the account has no role absent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_findings_are_marked_and_do_not_fail() {
    let iam = account().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let list = "
- {finding: missing-conditions, role: orders-pipeline-RuleRole-1ABC, reason: Replaced in March, until: 2027-03-31}
- {finding: wide-permissions, role: 'arn:aws:iam::123456789012:role/absent', reason: x, until: 2027-03-31}
- {finding: no-such-finding, role: a, reason: x, until: 2027-03-31}
- {finding: missing-conditions, role: everything, reason: x, until: 2026-11-24}
- {finding: missing-conditions, role: everything, reason: ' ', until: 2027-03-31}
- {finding: missing-conditions, role: everything, reason: x, until: tomorrow}
";
    std::fs::write(file.path(), list).unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["--accept", path, "--role-name", "orders-pipeline-RuleRole-1ABC"];
    let (code, table, errors) = run_at(&iam, &args).await;
    assert_eq!(code, 0, "{table}");
    assert!(table.contains("Accepted until 2027-03-31: Replaced in March"), "{table}");
    for line in [
        "wide-permissions of role arn:aws:iam::123456789012:role/absent does not occur",
        "there is no finding no-such-finding",
        "missing-conditions of role everything expired on 2026-11-24",
        "reason is empty",
        "until must be a date",
    ] {
        assert!(errors.contains(line), "no {line} in {errors}");
    }
    let (_, sarif, _) = run_at(&iam, &["-o", "sarif", "--accept", path]).await;
    check_sarif(&sarif);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let suppressed: Vec<_> =
        results.iter().filter(|r| !r["suppressions"].as_array().unwrap().is_empty()).collect();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(
        suppressed[0]["suppressions"][0]["justification"],
        "Replaced in March (until 2027-03-31)"
    );

    let (code, _, errors) = run(&["--accept", "/absent", "-f", "tests/audit/manifests.yaml"]);
    assert!(code == 2 && errors.contains("cannot read /absent"), "{code} {errors}");
}

#[test]
fn manifests_are_audited_without_aws_and_located() {
    let file = "tests/audit/manifests.yaml";
    let (code, table, _) = run(&["-f", file]);
    assert_eq!(code, 1);
    snapshot("audit-files", &table);
    let (_, sarif, _) = run(&["-f", file, "-o", "sarif"]);
    check_sarif(&sarif);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    let places: Vec<_> = sarif["runs"][0]["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], file);
            (result["ruleId"].as_str().unwrap(), place["region"]["startLine"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(places, [("missing-conditions", 19), ("ended-service", 15), ("any-source", 7)]);
    let (code, ..) = run(&["-f", file, "--fail-on", "error"]);
    assert_eq!(code, 0);
    let (code, ..) = run(&["-f", file, "--fail-on", "note", "--role-name", "marketing-newsletter"]);
    assert_eq!(code, 1);
    let (code, _, errors) = run(&["-f", "tests/absent.yaml"]);
    assert!(code == 2 && errors.contains("cannot read"), "{code} {errors}");
}

/// The structure that the standard requires and code scanning uses. The types are made from the schema.
fn check_sarif(text: &str) {
    let typed: serde_sarif::sarif::Sarif = serde_json::from_str(text).unwrap();
    assert_eq!(typed.runs.len(), 1);
    let sarif: Value = serde_json::from_str(text).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let driver = &sarif["runs"][0]["tool"]["driver"];
    assert_eq!(driver["name"], "streamrole");
    let rules = driver["rules"].as_array().unwrap();
    let ids: Vec<_> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids, Rule::ALL.iter().map(|rule| rule.id()).collect::<Vec<_>>());
    for rule in rules {
        assert!(rule["helpUri"].as_str().unwrap().starts_with("https://docs.aws.amazon.com/"));
        assert!(!rule["shortDescription"]["text"].as_str().unwrap().is_empty());
    }
    let mut prints = BTreeSet::new();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(result["ruleId"], ids[index]);
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let location = &result["locations"][0];
        assert!(
            location["logicalLocations"][0]["fullyQualifiedName"]
                .as_str()
                .unwrap()
                .starts_with("arn:")
        );
        let print = result["partialFingerprints"]["streamroleFinding/v1"].as_str().unwrap();
        assert!(prints.insert(print.to_owned()), "{print} twice");
    }
}

/// Whether the page loads anything, and whether texts of the account stay texts.
fn check_page(html: &str) {
    assert!(
        html.contains("default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'")
    );
    for loads in [
        "<link",
        "<iframe",
        "<img",
        "<object",
        "<embed",
        "src=",
        "url(",
        "@import",
        "srcset",
        "import(",
        "fetch(",
        "XMLHttpRequest",
        "<use",
        "<image",
        "javascript:",
    ] {
        let allowed = usize::from(loads == "src=");
        let found = html.matches(loads).count();
        // The hostile value is there, escaped.
        assert!(found <= allowed, "{found} times {loads}");
    }
    let addresses = html.match_indices("https://").map(|(at, _)| html.split_at(at).0);
    for before in addresses {
        assert!(
            before.ends_with("<a href=\""),
            "an address outside a link: {}",
            before.chars().rev().take(60).collect::<String>()
        );
    }
    assert!(!html.contains("http://"));
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</script").count(), 1);
    assert!(!html.contains("onerror=alert(1)>"), "values are escaped");
    assert!(!html.contains(['\u{202e}', '\u{1b}']));
    for part in [
        "<svg",
        "id=\"search\"",
        "prefers-color-scheme: dark",
        "@media print",
        "max-width: 700px",
        "marketing-newsletter",
        "firehose/mail",
    ] {
        assert!(html.contains(part), "no {part}");
    }
}

/// Runs a command; its most memory in KB, and its time.
fn watched(mut command: Command) -> (Output, u64, Duration) {
    let start = Instant::now();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let reader = std::thread::spawn(move || child.wait_with_output().unwrap());
    let mut peak = 0;
    while !reader.is_finished() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kb.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    (reader.join().unwrap(), peak, start.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_5000_roles_takes_few_calls() {
    let iam = MemoryIam::start(Duration::ZERO).await.unwrap();
    for index in 0..5000 {
        let made = if index % 10 == 0 { ses() } else { rule() };
        let principal = json!({"Service": "ec2.amazonaws.com"});
        let made = if index % 4 == 3 { with_principal(made, principal) } else { made };
        let added = iam.account().add(Role {
            name: format!("role-{index}"),
            path: "/".into(),
            trust_policy: made.trust.to_string(),
            max_session_duration: "3600".into(),
            inline: BTreeMap::from([("write".into(), made.permissions.to_string())]),
            ..Role::default()
        });
        assert!(added);
    }
    let mut command = command(&["-o", "json"]);
    set_aws_environment(&mut command, iam.url());
    let (output, peak, took) = tokio::task::spawn_blocking(move || watched(command)).await.unwrap();
    println!("5,000 roles: {took:?}, {} MB", peak / 1024);
    if measures() {
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(peak < 60 * 1024, "{peak} KB");
    }
    let (code, json, errors) = read(&output);
    assert_eq!(code, 0, "{errors}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["rolesRead"], json["roles"].as_array().unwrap().len()), (&json!(5000), 3750));
    assert!(iam.calls().total() <= 10, "{:?}", iam.calls());
    let (_, html, _) = run_at(&iam, &["-o", "html"]).await;
    assert!(html.len() < 8_000_000, "{} bytes", html.len());
}
