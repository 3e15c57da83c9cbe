//! Whether one document grants nothing that another does not. It orders writes, so it errs on the safe side: `true` is
//! certain, `false` can also mean that the text does not decide.
//!
//! Nothing is evaluated: `s3:Get*` is not known to be within `s3:*`. It recognizes a statement that names fewer
//! actions, resources or principals, an added condition, and a missing statement.

use std::collections::BTreeMap;

use super::canonical::{Canonical, Claim, Fact, Facts};
use super::document::Document;

/// Facts by their element, and by their place within it.
type Elements<'a> = BTreeMap<&'a str, BTreeMap<Vec<&'a str>, Facts>>;

impl Document {
    /// Whether this document certainly grants no request that `other` does not grant.
    ///
    /// A statement of `other` must cover every allowing statement of this document. This document must deny everything
    /// that `other` denies, with identical statements (IAM user guide, "Policy evaluation logic": an explicit deny
    /// wins).
    #[must_use]
    pub fn grants_no_more_than(&self, other: &Self) -> bool {
        let (less, more) = (Canonical::of(self), Canonical::of(other));
        let covered = |statement: &Facts| {
            is_denial(statement)
                || more.statements.keys().any(|wider| {
                    statement == wider || is_within(&elements(statement), &elements(wider))
                })
        };
        less.elements == more.elements
            && less.statements.keys().all(covered)
            && more
                .statements
                .keys()
                .filter(|statement| !is_allowance(statement))
                .all(|denial| less.statements.contains_key(denial))
    }
}

fn has_effect(statement: &Facts, effect: &str) -> bool {
    statement.iter().any(|fact| fact.names().eq(["Effect"]) && fact.text() == Some(effect))
}

fn is_allowance(statement: &Facts) -> bool {
    has_effect(statement, "Allow")
}

fn is_denial(statement: &Facts) -> bool {
    has_effect(statement, "Deny")
}

fn elements(statement: &Facts) -> Elements<'_> {
    let mut elements = Elements::new();
    for fact in statement {
        let mut names = fact.names();
        let element = names.next().unwrap_or_default();
        let place = names.collect();
        let facts = elements.entry(element).or_default().entry(place).or_default();
        facts.insert(fact.clone());
    }
    elements
}

/// Whether each element of `less` restricts at least as much as that of `more`.
fn is_within(less: &Elements<'_>, more: &Elements<'_>) -> bool {
    // An additional condition is safe. Any other element that only one of them has is not understood.
    besides_conditions(less).eq(besides_conditions(more))
        && more.iter().all(|(element, wide)| {
            let narrow = less.get(element);
            match *element {
                "Action" | "Resource" | "Principal" => narrow.is_some_and(|narrow| {
                    narrow.iter().all(|(place, members)| {
                        let within = |wide: &Facts| members.is_subset(wide) && are_members(members);
                        wide.get(place).is_some_and(within)
                    })
                }),
                "Condition" => narrow.is_some_and(|narrow| {
                    wide.iter().all(|(place, values)| narrow.get(place) == Some(values))
                }),
                _ => narrow == Some(wide),
            }
        })
}

fn besides_conditions<'a>(elements: &Elements<'a>) -> impl Iterator<Item = &'a str> {
    elements.keys().copied().filter(|name| *name != "Condition")
}

/// Members of a set: a request matches any one of them, so fewer members match less. Any other value is compared as a
/// whole.
fn are_members(facts: &Facts) -> bool {
    facts.iter().all(|fact| matches!(fact.claim, Claim::Has(_)))
}

impl Fact {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.place.iter().map(super::canonical::Name::compared)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(statements: &Value) -> Document {
        let whole = json!({"Version": "2012-10-17", "Statement": statements});
        Document::from_value(&whole).unwrap_or_else(|error| panic!("{error}"))
    }

    fn trust(service: &str, condition: &Value) -> Value {
        let mut statement = json!({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"});
        if let (false, Some(statement)) = (condition.is_null(), statement.as_object_mut()) {
            statement.insert("Condition".into(), condition.clone());
        }
        statement
    }

    #[test]
    fn only_certain_narrowing_counts_as_narrowing() {
        let nobody = Value::Null;
        let account = json!({"StringEquals": {"aws:SourceAccount": "1"}});
        let other = json!({"StringEquals": {"aws:SourceAccount": "2"}});
        let both = json!({"StringEquals": {"aws:SourceAccount": ["1", "2"]}});
        let allow = |action: Value, resource: Value| json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let deny = json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"});
        let two = json!(["a:Get", "a:Put"]);
        let table = [
            ("the same", trust("x", &nobody), trust("x", &nobody), true),
            ("a condition more", trust("x", &account), trust("x", &nobody), true),
            ("a condition less", trust("x", &nobody), trust("x", &account), false),
            ("another condition", trust("x", &account), trust("x", &other), false),
            // With a negated operator more values match less, so values are not compared as sets.
            ("fewer values of a condition", trust("x", &account), trust("x", &both), false),
            ("another principal", trust("x", &nobody), trust("y", &nobody), false),
            (
                "an action less",
                allow(json!("a:Get"), json!("r")),
                allow(two.clone(), json!("r")),
                true,
            ),
            (
                "an action more",
                allow(two.clone(), json!("r")),
                allow(json!("a:Get"), json!("r")),
                false,
            ),
            (
                "a resource less",
                allow(json!("a:Get"), json!("r")),
                allow(json!("a:Get"), json!(["r", "q"])),
                true,
            ),
            (
                "a wildcard is not expanded",
                allow(json!("a:Get"), json!("r")),
                allow(json!("a:*"), json!("r")),
                false,
            ),
            (
                "a statement less",
                json!([trust("x", &nobody)]),
                json!([trust("x", &nobody), trust("y", &nobody)]),
                true,
            ),
            ("no statement", json!([]), trust("x", &nobody), true),
            (
                "a denial more",
                json!([allow(json!("a:Get"), json!("r")), deny]),
                allow(json!("a:Get"), json!("r")),
                true,
            ),
            (
                "a denial less",
                allow(json!("a:Get"), json!("r")),
                json!([allow(json!("a:Get"), json!("r")), deny]),
                false,
            ),
            (
                "all but some actions",
                json!({"Effect": "Allow", "NotAction": "a:Get", "Resource": "r"}),
                json!({"Effect": "Allow", "NotAction": ["a:Get", "a:Put"], "Resource": "r"}),
                false,
            ),
            (
                "no effect",
                json!({"Action": "a:Get", "Resource": "r"}),
                allow(two, json!("r")),
                false,
            ),
            (
                "no resource element",
                json!({"Effect": "Allow", "Action": "a:Get"}),
                allow(json!("a:Get"), json!("r")),
                false,
            ),
            (
                "an empty list of actions",
                allow(json!([]), json!("r")),
                allow(json!("a:Get"), json!("r")),
                false,
            ),
        ];
        for (case, less, more, expected) in table {
            assert_eq!(
                document(&less).grants_no_more_than(&document(&more)),
                expected,
                "{case}: {less} within {more}"
            );
        }
    }
}
