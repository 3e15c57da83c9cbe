//! Every IAM action that the controller calls. A call is made under one of these names, so that what is not
//! here cannot be called, and the permissions that are handed out ([`super::permissions`]) are these.

use std::fmt;

/// An IAM action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    pub const ALL: [Self; 18] = [
        Self::CreateRole,
        Self::DeleteRole,
        Self::DeleteRolePermissionsBoundary,
        Self::DeleteRolePolicy,
        Self::DetachRolePolicy,
        Self::GetAccountAuthorizationDetails,
        Self::GetRole,
        Self::GetRolePolicy,
        Self::ListAttachedRolePolicies,
        Self::ListInstanceProfilesForRole,
        Self::ListRolePolicies,
        Self::ListRoles,
        Self::PutRolePermissionsBoundary,
        Self::PutRolePolicy,
        Self::TagRole,
        Self::UntagRole,
        Self::UpdateAssumeRolePolicy,
        Self::UpdateRole,
    ];

    /// Its name in the IAM API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateRole => "CreateRole",
            Self::DeleteRole => "DeleteRole",
            Self::DeleteRolePermissionsBoundary => "DeleteRolePermissionsBoundary",
            Self::DeleteRolePolicy => "DeleteRolePolicy",
            Self::DetachRolePolicy => "DetachRolePolicy",
            Self::GetAccountAuthorizationDetails => "GetAccountAuthorizationDetails",
            Self::GetRole => "GetRole",
            Self::GetRolePolicy => "GetRolePolicy",
            Self::ListAttachedRolePolicies => "ListAttachedRolePolicies",
            Self::ListInstanceProfilesForRole => "ListInstanceProfilesForRole",
            Self::ListRolePolicies => "ListRolePolicies",
            Self::ListRoles => "ListRoles",
            Self::PutRolePermissionsBoundary => "PutRolePermissionsBoundary",
            Self::PutRolePolicy => "PutRolePolicy",
            Self::TagRole => "TagRole",
            Self::UntagRole => "UntagRole",
            Self::UpdateAssumeRolePolicy => "UpdateAssumeRolePolicy",
            Self::UpdateRole => "UpdateRole",
        }
    }
}

/// As a policy names it.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "iam:{}", self.name())
    }
}
