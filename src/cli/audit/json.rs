//! The report for programs. Fields are only ever added.

use serde::Serialize;

use crate::audit::{AuditedRole, Finding, Severity};

use super::super::Error;
use super::View;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    today: String,
    roles_read: usize,
    roles: Vec<Role<'a>>,
    findings: Vec<One<'a>>,
    not_checked: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Role<'a> {
    name: &'a str,
    arn: &'a str,
    services: Vec<&'static str>,
    other_principals: &'a [String],
    destinations: &'a [String],
    managed_by: Option<ManagedBy<'a>>,
    last_used: Option<String>,
    attached_policies: usize,
    worst: Option<Severity>,
}

#[derive(Serialize)]
struct ManagedBy<'a> {
    tool: &'static str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    id: &'static str,
    severity: Severity,
    role: &'a str,
    arn: &'a str,
    message: &'a str,
    path: &'a str,
    evidence: &'a str,
    remedy: &'a str,
    source: &'static str,
    fingerprint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<Accepted<'a>>,
}

#[derive(Serialize)]
struct Location {
    file: String,
    line: usize,
}

#[derive(Serialize)]
struct Accepted<'a> {
    reason: &'a str,
    until: String,
}

/// The report as a JSON object.
pub(super) fn json(view: &View) -> Result<String, Error> {
    let report = &view.report;
    let json = Json {
        today: view.today.to_string(),
        roles_read: report.roles_read,
        roles: report.roles.iter().map(|role| of_role(view, role)).collect(),
        findings: report.findings.iter().map(|finding| of_finding(view, finding)).collect(),
        not_checked: &view.unseen,
    };
    let text = serde_json::to_string_pretty(&json);
    text.map(|text| text + "\n").map_err(|error| Error::Print(error.to_string()))
}

fn of_role<'a>(view: &View, role: &'a AuditedRole) -> Role<'a> {
    Role {
        name: &role.name,
        arn: &role.arn,
        services: role.services.iter().map(|service| service.key).collect(),
        other_principals: &role.others,
        destinations: &role.destinations,
        managed_by: role.manager.as_ref().map(|m| ManagedBy { tool: m.tool, name: &m.detail }),
        last_used: role.last_used.map(|day| day.to_string()),
        attached_policies: role.attached_policies,
        worst: view.report.worst_of(&role.arn),
    }
}

fn of_finding<'a>(view: &View, finding: &'a Finding) -> One<'a> {
    One {
        id: finding.rule.id(),
        severity: finding.severity,
        role: &finding.role,
        arn: &finding.arn,
        message: &finding.message,
        path: &finding.path,
        evidence: &finding.evidence,
        remedy: &finding.remedy,
        source: finding.source,
        fingerprint: &finding.fingerprint,
        location: view.location(finding).map(|(file, line)| Location { file, line }),
        accepted: finding.accepted.as_ref().map(|accepted| Accepted {
            reason: &accepted.reason,
            until: accepted.until.to_string(),
        }),
    }
}
