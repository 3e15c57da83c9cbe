//! The declared roles for people.

use std::fmt::Write as _;

use crate::policy::{Document, readable};

use super::Role;

/// The longest text of a setting that is shown, in characters.
const LONGEST: usize = 1000;

pub(super) fn text(roles: &[Role<'_>]) -> String {
    roles.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(role: &Role<'_>) -> String {
    let mut text = format!("{} {}/{}\n", role.kind, role.namespace, role.name);
    let mut line = |what: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {what:<22} {}", readable(value, LONGEST));
    };
    line("role", &role.role_arn);
    if !role.description.is_empty() {
        line("description", role.description);
    }
    line("longest session", &format!("{} s", role.max_session_duration_seconds));
    if let Some(boundary) = &role.permissions_boundary_arn {
        line("permissions boundary", boundary);
    }
    for (key, value) in role.tags {
        line("tag", &format!("{key}={value}"));
    }
    let note = role.note.as_deref().map_or_else(String::new, |note| format!("{note}\n"));
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nTrust policy:\n{}\n{note}\nPermissions policy {}:\n{}\n",
        json(role.trust_policy),
        role.permissions_policy_name,
        json(role.permissions_policy)
    );
    text
}

fn json(document: &Document) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default()
}
