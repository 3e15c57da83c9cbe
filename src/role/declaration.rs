//! The role that a manifest declares, and the same role for a stored resource. A declaration needs no cluster, no uid
//! and no status, so it can be made from a file.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{AccountId, Document, Partition, PolicyArn};

use super::name::{RoleKey, RoleName, RolePath};
use super::observed::ObservedRole;
use super::ownership::Owner;

/// How the controller handles an existing role of the declared name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AdoptionPolicy {
    /// Leave it unchanged.
    #[default]
    Never,
    /// Adopt it, unless a resource owns it.
    Adopt,
    /// Adopt it, or take it over from a resource of another cluster.
    TakeOver,
}

/// Whether the role is deleted or kept when the resource is deleted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// The role is deleted.
    Delete,
    /// The role is kept, without the controller's ownership tags.
    Retain,
}

/// How the controller handles a difference between the live role and the spec.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DriftPolicy {
    /// Repair it.
    #[default]
    Correct,
    /// Write nothing, and list it in the status.
    Report,
}

/// An inline policy of a role.
#[derive(Clone, Debug)]
pub struct InlinePolicy {
    /// Its name, unique in the role.
    pub name: String,
    /// Its document.
    pub document: Document,
}

/// The declaration of one role. Complete: it can be written to IAM unchanged.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Account of the role.
    pub account: AccountId,
    /// Partition of the role.
    pub partition: Partition,
    /// Name of the role.
    pub name: RoleName,
    /// Path of the role.
    pub path: RolePath,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
    /// Permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// The user's tags and the controller's default tags, without ownership tags.
    pub tags: BTreeMap<String, String>,
    /// Who can assume the role.
    pub trust_policy: Document,
    /// The permissions of the role.
    pub permissions_policy: InlinePolicy,
    /// Whether undeclared policies are removed.
    pub exclusive_policies: bool,
    /// How the controller handles an existing role of this name.
    pub adoption_policy: AdoptionPolicy,
}

impl Declaration {
    /// The key of the role, unique across accounts.
    #[must_use]
    pub fn key(&self) -> RoleKey {
        self.name.in_account(&self.account)
    }

    /// The ARN that the role has once it exists.
    #[must_use]
    pub fn arn(&self) -> String {
        self.name.arn(self.partition, &self.account, self.path.as_str())
    }
}

/// The state of a role as its resource's status records it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Held {
    /// Id of the role that the resource held last.
    pub role_id: Option<String>,
    /// Whether the resource adopted that role.
    pub adopted: bool,
    /// Keys of tags that an earlier generation declared. They are removed unless they are still declared.
    pub tag_keys: BTreeSet<String>,
}

impl Held {
    /// Whether `live` is the role that the resource held last, by its id. Another role of the same name has another id.
    #[must_use]
    pub fn is(&self, live: &ObservedRole) -> bool {
        self.role_id.as_ref().is_some_and(|id| !id.is_empty() && *id == live.role_id)
    }
}

/// The role that a stored resource declares.
#[derive(Clone, Debug)]
pub struct DesiredRole {
    /// The declaration.
    pub declaration: Declaration,
    /// Who declares it.
    pub owner: Owner,
    /// The state of the role as the status records it.
    pub held: Held,
}

impl DesiredRole {
    /// All tags that the role must carry: the user's tags and the ownership tags.
    #[must_use]
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.declaration.tags.clone();
        tags.extend(self.owner.tags());
        tags
    }
}
