//! `streamrole render`: what it prints for people and for other tools, and what it says about files that are not valid.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Runs `streamrole render` without any variable, in the root of the repository.
fn render(arguments: &[&str], input: &str) -> Output {
    let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
    streamrole.arg("render").args(arguments).env_clear().current_dir(root());
    streamrole.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = streamrole.spawn().unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    running.wait_with_output().unwrap()
}

fn printed(arguments: &[&str], input: &str) -> String {
    let output = render(arguments, input);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

const VALID: &str = r#"
apiVersion: streamrole.dev/v1alpha1
kind: EventStreamRole
metadata: {name: newsletter, namespace: marketing}
spec:
  description: "5 o'clock ${a} %{b} \"c\""
  maxSessionDurationSeconds: 7200
  permissionsBoundaryArn: arn:aws:iam::111122223333:policy/boundary
  tags: {team: "it's $(x)", "cost center": a+b=c}
  source:
    ses: {configurationSetName: newsletter}
  destination:
    firehoseDeliveryStreamArn: arn:aws:firehose:us-east-1:111122223333:deliverystream/email
    kmsKeyArn: arn:aws:kms:us-east-1:111122223333:key/1234abcd
"#;

#[test]
fn each_format_matches_its_snapshot() {
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        for format in ["text", "json", "yaml", "terraform", "cloudformation", "aws-cli"] {
            let text = printed(&["-f", "-", "-o", format], VALID);
            insta::assert_snapshot!(format!("render-{format}"), text);
        }
    });
}

#[test]
fn all_samples_render_in_each_format() {
    for format in ["text", "json", "yaml", "terraform", "cloudformation", "aws-cli"] {
        let text = printed(&["-f", "deploy/samples", "--format", format], "");
        assert!(text.contains("email-events") && text.contains("pinpoint.amazonaws.com"), "{text}");
    }
}

#[test]
fn terraform_reads_the_texts_of_a_role_literally() {
    let text = printed(&["-f", "-", "-o", "terraform"], VALID);
    let body: hcl::Body = hcl::from_str(&text).unwrap();
    let role = body.blocks().find(|block| block.labels()[0].as_str() == "aws_iam_role").unwrap();
    let attribute = |name: &str| {
        let found = role.body().attributes().find(|attribute| attribute.key() == name);
        hcl::eval::Evaluate::evaluate(found.unwrap().expr(), &hcl::eval::Context::new())
    };
    let description = attribute("description").unwrap();
    assert_eq!(description.as_str(), Some("5 o'clock ${a} %{b} \"c\""));
    let tags = attribute("tags").unwrap();
    assert_eq!(tags.as_object().unwrap()["team"].as_str(), Some("it's $(x)"));
}

#[test]
fn the_cloudformation_template_has_the_properties_of_the_role() {
    let text = printed(&["-f", "-", "-o", "cloudformation"], VALID);
    let template: Value = serde_saphyr::from_str(&text).unwrap();
    let role = &template["Resources"]["MarketingNewsletter"];
    assert_eq!(role["Type"], "AWS::IAM::Role");
    let properties = role["Properties"].as_object().unwrap();
    // Those of the resource type that a declaration sets (CloudFormation template reference, AWS::IAM::Role).
    let known = [
        "AssumeRolePolicyDocument",
        "Description",
        "MaxSessionDuration",
        "Path",
        "PermissionsBoundary",
        "Policies",
        "RoleName",
        "Tags",
    ];
    assert!(properties.keys().map(String::as_str).eq(known), "{properties:?}");
    assert_eq!(properties["Tags"][0]["Key"], "cost center");
}

#[test]
fn a_broken_document_is_named_by_file_and_line_and_hides_no_other() {
    let broken = format!(
        "# a comment\n---\n{VALID}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: other}}\n---\nkind: [\n---\n{}---\n{}",
        VALID
            .replace("firehoseDeliveryStreamArn", "kinesisStreamArn")
            .replace(":firehose:", ":kinesis:")
            .replace("deliverystream", "stream"),
        VALID.replace("description", "descripton"),
    );
    let output = render(&["-f", "-", "-o", "json"], &broken);
    assert_eq!(output.status.code(), Some(2));
    let roles: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(roles.as_array().map(Vec::len), Some(1), "the valid one is printed");
    let said = String::from_utf8(output.stderr).unwrap();
    let line_of = |text: &str, nth: usize| {
        let found = broken.lines().enumerate().filter(|(_, line)| line.contains(text));
        found.map(|(index, _)| index + 1).nth(nth).unwrap()
    };
    for (line, words) in [
        (line_of("kind: [", 0), "unclosed bracket"),
        (line_of("kinesisStreamArn", 0) - 1, "Amazon SES writes to a Firehose stream"),
        (line_of("descripton", 0), "spec.descripton is not a field"),
    ] {
        assert!(
            said.contains(&format!("-:{line}:")) && said.contains(words),
            "{line} {words}: {said}"
        );
    }
}

#[test]
fn files_that_cannot_be_used_are_errors() {
    for (arguments, input, words) in [
        (vec!["-f", "no/such/file.yaml"], "", "cannot read no/such/file.yaml"),
        (
            vec!["-f", "-"],
            "kind: ConfigMap\n",
            "no PinpointEventStreamRole or EventStreamRole in -",
        ),
        (vec!["-f", "-"], "", "no PinpointEventStreamRole or EventStreamRole in -"),
        (vec!["-f", "-", "--default-tag", "aws:x=y"], VALID, "--default-tag"),
        (vec![], "", "--filename"),
    ] {
        let output = render(&arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said} should contain {words}");
    }
}

#[test]
fn the_controllers_settings_and_lists_of_resources_are_read() {
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "streamrole.dev/v1alpha1", "kind": "PinpointEventStreamRole",
         "metadata": {"name": "events", "uid": "u1", "managedFields": []},
         "spec": {"path": "/a/", "destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/s"}},
         "status": {"observedGeneration": 1}}
    ]}"#;
    let settings = ["-n", "team", "--role-name-prefix", "prod-", "--default-tag", "team=a"];
    let text = printed(&[&["-f", "-", "-o", "json"], &settings[..]].concat(), list);
    let roles: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(roles[0]["roleArn"], "arn:aws:iam::111122223333:role/a/prod-team-events");
    assert_eq!(roles[0]["tags"]["team"], "a");
}
