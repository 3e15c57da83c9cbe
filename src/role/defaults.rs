//! The controller's defaults for every role: the prefix of default names, and tags. The values are checked once at
//! startup, by the rules of the corresponding fields.

use std::collections::BTreeMap;

use thiserror::Error;

use super::name::RoleNamePrefix;
use super::tag_key::{self, InvalidKeys};

/// The most tags on a role besides ownership tags: IAM allows 50, and four are reserved for ownership.
pub const MAX_TAGS: usize = 46;
/// The longest key and value of a tag that IAM accepts.
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// The controller's defaults for every role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Defaults {
    /// The prefix of all default role names.
    pub role_name_prefix: RoleNamePrefix,
    /// Tags on every role whose resource does not declare the same key.
    pub tags: DefaultTags,
}

/// Tags on every role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DefaultTags(BTreeMap<String, String>);

/// Why these tags cannot be the default tags.
#[derive(Debug, Error)]
pub enum InvalidTags {
    /// A key that IAM does not accept.
    #[error("{0:?} is not a key: it must be 1 to 128 letters, digits, spaces and any of _.:/=+@-")]
    Key(String),
    /// A value that IAM does not accept.
    #[error("the value of {0:?} must be at most 256 letters, digits, spaces and any of _.:/=+@-")]
    Value(String),
    /// A key occurs twice.
    #[error("the key {0:?} is given twice")]
    Twice(String),
    /// Keys that no resource can declare either.
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
    /// More tags than a role can have.
    #[error("{0} are given, and a role can have {MAX_TAGS} besides those of ownership")]
    TooMany(usize),
}

impl DefaultTags {
    /// Parses tags by the rules for declared tags.
    ///
    /// # Errors
    /// When a tag breaks a rule.
    pub fn new(tags: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidTags> {
        let mut all = BTreeMap::new();
        for (key, value) in tags {
            if !fits(&key, 1..=LONGEST_KEY) {
                return Err(InvalidTags::Key(key));
            }
            if !fits(&value, 0..=LONGEST_VALUE) {
                return Err(InvalidTags::Value(key));
            }
            if all.contains_key(&key) {
                return Err(InvalidTags::Twice(key));
            }
            all.insert(key, value);
        }
        tag_key::check(&all)?;
        if all.len() > MAX_TAGS {
            return Err(InvalidTags::TooMany(all.len()));
        }
        Ok(Self(all))
    }

    /// These tags and the tags of a resource. The resource's tags take precedence, also where IAM treats two keys as
    /// equal.
    #[must_use]
    pub fn under(&self, declared: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let taken: Vec<_> = declared.keys().map(|key| tag_key::folded(key)).collect();
        let free = self.0.iter().filter(|(key, _)| !taken.contains(&tag_key::folded(key)));
        free.chain(declared).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

/// Matches the schema's `[\\p{L}\\p{Z}\\p{N}_.:/=+@-]`. Unicode has further letters by property than by category; IAM
/// decides which of them it accepts.
fn fits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    let is_space = |c: char| c.is_whitespace() && !c.is_control();
    length.contains(&text.chars().count())
        && text.chars().all(|c| c.is_alphanumeric() || is_space(c) || "_.:/=+@-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Result<DefaultTags, InvalidTags> {
        DefaultTags::new(pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())))
    }

    #[test]
    fn default_tags_have_the_same_rules_as_spec_tags() {
        for (pairs, words) in [
            (vec![("", "x")], "is not a key"),
            (vec![("a*", "x")], "is not a key"),
            (vec![("a\nb", "x")], "is not a key"),
            (vec![(&*"k".repeat(129), "x")], "is not a key"),
            (vec![("a", "x*")], "the value of"),
            (vec![("a", &*"v".repeat(257))], "the value of"),
            (vec![("AWS:x", "x")], "reserved"),
            (vec![("streamrole.dev/uid", "x")], "reserved"),
            (vec![(" a", "x")], "white space"),
            (vec![("a", "x"), ("a", "y")], "twice"),
            (vec![("a", "x"), ("A", "y")], "differ only by case"),
        ] {
            let refused = tags(&pairs).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains(words), "{pairs:?}: {refused:?}");
        }
        let keys: Vec<_> = (0..47).map(|number| format!("k{number}")).collect();
        let many: Vec<_> = keys.iter().map(|key| (key.as_str(), "")).collect();
        assert!(matches!(tags(&many), Err(InvalidTags::TooMany(47))));
        assert!(tags(many.get(1..).unwrap_or_default()).is_ok());
        assert!(tags(&[("Kostenträger 1", ""), ("a=b", "c=d"), ("チーム", "x y")]).is_ok());
    }

    #[test]
    fn declared_tags_override_defaults_in_any_case() {
        let defaults = tags(&[("team", "default"), ("stage", "test")]).unwrap_or_default();
        let declared = BTreeMap::from([("Team".to_owned(), "own".to_owned())]);
        let merged = defaults.under(&declared);
        let expected = [("Team", "own"), ("stage", "test")];
        assert_eq!(
            merged,
            BTreeMap::from(expected.map(|(key, value)| (key.to_owned(), value.to_owned())))
        );
    }
}
