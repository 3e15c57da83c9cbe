//! Whether an observation from a list of all roles has news for one resource. If so, the resource gets a separate
//! observation before any write, because the listed one can be older than our last write. Pure.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::api::{RoleResource, RoleStatus};
use crate::policy::Caller;
use crate::role::{Declaration, Defaults, ObservedRole, Owner, RoleKey, Standing};

use super::super::lifecycle;
use super::super::reconcile::{check_caller, compare};
use super::super::report::{Findings, Inputs, Verdict, status_after};

/// The input of a verdict besides the resource and its role.
pub(super) struct Facts<'a> {
    pub cluster: &'a str,
    pub defaults: &'a Defaults,
    pub caller: Option<Caller>,
    pub turn: &'a dyn Fn(&Declaration) -> Result<(), Verdict>,
    pub standing: &'a dyn Fn(&Owner, &RoleKey) -> Standing,
    pub is_written: &'a dyn Fn(&RoleStatus) -> bool,
}

/// An observation is not a failure, so no time has passed.
const fn inputs<'a>(resource: &'a RoleResource, findings: &'a Findings) -> Inputs<'a> {
    Inputs { resource, findings, now: Timestamp::UNIX_EPOCH, propagation: Duration::MAX }
}

/// Whether an observation of the role differs from the status.
pub(super) fn differs_from_status(
    resource: &RoleResource,
    observed: Option<&ObservedRole>,
    facts: &Facts<'_>,
) -> bool {
    let mut findings = Findings::before(resource);
    let verdict = verdict(resource, observed, facts, &mut findings);
    let (Ok(Some(verdict)) | Err(verdict)) = verdict else {
        return true;
    };
    let inputs = inputs(resource, &findings);
    let status = status_after(&verdict, &verdict.outcome(inputs), inputs);
    resource.status.as_ref() != Some(&status) && !(facts.is_written)(&status)
}

/// `Ok(None)` when there are writes to make.
fn verdict(
    resource: &RoleResource,
    observed: Option<&ObservedRole>,
    facts: &Facts<'_>,
    findings: &mut Findings,
) -> Result<Option<Verdict>, Verdict> {
    let desired = resource.desired(facts.cluster, facts.defaults)?;
    findings.role_name = Some(desired.declaration.name.to_string());
    check_caller(&desired.declaration, facts.caller.as_ref())?;
    (facts.turn)(&desired.declaration)?;
    let key = desired.declaration.key();
    let standing = |owner: &Owner| (facts.standing)(owner, &key);
    let plan = compare(&desired, observed, lifecycle::hands_off(resource), findings, standing)?;
    let extra_policies = plan.extra_policies;
    Ok(plan.changes.is_empty().then_some(Verdict::Synced { extra_policies }))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::api::testing::{resource, second};
    use crate::role::LiveDocument;

    const CLUSTER: &str = "c1";

    fn observed_as_declared(resource: &RoleResource) -> ObservedRole {
        let desired = resource
            .desired(CLUSTER, &Defaults::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let policy = desired.declaration.permissions_policy.clone();
        ObservedRole {
            arn: "arn:aws:iam::111122223333:role/ns-events".into(),
            role_id: "AROA1".into(),
            path: "/".into(),
            max_session_duration_seconds: 3600,
            tags: desired.all_tags(),
            trust_policy: LiveDocument::Document(desired.declaration.trust_policy),
            inline_policies: [(policy.name, Some(LiveDocument::Document(policy.document)))].into(),
            ..ObservedRole::default()
        }
    }

    static NONE: LazyLock<Defaults> = LazyLock::new(Defaults::default);

    fn facts() -> Facts<'static> {
        let caller = Caller::of_arn("arn:aws:iam::111122223333:user/controller");
        Facts {
            cluster: CLUSTER,
            defaults: &NONE,
            caller,
            turn: &|_| Ok(()),
            standing: &|_, _| Standing::Keeps,
            is_written: &|_| false,
        }
    }

    fn settled_on(mut resource: RoleResource, observed: &ObservedRole) -> RoleResource {
        let mut findings = Findings::before(&resource);
        let verdict = verdict(&resource, Some(observed), &facts(), &mut findings);
        let (Ok(Some(verdict)) | Err(verdict)) = verdict else {
            panic!("nothing is to be written")
        };
        let inputs = inputs(&resource, &findings);
        let status = status_after(&verdict, &verdict.outcome(inputs), inputs);
        resource.status = Some(status);
        resource
    }

    #[test]
    fn an_observation_matters_when_it_changes_the_role_or_the_status() {
        for resource in [resource(&[]), second()] {
            let observed = observed_as_declared(&resource);
            let settled = settled_on(resource, &observed);
            let is_news = |resource: &_, observed: Option<&_>| {
                differs_from_status(resource, observed, &facts())
            };
            let with = |change: fn(&mut ObservedRole)| {
                let mut observed = observed.clone();
                change(&mut observed);
                is_news(&settled, Some(&observed))
            };
            assert!(!with(|_| {}), "the same again");
            assert!(with(|role| role.description = "changed".into()), "something to write");
            assert!(with(|role| role.role_id = "AROA2".into()), "another role of the name");
            assert!(with(|role| role.tags.clear()), "no longer ours");
            assert!(
                with(|role| {
                    role.attached_policies.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".into());
                }),
                "something to tell"
            );
            assert!(is_news(&settled, None), "the role is gone");
        }
    }
}
