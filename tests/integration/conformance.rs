//! The IAM in memory, which the benchmark uses, answers as moto does. It also implements two facts of IAM that moto
//! does not: case-insensitive role names, and pages.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::error::ProvideErrorMetadata;
use aws_sdk_iam::types::{EntityType, Tag};
use support::{MemoryIam, iam_at};

use support::world::{FOREIGN_TRUST, stack};

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::a b+c%20d/é"}]}"#;
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

fn code<T: std::fmt::Debug>(answer: Result<T, impl ProvideErrorMetadata>) -> String {
    answer.err().and_then(|error| error.code().map(str::to_owned)).unwrap_or_default()
}

async fn create(iam: &Client, role: &str) {
    iam.create_role()
        .role_name(role)
        .path("/bench/")
        .description("a & b")
        .max_session_duration(7200)
        .permissions_boundary(BOUNDARY)
        .assume_role_policy_document(FOREIGN_TRUST)
        .tags(tag("team", "a+b"))
        .tags(tag("stage", "x & y"))
        .send()
        .await
        .unwrap();
}

/// The content of each answer, in the client's view; equal for equal services.
async fn told_by(iam: &Client, role: &str) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    create(iam, role).await;
    let again = iam.create_role().role_name(role).assume_role_policy_document(FOREIGN_TRUST);
    told.push(("create again", code(again.send().await)));
    told.push(("get missing", code(iam.get_role().role_name("nobody").send().await)));

    let put = iam.put_role_policy().role_name(role).policy_name("p").policy_document(DOCUMENT);
    put.send().await.unwrap();
    let get = iam.get_role_policy().role_name(role).policy_name("p").send().await.unwrap();
    told.push(("inline policy", decoded(&get.policy_document)));
    let missing = iam.get_role_policy().role_name(role).policy_name("q").send().await;
    told.push(("missing inline policy", code(missing)));
    let names = iam.list_role_policies().role_name(role).send().await.unwrap().policy_names;
    told.push(("inline policies", format!("{names:?}")));
    told.push(("delete with a policy", code(iam.delete_role().role_name(role).send().await)));

    let profiles = iam.list_instance_profiles_for_role().role_name(role).send().await.unwrap();
    told.push(("instance profiles", format!("{:?}", profiles.instance_profiles)));

    let create_policy =
        iam.create_policy().policy_name(format!("{role}-p")).policy_document(DOCUMENT);
    let arn = match create_policy.send().await {
        Ok(output) => output.policy.unwrap().arn.unwrap(),
        // The IAM in memory has no managed policies; it attaches any ARN.
        Err(error) if matches!(error.code(), Some("NoSuchEntity" | "InvalidAction")) => {
            format!("arn:aws:iam::111122223333:policy/{role}-p")
        }
        Err(error) => panic!("CreatePolicy: {error:?}"),
    };
    iam.attach_role_policy().role_name(role).policy_arn(&arn).send().await.unwrap();
    let attached = iam.list_attached_role_policies().role_name(role).send().await.unwrap();
    let arns: Vec<_> = attached.attached_policies().iter().map(|p| p.policy_arn.clone()).collect();
    told.push(("attached", format!("{arns:?}")));

    iam.tag_role().role_name(role).tags(tag("team", "other")).send().await.unwrap();
    iam.untag_role().role_name(role).tag_keys("stage").send().await.unwrap();
    let update =
        iam.update_role().role_name(role).description("changed").max_session_duration(3600);
    update.send().await.unwrap();
    let trust = iam.update_assume_role_policy().role_name(role).policy_document(DOCUMENT_TRUST);
    trust.send().await.unwrap();
    let live = iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
    told.push(("role", format!("{} {} {:?}", live.arn, live.path, live.max_session_duration)));
    told.push(("description", live.description.clone().unwrap_or_default()));
    told.push(("trust policy", decoded(live.assume_role_policy_document().unwrap_or_default())));
    told.push(("tags", format!("{:?}", tags(live.tags()))));
    let boundary = live.permissions_boundary.and_then(|b| b.permissions_boundary_arn);
    told.push(("boundary", boundary.unwrap_or_default()));
    told.extend(lists(iam, role).await);

    iam.delete_role_permissions_boundary().role_name(role).send().await.unwrap();
    let live = iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
    told.push(("no boundary", format!("{:?}", live.permissions_boundary)));
    iam.detach_role_policy().role_name(role).policy_arn(&arn).send().await.unwrap();
    iam.delete_role_policy().role_name(role).policy_name("p").send().await.unwrap();
    iam.delete_role().role_name(role).send().await.unwrap();
    told.push(("get deleted", code(iam.get_role().role_name(role).send().await)));
    told
}

const DOCUMENT_TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pinpoint.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;

async fn lists(iam: &Client, role: &str) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    let mut pages = iam.list_roles().max_items(1000).into_paginator().items().send();
    while let Some(listed) = pages.next().await {
        let listed = listed.unwrap();
        if listed.role_name == role {
            let settings = (listed.description, listed.max_session_duration);
            told.push(("listed", format!("{settings:?}")));
            let left_out = (listed.permissions_boundary, listed.tags.unwrap_or_default());
            told.push(("left out of the list", format!("{left_out:?}")));
        }
    }
    let get = iam.get_account_authorization_details().filter(EntityType::Role);
    let mut pages = get.max_items(1000).into_paginator().send();
    while let Some(page) = pages.next().await {
        for detail in page.unwrap().role_detail_list.unwrap_or_default() {
            if detail.role_name.as_deref() != Some(role) {
                continue;
            }
            let inline = detail.role_policy_list().iter().map(|p| {
                (p.policy_name.clone(), decoded(p.policy_document.as_deref().unwrap_or_default()))
            });
            told.push(("details, inline", format!("{:?}", inline.collect::<Vec<_>>())));
            let attached = detail.attached_managed_policies().iter().map(|p| p.policy_arn.clone());
            told.push(("details, attached", format!("{:?}", attached.collect::<Vec<_>>())));
            told.push(("details, tags", format!("{:?}", tags(detail.tags()))));
            let trust = detail.assume_role_policy_document().unwrap_or_default();
            told.push(("details, trust policy", decoded(trust)));
            let boundary = detail.permissions_boundary.and_then(|b| b.permissions_boundary_arn);
            told.push(("details, boundary", boundary.unwrap_or_default()));
        }
    }
    told
}

#[tokio::test]
async fn the_benchmarks_iam_answers_as_moto_does() {
    let memory = MemoryIam::start(Duration::ZERO).await.unwrap();
    let by_memory = told_by(&iam_at(memory.url()), "conformance").await;
    let by_moto = told_by(&iam_at(stack().await.iam_url()), "conformance").await;
    assert_eq!(by_memory, by_moto);
    assert!(by_memory.contains(&("inline policy", DOCUMENT.to_owned())), "{by_memory:?}");
    assert!(by_memory.iter().all(|(_, said)| !said.is_empty()), "{by_memory:?}");
}

#[tokio::test]
async fn the_benchmarks_iam_stores_what_moto_does_not() {
    let memory = MemoryIam::start(Duration::ZERO).await.unwrap();
    let iam = iam_at(memory.url());
    for role in ["a", "b", "c"] {
        create(&iam, role).await;
    }
    let same = iam.create_role().role_name("A").assume_role_policy_document(FOREIGN_TRUST);
    assert_eq!(code(same.send().await), "EntityAlreadyExists");

    let mut names = Vec::new();
    let mut pages = iam.get_account_authorization_details().max_items(2).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.unwrap().role_detail_list.unwrap_or_default();
        names.push(page.into_iter().filter_map(|role| role.role_name).collect::<Vec<_>>());
    }
    assert_eq!(names, [vec!["a", "b"], vec!["c"]]);

    let first = iam.list_roles().max_items(2).send().await.unwrap();
    let second = iam.list_roles().max_items(2).set_marker(first.marker).send().await.unwrap();
    let counts = (first.roles.len(), first.is_truncated, second.roles.len(), second.is_truncated);
    assert_eq!(counts, (2, true, 1, false));
}
