//! Decides whether IAM policies allow a call. It implements the part of IAM's policy language that the shipped policies
//! use and rejects the rest, so that it never ignores a restriction. Also a [`Guard`], which checks each call before
//! IAM sees it.

use std::collections::BTreeMap;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::Role;
use serde::Deserialize;

use crate::Error;
use crate::query::Call;
use crate::stack::{ACCOUNT_ID, iam_at};

const RESOURCE_TAG: &str = "aws:ResourceTag/";
const REQUEST_TAG: &str = "aws:RequestTag/";
const BOUNDARY: &str = "iam:PermissionsBoundary";

/// The actions on roles with the key [`BOUNDARY`] (Service Authorization Reference, "Actions defined by AWS IAM"). For
/// the first two the key is the boundary in the call, for the others that of the role.
const BOUND_BY_CALL: [&str; 2] = ["CreateRole", "PutRolePermissionsBoundary"];
const BOUND_BY_ROLE: [&str; 9] = [
    "AttachRolePolicy",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "GetRole",
    "PutRolePolicy",
    "UpdateAssumeRolePolicy",
    "UpdateRole",
];

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "Version")]
    _version: String,
    statement: Vec<Statement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: String,
    effect: Effect,
    action: Vec<String>,
    resource: String,
    #[serde(default)]
    condition: BTreeMap<Operator, BTreeMap<String, String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
enum Operator {
    StringEquals,
    StringEqualsIfExists,
    StringNotEquals,
    Null,
}

impl Operator {
    fn holds(self, expected: &str, actual: Option<&str>) -> bool {
        match self {
            Self::StringEquals => actual == Some(expected),
            Self::StringEqualsIfExists => actual.is_none_or(|actual| actual == expected),
            Self::StringNotEquals => actual != Some(expected),
            Self::Null => actual.is_none() == (expected == "true"),
        }
    }
}

/// A request to evaluate.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The action, as in `iam:CreateRole`.
    pub action: String,
    /// ARN of the role, or `role <name>` for one that does not exist.
    pub resource: String,
    /// The condition keys that the call sets.
    pub context: BTreeMap<String, String>,
}

impl Statement {
    fn concerns(&self, request: &Request) -> bool {
        let resource =
            self.resource.strip_suffix('*').map_or(self.resource == request.resource, |prefix| {
                request.resource.starts_with(prefix)
            });
        self.action.contains(&request.action)
            && resource
            && self.condition.iter().all(|(operator, keys)| {
                keys.iter().all(|(key, expected)| {
                    operator.holds(expected, request.context.get(key).map(String::as_str))
                })
            })
    }
}

/// IAM policies that apply together.
#[derive(Clone, Debug, Default)]
pub struct IamPolicies(Vec<Statement>);

impl IamPolicies {
    /// Parses policies, with each `${name}` in them replaced.
    ///
    /// # Errors
    /// When a policy uses an unsupported element.
    pub fn read(policies: &[&str], values: &[(&str, &str)]) -> Result<Self, Error> {
        let mut statements = Vec::new();
        for policy in policies {
            let filled = values.iter().fold((*policy).to_owned(), |policy, (name, value)| {
                policy.replace(&format!("${{{name}}}"), value)
            });
            if filled.contains("${") {
                return Err(format!("a placeholder is left in {filled}").into());
            }
            statements.extend(serde_json::from_str::<Document>(&filled)?.statement);
        }
        Ok(Self(statements))
    }

    /// Every action that is allowed on any resource, unordered.
    pub fn allowed_actions(&self) -> impl Iterator<Item = &str> {
        let allowing = self.0.iter().filter(|statement| statement.effect == Effect::Allow);
        allowing.flat_map(|statement| statement.action.iter().map(String::as_str))
    }

    /// Whether the request is allowed: one statement allows it, and none denies it.
    #[must_use]
    pub fn allow(&self, request: &Request) -> bool {
        let has = |effect| {
            self.0.iter().any(|statement| statement.effect == effect && statement.concerns(request))
        };
        has(Effect::Allow) && !has(Effect::Deny)
    }

    /// The first permission that the call on `role` needs and does not have. `role` is `None` for a role that does not
    /// exist.
    #[must_use]
    pub fn objection(&self, call: &Call, role: Option<&RoleInIam>) -> Option<Request> {
        requests(call, role).into_iter().find(|request| !self.allow(request))
    }
}

/// The properties of a role that conditions can use.
#[derive(Clone, Debug, Default)]
pub struct RoleInIam {
    /// Its ARN.
    pub arn: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// ARN of its permissions boundary.
    pub boundary: Option<String>,
}

impl From<Role> for RoleInIam {
    fn from(role: Role) -> Self {
        Self {
            arn: role.arn,
            tags: role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
            boundary: role.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
        }
    }
}

/// Evaluates policies for each call, with IAM's data about the role.
#[derive(Debug)]
pub struct Guard {
    policies: IamPolicies,
    iam: Client,
}

impl Guard {
    /// A guard in front of the endpoint at `iam_url`.
    #[must_use]
    pub fn new(policies: IamPolicies, iam_url: &str) -> Self {
        Self { policies, iam: iam_at(iam_url) }
    }

    /// Why the call is denied.
    #[expect(clippy::print_stderr, reason = "whatever else the test says, this is why it fails")]
    pub(crate) async fn objection(&self, call: &Call) -> Option<String> {
        let role = self.role(call).await;
        let denied = self.policies.objection(call, role.as_ref())?;
        let Request { action, resource, context } = denied;
        let objection = format!(
            "not authorized to perform: {action} on resource: {resource} because no shipped policy allows it with {context:?}"
        );
        eprintln!("{objection}");
        Some(objection)
    }

    async fn role(&self, call: &Call) -> Option<RoleInIam> {
        let name = call.parameters.get("RoleName").filter(|_| call.action != "CreateRole")?;
        self.iam.get_role().role_name(name).send().await.ok()?.role.map(RoleInIam::from)
    }
}

/// The requests that IAM evaluates for a call on `role`, which is `None` when it does not exist.
fn requests(call: &Call, role: Option<&RoleInIam>) -> Vec<Request> {
    let action = format!("iam:{}", call.action);
    let tags = call.tags();
    let keys = |kind: &str, tags: &BTreeMap<String, String>| -> BTreeMap<_, _> {
        tags.iter().map(|(key, value)| (kind.to_owned() + key, value.clone())).collect()
    };
    let mut context = keys(REQUEST_TAG, &tags);
    let boundary = if BOUND_BY_CALL.contains(&call.action.as_str()) {
        call.parameters.get("PermissionsBoundary")
    } else if BOUND_BY_ROLE.contains(&call.action.as_str()) {
        role.and_then(|role| role.boundary.as_ref())
    } else {
        None
    };
    let bound = boundary.map(|arn| (BOUNDARY.to_owned(), arn.clone()));

    if call.action == "CreateRole" {
        let path = call.parameters.get("Path").map_or("/", String::as_str);
        let resource = format!("arn:aws:iam::{ACCOUNT_ID}:role{path}{}", call.text("RoleName"));
        // Creating a role with tags also tags it, with the tags of the call. Karpenter's policy for instance profiles,
        // which is in wide use, relies on that.
        let mut tagged = context.clone();
        tagged.extend(keys(RESOURCE_TAG, &tags));
        let tag =
            Request { action: "iam:TagRole".into(), resource: resource.clone(), context: tagged };
        context.extend(bound);
        let create = Request { action, resource, context };
        return if tags.is_empty() { vec![create] } else { vec![create, tag] };
    }
    let Some(role) = role else {
        // IAM does not know the ARN of a role that does not exist. The guard assumes that only GetRole is called for
        // such a role: any other call is just late.
        let resource = match call.parameters.get("RoleName") {
            Some(name) if call.action == "GetRole" => format!("role {name}"),
            Some(_) => return Vec::new(),
            None => "*".into(),
        };
        return vec![Request { action, resource, context }];
    };
    context.extend(keys(RESOURCE_TAG, &role.tags));
    context.extend(bound);
    vec![Request { action, resource: role.arn.clone(), context }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_of_a_call_overrides_that_of_the_role() {
        let role = RoleInIam { boundary: Some("old".into()), ..RoleInIam::default() };
        let table = [
            ("CreateRole", Some("new")),
            ("PutRolePermissionsBoundary", Some("new")),
            ("PutRolePolicy", Some("old")),
            ("UpdateAssumeRolePolicy", Some("old")),
            ("DeleteRole", Some("old")),
            ("TagRole", None),
            ("UntagRole", None),
        ];
        for (action, seen) in table {
            let call = Call::new(&[
                ("Action", action),
                ("RoleName", "events"),
                ("PermissionsBoundary", "new"),
            ]);
            for request in requests(&call, Some(&role)) {
                let boundary = request.context.get(BOUNDARY).map(String::as_str);
                assert_eq!(boundary, seen, "{request:?}");
            }
        }
    }
}
