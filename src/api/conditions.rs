//! Condition types and reasons, and how the conditions of one reconcile follow from the previous ones. One enum holds
//! every reason, so documents, alerts and code cannot diverge.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use strum::VariantArray;

use crate::policy::shortened;

/// In bytes.
const LONGEST_MESSAGE: usize = 32_000;

/// The types of condition that the status carries.
#[derive(Clone, Copy, Debug, Eq, PartialEq, VariantArray)]
pub enum ConditionType {
    /// The live role matches the spec of the observed generation. Wait for this condition.
    Ready,
    /// The live trust policy is equivalent to the declared one.
    TrustPolicySynced,
    /// The live permissions policy is equivalent to the declared one.
    PermissionsPolicySynced,
    /// Work is in progress or will be retried automatically. Present only while true (kstatus).
    Reconciling,
    /// Nothing will change until a user acts. Present only while true (kstatus).
    Stalled,
}

impl ConditionType {
    /// All types.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// The meaning of the condition, in one sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ready => {
                "The live role equals the declaration of the observed generation. The one to wait for."
            }
            Self::TrustPolicySynced => {
                "The live trust policy is equivalent to the declared one; Unknown if not checked."
            }
            Self::PermissionsPolicySynced => {
                "The live permissions policy is equivalent to the declared one; Unknown if not checked."
            }
            Self::Reconciling => {
                "Work is under way, or will be retried automatically. Present only while true."
            }
            Self::Stalled => {
                "Blocked until someone acts; see the message. Present only while true."
            }
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|type_| type_.as_str() == name)
    }

    /// The type as written in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::TrustPolicySynced => "TrustPolicySynced",
            Self::PermissionsPolicySynced => "PermissionsPolicySynced",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}

/// Why a condition has its status.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, VariantArray)]
pub enum Reason {
    /// The live role matches the spec.
    Synced,
    /// A change is being written, or IAM has not yet shown the last one.
    Progressing,
    /// The resource is annotated as paused: nothing is written.
    Paused,
    /// There are differences, and `driftPolicy: Report` leaves them unchanged.
    DriftReported,
    /// The role holds policies that the resource does not declare, and `exclusivePolicies` is false.
    ExtraPolicies,
    /// The spec breaks a rule that only the controller could check, or has a value that this version cannot parse.
    InvalidSpec,
    /// A role of this name exists and was not created for this resource.
    RoleNotOwned,
    /// A role of this name belongs to another resource.
    RoleOwnedByAnother,
    /// The live role differs in something that IAM cannot change.
    ImmutableFieldDiffers,
    /// IAM rejected the declared value.
    RefusedByIam,
    /// The controller's credentials do not permit a call.
    AccessDenied,
    /// The controller has no usable AWS credentials.
    CredentialsUnavailable,
    /// The controller's credentials belong to another AWS account than the destination.
    WrongAccount,
    /// A quota of the AWS account is exhausted.
    LimitExceeded,
    /// IAM throttled the call.
    Throttled,
    /// IAM is unreachable or failed.
    IamUnavailable,
    /// Something else on the role prevents its deletion.
    DeletionBlocked,
}

impl Reason {
    /// Every reason, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        let mut all = Self::VARIANTS.to_vec();
        all.sort_unstable_by_key(|reason| reason.as_str());
        all.into_iter()
    }

    /// The reason of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::VARIANTS.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// Whether a status with this reason is settled until the resource or the role changes, and not only until the next
    /// retry.
    #[must_use]
    pub const fn holds(self) -> bool {
        match self {
            Self::Synced
            | Self::ExtraPolicies
            | Self::DriftReported
            | Self::Paused
            | Self::InvalidSpec
            | Self::RoleNotOwned
            | Self::RoleOwnedByAnother
            | Self::ImmutableFieldDiffers
            | Self::RefusedByIam => true,
            Self::Progressing
            | Self::AccessDenied
            | Self::CredentialsUnavailable
            | Self::WrongAccount
            | Self::LimitExceeded
            | Self::Throttled
            | Self::IamUnavailable
            | Self::DeletionBlocked => false,
        }
    }

    /// The reason as written in conditions, events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::DriftReported => "DriftReported",
            Self::ExtraPolicies => "ExtraPolicies",
            Self::InvalidSpec => "InvalidSpec",
            Self::RoleNotOwned => "RoleNotOwned",
            Self::RoleOwnedByAnother => "RoleOwnedByAnother",
            Self::ImmutableFieldDiffers => "ImmutableFieldDiffers",
            Self::RefusedByIam => "RefusedByIam",
            Self::AccessDenied => "AccessDenied",
            Self::CredentialsUnavailable => "CredentialsUnavailable",
            Self::WrongAccount => "WrongAccount",
            Self::LimitExceeded => "LimitExceeded",
            Self::Throttled => "Throttled",
            Self::IamUnavailable => "IamUnavailable",
            Self::DeletionBlocked => "DeletionBlocked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One condition. [`conditions_after`] sets its transition time later.
///
/// `status` is `None` for Unknown. The message is cut to fewer bytes than the 32,768 characters that the type allows.
#[must_use]
pub fn condition(
    type_: ConditionType,
    status: Option<bool>,
    reason: Reason,
    message: &str,
    observed_generation: Option<i64>,
) -> Condition {
    Condition {
        type_: type_.as_str().into(),
        status: match status {
            Some(true) => "True".into(),
            Some(false) => "False".into(),
            None => "Unknown".into(),
        },
        reason: reason.as_str().into(),
        message: shortened(message, LONGEST_MESSAGE),
        observed_generation,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    }
}

/// The conditions `next`. A condition keeps the transition time from `previous` when its status is the same, and gets
/// `now` when the status changed. Idempotent.
#[must_use]
pub fn conditions_after(
    previous: &[Condition],
    next: Vec<Condition>,
    now: Timestamp,
) -> Vec<Condition> {
    next.into_iter()
        .map(|mut condition| {
            let unflipped = previous
                .iter()
                .find(|old| old.type_ == condition.type_ && old.status == condition.status);
            condition.last_transition_time =
                unflipped.map_or(Time(now), |old| old.last_transition_time.clone());
            condition
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_transition_time_moves_only_when_the_status_flips() {
        let ready = |status, reason| condition(ConditionType::Ready, status, reason, "", None);
        let first = conditions_after(&[], vec![ready(Some(false), Reason::Progressing)], at(1));
        let same_status =
            conditions_after(&first, vec![ready(Some(false), Reason::Throttled)], at(2));
        let flipped =
            conditions_after(&same_status, vec![ready(Some(true), Reason::Synced)], at(3));
        let times: Vec<_> = [&first, &same_status, &flipped]
            .iter()
            .flat_map(|conditions| conditions.iter().map(|c| c.last_transition_time.0))
            .collect();
        assert_eq!(times, [at(1), at(1), at(3)]);
    }
}
