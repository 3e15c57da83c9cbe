//! Several resources that declare the same role, and roles of other owners.

use std::time::Duration;

use serde_json::json;
use streamrole::role::{Action, ErrorKind};
use support::in_process::{CLUSTER, InProcess, kinesis_spec, rule_spec};

fn shared(stream: &str) -> serde_json::Value {
    let mut spec = kinesis_spec(stream);
    spec["roleName"] = json!("shared");
    spec
}

fn owner(world: &InProcess) -> String {
    let role = world.roles.role("shared");
    role.and_then(|role| role.tags.get("streamrole.dev/resource").cloned()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn the_first_owns_the_role_and_the_second_takes_over_once_it_is_deleted() {
    let world = InProcess::new();
    world.apply("first", &shared("a"));
    world.synced("first").await;
    world.apply("second", &shared("b"));
    let refused = world.says("second", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("ns/first"), "{refused}");
    assert!(world.is("second", "Stalled"));
    assert_eq!(owner(&world), "ns/first");
    world.delete("first");
    world.gone("first").await;
    world.synced("second").await;
    assert_eq!(owner(&world), "ns/second");
}

/// The kinds in both orders: each with the owner that the tags of its role `ns-events` name, and its spec.
fn both_orders() -> [[(&'static str, &'static str, serde_json::Value); 2]; 2] {
    let pinpoint = ("PinpointEventStreamRole/ns/events", "ns/events", kinesis_spec("a"));
    let other = ("EventStreamRole/ns/events", "EventStreamRole/ns/events", rule_spec("b"));
    [[pinpoint.clone(), other.clone()], [other, pinpoint]]
}

fn words_of(name: &str) -> String {
    name.replacen('/', " ", 1)
}

#[tokio::test(start_paused = true)]
async fn the_older_of_two_kinds_owns_the_role_and_the_other_takes_over_once_it_is_deleted() {
    for [(older, of_older, first), (younger, of_younger, second)] in both_orders() {
        let mut world = InProcess::stopped();
        world.apply(older, &first);
        world.apply(younger, &second);
        world.start();
        world.synced(older).await;
        let refused = world.says(younger, "False", "RoleOwnedByAnother").await;
        assert!(refused.contains(&words_of(older)), "{refused}");
        assert!(world.is(younger, "Stalled"));
        assert_eq!(world.tag("ns-events", "resource").as_deref(), Some(of_older));
        let before = world.roles.role("ns-events").unwrap();
        world.pass(Duration::from_hours(1)).await;
        let after = world.roles.role("ns-events").unwrap();
        assert_eq!(format!("{after:?}"), format!("{before:?}"), "the other changes nothing");

        world.delete(older);
        world.gone(older).await;
        world.synced(younger).await;
        assert_eq!(world.tag("ns-events", "resource").as_deref(), Some(of_younger));
        assert_eq!(world.tag("ns-events", "uid"), world.uid(younger));
        let role = world.roles.role("ns-events").unwrap();
        assert_ne!(role.role_id, before.role_id, "it is a new role");
        assert_eq!(role.inline_policies.len(), 1, "{:?}", role.inline_policies);
    }
}

#[tokio::test(start_paused = true)]
async fn the_kind_named_by_the_tags_wins_over_an_older_resource_of_the_other() {
    for [(older, _, first), (younger, of_younger, second)] in both_orders() {
        let mut world = InProcess::stopped();
        world.apply(older, &first);
        world.apply(younger, &second);
        let uid = world.uid(younger).unwrap();
        world.roles.put_owned("ns-events", CLUSTER, of_younger, &uid);
        world.start();
        world.synced(younger).await;
        let refused = world.says(older, "False", "RoleOwnedByAnother").await;
        assert!(refused.contains(&words_of(younger)), "{refused}");
        assert_eq!(world.tag("ns-events", "uid"), Some(uid));
        world.delete(younger);
        world.gone(younger).await;
        world.synced(older).await;
        assert_eq!(world.tag("ns-events", "uid"), world.uid(older));
    }
}

#[tokio::test(start_paused = true)]
async fn a_just_released_role_is_reserved_for_a_recreated_resource() {
    let world = InProcess::new();
    // A default name takes precedence over an explicit name.
    world.apply("first", &kinesis_spec("a"));
    world.synced("first").await;
    let mut spec = kinesis_spec("b");
    spec["roleName"] = json!("ns-first");
    world.apply("second", &spec);
    world.says("second", "False", "RoleOwnedByAnother").await;
    world.delete("first");
    world.gone("first").await;
    world
        .until("the second to wait", || {
            let is_waiting = world.is("second", "Reconciling") && !world.is("second", "Stalled");
            if is_waiting { Ok(()) } else { Err(format!("{:?}", world.ready("second"))) }
        })
        .await;
    world.apply("first", &kinesis_spec("a"));
    world.synced("first").await;
    world.says("second", "False", "RoleOwnedByAnother").await;
    world.delete("first");
    world.gone("first").await;
    world.synced("second").await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_role_is_unchanged_until_adopted_and_retained_on_deletion() {
    let world = InProcess::new();
    world.roles.put("shared", |role| role.description = "by hand".into());
    world.apply("events", &shared("a"));
    let refused = world.says("events", "False", "RoleNotOwned").await;
    assert!(refused.contains("adoptionPolicy: Adopt"), "{refused}");
    assert_eq!(world.roles.role("shared").unwrap().description, "by hand");
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    world.synced("events").await;
    assert_eq!(owner(&world), "ns/events");
    world.delete("events");
    world.gone("events").await;
    let kept = world.roles.role("shared").unwrap();
    assert!(kept.tags.is_empty(), "{:?}", kept.tags);
}

#[tokio::test(start_paused = true)]
async fn a_role_of_another_cluster_is_taken_over_only_on_request_and_once() {
    let world = InProcess::new();
    world.roles.put_owned("shared", "c2", "ns/other", "u9");
    let mut spec = shared("a");
    for policy in ["Never", "Adopt"] {
        spec["adoptionPolicy"] = json!(policy);
        world.apply("events", &spec);
        let refused = world.says("events", "False", "RoleOwnedByAnother").await;
        for part in ["ns/other", "another cluster (c2)", "adoptionPolicy: TakeOver"] {
            assert!(refused.contains(part), "{part:?} in {refused:?}");
        }
    }
    spec["adoptionPolicy"] = json!("TakeOver");
    world.apply("events", &spec);
    world.synced("events").await;
    assert_eq!(world.tag("shared", "cluster").as_deref(), Some(CLUSTER));
    // The other cluster takes it back. If both went on they would never end.
    world.roles.put_owned("shared", "c2", "ns/other", "u9");
    let refused = world.says("events", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("was taken over from this resource"), "{refused}");
    world.delete("events");
    world.gone("events").await;
    assert_eq!(world.tag("shared", "cluster").as_deref(), Some("c2"), "it is the other cluster's");
}

#[tokio::test(start_paused = true)]
async fn a_role_of_an_unknown_kind_is_unchanged() {
    let world = InProcess::new();
    world.roles.put_owned("shared", CLUSTER, "NewKind/ns/events", "u9");
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    let refused = world.says("events", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("NewKind ns/events"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn the_resource_named_by_the_tags_wins_over_an_older_one() {
    let mut world = InProcess::stopped();
    world.apply("older", &shared("a"));
    world.apply("younger", &shared("a"));
    world.roles.put_owned("shared", CLUSTER, "ns/younger", &world.uid("younger").unwrap());
    world.start();
    world.synced("younger").await;
    world.says("older", "False", "RoleOwnedByAnother").await;
    assert_eq!(world.tag("shared", "uid"), world.uid("younger"));
    world.delete("younger");
    world.gone("younger").await;
    world.synced("older").await;
}

#[tokio::test(start_paused = true)]
async fn a_recreated_resource_reclaims_its_role() {
    let world = InProcess::new();
    world.roles.put_owned("ns-events", CLUSTER, "ns/events", "former");
    world.apply("events", &kinesis_spec("s"));
    world.synced("events").await;
    assert_eq!(world.tag("ns-events", "uid"), world.uid("events"));
}

#[tokio::test(start_paused = true)]
async fn an_orphaned_role_can_be_adopted() {
    let world = InProcess::new();
    world.roles.put_owned("ns-events", CLUSTER, "ns/vanished", "former");
    let mut spec = kinesis_spec("s");
    world.apply("events", &spec);
    let refused = world.says("events", "False", "RoleNotOwned").await;
    for part in ["ns/vanished", "no longer exists", "adoptionPolicy: Adopt"] {
        assert!(refused.contains(part), "{part:?} in {refused:?}");
    }
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    world.synced("events").await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_not_watched_may_hold_the_owner() {
    let world = InProcess::watching(&["ns"]);
    world.roles.put_owned("ns-events", CLUSTER, "elsewhere/owner", "former");
    let mut spec = kinesis_spec("s");
    spec["adoptionPolicy"] = json!("TakeOver");
    world.apply("events", &spec);
    let refused = world.says("events", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("elsewhere/owner"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn an_older_resource_that_does_not_write_blocks_no_other() {
    for kind in ["paused", "report", "invalid"] {
        let world = InProcess::new();
        let mut spec = shared("a");
        match kind {
            "report" => spec["driftPolicy"] = json!("Report"),
            "invalid" => spec["tags"] = json!({"Team": "a", "team": "b"}),
            _ => {}
        }
        world.apply("older", &spec);
        if kind == "paused" {
            world.annotate("older", "paused", Some("yes"));
            let message = world.says("older", "False", "Paused").await;
            assert!(message.contains(r#""yes""#) && message.contains("neither"), "{message}");
        }
        world.apply("younger", &shared("a"));
        world.synced("younger").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_default_name_wins_over_an_older_explicit_one_of_another_namespace() {
    let mut world = InProcess::stopped();
    let mut squatter = kinesis_spec("x");
    squatter["roleName"] = json!("ns-events");
    world.apply("squatter/waiting", &squatter);
    world.apply("events", &kinesis_spec("s"));
    world.start();
    world.synced("events").await;
    let refused = world.says("squatter/waiting", "False", "RoleOwnedByAnother").await;
    assert!(refused.contains("ns/events"), "{refused}");
    assert_eq!(world.tag("ns-events", "uid"), world.uid("events"));
}

#[tokio::test(start_paused = true)]
async fn a_different_path_is_reported_and_the_role_is_not_claimed() {
    let world = InProcess::new();
    world.roles.put("shared", |role| role.path = "/elsewhere/".into());
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    let message = world.says("events", "False", "ImmutableFieldDiffers").await;
    assert!(message.contains("/elsewhere/") && message.contains("spec.path is /"), "{message}");
    assert!(world.roles.role("shared").unwrap().tags.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_adopted_role_is_deleted_only_when_the_spec_says_so() {
    let world = InProcess::new();
    world.roles.put("shared", |_| {});
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    spec["deletionPolicy"] = json!("Delete");
    world.apply("events", &spec);
    world.synced("events").await;
    assert_eq!(world.tag("shared", "adopted").as_deref(), Some("true"));
    world.delete("events");
    world.gone("events").await;
    assert!(world.roles.role("shared").is_none());
}

#[tokio::test(start_paused = true)]
async fn ownership_tags_that_others_strip_or_rewrite_are_restored() {
    for case in ["all", "cluster", "resource", "uid", "case", "value", "other"] {
        let world = InProcess::new();
        world.apply("events", &kinesis_spec("s"));
        world.synced("events").await;
        world.pass(Duration::from_mins(1)).await;
        let before = world.roles.role("ns-events").unwrap().tags;
        let key = |key: &str| format!("streamrole.dev/{key}");
        world.roles.put("ns-events", |role| match case {
            "all" => role.tags.clear(),
            "case" => {
                let uid = role.tags.remove(&key("uid")).unwrap();
                role.tags.insert("StreamRole.dev/UID".into(), uid);
            }
            "value" => drop(role.tags.insert(key("resource"), "NS/EVENTS".into())),
            "other" => drop(role.tags.insert(key("resource"), "elsewhere/else".into())),
            one => drop(role.tags.remove(&key(one))),
        });
        world
            .until(&format!("the tags of {case} to be restored"), || {
                let now = world.roles.role("ns-events").unwrap().tags;
                let is_restored = before.iter().all(|(key, value)| now.get(key) == Some(value));
                if is_restored { Ok(()) } else { Err(format!("{now:?}")) }
            })
            .await;
        world.synced("events").await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_adopted_role_whose_tags_are_stripped_is_retained_on_deletion() {
    let world = InProcess::new();
    world.roles.put("shared", |_| {});
    let mut spec = shared("a");
    spec["adoptionPolicy"] = json!("Adopt");
    world.apply("events", &spec);
    world.synced("events").await;
    world.pass(Duration::from_mins(1)).await;
    world.roles.put("shared", |role| role.tags.clear());
    world
        .until("the adoption to be remembered", || {
            let tags = world.roles.role("shared").unwrap().tags;
            if tags.len() == 4 { Ok(()) } else { Err(format!("{tags:?}")) }
        })
        .await;
    world.delete("events");
    world.gone("events").await;
    assert!(world.roles.role("shared").is_some(), "it was there before the resource");
}

#[tokio::test(start_paused = true)]
async fn the_role_of_a_predecessor_is_deleted_with_the_waiting_resource() {
    let world = InProcess::new();
    world.roles.put_owned("ns-events", CLUSTER, "ns/events", "former");
    world.roles.fail(Action::TagRole, ErrorKind::AccessDenied);
    world.apply("events", &kinesis_spec("s"));
    let message = world.says("events", "False", "AccessDenied").await;
    assert!(message.contains("iam:TagRole"), "{message}");
    world.delete("events");
    world.gone("events").await;
    assert!(world.roles.role("ns-events").is_none());
    assert_eq!(world.notes("Deleted").len(), 1, "{:?}", world.cluster.events());
}

#[tokio::test(start_paused = true)]
async fn a_service_linked_role_and_the_controllers_own_are_never_changed() {
    let world = InProcess::new();
    let mut spec = kinesis_spec("a");
    spec["adoptionPolicy"] = json!("Adopt");
    spec["roleName"] = json!("Controller");
    world.apply("own", &spec);
    let refused = world.says("own", "False", "RoleNotOwned").await;
    assert!(refused.contains("itself runs as"), "{refused}");
    world.roles.put("linked", |role| role.path = "/aws-service-role/a.amazonaws.com/".into());
    spec["roleName"] = json!("linked");
    world.apply("linked", &spec);
    let refused = world.says("linked", "False", "RoleNotOwned").await;
    assert!(refused.contains("service-linked"), "{refused}");
    assert!(world.roles.role("linked").unwrap().tags.is_empty());
}
