//! Who manages a role, as far as its tags and its path show it.

use std::collections::BTreeMap;

use crate::policy::readable;
use crate::role::{ObservedRole, Owner};

/// How many characters of a tag are shown.
const MAX_VALUE: usize = 120;

/// Who manages a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manager {
    /// The tool.
    pub tool: &'static str,
    /// The tool's name for the role or its group; empty when it is unknown.
    pub detail: String,
}

/// The manager of a role; `None` when nothing shows it.
pub(super) fn manager(role: &ObservedRole) -> Option<Manager> {
    let of = |tool, detail: &str| Some(Manager { tool, detail: readable(detail, MAX_VALUE) });
    let tags = &role.tags;
    let tag = |key: &str| tags.get(key).map(String::as_str);
    if let Some(owner) = Owner::of(tags) {
        return of("streamrole", &owner.description());
    }
    if let Some(stack) = tag("aws:cloudformation:stack-name") {
        let is_sam = tag("lambda:createdBy").is_some_and(|by| by.eq_ignore_ascii_case("sam"));
        return of(if is_sam { "SAM" } else { "CloudFormation" }, stack);
    }
    if tags.keys().any(|key| key.starts_with("services.k8s.aws/")) {
        return of("ACK", tag("services.k8s.aws/namespace").unwrap_or_default());
    }
    if let Some(name) = tag("crossplane-name") {
        return of("Crossplane", name);
    }
    if let Some(tool) = tagged_tool(tags) {
        return of(tool, "");
    }
    // The console creates its roles below this path.
    role.path
        .starts_with("/service-role/")
        .then_some(Manager { tool: "AWS console", detail: String::new() })
}

/// The tool that a tag such as `ManagedBy: terraform` or `terraform: true` names.
fn tagged_tool(tags: &BTreeMap<String, String>) -> Option<&'static str> {
    const TOOLS: [(&str, &str); 3] =
        [("terraform", "Terraform"), ("opentofu", "OpenTofu"), ("pulumi", "Pulumi")];
    tags.iter().find_map(|(key, value)| {
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', ' ', ':'], "");
        let (key, value) = (plain(key), plain(value));
        TOOLS.into_iter().find_map(|(word, tool)| {
            let is_named = ["managedby", "createdby", "provisionedby", "tool"]
                .contains(&key.as_str())
                && value.contains(word);
            let is_flag = key == word && value != "false";
            (is_named || is_flag).then_some(tool)
        })
    })
}
