//! The declared roles as a CloudFormation template (`AWS::IAM::Role`).

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Names, Role};
use crate::policy::{Document, capitalized};

/// The template.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Template<'a> {
    #[serde(rename = "AWSTemplateFormatVersion")]
    version: &'static str,
    description: &'static str,
    resources: BTreeMap<String, Resource<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<'a> {
    r#type: &'static str,
    properties: Properties<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Properties<'a> {
    role_name: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    max_session_duration: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<&'a str>,
    assume_role_policy_document: &'a Document,
    policies: [Policy<'a>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Tag<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy<'a> {
    policy_name: &'a str,
    policy_document: &'a Document,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag<'a> {
    key: &'a str,
    value: &'a str,
}

pub(super) fn template<'a>(roles: &'a [Role<'_>]) -> Template<'a> {
    let mut names = Names::default();
    let resources = roles.iter().map(|role| (names.unique(logical_id(role)), resource(role)));
    Template {
        version: "2010-09-09",
        description: "Roles for event streams, rendered by streamrole",
        resources: resources.collect(),
    }
}

/// Letters and digits only (CloudFormation user guide, "Resources").
fn logical_id(role: &Role<'_>) -> String {
    let words = [role.namespace, role.name];
    let words = words.iter().flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()));
    words.map(capitalized).collect()
}

fn resource<'a>(role: &'a Role<'_>) -> Resource<'a> {
    Resource {
        r#type: "AWS::IAM::Role",
        properties: Properties {
            role_name: role.role_name,
            path: role.path,
            description: role.description,
            max_session_duration: role.max_session_duration_seconds,
            permissions_boundary: role.permissions_boundary_arn.as_deref(),
            assume_role_policy_document: role.trust_policy,
            policies: [Policy {
                policy_name: role.permissions_policy_name,
                policy_document: role.permissions_policy,
            }],
            tags: role.tags.iter().map(|(key, value)| Tag { key, value }).collect(),
        },
    }
}
