//! The purpose of a role: which service sends the events of which source to which destination.

use thiserror::Error;

use crate::policy::{AccountId, Partition, Region};

use super::destination::{DestinationArn, DestinationKind, KeyArn};
use super::source::Source;
use super::table::{Conditions, Principal, Service};

/// The purpose of a role: a service sends events to a destination.
#[derive(Clone, Debug)]
pub struct EventStream {
    pub(super) service: &'static Service,
    pub(super) source: Option<Source>,
    pub(super) destination: DestinationArn,
    pub(super) key: Option<KeyArn>,
}

impl PartialEq for EventStream {
    fn eq(&self, other: &Self) -> bool {
        self.service.key == other.service.key
            && self.source == other.source
            && self.destination == other.destination
            && self.key == other.key
    }
}

/// Parts of a declaration that contradict each other. Each message begins with the field and ends with the remedy.
#[derive(Debug, Error)]
pub enum Mismatch {
    /// The destination and the source are in different accounts.
    #[error(
        "spec.destination is in account {destination} but spec.source.accountId is {origin}: {service} uses only a role in its own account, and the role is in that of the destination"
    )]
    Account {
        /// The service.
        service: &'static str,
        /// Account of the destination.
        destination: AccountId,
        /// Account of the source.
        origin: AccountId,
    },
    /// The destination and the source are in different Regions.
    #[error(
        "spec.destination is in {destination} but spec.source.region is {origin}: {service} sends events only to a destination in its Region"
    )]
    Region {
        /// The service.
        service: &'static str,
        /// Region of the destination.
        destination: Region,
        /// Region of the source.
        origin: Region,
    },
    /// Another part is in another partition.
    #[error(
        "spec.destination is in partition {destination} but spec.{field} is in {other}: all must be in the same partition"
    )]
    Partition {
        /// Partition of the destination.
        destination: Partition,
        /// The other field, below `spec`.
        field: &'static str,
        /// Its partition.
        other: Partition,
    },
    /// The partition does not have the service.
    #[error("spec.destination is in partition {partition}, which does not have {service}")]
    NoService {
        /// The service.
        service: &'static str,
        /// Partition of the destination.
        partition: Partition,
    },
    /// The service does not write to such a destination.
    #[error("spec.destination: {0}")]
    Destination(String),
    /// The stream and the key that encrypts it are in different places.
    #[error(
        "spec.destination.kmsKeyArn is in {} of account {}, but the {what} is in {} of account {}: name the key that encrypts the {what}; it must be in the {what}'s partition, Region and account",
        key.region(), key.account(), destination.region(), destination.account(), what = encrypted(destination.kind())
    )]
    Key {
        /// The destination.
        destination: Box<DestinationArn>,
        /// The key.
        key: Box<KeyArn>,
    },
    /// A key is named where the role needs no permission to use it.
    #[error(
        "spec.destination.kmsKeyArn does not go with logGroupArn: CloudWatch Logs itself uses the key of a log group, so the role needs no permission for it; remove kmsKeyArn"
    )]
    KeyOfLogGroup,
    /// The service rejects a role with a path.
    #[error("spec.path is {path:?}, and {service} rejects a role with a path: leave it at /")]
    Path {
        /// The service.
        service: &'static str,
        /// The declared path.
        path: String,
    },
}

const fn encrypted(kind: DestinationKind) -> &'static str {
    match kind {
        DestinationKind::Kinesis | DestinationKind::Firehose => "stream",
        DestinationKind::LogGroup => "log group",
        DestinationKind::SnsTopic => "topic",
    }
}

impl EventStream {
    /// A service that sends the events of `source`, or of any source, to `destination`, which `key` encrypts.
    ///
    /// # Errors
    /// When the service does not write to such a destination, or the parts are in different places.
    pub fn new(
        service: &'static Service,
        source: Option<Source>,
        destination: DestinationArn,
        key: Option<KeyArn>,
    ) -> Result<Self, Mismatch> {
        if let Some(refusal) = service.refusal(destination.kind()) {
            return Err(Mismatch::Destination(refusal));
        }
        let partition = destination.partition();
        if !service.partitions.contains(&partition) {
            return Err(Mismatch::NoService { service: service.name, partition });
        }
        let this = Self { service, source, destination, key };
        this.check_source()?;
        this.check_key()?;
        Ok(this.without_unused_source())
    }

    fn check_source(&self) -> Result<(), Mismatch> {
        let Some(source) = &self.source else { return Ok(()) };
        let (service, destination) = (self.service.name, &self.destination);
        if source.account != *destination.account() {
            return Err(Mismatch::Account {
                service,
                destination: destination.account().clone(),
                origin: source.account.clone(),
            });
        }
        self.check_partition("source.region", Some(source.region.partition()))?;
        if self.service.same_region && source.region != *destination.region() {
            return Err(Mismatch::Region {
                service,
                destination: destination.region().clone(),
                origin: source.region.clone(),
            });
        }
        Ok(())
    }

    fn check_key(&self) -> Result<(), Mismatch> {
        let (Some(key), destination) = (&self.key, &self.destination) else { return Ok(()) };
        if destination.kind() == DestinationKind::LogGroup {
            return Err(Mismatch::KeyOfLogGroup);
        }
        // A Region belongs to one partition, so comparing Regions covers both.
        if (key.region(), key.account()) != (destination.region(), destination.account()) {
            let (destination, key) = (Box::new(destination.clone()), Box::new(key.clone()));
            return Err(Mismatch::Key { destination, key });
        }
        Ok(())
    }

    /// Two declarations that give the same documents are the same.
    fn without_unused_source(mut self) -> Self {
        if let (Principal::Global(_), Conditions::Undocumented) =
            (self.service.principal, self.service.conditions)
        {
            self.source = None;
        }
        self
    }

    /// Checks that another field of the spec is in the partition of the destination.
    ///
    /// # Errors
    /// When it is in another one.
    pub fn check_partition(
        &self,
        field: &'static str,
        other: Option<Partition>,
    ) -> Result<(), Mismatch> {
        let destination = self.partition();
        match other {
            Some(other) if other != destination => {
                Err(Mismatch::Partition { destination, field, other })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that the service accepts a role with this path.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_path(&self, path: &str) -> Result<(), Mismatch> {
        if self.service.takes_path || path == "/" {
            return Ok(());
        }
        Err(Mismatch::Path { service: self.service.name, path: path.to_owned() })
    }

    /// The entry of the service that sends the events.
    #[must_use]
    pub const fn service(&self) -> &'static Service {
        self.service
    }

    /// The source on whose behalf the service can use the role; `None` for any.
    #[must_use]
    pub const fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The destination.
    #[must_use]
    pub const fn destination(&self) -> &DestinationArn {
        &self.destination
    }

    /// The key that encrypts the destination.
    #[must_use]
    pub const fn key(&self) -> Option<&KeyArn> {
        self.key.as_ref()
    }

    /// The account of the destination, and so of the role: a role is in the account of the source, and a service only
    /// streams within its account.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        self.destination.account()
    }

    /// The partition of the destination, and so of the role.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.destination.partition()
    }

    /// Why the trust policy has no confused-deputy conditions, where AWS documents none.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        (self.service.conditions == Conditions::Undocumented).then(|| {
            format!(
                "It has no confused-deputy conditions: AWS documents none for {}.",
                self.service.name
            )
        })
    }
}
