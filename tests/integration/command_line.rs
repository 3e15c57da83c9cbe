//! The commands that read a cluster.

use serde_json::{Value, json};
use support::world::{World, stack};

/// Runs `streamrole` with the permissions of an administrator, behind the proxy of the world.
async fn streamrole(world: &World, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = tokio::process::Command::new(support::world::binary());
    command.args(arguments).env_clear();
    command.env("KUBECONFIG", stack().await.admin_kubeconfig());
    command.env("AWS_ENDPOINT_URL", world.proxy.url()).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "key").env("AWS_SECRET_ACCESS_KEY", "secret");
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn diff_compares_the_resources_of_the_cluster_and_only_reads() {
    let mut world = World::new("diff-cluster").await;
    for name in ["one", "two"] {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    world.all_ready().await;
    // Nothing repairs what happens from now on.
    world.controller = None;
    let arguments = ["diff", "--cluster", "-n", "diff-cluster", "-o", "json"];
    world.proxy.forget_calls();
    let (code, said, error) = streamrole(&world, &arguments).await;
    assert_eq!(code, Some(0), "{said}{error}");
    assert_eq!(serde_json::from_str::<Vec<Value>>(&said).unwrap().len(), 2);

    world.tamper(&world.role("two")).await;
    let (code, said, error) = streamrole(&world, &arguments).await;
    assert_eq!(code, Some(1), "{said}{error}");
    let rows: Vec<Value> = serde_json::from_str(&said).unwrap();
    let changed = |row: &Value| !row["changes"].as_array().unwrap().is_empty();
    let names: Vec<_> =
        rows.iter().filter(|row| changed(row)).map(|row| &row["resource"]).collect();
    assert_eq!(names, [&json!("PinpointEventStreamRole diff-cluster/two")]);
    assert!(said.contains("kinesis:*"), "{said}");
    let is_read = |action: &String| action.starts_with("Get") || action.starts_with("List");
    assert!(world.proxy.actions().iter().all(is_read), "{:?}", world.proxy.actions());
}

/// A manifest of an `EventStreamRole` in a file.
async fn manifest(name: &str, adoption: &str) -> std::path::PathBuf {
    let path = stack().await.scratch(&format!("{name}-{adoption}.json"));
    let manifest = json!({
        "apiVersion": "streamrole.dev/v1alpha1",
        "kind": "EventStreamRole",
        "metadata": {"name": "it", "namespace": name},
        "spec": {
            "adoptionPolicy": adoption,
            "description": "5 o'clock \"$HOME\"",
            "maxSessionDurationSeconds": 7200,
            "tags": {"cost center": "a+b=c"},
            "source": {"ses": {"configurationSetName": "newsletter"}},
            "destination": {
                "firehoseDeliveryStreamArn": "arn:aws:firehose:us-east-1:111122223333:deliverystream/email",
            },
        },
    });
    std::fs::write(&path, manifest.to_string()).unwrap();
    path
}

#[tokio::test]
async fn the_rendered_script_makes_the_role_and_diff_finds_only_ownership_to_add() {
    let world = World::without_controller("rendered").await;
    let path = manifest("rendered", "Adopt").await;
    let path = path.to_str().unwrap();
    let (code, script, error) = streamrole(&world, &["render", "-f", path, "-o", "aws-cli"]).await;
    assert_eq!(code, Some(0), "{error}");
    let file = stack().await.scratch("rendered.sh");
    std::fs::write(&file, script).unwrap();

    let aws = stack().await.aws();
    let folder = std::path::Path::new(aws.get_program()).parent().unwrap().to_owned();
    let mut sh = tokio::process::Command::new("sh");
    sh.arg(file).envs(aws.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(folder).chain(std::env::split_paths(&paths));
    sh.env("PATH", std::env::join_paths(paths).unwrap());
    let run = sh.output().await.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let (code, said, error) = streamrole(&world, &["diff", "-f", path, "-o", "json"]).await;
    assert_eq!(code, Some(1), "{said}{error}");
    let rows: Vec<Value> = serde_json::from_str(&said).unwrap();
    let changes = rows[0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{said}");
    assert_eq!(changes[0]["differences"][0]["path"], "ownership tags", "{said}");
}

const ONLY_GET_ROLE: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":["iam:GetRole"],"Resource":"*"}]}"#;

#[tokio::test]
async fn diff_names_the_permission_that_is_missing() {
    let world = World::under("diff-denied", &[ONLY_GET_ROLE]).await;
    let path = manifest("diff-denied", "Never").await;
    let path = path.to_str().unwrap();
    let (code, said, error) = streamrole(&world, &["diff", "-f", path]).await;
    assert_eq!(code, Some(1), "a role that does not exist needs no more: {error}");
    assert!(said.contains("iam:CreateRole"), "{said}");
    world.create_foreign_role("diff-denied-it").await;
    let (code, said, error) = streamrole(&world, &["diff", "-f", path]).await;
    assert_eq!((code, &*said), (Some(2), ""), "{error}");
    assert!(error.contains("AccessDenied") && error.contains("iam:"), "{error}");
    for needed in ["GetRolePolicy", "ListRolePolicies", "ListAttachedRolePolicies"] {
        if error.contains(needed) {
            return;
        }
    }
    panic!("{error}");
}
