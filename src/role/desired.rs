//! From the resource to the role that it declares. Pure, and complete: what comes out can be written to
//! IAM as it stands. The API server has enforced the same rules already; they are checked here again
//! because a stored object can be older than the rule, and some rules fit no schema.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt as _;
use thiserror::Error;

use crate::api::{AdoptionPolicy, Destination, PinpointEventStreamRole, Source};
use crate::policy::{
    self, AccountId, Document, DocumentError, InvalidIdentifier, KeyArn, Partition, PolicyArn,
    Region, SourceProject, StreamArn, StreamKind,
};

use super::defaults::{Defaults, MAX_TAGS};
use super::name::{RoleKey, RoleName, RolePath};
use super::observed::ObservedRole;
use super::ownership::{Owner, RESERVED_TAG_PREFIX};
use super::tag_key;

/// The role that a resource declares.
#[derive(Clone, Debug)]
pub struct DesiredRole {
    /// Account of the destination, and so of the role.
    pub account: AccountId,
    /// Partition of the destination, and so of the role.
    pub partition: Partition,
    /// Name of the role.
    pub name: RoleName,
    /// Path of the role.
    pub path: RolePath,
    /// Description; empty for none.
    pub description: String,
    /// Longest session, in seconds.
    pub max_session_duration_seconds: i32,
    /// Permissions boundary.
    pub permissions_boundary: Option<PolicyArn>,
    /// The user's tags and the controller's default ones, without those of ownership.
    pub tags: BTreeMap<String, String>,
    /// Keys of tags that an earlier generation declared: to be removed unless declared still.
    pub former_tag_keys: BTreeSet<String>,
    /// Id of the role that the resource held last; empty for none.
    pub held_role_id: String,
    /// Whether the status says that the resource adopted the role that it holds.
    pub was_adopted: bool,
    /// Who declares the role.
    pub owner: Owner,
    /// Who may assume the role.
    pub trust_policy: Document,
    /// What the role may do.
    pub permissions_policy: Document,
    /// Whether policies that are not declared are removed.
    pub exclusive_policies: bool,
    /// What to do about a role that exists already.
    pub adoption_policy: AdoptionPolicy,
}

impl DesiredRole {
    /// All tags that the role should carry: the user's and those of ownership.
    #[must_use]
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.tags.clone();
        tags.extend(self.owner.tags());
        tags
    }

    /// Whether `live` is the role that the resource held last, by its id. Another role under the same name has another
    /// id.
    #[must_use]
    pub fn holds(&self, live: &ObservedRole) -> bool {
        !self.held_role_id.is_empty() && self.held_role_id == live.role_id
    }

    /// Which role it is, of all accounts.
    #[must_use]
    pub fn key(&self) -> RoleKey {
        RoleKey { account: self.account.clone(), name: self.name.key() }
    }
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
    /// The stream and the Pinpoint project are in different accounts.
    #[error(
        "spec.destination is in account {destination} but spec.source.accountId is {origin}: Amazon Pinpoint streams only to a stream in its own account"
    )]
    AccountMismatch {
        /// Account of the stream.
        destination: AccountId,
        /// Account of the project.
        origin: AccountId,
    },
    /// Two parts of the spec are in different partitions.
    #[error(
        "spec.destination is in partition {destination} but spec.{field} is in {other}: all must be in the same partition"
    )]
    PartitionMismatch {
        /// Partition of the stream.
        destination: Partition,
        /// The other field, below `spec`.
        field: &'static str,
        /// Its partition.
        other: Partition,
    },
    /// The stream and the key that encrypts it are in different places.
    #[error(
        "spec.destination.kmsKeyArn is in {} of account {}, but the stream is in {} of account {}: name the key that encrypts the stream; it must be in the stream's partition, Region and account",
        key.region(), key.account(), stream.region(), stream.account()
    )]
    KeyElsewhere {
        /// The stream.
        stream: Box<StreamArn>,
        /// The key.
        key: Box<KeyArn>,
    },
    /// A number is out of IAM's range.
    #[error("spec.maxSessionDurationSeconds: {0} is not between 3600 and 43200")]
    SessionDuration(i32),
    /// A tag key is reserved, or could be taken for one that is.
    #[error(
        "spec.tags: the key {0:?} is reserved; keys must not begin with aws: or {RESERVED_TAG_PREFIX}, in any case or width of letters"
    )]
    ReservedTag(String),
    /// A tag key could be taken for another one once it is trimmed.
    #[error("spec.tags: the key {0:?} begins or ends with white space; remove that")]
    TagKeyWithOuterSpace(String),
    /// Two tag keys are one to IAM (IAM user guide, "Rules for tagging in IAM"), or could be.
    #[error(
        "spec.tags: {0:?} and {1:?} differ only by case or width, and IAM takes such keys for one; remove one"
    )]
    TagKeysDifferByCase(String, String),
    /// The declared tags and the controller's default ones are more than a role can have.
    #[error(
        "spec.tags: with the tags that the controller gives to every role (--default-tag) the role would have {0}, and IAM allows {MAX_TAGS} besides those of ownership; remove some"
    )]
    TooManyTags(usize),
    /// The object has no identity: it was never stored by an API server.
    #[error("metadata.{0} is missing: the resource was not read from a cluster")]
    Metadata(&'static str),
    /// A document that was built here does not parse: a defect of this program.
    #[error("the declared policy document is malformed ({0}); please report this as a defect")]
    Document(#[from] DocumentError),
}

/// The role that `resource` declares in the cluster with the id `cluster` (uid of `kube-system`), with what the
/// controller gives to every role.
///
/// # Errors
/// When the spec breaks a rule; see [`SpecError`].
pub fn desired(
    resource: &PinpointEventStreamRole,
    cluster: &str,
    defaults: &Defaults,
) -> Result<DesiredRole, SpecError> {
    let spec = &resource.spec;
    let owner = owner(resource, cluster)?;
    let stream = stream(&spec.destination)?;
    let source = spec.source.as_ref().map(|source| source_project(source, &stream)).transpose()?;
    let key =
        optional(spec.destination.kms_key_arn.as_deref(), "destination.kmsKeyArn", KeyArn::parse)?;
    let permissions_boundary = optional(
        spec.permissions_boundary_arn.as_deref(),
        "permissionsBoundaryArn",
        PolicyArn::parse,
    )?;

    let partition_of = |field, other: Option<Partition>| match other {
        Some(other) if other != stream.partition() => {
            Err(SpecError::PartitionMismatch { destination: stream.partition(), field, other })
        }
        Some(_) | None => Ok(()),
    };
    partition_of("source.region", source.as_ref().map(|s| s.region.partition()))?;
    partition_of(
        "permissionsBoundaryArn",
        permissions_boundary.as_ref().map(PolicyArn::partition),
    )?;
    check_key(&stream, key.as_ref())?;

    if !(3600..=43200).contains(&spec.max_session_duration_seconds) {
        return Err(SpecError::SessionDuration(spec.max_session_duration_seconds));
    }
    check_tags(&spec.tags)?;
    let tags = defaults.tags.under(&spec.tags);
    if tags.len() > MAX_TAGS {
        return Err(SpecError::TooManyTags(tags.len()));
    }

    Ok(DesiredRole {
        account: stream.account().clone(),
        partition: stream.partition(),
        name: role_name(resource, defaults)?,
        path: RolePath::parse(&spec.path).map_err(at("path"))?,
        description: spec.description.clone().unwrap_or_default(),
        max_session_duration_seconds: spec.max_session_duration_seconds,
        permissions_boundary,
        tags,
        former_tag_keys: resource.status.iter().flat_map(|s| s.tag_keys.iter().cloned()).collect(),
        held_role_id: resource.status.iter().find_map(|s| s.role_id.clone()).unwrap_or_default(),
        was_adopted: resource.status.as_ref().is_some_and(|status| status.adopted == Some(true)),
        owner,
        trust_policy: Document::from_value(&policy::trust_policy(
            stream.partition(),
            source.as_ref(),
        ))?,
        permissions_policy: Document::from_value(&policy::permissions_policy(
            &stream,
            key.as_ref(),
        ))?,
        exclusive_policies: spec.exclusive_policies,
        adoption_policy: spec.adoption_policy,
    })
}

/// The name of the role that `resource` declares. A resource that holds a role under another default name, of a former
/// rule or a former prefix, keeps that name: IAM cannot rename a role.
///
/// # Errors
/// When the declared name is not one that IAM accepts.
pub fn role_name(
    resource: &PinpointEventStreamRole,
    defaults: &Defaults,
) -> Result<RoleName, SpecError> {
    if let Some(name) = &resource.spec.role_name {
        return RoleName::parse(name).map_err(at("roleName"));
    }
    let (namespace, name) = (resource.namespace().unwrap_or_default(), resource.name_any());
    let status = resource.status.as_ref().filter(|status| status.role_id.is_some());
    let held = status.and_then(|status| RoleName::parse(status.role_name.as_deref()?).ok());
    let default = RoleName::default_for(&defaults.role_name_prefix, &namespace, &name);
    // Only a name that a rule gives: the status alone must not lead to any role.
    let is_kept =
        |held: &RoleName| default.as_ref() != Ok(held) && held.is_a_default_for(&namespace, &name);
    held.filter(is_kept).map_or_else(|| default.clone().map_err(at("roleName")), Ok)
}

/// Which role `resource` declares, of all accounts.
///
/// # Errors
/// When the spec names no account, or a name that IAM does not accept.
pub fn role_key(
    resource: &PinpointEventStreamRole,
    defaults: &Defaults,
) -> Result<RoleKey, SpecError> {
    let account = stream(&resource.spec.destination)?.account().clone();
    Ok(RoleKey { account, name: role_name(resource, defaults)?.key() })
}

/// The ARN that the role of this name has once it exists: Pinpoint streams only to a stream of its own account, so the
/// role is in that account too. `None` when the spec breaks a rule.
#[must_use]
pub fn expected_arn(resource: &PinpointEventStreamRole, name: &str) -> Option<String> {
    let stream = stream(&resource.spec.destination).ok()?;
    let (partition, account) = (stream.partition(), stream.account());
    Some(format!("arn:{partition}:iam::{account}:role{}{name}", resource.spec.path))
}

/// How the role's tags name `resource`.
///
/// # Errors
/// When the resource was not read from a cluster.
pub fn owner(resource: &PinpointEventStreamRole, cluster: &str) -> Result<Owner, SpecError> {
    let namespace = resource.namespace().ok_or(SpecError::Metadata("namespace"))?;
    Ok(Owner {
        cluster: cluster.into(),
        resource: format!("{namespace}/{}", resource.name_any()),
        uid: resource.uid().ok_or(SpecError::Metadata("uid"))?,
    })
}

/// The declared stream, shortened for people: `kinesis/<stream>` or `firehose/<stream>`.
#[must_use]
pub fn destination_label(destination: &Destination) -> Option<String> {
    stream(destination).ok().map(|stream| match stream.kind() {
        StreamKind::Kinesis => format!("kinesis/{}", stream.name()),
        StreamKind::Firehose => format!("firehose/{}", stream.name()),
    })
}

fn stream(destination: &Destination) -> Result<StreamArn, SpecError> {
    match (&destination.kinesis_stream_arn, &destination.firehose_delivery_stream_arn) {
        (Some(arn), None) => {
            StreamArn::parse_kinesis(arn).map_err(at("destination.kinesisStreamArn"))
        }
        (None, Some(arn)) => {
            StreamArn::parse_firehose(arn).map_err(at("destination.firehoseDeliveryStreamArn"))
        }
        (Some(_), Some(_)) | (None, None) => Err(SpecError::DestinationCount),
    }
}

fn source_project(source: &Source, stream: &StreamArn) -> Result<SourceProject, SpecError> {
    let account = AccountId::parse(&source.account_id).map_err(at("source.accountId"))?;
    if account != *stream.account() {
        return Err(SpecError::AccountMismatch {
            destination: stream.account().clone(),
            origin: account,
        });
    }
    if let Some(id) = &source.application_id {
        let fits =
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !fits {
            let expected = "a Pinpoint project id of 32 hexadecimal digits in lower case";
            return Err(at("source.applicationId")(InvalidIdentifier::new(id, expected)));
        }
    }
    Ok(SourceProject {
        account,
        region: Region::parse(&source.region).map_err(at("source.region"))?,
        application_id: source.application_id.clone(),
    })
}

/// A Region is of one partition, so that its comparison covers both.
fn check_key(stream: &StreamArn, key: Option<&KeyArn>) -> Result<(), SpecError> {
    match key {
        Some(key) if (key.region(), key.account()) != (stream.region(), stream.account()) => {
            Err(SpecError::KeyElsewhere {
                stream: Box::new(stream.clone()),
                key: Box::new(key.clone()),
            })
        }
        Some(_) | None => Ok(()),
    }
}

pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), SpecError> {
    let mut seen = BTreeMap::new();
    for key in tags.keys() {
        if tag_key::is_reserved(key) {
            return Err(SpecError::ReservedTag(key.clone()));
        }
        if tag_key::has_outer_space(key) {
            return Err(SpecError::TagKeyWithOuterSpace(key.clone()));
        }
        if let Some(other) = seen.insert(tag_key::folded(key), key) {
            return Err(SpecError::TagKeysDifferByCase(other.clone(), key.clone()));
        }
    }
    Ok(())
}

fn optional<T>(
    text: Option<&str>,
    field: &'static str,
    parse: impl Fn(&str) -> Result<T, InvalidIdentifier>,
) -> Result<Option<T>, SpecError> {
    text.map(parse).transpose().map_err(at(field))
}

fn at(field: &'static str) -> impl Fn(InvalidIdentifier) -> SpecError {
    move |source| SpecError::Field { field, source }
}
