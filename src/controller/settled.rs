//! Which resources need no look of their own: their status speaks of the spec and annotations as they are
//! now, and nothing is due. Pure. And whether an observation that came along with all others' says anything
//! new of one: if so, that one gets a look of its own before anything is written, because the observation
//! may be older than our last write.

use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt};

use crate::api::{
    ABANDON_ANNOTATION, DriftPolicy, FINALIZER, PAUSED_ANNOTATION, PinpointEventStreamRole,
    RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
};
use crate::role::{self, ObservedRole, Owner, Refusal, RoleName, Standing};

use super::converge::compare;
use super::status::{Progress, Verdict, status_after};
use super::{Context, neighbours};

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

/// Whether the annotation asks for no writes.
pub(super) fn is_paused(resource: &impl ResourceExt) -> bool {
    asks_for(resource, PAUSED_ANNOTATION)
}

/// Whether the annotation asks for a deleted resource to be let go without a call to IAM.
pub(super) fn is_abandoned(resource: &impl ResourceExt) -> bool {
    asks_for(resource, ABANDON_ANNOTATION)
}

fn asks_for(resource: &impl ResourceExt, annotation: &str) -> bool {
    resource.annotations().get(annotation).is_some_and(|value| value == "true")
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
    let standing = |owner: &Owner| neighbours::standing(owner, resource, &context.watched);
    let precedence =
        |name: &RoleName| context.neighbours.precedence(resource, name, &context.watched);
    differs_from_status(resource, observed, context.cluster.as_str(), precedence, standing)
}

fn differs_from_status(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    cluster: &str,
    precedence: impl Fn(&RoleName) -> Option<Refusal>,
    standing: impl Fn(&Owner) -> Standing,
) -> bool {
    let mut progress = Progress::of(resource);
    let verdict = verdict(resource, observed, cluster, &mut progress, precedence, standing);
    let (Ok(Some(verdict)) | Err(verdict)) = verdict else {
        return true;
    };
    let now = Timestamp::UNIX_EPOCH;
    resource.status.as_ref() != Some(&status_after(resource, &progress, &verdict, now))
}

/// `Ok(None)` when there is something to write.
fn verdict(
    resource: &PinpointEventStreamRole,
    observed: Option<&ObservedRole>,
    cluster: &str,
    progress: &mut Progress,
    precedence: impl Fn(&RoleName) -> Option<Refusal>,
    standing: impl Fn(&Owner) -> Standing,
) -> Result<Option<Verdict>, Verdict> {
    let desired = role::desired(resource, cluster)?;
    progress.role_name = Some(desired.name.to_string());
    precedence(&desired.name).map_or(Ok(()), Err)?;
    let plan = compare(&desired, observed, hands_off(resource), progress, standing)?;
    let extra_policies = plan.extra_policies;
    Ok(plan.changes.is_empty().then_some(Verdict::Synced { extra_policies }))
}

#[cfg(test)]
mod tests {
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
            ("stalled until a change", vec![(reason.as_str(), json!("RoleNotOwned"))], true),
            ("denied, which is tried again", vec![(reason.as_str(), json!("AccessDenied"))], false),
            ("throttled, which is tried again", vec![(reason.as_str(), json!("Throttled"))], false),
        ];
        for (case, changes, expected) in table {
            assert_eq!(is_settled(&resource(&changes)), expected, "a resource {case}");
        }
    }

    fn observed_as_declared(resource: &PinpointEventStreamRole) -> ObservedRole {
        let desired = role::desired(resource, CLUSTER).unwrap_or_else(|error| panic!("{error}"));
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

    fn settled_on(observed: &ObservedRole) -> PinpointEventStreamRole {
        let mut resource = resource(&[]);
        let mut progress = Progress::of(&resource);
        let verdict = verdict(
            &resource,
            Some(observed),
            CLUSTER,
            &mut progress,
            |_| None,
            |_| Standing::Keeps,
        );
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
        let is_news = |resource: &_, observed: Option<&_>| {
            differs_from_status(resource, observed, CLUSTER, |_| None, |_| Standing::Keeps)
        };
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
