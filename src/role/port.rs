//! What the controller asks of an account's IAM. The AWS SDK is one implementation, a map in memory another.

use futures::future::BoxFuture;

use crate::policy::Caller;

use super::error::IamError;
use super::name::RoleName;
use super::observed::ObservedRole;
use super::plan::Write;

/// The answer to a call.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, IamError>>;

/// What IAM made of a new role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleIdentity {
    /// ARN of the role.
    pub arn: String,
    /// Unique id of the role, `AROA…`.
    pub role_id: String,
}

/// One page of a list of all roles.
pub struct Page<T> {
    /// Role names and what the list says of each. Made one by one, because a page is large.
    pub roles: Box<dyn Iterator<Item = (String, T)> + Send>,
    /// How to ask for the next page; `None` on the last.
    pub next: Option<String>,
}

/// What a page of details leaves out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleSettings {
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
}

/// The roles of one account.
pub trait Roles: Send + Sync {
    /// The live role of this name with the text of one inline policy, `None` when there is no such role. Four calls; one
    /// when there is none.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    fn observe<'a>(
        &'a self,
        name: &'a RoleName,
        policy: &'a str,
    ) -> Answer<'a, Option<ObservedRole>>;

    /// As [`Roles::observe`], with the instance profiles in place of the text of a policy: what a deletion has to know.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    fn observe_for_deletion<'a>(&'a self, name: &'a RoleName) -> Answer<'a, Option<ObservedRole>>;

    /// Makes one write of a plan on the role of this name. Removing what is gone already is success. Gives the role when
    /// it was created.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    fn apply<'a>(
        &'a self,
        name: &'a RoleName,
        write: &'a Write,
    ) -> Answer<'a, Option<RoleIdentity>>;

    /// A page of the settings of all roles (`ListRoles`). One call.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    fn settings_page(&self, next: Option<String>) -> Answer<'_, Page<RoleSettings>>;

    /// A page of all roles without their settings (`GetAccountAuthorizationDetails`). One call.
    ///
    /// # Errors
    /// When IAM refuses or fails.
    fn details_page(&self, next: Option<String>) -> Answer<'_, Page<ObservedRole>>;

    /// Whose the credentials are; `None` when neither STS nor a role has said so yet. One call to STS when that is not
    /// known, or the credentials have changed since.
    fn caller(&self) -> BoxFuture<'_, Option<Caller>>;

    /// The same, with another call to STS unless the last one was within half a minute.
    fn caller_now(&self) -> BoxFuture<'_, Option<Caller>>;

    /// The same, without a call.
    fn known_caller(&self) -> Option<Caller>;

    /// Whether IAM may still be at work on a request that ended without an answer a moment ago.
    fn may_be_at_work(&self) -> bool;
}
