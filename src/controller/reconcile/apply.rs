//! Makes one role match its spec: observe, plan, write. Every obstacle is a [`Verdict`] too, so `?` carries the reason
//! to the status.

use std::collections::BTreeSet;

use crate::api::RoleResource;
use crate::role::{self, DesiredRole, ErrorKind, Owner, Part, Plan, RecentWrites, Standing, Write};

use super::super::index::Key;
use super::super::lifecycle::{self, HandsOff};
use super::super::report::{Findings, Verdict, Writer};
use super::assess::{check_arn, check_caller, compare, turn};
use super::reconciler::Reconciler;

impl Reconciler {
    /// Makes the live role match `resource`; with `hands_off` it only compares. `findings` has the observations and
    /// writes, however it ends.
    pub(super) async fn apply(
        &self,
        resource: &RoleResource,
        findings: &mut Findings,
        hands_off: Option<HandsOff>,
    ) -> Result<Verdict, Verdict> {
        let (index, account) = (&self.schedule.index, &self.account);
        let desired = resource.desired(self.cluster.as_str(), &self.defaults)?;
        let declaration = &desired.declaration;
        let (key, policy) = (declaration.key(), &*declaration.permissions_policy.name);
        findings.role_name = Some(declaration.name.to_string());
        if check_caller(declaration, account.roles.caller().await.as_ref()).is_err() {
            // The credentials may have changed, which no request has shown yet.
            check_caller(declaration, account.roles.caller_now().await.as_ref())?;
        }
        turn(resource, declaration, index, &self.defaults)?;
        if hands_off.is_none() && lifecycle::is_new(resource) {
            // No role of this resource was ever observed, so there is probably none. Creating first saves the
            // observation; if the name is taken, IAM reports it.
            let plan = role::plan(&desired, None, |_| Standing::Keeps)?;
            let _writer = account.acquire(&key).ok_or(Verdict::Busy)?;
            match self.carry_out(plan, &desired, findings).await {
                Ok(()) => {
                    index.note_owner(&key, Some(&desired.owner));
                    return Ok(Verdict::Synced { extra_policies: Vec::new() });
                }
                Err(Verdict::Failed(error)) if error.kind == ErrorKind::AlreadyExists => {
                    let role_name = findings.role_name.take();
                    *findings = Findings { role_name, ..Findings::before(resource) };
                }
                Err(verdict) => return Err(verdict),
            }
        }

        let before = account.ledger.to(&key);
        let mut recent = before.clone();
        if !findings.was_in_sync && account.ledger.may_lack_those_of_an_earlier_process() {
            recent = recent.after_an_earlier_process(policy);
        }
        let observed = account.roles.observe(&declaration.name, policy).await?;
        if let Some(live) = &observed {
            check_arn(declaration, &live.arn)?;
        }
        if !recent.are_shown_by(observed.as_ref(), policy) {
            return Err(Verdict::NotShownYet(Writer::This));
        }
        let owner = observed.as_ref().and_then(|live| Owner::of(&live.tags));
        if let Some(owner) = index.note_owner(&key, owner.as_ref())
            && owner != Key::of(resource)
            && let Some(owner) = index.get(&owner)
        {
            self.schedule.observe_role(&owner);
        }
        let standing = |owner: &Owner| index.standing(owner, &key);
        let plan = compare(&desired, observed.as_ref(), hands_off, findings, standing)?;
        let is_sure = recent.are_settled_by(&plan, policy);
        let extra_policies = plan.extra_policies.clone();
        let drifted = findings.was_in_sync && !plan.changes.is_empty();
        let _writer = account.acquire_after(&key, &before).ok_or(Verdict::Busy)?;
        if drifted {
            self.metrics.drift_found();
        }
        self.carry_out(plan, &desired, findings).await?;
        index.note_owner(&key, Some(&desired.owner));
        if drifted {
            self.metrics.drift_repaired();
        }
        if is_sure {
            Ok(Verdict::Synced { extra_policies })
        } else {
            let is_own = before != RecentWrites::default();
            Err(Verdict::NotShownYet(if is_own { Writer::This } else { Writer::Earlier }))
        }
    }

    async fn carry_out(
        &self,
        plan: Plan,
        desired: &DesiredRole,
        findings: &mut Findings,
    ) -> Result<(), Verdict> {
        let declaration = &desired.declaration;
        let (key, name) = (declaration.key(), &declaration.name);
        let declared: BTreeSet<_> = declaration.tags.keys().cloned().collect();
        findings.tag_keys = Some(declared.union(&desired.held.tag_keys).cloned().collect());
        for change in plan.changes {
            if let Some(created) = self.account.write(&key, name, &change.write).await? {
                if let Err(wrong) = check_arn(declaration, &created.arn) {
                    // The credentials belong to another account than STS reported, or STS was unavailable.
                    self.account.write(&key, name, &Write::DeleteRole).await?;
                    return Err(wrong);
                }
                findings.adopted = Some(false);
                findings.role = Some(created);
                findings.role_absent = false;
                findings.permissions_policy_synced = Some(false);
            }
            match change.part {
                Part::Role | Part::TrustPolicy => findings.trust_policy_synced = Some(true),
                Part::PermissionsPolicy => {
                    let is_put = matches!(change.write, Write::PutRolePolicy(_));
                    findings.permissions_policy_synced = Some(is_put);
                }
                Part::Tags
                | Part::Boundary
                | Part::OtherInlinePolicies
                | Part::AttachedPolicies
                | Part::Settings => {}
            }
            findings.made.push(change);
        }
        findings.tag_keys = Some(declared);
        Ok(())
    }
}
