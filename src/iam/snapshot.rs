//! All roles of the account in a few calls. One list has documents, policies, boundary and tags, the other
//! description and session; together they show what [`Iam::observe`] shows of one role in four calls.

use std::collections::BTreeMap;

use aws_sdk_iam::types::{EntityType, RoleDetail};

use crate::policy::PERMISSIONS_POLICY_NAME;
use crate::role::ObservedRole;

use super::{Action, Iam, IamError, decoded};

/// The most that IAM puts on one page (IAM API reference, `MaxItems`).
const PAGE: i32 = 1000;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<I> {
    /// Role names and what the list says of each. Made one by one, because a page is large.
    pub roles: I,
    /// How to ask for the next page; `None` on the last.
    pub next: Option<String>,
}

/// What `GetAccountAuthorizationDetails` leaves out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleSettings {
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
}

impl Iam {
    /// A page of the settings of all roles (`ListRoles`). One call.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    pub async fn settings_page(
        &self,
        next: Option<String>,
    ) -> Result<Page<impl Iterator<Item = (String, RoleSettings)> + Send + use<>>, IamError> {
        let list = self.client.list_roles().max_items(PAGE).set_marker(next).send().await;
        let page = list.map_err(|error| IamError::new(Action::ListRoles, None, &error))?;
        let settings = page.roles.into_iter().map(|role| {
            let settings = RoleSettings {
                description: role.description.unwrap_or_default(),
                max_session_duration_seconds: role.max_session_duration.unwrap_or(3600),
            };
            (role.role_name, settings)
        });
        Ok(Page { roles: settings, next: page.marker })
    }

    /// A page of all roles without their settings (`GetAccountAuthorizationDetails`). One call.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    pub async fn details_page(
        &self,
        next: Option<String>,
    ) -> Result<Page<impl Iterator<Item = (String, ObservedRole)> + Send + use<>>, IamError> {
        let get = self
            .client
            .get_account_authorization_details()
            .filter(EntityType::Role)
            .max_items(PAGE)
            .set_marker(next)
            .send()
            .await;
        let page = get
            .map_err(|error| IamError::new(Action::GetAccountAuthorizationDetails, None, &error))?;
        let details = page.role_detail_list.into_iter().flatten();
        let roles = details.filter_map(|role| Some((role.role_name.clone()?, observed(role))));
        Ok(Page { roles, next: page.marker })
    }
}

fn observed(role: RoleDetail) -> ObservedRole {
    let inline: BTreeMap<_, _> = role
        .role_policy_list
        .into_iter()
        .flatten()
        .filter_map(|policy| {
            Some((policy.policy_name?, policy.policy_document.unwrap_or_default()))
        })
        .collect();
    ObservedRole {
        arn: role.arn.unwrap_or_default(),
        role_id: role.role_id.unwrap_or_default(),
        path: role.path.unwrap_or_default(),
        permissions_boundary: role.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
        tags: role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
        trust_policy: decoded(&role.assume_role_policy_document.unwrap_or_default()),
        permissions_policy: inline.get(PERMISSIONS_POLICY_NAME).map(|document| decoded(document)),
        inline_policies: inline.into_keys().collect(),
        attached_policies: role
            .attached_managed_policies
            .into_iter()
            .flatten()
            .filter_map(|policy| policy.policy_arn)
            .collect(),
        ..ObservedRole::default()
    }
}
