//! What tells one kind of resource from another.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::policy::{DocumentError, InvalidIdentifier};
use crate::role::{InvalidKeys, MAX_TAGS};
use crate::service::{EventStream, Mismatch};

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
    /// The version that is stored.
    pub version: &'static str,
    /// Its definition.
    pub crd: fn() -> CustomResourceDefinition,
    /// Reads a spec of the kind.
    pub read: fn(Value) -> Result<Spec, InvalidSpec>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a kind declares in its own way.
pub trait RoleSpec: fmt::Debug + Send + Sync {
    /// The settings of the role, which all kinds have.
    fn settings(&self) -> &RoleSettings;

    /// Name of the inline policy with the role's permissions, however invalid the rest is.
    fn policy_name(&self) -> &'static str;

    /// What the role is for.
    ///
    /// # Errors
    /// When fields do not hold what they should, or do not go together.
    fn stream(&self) -> Result<EventStream, SpecError>;
}

/// A spec of some kind.
pub type Spec = Arc<dyn RoleSpec>;

/// Where a spec does not fit its type, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidSpec {
    /// The field, below `spec`; empty where it is not known.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// Reads a spec of this type.
///
/// # Errors
/// Where it does not fit the type.
pub fn read<S: RoleSpec + DeserializeOwned + 'static>(spec: Value) -> Result<Spec, InvalidSpec> {
    fn fitting<T: DeserializeOwned>(spec: Value) -> Result<T, InvalidSpec> {
        serde_path_to_error::deserialize(spec).map_err(|error| InvalidSpec {
            // The whole is ".".
            path: error.path().to_string().trim_start_matches('.').to_owned(),
            problem: error.inner().to_string(),
        })
    }
    // First by themselves: in a flattened field serde does not know where it is.
    fitting::<RoleSettings>(spec.clone())?;
    fitting::<S>(spec).map(|spec| Arc::new(spec) as Spec)
}

/// Why a resource does not declare a role. Each message begins with the field and ends with the remedy.
#[derive(Debug, Error)]
pub enum SpecError {
    /// A field does not hold what it should.
    #[error("spec.{field}: {source}")]
    Field {
        /// The field, below `spec`.
        field: &'static str,
        /// What was seen and expected.
        source: InvalidIdentifier,
    },
    /// None or both of the two stream ARNs are set.
    #[error("spec.destination: set exactly one of kinesisStreamArn and firehoseDeliveryStreamArn")]
    DestinationCount,
    /// Source, destination, key or boundary do not go together.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// A number is out of IAM's range.
    #[error("spec.maxSessionDurationSeconds: {0} is not between 3600 and 43200")]
    SessionDuration(i32),
    /// A tag has a key that no role may be given.
    #[error("spec.tags: {0}")]
    TagKey(#[from] InvalidKeys),
    /// The declared tags and the controller's default ones are more than a role can have.
    #[error(
        "spec.tags: with the tags that the controller gives to every role (--default-tag) the role would have {0}, and IAM allows {MAX_TAGS} besides those of ownership; remove some"
    )]
    TooManyTags(usize),
    /// The object has no identity: it was never stored by an API server.
    #[error("metadata.{0} is missing: the resource was not read from a cluster")]
    Metadata(&'static str),
    /// A document that was built here does not parse: a defect of this program.
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
    move |source| SpecError::Field { field, source }
}
