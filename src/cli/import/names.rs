//! The names of roles in the files of other tools.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Tagged;
use thiserror::Error;

use crate::role::RoleName;

use super::role::Left;

/// A role that is to be imported.
pub(super) struct Wanted {
    /// Its name.
    pub(super) name: String,
    /// What manages it, if a file names it.
    pub(super) origin: Option<Origin>,
    /// Whether the user named it, so that the command fails without it.
    pub(super) is_named_by_user: bool,
}

/// The tool that manages a role, with the role's address in it.
pub(super) enum Origin {
    /// Terraform or `OpenTofu`.
    Terraform(String),
    /// `CloudFormation`.
    CloudFormation(String),
}

impl Wanted {
    pub(super) fn by_user(name: &RoleName) -> Self {
        Self { name: name.as_str().to_owned(), origin: None, is_named_by_user: true }
    }

    pub(super) fn by_no_one(name: &str) -> Self {
        Self { name: name.to_owned(), origin: None, is_named_by_user: false }
    }

    fn by_file(name: &str, origin: Origin) -> Self {
        Self { name: name.to_owned(), origin: Some(origin), is_named_by_user: false }
    }

    /// Whether it is reported that the role is left out. An account has many other roles.
    pub(super) fn is_reported(&self, left: &Left) -> bool {
        self.is_named_by_user || self.origin.is_some() || left.is_of_a_likely_event_stream_role()
    }
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
    /// It is not JSON.
    #[error("it is not the output of terraform show -json: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no state.
    #[error(
        "it has neither values nor prior_state. Give the output of terraform show -json, not the state file"
    )]
    NoState,
    /// It is not YAML.
    #[error("it is not a CloudFormation template: {0}")]
    Template(String),
    /// It has no resources.
    #[error("it is not a CloudFormation template: it has no Resources")]
    NoResources,
}

/// The text of a file; `-` is standard input.
pub(super) fn text_of(path: &Path) -> Result<String, std::io::Error> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map(|_| text)
}

/// The managed roles in the output of `terraform show -json`, for a state or for a plan.
pub(super) fn of_terraform(text: &str) -> Result<Vec<Wanted>, Unreadable> {
    let root: Value = serde_json::from_str(text)?;
    let values = root.get("values").or_else(|| root.get("prior_state")?.get("values"));
    let module = values.ok_or(Unreadable::NoState)?.get("root_module");
    let mut found = Vec::new();
    let mut modules = Vec::from_iter(module);
    while let Some(module) = modules.pop() {
        modules.extend(list(module, "child_modules").rev());
        for resource in list(module, "resources") {
            let text = |field: &str| resource.get(field).and_then(Value::as_str);
            let name = resource.get("values").and_then(|values| values.get("name")?.as_str());
            let is_role = text("type") == Some("aws_iam_role") && text("mode") != Some("data");
            if let (true, Some(name)) = (is_role, name) {
                let address = text("address").unwrap_or_default().to_owned();
                found.push(Wanted::by_file(name, Origin::Terraform(address)));
            }
        }
    }
    Ok(found)
}

fn list<'a>(value: &'a Value, field: &str) -> impl DoubleEndedIterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

/// The roles of a template.
pub(super) struct OfTemplate {
    pub(super) wanted: Vec<Wanted>,
    /// The logical ids of roles whose name is not in the template.
    pub(super) unresolved: Vec<String>,
}

/// The roles of a `CloudFormation` template. JSON is YAML, but its indentation can contain tabs.
pub(super) fn of_cloudformation(text: &str) -> Result<OfTemplate, Unreadable> {
    let roles = match serde_json::from_str::<Value>(text) {
        Ok(template) => of_json(&template)?,
        Err(_) => of_yaml(text)?,
    };
    let mut found = OfTemplate { wanted: Vec::new(), unresolved: Vec::new() };
    for (id, name) in roles {
        match name {
            Some(name) => {
                found.wanted.push(Wanted::by_file(&name, Origin::CloudFormation(id)));
            }
            None => found.unresolved.push(id),
        }
    }
    Ok(found)
}

const ROLE: &str = "AWS::IAM::Role";

/// Logical ids and literal names of the roles.
type Roles = Vec<(String, Option<String>)>;

fn of_json(template: &Value) -> Result<Roles, Unreadable> {
    let resources = template.get("Resources").and_then(Value::as_object);
    let resources = resources.ok_or(Unreadable::NoResources)?;
    let roles = resources.iter().filter(|(_, r)| r.get("Type").is_some_and(|type_| type_ == ROLE));
    let name =
        |resource: &Value| Some(resource.get("Properties")?.get("RoleName")?.as_str()?.to_owned());
    Ok(roles.map(|(id, resource)| (id.clone(), name(resource))).collect())
}

fn of_yaml(text: &str) -> Result<Roles, Unreadable> {
    let template: Template = serde_saphyr::from_str(text)
        .map_err(|error| Unreadable::Template(error.without_snippet().to_string()))?;
    let resources = template.resources.ok_or(Unreadable::NoResources)?;
    let roles = resources.into_iter().filter(|(_, Entry(resource))| {
        resource.as_ref().is_some_and(|resource| resource.type_.as_deref() == Some(ROLE))
    });
    Ok(roles.map(|(id, Entry(resource))| (id, resource.and_then(Resource::role_name))).collect())
}

#[derive(Deserialize)]
struct Template {
    #[serde(rename = "Resources", default)]
    resources: Option<BTreeMap<String, Entry>>,
}

/// A resource; `None` for anything else, such as the list of `Fn::ForEach`.
struct Entry(Option<Resource>);

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "Type", default)]
    type_: Option<String>,
    #[serde(rename = "Properties", default)]
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "RoleName", default)]
    role_name: Option<Tagged<Value>>,
}

impl Resource {
    /// The name, unless it is computed, as by `!Sub`.
    fn role_name(self) -> Option<String> {
        let Tagged(value, tag) = self.properties?.role_name?;
        let is_literal = tag.is_none_or(|tag| tag == "tag:yaml.org,2002:str");
        value.as_str().filter(|_| is_literal).map(str::to_owned)
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a resource")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let fields = serde::de::value::MapAccessDeserializer::new(map);
                Resource::deserialize(fields).map(|resource| Entry(Some(resource)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Entry, E> {
                Ok(Entry(None))
            }

            fn visit_unit<E>(self) -> Result<Entry, E> {
                Ok(Entry(None))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}
