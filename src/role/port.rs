//! The interface between the controller and the IAM of an account. The AWS SDK is one implementation, a map in memory
//! another.

use futures::future::BoxFuture;

use crate::policy::Caller;

use super::error::IamError;
use super::name::RoleName;
use super::observed::ObservedRole;
use super::plan::Write;

/// The answer to a call.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, IamError>>;

/// IAM's answer to the creation of a role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleIdentity {
    /// ARN of the role.
    pub arn: String,
    /// Unique id of the role, `AROA…`.
    pub role_id: String,
}

/// One page of a list of all roles.
pub struct Page<T> {
    /// Role names with what the list shows of each. Built one at a time, because a page is large.
    pub roles: Box<dyn Iterator<Item = (String, T)> + Send>,
    /// The marker of the next page; `None` on the last page.
    pub next: Option<String>,
}

/// The settings that a page of details omits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleSettings {
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
}

/// The roles of one account.
pub trait Roles: Send + Sync {
    /// The live role of this name with the text of one inline policy; `None` when there is no such role. Four calls, or
    /// one when there is no role.
    ///
    /// # Errors
    /// When IAM denies the call or fails.
    fn observe<'a>(
        &'a self,
        name: &'a RoleName,
        policy: &'a str,
    ) -> Answer<'a, Option<ObservedRole>>;

    /// Like [`Roles::observe`], with the instance profiles instead of the text of a policy. A deletion needs these.
    ///
    /// # Errors
    /// When IAM denies the call or fails.
    fn observe_for_deletion<'a>(&'a self, name: &'a RoleName) -> Answer<'a, Option<ObservedRole>>;

    /// Applies one write of a plan to the role of this name. Removing something that is already gone succeeds. Returns
    /// the role when the write created it.
    ///
    /// # Errors
    /// When IAM denies the call or fails.
    fn apply<'a>(
        &'a self,
        name: &'a RoleName,
        write: &'a Write,
    ) -> Answer<'a, Option<RoleIdentity>>;

    /// A page of the settings of all roles (`ListRoles`). One call.
    ///
    /// # Errors
    /// When IAM denies the call or fails.
    fn settings_page(&self, next: Option<String>) -> Answer<'_, Page<RoleSettings>>;

    /// A page of all roles without their settings (`GetAccountAuthorizationDetails`). One call.
    ///
    /// # Errors
    /// When IAM denies the call or fails.
    fn details_page(&self, next: Option<String>) -> Answer<'_, Page<ObservedRole>>;

    /// The owner of the credentials; `None` until STS or a role has shown it. Calls STS once when the owner is unknown
    /// or the credentials changed.
    fn caller(&self) -> BoxFuture<'_, Option<Caller>>;

    /// The same, but calls STS again unless the last call was within half a minute.
    fn caller_now(&self) -> BoxFuture<'_, Option<Caller>>;

    /// The same, without a call.
    fn known_caller(&self) -> Option<Caller>;

    /// Whether IAM may still be processing a request that just ended without an answer.
    fn may_be_at_work(&self) -> bool;
}
