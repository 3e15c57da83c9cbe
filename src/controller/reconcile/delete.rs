//! Cleans up the role of a deleted resource, within its policies and the role's ownership.

use crate::api::{Reason, RoleResource};
use crate::policy::{Place, PolicyArn};
use crate::role::{self, Deletion, DeletionRequest, ErrorKind, RoleKey, RoleName, Write};

use super::super::lifecycle;
use super::super::report::{DeletionOutcome, Findings, Verdict, Writer};
use super::reconciler::Reconciler;

impl Reconciler {
    /// Deletes or releases the role. On `Err` the resource must stay, and the verdict states why.
    pub(super) async fn delete(
        &self,
        resource: &RoleResource,
        findings: &mut Findings,
    ) -> Result<DeletionOutcome, Verdict> {
        let (Ok(name), Ok(owner)) =
            (resource.role_name(&self.defaults), resource.owner(self.cluster.as_str()))
        else {
            // A name that IAM cannot accept names no role.
            return Ok(DeletionOutcome::Nothing);
        };
        findings.role_name = Some(name.to_string());
        if lifecycle::is_abandoned(resource) {
            return Ok(DeletionOutcome::Abandoned(Some(name.to_string())));
        }
        self.check_account(resource).await?;
        let account = &self.account;
        if account.roles.known_caller().is_some_and(|caller| caller.runs_as(name.as_str())) {
            return Ok(DeletionOutcome::Nothing);
        }
        let place = resource.place();
        let recent_in = |place: &Place| account.ledger.to(&name.in_account(&place.account));
        let recent = place.as_ref().map(recent_in).unwrap_or_default();
        let observed = account.roles.observe_for_deletion(&name).await?;
        let settings = resource.settings();
        // A value that is not an ARN is not a boundary.
        let boundary = settings.permissions_boundary_arn.as_deref().map(PolicyArn::parse);
        let held = resource.held();
        let policy = resource.policy_name();
        let request = DeletionRequest {
            owner: &owner,
            held: &held,
            permissions_policy: policy,
            deletion_policy: settings.deletion_policy,
            drift_policy: settings.drift_policy,
            exclusive_policies: settings.exclusive_policies,
            permissions_boundary: boundary.as_ref().and_then(|parsed| parsed.as_ref().ok()),
        };
        let deletion = role::plan_deletion(request, observed.as_ref());
        if !recent.are_shown_by(observed.as_ref(), policy) {
            return Err(Verdict::NotShownYet(Writer::This));
        }
        // If a role that is not shown yet counted as deleted, it would be left behind.
        if observed.is_none()
            && account.ledger.may_lack_a_role_of(&owner.uid)
            && !never_had_a_role(resource)
        {
            return Err(Verdict::NotShownYet(Writer::Earlier));
        }
        let (writes, outcome) = match deletion {
            Deletion::Nothing => return Ok(DeletionOutcome::Nothing),
            Deletion::Keep(why) => return Ok(DeletionOutcome::Kept(name, why)),
            Deletion::Blocked(by) => return Err(Verdict::DeletionBlocked(by)),
            Deletion::Release(writes) => (writes, DeletionOutcome::Released(name.clone())),
            Deletion::Delete(writes) => (writes, DeletionOutcome::Deleted(name.clone())),
        };
        let live = || Place::of_arn(&observed.as_ref()?.arn);
        let Some(place) = place.or_else(live) else {
            // IAM shows no role without an ARN.
            return Ok(DeletionOutcome::Nothing);
        };
        let key = name.in_account(&place.account);
        let _writer = account.acquire_after(&key, &recent).ok_or(Verdict::Busy)?;
        self.write_all(&key, &name, &writes).await?;
        Ok(outcome)
    }

    /// With the credentials of another account, the role would appear to be deleted and would be left behind.
    async fn check_account(&self, resource: &RoleResource) -> Result<(), Verdict> {
        let held = resource.status.as_ref().and_then(|status| status.role_arn.as_deref());
        let Some(held) = held.and_then(Place::of_arn) else { return Ok(()) };
        let differs = |place: &Place| *place != held;
        let roles = &self.account.roles;
        let Some(_) = roles.caller().await.map(|caller| caller.place).filter(differs) else {
            return Ok(());
        };
        match roles.caller_now().await.map(|caller| caller.place).filter(differs) {
            None => Ok(()),
            Some(credentials) => Err(Verdict::WrongAccount { destination: held, credentials }),
        }
    }

    async fn write_all(
        &self,
        key: &RoleKey,
        name: &RoleName,
        writes: &[Write],
    ) -> Result<(), Verdict> {
        let mut boundary_refused = None;
        for write in writes {
            let Err(error) = self.account.write(key, name, write).await else { continue };
            // The boundary write only prepares the other writes, and can itself be the reason for the deletion: the
            // policy does not exist, or the credentials cannot set it.
            let stays_refused =
                [ErrorKind::MissingBoundary, ErrorKind::Rejected, ErrorKind::AccessDenied]
                    .contains(&error.kind);
            if matches!(write, Write::PutRolePermissionsBoundary(_)) && stays_refused {
                boundary_refused = Some(error);
            } else if error.kind == ErrorKind::AccessDenied {
                // With the boundary it may be allowed.
                return Err(boundary_refused.unwrap_or(error).into());
            } else {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// Whether the status shows why no role was created.
fn never_had_a_role(resource: &RoleResource) -> bool {
    let status = resource.status.as_ref();
    let is_refused = |reason: &str| {
        [
            Reason::AccessDenied,
            Reason::DriftReported,
            Reason::InvalidSpec,
            Reason::LimitExceeded,
            Reason::Paused,
            Reason::RefusedByIam,
            Reason::RoleNotOwned,
            Reason::RoleOwnedByAnother,
            Reason::WrongAccount,
        ]
        .iter()
        .any(|refused| refused.as_str() == reason)
    };
    status.is_some_and(|status| {
        status.role_id.is_none() && status.ready().is_some_and(|ready| is_refused(&ready.reason))
    })
}
