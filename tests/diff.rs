//! `streamrole diff`: against live roles in an IAM in memory, and between manifests.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use support::{ACCOUNT_ID, MemoryIam, iam_at};
use tokio::process::Command;

/// A folder with manifests, and an IAM.
struct Scene {
    folder: tempfile::TempDir,
    iam: MemoryIam,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self {
            folder: tempfile::tempdir().unwrap(),
            iam: MemoryIam::start(Duration::ZERO).await.unwrap(),
        }
    }

    fn write(&self, name: &str, spec: &Value) -> PathBuf {
        let path = self.folder.path().join(name);
        let manifest = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "EventStreamRole",
            "metadata": {"name": "newsletter", "namespace": "ns"},
            "spec": spec,
        });
        std::fs::write(&path, manifest.to_string()).unwrap();
        path
    }

    async fn diff(&self, arguments: &[&str]) -> Output {
        let mut streamrole = Command::new(env!("CARGO_BIN_EXE_streamrole"));
        streamrole.arg("diff").args(arguments).env_clear();
        streamrole.env("AWS_ENDPOINT_URL", self.iam.url()).env("AWS_REGION", "us-east-1");
        streamrole.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
        streamrole.output().await.unwrap()
    }

    async fn says(&self, arguments: &[&str], code: i32) -> String {
        let output = self.diff(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}{said}");
        text
    }
}

fn spec(configuration_set: &str) -> Value {
    json!({
        "source": {"ses": {"configurationSetName": configuration_set}},
        "destination": {"firehoseDeliveryStreamArn": format!("arn:aws:firehose:us-east-1:{ACCOUNT_ID}:deliverystream/email")},
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

#[tokio::test]
async fn a_role_that_is_missing_differs_or_belongs_to_nobody_is_reported_without_a_write() {
    let scene = Scene::new().await;
    let file = scene.write("role.json", &spec("newsletter"));
    let said = scene.says(&["-f", text(&file)], 1).await;
    for words in ["iam:CreateRole", "configuration-set/newsletter", "1 of 1 roles differ."] {
        assert!(said.contains(words), "{said}");
    }

    let iam = iam_at(scene.iam.url());
    let create = iam.create_role().role_name("ns-newsletter").assume_role_policy_document(TRUST);
    create.send().await.unwrap();
    let said = scene.says(&["-f", text(&file)], 1).await;
    assert!(said.contains("is not owned by this resource"), "{said}");

    let mut adopted = spec("newsletter");
    adopted["adoptionPolicy"] = json!("Adopt");
    let file = scene.write("adopt.json", &adopted);
    scene.iam.forget_calls();
    let said = scene.says(&["-f", text(&file), "-o", "json"], 1).await;
    let rows: Value = serde_json::from_str(&said).unwrap();
    let changes = rows[0]["changes"].as_array().unwrap();
    let actions: Vec<_> = changes.iter().map(|c| c["action"].as_str().unwrap()).collect();
    assert!(actions.contains(&"iam:TagRole") && actions.contains(&"iam:UpdateAssumeRolePolicy"));
    assert!(said.contains("ec2.amazonaws.com"), "{said}");
    let is_read = |action: &String| action.starts_with("Get") || action.starts_with("List");
    let calls = scene.iam.calls().by_action;
    assert!(calls.keys().all(is_read), "{calls:?}");
    scene.says(&["-f", text(&file), "--fail-on", "never"], 0).await;
}

#[tokio::test]
async fn a_role_in_another_account_than_the_credentials_is_not_compared() {
    let scene = Scene::new().await;
    let mut elsewhere = spec("newsletter");
    elsewhere["destination"]["firehoseDeliveryStreamArn"] =
        json!("arn:aws:firehose:us-east-1:444455556666:deliverystream/email");
    let file = scene.write("role.json", &elsewhere);
    let said = scene.says(&["-f", text(&file)], 1).await;
    assert!(
        said.contains("444455556666") && said.contains("credentials of that account"),
        "{said}"
    );
}

#[tokio::test]
async fn only_wider_access_counts_as_new_access_and_has_an_example() {
    let scene = Scene::new().await;
    let rule = |bus: &str, name: &str| {
        json!({
            "source": {"eventBridgeRule": {"eventBusName": bus, "ruleName": name}},
            "destination": {"kinesisStreamArn": format!("arn:aws:kinesis:us-east-1:{ACCOUNT_ID}:stream/s")},
        })
    };
    let with = |field: &str, value: Value| {
        let mut spec = spec("a");
        spec[field] = value;
        spec
    };
    let boundary = format!("arn:aws:iam::{ACCOUNT_ID}:policy/b");
    let key = format!("arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/1");
    let mut keyed = spec("a");
    keyed["destination"]["kmsKeyArn"] = json!(key);
    for (case, old, new, expected) in [
        ("the same", spec("a"), spec("a"), None),
        ("another description", spec("a"), with("description", json!("b")), None),
        ("another source", spec("a"), spec("b"), Some("configuration-set/b")),
        ("any source", spec("a"), spec("*"), Some("configuration-set/example")),
        ("one source of any", spec("*"), spec("a"), None),
        ("one rule of a bus", rule("bus", "*"), rule("bus", "r"), None),
        ("a bus for a rule", rule("bus", "r"), rule("bus", "*"), Some("rule/bus/example")),
        ("another service", spec("a"), rule("bus", "r"), Some("events.amazonaws.com")),
        ("a key", spec("a"), keyed.clone(), Some("kms:Decrypt")),
        ("a key less", keyed.clone(), spec("a"), None),
        (
            "a boundary less",
            with("permissionsBoundaryArn", json!(boundary)),
            spec("a"),
            Some("no longer limits"),
        ),
        ("a boundary", spec("a"), with("permissionsBoundaryArn", json!(boundary)), None),
    ] {
        let (old, new) = (scene.write("old.json", &old), scene.write("new.json", &new));
        let arguments = ["-f", text(&new), "--from", text(&old), "--fail-on", "new-access"];
        let said = scene.says(&arguments, i32::from(expected.is_some())).await;
        if let Some(words) = expected {
            assert!(said.contains(words) && said.contains("for example"), "{case}: {said}");
        }
        let differs = scene.diff(&["-f", text(&new), "--from", text(&old)]).await.status.code();
        assert_eq!(differs, Some(i32::from(case != "the same")), "{case}");
    }
    assert_eq!(scene.iam.calls().total(), 0, "two manifests need no AWS");
}
