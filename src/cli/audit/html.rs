//! The report as one page for a browser. It loads nothing: style and script are in the page, and its
//! Content-Security-Policy allows nothing else. askama escapes every text.

use askama::Template;

use super::super::Error;
use super::picture::{Picture, class_of, picture};
use super::table::{destinations_of, managed_by, services_of};
use super::{View, plural};

#[derive(Template)]
#[template(path = "audit.html")]
struct Page {
    today: String,
    scope: String,
    totals: String,
    version: &'static str,
    picture: Picture,
    findings: Vec<Finding>,
    roles: Vec<Role>,
    unseen: Vec<String>,
    count: String,
}

struct Finding {
    role: String,
    class: &'static str,
    severity: String,
    id: &'static str,
    message: String,
    place: String,
    evidence: String,
    remedy: String,
    source: &'static str,
    accepted: String,
}

struct Role {
    number: usize,
    name: String,
    arn: String,
    services: String,
    others: String,
    destinations: String,
    managed_by: String,
    last_used: String,
    worst: String,
    class: &'static str,
}

/// The report as HTML.
pub(super) fn html(view: &View) -> Result<String, Error> {
    let report = &view.report;
    let findings = report.findings.iter().map(|finding| {
        let accepted = finding.accepted.as_ref();
        let file = view.location(finding).map(|(file, line)| format!("{file}:{line} "));
        Finding {
            role: finding.role.clone(),
            class: if accepted.is_some() { "fine" } else { class_of(Some(finding.severity)) },
            severity: finding.severity.to_string(),
            id: finding.rule.id(),
            message: finding.message.clone(),
            place: format!("{}{}", file.unwrap_or_default(), finding.path),
            evidence: finding.evidence.clone(),
            remedy: finding.remedy.clone(),
            source: finding.source,
            accepted: accepted.map_or_else(String::new, |accepted| {
                format!("Accepted until {}: {}", accepted.until, accepted.reason)
            }),
        }
    });
    let roles = report.roles.iter().enumerate().map(|(number, role)| {
        let worst = report.worst_of(&role.arn);
        Role {
            number,
            name: role.name.clone(),
            arn: role.arn.clone(),
            services: services_of(role),
            others: role.others.join(", "),
            destinations: destinations_of(role),
            managed_by: managed_by(role.manager.as_ref()),
            last_used: role.last_used.map_or_else(|| "-".to_owned(), |day| day.to_string()),
            worst: worst.map_or_else(|| "none".to_owned(), |worst| worst.to_string()),
            class: class_of(worst),
        }
    });
    let count = report.findings.len();
    let page = Page {
        today: view.today.to_string(),
        scope: view.scope(),
        totals: view.totals(),
        version: env!("CARGO_PKG_VERSION"),
        picture: picture(report),
        findings: findings.collect(),
        roles: roles.collect(),
        unseen: view.unseen.clone(),
        count: format!("{count} {}", plural(count, "finding")),
    };
    page.render().map_err(|error| Error::Print(error.to_string()))
}
