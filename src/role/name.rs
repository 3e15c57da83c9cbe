//! Role names and paths as IAM accepts them (IAM API reference, `CreateRole`), and the name that a
//! resource gets when it asks for none.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::policy::{AccountId, InvalidIdentifier, is_plain_path};

const LONGEST_NAME: usize = 64;
/// Hexadecimal digits of the hash in a shortened default name. With 96 bits, an author cannot find a second
/// namespace and name that lead to the name of another resource's role.
const HASH_DIGITS: usize = 24;
/// The same in versions up to 0.1. Roles that were created under such a name keep it.
const FORMER_HASH_DIGITS: usize = 8;

/// Which role of all accounts. The only identity of a role: two resources that declare the same key declare the same
/// role.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RoleKey {
    /// The account that the role is in.
    pub account: AccountId,
    /// Name of the role in lower case.
    pub name: String,
}

/// The name of an IAM role. Two names that differ only by case name one role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleName(String);

impl RoleName {
    /// Parses 1 to 64 characters of `[\w+=,.@-]`.
    ///
    /// # Errors
    /// When `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let fits = (1..=LONGEST_NAME).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(InvalidIdentifier::new(
                text,
                "a role name of 1 to 64 letters, digits and any of _+=,.@-",
            ))
        }
    }

    /// The name for a resource that declares none: `<namespace>-<name>`. A name longer than IAM allows is cut and
    /// ends in a hash of the whole, so that two long names stay apart.
    ///
    /// # Errors
    /// When namespace and name are not those of a Kubernetes object.
    pub fn default_for(namespace: &str, name: &str) -> Result<Self, InvalidIdentifier> {
        Self::shortened(namespace, name, HASH_DIGITS)
    }

    /// The default name by the rule of versions up to 0.1, whose hash was shorter.
    ///
    /// # Errors
    /// When namespace and name are not those of a Kubernetes object.
    pub fn former_default_for(namespace: &str, name: &str) -> Result<Self, InvalidIdentifier> {
        Self::shortened(namespace, name, FORMER_HASH_DIGITS)
    }

    fn shortened(namespace: &str, name: &str, digits: usize) -> Result<Self, InvalidIdentifier> {
        let whole = format!("{namespace}-{name}");
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

    /// The same for all names that IAM takes for this one.
    #[must_use]
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
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
    /// Parses `/`, or up to 512 characters that begin and end with `/`. Narrower than IAM, which takes any
    /// printable ASCII: what a policy reads as a wildcard or a variable is refused, and so are empty segments.
    ///
    /// # Errors
    /// When `text` is anything else, or is IAM's own path for service-linked roles.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        if !(text == "/" || (text.len() <= 512 && inner.is_some_and(is_plain_path))) {
            return Err(InvalidIdentifier::new(
                text,
                "a path: /, or up to 512 characters that begin and end with / and hold no spaces, no // and none of *?${}, as in /streaming/",
            ));
        }
        // IAM API reference, `CreateServiceLinkedRole`: only that call makes roles there.
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

    #[test]
    fn a_resource_without_a_role_name_gets_one_from_its_namespace_and_name() {
        let name = RoleName::default_for("marketing", "app-events");
        assert_eq!(name.as_ref().map(RoleName::as_str), Ok("marketing-app-events"));
    }

    #[test]
    fn long_names_are_cut_to_what_iam_allows_and_stay_apart() {
        let long = "n".repeat(63);
        let names: Vec<_> = ["a.first", "a.second"]
            .into_iter()
            .map(|name| RoleName::default_for(&long, name).map(|n| n.as_str().to_owned()))
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
        assert_eq!(hash(RoleName::default_for(&namespace, name)), Some(24));
        assert_eq!(hash(RoleName::former_default_for(&namespace, name)), Some(8));
    }

    #[test]
    fn names_and_paths_that_iam_would_refuse_are_refused() {
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
