//! The identifiers of event destinations and of the keys that encrypt them, parsed once at the boundary of the program.
//! The shapes are those of the AWS Service Authorization Reference ("Resource types" of Kinesis, Firehose, CloudWatch
//! Logs, SNS and KMS).

use std::fmt;

use crate::policy::{AccountId, Arn, InvalidIdentifier, Partition, Region};

/// The kind of destination that receives the events.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DestinationKind {
    /// A Kinesis data stream.
    Kinesis,
    /// A Firehose stream.
    Firehose,
    /// A log group of CloudWatch Logs.
    LogGroup,
    /// A standard SNS topic.
    SnsTopic,
}

/// The form of the ARNs of one kind of destination.
struct Form {
    /// The namespace of the service.
    service: &'static str,
    /// The resource before the name.
    prefix: &'static str,
    /// The characters of a name besides letters and digits.
    punctuation: &'static str,
    /// The longest name.
    longest: usize,
    /// The kind, with its limits.
    what: &'static str,
    /// An ARN.
    example: &'static str,
}

impl DestinationKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Kinesis, Self::Firehose, Self::LogGroup, Self::SnsTopic];

    /// The field below `spec.destination` that holds the ARN.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesisStreamArn",
            Self::Firehose => "firehoseDeliveryStreamArn",
            Self::LogGroup => "logGroupArn",
            Self::SnsTopic => "snsTopicArn",
        }
    }

    /// The kind in a sentence, with its article.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Kinesis => "a Kinesis data stream",
            Self::Firehose => "a Firehose stream",
            Self::LogGroup => "a log group",
            Self::SnsTopic => "an SNS topic",
        }
    }

    /// Whose ARN is expected, as in `a Kinesis data stream`, with the limits of the kind.
    #[must_use]
    pub const fn what(self) -> &'static str {
        self.form().what
    }

    /// An ARN of this kind.
    #[must_use]
    pub const fn example(self) -> &'static str {
        self.form().example
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Kinesis => "kinesis",
            Self::Firehose => "firehose",
            Self::LogGroup => "logs",
            Self::SnsTopic => "sns",
        }
    }

    const fn form(self) -> Form {
        match self {
            Self::Kinesis => Form {
                service: "kinesis",
                prefix: "stream/",
                punctuation: "_.-",
                longest: 128,
                what: "a Kinesis data stream",
                example: "arn:aws:kinesis:us-east-1:111122223333:stream/app-events",
            },
            Self::Firehose => Form {
                service: "firehose",
                prefix: "deliverystream/",
                punctuation: "_.-",
                longest: 64,
                what: "a Firehose stream",
                example: "arn:aws:firehose:us-east-1:111122223333:deliverystream/app-events",
            },
            Self::LogGroup => Form {
                service: "logs",
                prefix: "log-group:",
                punctuation: "_./#-",
                longest: 512,
                what: "a log group without :* at its end",
                example: "arn:aws:logs:us-east-1:111122223333:log-group:app-events",
            },
            Self::SnsTopic => Form {
                service: "sns",
                prefix: "",
                punctuation: "_-",
                longest: 256,
                what: "a standard SNS topic",
                example: "arn:aws:sns:us-east-1:111122223333:app-events",
            },
        }
    }

    /// The service's namespace in the ARN, and the regular expression, without anchors, for the ARN's resource.
    #[must_use]
    pub fn pattern(self) -> (&'static str, String) {
        let Form { service, prefix, punctuation, longest, .. } = self.form();
        (service, format!("{prefix}[a-zA-Z0-9{punctuation}]{{1,{longest}}}"))
    }
}

/// The ARN of a destination that a service can send events to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DestinationArn {
    arn: String,
    kind: DestinationKind,
    region: Region,
    account: AccountId,
    name: String,
}

impl DestinationArn {
    /// Parses the ARN of a destination of this kind, as in `arn:<partition>:kinesis:<region>:<account>:stream/<name>`.
    ///
    /// # Errors
    /// When `text` is not such an ARN.
    pub fn parse(kind: DestinationKind, text: &str) -> Result<Self, InvalidIdentifier> {
        Self::parsed(kind, text).ok_or_else(|| {
            let Form { what, example, .. } = kind.form();
            let expected =
                format!("the ARN of {what} in a Region of its partition, as in {example}");
            InvalidIdentifier::new(text, expected)
        })
    }

    /// The destination whose ARN a statement names as its resource, if it is one of a known kind.
    pub(super) fn of_resource(text: &str) -> Option<Self> {
        DestinationKind::ALL.into_iter().find_map(|kind| {
            let text = match kind {
                DestinationKind::LogGroup => text.strip_suffix(":*")?,
                DestinationKind::Kinesis
                | DestinationKind::Firehose
                | DestinationKind::SnsTopic => text,
            };
            Self::parsed(kind, text)
        })
    }

    fn parsed(kind: DestinationKind, text: &str) -> Option<Self> {
        let Form { service, prefix, punctuation, longest, .. } = kind.form();
        let arn = Arn::split(text)?;
        let name = arn.resource.strip_prefix(prefix)?;
        let fits = arn.service == service
            && (1..=longest).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || punctuation.as_bytes().contains(&b));
        fits.then_some(())?;
        Some(Self {
            arn: text.into(),
            kind,
            region: arn.region_of_partition()?,
            account: AccountId::parse(arn.account).ok()?,
            name: name.into(),
        })
    }

    /// Which kind of destination it is.
    #[must_use]
    pub const fn kind(&self) -> DestinationKind {
        self.kind
    }

    /// The partition of the destination.
    #[must_use]
    pub const fn partition(&self) -> Partition {
        self.region.partition()
    }

    /// The Region of the destination.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The account of the destination.
    #[must_use]
    pub const fn account(&self) -> &AccountId {
        &self.account
    }

    /// The name at the end of the ARN.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The destination, shortened for people, as in `kinesis/<stream>`.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}/{}", self.kind.label(), self.name)
    }

    /// The resource of the statement that allows to write to the destination. In a log group, events go to its log
    /// streams.
    pub(super) fn resource(&self) -> String {
        match self.kind {
            DestinationKind::LogGroup => format!("{}:*", self.arn),
            DestinationKind::Kinesis | DestinationKind::Firehose | DestinationKind::SnsTopic => {
                self.arn.clone()
            }
        }
    }
}

impl fmt::Display for DestinationArn {
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
            let arn = DestinationArn::parse(DestinationKind::Kinesis, &text);
            assert_eq!(
                arn.as_ref().map(|a| (
                    a.partition(),
                    a.region().to_string(),
                    a.account().to_string(),
                    a.label()
                )),
                Ok((
                    partition,
                    region.to_owned(),
                    "111122223333".to_owned(),
                    "kinesis/app_1.x-y".to_owned()
                )),
            );
            assert_eq!(Region::parse(region).map(|r| r.partition()), Ok(partition));
        }
    }

    #[test]
    fn an_arn_of_another_kind_is_rejected_with_what_was_expected() {
        use DestinationKind::{Firehose, Kinesis, LogGroup, SnsTopic};
        for (expected, kind, text) in [
            ("Kinesis data stream", Kinesis, ""),
            ("Kinesis data stream", Kinesis, "arn:aws:kinesis:us-east-1:1111:stream/a"),
            ("Kinesis data stream", Kinesis, Firehose.example()),
            ("Kinesis data stream", Kinesis, "arn:aws:kinesis:us-east-1:111122223333:stream/"),
            ("Kinesis data stream", Kinesis, "arn:aws:kinesis:us-east-1:111122223333:stream/*"),
            ("Region of its", Kinesis, "arn:aws-iso:kinesis:us-isob-east-1:111122223333:stream/a"),
            ("Firehose stream", Firehose, "arn:aws:firehose:us-east-1:111122223333:stream/a"),
            ("without :*", LogGroup, "arn:aws:logs:us-east-1:111122223333:log-group:a:*"),
            ("standard SNS topic", SnsTopic, "arn:aws:sns:us-east-1:111122223333:a.fifo"),
        ] {
            let error = DestinationArn::parse(kind, text).expect_err(text).to_string();
            assert!(error.contains(expected), "expected {expected}, got {error:?}");
        }
        let error = KeyArn::parse("arn:aws:kms:us-east-1:111122223333:alias/a").expect_err("alias");
        assert!(error.to_string().contains("KMS key"), "{error}");
    }

    /// A Region by its partition's pattern, from which the schema's rules are built.
    fn region() -> impl Strategy<Value = (Partition, String)> {
        select(&Partition::ALL[..]).prop_flat_map(|partition| {
            let code = string_regex(&partition.region_pattern()).expect("a regular expression");
            (Just(partition), code)
        })
    }

    /// One ARN of each kind in the same account and Region.
    fn arns() -> impl Strategy<Value = [String; 6]> {
        let path = string_regex(&format!("({PATH_SEGMENT_PATTERN}/){{0,3}}"));
        let path = path.expect("a regular expression");
        let names = DestinationKind::ALL.map(|kind| {
            let (service, resource) = kind.pattern();
            let resource = string_regex(&resource).expect("a regular expression");
            resource.prop_map(move |resource| (service, resource))
        });
        let own = ("[a-zA-Z0-9-]{1,128}", path, "[a-zA-Z0-9_+=,.@-]{1,128}");
        (region(), "[0-9]{12}", names, own).prop_map(
            |((partition, region), account, [a, b, c, d], (key, path, policy))| {
                let at = |(service, resource): (&str, String)| {
                    format!("arn:{partition}:{service}:{region}:{account}:{resource}")
                };
                let key = at(("kms", format!("key/{key}")));
                let policy = format!("arn:{partition}:iam::{account}:policy/{path}{policy}");
                [at(a), at(b), at(c), at(d), key, policy]
            },
        )
    }

    fn printed(text: &str) -> [Option<String>; 6] {
        let [a, b, c, d] = DestinationKind::ALL
            .map(|kind| DestinationArn::parse(kind, text).ok().map(|arn| arn.to_string()));
        let key = KeyArn::parse(text).ok().map(|arn| arn.to_string());
        [a, b, c, d, key, PolicyArn::parse(text).ok().map(|arn| arn.to_string())]
    }

    proptest! {
        #[test]
        fn an_arn_prints_as_it_was_written_and_is_of_one_kind(arns in arns()) {
            for (kind, arn) in arns.into_iter().enumerate() {
                let mut expected = [const { None }; 6];
                expected[kind] = Some(arn.clone());
                prop_assert_eq!(printed(&arn), expected);
            }
        }

        #[test]
        fn a_region_of_another_partition_is_refused(
            (partition, _) in region(), (other, code) in region(), account in "[0-9]{12}",
        ) {
            let arn = format!("arn:{partition}:kinesis:{code}:{account}:stream/a");
            prop_assert_eq!(DestinationArn::parse(DestinationKind::Kinesis, &arn).is_ok(), partition == other);
        }

        #[test]
        fn a_wildcard_a_variable_or_white_space_anywhere_is_refused(
            arns in arns(), at in any::<prop::sample::Index>(), intruder in select(&["*", "?", "$", "{", "}", " ", "\n", "\0", "\u{e9}", "${a}"][..]),
        ) {
            for arn in arns {
                let mut arn = arn;
                arn.insert_str(at.index(arn.len() + 1), intruder);
                prop_assert_eq!(printed(&arn), [const { None }; 6], "{:?}", arn);
            }
        }

        #[test]
        fn any_text_is_refused_or_prints_as_it_was_written(
            text in "(arn:(aws|aws-cn|aws-iso|.{0,4}):(kinesis|firehose|logs|sns|kms|iam|.{0,4}):(us-east-1|cn-north-1|.{0,9}):([0-9]{12}|aws|.{0,9}):(stream/|deliverystream/|log-group:|key/|policy/|.{0,9}).{0,9})|.{0,20}",
        ) {
            for again in printed(&text).into_iter().flatten() {
                prop_assert_eq!(&again, &text);
                let special = again.contains(['*', '?', '$', '{', '}', ' ']);
                prop_assert!(!special);
            }
        }
    }
}
