//! Every IAM action that the controller calls. A call is made under one of these names, so that what is not
//! here cannot be called, and the permissions that are handed out ([`super::permissions`]) are these.

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
    /// Every one.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Its name in the IAM API.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// As a policy names it.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iam:{}", self.name())
    }
}
