//! The IAM policies for the controller's own role; `deploy/iam/` is generated from here. A `match` over [`Action`]
//! assigns every action to a statement, so none is forgotten. `deploy/iam/README.md` explains what each statement is
//! for, and what an attacker could do with it.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Serialize;

use crate::role::{ADOPTED_TAG, Action, CLUSTER_TAG};

/// One of the policies.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum PermissionsPolicy {
    /// The controller's permissions: it writes only to roles that carry its cluster's tag
    Controller,
    /// Instead of the first: the same without conditions on tags
    WithoutTags,
    /// In addition to the first: adopt roles without an owner (`adoptionPolicy: Adopt`)
    Adoption,
    /// In addition to the first: take over roles from another cluster (`adoptionPolicy: TakeOver`)
    TakeOver,
    /// In addition to any: no role without this permissions boundary
    Boundary,
    /// In addition to any: the controller never writes to its own role
    OwnRole,
    /// For the roles themselves: a permissions boundary that is sufficient for every service
    RoleBoundary,
}

/// The scope of the policies. By default each value is a placeholder, as in `${account_id}`.
#[derive(Clone, Debug)]
pub struct PolicyLimits {
    /// Partition, as in `aws`.
    pub partition: String,
    /// Account of the roles.
    pub account_id: String,
    /// The prefix of the roles' paths and names, as in `/streaming/`.
    pub role_prefix: String,
    /// Uid of the cluster's `kube-system` namespace.
    pub cluster_uid: String,
    /// The same for the cluster that roles are taken over from.
    pub other_cluster_uid: String,
    /// ARN of the permissions boundary.
    pub boundary_arn: String,
    /// ARN of the controller's own role.
    pub controller_role_arn: String,
    /// Every action that a declared role can need.
    pub role_actions: Vec<String>,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        let placeholder = |name: &str| format!("${{{name}}}");
        Self {
            partition: placeholder("partition"),
            account_id: placeholder("account_id"),
            role_prefix: placeholder("role_prefix"),
            cluster_uid: placeholder("cluster_uid"),
            other_cluster_uid: placeholder("other_cluster_uid"),
            boundary_arn: placeholder("boundary_arn"),
            controller_role_arn: placeholder("controller_role_arn"),
            role_actions: Vec::new(),
        }
    }
}

/// An IAM policy document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct PolicyDocument {
    version: &'static str,
    statement: Vec<Statement>,
}

type Conditions = BTreeMap<&'static str, BTreeMap<String, String>>;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    sid: &'static str,
    effect: &'static str,
    action: Vec<String>,
    resource: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    condition: Conditions,
}

/// The statement of the controller's policy that contains an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Use {
    Create,
    Tag,
    Change,
    Read,
    LookFor,
    List,
}

const fn use_of(action: Action) -> Use {
    match action {
        Action::CreateRole => Use::Create,
        Action::TagRole => Use::Tag,
        Action::DeleteRole
        | Action::DeleteRolePermissionsBoundary
        | Action::DeleteRolePolicy
        | Action::DetachRolePolicy
        | Action::PutRolePermissionsBoundary
        | Action::PutRolePolicy
        | Action::UntagRole
        | Action::UpdateAssumeRolePolicy
        | Action::UpdateRole => Use::Change,
        Action::GetRolePolicy
        | Action::ListAttachedRolePolicies
        | Action::ListInstanceProfilesForRole
        | Action::ListRolePolicies => Use::Read,
        Action::GetRole => Use::LookFor,
        Action::GetAccountAuthorizationDetails | Action::ListRoles => Use::List,
    }
}

impl Use {
    const fn is_write(self) -> bool {
        match self {
            Self::Create | Self::Tag | Self::Change => true,
            Self::Read | Self::LookFor | Self::List => false,
        }
    }
}

/// Whether the action is a write with the condition key `iam:PermissionsBoundary` (Service Authorization Reference,
/// "Actions defined by AWS IAM"). The key is the boundary in the call for `CreateRole` and
/// `PutRolePermissionsBoundary`, and the boundary of the role for the other actions.
const fn is_bounded(action: Action) -> bool {
    match action {
        Action::CreateRole
        | Action::DeleteRole
        | Action::DeleteRolePolicy
        | Action::DetachRolePolicy
        | Action::PutRolePermissionsBoundary
        | Action::PutRolePolicy
        | Action::UpdateAssumeRolePolicy
        | Action::UpdateRole => true,
        // Denied completely.
        Action::DeleteRolePermissionsBoundary
        // These do not have the key.
        | Action::TagRole
        | Action::UntagRole
        // These only read.
        | Action::GetAccountAuthorizationDetails
        | Action::GetRole
        | Action::GetRolePolicy
        | Action::ListAttachedRolePolicies
        | Action::ListInstanceProfilesForRole
        | Action::ListRolePolicies
        | Action::ListRoles => false,
    }
}

impl PermissionsPolicy {
    /// The policy, limited to `scope`.
    #[must_use]
    pub fn document(self, scope: &PolicyLimits) -> PolicyDocument {
        let statement = match self {
            Self::Controller => controller(scope),
            Self::WithoutTags => controller_without_tags(scope),
            Self::Adoption => vec![adoption(scope)],
            Self::TakeOver => vec![take_over(scope)],
            Self::Boundary => boundary(scope),
            Self::OwnRole => vec![own_role(scope)],
            Self::RoleBoundary => vec![role_boundary(scope)],
        };
        PolicyDocument { version: "2012-10-17", statement }
    }
}

fn controller(scope: &PolicyLimits) -> Vec<Statement> {
    let cluster = &scope.cluster_uid;
    let ours = (resource_tag(CLUSTER_TAG), cluster.clone());
    let marked = (request_tag(CLUSTER_TAG), cluster.clone());
    vec![
        Statement {
            condition: Conditions::from([("StringEquals", BTreeMap::from([marked.clone()]))]),
            ..allow("CreateRoles", &[Use::Create], &scope.roles())
        },
        Statement {
            condition: Conditions::from([
                ("StringEquals", BTreeMap::from([ours.clone()])),
                // Other tags can be set without it; this tag can never name another cluster.
                ("StringEqualsIfExists", BTreeMap::from([marked])),
            ]),
            ..allow("TagRoles", &[Use::Tag], &scope.roles())
        },
        Statement {
            condition: Conditions::from([("StringEquals", BTreeMap::from([ours]))]),
            ..allow("ChangeRoles", &[Use::Change], &scope.roles())
        },
        allow("ReadRoles", &[Use::Read], &scope.roles()),
        look_for_roles(),
        list_roles(),
    ]
}

fn controller_without_tags(scope: &PolicyLimits) -> Vec<Statement> {
    let uses = [Use::Create, Use::Tag, Use::Change, Use::Read];
    vec![allow("ManageRoles", &uses, &scope.roles()), look_for_roles(), list_roles()]
}

/// On all resources: IAM does not know the ARN of a role that does not exist. With a narrower resource it answers that
/// the call is denied, and not that there is no such role.
fn look_for_roles() -> Statement {
    allow("LookForRoles", &[Use::LookFor], "*")
}

fn list_roles() -> Statement {
    allow("ListRoles", &[Use::List], "*")
}

/// The statement does not require [`ADOPTED_TAG`] in the call: the same call restores ownership tags that were removed
/// from a role of the controller, and such a role is not an adopted one.
fn adoption(scope: &PolicyLimits) -> Statement {
    let marked = BTreeMap::from([(request_tag(CLUSTER_TAG), scope.cluster_uid.clone())]);
    let untagged = BTreeMap::from([(resource_tag(CLUSTER_TAG), "true".to_owned())]);
    Statement {
        condition: Conditions::from([("StringEquals", marked), ("Null", untagged)]),
        ..allow("AdoptRoles", &[Use::Tag], &scope.roles())
    }
}

fn take_over(scope: &PolicyLimits) -> Statement {
    let equal = BTreeMap::from([
        (request_tag(CLUSTER_TAG), scope.cluster_uid.clone()),
        (request_tag(ADOPTED_TAG), "true".to_owned()),
        (resource_tag(CLUSTER_TAG), scope.other_cluster_uid.clone()),
    ]);
    Statement {
        condition: Conditions::from([("StringEquals", equal)]),
        ..allow("TakeOverRoles", &[Use::Tag], &scope.roles())
    }
}

/// All writes that support the key, not only those that widen a role. With the trust policy of a role without the
/// boundary, an attacker gets what the role's other policies allow, and a removed policy can be one that denies. The
/// order of a plan's writes ([`crate::role::plan`]) complies with this.
fn boundary(scope: &PolicyLimits) -> Vec<Statement> {
    let other =
        BTreeMap::from([("iam:PermissionsBoundary".to_owned(), scope.boundary_arn.clone())]);
    vec![
        Statement {
            condition: Conditions::from([("StringNotEquals", other)]),
            ..deny("OnlyWithBoundary", is_bounded, "*")
        },
        deny("KeepBoundary", |action| matches!(action, Action::DeleteRolePermissionsBoundary), "*"),
    ]
}

fn own_role(scope: &PolicyLimits) -> Statement {
    deny("NeverOwnRole", |action| use_of(action).is_write(), &scope.controller_role_arn)
}

fn role_boundary(scope: &PolicyLimits) -> Statement {
    Statement {
        action: scope.role_actions.clone(),
        ..statement("SendEvents", "Allow", |_| false, "*")
    }
}

fn allow(sid: &'static str, uses: &[Use], resource: &str) -> Statement {
    statement(sid, "Allow", |action| uses.contains(&use_of(action)), resource)
}

fn deny(sid: &'static str, is_denied: impl Fn(Action) -> bool, resource: &str) -> Statement {
    statement(sid, "Deny", is_denied, resource)
}

fn statement(
    sid: &'static str,
    effect: &'static str,
    is_meant: impl Fn(Action) -> bool,
    resource: &str,
) -> Statement {
    let actions = Action::ALL.iter().copied().filter(|action| is_meant(*action));
    Statement {
        sid,
        effect,
        action: actions.map(|action| action.to_string()).collect(),
        resource: resource.to_owned(),
        condition: Conditions::new(),
    }
}

fn resource_tag(key: &str) -> String {
    format!("aws:ResourceTag/{key}")
}

fn request_tag(key: &str) -> String {
    format!("aws:RequestTag/{key}")
}

impl PolicyLimits {
    fn roles(&self) -> String {
        let Self { partition, account_id, role_prefix, .. } = self;
        format!("arn:{partition}:iam::{account_id}:role{role_prefix}*")
    }
}
