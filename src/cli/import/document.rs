//! The printed resources: YAML that kubectl accepts, with comments above each.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::policy::{Difference, readable};

use super::super::Error;
use super::names::Origin;
use super::role::Imported;

/// How many characters of a text by others a comment shows.
const MAX_TEXT: usize = 300;

/// The resources so far.
pub(super) struct Documents {
    namespace: Option<String>,
    names: BTreeSet<String>,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    api_version: String,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: &'a Value,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
}

impl Documents {
    pub(super) const fn new(namespace: Option<String>) -> Self {
        Self { namespace, names: BTreeSet::new(), text: String::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Adds a resource.
    ///
    /// # Errors
    /// When it cannot be serialized, which is a defect.
    pub(super) fn add(
        &mut self,
        imported: &Imported,
        origin: Option<&Origin>,
    ) -> Result<(), Error> {
        let name = self.unique(&resource_name(&imported.role));
        let kind = imported.kind;
        let manifest = Manifest {
            api_version: format!("{}/{}", kind.group, kind.version),
            kind: kind.name,
            metadata: Metadata { name: &name, namespace: self.namespace.as_deref() },
            spec: &imported.spec,
        };
        let yaml =
            serde_saphyr::to_string(&manifest).map_err(|error| Error::Print(error.to_string()))?;
        if !self.names.is_empty() {
            self.text.push_str("---\n");
        }
        for line in comments(imported, origin) {
            self.text.push_str("# ");
            self.text.push_str(&line);
            self.text.push('\n');
        }
        self.text.push_str(&yaml);
        self.names.insert(name);
        Ok(())
    }

    /// The name, or the name with the first free number.
    fn unique(&self, name: &str) -> String {
        if !self.names.contains(name) {
            return name.to_owned();
        }
        let numbered = (2_u64..).map(|number| format!("{name}-{number}"));
        numbered.into_iter().find(|name| !self.names.contains(name)).unwrap_or_default()
    }
}

/// A name of a Kubernetes object, made from the name of a role: letters in lower case, digits and single dashes.
fn resource_name(role: &str) -> String {
    let mut name = String::new();
    for character in role.chars().map(|c| c.to_ascii_lowercase()) {
        if character.is_ascii_alphanumeric() {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "role".into() } else { name.into() }
}

/// The comments above a resource, one line each.
fn comments(imported: &Imported, origin: Option<&Origin>) -> Vec<String> {
    let mut lines = vec![readable(&imported.arn, MAX_TEXT)];
    lines.extend(origin.map(of_origin));
    if imported.changes.is_empty() {
        lines.push("Adoption writes only the ownership tags.".into());
    } else {
        lines.push("Adoption changes the role (field: live -> declared):".into());
        lines.extend(imported.changes.iter().map(|change| format!("  {}", shown(change))));
    }
    if !imported.kept.is_empty() {
        lines.push("Not declared, and left unchanged:".into());
        lines.extend(imported.kept.iter().map(|kept| format!("  {kept}")));
    }
    lines.extend(imported.remarks.iter().cloned());
    lines
}

/// The difference on one line. Path and values are readable already.
fn shown(difference: &Difference) -> String {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".into());
    let Difference { path, desired, live } = difference;
    format!("{path}: {} -> {}", value(live), value(desired))
}

fn of_origin(origin: &Origin) -> String {
    match origin {
        Origin::Terraform(address) => {
            let address = readable(address, MAX_TEXT);
            let quoted = shlex::try_quote(&address).map_or_else(|_| String::new(), Into::into);
            format!("Managed by Terraform. After adoption, run: terraform state rm {quoted}")
        }
        Origin::CloudFormation(id) => format!(
            "Managed by CloudFormation. After adoption, set DeletionPolicy: Retain on {} in the template, then remove it from the template.",
            readable(id, MAX_TEXT)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_resource_is_a_dns_name() {
        for (role, expected) in [
            ("App_Events", "app-events"),
            ("+=,.@-_", "role"),
            ("..a..b--c_", "a-b-c"),
            ("AWS.Events@x", "aws-events-x"),
        ] {
            assert_eq!(resource_name(role), expected);
        }
    }
}
