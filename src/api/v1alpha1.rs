//! `streamrole.dev/v1alpha1`. Every rule that a manifest can break is in the schema, so that
//! `kubectl apply` refuses it with a message that names the field; limits are those of the IAM API
//! reference (`CreateRole`, `TagRole`, `PutRolePermissionsBoundary`).

#![allow(clippy::struct_field_names, reason = "the names are the resource's API")]

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, CustomResourceExt as _, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::conditions::ConditionType;
use super::rules;

/// The finalizer that keeps a resource until its role has been dealt with as its deletion policy says.
pub const FINALIZER: &str = "streamrole.dev/finalizer";

/// While this annotation is `"true"`, nothing is written to IAM for the resource.
pub const PAUSED_ANNOTATION: &str = "streamrole.dev/paused";

/// While this annotation is `"true"`, a resource that is being deleted is let go without a call to IAM, and
/// whatever role it has stays as it is.
pub const ABANDON_ANNOTATION: &str = "streamrole.dev/abandon";

/// Any new value of this annotation asks for a reconcile now; the status echoes the value it handled.
pub const RECONCILE_REQUESTED_AT_ANNOTATION: &str = "streamrole.dev/reconcile-requested-at";

/// What the user declares about one IAM role.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[kube(
    group = "streamrole.dev",
    version = "v1alpha1",
    kind = "PinpointEventStreamRole",
    plural = "pinpointeventstreamroles",
    shortname = "pesr",
    category = "aws",
    namespaced,
    derive = "PartialEq",
    status = "PinpointEventStreamRoleStatus",
    doc = "Declares the IAM role that lets Amazon Pinpoint send event data to a Kinesis data stream or a Firehose stream. The controller creates the role, keeps its trust policy and permissions policy equal to this declaration, and reports in the status conditions.",
    validation = Rule::new("self.metadata.name.size() <= 192").message(
        "metadata.name must be at most 192 characters: <namespace>/<name> is kept in a tag on the IAM role, and IAM allows 256 characters in a tag's value"
    ),
    selectable = ".spec.roleName",
    selectable = ".status.roleName",
    selectable = ".status.reason",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the live role equals the declaration"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why Ready has its status"),
    printcolumn(name = "Role", type_ = "string", json_path = ".status.roleName", description = "Name of the IAM role"),
    printcolumn(name = "Destination", type_ = "string", json_path = ".status.destination", description = "The stream that events go to"),
    printcolumn(name = "ARN", type_ = "string", json_path = ".status.roleArn", description = "ARN of the IAM role", priority = 1),
    printcolumn(name = "Drift", type_ = "string", json_path = ".status.drift[0].path", description = "The first difference that was seen and left as it is", priority = 1),
    printcolumn(name = "Last Change", type_ = "date", json_path = ".status.lastChangeTime", description = "When the controller last wrote to IAM", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Since when the resource is there")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(
        "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)"
    ).message("roleName cannot be changed: IAM cannot rename a role. Create another resource with the new name, then delete this one").field_path(".roleName"),
    validation = Rule::new(rules::source_has_account_of_stream()).message(Message::Expression(rules::source_has_another_account())).field_path(".destination"),
    validation = Rule::new(rules::source_has_partition_of_stream()).message(Message::Expression(rules::source_has_another_partition())).field_path(".source.region"),
    validation = Rule::new(rules::boundary_has_partition_of_stream()).message("permissionsBoundaryArn must be in the same partition as the destination").field_path(".permissionsBoundaryArn"),
)]
pub struct PinpointEventStreamRoleSpec {
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

    /// The stream that Amazon Pinpoint sends event data to. Set exactly one of the two stream ARNs.
    pub destination: Destination,

    /// The Amazon Pinpoint project that may use the role. When set, the trust policy gets the
    /// `aws:SourceAccount` and `aws:SourceArn` conditions that guard against the confused deputy problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,

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

/// The stream that Amazon Pinpoint sends event data to: exactly one of the two stream ARNs.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.kinesisStreamArn) != has(self.firehoseDeliveryStreamArn)").message("destination needs exactly one of kinesisStreamArn and firehoseDeliveryStreamArn"),
    validation = Rule::new(rules::key_is_where_stream_is()).message(Message::Expression(rules::key_is_elsewhere())).field_path(".kmsKeyArn"),
)]
pub struct Destination {
    /// ARN of a Kinesis data stream, as in `arn:aws:kinesis:us-east-1:111122223333:stream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("kinesis", "stream/[a-zA-Z0-9_.-]{1,128}")).message("kinesisStreamArn must be the ARN of a Kinesis data stream, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events"),
        validation = Rule::new(rules::region_is_of_partition()).message("kinesisStreamArn must name a Region of its partition, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events")
    )]
    pub kinesis_stream_arn: Option<String>,

    /// ARN of a Firehose stream, as in `arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("firehose", "deliverystream/[a-zA-Z0-9_.-]{1,64}")).message("firehoseDeliveryStreamArn must be the ARN of a Firehose stream, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events"),
        validation = Rule::new(rules::region_is_of_partition()).message("firehoseDeliveryStreamArn must name a Region of its partition, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events")
    )]
    pub firehose_delivery_stream_arn: Option<String>,

    /// ARN of the customer managed KMS key that encrypts the stream, if any, in the stream's account and
    /// Region; of a multi-Region key, that of the stream's Region. For a Kinesis data stream the role may
    /// then generate data keys with it, for this stream alone; for a Firehose stream also decrypt, which
    /// Firehose demands for streams created since 2026-04-20, and for all from 2027-02-28 on. The key's own
    /// policy must allow the role too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(
        validation = Rule::new(rules::is_arn("kms", "key/[a-zA-Z0-9-]{1,128}")).message("kmsKeyArn must be the ARN of a key (not of an alias), as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
        validation = Rule::new(rules::region_is_of_partition()).message("kmsKeyArn must name a Region of its partition, as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    )]
    pub kms_key_arn: Option<String>,
}

/// The Amazon Pinpoint project that may use the role.
#[derive(KubeSchema, Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The AWS account of the Pinpoint project, 12 digits. Must be the account of the destination.
    #[schemars(length(min = 12, max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{12}$')").message("accountId must be 12 digits, in quotes, as in \"111122223333\""))]
    pub account_id: String,

    /// The AWS Region of the Pinpoint project, as in `us-east-1`, in the partition of the destination.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(validation = Rule::new(rules::is_region("self")).message("region must be the code of an AWS Region, as in us-east-1"))]
    pub region: String,

    /// The ID of the Pinpoint project (application), 32 hexadecimal digits. Absent means any project of
    /// this account and Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 32, max = 32))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9a-f]{32}$')").message("applicationId must be 32 hexadecimal digits in lower case, as in 0123456789abcdef0123456789abcdef"))]
    pub application_id: Option<String>,
}

/// What to do when a role of the declared name exists already.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AdoptionPolicy {
    /// Leave it alone.
    #[default]
    Never,
    /// Take it over, unless a resource owns it.
    Adopt,
    /// Take it over, also from a resource of another cluster.
    TakeOver,
}

/// What happens to the role when the resource is deleted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DeletionPolicy {
    /// The role is deleted.
    Delete,
    /// The role stays, without the controller's ownership tags.
    Retain,
}

/// What to do about a difference between the live role and the declaration.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum DriftPolicy {
    /// Repair it.
    #[default]
    Correct,
    /// Write nothing, list it in the status.
    Report,
}

/// What the controller last saw of the role and did about it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PinpointEventStreamRoleStatus {
    /// The generation of the spec that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The reason of the condition `Ready`, where field selectors can reach it, as in
    /// `kubectl get pesr --field-selector status.reason=AccessDenied`.
    #[schemars(length(max = 1024))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Name of the IAM role.
    #[schemars(length(max = 64))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_name: Option<String>,

    /// ARN of the IAM role.
    #[schemars(length(max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,

    /// Stable and unique ID of the IAM role, as in `AROADBQP57FF2AEXAMPLE`. Another ID under the same name
    /// is another role.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<String>,

    /// Whether the role existed before this resource and was adopted by it. Remembered here, because the tag
    /// on the role that says so can be stripped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,

    /// The stream that events go to, shortened for people: `kinesis/<stream>` or `firehose/<stream>`.
    #[schemars(length(max = 256))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,

    /// Keys of `spec.tags` and of the controller's default tags that it has put on the role, so that it
    /// removes them, and only them, when they are declared no more.
    #[schemars(length(max = 256), inner(length(max = 128)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub tag_keys: Vec<String>,

    /// The value of the annotation `streamrole.dev/reconcile-requested-at` that was handled last.
    #[schemars(length(max = 262_144))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// When the controller last wrote to IAM for this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,

    /// Differences between the live role and the declaration that were seen and left as they are.
    #[schemars(length(max = 128))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub drift: Vec<DriftedField>,

    /// `Ready`, `TrustPolicySynced` and `PermissionsPolicySynced`; `Reconciling` and `Stalled` only while
    /// they are true.
    #[schemars(length(max = 32))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// One difference between the live role and the declaration.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftedField {
    /// Where the difference is, as in `trustPolicy.Statement[0].Principal.Service`.
    #[schemars(length(max = 2048))]
    pub path: String,
    /// What the resource declares; absent when it declares nothing there.
    #[schemars(length(max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// What the live role has; absent when it has nothing there.
    #[schemars(length(max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
}

impl PinpointEventStreamRoleStatus {
    /// Whether the controller has not looked at the resource yet. The API server gives a new one the
    /// generation -1, so that kstatus does not take it for a kind of resource that needs no status.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.observed_generation.is_none_or(|generation| generation < 0)
    }

    /// The condition to wait for; absent until the resource was first looked at.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())
    }
}

fn tags_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        // IAM allows 50; four are for ownership.
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

/// The `CustomResourceDefinition` that a cluster needs, as shipped in `crds/`.
///
/// No field is nullable: the API server then puts the default in place of an explicit `null`, and refuses
/// one where there is no default, so that rules need not tell `null` from an absent field.
#[must_use]
pub fn crd() -> CustomResourceDefinition {
    let mut crd = PinpointEventStreamRole::crd();
    for version in &mut crd.spec.versions {
        let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut())
        else {
            continue;
        };
        let tidy =
            serde_json::to_value(&*schema).map(without_nullable).and_then(serde_json::from_value);
        if let Ok(tidy) = tidy {
            *schema = tidy;
        }
        if let Some(status) = schema.properties.as_mut().and_then(|p| p.get_mut("status")) {
            status.default = Some(JSON(json!({"observedGeneration": -1})));
            limit_conditions(status);
        }
    }
    crd
}

/// The limits that Kubernetes itself has on conditions (`metav1.Condition`), which its `OpenAPI` leaves out.
fn limit_conditions(status: &mut JSONSchemaProps) {
    let conditions = status.properties.as_mut().and_then(|fields| fields.get_mut("conditions"));
    let Some(JSONSchemaPropsOrArray::Schema(condition)) = conditions.and_then(|c| c.items.as_mut())
    else {
        return;
    };
    for (field, longest) in [("type", 316), ("reason", 1024), ("message", 32_768)] {
        if let Some(field) = condition.properties.as_mut().and_then(|p| p.get_mut(field)) {
            field.max_length = Some(longest);
        }
    }
}

fn without_nullable(schema: Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, value)| !(name == "nullable" && value.is_boolean()))
            .map(|(name, value)| (name, without_nullable(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nullable).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}
