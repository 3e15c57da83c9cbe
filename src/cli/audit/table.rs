//! The report for people at a terminal.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Effects, Style};

use crate::audit::{AuditedRole, Finding, Manager, Severity};

use super::View;

const BOLD: Style = Style::new().effects(Effects::BOLD);
const DIM: Style = Style::new().effects(Effects::DIMMED);

const fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Error => AnsiColor::Red.on_default().effects(Effects::BOLD),
        Severity::Warning => AnsiColor::Yellow.on_default().effects(Effects::BOLD),
        Severity::Note => AnsiColor::Cyan.on_default(),
    }
}

/// The tool, and its name for the role.
pub(super) fn managed_by(manager: Option<&Manager>) -> String {
    match manager {
        None => "unknown".to_owned(),
        Some(Manager { tool, detail }) if detail.is_empty() => (*tool).to_owned(),
        Some(Manager { tool, detail }) => format!("{tool} ({detail})"),
    }
}

pub(super) fn services_of(role: &AuditedRole) -> String {
    let names: Vec<_> = role.services.iter().map(|service| service.name).collect();
    names.join(", ")
}

pub(super) fn destinations_of(role: &AuditedRole) -> String {
    match (role.destinations.as_slice(), role.attached_policies) {
        ([], 0) => "none".to_owned(),
        ([], _) => "unknown (attached policies)".to_owned(),
        (some, _) => some.join(", "),
    }
}

/// The roles, and their findings.
pub(super) fn table(view: &View) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = roles(&mut text, view);
    let _ = findings(&mut text, view);
    let _ = writeln!(text, "{BOLD}{}{BOLD:#}; {}.", view.totals(), view.scope());
    text
}

fn roles(text: &mut String, view: &View) -> std::fmt::Result {
    if view.report.roles.is_empty() {
        return Ok(());
    }
    let head = ["ROLE", "SERVICE", "DESTINATION", "MANAGED BY", "LAST USED", "WORST"];
    let mut rows = vec![head.map(str::to_owned)];
    for role in &view.report.roles {
        rows.push([
            role.name.clone(),
            services_of(role),
            destinations_of(role),
            managed_by(role.manager.as_ref()),
            role.last_used.map_or_else(|| "-".to_owned(), |day| day.to_string()),
            view.report.worst_of(&role.arn).map_or_else(|| "-".to_owned(), |s| s.to_string()),
        ]);
    }
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (index, row) in rows.iter().enumerate() {
        let style = if index == 0 { BOLD } else { Style::new() };
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            write!(line, "{cell:width$}  ", width = *width)?;
        }
        writeln!(text, "{style}{}{style:#}", line.trim_end())?;
    }
    writeln!(text)
}

fn findings(text: &mut String, view: &View) -> std::fmt::Result {
    for finding in &view.report.findings {
        one(text, view, finding)?;
    }
    Ok(())
}

fn one(text: &mut String, view: &View, finding: &Finding) -> std::fmt::Result {
    let Finding { rule, severity, role, message, path, evidence, remedy, source, .. } = finding;
    let style = if finding.accepted.is_some() { DIM } else { style_of(*severity) };
    let place = view.location(finding).map(|(file, line)| format!(" ({file}:{line})"));
    let place = place.unwrap_or_default();
    writeln!(text, "{style}{severity}{style:#} {BOLD}{}{BOLD:#} {role}{place}", rule.id())?;
    writeln!(text, "  {message}")?;
    let evidence = if evidence.is_empty() { String::new() } else { format!(": {evidence}") };
    writeln!(text, "  {DIM}{path}{evidence}{DIM:#}")?;
    writeln!(text, "  Remedy: {remedy}")?;
    writeln!(text, "  {DIM}{source}{DIM:#}")?;
    if let Some(accepted) = &finding.accepted {
        let reason = crate::policy::readable(&accepted.reason, 200);
        writeln!(text, "  Accepted until {}: {reason}", accepted.until)?;
    }
    writeln!(text)
}
