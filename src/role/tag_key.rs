//! Which tag keys IAM can confuse with each other. IAM ignores case. It does not document how it folds case, or whether
//! it trims. Two keys therefore count as equal when any usual comparison finds them equal. In doubt a key is rejected:
//! a key that IAM takes for an ownership tag overwrites that tag.

use std::collections::BTreeMap;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

use super::ownership::RESERVED_TAG_PREFIX;

/// Why tags with these keys are not allowed on any role.
#[derive(Debug, Error)]
pub enum InvalidKeys {
    /// A key is reserved, or could be confused with a reserved key.
    #[error(
        "the key {0:?} is reserved; keys must not begin with aws: or {RESERVED_TAG_PREFIX}, in any case or width of letters"
    )]
    Reserved(String),
    /// A key could be confused with another key after trimming.
    #[error("the key {0:?} begins or ends with white space; remove that")]
    OuterSpace(String),
    /// Two keys are equal to IAM (IAM user guide, "Rules for tagging in IAM"), or could be.
    #[error(
        "{0:?} and {1:?} differ only by case or width, and IAM takes such keys for one; remove one"
    )]
    DifferByCase(String, String),
}

/// Checks the keys of tags that a user gives.
///
/// # Errors
/// When IAM could confuse two keys, or a key with a reserved one.
pub fn check(tags: &BTreeMap<String, String>) -> Result<(), InvalidKeys> {
    let mut seen = BTreeMap::new();
    for key in tags.keys() {
        if is_reserved(key) {
            return Err(InvalidKeys::Reserved(key.clone()));
        }
        if has_outer_space(key) {
            return Err(InvalidKeys::OuterSpace(key.clone()));
        }
        if let Some(other) = seen.insert(folded(key), key) {
            return Err(InvalidKeys::DifferByCase(other.clone(), key.clone()));
        }
    }
    Ok(())
}

/// The same text for all keys that IAM could confuse. It ignores case (by upper case, which turns a long s into an S,
/// and by lower case), width, other forms of the same letters (NFKC), and white space at the ends.
#[must_use]
pub fn folded(key: &str) -> String {
    let mut folded = fold_once(key);
    // The fold of one letter can be a letter that folds again. Three rounds are one more than any letter needs.
    for _ in 0..2 {
        folded = fold_once(&folded);
    }
    folded.trim().to_owned()
}

/// Folds letter by letter: `str::to_lowercase` maps a sigma according to its neighbors.
fn fold_once(text: &str) -> String {
    text.nfkc()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkc()
        .filter(|letter| !is_blank_letter(*letter))
        .collect()
}

/// Whether the key is reserved for AWS or this controller, or could be confused with a reserved key.
#[must_use]
pub fn is_reserved(key: &str) -> bool {
    let folded = folded(key);
    folded.starts_with("aws:") || folded.starts_with(RESERVED_TAG_PREFIX)
}

/// Whether the key begins or ends with white space or with a blank letter.
#[must_use]
pub fn has_outer_space(key: &str) -> bool {
    let is_space = |letter: char| letter.is_whitespace() || is_blank_letter(letter);
    key.starts_with(is_space) || key.ends_with(is_space)
}

/// The Hangul fillers: letters by category, but invisible (`Default_Ignorable_Code_Point`).
const fn is_blank_letter(letter: char) -> bool {
    matches!(letter, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reserved_tag_key_is_detected_in_every_disguise() {
        for key in [
            "aws:x",
            "AWS:x",
            "aw\u{17f}:x",
            "ａｗｓ:x",
            "ＡＷＳ:x",
            " aws:x",
            "streamrole.dev/uid",
            "StreamRole.Dev/uid",
            "\u{17f}treamrole.dev/uid",
            "streamrole.dev/u\u{131}d",
            "\u{fb06}reamrole.dev/uid",
            "streamro\u{2113}e.dev/uid",
            "𝐬𝐭𝐫𝐞𝐚𝐦𝐫𝐨𝐥𝐞.𝐝𝐞𝐯/uid",
            "\u{3000}streamrole.dev/uid",
            "\u{3164}streamrole.dev/uid",
            "stream\u{ffa0}role.dev/uid",
            "streamrole․dev／uid",
        ] {
            assert!(is_reserved(key), "{key:?} should be reserved, folded to {:?}", folded(key));
        }
        for key in
            ["aws", "awsome:x", "team:aws:x", "mystreamrole.dev/x", "streamrole.develop/x", ""]
        {
            assert!(!is_reserved(key), "{key:?} should be free");
        }
    }

    #[test]
    fn letters_equal_under_case_folding_are_equal() {
        for (one, other) in [
            ("\u{212a}ey", "key"),
            ("\u{131}d", "ID"),
            ("\u{130}", "i\u{307}"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{1e9e}", "\u{df}"),
            ("οδος", "ΟΔΟΣ"),
            ("ﾀｸﾞ", "タグ"),
            ("e\u{301}", "\u{c9}"),
            ("team", "ｔｅａｍ"),
        ] {
            assert_eq!(folded(one), folded(other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn only_white_space_at_the_ends_is_outer() {
        for key in [" a", "a ", "\u{a0}a", "a\u{2028}", "\u{3164}a", "a\u{3000}", "\t"] {
            assert!(has_outer_space(key), "{key:?}");
        }
        for key in ["a b", "a\u{3000}b", ""] {
            assert!(!has_outer_space(key), "{key:?}");
        }
    }

    #[test]
    fn case_folding_is_idempotent() {
        // Above these are unassigned characters, tags and private use.
        for letter in '\0'..='\u{33fff}' {
            let fold = folded(&letter.to_string());
            assert_eq!(folded(&fold), fold, "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn a_fold_does_not_depend_on_case_width_or_form(key in any::<String>()) {
            let fold = folded(&key);
            prop_assert_eq!(&folded(&fold), &fold);
            let forms = [
                key.nfc().collect(),
                key.nfd().collect(),
                key.nfkc().collect(),
                key.nfkd().collect::<String>(),
            ];
            for form in forms {
                prop_assert_eq!(folded(&form), fold.clone(), "{:?} of {:?}", form, key);
            }
        }

        #[test]
        fn keys_in_another_case_are_one(key in "[\\p{L}\\p{N}\\p{Z}_.:/=+@-]{0,40}") {
            let lower: String = key.chars().flat_map(char::to_lowercase).collect();
            let upper: String = key.chars().flat_map(char::to_uppercase).collect();
            prop_assert_eq!(folded(&upper), folded(&key));
            prop_assert_eq!(folded(&lower), folded(&key));
        }

        #[test]
        fn what_is_put_before_a_reserved_prefix_as_space_does_not_free_it(
            space in "[\\p{Z}]{0,3}", prefix in "(aws:|streamrole\\.dev/)", rest in "[a-z]{0,9}",
        ) {
            let key = format!("{space}{prefix}{rest}");
            prop_assert!(is_reserved(&key));
        }
    }
}
