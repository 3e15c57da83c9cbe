//! The role as IAM shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::PERMISSIONS_POLICY_NAME;

/// A live role, with all that a plan compares.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObservedRole {
    /// ARN of the role.
    pub arn: String,
    /// Unique id of the role, `AROA…`.
    pub role_id: String,
    /// Path of the role.
    pub path: String,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
    /// ARN of the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Text of the trust policy, percent-decoded.
    pub trust_policy: String,
    /// Text of the inline policy that the controller writes, percent-decoded; `None` when
    /// there is none, or when only names were asked for.
    pub permissions_policy: Option<String>,
    /// Names of all inline policies, the one that the controller writes included.
    pub inline_policies: BTreeSet<String>,
    /// ARNs of attached managed policies.
    pub attached_policies: BTreeSet<String>,
    /// Names of the instance profiles that the role is in. Looked for only before a deletion.
    pub instance_profiles: BTreeSet<String>,
}

impl ObservedRole {
    /// Whether policies are on the role that no resource declares.
    #[must_use]
    pub fn has_undeclared_policies(&self) -> bool {
        let undeclared = |name: &String| name != PERMISSIONS_POLICY_NAME;
        !self.attached_policies.is_empty() || self.inline_policies.iter().any(undeclared)
    }
}
