//! The rules for every status at every moment. They are those of Flux's conditions checker (`fluxcd/pkg`,
//! `runtime/conditions/check/fail.go`), adapted: between an edit and its reconcile, the status describes the earlier
//! generation, and names it.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::Resource;
use kube::core::object::HasStatus;
use streamrole::api::RoleStatus;

/// The conditions that are present only while True.
const ABNORMAL: [&str; 2] = ["Reconciling", "Stalled"];

/// Checks the status of the resource.
///
/// # Panics
/// When it breaks a rule.
pub fn check_status(resource: &(impl Resource + HasStatus<Status = RoleStatus>)) {
    let violations = status_violations(resource);
    let (name, status) = (&resource.meta().name, resource.status());
    assert!(violations.is_empty(), "{name:?}: {violations:#?} in {status:#?}");
}

/// The rules that the status of the resource breaks.
#[must_use]
pub fn status_violations(
    resource: &(impl Resource + HasStatus<Status = RoleStatus>),
) -> Vec<String> {
    let Some(status) = resource.status().filter(|status| !status.is_untouched()) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    let mut rule = |holds: bool, rule: &str| {
        if !holds {
            violations.push(rule.to_owned());
        }
    };
    let conditions = &status.conditions;
    let is_true = |type_: &str| conditions.iter().any(|c| c.type_ == type_ && c.status == "True");
    let types: BTreeSet<_> = conditions.iter().map(|c| &c.type_).collect();
    rule(types.len() == conditions.len(), "each type occurs once");
    rule(types.iter().any(|type_| *type_ == "Ready"), "Ready is present once reconciled");
    rule(
        !(is_true("Reconciling") && is_true("Stalled")),
        "Reconciling and Stalled are never both True",
    );
    for type_ in ABNORMAL {
        let only_true = conditions.iter().filter(|c| c.type_ == type_).all(|c| c.status == "True");
        rule(only_true, &format!("{type_} is present only while True"));
        let excludes = !(is_true("Ready") && is_true(type_));
        rule(excludes, &format!("Ready is not True while {type_} is"));
    }

    let generation = resource.meta().generation;
    let not_above = |observed: Option<i64>| observed.is_some() && observed <= generation;
    rule(not_above(status.observed_generation), "observedGeneration is at most the generation");
    for condition in conditions {
        let of = |rule: &str| format!("{}: {rule}", condition.type_);
        let observed = condition.observed_generation;
        rule(not_above(observed), &of("observedGeneration is at most the generation"));
        if is_true("Ready") {
            let same = observed == status.observed_generation;
            rule(same, &of("while Ready, observedGeneration is that of the status"));
        }
        rule(is_status(condition), &of("the status is True, False or Unknown"));
        rule(!condition.reason.is_empty(), &of("there is a reason"));
        let time = condition.last_transition_time.0;
        rule(time > Timestamp::UNIX_EPOCH, &of("there is a lastTransitionTime"));
    }
    violations
}

fn is_status(condition: &Condition) -> bool {
    ["True", "False", "Unknown"].contains(&condition.status.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use streamrole::api::PinpointEventStreamRole;

    use super::*;
    use crate::resources::{kinesis_arn, manifest};

    fn resource(status: &Value) -> PinpointEventStreamRole {
        let spec = json!({"destination": {"kinesisStreamArn": kinesis_arn("events")}});
        let mut resource = manifest(&json!({"name": "events", "generation": 2}), &spec);
        resource["status"] = status.clone();
        serde_json::from_value(resource).unwrap()
    }

    fn one(type_: &str, status: &str) -> Value {
        json!({"type": type_, "status": status, "reason": "Because", "message": "",
            "observedGeneration": 2, "lastTransitionTime": "2026-11-01T00:00:00Z"})
    }

    #[test]
    fn a_valid_status_passes_and_each_violation_is_found() {
        let well = json!({"observedGeneration": 2, "conditions": [
            one("Ready", "True"), one("TrustPolicySynced", "True"), one("PermissionsPolicySynced", "Unknown"),
        ]});
        assert_eq!(status_violations(&resource(&well)), Vec::<String>::new());
        assert_eq!(status_violations(&resource(&json!({"observedGeneration": -1}))), [""; 0]);
        let with = |pointer: &str, value: Value| {
            let mut status = well.clone();
            *status.pointer_mut(pointer).unwrap() = value;
            status
        };
        let failing = |abnormal: &[&str]| {
            let conditions = abnormal.iter().map(|type_| one(type_, "True"));
            let conditions: Vec<_> = conditions.chain([one("Ready", "False")]).collect();
            json!({"observedGeneration": 2, "conditions": conditions})
        };
        assert_eq!(status_violations(&resource(&failing(&["Stalled"]))), Vec::<String>::new());
        let table = [
            (with("/conditions/0/type", json!("Other")), "Ready is present"),
            (with("/conditions/1/type", json!("Ready")), "each type occurs once"),
            (with("/conditions/1", one("Reconciling", "False")), "present only while True"),
            (with("/conditions/1", one("Stalled", "True")), "Ready is not True while Stalled"),
            (with("/conditions/1", one("Reconciling", "True")), "not True while Reconciling"),
            (failing(&ABNORMAL), "never both True"),
            (with("/observedGeneration", json!(3)), "observedGeneration is at most"),
            (with("/conditions/0/observedGeneration", json!(3)), "Ready: observedGeneration is at"),
            (with("/conditions/0/observedGeneration", json!(1)), "is that of the status"),
            (with("/conditions/0/status", json!("Perhaps")), "True, False or Unknown"),
            (with("/conditions/0/reason", json!("")), "there is a reason"),
            (
                with("/conditions/0/lastTransitionTime", json!("1970-01-01T00:00:00Z")),
                "there is a lastTransitionTime",
            ),
        ];
        for (status, rule) in table {
            let violations = status_violations(&resource(&status));
            assert!(violations.iter().any(|it| it.contains(rule)), "{rule:?} in {violations:?}");
        }
    }
}
