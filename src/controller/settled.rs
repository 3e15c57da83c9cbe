//! Which resources need no look of their own: their status speaks of the spec and annotations as they are
//! now, and nothing is due. Pure. And whether an observation that came along with all others' says anything
//! new of one: if so, that one gets a look of its own before anything is written, because the observation
//! may be older than our last write.

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt};

use crate::api::{
    ABANDON_ANNOTATION, DriftPolicy, FINALIZER, PAUSED_ANNOTATION, PinpointEventStreamRole,
    PinpointEventStreamRoleStatus, RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
};
use crate::policy::Caller;
use crate::role::{self, Defaults, DesiredRole, ObservedRole, Owner, RoleKey, Standing};

use super::Context;
use super::converge::{self, compare};
use super::status::{Progress, Verdict, status_after};

/// Reasons that hold until the resource or the role changes.
const HOLDING: [Reason; 9] = [
    Reason::Synced,
    Reason::ExtraPolicies,
    Reason::DriftReported,
    Reason::Paused,
    Reason::InvalidSpec,
    Reason::RoleNotOwned,
    Reason::RoleOwnedByAnother,
    Reason::ImmutableFieldDiffers,
    Reason::RefusedByIam,
];

/// Whether the annotation asks for no writes. Any value but `false` does: whoever sets it wants the controller to stop.
pub(super) fn is_paused(resource: &impl ResourceExt) -> bool {
    let value = resource.annotations().get(PAUSED_ANNOTATION);
    value.is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// The value of the annotation that pauses the resource, if it is neither `true` nor `false`.
pub(super) fn odd_pause(resource: &impl ResourceExt) -> Option<&str> {
    let value = resource.annotations().get(PAUSED_ANNOTATION)?;
    let is_known = ["true", "false"].iter().any(|known| value.eq_ignore_ascii_case(known));
    (!is_known).then_some(value)
}

/// Whether the annotation asks for a deleted resource to be let go without a call to IAM.
pub(super) fn is_abandoned(resource: &impl ResourceExt) -> bool {
    let value = resource.annotations().get(ABANDON_ANNOTATION);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The value of the annotation that asks for a reconcile, if nothing else does: the spec is the one that the status
/// speaks of.
pub(super) fn request(resource: &PinpointEventStreamRole) -> Option<&str> {
    let status = resource.status.as_ref()?;
    let value = resource.annotations().get(RECONCILE_REQUESTED_AT_ANNOTATION)?;
    let is_only_that = resource.meta().deletion_timestamp.is_none()
        && is_guarded(resource)
        && status.observed_generation == resource.meta().generation
        && status.last_handled_reconcile_at.as_ref() != Some(value);
    is_only_that.then_some(value)
}

/// Whether the resource stays, once it is deleted, until we let it go.
pub(super) fn is_guarded(resource: &impl ResourceExt) -> bool {
    resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Why nothing may be written for the resource, if so.
pub(super) fn hands_off(resource: &PinpointEventStreamRole) -> Option<Reason> {
    match resource.spec.drift_policy {
        _ if is_paused(resource) => Some(Reason::Paused),
        DriftPolicy::Report => Some(Reason::DriftReported),
        DriftPolicy::Correct => None,
    }
}

/// Whether the status is the last word on the resource until something changes.
pub(super) fn is_settled(resource: &PinpointEventStreamRole) -> bool {
    let Some(status) = &resource.status else {
        return false;
    };
    let Some(ready) = status.ready() else {
        return false;
    };
    let requested = resource.annotations().get(RECONCILE_REQUESTED_AT_ANNOTATION);
    let is_paused = is_paused(resource);
    resource.meta().deletion_timestamp.is_none()
        && (is_guarded(resource) || is_paused)
        && status.observed_generation == resource.meta().generation
        && status.last_handled_reconcile_at.as_ref() == requested
        && HOLDING.iter().any(|reason| reason.as_str() == ready.reason)
        && (ready.reason == Reason::Paused.as_str()) == is_paused
}

/// Whether an observation of the role says anything that the status does not.
pub(super) fn is_news(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    context: &Context,
) -> bool {
    let index = &context.schedule.index;
    let facts = Facts {
        cluster: context.cluster.as_str(),
        defaults: &context.defaults,
        caller: context.iam.known_caller(),
        turn: &|desired| converge::turn(resource, desired, index, &context.defaults),
        standing: &|owner, role| index.standing(owner, role),
        is_told: &|status| {
            let uid = resource.uid().unwrap_or_default();
            let version = resource.resource_version().unwrap_or_default();
            context.requeue.is_told(&uid, &version, status)
        },
    };
    differs_from_status(resource, observed, &facts)
}

/// What a verdict depends on besides the resource and its role.
struct Facts<'a> {
    cluster: &'a str,
    defaults: &'a Defaults,
    caller: Option<Caller>,
    turn: &'a dyn Fn(&DesiredRole) -> Result<(), Verdict>,
    standing: &'a dyn Fn(&Owner, &RoleKey) -> Standing,
    is_told: &'a dyn Fn(&PinpointEventStreamRoleStatus) -> bool,
}

fn differs_from_status(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    facts: &Facts<'_>,
) -> bool {
    let mut progress = Progress::of(resource);
    let verdict = verdict(resource, observed, facts, &mut progress);
    let (Ok(Some(verdict)) | Err(verdict)) = verdict else {
        return true;
    };
    let now = Timestamp::UNIX_EPOCH;
    let status = status_after(resource, &progress, &verdict, now);
    resource.status.as_ref() != Some(&status) && !(facts.is_told)(&status)
}

/// `Ok(None)` when there is something to write.
fn verdict(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    facts: &Facts<'_>,
    progress: &mut Progress,
) -> Result<Option<Verdict>, Verdict> {
    let desired = role::desired(resource, facts.cluster, facts.defaults)?;
    progress.role_name = Some(desired.name.to_string());
    converge::check_caller(&desired, facts.caller.as_ref())?;
    (facts.turn)(&desired)?;
    let key = desired.key();
    let standing = |owner: &Owner| (facts.standing)(owner, &key);
    let plan = compare(&desired, observed, hands_off(resource), progress, standing)?;
    let extra_policies = plan.extra_policies;
    Ok(plan.changes.is_empty().then_some(Verdict::Synced { extra_policies }))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use serde_json::{Value, json};

    use super::*;

    const CLUSTER: &str = "c1";

    fn resource(changes: &[(&str, Value)]) -> PinpointEventStreamRole {
        let mut whole = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {
                "name": "events", "namespace": "ns", "uid": "u1", "generation": 2,
                "finalizers": [FINALIZER], "annotations": {},
            },
            "spec": {"destination": {"kinesisStreamArn": "arn:aws:kinesis:us-east-1:111122223333:stream/s"}},
            "status": {
                "observedGeneration": 2,
                "conditions": [{
                    "type": "Ready", "status": "True", "reason": "Synced", "message": "",
                    "lastTransitionTime": "2026-11-23T00:00:00Z", "observedGeneration": 2,
                }],
            },
        });
        for (path, value) in changes {
            let (parent, field) = path.rsplit_once('/').unwrap_or(("", path));
            if let Some(parent) = whole.pointer_mut(parent).and_then(Value::as_object_mut) {
                parent.insert((*field).to_owned(), value.clone());
            }
        }
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_resource_is_settled_when_its_status_is_the_last_word() {
        let ready = "/status/conditions/0";
        let reason = format!("{ready}/reason");
        let paused = json!({PAUSED_ANNOTATION: "true"});
        let requested = json!({RECONCILE_REQUESTED_AT_ANNOTATION: "1"});
        let table = [
            ("as it was left", vec![], true),
            ("without a status", vec![("/status", Value::Null)], false),
            ("without conditions", vec![("/status/conditions", json!([]))], false),
            ("edited", vec![("/metadata/generation", json!(3))], false),
            (
                "being deleted",
                vec![("/metadata/deletionTimestamp", json!("2026-11-23T00:00:00Z"))],
                false,
            ),
            ("without its finalizer", vec![("/metadata/finalizers", json!([]))], false),
            ("asked for", vec![("/metadata/annotations", requested.clone())], false),
            (
                "asked for and handled",
                vec![
                    ("/metadata/annotations", requested),
                    ("/status/lastHandledReconcileAt", json!("1")),
                ],
                true,
            ),
            ("just paused", vec![("/metadata/annotations", paused.clone())], false),
            (
                "paused",
                vec![("/metadata/annotations", paused), (reason.as_str(), json!("Paused"))],
                true,
            ),
            ("no longer paused", vec![(reason.as_str(), json!("Paused"))], false),
            ("of the wrong account", vec![(reason.as_str(), json!("WrongAccount"))], false),
            ("stalled until a change", vec![(reason.as_str(), json!("RoleNotOwned"))], true),
            ("denied, which is tried again", vec![(reason.as_str(), json!("AccessDenied"))], false),
            ("throttled, which is tried again", vec![(reason.as_str(), json!("Throttled"))], false),
        ];
        for (case, changes, expected) in table {
            assert_eq!(is_settled(&resource(&changes)), expected, "a resource {case}");
        }
    }

    #[test]
    fn every_value_of_the_annotation_but_false_pauses_and_an_odd_one_is_said() {
        let table = [
            (None, false, None),
            (Some("false"), false, None),
            (Some("FALSE"), false, None),
            (Some("true"), true, None),
            (Some("True"), true, None),
            (Some("yes"), true, Some("yes")),
            (Some("1"), true, Some("1")),
            (Some(""), true, Some("")),
            (Some(" false"), true, Some(" false")),
        ];
        for (value, paused, odd) in table {
            let annotations = value.map_or_else(|| json!({}), |v| json!({PAUSED_ANNOTATION: v}));
            let resource = resource(&[("/metadata/annotations", annotations)]);
            assert_eq!((is_paused(&resource), odd_pause(&resource)), (paused, odd), "{value:?}");
        }
    }

    fn observed_as_declared(resource: &PinpointEventStreamRole) -> ObservedRole {
        let desired = role::desired(resource, CLUSTER, &Defaults::default())
            .unwrap_or_else(|error| panic!("{error}"));
        ObservedRole {
            arn: "arn:aws:iam::111122223333:role/ns-events".into(),
            role_id: "AROA1".into(),
            path: "/".into(),
            max_session_duration_seconds: 3600,
            tags: desired.all_tags(),
            trust_policy: desired.trust_policy.to_string(),
            permissions_policy: Some(desired.permissions_policy.to_string()),
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
            is_told: &|_| false,
        }
    }

    fn settled_on(observed: &ObservedRole) -> PinpointEventStreamRole {
        let mut resource = resource(&[]);
        let mut progress = Progress::of(&resource);
        let verdict = verdict(&resource, Some(observed), &facts(), &mut progress);
        let (Ok(Some(verdict)) | Err(verdict)) = verdict else {
            panic!("nothing is to be written")
        };
        let status = status_after(&resource, &progress, &verdict, Timestamp::UNIX_EPOCH);
        resource.status = Some(status);
        resource
    }

    #[test]
    fn an_observation_is_news_when_it_asks_for_a_write_or_for_another_status() {
        let observed = observed_as_declared(&resource(&[]));
        let settled = settled_on(&observed);
        let is_news =
            |resource: &_, observed: Option<&_>| differs_from_status(resource, observed, &facts());
        let with = |change: fn(&mut ObservedRole)| {
            let mut observed = observed.clone();
            change(&mut observed);
            is_news(&settled, Some(&observed))
        };
        assert!(!with(|_| {}), "the same again");
        assert!(with(|role| role.description = "changed".into()), "something to write");
        assert!(with(|role| role.role_id = "AROA2".into()), "another role under the same name");
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
