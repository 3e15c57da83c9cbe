//! The kinds of resource, and how one kind differs from another.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::policy::{DocumentError, InvalidIdentifier};
use crate::role::{InvalidKeys, MAX_TAGS};
use crate::service::{EventStream, InvalidSource, Mismatch, Service};

use super::settings::RoleSettings;

/// A kind of resource that declares a role.
#[derive(Debug)]
pub struct Kind {
    /// The kind, as in a manifest.
    pub name: &'static str,
    /// The same in URLs and RBAC.
    pub plural: &'static str,
    /// Its API group.
    pub group: &'static str,
    /// The stored version.
    pub version: &'static str,
    /// Its definition.
    pub crd: fn() -> CustomResourceDefinition,
    /// Parses a spec of the kind.
    pub read: fn(Value) -> Result<Spec, InvalidSpec>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The part of a spec that differs between kinds.
pub trait RoleSpec: fmt::Debug + Send + Sync {
    /// The settings of the role, which all kinds share.
    fn settings(&self) -> &RoleSettings;

    /// Name of the inline policy with the role's permissions, even if the rest is invalid.
    fn policy_name(&self) -> &'static str;

    /// The purpose of the role.
    ///
    /// # Errors
    /// When a field has an invalid value, or fields contradict each other.
    fn stream(&self) -> Result<EventStream, SpecError>;
}

/// A spec of some kind.
pub type Spec = Arc<dyn RoleSpec>;

/// Where a spec does not match its type, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidSpec {
    /// The field, below `spec`; empty when it is unknown.
    pub path: String,
    /// The problem.
    pub problem: String,
}

/// Parses a spec of this type.
///
/// # Errors
/// When it does not match the type.
pub fn read<S: RoleSpec + DeserializeOwned + 'static>(spec: Value) -> Result<Spec, InvalidSpec> {
    fn fitting<T: DeserializeOwned>(spec: Value) -> Result<T, InvalidSpec> {
        serde_path_to_error::deserialize(spec).map_err(|error| InvalidSpec {
            // The root is ".".
            path: error.path().to_string().trim_start_matches('.').to_owned(),
            problem: error.inner().to_string(),
        })
    }
    // Settings are checked separately first: in a flattened field, serde does not know the path.
    fitting::<RoleSettings>(spec.clone())?;
    fitting::<S>(spec).map(|spec| Arc::new(spec) as Spec)
}

/// Why a resource does not declare a role. Each message begins with the field and ends with the remedy.
#[derive(Debug, Error)]
pub enum SpecError {
    /// A field has an invalid value.
    #[error("spec.{field}: {source}")]
    Field {
        /// The field, below `spec`.
        field: String,
        /// The value and the expectation.
        source: InvalidIdentifier,
    },
    /// None or several of these fields of the destination are set.
    #[error("spec.destination: set exactly one of {0}")]
    DestinationCount(&'static str),
    /// None or several services are set.
    #[error("spec.source: set exactly one of {}", Service::current().map(|s| s.key).collect::<Vec<_>>().join(", "))]
    SourceCount,
    /// The fields of a service do not name a source.
    #[error("spec.source.{service}.{}: {error}", error.field())]
    Source {
        /// The key of the service.
        service: &'static str,
        /// What is wrong.
        error: InvalidSource,
    },
    /// Source, destination, key or boundary contradict each other.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A number is out of IAM's range.
    #[error("spec.maxSessionDurationSeconds: {0} is not between 3600 and 43200")]
    SessionDuration(i32),
    /// A tag has a key that is not allowed on any role.
    #[error("spec.tags: {0}")]
    TagKey(#[from] InvalidKeys),
    /// The declared tags and the controller's default tags exceed the limit of a role.
    #[error(
        "spec.tags: with the tags that the controller gives to every role (--default-tag) the role would have {0}, and IAM allows {MAX_TAGS} besides those of ownership; remove some"
    )]
    TooManyTags(usize),
    /// The object has no identity: no API server has stored it.
    #[error("metadata.{0} is missing: the resource was not read from a cluster")]
    Metadata(&'static str),
    /// A generated document does not parse: a defect of this program.
    #[error("the declared policy document is malformed ({0}); please report this bug")]
    Document(#[from] DocumentError),
}

pub(super) fn optional<T>(
    text: Option<&str>,
    field: &'static str,
    parse: impl Fn(&str) -> Result<T, InvalidIdentifier>,
) -> Result<Option<T>, SpecError> {
    text.map(parse).transpose().map_err(at(field))
}

pub(super) fn at(field: &'static str) -> impl Fn(InvalidIdentifier) -> SpecError {
    move |source| SpecError::Field { field: field.to_owned(), source }
}
