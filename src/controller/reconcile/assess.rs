//! Whether the controller can act for a resource, and what it must do. Pure: everything known is an argument.

use tokio::time::Instant;

use crate::api::{RoleResource, SpecError};
use crate::policy::{Caller, Place};
use crate::role::{
    self, Declaration, Defaults, DesiredRole, IamError, ObservedRole, Owner, Plan, Precedence,
    Refusal, RoleIdentity, Standing,
};

use super::super::index::{Index, Key, Turn};
use super::super::lifecycle::{self, HandsOff};
use super::super::report::{Findings, Verdict};

impl From<SpecError> for Verdict {
    fn from(error: SpecError) -> Self {
        Self::InvalidSpec(error)
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<IamError> for Verdict {
    fn from(error: IamError) -> Self {
        Self::Failed(error)
    }
}

/// Checks that the credentials belong to the role's account, and that the controller does not run as the role. Unknown
/// values do not block: the first role that IAM shows reveals the account.
pub(crate) fn check_caller(
    declaration: &Declaration,
    caller: Option<&Caller>,
) -> Result<(), Verdict> {
    let Some(caller) = caller else { return Ok(()) };
    check_place(declaration, &caller.place)?;
    if caller.runs_as(declaration.name.as_str()) {
        let role = declaration.name.to_string();
        return Err(Verdict::Refused(Refusal::ControllersOwn { role }));
    }
    Ok(())
}

fn check_place(declaration: &Declaration, credentials: &Place) -> Result<(), Verdict> {
    let destination =
        Place { partition: declaration.partition, account: declaration.account.clone() };
    if *credentials == destination {
        return Ok(());
    }
    Err(Verdict::WrongAccount { destination, credentials: credentials.clone() })
}

/// As [`check_place`], for a role that IAM showed. An unreadable ARN passes.
pub(crate) fn check_arn(declaration: &Declaration, arn: &str) -> Result<(), Verdict> {
    Place::of_arn(arn).map_or(Ok(()), |place| check_place(declaration, &place))
}

/// Checks that it is this resource's turn at the role.
pub(crate) fn turn(
    resource: &RoleResource,
    declaration: &Declaration,
    index: &Index,
    defaults: &Defaults,
) -> Result<(), Verdict> {
    if lifecycle::hands_off(resource).is_some() {
        // It blocks no other resource.
        return Ok(());
    }
    let role_of = |key: &Key| {
        let declared = index.get(key).and_then(|guarded| {
            guarded.0.as_ref().ok().and_then(|other| other.role_name(defaults).ok())
        });
        declared.map_or_else(|| declaration.name.to_string(), |name| name.to_string())
    };
    match index.turn(resource, Instant::now()) {
        Turn::First => Ok(()),
        Turn::Behind(other, why) => Err(Verdict::Refused(Refusal::DeclaredByAnother {
            role: role_of(&other),
            other: other.to_string(),
            why,
        })),
        Turn::Reserved(other, left) => {
            let why = Precedence::JustDeleted;
            let (role, other) = (role_of(&other), other.to_string());
            Err(Verdict::Reserved { by: Refusal::DeclaredByAnother { role, other, why }, left })
        }
    }
}

/// The result of an observation: a plan, or the verdict when nothing must be written. Pure.
pub(crate) fn compare(
    desired: &DesiredRole,
    observed: Option<&ObservedRole>,
    hands_off: Option<HandsOff>,
    findings: &mut Findings,
    standing: impl Fn(&Owner) -> Standing,
) -> Result<Plan, Verdict> {
    let plan = role::plan(desired, observed, standing)?;
    if let Some(why) = hands_off
        && plan.adopts()
    {
        // Until the tags are written the resource does not own the role, so its status must not show the role's
        // content.
        let claim = plan.changes.iter().filter(|change| change.write.adopts());
        let differences = claim.flat_map(|change| change.differences.iter().cloned()).collect();
        return Err(Verdict::LeftAlone { why, differences });
    }
    findings.role =
        observed.map(|role| RoleIdentity { arn: role.arn.clone(), role_id: role.role_id.clone() });
    findings.role_absent = observed.is_none();
    findings.adopted = observed.map(|role| {
        role::is_adopted(&role.tags)
            || plan.adopts()
            || desired.held.adopted && desired.held.is(role)
    });
    findings.trust_policy_synced = Some(plan.trust_policy_synced());
    findings.permissions_policy_synced = Some(plan.permissions_policy_synced());
    match hands_off {
        Some(why) => {
            let differences = plan.differences().cloned().collect();
            Err(Verdict::LeftAlone { why, differences })
        }
        None => Ok(plan),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::testing::resource;

    fn declaration(name: &str) -> Declaration {
        let resource = resource(&[("/spec/roleName", json!(name))]);
        resource.declaration(&Defaults::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn nothing_is_written_to_the_role_that_the_controller_runs_as_nor_in_another_account() {
        let caller = |arn: &str| Caller::of_arn(arn);
        let own = "arn:aws:sts::111122223333:assumed-role/Controller/session";
        let elsewhere = "arn:aws:sts::444455556666:assumed-role/other/session";
        let china = "arn:aws-cn:sts::111122223333:assumed-role/other/session";
        let user = "arn:aws:iam::111122223333:user/Controller";
        let refused =
            |name: &str, arn: &str| check_caller(&declaration(name), caller(arn).as_ref()).err();
        assert!(matches!(
            refused("controller", own),
            Some(Verdict::Refused(Refusal::ControllersOwn { .. }))
        ));
        assert!(refused("controller-2", own).is_none());
        assert!(refused("controller", user).is_none(), "a user of that name is no role");
        for arn in [elsewhere, china] {
            assert!(matches!(refused("events", arn), Some(Verdict::WrongAccount { .. })), "{arn}");
        }
        assert!(check_caller(&declaration("events"), None).is_ok(), "the first role will tell");
        let stray = "arn:aws:iam::444455556666:role/events";
        assert!(matches!(
            check_arn(&declaration("events"), stray),
            Err(Verdict::WrongAccount { .. })
        ));
    }
}
