//! One role, and how calls change it.

use std::collections::{BTreeMap, BTreeSet};

use crate::query::Call;

use super::{NO_SUCH_ACTION, NO_SUCH_ENTITY, Refusal};

/// A role as IAM stores it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Role {
    /// Name, as first written.
    pub name: String,
    /// Unique id, `AROA…`.
    pub id: String,
    /// Path.
    pub path: String,
    /// Text of the trust policy.
    pub trust_policy: String,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration: String,
    /// ARN of the permissions boundary.
    pub boundary: Option<String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Inline policies by name.
    pub inline: BTreeMap<String, String>,
    /// ARNs of attached managed policies.
    pub attached: BTreeSet<String>,
}

impl Role {
    pub(super) fn created_by(call: &Call, id: String) -> Self {
        let or = |key: &str, default: &str| {
            Some(call.text(key)).filter(|text| !text.is_empty()).unwrap_or_else(|| default.into())
        };
        Self {
            name: call.text("RoleName"),
            id,
            path: or("Path", "/"),
            trust_policy: call.text("AssumeRolePolicyDocument"),
            description: call.text("Description"),
            max_session_duration: or("MaxSessionDuration", "3600"),
            boundary: call.parameters.get("PermissionsBoundary").cloned(),
            tags: call.tags(),
            ..Self::default()
        }
    }

    /// Applies the write. A rejected write can be applied in part.
    pub(super) fn write(&mut self, call: &Call) -> Result<(), Refusal> {
        let policy = call.text("PolicyName");
        let arn = call.text("PolicyArn");
        match call.action.as_str() {
            "UpdateRole" => {
                let given = |key: &str| call.parameters.get(key).cloned();
                self.description = given("Description").unwrap_or_else(|| self.description.clone());
                self.max_session_duration = given("MaxSessionDuration")
                    .unwrap_or_else(|| self.max_session_duration.clone());
            }
            "UpdateAssumeRolePolicy" => self.trust_policy = call.text("PolicyDocument"),
            "TagRole" => self.tags.extend(call.tags()),
            "UntagRole" => {
                let keys = call.list("TagKeys", "");
                self.tags.retain(|key, _| !keys.contains(key));
            }
            "PutRolePolicy" => {
                self.inline.insert(policy, call.text("PolicyDocument"));
            }
            "DeleteRolePolicy" => {
                self.inline.remove(&policy).ok_or(NO_SUCH_ENTITY)?;
            }
            "AttachRolePolicy" => {
                self.attached.insert(arn);
            }
            "DetachRolePolicy" if self.attached.remove(&arn) => {}
            "DetachRolePolicy" => return Err(NO_SUCH_ENTITY),
            "PutRolePermissionsBoundary" => self.boundary = Some(call.text("PermissionsBoundary")),
            "DeleteRolePermissionsBoundary" => {
                self.boundary.take().ok_or(NO_SUCH_ENTITY)?;
            }
            _ => return Err(NO_SUCH_ACTION),
        }
        Ok(())
    }
}
