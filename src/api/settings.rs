//! The settings of an IAM role that all kinds of resource share. The limits are those of the IAM API reference
//! (`CreateRole`, `TagRole`, `PutRolePermissionsBoundary`).

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::role::{AdoptionPolicy, DeletionPolicy, DriftPolicy};

use super::rules;

/// The declared settings of the role.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleSettings {
    /// Name of the IAM role: 1 to 64 letters, digits and any of `_+=,.@-`, unique in the account without regard to
    /// case. Immutable. Default: `<namespace>-<name>` of this resource, after the controller's prefix for role names,
    /// if any. A default name longer than 64 characters is shortened with a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new("self.matches('^[a-zA-Z0-9_+=,.@-]+$')").message("roleName may hold only letters, digits and the characters _+=,.@-"))]
    pub role_name: Option<String>,

    /// Path of the IAM role: `/`, or names between slashes, at most 512 characters, without spaces and `*?${}`. IAM
    /// reserves `/aws-service-role/`. Immutable.
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

    /// ARN of the managed policy that limits what the role can do. Absent means that the role has no permissions
    /// boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new(rules::is_policy_arn()).message("permissionsBoundaryArn must be the ARN of a managed policy, as in arn:aws:iam::111122223333:policy/boundary"))]
    pub permissions_boundary_arn: Option<String>,

    /// Longest session of the role, in seconds: 3600 to 43200.
    #[serde(default = "default_max_session_duration_seconds")]
    #[schemars(range(min = 3600, max = 43200))]
    pub max_session_duration_seconds: i32,

    /// Tags of the IAM role. Tags that others put on the role are left unchanged. Keys must not begin with `aws:` or
    /// `streamrole.dev/`, which are reserved, and must not begin or end with white space. Keys are case-insensitive in
    /// IAM.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "tags_schema")]
    #[x_kube(
        validation = Rule::new(r"self.all(key, key.matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$'))").message("tags: a key must be 1 to 128 letters, digits, spaces and any of _.:/=+@-"),
        validation = Rule::new(rules::no_key_is_reserved()).message("tags: keys that begin with aws: or streamrole.dev/ are reserved, in any case or width of letters"),
        validation = Rule::new(rules::keys_have_no_outer_white_space()).message("tags: a key must not begin or end with white space"),
        validation = Rule::new(r"self.all(key, self[key].matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$'))").message("tags: a value must be at most 256 letters, digits, spaces and any of _.:/=+@-")
    )]
    pub tags: BTreeMap<String, String>,

    /// Whether the controller removes inline and attached policies that this resource does not declare from the role.
    /// When false, it only reports them.
    #[serde(default)]
    pub exclusive_policies: bool,

    /// How the controller handles an existing role of this name that was not created for this resource. `Never`: leave
    /// it unchanged and report it. `Adopt`: take ownership of a role that no existing resource owns, change it to match
    /// the spec, and keep it on deletion unless `deletionPolicy` is set to `Delete`. `TakeOver`: the same, and also
    /// take ownership of a role of another cluster, whose resource then leaves the role unchanged.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,

    /// Whether the role is deleted or kept when this resource is deleted. Default: `Delete` for a role that the
    /// controller created, `Retain` for one that it adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "deletion_policy_schema")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// How the controller handles a difference between the live role and the spec. `Correct`: repair it. `Report`:
    /// write nothing to IAM, not even to create or delete the role, and list the differences in `status.drift`.
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

/// Has no description: one would replace that of the field.
fn deletion_policy_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "enum": [DeletionPolicy::Delete, DeletionPolicy::Retain],
    })
}

fn default_path() -> String {
    "/".into()
}

const fn default_max_session_duration_seconds() -> i32 {
    3600
}
