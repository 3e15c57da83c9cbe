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
