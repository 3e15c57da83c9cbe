//! From how a reconcile went to the status that people and tools read. Pure: the clock comes in as an
//! argument, and the result goes out to be written only if it says something new.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{
    ABANDON_ANNOTATION, ConditionType, DriftedField, PAUSED_ANNOTATION, PinpointEventStreamRole,
    PinpointEventStreamRoleStatus, RECONCILE_REQUESTED_AT_ANNOTATION, Reason, condition,
    conditions_after,
};
use crate::iam::{ErrorKind, IamError, Retry, RoleIdentity};
use crate::policy::{Difference, Place, readable, shortened};
use crate::role::{Change, Refusal, SpecError, destination_label, expected_arn};

use super::settled;

/// How long a principal or a boundary that IAM does not know may be one that it does not know yet.
const PROPAGATION: Duration = Duration::from_mins(2);

/// How many differences the status lists, and how many characters of each part.
const MAX_DRIFT: usize = 100;
const MAX_DRIFT_TEXT: usize = 1024;
/// How many bytes of a list of things a message names.
const MAX_NAMED: usize = 8192;

/// What a reconcile learned and did, however it ended.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The last status called this very generation ready: what differs now is drift and no edit.
    pub was_in_sync: bool,
    /// The role's name as resolved.
    pub role_name: Option<String>,
    /// The role, when it was seen or created, and is ours.
    pub role: Option<RoleIdentity>,
    /// IAM said that there is no such role.
    pub role_absent: bool,
    /// Whether the live trust policy is the declared one; `None` while unknown.
    pub trust_policy_synced: Option<bool>,
    /// Whether the live permissions policy is the declared one; `None` while unknown.
    pub permissions_policy_synced: Option<bool>,
    /// Whether the role existed before the resource; `None` while unknown.
    pub adopted: Option<bool>,
    /// Keys of the user's tags that may be on the role because of us.
    pub tag_keys: Option<BTreeSet<String>>,
    /// The changes that were made.
    pub made: Vec<Change>,
}

impl Progress {
    /// Before anything was looked at.
    pub(super) fn of(resource: &PinpointEventStreamRole) -> Self {
        let ready = resource.status.as_ref().and_then(PinpointEventStreamRoleStatus::ready);
        let is_in_sync = |ready: &Condition| {
            ready.status == "True" && ready.observed_generation == resource.metadata.generation
        };
        Self { was_in_sync: ready.is_some_and(is_in_sync), ..Self::default() }
    }
}

/// How a reconcile ended.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Work on a new generation begins.
    Progressing,
    /// The role is as declared, but for these policies that nobody asked to remove.
    Synced { extra_policies: Vec<Difference> },
    /// The role was compared and, for this reason, nothing was written.
    LeftAlone { reason: Reason, differences: Vec<Difference> },
    /// The spec declares no role.
    InvalidSpec(SpecError),
    /// The live role is not ours to change.
    Refused(Refusal),
    /// For so long the role is kept for a resource that may be being recreated.
    Reserved { by: Refusal, left: Duration },
    /// The credentials are not those of the destination's account.
    WrongAccount { destination: Place, credentials: Place },
    /// Another resource is writing to the role at this moment.
    Busy,
    /// A call to IAM failed.
    Failed(IamError),
    /// IAM does not show yet, or may not show yet, what was written a moment ago.
    NotShownYet(Writer),
    /// The resource is being deleted but these things on the role are not ours to delete.
    DeletionBlocked(Vec<String>),
    /// The resource is being deleted and is annotated as paused.
    DeletionPaused,
}

/// Whose writes IAM may not show yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Writer {
    /// This process's.
    This,
    /// Those of the process that worked before this one began, if there was one.
    Earlier,
}

impl Writer {
    const fn saying(self) -> &'static str {
        match self {
            Self::This => "IAM does not show yet what was written a moment ago. Retrying.",
            Self::Earlier => {
                "The controller has just started, and IAM may not show yet what another replica wrote before. Retrying."
            }
        }
    }
}

/// What a verdict says in the Ready condition and beside it.
struct Saying {
    ready: Option<bool>,
    reason: Reason,
    message: String,
    /// A part of the message that differs at each attempt.
    request_id: Option<String>,
    reconciling: bool,
    stalled: bool,
}

impl Saying {
    fn new(ready: Option<bool>, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready,
            reason,
            message: message.into(),
            request_id: None,
            reconciling: false,
            stalled: false,
        }
    }
}

impl Verdict {
    /// When to try again; `None` when the resource is settled.
    pub(super) fn retry(
        &self,
        resource: &PinpointEventStreamRole,
        now: Timestamp,
    ) -> Option<Retry> {
        match self {
            Self::Progressing
            | Self::Synced { .. }
            | Self::LeftAlone { .. }
            | Self::InvalidSpec(_)
            | Self::Refused(_)
            | Self::DeletionPaused => None,
            Self::NotShownYet(_) | Self::Busy | Self::Reserved { .. } => Some(Retry::Soon),
            Self::Failed(error) if is_not_to_be(error.kind, unready_for(resource, now)) => {
                Some(Retry::AfterChange)
            }
            Self::Failed(error) => Some(error.kind.retry()),
            Self::DeletionBlocked(_) | Self::WrongAccount { .. } => Some(Retry::Slowly),
        }
    }

    fn saying(&self, setting: &Setting<'_>) -> Saying {
        let progress = setting.progress;
        let stalled = |saying| Saying { stalled: true, ..saying };
        match self {
            Self::Progressing => Saying {
                reconciling: true,
                ..Saying::new(
                    Some(false),
                    Reason::Progressing,
                    "The new spec was seen, and the role is being compared with it.",
                )
            },
            Self::Synced { extra_policies } => synced(progress, extra_policies),
            Self::LeftAlone { reason, differences } => left_alone(*reason, setting, differences),
            Self::InvalidSpec(error) => {
                stalled(Saying::new(Some(false), Reason::InvalidSpec, sentence(error)))
            }
            Self::Refused(refusal) | Self::Reserved { by: refusal, .. } => {
                let reason = match refusal {
                    Refusal::NotOwned { .. }
                    | Refusal::LeftBehind { .. }
                    | Refusal::ControllersOwn { .. }
                    | Refusal::ServiceLinked { .. } => Reason::RoleNotOwned,
                    Refusal::OwnedByAnother { .. }
                    | Refusal::OwnedElsewhere { .. }
                    | Refusal::TakenOver { .. }
                    | Refusal::DeclaredByAnother { .. } => Reason::RoleOwnedByAnother,
                    Refusal::PathDiffers { .. } => Reason::ImmutableFieldDiffers,
                };
                stalled(Saying::new(Some(false), reason, sentence(refusal)))
            }
            Self::Failed(error) => failed(error, setting),
            Self::NotShownYet(writer) => Saying {
                reconciling: true,
                ..Saying::new(Some(false), Reason::Progressing, writer.saying())
            },
            Self::Busy => Saying {
                reconciling: true,
                ..Saying::new(
                    Some(false),
                    Reason::Progressing,
                    "Another resource is writing to the role. Retrying.",
                )
            },
            Self::WrongAccount { destination, credentials } => {
                wrong_account(destination, credentials, setting.resource)
            }
            Self::DeletionBlocked(by) => stalled(Saying::new(
                Some(false),
                Reason::DeletionBlocked,
                format!(
                    "The role is kept because something is on it that this resource does not declare: {}. Remove that from the role; or set spec.exclusivePolicies: true to have policies removed with it, or spec.deletionPolicy: Retain to keep the role.",
                    shortened(&by.join(", "), MAX_NAMED)
                ),
            )),
            Self::DeletionPaused => stalled(Saying::new(
                Some(false),
                Reason::Paused,
                format!(
                    "The resource is being deleted but is annotated as paused, so it is kept and so is its role. Remove the annotation {PAUSED_ANNOTATION} to let the deletion go on."
                ),
            )),
        }
    }
}

fn synced(progress: &Progress, extra_policies: &[Difference]) -> Saying {
    let arn = progress.role.as_ref().map_or_else(String::new, |role| readable(&role.arn, 300));
    if extra_policies.is_empty() {
        let message = format!("The IAM role {arn} is as declared.");
        return Saying::new(Some(true), Reason::Synced, message);
    }
    let paths: Vec<_> = extra_policies.iter().map(|difference| difference.path.as_str()).collect();
    let message = format!(
        "The IAM role {arn} is as declared but holds other policies too: {}. Remove them, or set spec.exclusivePolicies: true to have them removed.",
        shortened(&paths.join(", "), MAX_NAMED)
    );
    Saying::new(Some(true), Reason::ExtraPolicies, message)
}

fn wrong_account(
    destination: &Place,
    credentials: &Place,
    resource: &PinpointEventStreamRole,
) -> Saying {
    let mut message = if destination.partition == credentials.partition {
        format!(
            "spec.destination is in account {}, but the controller's AWS credentials are of account {}, so nothing is written. Run a controller with credentials of account {}, or correct the account in spec.destination.",
            destination.account, credentials.account, destination.account
        )
    } else {
        format!(
            "spec.destination is in partition {} (account {}), but the controller's AWS credentials are of partition {} (account {}), so nothing is written. Run a controller with credentials of that account, or correct spec.destination.",
            destination.partition, destination.account, credentials.partition, credentials.account
        )
    };
    if resource.metadata.deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    Saying { stalled: true, ..Saying::new(Some(false), Reason::WrongAccount, message) }
}

fn left_alone(reason: Reason, setting: &Setting<'_>, differences: &[Difference]) -> Saying {
    let progress = setting.progress;
    let synced = [progress.trust_policy_synced, progress.permissions_policy_synced];
    let ready = differences.is_empty() || synced.iter().all(|synced| *synced == Some(true));
    let because = match (reason, settled::odd_pause(setting.resource)) {
        (Reason::Paused, Some(odd)) => format!(
            "the resource is annotated as paused ({PAUSED_ANNOTATION} is {:?}, which is neither \"true\" nor \"false\" and counts as \"true\")",
            readable(odd, 64)
        ),
        (Reason::Paused, None) => "the resource is annotated as paused".into(),
        (_, _) => "spec.driftPolicy is Report".into(),
    };
    let message = if differences.is_empty() {
        format!("The live role is as declared; nothing is written because {because}.")
    } else {
        let mut message =
            format!("The live role differs, and nothing is written because {because}:");
        for difference in differences.iter().take(10) {
            // Writing to a String cannot fail.
            let _ = write!(message, " {difference};");
        }
        match differences.len() {
            0..=10 => message.trim_end_matches(';').to_owned() + ".",
            n => format!("{message} and {} more.", n - 10),
        }
    };
    let reason = if differences.is_empty() && reason == Reason::DriftReported {
        Reason::Synced
    } else {
        reason
    };
    // Nothing will change by itself: whoever waits for Ready is to know at once.
    Saying { stalled: !ready, ..Saying::new(Some(ready), reason, message) }
}

/// What a saying may depend on besides the verdict.
struct Setting<'a> {
    resource: &'a PinpointEventStreamRole,
    progress: &'a Progress,
    now: Timestamp,
}

impl Setting<'_> {
    /// ARN of the role, as far as it can be known.
    fn role_arn(&self, name: &str) -> Option<String> {
        let seen = self.progress.role.as_ref().map(|role| role.arn.clone());
        let told = || self.resource.status.as_ref().and_then(|status| status.role_arn.clone());
        seen.or_else(told).or_else(|| expected_arn(self.resource, name))
    }
}

/// How long the resource has not been ready.
fn unready_for(resource: &PinpointEventStreamRole, now: Timestamp) -> Duration {
    let ready = resource.status.as_ref().and_then(PinpointEventStreamRoleStatus::ready);
    let since = ready.filter(|ready| ready.status != "True").map(|r| r.last_transition_time.0);
    let elapsed = since.map(|since| now.duration_since(since));
    elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok()).unwrap_or_default()
}

/// Whether what IAM does not know is, after so long, not there at all.
fn is_not_to_be(kind: ErrorKind, unready_for: Duration) -> bool {
    matches!(kind, ErrorKind::InvalidPrincipal | ErrorKind::MissingBoundary)
        && unready_for > PROPAGATION
}

fn failed(error: &IamError, setting: &Setting<'_>) -> Saying {
    let unready_for = unready_for(setting.resource, setting.now);
    let waited = is_not_to_be(error.kind, unready_for);
    let (reason, remedy) = match error.kind {
        ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            (Reason::Progressing, "It is tried again.".to_owned())
        }
        ErrorKind::DeleteConflict => (
            Reason::DeletionBlocked,
            "Remove what still uses the role, for example an instance profile.".to_owned(),
        ),
        ErrorKind::InvalidPrincipal if !waited => {
            (Reason::Progressing, "A new principal can take a while to be known; it is tried again.".to_owned())
        }
        ErrorKind::MissingBoundary if !waited => {
            (Reason::Progressing, "A new policy can take a while to be known; it is tried again.".to_owned())
        }
        ErrorKind::MissingBoundary => (
            Reason::RefusedByIam,
            "Check spec.permissionsBoundaryArn: no such policy has been there for two minutes."
                .to_owned(),
        ),
        ErrorKind::Refused | ErrorKind::InvalidPrincipal => {
            (Reason::RefusedByIam, "Change the field of the spec that IAM names.".to_owned())
        }
        ErrorKind::LimitExceeded => (
            Reason::LimitExceeded,
            "Free some of this quota, or ask AWS to raise it.".to_owned(),
        ),
        ErrorKind::Throttled => {
            (Reason::Throttled, "It is tried again, more slowly.".to_owned())
        }
        ErrorKind::AccessDenied => (
            Reason::AccessDenied,
            format!(
                "Allow the controller's credentials iam:{} on {}.",
                error.action,
                error.role.as_deref().and_then(|role| setting.role_arn(role)).unwrap_or_else(|| "*".into())
            ),
        ),
        ErrorKind::Credentials => (
            Reason::CredentialsUnavailable,
            "Check the controller's AWS credentials: the role of its service account, or its environment."
                .to_owned(),
        ),
        ErrorKind::CredentialsAway => {
            (Reason::CredentialsUnavailable, "It is tried again.".to_owned())
        }
        ErrorKind::Unavailable => (Reason::IamUnavailable, "It is tried again.".to_owned()),
        ErrorKind::Internal => (Reason::RefusedByIam, "Please report this as a defect.".to_owned()),
    };
    let stalled = match error.kind.retry() {
        Retry::Soon => waited,
        Retry::Slowly | Retry::AfterChange => true,
    };
    let mut message = format!("{} {remedy}", sentence(error));
    if stalled && setting.resource.metadata.deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    Saying {
        request_id: error.request_id.clone(),
        reconciling: !stalled,
        stalled,
        ..Saying::new(Some(false), reason, message)
    }
}

/// What to say beside the cause, when a deleted resource has to stay.
pub(super) fn how_to_abandon() -> String {
    format!(
        " Until then the deletion of this resource, and of its namespace, has to wait; annotated with {ABANDON_ANNOTATION}: \"true\" it is let go without a call to IAM, and its role stays as it is."
    )
}

/// With a capital and a full stop, as a status is read.
fn sentence(message: &impl ToString) -> String {
    let message = message.to_string();
    let message = message.trim_end_matches('.');
    let mut characters = message.chars();
    // Field names keep their case.
    match characters.next() {
        Some(first) if !message.starts_with("spec") && !message.starts_with("metadata") => {
            first.to_uppercase().chain(characters).chain(['.']).collect()
        }
        Some(_) | None => format!("{message}."),
    }
}

/// The status after a reconcile that went like this.
pub(super) fn status_after(
    resource: &PinpointEventStreamRole,
    progress: &Progress,
    verdict: &Verdict,
    now: Timestamp,
) -> PinpointEventStreamRoleStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation;
    let saying = verdict.saying(&Setting { resource, progress, now });
    let message = message_after(&previous, &saying);
    let of = |type_, status, reason, message: &str| {
        condition(type_, status, reason, message, generation)
    };

    // What a new spec declares was not compared with anything yet.
    let synced =
        |compared: Option<bool>| compared.filter(|_| !matches!(verdict, Verdict::Progressing));
    let mut conditions = vec![
        of(ConditionType::Ready, saying.ready, saying.reason, &message),
        document_condition(
            ConditionType::TrustPolicySynced,
            synced(progress.trust_policy_synced),
            &saying,
            generation,
        ),
        document_condition(
            ConditionType::PermissionsPolicySynced,
            synced(progress.permissions_policy_synced),
            &saying,
            generation,
        ),
    ];
    if saying.reconciling {
        conditions.push(of(ConditionType::Reconciling, Some(true), saying.reason, &message));
    }
    if saying.stalled {
        conditions.push(of(ConditionType::Stalled, Some(true), saying.reason, &message));
    }

    let identity = |previous: Option<String>, now: Option<String>| match (progress.role_absent, now)
    {
        (_, Some(now)) => Some(now),
        (true, None) => None,
        (false, None) => previous,
    };
    PinpointEventStreamRoleStatus {
        observed_generation: generation,
        reason: Some(saying.reason.as_str().into()),
        role_name: progress.role_name.clone().or(previous.role_name),
        role_arn: identity(previous.role_arn, progress.role.as_ref().map(|role| role.arn.clone())),
        role_id: identity(
            previous.role_id,
            progress.role.as_ref().map(|role| role.role_id.clone()),
        ),
        adopted: match (progress.role_absent, progress.adopted) {
            (_, Some(adopted)) => adopted.then_some(true),
            (true, None) => None,
            (false, None) => previous.adopted,
        },
        destination: destination_label(&resource.spec.destination),
        tag_keys: progress
            .tag_keys
            .as_ref()
            .map_or(previous.tag_keys, |keys| keys.iter().cloned().collect()),
        last_handled_reconcile_at: match verdict {
            Verdict::Progressing | Verdict::NotShownYet(_) | Verdict::Busy => {
                previous.last_handled_reconcile_at
            }
            Verdict::Synced { .. }
            | Verdict::LeftAlone { .. }
            | Verdict::InvalidSpec(_)
            | Verdict::Refused(_)
            | Verdict::Reserved { .. }
            | Verdict::WrongAccount { .. }
            | Verdict::Failed(_)
            | Verdict::DeletionBlocked(_)
            | Verdict::DeletionPaused => {
                let annotations = resource.metadata.annotations.as_ref();
                annotations.and_then(|a| a.get(RECONCILE_REQUESTED_AT_ANNOTATION)).cloned()
            }
        },
        last_change_time: if progress.made.is_empty() {
            previous.last_change_time
        } else {
            Some(Time(now))
        },
        drift: drift(verdict),
        conditions: conditions_after(&previous.conditions, conditions, now),
    }
}

/// A request id differs at each attempt: the message keeps the first one until something else differs,
/// or every retry would write the status.
fn message_after(previous: &PinpointEventStreamRoleStatus, saying: &Saying) -> String {
    let Some(request_id) = &saying.request_id else {
        return saying.message.clone();
    };
    match previous.ready() {
        Some(old) if old.message.starts_with(&saying.message) => old.message.clone(),
        Some(_) | None => format!("{} (request id {request_id})", saying.message),
    }
}

fn document_condition(
    type_: ConditionType,
    synced: Option<bool>,
    saying: &Saying,
    generation: Option<i64>,
) -> Condition {
    let document = match type_ {
        ConditionType::TrustPolicySynced => "trust policy",
        ConditionType::PermissionsPolicySynced => "permissions policy",
        ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled => "role",
    };
    match synced {
        Some(true) => {
            let message = format!("The live {document} is equivalent to the declared one.");
            condition(type_, synced, Reason::Synced, &message, generation)
        }
        Some(false) => {
            let message = format!("The live {document} is not the declared one.");
            condition(type_, synced, saying.reason, &message, generation)
        }
        None => {
            let message =
                format!("The live {document} could not be compared with the declared one.");
            condition(type_, synced, saying.reason, &message, generation)
        }
    }
}

fn drift(verdict: &Verdict) -> Vec<DriftedField> {
    let differences = match verdict {
        Verdict::Synced { extra_policies } => extra_policies.as_slice(),
        Verdict::LeftAlone { differences, .. } => differences,
        Verdict::Progressing
        | Verdict::InvalidSpec(_)
        | Verdict::Refused(_)
        | Verdict::Reserved { .. }
        | Verdict::WrongAccount { .. }
        | Verdict::Failed(_)
        | Verdict::NotShownYet(_)
        | Verdict::Busy
        | Verdict::DeletionBlocked(_)
        | Verdict::DeletionPaused => &[],
    };
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
    use serde_json::json;

    use super::*;
    use crate::role::Owner;

    fn resource() -> PinpointEventStreamRole {
        let stream = "arn:aws:kinesis:us-east-1:111122223333:stream/s";
        let whole = json!({
            "apiVersion": "streamrole.dev/v1alpha1",
            "kind": "PinpointEventStreamRole",
            "metadata": {"name": "events", "namespace": "ns", "uid": "u1", "generation": 2},
            "spec": {"destination": {"kinesisStreamArn": stream}},
        });
        serde_json::from_value(whole).unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn failure(kind: ErrorKind, request_id: &str) -> Verdict {
        Verdict::Failed(IamError {
            action: "CreateRole",
            role: Some("ns-events".into()),
            kind,
            code: Some("Code".into()),
            message: "IAM's own words".into(),
            request_id: Some(request_id.into()),
        })
    }

    fn conditions_of(verdict: &Verdict) -> Vec<(String, String, String)> {
        let status =
            status_after(&resource(), &Progress::default(), verdict, Timestamp::UNIX_EPOCH);
        let said = |c: Condition| (c.type_, c.status, c.reason);
        status.conditions.into_iter().map(said).collect()
    }

    #[test]
    fn each_verdict_has_its_reason_and_is_either_over_or_tried_again_or_waits_for_somebody() {
        let arn = || "arn:aws:iam::111122223333:role/ns-events".to_owned();
        let another = Owner { cluster: "c1".into(), resource: "ns/other".into(), uid: "u2".into() };
        let path = Refusal::PathDiffers { arn: arn(), live: "/x/".into(), desired: "/".into() };
        let report = |reason| Verdict::LeftAlone { reason, differences: Vec::new() };
        let table = [
            (Verdict::Progressing, "False", "Progressing", Some("Reconciling")),
            (Verdict::Synced { extra_policies: Vec::new() }, "True", "Synced", None),
            (report(Reason::Paused), "True", "Paused", None),
            (report(Reason::DriftReported), "True", "Synced", None),
            (
                Verdict::InvalidSpec(SpecError::DestinationCount),
                "False",
                "InvalidSpec",
                Some("Stalled"),
            ),
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
            (failure(ErrorKind::Refused, "1"), "False", "RefusedByIam", Some("Stalled")),
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
        }
    }

    #[test]
    fn the_same_failure_with_another_request_id_says_nothing_new() {
        let mut resource = resource();
        let progress = Progress::default();
        let status = |resource: &_, id: &str| {
            let verdict = failure(ErrorKind::AccessDenied, id);
            status_after(resource, &progress, &verdict, Timestamp::UNIX_EPOCH)
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
    fn what_iam_does_not_know_for_two_minutes_waits_for_a_change_and_says_so() {
        let mut unready = resource();
        let first = status_after(&unready, &Progress::default(), &Verdict::Progressing, at(0));
        unready.status = Some(first);
        for kind in [ErrorKind::MissingBoundary, ErrorKind::InvalidPrincipal] {
            let table = [
                (0, "Progressing", "Reconciling", Retry::Soon),
                (120, "Progressing", "Reconciling", Retry::Soon),
                (121, "RefusedByIam", "Stalled", Retry::AfterChange),
            ];
            for (seconds, reason, beside, retry) in table {
                let (verdict, now) = (failure(kind, "1"), at(seconds));
                let status = status_after(&unready, &Progress::default(), &verdict, now);
                let ready = status.ready().map(|ready| ready.reason.clone());
                assert_eq!(ready.as_deref(), Some(reason), "{kind:?} after {seconds} s");
                let last = status.conditions.last().map(|last| last.type_.clone());
                assert_eq!(last.as_deref(), Some(beside), "{kind:?} after {seconds} s");
                assert_eq!(verdict.retry(&unready, now), Some(retry), "{kind:?} after {seconds} s");
            }
        }
    }

    #[test]
    fn a_message_is_shorter_than_a_condition_may_be_whatever_is_named_in_it() {
        let long = "x\u{202e}".repeat(100_000);
        let difference = || Difference {
            path: long.clone(),
            desired: Some(long.clone()),
            live: Some(long.clone()),
        };
        let many: Vec<_> = std::iter::repeat_with(difference).take(200).collect();
        let verdicts = [
            Verdict::Synced { extra_policies: many.clone() },
            Verdict::LeftAlone { reason: Reason::DriftReported, differences: many },
            Verdict::DeletionBlocked(vec![long.clone(); 200]),
        ];
        for verdict in verdicts {
            let status = status_after(&resource(), &Progress::default(), &verdict, at(0));
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
    fn messages_are_sentences_that_keep_field_names_as_they_are() {
        assert_eq!(sentence(&"the role is gone"), "The role is gone.");
        assert_eq!(sentence(&"spec.tags: too many."), "spec.tags: too many.");
    }
}
