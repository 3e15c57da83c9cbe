//! The identifiers in policy documents, parsed once at the boundary of the program. Inside, an ARN of the wrong
//! service, a short account id or an unknown partition cannot exist. The shapes are those of the AWS Service
//! Authorization Reference ("Resource types" of Kinesis, Firehose, KMS and IAM).

use std::fmt;

use thiserror::Error;

/// Why a string is not the expected identifier. The message states what was expected.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{seen:?} is not {expected}")]
pub struct InvalidIdentifier {
    /// The string, shortened.
    pub seen: String,
    /// The expected form, with an example.
    pub expected: String,
}

impl InvalidIdentifier {
    pub(crate) fn new(seen: &str, expected: impl Into<String>) -> Self {
        Self { seen: seen.chars().take(200).collect(), expected: expected.into() }
    }
}

/// A group of Regions with its own accounts and ARNs.
///
/// Source: `partitions.json` of the AWS SDKs, version 1.1, as `aws-sdk-iam` 1.133.0 embeds it in `src/endpoint_lib.rs`.
/// It is private there, so this file repeats its `id`, `dnsSuffix` and `regionRegex`. The unit test
/// `every_region_of_the_sdk_is_in_its_partition` checks this against the Regions in that file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Partition {
    /// The commercial Regions.
    Aws,
    /// The Regions in China.
    AwsCn,
    /// AWS European Sovereign Cloud.
    AwsEusc,
    /// AWS ISO (US).
    AwsIso,
    /// AWS ISOB (US).
    AwsIsoB,
    /// AWS ISOE (Europe).
    AwsIsoE,
    /// AWS ISOF.
    AwsIsoF,
    /// AWS `GovCloud` (US).
    AwsUsGov,
}

impl Partition {
    /// All partitions.
    pub const ALL: [Self; 8] = [
        Self::Aws,
        Self::AwsCn,
        Self::AwsEusc,
        Self::AwsIso,
        Self::AwsIsoB,
        Self::AwsIsoE,
        Self::AwsIsoF,
        Self::AwsUsGov,
    ];

    /// The partition as it appears in ARNs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsEusc => "aws-eusc",
            Self::AwsIso => "aws-iso",
            Self::AwsIsoB => "aws-iso-b",
            Self::AwsIsoE => "aws-iso-e",
            Self::AwsIsoF => "aws-iso-f",
            Self::AwsUsGov => "aws-us-gov",
        }
    }

    /// The suffix of the partition's host names, which some service principals carry.
    #[must_use]
    pub const fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsEusc => "amazonaws.eu",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
        }
    }

    /// The parts of a Region's code before its last two parts.
    const fn areas(self) -> &'static [&'static str] {
        match self {
            Self::Aws => &["us", "eu", "ap", "sa", "ca", "me", "af", "il", "mx"],
            Self::AwsCn => &["cn"],
            Self::AwsEusc => &["eusc-de"],
            Self::AwsIso => &["us-iso"],
            Self::AwsIsoB => &["us-isob"],
            Self::AwsIsoE => &["eu-isoe"],
            Self::AwsIsoF => &["us-isof"],
            Self::AwsUsGov => &["us-gov"],
        }
    }

    /// The regular expression, without anchors, for the Region codes of this partition. The schema's rules are built
    /// from it. It is narrower than AWS's, which accepts any `\w+` and any number.
    #[must_use]
    pub fn region_pattern(self) -> String {
        format!("({})-[a-z]+-[1-9][0-9]?", self.areas().join("|"))
    }

    /// Whether `code` matches [`Self::region_pattern`].
    fn has_region(self, code: &str) -> bool {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
        let is_number = |number: &str| {
            (1..=2).contains(&number.len())
                && number.bytes().all(|b| b.is_ascii_digit())
                && !number.starts_with('0')
        };
        self.areas().iter().any(|area| {
            code.strip_prefix(area)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|rest| rest.split_once('-'))
                .is_some_and(|(word, number)| is_word(word) && is_number(number))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.as_str() == text)
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
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region {
    partition: Partition,
    code: String,
}

impl Region {
    /// Parses a Region code such as `us-east-1`. A code that has the shape of a partition's codes is accepted even if
    /// no Region has it yet, so a new Region does not need a release.
    ///
    /// # Errors
    /// When `text` does not have the shape of a Region code.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        Partition::ALL
            .into_iter()
            .find(|partition| partition.has_region(text))
            .map(|partition| Self { partition, code: text.into() })
            .ok_or_else(|| {
                InvalidIdentifier::new(text, "the code of an AWS Region, as in us-east-1")
            })
    }

    /// The partition that the Region belongs to.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.partition
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
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
            let (path, name) = match path_and_name.rsplit_once('/') {
                Some((path, name)) => (Some(path), name),
                None => (None, path_and_name),
            };
            let fits = arn.service == "iam"
                && arn.region.is_empty()
                && (arn.account == "aws" || AccountId::parse(arn.account).is_ok())
                && path.is_none_or(is_plain_path)
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

/// The characters of a path between two slashes: printable ASCII without `*` and `?`, which are wildcards in a policy,
/// and without `$`, `{` and `}`, which form variables. IAM itself accepts all of them.
pub const PATH_SEGMENT_PATTERN: &str = "[!-#%-)+-.0->@-z|~]+";

/// Whether each segment of `path`, without its outer slashes, matches [`PATH_SEGMENT_PATTERN`].
#[must_use]
pub fn is_plain_path(path: &str) -> bool {
    path.split('/').all(|segment| {
        !segment.is_empty()
            && segment.bytes().all(|b| b.is_ascii_graphic() && !b"*?${}".contains(&b))
    })
}

/// The six parts of an ARN (AWS General Reference, "Amazon Resource Names"). Each caller checks the parts; here only
/// the partition is checked.
pub(crate) struct Arn<'a> {
    pub(crate) partition: Partition,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) resource: &'a str,
}

impl<'a> Arn<'a> {
    pub(crate) fn split(text: &'a str) -> Option<Self> {
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

    /// The Region, unless it belongs to another partition.
    pub(crate) fn region_of_partition(&self) -> Option<Region> {
        Region::parse(self.region).ok().filter(|region| region.partition() == self.partition)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::string::string_regex;

    use super::*;

    #[test]
    fn an_invalid_identifier_is_rejected_with_what_was_expected() {
        let refused = [
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

    #[test]
    fn every_region_of_the_sdk_is_in_its_partition() {
        // `regions` in the SDK's partitions.json; its `…-global` entries are endpoints, not Regions.
        let table: [(Partition, &[&str]); 8] = [
            (
                Partition::Aws,
                &[
                    "af-south-1",
                    "ap-east-1",
                    "ap-east-2",
                    "ap-northeast-1",
                    "ap-northeast-2",
                    "ap-northeast-3",
                    "ap-south-1",
                    "ap-south-2",
                    "ap-southeast-1",
                    "ap-southeast-2",
                    "ap-southeast-3",
                    "ap-southeast-4",
                    "ap-southeast-5",
                    "ap-southeast-6",
                    "ap-southeast-7",
                    "ca-central-1",
                    "ca-west-1",
                    "eu-central-1",
                    "eu-central-2",
                    "eu-north-1",
                    "eu-south-1",
                    "eu-south-2",
                    "eu-west-1",
                    "eu-west-2",
                    "eu-west-3",
                    "il-central-1",
                    "me-central-1",
                    "me-south-1",
                    "mx-central-1",
                    "sa-east-1",
                    "us-east-1",
                    "us-east-2",
                    "us-west-1",
                    "us-west-2",
                ],
            ),
            (Partition::AwsCn, &["cn-north-1", "cn-northwest-1"]),
            (Partition::AwsEusc, &["eusc-de-east-1"]),
            (Partition::AwsIso, &["us-iso-east-1", "us-iso-west-1"]),
            (Partition::AwsIsoB, &["us-isob-east-1", "us-isob-west-1"]),
            (Partition::AwsIsoE, &["eu-isoe-west-1"]),
            (Partition::AwsIsoF, &["us-isof-east-1", "us-isof-south-1"]),
            (Partition::AwsUsGov, &["us-gov-east-1", "us-gov-west-1"]),
        ];
        for (partition, regions) in table {
            for region in regions {
                let parsed = Region::parse(region);
                assert_eq!(
                    parsed.map(|r| (r.partition(), r.to_string())),
                    Ok((partition, (*region).to_owned()))
                );
            }
        }
    }

    #[test]
    fn region_look_alikes_are_rejected() {
        for code in [
            "",
            "-",
            "us-east",
            "111122223333",
            "us-east-1a",
            "US-EAST-1",
            "us_east_1",
            "us-east-",
            "us--1",
            "us-east-0",
            "us-east-01",
            "us-east-111",
            "aws-global",
            "moon-east-1",
            "us-iso-1-1",
            "*",
            "us-*-1",
            "eusc-east-1",
            "us-gov-west",
            "us-east-1\n",
        ] {
            assert!(Region::parse(code).is_err(), "{code:?} should be refused");
        }
    }

    /// A Region by its partition's pattern, from which the schema's rules are built.
    fn region() -> impl Strategy<Value = (Partition, String)> {
        select(&Partition::ALL[..]).prop_flat_map(|partition| {
            let code = string_regex(&partition.region_pattern()).expect("a regular expression");
            (Just(partition), code)
        })
    }

    proptest! {
        #[test]
        fn a_region_by_the_pattern_is_of_that_partition_alone((partition, code) in region()) {
            let parsed = Region::parse(&code);
            prop_assert_eq!(parsed.map(|r| (r.partition(), r.to_string())), Ok((partition, code.clone())));
            let having = Partition::ALL.into_iter().filter(|partition| partition.has_region(&code));
            prop_assert_eq!(having.count(), 1);
        }

    }
}
