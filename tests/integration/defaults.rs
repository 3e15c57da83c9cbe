//! The controller's defaults for every role: tags, and the prefix of default names.

use std::process::{Command, Stdio};

use serde_json::json;
use support::{Controller, ControllerOptions};

use support::world::{World, binary, kinesis_arn, stack};

async fn start_with(world: &mut World, variables: &[(&'static str, &str)]) {
    drop(world.controller.take());
    let environment = variables.iter().map(|(name, value)| (*name, Some((*value).to_owned())));
    let options = ControllerOptions { environment: environment.collect(), ..world.options() };
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
}

const TAGS: &str = "STREAMROLE_DEFAULT_TAG";
const PREFIX: &str = "STREAMROLE_ROLE_NAME_PREFIX";

#[tokio::test]
async fn every_role_gets_the_default_tags_and_names_begin_with_the_prefix() {
    let mut world = World::resyncing_later("defaults").await;
    start_with(&mut world, &[(TAGS, "team=platform,stage=test"), (PREFIX, "prod-")]).await;
    let destination = json!({"kinesisStreamArn": kinesis_arn("events")});
    world.apply("events", &json!({"destination": destination, "tags": {"Team": "own"}})).await;
    world.ready("events").await;
    let role = "prod-defaults-events";
    let tags = world.tags(role).await;
    let tag = |key: &str| tags.get(key).map(String::as_str);
    assert_eq!((tag("Team"), tag("team"), tag("stage")), (Some("own"), None, Some("test")));

    // Another prefix applies to new roles, and a default tag that is no longer configured is removed.
    start_with(&mut world, &[(TAGS, "team=platform"), (PREFIX, "next-")]).await;
    world.event("events", "DriftRepaired").await;
    let resource = world.ready("events").await;
    assert_eq!(resource.status.unwrap().role_name.as_deref(), Some(role));
    assert!(!world.tags(role).await.contains_key("stage"));
    world.apply("other", &json!({"destination": destination})).await;
    let other = world.ready("other").await;
    assert_eq!(other.status.unwrap().role_name.as_deref(), Some("next-defaults-other"));
    assert_eq!(world.tags("next-defaults-other").await["team"], "platform");

    world.delete("events").await;
    world.gone("events").await;
    assert!(!world.role_exists(role).await, "the deletion finds the role by the name that it has");
}

#[test]
fn an_impossible_default_is_rejected_at_startup() {
    for (flags, words) in [
        (["--default-tag", "team"], "KEY=VALUE"),
        (["--default-tag", "aws:team=x"], "reserved"),
        (["--default-tag", "team=x*"], "the value of \"team\""),
        (["--default-tag", "team=x,TEAM=y"], "differ only by case"),
        (["--role-name-prefix", "a/b"], "beginning of a role name"),
    ] {
        let run = Command::new(binary())
            .args(["run", "--listen", "127.0.0.1:0"])
            .args(flags)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains(words), "{flags:?}: {said}");
        assert!(said.contains(flags[0]) && !said.contains("spec.tags"), "{flags:?}: {said}");
    }
}
