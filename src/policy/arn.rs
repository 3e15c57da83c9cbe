//! The identifiers that policy documents are made of, parsed once at the border: inside, an ARN of the
//! wrong service, a short account id or an unknown partition cannot exist. The shapes are those of the
//! AWS Service Authorization Reference ("Resource types" of Kinesis, Firehose, KMS and IAM).

use std::fmt;

use thiserror::Error;

/// Why a string is not the identifier that it should be. The message says what was expected.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{seen:?} is not {expected}")]
pub struct InvalidIdentifier {
    /// The string as it was given, shortened.
    pub seen: String,
    /// What was expected, with an example.
    pub expected: &'static str,
}

impl InvalidIdentifier {
    pub(crate) fn new(seen: &str, expected: &'static str) -> Self {
        Self { seen: seen.chars().take(200).collect(), expected }
    }
}

/// A group of Regions with its own accounts and ARNs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Partition {
    /// The commercial Regions.
    Aws,
    /// The Regions in China.
    AwsCn,
    /// AWS `GovCloud` (US).
    AwsUsGov,
}

impl Partition {
    /// The partition as ARNs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Aws, Self::AwsCn, Self::AwsUsGov].into_iter().find(|p| p.as_str() == text)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An AWS account id: 12 digits.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountId(String);

impl AccountId {
    /// Parses 12 digits.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::new(text, "an AWS account id of 12 digits"))
        }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The code of an AWS Region.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Region(String);

impl Region {
    /// Parses a Region code such as `us-east-1`. Whether the Region exists is not known here.
    ///
    /// # Errors
    /// When `text` does not have the shape of a Region code.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let mut parts = text.split('-');
        let area = parts.next().unwrap_or_default();
        let number = parts.next_back().unwrap_or_default();
        let words: Vec<_> = parts.collect();
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        if is_word(area)
            && area.len() >= 2
            && !words.is_empty()
            && words.into_iter().all(is_word)
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::new(text, "the code of an AWS Region, as in us-east-1"))
        }
    }

    /// The partition that the Region belongs to, by the prefixes of "Regions and Zones" in the AWS
    /// documentation.
    #[must_use]
    pub fn partition(&self) -> Partition {
        if self.0.starts_with("cn-") {
            Partition::AwsCn
        } else if self.0.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else {
            Partition::Aws
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of stream takes the events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamKind {
    /// A Kinesis data stream.
    Kinesis,
    /// A Firehose stream.
    Firehose,
}

/// The ARN of a stream that Amazon Pinpoint can send events to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamArn {
    arn: String,
    kind: StreamKind,
    partition: Partition,
    account: AccountId,
    name: String,
}

impl StreamArn {
    /// Parses `arn:<partition>:kinesis:<region>:<account>:stream/<name>`.
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse_kinesis(text: &str) -> Result<Self, InvalidIdentifier> {
        Self::parse(text, StreamKind::Kinesis).ok_or_else(|| {
            InvalidIdentifier::new(
                text,
                "the ARN of a Kinesis data stream, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events",
            )
        })
    }

    /// Parses `arn:<partition>:firehose:<region>:<account>:deliverystream/<name>`.
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse_firehose(text: &str) -> Result<Self, InvalidIdentifier> {
        Self::parse(text, StreamKind::Firehose).ok_or_else(|| {
            InvalidIdentifier::new(
                text,
                "the ARN of a Firehose stream, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events",
            )
        })
    }

    fn parse(text: &str, kind: StreamKind) -> Option<Self> {
        let (service, resource_type, longest) = match kind {
            StreamKind::Kinesis => ("kinesis", "stream", 128),
            StreamKind::Firehose => ("firehose", "deliverystream", 64),
        };
        let arn = Arn::split(text)?;
        let name = arn.resource.strip_prefix(resource_type)?.strip_prefix('/')?;
        let fits = arn.service == service
            && is_region_like(arn.region)
            && (1..=longest).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        fits.then_some(())?;
        Some(Self {
            arn: text.into(),
            kind,
            partition: arn.partition,
            account: AccountId::parse(arn.account).ok()?,
            name: name.into(),
        })
    }

    /// Which service the stream belongs to.
    #[must_use]
    pub const fn kind(&self) -> StreamKind {
        self.kind
    }

    /// The partition that the stream is in.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }

    /// The account that the stream is in.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The stream's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// The ARN of a KMS key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyArn {
    arn: String,
    partition: Partition,
}

impl KeyArn {
    /// Parses `arn:<partition>:kms:<region>:<account>:key/<id>`. An alias is refused: a policy that names
    /// an alias as its resource grants nothing (KMS developer guide, "Key policies", aliases).
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let parsed = Arn::split(text).and_then(|arn| {
            let id = arn.resource.strip_prefix("key/")?;
            let fits = arn.service == "kms"
                && is_region_like(arn.region)
                && AccountId::parse(arn.account).is_ok()
                && (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            fits.then(|| Self { arn: text.into(), partition: arn.partition })
        });
        parsed.ok_or_else(|| {
            InvalidIdentifier::new(
                text,
                "the ARN of a KMS key (not of an alias), as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            )
        })
    }

    /// The partition that the key is in.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// The ARN of a managed policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyArn {
    arn: String,
    partition: Partition,
}

impl PolicyArn {
    /// Parses `arn:<partition>:iam::<account or aws>:policy/<path><name>`.
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let parsed = Arn::split(text).and_then(|arn| {
            let path_and_name = arn.resource.strip_prefix("policy/")?;
            let (path, name) = path_and_name.rsplit_once('/').unwrap_or(("", path_and_name));
            let fits = arn.service == "iam"
                && arn.region.is_empty()
                && (arn.account == "aws" || AccountId::parse(arn.account).is_ok())
                && path.bytes().all(|b| b.is_ascii_graphic())
                && path.is_empty() != path_and_name.contains('/')
                && (1..=128).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
            fits.then(|| Self { arn: text.into(), partition: arn.partition })
        });
        parsed.ok_or_else(|| {
            InvalidIdentifier::new(
                text,
                "the ARN of a managed policy, as in arn:aws:iam::111122223333:policy/boundary",
            )
        })
    }

    /// The partition that the policy is in.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }
}

impl fmt::Display for PolicyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// The six parts of an ARN (AWS General Reference, "Amazon Resource Names").
pub(super) struct Arn<'a> {
    pub(super) partition: Partition,
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

impl<'a> Arn<'a> {
    pub(super) fn split(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next() != Some("arn") {
            return None;
        }
        Some(Self {
            partition: Partition::parse(parts.next()?)?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        })
    }
}

fn is_region_like(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_arns_of_each_partition_are_read_into_their_parts() {
        for (partition, region) in [
            (Partition::Aws, "eu-west-1"),
            (Partition::AwsCn, "cn-north-1"),
            (Partition::AwsUsGov, "us-gov-west-1"),
        ] {
            let text = format!("arn:{partition}:kinesis:{region}:111122223333:stream/app_1.x-y");
            let arn = StreamArn::parse_kinesis(&text);
            assert_eq!(
                arn.as_ref().map(|a| (a.partition(), a.account().to_string(), a.name())),
                Ok((partition, "111122223333".to_owned(), "app_1.x-y")),
            );
            assert_eq!(Region::parse(region).map(|r| r.partition()), Ok(partition));
        }
    }

    #[test]
    fn what_is_not_the_declared_kind_of_arn_is_refused_with_what_was_expected() {
        let refused: [(&str, Option<InvalidIdentifier>); 12] = [
            ("Kinesis data stream", StreamArn::parse_kinesis("").err()),
            (
                "Kinesis data stream",
                StreamArn::parse_kinesis("arn:aws:kinesis:us-east-1:1111:stream/a").err(),
            ),
            (
                "Kinesis data stream",
                StreamArn::parse_kinesis(
                    "arn:aws:firehose:us-east-1:111122223333:deliverystream/a",
                )
                .err(),
            ),
            (
                "Kinesis data stream",
                StreamArn::parse_kinesis("arn:aws:kinesis:us-east-1:111122223333:stream/").err(),
            ),
            (
                "Kinesis data stream",
                StreamArn::parse_kinesis("arn:aws:kinesis:us-east-1:111122223333:stream/*").err(),
            ),
            (
                "Kinesis data stream",
                StreamArn::parse_kinesis("arn:aws-iso:kinesis:us-iso-east-1:111122223333:stream/a")
                    .err(),
            ),
            (
                "Firehose stream",
                StreamArn::parse_firehose("arn:aws:firehose:us-east-1:111122223333:stream/a").err(),
            ),
            ("KMS key", KeyArn::parse("arn:aws:kms:us-east-1:111122223333:alias/a").err()),
            ("managed policy", PolicyArn::parse("arn:aws:iam::111122223333:role/a").err()),
            ("managed policy", PolicyArn::parse("arn:aws:iam::111122223333:policy//a").err()),
            ("AWS account id", AccountId::parse("1111222233334").err()),
            ("AWS Region", Region::parse("us-east").err()),
        ];
        for (expected, error) in refused {
            let error = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(
                error.contains(expected),
                "expected a refusal that names {expected}, got {error:?}"
            );
        }
    }

    #[test]
    fn policy_arns_may_be_aws_managed_and_may_have_a_path() {
        for text in [
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:iam::111122223333:policy/teams/a/boundary",
        ] {
            assert_eq!(PolicyArn::parse(text).map(|arn| arn.to_string()), Ok(text.to_owned()));
        }
    }
}
