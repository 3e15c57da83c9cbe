//! `streamrole migrate`: the real binary, without AWS. After a change, `INSTA_UPDATE=always cargo test --test migrate`
//! accepts the output.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use kube::core::ObjectMeta;
use serde_json::{Value, json};
use streamrole::api::{Kind, RoleResource, unknown_fields};
use streamrole::role::{Declaration, Defaults};

const FIREHOSE: &str = "arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events";
const KINESIS: &str = "arn:aws:kinesis:us-east-1:111122223333:stream/app-events";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
const EVENTS: [&str; 6] = ["email", "sms", "whatsapp", "campaigns", "app", "push"];

/// The exit code, the resources, and the messages.
fn migrate(args: &[&str], manifests: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    command.env_clear().args(["migrate", "-f", "-"]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A process that rejects its flags reads no input.
    let _ = child.stdin.take().unwrap().write_all(manifests.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn old(name: &str, spec: &Value) -> String {
    json!({
        "apiVersion": "streamrole.dev/v1alpha1",
        "kind": "PinpointEventStreamRole",
        "metadata": {"name": name, "namespace": "marketing"},
        "spec": spec,
    })
    .to_string()
}

/// The declarations of the output, as the controller reads it. Every line besides the resources is a comment.
fn declarations(out: &str) -> Vec<Declaration> {
    let mut names = BTreeSet::new();
    let mut all = Vec::new();
    for document in out.split("---\n") {
        if document.lines().all(|line| line.starts_with('#')) {
            continue;
        }
        let value: Value =
            serde_saphyr::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}"));
        let kind = Kind::named(value["kind"].as_str().unwrap()).unwrap();
        assert_eq!(
            (kind.name, &value["apiVersion"]),
            ("EventStreamRole", &json!("streamrole.dev/v1alpha1"))
        );
        assert_eq!(unknown_fields(kind, &value), Vec::<String>::new());
        let spec =
            (kind.read)(value["spec"].clone()).unwrap_or_else(|e| panic!("{e:?}: {document}"));
        let metadata: ObjectMeta = serde_json::from_value(value["metadata"].clone()).unwrap();
        let name = metadata.name.clone().unwrap();
        assert!(name.len() <= 176 && names.insert(name.clone()), "{name}");
        let resource = RoleResource { kind, metadata, spec, status: None };
        let declaration = resource.declaration(&Defaults::default());
        all.push(declaration.unwrap_or_else(|e| panic!("{e}: {document}")));
    }
    all
}

#[test]
fn each_kind_of_events_and_destination_has_its_successors() {
    let mut without_a_way = Vec::new();
    for (destination, spec) in [
        ("firehose", json!({"destination": {"firehoseDeliveryStreamArn": FIREHOSE}})),
        ("kinesis", json!({"destination": {"kinesisStreamArn": KINESIS}})),
    ] {
        for events in EVENTS {
            let (code, out, err) = migrate(&["--events", events], &old("app.events", &spec));
            assert_eq!(err, "", "{destination} {events}");
            if code == 1 {
                without_a_way.push((destination, events));
            } else {
                assert_eq!(code, 0, "{destination} {events}");
            }
            let expected = match (destination, events) {
                ("kinesis", "sms") => 2,
                ("firehose", "email" | "sms" | "whatsapp") | ("kinesis", "email") => 1,
                _ => 0,
            };
            let found = declarations(&out);
            assert_eq!(found.len(), expected, "{destination} {events}: {out}");
            for declaration in found {
                let arn = declaration.arn();
                assert!(out.contains(&format!("# Role: {arn}\n")), "{arn}: {out}");
                let attaches = |line: &&str| {
                    let mut parts = line.split(&arn).skip(1);
                    line.starts_with("#   aws ")
                        && parts.any(|rest| {
                            !rest.starts_with(|c: char| c == '-' || c.is_alphanumeric())
                        })
                };
                assert_eq!(out.lines().filter(attaches).count(), 1, "{arn}: {out}");
            }
            insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
                insta::assert_snapshot!(format!("migrate-{events}-to-{destination}"), out);
            });
        }
    }
    assert_eq!(without_a_way, [("kinesis", "whatsapp")]);
}

#[test]
fn settings_are_kept_and_names_are_those_that_the_user_gives() {
    let spec = json!({
        "roleName": "PinpointRole",
        "path": "/streaming/",
        "description": "old",
        "permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary",
        "maxSessionDurationSeconds": 7200,
        "tags": {"team": "yes"},
        "adoptionPolicy": "Adopt",
        "deletionPolicy": "Retain",
        "source": {"accountId": "111122223333", "region": "us-west-2"},
        "destination": {"kinesisStreamArn": KINESIS, "kmsKeyArn": KEY},
    });
    let args = [
        "--events",
        "email,sms",
        "--ses-configuration-set",
        "news",
        "--sms-configuration-set",
        "alerts",
        "--event-bus-rule",
        "emails",
        "--log-group",
        "/sms/events",
    ];
    let (code, out, err) = migrate(&args, &old("app", &spec));
    assert_eq!((code, &*err), (0, ""));
    assert!(!out.contains("was chosen"), "{out}");
    let found = declarations(&out);
    let names: Vec<_> = found.iter().map(|declaration| declaration.name.as_str()).collect();
    assert_eq!(names, ["PinpointRole-email", "PinpointRole-sms", "PinpointRole-sms-relay"]);
    for declaration in &found {
        assert_eq!(declaration.path.as_str(), "/streaming/");
        assert_eq!(declaration.max_session_duration_seconds, 7200);
        assert_eq!(declaration.tags["team"], "yes");
        assert!(declaration.permissions_boundary.is_some());
        // Only the old stream has the key.
        let uses_key = declaration.permissions_policy.document.to_string().contains(KEY);
        assert_eq!(uses_key, declaration.name.as_str() != "PinpointRole-sms");
    }
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("migrate-with-settings", out);
    });
}

#[test]
fn several_resources_and_long_names_stay_distinct_and_valid() {
    let long = "n".repeat(192);
    let spec = |role: Option<String>, arn: &str| match role {
        Some(role) => json!({"roleName": role, "destination": {"firehoseDeliveryStreamArn": arn}}),
        None => json!({"destination": {"firehoseDeliveryStreamArn": arn}}),
    };
    let manifests = [
        old(&long, &spec(Some("r".repeat(60)), FIREHOSE)),
        old(&format!("{}m", "n".repeat(191)), &spec(None, FIREHOSE)),
        old("a", &spec(None, FIREHOSE)),
    ];
    let (code, out, err) = migrate(
        &["--events", "email", "--events", "email,whatsapp,sms"],
        &manifests.join("\n---\n"),
    );
    assert_eq!((code, &*err), (0, ""), "{out}");
    let found = declarations(&out);
    assert_eq!(found.len(), 9);
    let names: BTreeSet<_> = found.iter().map(Declaration::key).collect();
    assert_eq!(names.len(), 9, "{names:?}");
    assert!(out.contains("# The role gets its default name"), "{out}");
}

#[test]
fn a_partition_without_the_service_has_no_way() {
    let arn = "arn:aws-cn:firehose:cn-north-1:111122223333:deliverystream/app-events";
    let spec = json!({"destination": {"firehoseDeliveryStreamArn": arn}});
    let (code, out, _) = migrate(&["--events", "email"], &old("app", &spec));
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("partition aws-cn, which does not have Amazon SES"), "{out}");
    assert!(declarations(&out).is_empty());
}

#[test]
fn bad_input_is_an_error() {
    let spec = json!({"destination": {"firehoseDeliveryStreamArn": FIREHOSE}});
    let valid = old("app", &spec);
    for (args, manifests, words) in [
        (&["--events", "fax"][..], &*valid, "possible values: email, sms"),
        (&[], &valid, "--events"),
        (
            &["--events", "email", "--ses-configuration-set", "a/b"],
            &valid,
            "--ses-configuration-set",
        ),
        (&["--events", "email", "--event-bus-rule", "a b"], &valid, ""),
        (&["--events", "whatsapp", "--topic", "a.fifo"], &valid, "standard SNS topic"),
        (&["--events", "email"], "a: b", "no PinpointEventStreamRole or EventStreamRole"),
        (&["--events", "email"], &old("app", &json!({})), "missing field"),
    ] {
        let (code, out, err) = migrate(args, manifests);
        let is_right = code == 2 && err.contains(words);
        assert!(is_right || words.is_empty(), "{args:?}: {code} {out} {err}");
    }
    let current = valid.replace("PinpointEventStreamRole", "EventStreamRole").replace(
        "\"destination\"",
        "\"source\": {\"ses\": {\"configurationSetName\": \"a\"}}, \"destination\"",
    );
    let (code, out, err) = migrate(&["--events", "email"], &current);
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("EventStreamRole app is skipped"), "{err}");
    let both =
        format!("{valid}\n---\n{current}\n---\n{}", old("broken", &json!({"destination": {}})));
    let (code, out, err) = migrate(&["--events", "email"], &both);
    assert_eq!((code, declarations(&out).len()), (2, 1), "{err}");
}
