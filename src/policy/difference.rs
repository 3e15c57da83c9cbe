//! Where two documents differ, for messages.
//!
//! Promise: [`differences`] is empty exactly when the documents are equivalent. It names single missing and unexpected
//! values instead of whole lists, in an order that depends only on the two documents. Each text is one line of bounded
//! length, and the list is bounded too, whatever the live document contains: both go into conditions, events and logs.
//!
//! Must not know: the policy language, which belongs to `canonical.rs`; how the controller reacts to a difference.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::canonical::{Canonical, Claim, Fact, Facts, Name, Scalar};
use super::document::{Document, Statement};
use super::text::readable;

/// The most differences in a list; one more entry counts the omitted ones.
const MAX_DIFFERENCES: usize = 64;

/// The most statements of each document that are paired by similarity, which takes quadratic time.
const MAX_PAIRED: usize = 64;

/// The longest value in a difference, in characters.
const MAX_VALUE: usize = 200;

/// The longest statement in a difference, in characters.
const MAX_STATEMENT: usize = 600;

/// The longest name in a path, in characters.
const MAX_NAME: usize = 100;

/// One difference between two documents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Where, such as `Statement[0].Condition.StringEquals["aws:SourceAccount"]`. The index is
    /// that of the desired statement; `live Statement[1]` is one that only the live document has.
    pub path: String,
    /// The value that is desired there and missing.
    pub desired: Option<String>,
    /// The unexpected value there.
    pub live: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.desired, &self.live) {
            (Some(desired), Some(live)) => {
                write!(f, "{}: is {live}, should be {desired}", self.path)
            }
            (Some(desired), None) => write!(f, "{}: lacks {desired}", self.path),
            (None, Some(live)) => write!(f, "{}: has unexpected {live}", self.path),
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

/// The changes to `live` that make it [equivalent](Document::equivalent) to `desired`; empty exactly when it already
/// is.
#[must_use]
pub fn differences(desired: &Document, live: &Document) -> Vec<Difference> {
    let (want, have) = (Canonical::of(desired), Canonical::of(live));
    let mut found = compare("", &want.elements, &have.elements);

    let mut missing = only_in(&want, &have, desired);
    let mut unexpected = only_in(&have, &want, live);
    for (wanted, had) in pairs(&missing, &unexpected) {
        if let (Some(wanted), Some(had)) = (missing.get_mut(wanted), unexpected.get_mut(had)) {
            wanted.twin = Some(had.facts);
            had.twin = Some(wanted.facts);
        }
    }
    for one in &missing {
        let path = path_of(desired, one.index);
        match one.twin {
            Some(twin) => found.extend(compare(&path, one.facts, twin)),
            None => found.push(Difference { path, desired: Some(one.shown()), live: None }),
        }
    }
    for one in unexpected.iter().filter(|one| one.twin.is_none()) {
        found.push(Difference {
            path: format!("live {}", path_of(live, one.index)),
            desired: None,
            live: Some(one.shown()),
        });
    }
    shorten(found)
}

/// A statement that the other document does not have.
struct Unmatched<'a> {
    index: usize,
    value: &'a Value,
    facts: &'a Facts,
    /// The facts of the most similar statement, if one is similar enough to compare with.
    twin: Option<&'a Facts>,
}

impl Unmatched<'_> {
    fn sid(&self) -> Option<&str> {
        self.value.get("Sid")?.as_str().filter(|sid| !sid.is_empty())
    }

    fn shown(&self) -> String {
        readable(&Statement(self.value).to_string(), MAX_STATEMENT)
    }
}

/// The statements of `one` that `other` lacks, in the order of their document.
fn only_in<'a>(
    one: &'a Canonical,
    other: &Canonical,
    document: &'a Document,
) -> Vec<Unmatched<'a>> {
    let mut found: Vec<_> = one
        .statements
        .iter()
        .filter(|(facts, _)| !other.statements.contains_key(*facts))
        .filter_map(|(facts, &index)| {
            Some(Unmatched { index, value: document.statements().get(index)?, facts, twin: None })
        })
        .collect();
    found.sort_by_key(|unmatched| unmatched.index);
    found
}

/// Which statements to compare with each other, the most similar first: same Sid, then most shared facts. Two
/// statements that share only their effect are not similar.
fn pairs(missing: &[Unmatched<'_>], unexpected: &[Unmatched<'_>]) -> Vec<(usize, usize)> {
    let mut candidates = Vec::new();
    for (wanted, a) in missing.iter().enumerate().take(MAX_PAIRED) {
        for (had, b) in unexpected.iter().enumerate().take(MAX_PAIRED) {
            let same_sid = a.sid().is_some() && a.sid() == b.sid();
            let shared = a.facts.intersection(b.facts).filter(|fact| !is_effect(fact)).count();
            if same_sid || shared > 0 {
                candidates.push((Reverse(same_sid), Reverse(shared), wanted, had));
            }
        }
    }
    candidates.sort_unstable();
    let (mut paired, mut taken) = (BTreeSet::new(), BTreeSet::new());
    candidates
        .into_iter()
        .filter(|(_, _, wanted, had)| {
            let free = !paired.contains(wanted) && !taken.contains(had);
            free && paired.insert(*wanted) && taken.insert(*had)
        })
        .map(|(_, _, wanted, had)| (wanted, had))
        .collect()
}

fn is_effect(fact: &Fact) -> bool {
    fact.place.first().is_some_and(|name| name.written == "Effect")
}

/// The differences of two sets of facts, place by place.
fn compare(prefix: &str, want: &Facts, have: &Facts) -> Vec<Difference> {
    let agreed: BTreeSet<&[Name]> = want.intersection(have).map(|fact| &*fact.place).collect();
    let mut places: BTreeMap<&[Name], (Vec<&Claim>, Vec<&Claim>)> = BTreeMap::new();
    for fact in want.difference(have) {
        places.entry(&fact.place).or_default().0.push(&fact.claim);
    }
    for fact in have.difference(want) {
        places.entry(&fact.place).or_default().1.push(&fact.claim);
    }
    let mut found = Vec::new();
    for (place, (missing, unexpected)) in places {
        let path = path_to(prefix, place);
        let difference = |desired: Option<&Claim>, live: Option<&Claim>| Difference {
            path: path.clone(),
            desired: desired.map(shown),
            live: live.map(shown),
        };
        match (&*missing, &*unexpected) {
            // One value replaces another, unlike in a larger set.
            ([wanted], [had]) if !agreed.contains(place) => {
                found.push(difference(Some(wanted), Some(had)));
            }
            (missing, unexpected) => {
                found.extend(missing.iter().map(|wanted| difference(Some(wanted), None)));
                found.extend(unexpected.iter().map(|had| difference(None, Some(had))));
            }
        }
    }
    found
}

fn shown(claim: &Claim) -> String {
    let (Claim::Is(scalar) | Claim::Has(scalar)) = claim;
    match scalar {
        Scalar::Text(name) if name.written.is_empty() => "\"\"".to_owned(),
        Scalar::Text(name) => readable(&name.written, MAX_VALUE),
        // Distinguishes it from a string of the same characters.
        Scalar::Json(text) => format!("JSON {}", readable(text, MAX_VALUE)),
    }
}

fn path_of(document: &Document, index: usize) -> String {
    if document.lists_statements() { format!("Statement[{index}]") } else { "Statement".to_owned() }
}

fn path_to(prefix: &str, place: &[Name]) -> String {
    let mut path = prefix.to_owned();
    for (depth, name) in place.iter().enumerate() {
        let name = readable(&name.written, MAX_NAME);
        // Condition keys contain dots and slashes themselves.
        path = match (depth, path.is_empty()) {
            (2, _) => format!("{path}[{name:?}]"),
            (_, true) => name,
            (_, false) => format!("{path}.{name}"),
        };
    }
    path
}

fn shorten(mut found: Vec<Difference>) -> Vec<Difference> {
    let left_out = found.len().saturating_sub(MAX_DIFFERENCES);
    if left_out > 0 {
        found.truncate(MAX_DIFFERENCES);
        found.push(Difference {
            path: format!("and {left_out} more differences"),
            desired: None,
            live: None,
        });
    }
    found
}
