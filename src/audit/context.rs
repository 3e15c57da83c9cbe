//! The role that is checked, and the findings so far.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::policy::{Place, readable};
use crate::role::ObservedRole;

use super::finding::{Finding, fingerprint};
use super::rule::{Rule, Severity};

/// How many characters of a value a finding shows.
const MAX_VALUE: usize = 200;

/// A finding before it is related to its role.
pub(super) struct Observation {
    rule: Rule,
    severity: Severity,
    path: String,
    evidence: String,
    message: String,
    remedy: String,
    source: &'static str,
}

impl Observation {
    /// What a rule observed at a place, with the value there.
    pub(super) fn of(rule: Rule, path: &str, evidence: &str, message: String) -> Self {
        Self {
            rule,
            severity: rule.severity(),
            path: path.to_owned(),
            evidence: readable(evidence, MAX_VALUE),
            message,
            remedy: rule.remedy().to_owned(),
            source: rule.source(),
        }
    }

    pub(super) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    pub(super) fn remedy(self, remedy: String) -> Self {
        Self { remedy, ..self }
    }

    pub(super) fn source(self, source: &'static str) -> Self {
        Self { source, ..self }
    }
}

/// The role that is checked.
pub(super) struct Context<'a> {
    pub name: &'a str,
    pub role: &'a ObservedRole,
    /// The role's account, if its ARN shows it.
    pub place: Option<Place>,
    pub today: Date,
    pub findings: Vec<Finding>,
    seen: BTreeSet<String>,
}

impl<'a> Context<'a> {
    pub(super) fn new(name: &'a str, role: &'a ObservedRole, today: Date) -> Self {
        let place = Place::of_arn(&role.arn);
        Self { name, role, place, today, findings: Vec::new(), seen: BTreeSet::new() }
    }

    /// Adds a finding, unless the rule already has one at this place.
    pub(super) fn add(&mut self, observation: Observation) {
        let Observation { rule, severity, path, evidence, message, remedy, source } = observation;
        let fingerprint = fingerprint(rule, &self.role.arn, &path);
        if self.seen.insert(fingerprint.clone()) {
            self.findings.push(Finding {
                rule,
                severity,
                role: readable(self.name, MAX_VALUE),
                arn: readable(&self.role.arn, MAX_VALUE),
                message,
                path,
                evidence,
                remedy,
                source,
                fingerprint,
                accepted: None,
            });
        }
    }
}
