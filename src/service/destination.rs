//! The identifiers of event destinations and of the keys that encrypt them, parsed once at the boundary of the program.
//! The shapes are those of the AWS Service Authorization Reference ("Resource types" of Kinesis, Firehose and KMS).

use std::fmt;

use crate::policy::{AccountId, Arn, InvalidIdentifier, Partition, Region};

/// The kind of stream that receives the events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StreamKind {
    /// A Kinesis data stream.
    Kinesis,
    /// A Firehose stream.
    Firehose,
}

/// The ARN of a stream that a service can send events to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamArn {
    arn: String,
    kind: StreamKind,
    region: Region,
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
                "the ARN of a Kinesis data stream in a Region of its partition, as in arn:aws:kinesis:us-east-1:111122223333:stream/app-events",
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
                "the ARN of a Firehose stream in a Region of its partition, as in arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events",
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
            && (1..=longest).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        fits.then_some(())?;
        Some(Self {
            arn: text.into(),
            kind,
            region: arn.region_of_partition()?,
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
        self.region.partition()
    }

    /// The Region that the stream is in.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
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
    region: Region,
    account: AccountId,
}

impl KeyArn {
    /// Parses `arn:<partition>:kms:<region>:<account>:key/<id>`. An alias is rejected: a policy with an alias as its
    /// resource grants nothing (KMS developer guide, "Key policies", aliases).
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let parsed = Arn::split(text).and_then(|arn| {
            let id = arn.resource.strip_prefix("key/")?;
            let fits = arn.service == "kms"
                && (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            fits.then_some(())?;
            Some(Self {
                arn: text.into(),
                region: arn.region_of_partition()?,
                account: AccountId::parse(arn.account).ok()?,
            })
        });
        parsed.ok_or_else(|| {
            InvalidIdentifier::new(
                text,
                "the ARN of a KMS key (not of an alias) in a Region of its partition, as in arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            )
        })
    }

    /// The Region of the key. A replica of a multi-Region key has a separate ARN in each Region.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The account of the key.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::string::string_regex;

    use super::*;
    use crate::policy::{PATH_SEGMENT_PATTERN, PolicyArn};

    #[test]
    fn stream_arns_of_each_partition_are_read_into_their_parts() {
        for (partition, region) in [
            (Partition::Aws, "eu-west-1"),
            (Partition::AwsCn, "cn-north-1"),
            (Partition::AwsUsGov, "us-gov-west-1"),
            (Partition::AwsEusc, "eusc-de-east-1"),
        ] {
            let text = format!("arn:{partition}:kinesis:{region}:111122223333:stream/app_1.x-y");
            let arn = StreamArn::parse_kinesis(&text);
            assert_eq!(
                arn.as_ref().map(|a| (
                    a.partition(),
                    a.region().to_string(),
                    a.account().to_string(),
                    a.name()
                )),
                Ok((partition, region.to_owned(), "111122223333".to_owned(), "app_1.x-y")),
            );
            assert_eq!(Region::parse(region).map(|r| r.partition()), Ok(partition));
        }
    }

    #[test]
    fn an_arn_of_another_kind_is_rejected_with_what_was_expected() {
        let refused: [(&str, Option<InvalidIdentifier>); 8] = [
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
                StreamArn::parse_kinesis(
                    "arn:aws-iso:kinesis:us-isob-east-1:111122223333:stream/a",
                )
                .err(),
            ),
            (
                "Firehose stream",
                StreamArn::parse_firehose("arn:aws:firehose:us-east-1:111122223333:stream/a").err(),
            ),
            ("KMS key", KeyArn::parse("arn:aws:kms:us-east-1:111122223333:alias/a").err()),
        ];
        for (expected, error) in refused {
            let error = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(
                error.contains(expected),
                "expected a refusal that names {expected}, got {error:?}"
            );
        }
    }

    /// A Region by its partition's pattern, from which the schema's rules are built.
    fn region() -> impl Strategy<Value = (Partition, String)> {
        select(&Partition::ALL[..]).prop_flat_map(|partition| {
            let code = string_regex(&partition.region_pattern()).expect("a regular expression");
            (Just(partition), code)
        })
    }

    /// One ARN of each kind in the same account and Region.
    fn arns() -> impl Strategy<Value = [String; 4]> {
        let path = string_regex(&format!("({PATH_SEGMENT_PATTERN}/){{0,3}}"));
        let path = path.expect("a regular expression");
        (region(), "[0-9]{12}", "[a-zA-Z0-9_.-]{1,64}", "[a-zA-Z0-9-]{1,128}", path).prop_map(
            |((partition, region), account, name, key, path)| {
                [
                    format!("arn:{partition}:kinesis:{region}:{account}:stream/{name}"),
                    format!("arn:{partition}:firehose:{region}:{account}:deliverystream/{name}"),
                    format!("arn:{partition}:kms:{region}:{account}:key/{key}"),
                    format!("arn:{partition}:iam::{account}:policy/{path}{name}"),
                ]
            },
        )
    }

    fn printed(text: &str) -> [Option<String>; 4] {
        [
            StreamArn::parse_kinesis(text).ok().map(|arn| arn.to_string()),
            StreamArn::parse_firehose(text).ok().map(|arn| arn.to_string()),
            KeyArn::parse(text).ok().map(|arn| arn.to_string()),
            PolicyArn::parse(text).ok().map(|arn| arn.to_string()),
        ]
    }

    proptest! {
        #[test]
        fn an_arn_prints_as_it_was_written_and_is_of_one_kind(arns in arns()) {
            for (kind, arn) in arns.into_iter().enumerate() {
                let mut expected = [None, None, None, None];
                expected[kind] = Some(arn.clone());
                prop_assert_eq!(printed(&arn), expected);
            }
        }

        #[test]
        fn a_region_of_another_partition_is_refused(
            (partition, _) in region(), (other, code) in region(), account in "[0-9]{12}",
        ) {
            let arn = format!("arn:{partition}:kinesis:{code}:{account}:stream/a");
            prop_assert_eq!(StreamArn::parse_kinesis(&arn).is_ok(), partition == other);
        }

        #[test]
        fn a_wildcard_a_variable_or_white_space_anywhere_is_refused(
            arns in arns(), at in any::<prop::sample::Index>(), intruder in select(&["*", "?", "$", "{", "}", " ", "\n", "\0", "\u{e9}", "${a}"][..]),
        ) {
            for arn in arns {
                let mut arn = arn;
                arn.insert_str(at.index(arn.len() + 1), intruder);
                prop_assert_eq!(printed(&arn), [None, None, None, None], "{:?}", arn);
            }
        }

        #[test]
        fn any_text_is_refused_or_prints_as_it_was_written(
            text in "(arn:(aws|aws-cn|aws-iso|.{0,4}):(kinesis|firehose|kms|iam|.{0,4}):(us-east-1|cn-north-1|.{0,9}):([0-9]{12}|aws|.{0,9}):(stream/|deliverystream/|key/|policy/|.{0,9}).{0,9})|.{0,20}",
        ) {
            for again in printed(&text).into_iter().flatten() {
                prop_assert_eq!(&again, &text);
                let special = again.contains(['*', '?', '$', '{', '}', ' ']);
                prop_assert!(!special);
            }
        }
    }
}
