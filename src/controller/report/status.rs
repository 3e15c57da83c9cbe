//! Builds the status from the result of a reconcile. Pure: the clock is an argument, and the caller writes the status
//! only if it changed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{
    ConditionType, DriftedField, RECONCILE_REQUESTED_AT_ANNOTATION, Reason, RoleStatus, condition,
    conditions_after,
};
use crate::policy::{Difference, readable};

use super::outcome::{Inputs, Outcome, Verdict};

/// The most differences in the status, and the longest text of each part, in characters.
const MAX_DRIFT: usize = 100;
const MAX_DRIFT_TEXT: usize = 1024;

/// The status after a reconcile with this outcome.
pub(crate) fn status_after(verdict: &Verdict, outcome: &Outcome, inputs: Inputs<'_>) -> RoleStatus {
    let Inputs { resource, findings, now, .. } = inputs;
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let message = message_after(&previous, outcome);
    let of = |type_, status, reason, message: &str| {
        condition(type_, status, reason, message, generation)
    };

    // The new spec was not compared with anything yet.
    let synced =
        |compared: Option<bool>| compared.filter(|_| !matches!(verdict, Verdict::Progressing));
    let mut conditions = vec![
        of(ConditionType::Ready, Some(outcome.ready), outcome.reason, &message),
        document_condition(
            ConditionType::TrustPolicySynced,
            synced(findings.trust_policy_synced),
            outcome.reason,
            resource.trust_note().as_deref(),
            generation,
        ),
        document_condition(
            ConditionType::PermissionsPolicySynced,
            synced(findings.permissions_policy_synced),
            outcome.reason,
            None,
            generation,
        ),
    ];
    if outcome.outlook.is_reconciling() {
        conditions.push(of(ConditionType::Reconciling, Some(true), outcome.reason, &message));
    }
    if outcome.outlook.is_stalled() {
        conditions.push(of(ConditionType::Stalled, Some(true), outcome.reason, &message));
    }

    let identity = |previous: Option<String>, now: Option<String>| match (findings.role_absent, now)
    {
        (_, Some(now)) => Some(now),
        (true, None) => None,
        (false, None) => previous,
    };
    RoleStatus {
        observed_generation: generation,
        reason: Some(outcome.reason.as_str().into()),
        role_name: findings.role_name.clone().or(previous.role_name),
        role_arn: identity(previous.role_arn, findings.role.as_ref().map(|role| role.arn.clone())),
        role_id: identity(
            previous.role_id,
            findings.role.as_ref().map(|role| role.role_id.clone()),
        ),
        adopted: match (findings.role_absent, findings.adopted) {
            (_, Some(adopted)) => adopted.then_some(true),
            (true, None) => None,
            (false, None) => previous.adopted,
        },
        source: resource.source(),
        destination: resource.destination(),
        tag_keys: findings
            .tag_keys
            .as_ref()
            .map_or(previous.tag_keys, |keys| keys.iter().cloned().collect()),
        last_handled_reconcile_at: if verdict.answers_request() {
            let annotations = resource.metadata.annotations.as_ref();
            annotations.and_then(|a| a.get(RECONCILE_REQUESTED_AT_ANNOTATION)).cloned()
        } else {
            previous.last_handled_reconcile_at
        },
        last_change_time: if findings.made.is_empty() {
            previous.last_change_time
        } else {
            Some(Time(now))
        },
        drift: drift(verdict.reported_differences()),
        conditions: conditions_after(&previous.conditions, conditions, now),
    }
}

/// A request id differs for each attempt. The message keeps the first one until something else changes, or every retry
/// would write the status.
fn message_after(previous: &RoleStatus, outcome: &Outcome) -> String {
    let Some(request_id) = &outcome.request_id else {
        return outcome.message.clone();
    };
    match previous.ready() {
        Some(old) if old.message.starts_with(&outcome.message) => old.message.clone(),
        Some(_) | None => format!("{} (request id {request_id})", outcome.message),
    }
}

fn document_condition(
    type_: ConditionType,
    synced: Option<bool>,
    reason: Reason,
    note: Option<&str>,
    generation: Option<i64>,
) -> Condition {
    let note = note.map_or_else(String::new, |note| format!(" {note}"));
    let document = match type_ {
        ConditionType::TrustPolicySynced => "trust policy",
        ConditionType::PermissionsPolicySynced => "permissions policy",
        ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled => "role",
    };
    match synced {
        Some(true) => {
            let message = format!("The live {document} is equivalent to the declared one.{note}");
            condition(type_, synced, Reason::Synced, &message, generation)
        }
        Some(false) => {
            let message = format!("The live {document} is not the declared one.");
            condition(type_, synced, reason, &message, generation)
        }
        None => {
            let message =
                format!("The live {document} could not be compared with the declared one.");
            condition(type_, synced, reason, &message, generation)
        }
    }
}

fn drift(differences: &[Difference]) -> Vec<DriftedField> {
    let shown = |text: &String| readable(text, MAX_DRIFT_TEXT);
    differences
        .iter()
        .take(MAX_DRIFT)
        .map(|difference| DriftedField {
            path: shown(&difference.path),
            desired: difference.desired.as_ref().map(shown),
            live: difference.live.as_ref().map(shown),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;
    use serde_json::Value;

    use super::super::super::lifecycle::HandsOff;
    use super::super::outcome::{Findings, Outlook, Writer};
    use super::*;
    use crate::api::testing::{resource, second};
    use crate::api::{RoleResource, SpecError};
    use crate::role::{Action, ErrorKind, IamError, Owner, Refusal, Retry, RoleName};
    use crate::timing::Timing;

    /// A resource without a status.
    fn unreported() -> RoleResource {
        resource(&[("/status", Value::Null)])
    }

    fn status_of(resource: &RoleResource, verdict: &Verdict, now: Timestamp) -> RoleStatus {
        let (findings, propagation) = (Findings::default(), Timing::default().iam_propagation);
        let inputs = Inputs { resource, findings: &findings, now, propagation };
        status_after(verdict, &verdict.outcome(inputs), inputs)
    }

    fn outlook_of(resource: &RoleResource, verdict: &Verdict, now: Timestamp) -> Outlook {
        let (findings, propagation) = (Findings::default(), Timing::default().iam_propagation);
        verdict.outcome(Inputs { resource, findings: &findings, now, propagation }).outlook
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn failure(kind: ErrorKind, request_id: &str) -> Verdict {
        Verdict::Failed(IamError {
            action: Action::CreateRole,
            role: RoleName::parse("ns-events").ok(),
            kind,
            code: Some("Code".into()),
            message: "IAM's own words".into(),
            request_id: Some(request_id.into()),
        })
    }

    fn conditions_of(verdict: &Verdict) -> Vec<(String, String, String)> {
        let status = status_of(&unreported(), verdict, Timestamp::UNIX_EPOCH);
        let said = |c: Condition| (c.type_, c.status, c.reason);
        status.conditions.into_iter().map(said).collect()
    }

    #[test]
    fn each_verdict_has_a_reason_and_one_outlook() {
        let arn = || "arn:aws:iam::111122223333:role/ns-events".to_owned();
        let another = Owner { cluster: "c1".into(), resource: "ns/other".into(), uid: "u2".into() };
        let path = Refusal::PathDiffers { arn: arn(), live: "/x/".into(), desired: "/".into() };
        let report = |why| Verdict::LeftAlone { why, differences: Vec::new() };
        let table = [
            (Verdict::Progressing, "False", "Progressing", Some("Reconciling")),
            (Verdict::Synced { extra_policies: Vec::new() }, "True", "Synced", None),
            (report(HandsOff::Paused), "True", "Paused", None),
            (report(HandsOff::ReportOnly), "True", "Synced", None),
            (Verdict::InvalidSpec(SpecError::SourceCount), "False", "InvalidSpec", Some("Stalled")),
            (
                Verdict::Refused(Refusal::NotOwned { arn: arn() }),
                "False",
                "RoleNotOwned",
                Some("Stalled"),
            ),
            (
                Verdict::Refused(Refusal::OwnedByAnother { arn: arn(), owner: another }),
                "False",
                "RoleOwnedByAnother",
                Some("Stalled"),
            ),
            (Verdict::Refused(path), "False", "ImmutableFieldDiffers", Some("Stalled")),
            (failure(ErrorKind::NotFound, "1"), "False", "Progressing", Some("Reconciling")),
            (failure(ErrorKind::AlreadyExists, "1"), "False", "Progressing", Some("Reconciling")),
            (failure(ErrorKind::Conflict, "1"), "False", "Progressing", Some("Reconciling")),
            (failure(ErrorKind::DeleteConflict, "1"), "False", "DeletionBlocked", Some("Stalled")),
            (failure(ErrorKind::Rejected, "1"), "False", "RefusedByIam", Some("Stalled")),
            (failure(ErrorKind::LimitExceeded, "1"), "False", "LimitExceeded", Some("Stalled")),
            (failure(ErrorKind::Throttled, "1"), "False", "Throttled", Some("Reconciling")),
            (failure(ErrorKind::AccessDenied, "1"), "False", "AccessDenied", Some("Stalled")),
            (
                failure(ErrorKind::Credentials, "1"),
                "False",
                "CredentialsUnavailable",
                Some("Stalled"),
            ),
            (failure(ErrorKind::Unavailable, "1"), "False", "IamUnavailable", Some("Reconciling")),
            (
                failure(ErrorKind::InvalidPrincipal, "1"),
                "False",
                "Progressing",
                Some("Reconciling"),
            ),
            (Verdict::NotShownYet(Writer::Earlier), "False", "Progressing", Some("Reconciling")),
            (Verdict::DeletionPaused, "False", "Paused", Some("Stalled")),
            (
                Verdict::DeletionBlocked(vec!["x".into()]),
                "False",
                "DeletionBlocked",
                Some("Stalled"),
            ),
        ];
        for (verdict, status, reason, beside) in table {
            let said = conditions_of(&verdict);
            let ready = ("Ready".to_owned(), status.to_owned(), reason.to_owned());
            assert_eq!(said.first(), Some(&ready), "{verdict:?}");
            let abnormal: Vec<_> = said.iter().skip(3).map(|(type_, ..)| type_.as_str()).collect();
            assert_eq!(abnormal, Vec::from_iter(beside), "{verdict:?}");
            let outlook = outlook_of(&unreported(), &verdict, Timestamp::UNIX_EPOCH);
            if outlook != Outlook::Working {
                // The resync treats a reason as settled exactly when nothing else requeues it.
                let holds = Reason::parse(reason).map(Reason::holds);
                assert_eq!(holds, Some(outlook.retry().is_none()), "{verdict:?}");
            }
        }
    }

    #[test]
    fn the_same_failure_with_another_request_id_makes_no_new_status() {
        let mut resource = unreported();
        let status = |resource: &_, id: &str| {
            let verdict = failure(ErrorKind::AccessDenied, id);
            status_of(resource, &verdict, Timestamp::UNIX_EPOCH)
        };
        let first = status(&resource, "1");
        assert!(
            first.conditions.iter().any(|c| c.message.ends_with("(request id 1)")),
            "{first:?}"
        );
        resource.status = Some(first.clone());
        assert_eq!(status(&resource, "2"), first);
    }

    #[test]
    fn an_unknown_principal_or_boundary_is_reported_after_two_minutes() {
        let mut unready = unreported();
        unready.status = Some(status_of(&unready, &Verdict::Progressing, at(0)));
        for kind in [ErrorKind::MissingBoundary, ErrorKind::InvalidPrincipal] {
            let table = [
                (0, "Progressing", "Reconciling", Some(Retry::Soon)),
                (120, "Progressing", "Reconciling", Some(Retry::Soon)),
                (121, "RefusedByIam", "Stalled", None),
            ];
            for (seconds, reason, beside, retry) in table {
                let (verdict, now) = (failure(kind, "1"), at(seconds));
                let status = status_of(&unready, &verdict, now);
                let ready = status.ready().map(|ready| ready.reason.clone());
                assert_eq!(ready.as_deref(), Some(reason), "{kind:?} after {seconds} s");
                let last = status.conditions.last().map(|last| last.type_.clone());
                assert_eq!(last.as_deref(), Some(beside), "{kind:?} after {seconds} s");
                let outlook = outlook_of(&unready, &verdict, now);
                assert_eq!(outlook.retry(), retry, "{kind:?} after {seconds} s");
            }
        }
    }

    #[test]
    fn a_message_fits_a_condition_whatever_it_names() {
        let long = "x\u{202e}".repeat(100_000);
        let difference = || Difference {
            path: long.clone(),
            desired: Some(long.clone()),
            live: Some(long.clone()),
        };
        let many: Vec<_> = std::iter::repeat_with(difference).take(200).collect();
        let verdicts = [
            Verdict::Synced { extra_policies: many.clone() },
            Verdict::LeftAlone { why: HandsOff::ReportOnly, differences: many },
            Verdict::DeletionBlocked(vec![long.clone(); 200]),
        ];
        for verdict in verdicts {
            let status = status_of(&unreported(), &verdict, at(0));
            for condition in &status.conditions {
                assert!(condition.message.len() < 32_768, "{} bytes", condition.message.len());
            }
            assert!(status.drift.len() <= MAX_DRIFT);
            let is_short = |drifted: &DriftedField| {
                drifted.live.as_ref().is_none_or(|live| live.chars().count() <= MAX_DRIFT_TEXT)
            };
            assert!(status.drift.iter().all(is_short));
        }
    }

    #[test]
    fn a_second_kind_has_the_same_status() {
        let verdict = Verdict::Synced { extra_policies: Vec::new() };
        let first = status_of(&resource(&[]), &verdict, at(0));
        let second = status_of(&second(), &verdict, at(0));
        assert_eq!(second.destination.as_deref(), Some("firehose/s"));
        assert_eq!(second, RoleStatus { destination: second.destination.clone(), ..first });
    }
}
