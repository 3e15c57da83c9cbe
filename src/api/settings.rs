//! The settings of an IAM role that all kinds of resource share. The limits are those of the IAM API reference
//! (`CreateRole`, `TagRole`, `PutRolePermissionsBoundary`).

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::role::{AdoptionPolicy, DeletionPolicy, DriftPolicy};

use super::rules;

/// What the user declares about the role itself.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleSettings {
    /// Name of the IAM role: 1 to 64 letters, digits and any of `_+=,.@-`, unique in the account without
    /// regard to case. Cannot be changed. Default: `<namespace>-<name>` of this resource, after the
    /// prefix that the controller may be given, shortened with a hash when that is longer than 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9_+=,.@-]+$')").message("roleName may hold only letters, digits and the characters _+=,.@-"))]
    pub role_name: Option<String>,

    /// Path of the IAM role: `/`, or names between slashes, at most 512 characters, without spaces and
    /// `*?${}`. `/aws-service-role/` is IAM's own. Cannot be changed.
    #[serde(default = "default_path")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new(rules::is_path()).message("path must be /, or begin and end with / and hold no spaces, no // and none of *?${}, as in /streaming/"),
        validation = Rule::new("!self.matches('(?i)^/aws-service-role/')").message("path must not be below /aws-service-role/: IAM keeps that for service-linked roles. Use another, as in /streaming/"),
        validation = Rule::new("self == oldSelf").message("path cannot be changed: IAM cannot move a role. Create another resource with the new path, then delete this one")
    )]
    pub path: String,

    /// Description of the IAM role, at most 1000 characters. Absent means that the role has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    #[x_kube(validation = Rule::new(r"self.matches('^[\\t\\n\\r -~\u00A1-\u00FF]*$')").message("description may hold only printable characters of Latin-1, tabs and line breaks: IAM accepts no others"))]
    pub description: Option<String>,

    /// ARN of the managed policy that bounds what the role can do. Absent means that the role has no
    /// permissions boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new(rules::is_policy_arn()).message("permissionsBoundaryArn must be the ARN of a managed policy, as in arn:aws:iam::111122223333:policy/boundary"))]
    pub permissions_boundary_arn: Option<String>,

    /// Longest session, in seconds, for which the role can be assumed: 3600 to 43200.
    #[serde(default = "default_max_session_duration_seconds")]
    #[schemars(range(min = 3600, max = 43200))]
    pub max_session_duration_seconds: i32,

    /// Tags of the IAM role. Tags that others put on the role are left alone. Keys that begin with `aws:`
    /// or `streamrole.dev/` are reserved, keys do not begin or end with white space, and IAM does not tell
    /// them apart by case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    #[x_kube(
        validation = Rule::new(r"self.all(key, key.matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$'))").message("tags: a key must be 1 to 128 letters, digits, spaces and any of _.:/=+@-"),
        validation = Rule::new(rules::no_key_is_reserved()).message("tags: keys that begin with aws: or streamrole.dev/ are reserved, in any case or width of letters"),
        validation = Rule::new(rules::keys_have_no_outer_space()).message("tags: a key must not begin or end with white space"),
        validation = Rule::new(r"self.all(key, self[key].matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$'))").message("tags: a value must be at most 256 letters, digits, spaces and any of _.:/=+@-")
    )]
    pub tags: BTreeMap<String, String>,

    /// Whether inline and attached policies that this resource does not declare are removed from the role.
    /// When false they are only reported.
    #[serde(default)]
    pub exclusive_policies: bool,

    /// What to do when a role of this name exists already and was not created for this resource. `Never`:
    /// leave it alone and say so. `Adopt`: take over a role that no living resource owns, change it as
    /// declared, and keep it on deletion unless `deletionPolicy` says otherwise. `TakeOver`: the same, and
    /// also take a role from a resource of another cluster, which from then on leaves it alone.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,

    /// What happens to the role when this resource is deleted. Default: `Delete` for a role that the
    /// controller created, `Retain` for one that it adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// What to do about a difference between the live role and this declaration. `Correct`: repair it.
    /// `Report`: write nothing to IAM, not even to create or delete the role, and list the differences in
    /// `status.drift`.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
}

fn tags_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        // IAM allows 50; four are reserved for ownership.
        "maxProperties": 46,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}

fn default_path() -> String {
    "/".into()
}

const fn default_max_session_duration_seconds() -> i32 {
    3600
}
