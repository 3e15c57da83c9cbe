//! Builds the declared role from the spec of a resource. Pure, and complete: the result can be written to IAM
//! unchanged. The API server already enforces the same rules. They are checked again because a stored object can be
//! older than a rule, and because a schema cannot express some rules.

use crate::policy::{AccountId, Partition, PolicyArn};
use crate::role::{
    Declaration, Defaults, InlinePolicy, MAX_TAGS, RoleName, RolePath, check_tag_keys,
};

use super::kind::{RoleSpec, SpecError, at, optional};
use super::settings::RoleSettings;

/// The role that a resource of this namespace and name declares, with the controller's defaults. `held` is the name of
/// the role that the resource already holds.
///
/// # Errors
/// When the spec breaks a rule; see [`SpecError`].
pub fn declaration(
    spec: &dyn RoleSpec,
    namespace: &str,
    name: &str,
    held: Option<&str>,
    defaults: &Defaults,
) -> Result<Declaration, SpecError> {
    let settings = spec.settings();
    let stream = spec.stream()?;
    let permissions_boundary = optional(
        settings.permissions_boundary_arn.as_deref(),
        "permissionsBoundaryArn",
        PolicyArn::parse,
    )?;
    stream.check_partition(
        "permissionsBoundaryArn",
        permissions_boundary.as_ref().map(PolicyArn::partition),
    )?;
    if !(3600..=43200).contains(&settings.max_session_duration_seconds) {
        return Err(SpecError::SessionDuration(settings.max_session_duration_seconds));
    }
    stream.check_path(&settings.path)?;
    check_tag_keys(&settings.tags)?;
    let tags = defaults.tags.under(&settings.tags);
    if tags.len() > MAX_TAGS {
        return Err(SpecError::TooManyTags(tags.len()));
    }
    Ok(Declaration {
        account: stream.account().clone(),
        partition: stream.partition(),
        name: role_name(settings, namespace, name, held, defaults)?,
        path: RolePath::parse(&settings.path).map_err(at("path"))?,
        description: settings.description.clone().unwrap_or_default(),
        max_session_duration_seconds: settings.max_session_duration_seconds,
        permissions_boundary,
        tags,
        trust_policy: stream.trust_policy()?,
        permissions_policy: InlinePolicy {
            name: spec.policy_name().to_owned(),
            document: stream.permissions_policy()?,
        },
        exclusive_policies: settings.exclusive_policies,
        adoption_policy: settings.adoption_policy,
    })
}

/// The name of the role that a resource of this namespace and name declares. A resource that holds a role under another
/// default name, of an earlier rule or prefix, keeps that name: IAM cannot rename a role.
///
/// # Errors
/// When IAM does not accept the declared name.
pub(super) fn role_name(
    settings: &RoleSettings,
    namespace: &str,
    name: &str,
    held: Option<&str>,
    defaults: &Defaults,
) -> Result<RoleName, SpecError> {
    if let Some(name) = &settings.role_name {
        return RoleName::parse(name).map_err(at("roleName"));
    }
    let held = held.and_then(|held| RoleName::parse(held).ok());
    let default = RoleName::default_for(&defaults.role_name_prefix, namespace, name);
    // Only a name that a rule produces: the status alone must not select an arbitrary role.
    let is_kept =
        |held: &RoleName| default.as_ref() != Ok(held) && held.is_a_default_for(namespace, name);
    held.filter(is_kept).map_or_else(|| default.clone().map_err(at("roleName")), Ok)
}

/// The place of a role with this spec: the account and partition of the destination.
pub(super) fn place(spec: &dyn RoleSpec) -> Result<(Partition, AccountId), SpecError> {
    let stream = spec.stream()?;
    Ok((stream.partition(), stream.account().clone()))
}
