//! Role names and paths as IAM accepts them (IAM API reference, `CreateRole`), and the default name of a role.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::policy::{AccountId, InvalidIdentifier, Partition, is_plain_path};

const LONGEST_NAME: usize = 64;
/// Hexadecimal digits of the hash in a shortened default name. With 96 bits, no author can find a second namespace and
/// name that produce the role name of another resource.
const HASH_DIGITS: usize = 24;
/// The same in versions up to 0.1. Roles that were created under such a name keep it.
const FORMER_HASH_DIGITS: usize = 8;
/// The longest prefix: it leaves 7 characters besides the hash for namespace and name.
const LONGEST_PREFIX: usize = 32;

/// The prefix of all default role names; can be empty.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RoleNamePrefix(String);

impl RoleNamePrefix {
    /// Parses up to 32 characters of `[\w+=,.@-]`.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        if text.len() <= LONGEST_PREFIX && text.bytes().all(is_of_a_name) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::new(
                text,
                "the beginning of a role name: up to 32 letters, digits and any of _+=,.@-",
            ))
        }
    }
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}

/// The identity of a role across accounts. Two resources that declare the same key declare the same role.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RoleKey {
    /// The account that the role is in.
    pub account: AccountId,
    /// Name of the role in lower case.
    pub name: String,
}

/// The name of an IAM role. Names that differ only in case name the same role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleName(String);

impl RoleName {
    /// Parses 1 to 64 characters of `[\w+=,.@-]`.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_of_a_name) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::new(
                text,
                "a role name of 1 to 64 letters, digits and any of _+=,.@-",
            ))
        }
    }

    /// The default name of a resource's role: `<prefix><namespace>-<name>`. A name longer than IAM allows is cut and
    /// ends in a hash of namespace and name, so that two long names differ.
    ///
    /// # Errors
    /// When namespace and name are not those of a Kubernetes object.
    pub fn default_for(
        prefix: &RoleNamePrefix,
        namespace: &str,
        name: &str,
    ) -> Result<Self, InvalidIdentifier> {
        Self::shortened(prefix, namespace, name, HASH_DIGITS)
    }

    /// Whether this name is or was the default for that resource. Matches the present rule under any prefix, and the
    /// rule of versions up to 0.1, which had a shorter hash and no prefix.
    #[must_use]
    pub fn is_a_default_for(&self, namespace: &str, name: &str) -> bool {
        let by_the_former_rule = || {
            Self::shortened(&RoleNamePrefix::default(), namespace, name, FORMER_HASH_DIGITS)
                .as_ref()
                == Ok(self)
        };
        let under_a_prefix = |length: usize| {
            let prefix = self.0.get(..length).map(RoleNamePrefix::parse);
            let Some(Ok(prefix)) = prefix else { return false };
            Self::default_for(&prefix, namespace, name).as_ref() == Ok(self)
        };
        by_the_former_rule() || (0..=LONGEST_PREFIX).any(under_a_prefix)
    }

    fn shortened(
        prefix: &RoleNamePrefix,
        namespace: &str,
        name: &str,
        digits: usize,
    ) -> Result<Self, InvalidIdentifier> {
        let whole = format!("{}{namespace}-{name}", prefix.0);
        if whole.len() <= LONGEST_NAME {
            return Self::parse(&whole);
        }
        let digest = Sha256::digest(format!("{namespace}/{name}").as_bytes());
        let mut hash = String::new();
        for byte in digest.iter().take(digits / 2) {
            // Writing to a String cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        let head: String = whole.chars().take(LONGEST_NAME - digits - 1).collect();
        Self::parse(&format!("{head}-{hash}"))
    }

    /// The name as declared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of this role in an account; equal for all names that IAM treats as this one.
    #[must_use]
    pub fn in_account(&self, account: &AccountId) -> RoleKey {
        RoleKey { account: account.clone(), name: self.0.to_ascii_lowercase() }
    }

    /// The ARN of the role of this name (IAM user guide, "IAM identifiers").
    #[must_use]
    pub fn arn(&self, partition: Partition, account: &AccountId, path: &str) -> String {
        format!("arn:{partition}:iam::{account}:role{path}{self}")
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The path of an IAM role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RolePath(String);

impl RolePath {
    /// Parses `/`, or up to 512 characters that begin and end with `/`. IAM accepts any printable ASCII. This is
    /// narrower: it rejects what a policy reads as a wildcard or a variable, and empty segments.
    ///
    /// # Errors
    /// When `text` is anything else, or is the path that IAM reserves for service-linked roles.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        if !(text == "/" || (text.len() <= 512 && inner.is_some_and(is_plain_path))) {
            return Err(InvalidIdentifier::new(
                text,
                "a path: /, or up to 512 characters that begin and end with / and hold no spaces, no // and none of *?${}, as in /streaming/",
            ));
        }
        // IAM API reference, `CreateServiceLinkedRole`: only that call creates roles there.
        let first = inner.and_then(|inner| inner.split('/').next());
        if first.is_some_and(|first| first.eq_ignore_ascii_case("aws-service-role")) {
            return Err(InvalidIdentifier::new(
                text,
                "a path for a role of your own: IAM keeps /aws-service-role/ for service-linked roles; use another, as in /streaming/",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The path as declared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(prefix: &str) -> RoleNamePrefix {
        RoleNamePrefix::parse(prefix).unwrap_or_else(|error| panic!("{error}"))
    }

    fn former_default_for(namespace: &str, name: &str) -> Result<RoleName, InvalidIdentifier> {
        RoleName::shortened(&prefixed(""), namespace, name, FORMER_HASH_DIGITS)
    }

    #[test]
    fn a_prefix_can_start_a_name_and_leaves_room_for_the_rest() {
        for prefix in ["has space", "a/b", "snø", &"p".repeat(33)] {
            assert!(RoleNamePrefix::parse(prefix).is_err(), "{prefix:?}");
        }
        let longest = prefixed(&"p".repeat(32));
        for name in ["events", &"n".repeat(60)] {
            let name = RoleName::default_for(&longest, &"s".repeat(63), name);
            assert!(name.is_ok_and(|name| name.as_str().len() == 64));
        }
    }

    #[test]
    fn default_names_are_recognized_under_each_prefix_and_the_former_rule() {
        let long = "n".repeat(63);
        for (namespace, name) in [("ns", "events"), (&*long, "events"), ("ns", &*long)] {
            for prefix in ["", "p", "prod-", &"p".repeat(32)] {
                let default = RoleName::default_for(&prefixed(prefix), namespace, name);
                let default = default.unwrap_or_else(|error| panic!("{error}"));
                assert!(default.is_a_default_for(namespace, name), "{default}");
                assert!(!default.is_a_default_for(namespace, "other"), "{default}");
            }
            let former = former_default_for(namespace, name).unwrap_or_else(|e| panic!("{e}"));
            assert!(former.is_a_default_for(namespace, name), "{former}");
        }
        let other = RoleName::parse("other-role").unwrap_or_else(|error| panic!("{error}"));
        assert!(!other.is_a_default_for("ns", "events"));
    }

    #[test]
    fn a_resource_without_a_role_name_gets_one_from_its_namespace_and_name() {
        for (prefix, expected) in
            [("", "marketing-app-events"), ("prod-", "prod-marketing-app-events")]
        {
            let name = RoleName::default_for(&prefixed(prefix), "marketing", "app-events");
            assert_eq!(name.as_ref().map(RoleName::as_str), Ok(expected));
        }
    }

    #[test]
    fn long_names_are_truncated_to_iams_limit_and_stay_distinct() {
        let long = "n".repeat(63);
        let names: Vec<_> = ["a.first", "a.second"]
            .into_iter()
            .map(|name| {
                RoleName::default_for(&prefixed(""), &long, name).map(|n| n.as_str().to_owned())
            })
            .collect();
        assert!(names.iter().all(|name| name.as_ref().is_ok_and(|n| n.len() == 64)), "{names:?}");
        assert_ne!(names.first(), names.last());
    }

    #[test]
    fn a_shortened_name_ends_in_96_bits_of_hash_and_the_former_one_in_32() {
        let (namespace, name) = ("n".repeat(63), "events");
        let hash = |name: Result<RoleName, InvalidIdentifier>| {
            name.ok().and_then(|name| Some(name.as_str().rsplit_once('-')?.1.len()))
        };
        assert_eq!(hash(RoleName::default_for(&prefixed(""), &namespace, name)), Some(24));
        assert_eq!(hash(former_default_for(&namespace, name)), Some(8));
    }

    #[test]
    fn names_and_paths_that_iam_rejects_are_rejected() {
        for name in ["", "has space", "semi;colon", "snøhvit", &"x".repeat(65)] {
            assert!(RoleName::parse(name).is_err(), "{name:?} should be refused");
        }
        for path in [
            "",
            "x",
            "/x",
            "x/",
            "//",
            "//x/",
            "/x//",
            "/x//y/",
            "/has space/",
            "/x*/",
            "/x?/",
            "/${aws:username}/",
            "/x\n/",
            "/aws-service-role/",
            "/AWS-service-role/a.amazonaws.com/",
            &format!("/{}/", "x".repeat(511)),
        ] {
            assert!(RolePath::parse(path).is_err(), "{path:?} should be refused");
        }
        for path in ["/", "/x/", "/x/y/", "/aws-service-roles/", "/x/aws-service-role/"] {
            assert!(RolePath::parse(path).is_ok(), "{path:?} should be accepted");
        }
    }
}
