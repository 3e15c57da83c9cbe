//! The stage of a resource in its lifecycle, by its metadata, its annotations and its status. Pure.

use kube::{Resource as _, ResourceExt};

use crate::api::{
    ABANDON_ANNOTATION, FINALIZER, PAUSED_ANNOTATION, RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
    RoleResource, RoleStatus,
};
use crate::role::DriftPolicy;

/// Why nothing is written for a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HandsOff {
    /// It is annotated as paused.
    Paused,
    /// Its `driftPolicy` is `Report`.
    ReportOnly,
}

/// Whether the annotation pauses the resource. Any value except `false` does: a user who sets it wants the controller
/// to stop.
pub(crate) fn is_paused(resource: &impl ResourceExt) -> bool {
    let value = resource.annotations().get(PAUSED_ANNOTATION);
    value.is_some_and(|value| !value.eq_ignore_ascii_case("false"))
}

/// The value of the annotation that pauses the resource, if it is neither `true` nor `false`.
pub(crate) fn odd_pause(resource: &impl ResourceExt) -> Option<&str> {
    let value = resource.annotations().get(PAUSED_ANNOTATION)?;
    let is_known = ["true", "false"].iter().any(|known| value.eq_ignore_ascii_case(known));
    (!is_known).then_some(value)
}

/// Whether the annotation asks to abandon a deleted resource.
pub(crate) fn is_abandoned(resource: &impl ResourceExt) -> bool {
    let value = resource.annotations().get(ABANDON_ANNOTATION);
    value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The value of the annotation that requests a reconcile, if there is no other cause: the status refers to the current
/// spec.
pub(crate) fn request(resource: &RoleResource) -> Option<&str> {
    let status = resource.status.as_ref()?;
    let value = resource.annotations().get(RECONCILE_REQUESTED_AT_ANNOTATION)?;
    let is_only_that = resource.meta().deletion_timestamp.is_none()
        && has_finalizer(resource)
        && status.observed_generation == resource.meta().generation
        && status.last_handled_reconcile_at.as_ref() != Some(value);
    is_only_that.then_some(value)
}

/// Whether our finalizer holds the resource on deletion.
pub(crate) fn has_finalizer(resource: &impl ResourceExt) -> bool {
    resource.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Why nothing must be written for the resource, if so.
pub(crate) fn hands_off(resource: &RoleResource) -> Option<HandsOff> {
    if is_paused(resource) {
        return Some(HandsOff::Paused);
    }
    match resource.settings().drift_policy {
        DriftPolicy::Report => Some(HandsOff::ReportOnly),
        DriftPolicy::Correct => None,
    }
}

/// Whether the resource has no reported status yet.
pub(crate) fn is_new(resource: &RoleResource) -> bool {
    resource.status.as_ref().is_none_or(RoleStatus::is_untouched)
}

/// Whether the status refers to an earlier generation of the resource. A new resource has no such status, and all tools
/// see a deletion without a status.
pub(crate) fn is_edited(resource: &RoleResource) -> bool {
    let observed = resource.status.as_ref().and_then(|status| status.observed_generation);
    resource.metadata.deletion_timestamp.is_none()
        && !is_new(resource)
        && observed != resource.metadata.generation
}

/// Whether the status is final until something changes.
pub(crate) fn is_settled(resource: &RoleResource) -> bool {
    let Some(status) = &resource.status else {
        return false;
    };
    let Some(ready) = status.ready() else {
        return false;
    };
    let Some(reason) = Reason::parse(&ready.reason) else {
        return false;
    };
    let requested = resource.annotations().get(RECONCILE_REQUESTED_AT_ANNOTATION);
    let is_paused = is_paused(resource);
    resource.meta().deletion_timestamp.is_none()
        && (has_finalizer(resource) || is_paused)
        && status.observed_generation == resource.meta().generation
        && status.last_handled_reconcile_at.as_ref() == requested
        && reason.holds()
        && (reason == Reason::Paused) == is_paused
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::testing::resource;

    #[test]
    fn a_resource_is_settled_when_its_status_is_final() {
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
            ("denied, which is retried", vec![(reason.as_str(), json!("AccessDenied"))], false),
            ("throttled, which is retried", vec![(reason.as_str(), json!("Throttled"))], false),
        ];
        for (case, changes, expected) in table {
            assert_eq!(is_settled(&resource(&changes)), expected, "a resource {case}");
        }
    }

    #[test]
    fn every_annotation_value_but_false_pauses_and_an_odd_one_is_reported() {
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
}
