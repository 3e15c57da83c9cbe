//! All roles of the account in a few calls. One list has documents, policies, boundary and tags; the other has
//! description and session duration. Together they show what [`Roles::observe`](crate::role::Roles::observe) shows of
//! one role in four calls.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{EntityType, RoleDetail};

use crate::role::{Action, IamError, ObservedRole, Page, RoleSettings};

use super::live_document;

/// The largest page that IAM returns (IAM API reference, `MaxItems`).
const PAGE: i32 = 1000;

/// A page of `ListRoles`.
pub(super) async fn settings_page(
    client: &Client,
    next: Option<String>,
) -> Result<Page<RoleSettings>, IamError> {
    let list = client.list_roles().max_items(PAGE).set_marker(next).send().await;
    let page = list.map_err(|error| IamError::new(Action::ListRoles, None, &error))?;
    let settings = page.roles.into_iter().map(|role| {
        let settings = RoleSettings {
            description: role.description.unwrap_or_default(),
            max_session_duration_seconds: role.max_session_duration.unwrap_or(3600),
        };
        (role.role_name, settings)
    });
    Ok(Page { roles: Box::new(settings), next: page.marker })
}

/// A page of `GetAccountAuthorizationDetails`.
pub(super) async fn details_page(
    client: &Client,
    next: Option<String>,
) -> Result<Page<ObservedRole>, IamError> {
    let get = client
        .get_account_authorization_details()
        .filter(EntityType::Role)
        .max_items(PAGE)
        .set_marker(next)
        .send()
        .await;
    let page =
        get.map_err(|error| IamError::new(Action::GetAccountAuthorizationDetails, None, &error))?;
    let details = page.role_detail_list.into_iter().flatten();
    let roles = details.filter_map(|role| Some((role.role_name.clone()?, observed(role))));
    Ok(Page { roles: Box::new(roles), next: page.marker })
}

fn observed(role: RoleDetail) -> ObservedRole {
    ObservedRole {
        arn: role.arn.unwrap_or_default(),
        role_id: role.role_id.unwrap_or_default(),
        path: role.path.unwrap_or_default(),
        permissions_boundary: role.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
        tags: role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
        trust_policy: live_document(&role.assume_role_policy_document.unwrap_or_default()),
        inline_policies: role
            .role_policy_list
            .into_iter()
            .flatten()
            .filter_map(|policy| {
                let document = live_document(&policy.policy_document.unwrap_or_default());
                Some((policy.policy_name?, Some(document)))
            })
            .collect(),
        attached_policies: role
            .attached_managed_policies
            .into_iter()
            .flatten()
            .filter_map(|policy| policy.policy_arn)
            .collect(),
        last_used: role
            .role_last_used
            .and_then(|used| used.last_used_date)
            .and_then(|date| jiff::Timestamp::from_second(date.secs()).ok()),
        ..ObservedRole::default()
    }
}
