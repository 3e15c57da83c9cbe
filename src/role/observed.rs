//! The live role, as IAM shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::{Document, DocumentError};

/// A policy document of a live role, parsed when IAM returned it.
#[derive(Clone, Debug)]
pub enum LiveDocument {
    /// It is a policy document.
    Document(Document),
    /// It is not a policy document, for this reason.
    Unreadable(DocumentError),
}

impl LiveDocument {
    /// Parses the text of a percent-decoded document.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match Document::parse(text) {
            Ok(document) => Self::Document(document),
            Err(error) => Self::Unreadable(error),
        }
    }
}

impl Default for LiveDocument {
    fn default() -> Self {
        Self::read("")
    }
}

/// A live role, with everything that a plan compares.
#[derive(Clone, Debug, Default)]
pub struct ObservedRole {
    /// ARN of the role.
    pub arn: String,
    /// Unique id of the role, `AROA…`.
    pub role_id: String,
    /// Path of the role.
    pub path: String,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
    /// ARN of the permissions boundary.
    pub permissions_boundary: Option<String>,
    /// All tags.
    pub tags: BTreeMap<String, String>,
    /// Who can assume the role.
    pub trust_policy: LiveDocument,
    /// All inline policies by name; `None` where only the name was requested.
    pub inline_policies: BTreeMap<String, Option<LiveDocument>>,
    /// ARNs of attached managed policies.
    pub attached_policies: BTreeSet<String>,
    /// Names of the instance profiles that the role is in. Read only before a deletion.
    pub instance_profiles: BTreeSet<String>,
    /// The last use, if the list of all roles shows one.
    pub last_used: Option<jiff::Timestamp>,
}

impl ObservedRole {
    /// The inline policy of this name, if it is on the role and its text was requested.
    #[must_use]
    pub fn inline_policy(&self, name: &str) -> Option<&LiveDocument> {
        self.inline_policies.get(name)?.as_ref()
    }

    /// Whether the role has policies besides the inline policy of this name.
    #[must_use]
    pub fn has_policies_besides(&self, declared: &str) -> bool {
        !self.attached_policies.is_empty() || self.inline_policies.keys().any(|n| n != declared)
    }
}
