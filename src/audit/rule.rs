//! The rules as data: what each one finds, how severe that is, what to do, and where AWS documents it.

use std::fmt;

use serde::Serialize;

/// How severe a finding is, from the least to the most.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The role is not as safe or as reliable as AWS's documentation asks for.
    Warning,
    /// The role does not work, or anyone can assume it.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A rule. Its id is its name in kebab case; `docs/findings.md` has a section for each.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Rule {
    /// The trust policy has no confused-deputy condition.
    MissingConditions,
    /// A condition never matches.
    DeadCondition,
    /// The trust policy asks a service for an external id.
    ExternalId,
    /// The trust policy asks a service for a key that only users and roles have.
    UnsentKey,
    /// `StringEquals` takes a wildcard literally.
    WildcardInStringEquals,
    /// The conditions accept every account.
    AnyAccount,
    /// The conditions accept every source of the account.
    AnySource,
    /// A condition on a key that AWS does not document for the service.
    UndocumentedCondition,
    /// Anyone can assume the role.
    AnyPrincipal,
    /// Several principals can assume the role.
    SeveralTrusts,
    /// The principal is for another Region.
    WrongPrincipal,
    /// The service does not write to such a destination.
    WrongDestination,
    /// No action with which the service writes is allowed.
    WrongActions,
    /// Not every action with which the service writes is allowed.
    MissingActions,
    /// A statement names actions and resources of different services.
    ResourceMismatch,
    /// Actions or resources are wider than the service needs.
    WidePermissions,
    /// Permissions that have nothing to do with the destination.
    OtherPermissions,
    /// The role has no permissions.
    NoPermissions,
    /// Managed policies are attached.
    AttachedPolicies,
    /// A managed role has an inline policy that its resource does not declare.
    ExtraPolicies,
    /// No `kms:Decrypt` for an encrypted Firehose stream.
    MissingKmsDecrypt,
    /// No `kms:GenerateDataKey` for an encrypted destination.
    MissingKmsGenerateDataKey,
    /// A statement names the alias of a key.
    KmsAlias,
    /// The support of the service has ended.
    EndedService,
    /// The service rejects a role with a path.
    PathRejected,
    /// The role was not used for a long time.
    UnusedRole,
    /// A policy document cannot be read.
    UnreadableDocument,
}

struct Facts {
    severity: Severity,
    title: &'static str,
    remedy: &'static str,
    source: &'static str,
}

const DEPUTY: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html";
const OPERATORS: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html";
const KEYS: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html";
const PRINCIPAL: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html";
const PRACTICES: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html";
const GRAMMAR: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html";
const EXTERNAL_ID: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html";
const ACTIONS: &str = "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html";
const FIREHOSE: &str = "https://docs.aws.amazon.com/firehose/latest/dev/encryption.html";
const KINESIS: &str =
    "https://docs.aws.amazon.com/streams/latest/dev/permissions-user-key-KMS.html";
const ALIAS: &str =
    "https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html";
const SOCIAL: &str = "https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destinations-add.html";
const LAST_USED: &str =
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed.html";
const LIFECYCLE: &str =
    "https://docs.aws.amazon.com/general/latest/gr/service-lifecycle-policies.html";

impl Rule {
    /// All rules, in the order of the documentation.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// The rule with this id.
    #[must_use]
    pub fn with_id(id: &str) -> Option<Self> {
        id.parse().ok()
    }

    /// The id, as in `missing-conditions`.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.into()
    }

    /// The usual severity. A finding can be milder, or after a date more severe.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.facts().severity
    }

    /// One line that describes the finding.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.facts().title
    }

    /// What to do.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.facts().remedy
    }

    /// The page of AWS that the rule follows. Where the page of the service has the fact, a finding names that page.
    #[must_use]
    pub const fn source(self) -> &'static str {
        self.facts().source
    }

    #[allow(clippy::too_many_lines, reason = "it is a table")]
    const fn facts(self) -> Facts {
        use Severity::{Error, Note, Warning};
        let (severity, title, remedy, source) = match self {
            Self::MissingConditions => (
                Warning,
                "The trust policy has no confused-deputy condition.",
                "Add conditions on aws:SourceAccount and aws:SourceArn.",
                DEPUTY,
            ),
            Self::DeadCondition => (
                Error,
                "A condition of the trust policy never matches, so the service cannot assume the role.",
                "Correct the value to an ARN or account that the service sends.",
                DEPUTY,
            ),
            Self::ExternalId => (
                Error,
                "The trust policy asks a service for sts:ExternalId, which services do not send.",
                "Replace the condition with conditions on aws:SourceAccount and aws:SourceArn.",
                EXTERNAL_ID,
            ),
            Self::UnsentKey => (
                Warning,
                "The trust policy asks a service for a key of users and roles.",
                "Remove the condition from the statement of the service.",
                KEYS,
            ),
            Self::WildcardInStringEquals => (
                Error,
                "StringEquals takes the wildcard literally, so the condition never matches.",
                "Use ArnLike for aws:SourceArn, or name the value in full.",
                OPERATORS,
            ),
            Self::AnyAccount => (
                Warning,
                "The conditions accept sources of every account.",
                "Name the account in aws:SourceAccount or in aws:SourceArn.",
                DEPUTY,
            ),
            Self::AnySource => (
                Note,
                "The conditions accept every source of the service in the account.",
                "Name the source in aws:SourceArn if the role is for one source.",
                DEPUTY,
            ),
            Self::UndocumentedCondition => (
                Note,
                "AWS does not document that the service sends this key.",
                "Test that events arrive. If they do not, remove the condition.",
                DEPUTY,
            ),
            Self::AnyPrincipal => (
                Error,
                "Any AWS principal can assume the role.",
                "Name the service principal instead of the wildcard.",
                PRINCIPAL,
            ),
            Self::SeveralTrusts => (
                Warning,
                "Several principals can assume the role, and each one gets all of its permissions.",
                "Make one role for each purpose.",
                PRACTICES,
            ),
            Self::WrongPrincipal => (
                Error,
                "The service principal is for a Region other than that of the destination.",
                "Name the principal of the destination's Region.",
                PRINCIPAL,
            ),
            Self::WrongDestination => (
                Error,
                "The service does not write to such a destination.",
                "Use a destination that the service writes to, or a role that trusts another service.",
                PRINCIPAL,
            ),
            Self::WrongActions => (
                Error,
                "No action with which the service writes is allowed, so events are lost.",
                "Allow the actions of the service's page.",
                ACTIONS,
            ),
            Self::MissingActions => (
                Note,
                "Not every action with which the service writes is allowed.",
                "Allow all actions that docs/services.md lists for the service.",
                ACTIONS,
            ),
            Self::ResourceMismatch => (
                Error,
                "The actions do not apply to any of the statement's resources, so the statement grants nothing.",
                "Name the ARN of the destination in the form that the actions take.",
                ACTIONS,
            ),
            Self::WidePermissions => (
                Warning,
                "The permissions are wider than the service needs.",
                "Allow only the service's actions, on the ARN of the destination.",
                PRACTICES,
            ),
            Self::OtherPermissions => (
                Warning,
                "The role has permissions that have nothing to do with the destination.",
                "Move them to a separate role.",
                PRACTICES,
            ),
            Self::NoPermissions => (
                Warning,
                "The role has no permissions, so the service cannot write.",
                "Add the permissions policy of the service, or delete the role.",
                PRACTICES,
            ),
            Self::AttachedPolicies => (
                Warning,
                "Managed policies are attached; other roles can share them, and whoever edits them changes this role.",
                "Replace them with one inline policy for the destination.",
                PRACTICES,
            ),
            Self::ExtraPolicies => (
                Warning,
                "The role has an inline policy that its resource does not declare.",
                "Remove the policy, or set spec.exclusivePolicies: true.",
                PRACTICES,
            ),
            Self::MissingKmsDecrypt => (
                Warning,
                "The role lacks kms:Decrypt on the key of a Firehose stream.",
                "Allow kms:Decrypt besides kms:GenerateDataKey on the key.",
                FIREHOSE,
            ),
            Self::MissingKmsGenerateDataKey => (
                Warning,
                "The role lacks kms:GenerateDataKey on the key of the destination.",
                "Allow kms:GenerateDataKey on the key.",
                KINESIS,
            ),
            Self::KmsAlias => (
                Error,
                "A statement names the alias of a key, which grants nothing.",
                "Name the ARN of the key.",
                ALIAS,
            ),
            Self::EndedService => (
                Warning,
                "The support of the service has ended.",
                "Move to a successor, and delete the role.",
                LIFECYCLE,
            ),
            Self::PathRejected => (
                Error,
                "The service rejects a role with a path.",
                "Create the role with the path /.",
                SOCIAL,
            ),
            Self::UnusedRole => (
                Note,
                "The role was not used for more than 90 days.",
                "Delete the role if its source is gone.",
                LAST_USED,
            ),
            Self::UnreadableDocument => (
                Warning,
                "A policy document cannot be read, so the role is not fully checked.",
                "Write the document again.",
                GRAMMAR,
            ),
        };
        Facts { severity, title, remedy, source }
    }
}
