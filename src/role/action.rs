//! Every IAM action that the controller calls. Each call is made under one of these names, so the controller cannot
//! call an action that is not listed. The shipped policies ([`super::permissions`]) grant exactly these actions.

use std::fmt;

use strum::{IntoStaticStr, VariantArray};

/// An IAM action.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantArray)]
#[expect(missing_docs, reason = "each is named as IAM names it")]
pub enum Action {
    CreateRole,
    DeleteRole,
    DeleteRolePermissionsBoundary,
    DeleteRolePolicy,
    DetachRolePolicy,
    GetAccountAuthorizationDetails,
    GetRole,
    GetRolePolicy,
    ListAttachedRolePolicies,
    ListInstanceProfilesForRole,
    ListRolePolicies,
    ListRoles,
    PutRolePermissionsBoundary,
    PutRolePolicy,
    TagRole,
    UntagRole,
    UpdateAssumeRolePolicy,
    UpdateRole,
}

impl Action {
    /// All actions.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The name in the IAM API.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The name in a policy.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iam:{}", self.name())
    }
}
