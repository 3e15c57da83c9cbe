//! One finding.

use std::fmt::Write as _;

use jiff::civil::Date;
use sha2::{Digest as _, Sha256};

use super::rule::{Rule, Severity};

/// A finding on one role.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How severe it is here.
    pub severity: Severity,
    /// Name of the role.
    pub role: String,
    /// ARN of the role.
    pub arn: String,
    /// What was observed.
    pub message: String,
    /// Where: the document, and the element in it.
    pub path: String,
    /// The value there, shortened.
    pub evidence: String,
    /// What to do.
    pub remedy: String,
    /// The page of AWS.
    pub source: &'static str,
    /// Identifies the finding across runs: a hash of the rule, the role's ARN and the path.
    pub fingerprint: String,
    /// Why it is accepted, if it is.
    pub accepted: Option<Accepted>,
}

/// Why a finding is accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The reason.
    pub reason: String,
    /// The last day.
    pub until: Date,
}

/// The hash of a rule, a role and a place in its documents.
pub(super) fn fingerprint(rule: Rule, arn: &str, path: &str) -> String {
    let digest = Sha256::digest(format!("{}\0{arn}\0{path}", rule.id()));
    let mut text = String::new();
    for byte in digest.iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
