//! The status that all kinds of resource share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditions::ConditionType;

/// The last observed state of the role, and what the controller did about it.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// The generation of the spec that the conditions refer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// The reason of the condition `Ready`, for field selectors, as in
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

    /// Whether the role existed before this resource and was adopted by it. Recorded here as well, because the tag on
    /// the role can be removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<bool>,

    /// The service that sends the events and its source, shortened for people, as in `ses/newsletter`. Absent for a
    /// `PinpointEventStreamRole`.
    #[schemars(length(max = 512))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,

    /// The destination of the events, shortened for people, as in `kinesis/app-events`.
    #[schemars(length(max = 640))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,

    /// Keys of `spec.tags` and of the controller's default tags that the controller has put on the role. It removes
    /// only these, when they are no longer declared.
    #[schemars(length(max = 256), inner(length(max = 128)))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub tag_keys: Vec<String>,

    /// The last handled value of the annotation `streamrole.dev/reconcile-requested-at`.
    #[schemars(length(max = 262_144))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// When the controller last wrote to IAM for this resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_change_time: Option<Time>,

    /// Observed differences between the live role and the spec that were left unchanged.
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

/// One difference between the live role and the spec.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftedField {
    /// Where the difference is, as in `trustPolicy.Statement[0].Principal.Service`.
    #[schemars(length(max = 2048))]
    pub path: String,
    /// The declared value; absent when the spec declares nothing there.
    #[schemars(length(max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<String>,
    /// The value of the live role; absent when it has nothing there.
    #[schemars(length(max = 2048))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
}

impl RoleStatus {
    /// Whether the controller has not yet reconciled the resource. The API server gives a new resource the generation
    /// -1, so that kstatus does not mistake it for a kind without a status.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.observed_generation.is_none_or(|generation| generation < 0)
    }

    /// The condition to wait for; absent until the first reconcile.
    #[must_use]
    pub fn ready(&self) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())
    }
}
