//! The source of events, and its ARN.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::policy::{AccountId, Arn, InvalidIdentifier, Region};

use super::table::{Service, SourceForm};

/// The source on whose behalf the service can use the role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// The account of the source.
    pub account: AccountId,
    /// The Region of the source.
    pub region: Region,
    /// The name at the end of its ARN; `None` for any source in the account and Region.
    pub name: Option<String>,
}

/// Why fields do not name a source. Each message says what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidSource {
    /// A required field is absent.
    #[error("{field} is missing: set it, or set it to \"*\" for any")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field has an invalid value.
    #[error("{1}")]
    Value(&'static str, InvalidIdentifier),
    /// The service has no such field.
    #[error("{field} is not a field of this service")]
    Unknown {
        /// The field.
        field: String,
    },
}

impl InvalidSource {
    /// The field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Missing { field } | Self::Value(field, _) => field,
            Self::Unknown { field } => field,
        }
    }
}

const ANY: &str = "*";

impl SourceForm {
    /// The name that the fields of a manifest make; `None` for any source.
    ///
    /// # Errors
    /// When a field is missing, unknown or invalid.
    pub fn name_of(
        &self,
        given: &BTreeMap<String, String>,
    ) -> Result<Option<String>, InvalidSource> {
        let is_known = |name: &&String| self.fields.iter().any(|field| field.name == **name);
        if let Some(field) = given.keys().find(|name| !is_known(name)) {
            return Err(InvalidSource::Unknown { field: field.clone() });
        }
        let mut parts = Vec::new();
        for field in self.fields {
            let value = given.get(field.name).map(String::as_str).or(field.default);
            let value = value.ok_or(InvalidSource::Missing { field: field.name })?;
            let is_any = value == ANY && field.default.is_none();
            if !is_any && !field.accepts(value) {
                let any = if field.default.is_none() { ", or * for any" } else { "" };
                let expected = format!("{}{any}, as in {}", field.what, field.example);
                return Err(InvalidSource::Value(
                    field.name,
                    InvalidIdentifier::new(value, expected),
                ));
            }
            if field.default != Some(value) {
                parts.push(value);
            }
        }
        let name = parts.join("/");
        Ok((!name.is_empty() && name != ANY).then_some(name))
    }

    /// The fields that make this name: the inverse of [`Self::name_of`]. `None` when no fields do. A field with its
    /// default value is absent.
    #[must_use]
    pub fn fields_of(&self, name: Option<&str>) -> Option<BTreeMap<String, String>> {
        let mut rest = name.unwrap_or(ANY);
        let mut fields = BTreeMap::new();
        // Only the first field can contain a slash, so the last parts are the other fields.
        for (index, field) in self.fields.iter().enumerate().rev() {
            let value = if index == 0 {
                std::mem::take(&mut rest)
            } else {
                let (before, last) = rest.rsplit_once('/').unwrap_or(("", rest));
                rest = before;
                last
            };
            if !value.is_empty() {
                fields.insert(field.name.to_owned(), value.to_owned());
            }
        }
        (self.name_of(&fields).ok()?.as_deref() == name).then_some(fields)
    }

    /// The ARN that the service sends as `aws:SourceArn`, or the pattern of ARNs.
    #[must_use]
    pub fn arn(&self, source: &Source) -> String {
        let Source { account, region, name } = source;
        let (partition, name) = (region.partition(), name.as_deref().unwrap_or(ANY));
        format!("arn:{partition}:{}:{region}:{account}:{}{name}", self.namespace, self.resource)
    }

    /// The source with this ARN; `None` when no source of the service has it.
    pub(super) fn source_with(&self, arn: &str) -> Option<Source> {
        let parts = Arn::split(arn)?;
        let name = parts.resource.strip_prefix(self.resource)?;
        let name = (name != ANY).then(|| name.to_owned());
        self.fields_of(name.as_deref())?;
        let is_own = parts.service == self.namespace;
        let region = parts.region_of_partition().filter(|_| is_own)?;
        Some(Source { account: AccountId::parse(parts.account).ok()?, region, name })
    }
}

impl Service {
    /// The fields of a manifest for this source; `None` when no fields express it.
    #[must_use]
    pub fn fields_of(&self, source: Option<&Source>) -> Option<BTreeMap<String, String>> {
        self.source.fields_of(source.and_then(|source| source.name.as_deref()))
    }
}
