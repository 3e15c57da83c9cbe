//! Hostile additions to a role that a resource owns: odd names, texts and documents, and another role with its name.
//! Reports are one bounded line each, and there are no writes where none are permitted.

use aws_sdk_iam::types::Tag;
use serde_json::{Value, json};
use support::{Fault, eventually};

use crate::hostile::{live, notes, works_on, writes};
use support::world::{FOREIGN_TRUST, OTHER_CLUSTER, OTHER_POLICY, POLICY, World};

/// The longest message with text by others: the whole text is far longer.
const LONGEST_MESSAGE: usize = 16_384;

/// Characters that end a line, control a terminal or change the direction of writing.
fn is_odd(c: char) -> bool {
    let turns = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
    c.is_control() || turns.iter().any(|range| range.contains(&c))
}

/// Asserts that all reports on the resource, in events and in the log, consist of bounded lines.
async fn is_readable(world: &World, name: &str) {
    let status = world.resources.get(name).await.unwrap().status.unwrap();
    let mut said: Vec<_> = status.conditions.into_iter().map(|told| told.message).collect();
    for drifted in status.drift {
        said.extend([Some(drifted.path), drifted.desired, drifted.live].into_iter().flatten());
    }
    said.extend(notes(world).await);
    // Each is a separate line.
    said.extend(world.log().lines().map(str::to_owned));
    for text in said {
        assert!(!text.contains(is_odd), "{name}: {text:?}");
        assert!(text.chars().count() <= LONGEST_MESSAGE, "{name}: {}", text.len());
    }
}

/// Creates a resource that only reports, with a role that matches the spec.
async fn reporting(world: &World, name: &str) {
    let mut spec = world.kinesis_spec(name);
    world.apply(name, &spec).await;
    world.ready(name).await;
    spec["driftPolicy"] = "Report".into();
    spec["exclusivePolicies"] = true.into();
    world.apply(name, &spec).await;
    world.ready(name).await;
}

async fn request(world: &World, name: &str) {
    world.annotate(name, "streamrole.dev/reconcile-requested-at", "now").await;
}

/// Permissions policies as IAM could show them.
fn documents() -> [(&'static str, String); 14] {
    let long = "x".repeat(10_000);
    let statement = |field: &str, value: &str| {
        let mut statement = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        statement[field] = value.into();
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let many: Vec<Value> = (0..5000)
        .map(|n| json!({"Effect": "Allow", "Action": format!("s3:A{n}"), "Resource": "*"}))
        .collect();
    [
        ("text", "not JSON\n\u{1b}[2J".into()),
        ("array", "[]".into()),
        ("null", "null".into()),
        ("empty", String::new()),
        ("string", format!("\"{long}\"")),
        ("twice", OTHER_POLICY.replacen('{', r#"{"Version":"2012-10-17","Statement":[],"#, 1)),
        ("deep", "[".repeat(100_000)),
        ("open", format!("{{\"Statement\":{}", "{\"a\":".repeat(10_000))),
        ("long", statement("Action", &long)),
        ("lines", statement("Resource", "a\nb\r\u{85}c\u{2028}d")),
        ("bidi", statement("Resource", "\u{202e}txt.exe\u{2066}")),
        ("control", statement("Resource", "\u{0}\u{1b}]0;owned\u{7}\u{9b}2J")),
        ("key", statement("\u{1b}[31m\n", "x")),
        ("many", json!({"Version": "2012-10-17", "Statement": many}).to_string()),
    ]
}

fn body_of(action: &str, result: &str) -> Fault {
    Fault::Body {
        body: format!(
            "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}</{action}Result></{action}Response>"
        ),
    }
}

#[tokio::test]
async fn odd_documents_are_reported_in_readable_lines_and_unchanged() {
    let world = World::new("odd-documents").await;
    let documents = documents();
    for (name, _) in &documents {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    for (name, _) in &documents {
        reporting(&world, name).await;
    }
    world.proxy.forget_calls();
    for (name, document) in &documents {
        let role = world.role(name);
        let encoded =
            percent_encoding::utf8_percent_encode(document, percent_encoding::NON_ALPHANUMERIC);
        let result = format!(
            "<RoleName>{role}</RoleName><PolicyName>{POLICY}</PolicyName><PolicyDocument>{encoded}</PolicyDocument>"
        );
        world.proxy.inject("GetRolePolicy", Some(&role), body_of("GetRolePolicy", &result));
        request(&world, name).await;
    }
    for (name, _) in &documents {
        world.says(name, "False", "DriftReported", "permissionsPolicy").await;
        is_readable(&world, name).await;
    }
    assert_eq!(writes(world.proxy.calls(), &[]), []);
    works_on(&world).await;
}

/// Names and texts that IAM rejects by its documentation; other implementations can accept them.
fn texts() -> [(&'static str, String); 5] {
    [
        ("lines", "a\nb\tc".into()),
        ("bidi", "\u{202e}txt.exe\u{2066}".into()),
        ("ends", "a\u{2028}b\u{85}c".into()),
        ("markup", "<b>&amp;\"'`$(id)`</b>${aws:username}".into()),
        ("long", "x".repeat(10_000)),
    ]
}

#[tokio::test]
async fn odd_policy_names_and_descriptions_are_reported_in_readable_lines() {
    let world = World::new("odd-names").await;
    for (name, _) in texts() {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    for (name, text) in texts() {
        reporting(&world, name).await;
        let role = world.role(name);
        let put = world.iam.put_role_policy().role_name(&role).policy_name(&text);
        put.policy_document(OTHER_POLICY).send().await.unwrap();
        let update = world.iam.update_role().role_name(&role).description(&text);
        update.max_session_duration(3600).send().await.unwrap();
    }
    world.proxy.forget_calls();
    for (name, _) in texts() {
        let before = live(&world, name).await;
        request(&world, name).await;
        world.says(name, "True", "DriftReported", "description").await;
        is_readable(&world, name).await;
        assert_eq!(live(&world, name).await, before);
    }
    assert_eq!(writes(world.proxy.calls(), &[]), []);

    // Where it is permitted, all of it is removed, and that is reported too.
    for (name, _) in texts() {
        let mut spec = world.kinesis_spec(name);
        spec["exclusivePolicies"] = true.into();
        world.apply(name, &spec).await;
        world.ready(name).await;
        let role = world.role(name);
        let left = world.iam.list_role_policies().role_name(&role).send().await.unwrap();
        assert_eq!(left.policy_names, [POLICY]);
        eventually("an event that reports it", || async {
            let notes = notes(&world).await;
            let told =
                notes.iter().any(|note| note.contains(&role) && note.contains("description"));
            if told { Ok(()) } else { Err(format!("{notes:?}")) }
        })
        .await;
        is_readable(&world, name).await;
    }
    works_on(&world).await;
}

const SECRET: &str = "SECRET";

/// Deletes the role and creates another one with its name and these tags.
async fn recreate(world: &World, name: &str, tags: &[(&str, &str)]) {
    let role = world.role(name);
    let delete = world.iam.delete_role_policy().role_name(&role).policy_name(POLICY);
    delete.send().await.unwrap();
    world.iam.delete_role().role_name(&role).send().await.unwrap();
    let create = world.iam.create_role().role_name(&role).description(format!("{SECRET} text"));
    let tags = tags.iter().map(|(key, value)| {
        Tag::builder().key(format!("streamrole.dev/{key}")).value(*value).build().unwrap()
    });
    let create = create.set_tags(Some(tags.collect()));
    create.assume_role_policy_document(FOREIGN_TRUST).send().await.unwrap();
    let put = world.iam.put_role_policy().role_name(&role).policy_name(format!("{SECRET}-policy"));
    put.policy_document(OTHER_POLICY).send().await.unwrap();
}

#[tokio::test]
async fn a_replaced_role_of_the_same_name_is_foreign() {
    let world = World::new("recreated-role").await;
    let cluster = world.cluster_id().await;
    let cluster = cluster.as_str();
    let names = ["untagged", "elsewhere", "another", "copied"];
    let mut uids = Vec::new();
    for name in names {
        world.apply(name, &world.kinesis_spec(name)).await;
        uids.push(world.ready(name).await.metadata.uid.unwrap());
    }
    world.proxy.forget_calls();
    let mut before = Vec::new();
    for (name, uid) in names.into_iter().zip(&uids) {
        let mine = format!("recreated-role/{name}");
        let mine = mine.as_str();
        let other = "00000000-0000-0000-0000-000000000000";
        let tags: &[(&str, &str)] = match name {
            "untagged" => &[],
            "elsewhere" => &[("cluster", OTHER_CLUSTER), ("resource", mine), ("uid", other)],
            "another" => &[("cluster", cluster), ("resource", "elsewhere/x"), ("uid", other)],
            _ => &[("cluster", cluster), ("resource", mine), ("uid", uid.as_str())],
        };
        if name == "copied" {
            let told = notes(&world).await.concat() + &world.log();
            assert!(!told.contains(SECRET), "{told}");
            assert_eq!(writes(world.proxy.calls(), &[]), []);
        }
        recreate(&world, name, tags).await;
        before.push(live(&world, name).await);
        request(&world, name).await;
        let reason = match name {
            "untagged" => "RoleNotOwned",
            // The tags are the proof, and only a principal that can write them can copy them.
            "copied" => break,
            _ => "RoleOwnedByAnother",
        };
        let status = world.sees(name, "False", reason).await.status;
        assert!(!format!("{status:?}").contains(SECRET), "{status:?}");
    }
    world.says("copied", "True", "ExtraPolicies", SECRET).await;
    for (name, before) in names.iter().zip(before).take(3) {
        assert_eq!(live(&world, name).await, before, "{name}");
    }
    works_on(&world).await;
}
