//! Findings that someone accepts, with a reason and an end date.

use jiff::civil::Date;
use serde::Deserialize;

use super::finding::Accepted;
use super::report::Report;
use super::rule::Rule;

/// An accepted finding.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Id of the rule.
    pub finding: String,
    /// Name or ARN of the role.
    pub role: String,
    /// Why it is accepted.
    pub reason: String,
    /// The last day, as in `2027-01-31`.
    pub until: String,
}

/// Marks the findings that `list` accepts on this day. Returns what is wrong with the list, one line for each entry.
pub fn accept(report: &mut Report, list: &[Acceptance], today: Date) -> Vec<String> {
    let mut problems = Vec::new();
    for one in list {
        let Acceptance { finding, role, reason, until } = one;
        let what = format!("{finding} of role {role}");
        let Some(rule) = Rule::with_id(finding) else {
            problems.push(format!("{what} is ignored: there is no finding {finding}"));
            continue;
        };
        let Ok(until) = until.parse::<Date>() else {
            problems.push(format!(
                "{what} is ignored: until must be a date such as 2027-01-31, not {until:?}"
            ));
            continue;
        };
        if reason.trim().is_empty() {
            problems.push(format!("{what} is ignored: reason is empty"));
            continue;
        }
        if until < today {
            problems.push(format!("{what} expired on {until}: remove the entry, or extend it"));
            continue;
        }
        let mut is_used = false;
        for found in &mut report.findings {
            if found.rule == rule && (found.role.eq_ignore_ascii_case(role) || found.arn == *role) {
                found.accepted = Some(Accepted { reason: reason.clone(), until });
                is_used = true;
            }
        }
        if !is_used {
            problems.push(format!("{what} does not occur: remove the entry"));
        }
    }
    problems
}
