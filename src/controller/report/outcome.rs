//! How a reconcile ended, and what follows: the conditions, the requeue, events and the log. Decided only here. Pure:
//! the clock is an argument.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;

use crate::api::{
    ABANDON_ANNOTATION, PAUSED_ANNOTATION, Reason, RoleResource, RoleStatus, SpecError,
};
use crate::policy::{Difference, Place, readable, shortened};
use crate::role::{Change, ErrorKind, IamError, Refusal, Retry, RoleIdentity};

use super::super::lifecycle::{self, HandsOff};

/// The longest list in a message, in bytes.
const MAX_NAMED: usize = 8192;

/// The observations and writes of a reconcile, however it ended.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// The last status called this same generation ready, so a difference is drift and not an edit.
    pub was_in_sync: bool,
    /// The resolved name of the role.
    pub role_name: Option<String>,
    /// The role, when it was observed or created and the resource owns it.
    pub role: Option<RoleIdentity>,
    /// IAM answered that there is no such role.
    pub role_absent: bool,
    /// Whether the live trust policy matches the spec; `None` while unknown.
    pub trust_policy_synced: Option<bool>,
    /// Whether the live permissions policy matches the spec; `None` while unknown.
    pub permissions_policy_synced: Option<bool>,
    /// Whether the role existed before the resource; `None` while unknown.
    pub adopted: Option<bool>,
    /// Keys of the user's tags that the controller may have put on the role.
    pub tag_keys: Option<BTreeSet<String>>,
    /// The changes that were made.
    pub made: Vec<Change>,
}

impl Findings {
    /// Before any observation.
    pub(crate) fn before(resource: &RoleResource) -> Self {
        let ready = resource.status.as_ref().and_then(RoleStatus::ready);
        let is_in_sync = |ready: &Condition| {
            ready.status == "True" && ready.observed_generation == resource.metadata.generation
        };
        Self { was_in_sync: ready.is_some_and(is_in_sync), ..Self::default() }
    }
}

/// How a reconcile ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Work on a new generation starts.
    Progressing,
    /// The role matches the spec, except for these policies that `exclusivePolicies` does not remove.
    Synced { extra_policies: Vec<Difference> },
    /// The role was compared, and nothing was written for this reason.
    LeftAlone { why: HandsOff, differences: Vec<Difference> },
    /// The spec declares no role.
    InvalidSpec(SpecError),
    /// The controller must not change the live role.
    Refused(Refusal),
    /// The role is reserved for this time for a resource that may be being recreated.
    Reserved { by: Refusal, left: Duration },
    /// The credentials belong to another account than the destination's.
    WrongAccount { destination: Place, credentials: Place },
    /// Another resource is writing to the role at present.
    Busy,
    /// A call to IAM failed.
    Failed(IamError),
    /// IAM does not show a recent write yet, or may not show it yet.
    NotShownYet(Writer),
    /// The resource is being deleted, but the controller must not delete these parts of the role.
    DeletionBlocked(Vec<String>),
    /// The resource is being deleted and is annotated as paused.
    DeletionPaused,
}

/// The process whose writes IAM may not show yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writer {
    /// This process.
    This,
    /// The process that worked before this one, if there was one.
    Earlier,
}

impl Writer {
    const fn message(self) -> &'static str {
        match self {
            Self::This => "IAM has not yet returned the latest write. Retrying.",
            Self::Earlier => {
                "The controller has just started, and IAM may not yet return what another replica wrote. Retrying."
            }
        }
    }
}

/// The next step for a resource.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outlook {
    /// Nothing, until the resource or its role changes.
    Settled,
    /// A reconcile is in progress.
    Working,
    /// The controller retries: the failure is temporary.
    Retrying,
    /// Someone has to act. If that is outside of Kubernetes, the controller retries slowly to notice it.
    NeedsAction { retries: bool },
}

impl Outlook {
    /// The next step after an IAM error with this retry.
    const fn after(retry: Retry) -> Self {
        match retry {
            Retry::Soon => Self::Retrying,
            Retry::Slowly => Self::NeedsAction { retries: true },
            Retry::AfterChange => Self::NeedsAction { retries: false },
        }
    }

    /// When the resource is requeued without a change; `None` when the resync is early enough.
    pub(crate) const fn retry(self) -> Option<Retry> {
        match self {
            Self::Settled | Self::Working | Self::NeedsAction { retries: false } => None,
            Self::Retrying => Some(Retry::Soon),
            Self::NeedsAction { retries: true } => Some(Retry::Slowly),
        }
    }

    /// Whether the condition `Reconciling` is present.
    pub(crate) const fn is_reconciling(self) -> bool {
        matches!(self, Self::Working | Self::Retrying)
    }

    /// Whether the condition `Stalled` is present.
    pub(crate) const fn is_stalled(self) -> bool {
        matches!(self, Self::NeedsAction { .. })
    }
}

/// The result of a verdict.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The status of `Ready`.
    pub ready: bool,
    /// The reason of all conditions that are not in their normal state.
    pub reason: Reason,
    /// The next step.
    pub outlook: Outlook,
    /// The message of `Ready`.
    pub message: String,
    /// A part of the message that differs for each attempt.
    pub request_id: Option<String>,
    /// Whether it deserves a warning, as event and in the log.
    pub warns: bool,
}

impl Outcome {
    fn ready(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: true,
            reason,
            outlook: Outlook::Settled,
            message: message.into(),
            request_id: None,
            warns: false,
        }
    }

    fn progressing(outlook: Outlook, message: impl Into<String>) -> Self {
        let ready = Self::ready(Reason::Progressing, message);
        Self { ready: false, outlook, ..ready }
    }

    fn failed(outlook: Outlook, reason: Reason, message: impl Into<String>) -> Self {
        Self { ready: false, outlook, warns: true, ..Self::ready(reason, message) }
    }

    fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self::failed(Outlook::NeedsAction { retries: false }, reason, message)
    }
}

/// The input of an outcome besides the verdict.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub resource: &'a RoleResource,
    pub findings: &'a Findings,
    pub now: Timestamp,
    /// How long an object that IAM does not know can be too new for IAM.
    pub propagation: Duration,
}

impl Inputs<'_> {
    /// ARN of the role, as far as it is known.
    fn role_arn(&self, error: &IamError) -> Option<String> {
        let name = error.role.as_ref()?;
        let seen = self.findings.role.as_ref().map(|role| role.arn.clone());
        let known = || self.resource.status.as_ref().and_then(|status| status.role_arn.clone());
        let expected = || {
            let place = self.resource.place()?;
            let path = &self.resource.settings().path;
            Some(name.arn(place.partition, &place.account, path))
        };
        seen.or_else(known).or_else(expected)
    }

    /// Whether an object that IAM does not know has been missing long enough to count as nonexistent.
    fn is_not_to_be(&self, kind: ErrorKind) -> bool {
        matches!(kind, ErrorKind::InvalidPrincipal | ErrorKind::MissingBoundary)
            && unready_for(self.resource, self.now) > self.propagation
    }
}

impl Verdict {
    /// The outcome of the verdict.
    pub(crate) fn outcome(&self, inputs: Inputs<'_>) -> Outcome {
        match self {
            Self::Progressing => {
                Outcome::progressing(Outlook::Working, "Applying the new spec to the IAM role.")
            }
            Self::Synced { extra_policies } => synced(inputs.findings, extra_policies),
            Self::LeftAlone { why, differences } => left_alone(*why, inputs, differences),
            Self::InvalidSpec(error) => Outcome::stalled(Reason::InvalidSpec, sentence(error)),
            Self::Refused(refusal) => Outcome::stalled(reason_of(refusal), sentence(refusal)),
            Self::Reserved { by: refusal, .. } => {
                Outcome::failed(Outlook::Retrying, reason_of(refusal), sentence(refusal))
            }
            Self::Failed(error) => failed(error, inputs),
            Self::NotShownYet(writer) => Outcome::progressing(Outlook::Retrying, writer.message()),
            Self::Busy => Outcome::progressing(
                Outlook::Retrying,
                "Another resource is writing to the role. Retrying.",
            ),
            Self::WrongAccount { destination, credentials } => {
                wrong_account(destination, credentials, inputs.resource)
            }
            Self::DeletionBlocked(by) => Outcome::failed(
                Outlook::NeedsAction { retries: true },
                Reason::DeletionBlocked,
                format!(
                    "Deletion is blocked: the role has policies or instance profiles that this resource does not declare: {}. Remove them from the role; or set spec.exclusivePolicies: true to remove policies with it, or spec.deletionPolicy: Retain to keep the role.",
                    shortened(&by.join(", "), MAX_NAMED)
                ),
            ),
            Self::DeletionPaused => Outcome::stalled(
                Reason::Paused,
                format!(
                    "The resource is being deleted but is paused, so the resource and its role are kept. Remove the annotation {PAUSED_ANNOTATION} to continue the deletion."
                ),
            ),
        }
    }

    /// Whether this outcome answers a request for a reconcile.
    pub(crate) const fn answers_request(&self) -> bool {
        !matches!(self, Self::Progressing | Self::NotShownYet(_) | Self::Busy)
    }

    /// The observed differences that were left unchanged.
    pub(crate) fn reported_differences(&self) -> &[Difference] {
        match self {
            Self::Synced { extra_policies } => extra_policies,
            Self::LeftAlone { differences, .. } => differences,
            _ => &[],
        }
    }
}

const fn reason_of(refusal: &Refusal) -> Reason {
    match refusal {
        Refusal::NotOwned { .. }
        | Refusal::LeftBehind { .. }
        | Refusal::ControllersOwn { .. }
        | Refusal::ServiceLinked { .. } => Reason::RoleNotOwned,
        Refusal::OwnedByAnother { .. }
        | Refusal::OwnedElsewhere { .. }
        | Refusal::TakenOver { .. }
        | Refusal::DeclaredByAnother { .. } => Reason::RoleOwnedByAnother,
        Refusal::PathDiffers { .. } => Reason::ImmutableFieldDiffers,
    }
}

fn synced(findings: &Findings, extra_policies: &[Difference]) -> Outcome {
    let arn = findings.role.as_ref().map_or_else(String::new, |role| readable(&role.arn, 300));
    if extra_policies.is_empty() {
        return Outcome::ready(Reason::Synced, format!("The IAM role {arn} matches the spec."));
    }
    let paths: Vec<_> = extra_policies.iter().map(|difference| difference.path.as_str()).collect();
    let message = format!(
        "The IAM role {arn} matches the spec but has additional policies: {}. Remove them, or set spec.exclusivePolicies: true to have them removed.",
        shortened(&paths.join(", "), MAX_NAMED)
    );
    Outcome { warns: true, ..Outcome::ready(Reason::ExtraPolicies, message) }
}

fn wrong_account(destination: &Place, credentials: &Place, resource: &RoleResource) -> Outcome {
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
    Outcome::failed(Outlook::NeedsAction { retries: true }, Reason::WrongAccount, message)
}

fn left_alone(why: HandsOff, inputs: Inputs<'_>, differences: &[Difference]) -> Outcome {
    let findings = inputs.findings;
    let synced = [findings.trust_policy_synced, findings.permissions_policy_synced];
    let ready = differences.is_empty() || synced.iter().all(|synced| *synced == Some(true));
    let because = match (why, lifecycle::odd_pause(inputs.resource)) {
        (HandsOff::Paused, Some(odd)) => format!(
            "the resource is annotated as paused ({PAUSED_ANNOTATION} is {:?}, which is neither \"true\" nor \"false\" and counts as \"true\")",
            readable(odd, 64)
        ),
        (HandsOff::Paused, None) => "the resource is annotated as paused".into(),
        (HandsOff::ReportOnly, _) => "spec.driftPolicy is Report".into(),
    };
    let message = if differences.is_empty() {
        format!("The live role matches the spec; nothing is written because {because}.")
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
    let reason = match why {
        HandsOff::Paused => Reason::Paused,
        HandsOff::ReportOnly if differences.is_empty() => Reason::Synced,
        HandsOff::ReportOnly => Reason::DriftReported,
    };
    // Nothing changes automatically, so users who wait for Ready must know immediately.
    let outlook = if ready { Outlook::Settled } else { Outlook::NeedsAction { retries: false } };
    let warns = reason == Reason::DriftReported;
    Outcome { ready, outlook, warns, ..Outcome::ready(reason, message) }
}

/// How long the resource has not been ready.
fn unready_for(resource: &RoleResource, now: Timestamp) -> Duration {
    let ready = resource.status.as_ref().and_then(RoleStatus::ready);
    let since = ready.filter(|ready| ready.status != "True").map(|r| r.last_transition_time.0);
    let elapsed = since.map(|since| now.duration_since(since));
    elapsed.and_then(|elapsed| Duration::try_from(elapsed).ok()).unwrap_or_default()
}

fn failed(error: &IamError, inputs: Inputs<'_>) -> Outcome {
    let waited = inputs.is_not_to_be(error.kind);
    let (reason, remedy) = match error.kind {
        ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            (Reason::Progressing, "Retrying.".to_owned())
        }
        ErrorKind::DeleteConflict => (
            Reason::DeletionBlocked,
            "Remove what still uses the role, for example an instance profile.".to_owned(),
        ),
        ErrorKind::InvalidPrincipal if !waited => {
            (Reason::Progressing, "A new principal can take a moment to become visible to IAM. Retrying.".to_owned())
        }
        ErrorKind::MissingBoundary if !waited => {
            (Reason::Progressing, "A new policy can take a moment to become visible to IAM. Retrying.".to_owned())
        }
        ErrorKind::MissingBoundary => (
            Reason::RefusedByIam,
            "Check spec.permissionsBoundaryArn: IAM has not known this policy for two minutes."
                .to_owned(),
        ),
        ErrorKind::Rejected | ErrorKind::InvalidPrincipal => {
            (Reason::RefusedByIam, "Change the field of the spec that IAM names.".to_owned())
        }
        ErrorKind::LimitExceeded => (
            Reason::LimitExceeded,
            "Free some of this quota, or ask AWS to raise it.".to_owned(),
        ),
        ErrorKind::Throttled => (Reason::Throttled, "Retrying more slowly.".to_owned()),
        ErrorKind::AccessDenied => (
            Reason::AccessDenied,
            format!(
                "Allow the controller's credentials {} on {}.",
                error.action,
                inputs.role_arn(error).unwrap_or_else(|| "*".into())
            ),
        ),
        ErrorKind::Credentials => (
            Reason::CredentialsUnavailable,
            "Check the controller's AWS credentials: the role of its service account, or its environment."
                .to_owned(),
        ),
        ErrorKind::CredentialsAway => (Reason::CredentialsUnavailable, "Retrying.".to_owned()),
        ErrorKind::Unavailable => (Reason::IamUnavailable, "Retrying.".to_owned()),
        ErrorKind::Internal => (Reason::RefusedByIam, "Please report this bug.".to_owned()),
    };
    let retry = if waited { Retry::AfterChange } else { error.kind.retry() };
    let outlook = Outlook::after(retry);
    let mut message = format!("{} {remedy}", sentence(error));
    if outlook.is_stalled() && inputs.resource.metadata.deletion_timestamp.is_some() {
        message.push_str(&how_to_abandon());
    }
    let request_id = error.request_id.clone();
    Outcome { request_id, ..Outcome::failed(outlook, reason, message) }
}

/// The addition to the cause when a deleted resource must stay.
pub(crate) fn how_to_abandon() -> String {
    format!(
        " Until then this resource and its namespace cannot be deleted. To delete the resource anyway and leave its role unchanged, set the annotation {ABANDON_ANNOTATION}: \"true\"."
    )
}

/// As a sentence, with a capital and a period.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sentences_with_field_names_unchanged() {
        assert_eq!(sentence(&"the role is gone"), "The role is gone.");
        assert_eq!(sentence(&"spec.tags: too many."), "spec.tags: too many.");
    }
}
