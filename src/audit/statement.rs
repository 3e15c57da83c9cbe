//! The statements of a document as the checks read them. Other people wrote the documents, so any shape can occur; what
//! is outside the grammar is ignored.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::policy::readable;

use super::glob::overlaps;

/// How many characters of a name a path shows.
const MAX_NAME: usize = 100;

/// One statement.
pub(super) struct Statement<'a> {
    /// Where it is, as in `RolePolicyList["write"].Statement[0]`.
    pub path: String,
    elements: &'a Map<String, Value>,
}

/// One principal of a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Principal<'a> {
    /// Everyone.
    Anyone,
    /// A service.
    Service(&'a str),
    /// An account, user, role, or identity provider.
    Other(&'a str),
}

/// How a condition compares, without `IfExists` and the quantifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Test {
    /// Literally.
    Equals,
    /// As a text with wildcards.
    Like,
    /// As an ARN with wildcards in each part.
    Arn,
    /// One of those, negated.
    Negated,
    /// Anything else, such as `Bool` or `Null`.
    Other,
}

/// One key of a condition.
pub(super) struct Condition<'a> {
    /// Where it is.
    pub path: String,
    /// How it compares.
    pub test: Test,
    /// Whether it also matches a request without the key.
    pub is_lenient: bool,
    /// The operator tests whether the key is absent.
    pub is_null: bool,
    /// The key in lower case.
    pub key: String,
    /// The key as written.
    pub written: &'a str,
    /// The values; a request matches any one of them.
    pub values: Vec<Cow<'a, str>>,
}

/// The statements of a document below `prefix`.
pub(super) fn statements<'a>(prefix: &str, document: &'a Value) -> Vec<Statement<'a>> {
    let of = |path: String, value: &'a Value| {
        value.as_object().map(|elements| Statement { path, elements })
    };
    match document.get("Statement") {
        Some(Value::Array(list)) => (0..)
            .zip(list)
            .filter_map(|(index, value): (usize, _)| {
                of(format!("{prefix}.Statement[{index}]"), value)
            })
            .collect(),
        Some(one) => of(format!("{prefix}.Statement"), one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    }
}

/// A name within brackets of a path.
pub(super) fn bracketed(name: &str) -> String {
    format!("[\"{}\"]", readable(name, MAX_NAME))
}

impl<'a> Statement<'a> {
    fn has_effect(&self, effect: &str) -> bool {
        self.elements.get("Effect").and_then(Value::as_str) == Some(effect)
    }

    /// Whether it allows.
    pub(super) fn allows(&self) -> bool {
        self.has_effect("Allow")
    }

    /// Whether it denies.
    pub(super) fn denies(&self) -> bool {
        self.has_effect("Deny")
    }

    /// Whether the element is there.
    pub(super) fn has(&self, element: &str) -> bool {
        self.elements.contains_key(element)
    }

    /// The texts of an element such as `Action`.
    pub(super) fn texts(&self, element: &str) -> Vec<&'a str> {
        texts(self.elements.get(element))
    }

    /// Whether it is about this action.
    pub(super) fn covers_action(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let names = |element: &str| {
            self.texts(element).iter().any(|own| overlaps(&own.to_ascii_lowercase(), &action))
        };
        if self.has("NotAction") { !names("NotAction") } else { names("Action") }
    }

    /// The principals. `NotPrincipal` is everyone except for a few.
    pub(super) fn principals(&self) -> Vec<Principal<'a>> {
        if self.has("NotPrincipal") {
            return vec![Principal::Anyone];
        }
        match self.elements.get("Principal") {
            Some(Value::String(text)) if text == "*" => vec![Principal::Anyone],
            Some(Value::Object(kinds)) => kinds
                .iter()
                .flat_map(|(kind, ids)| {
                    texts(Some(ids)).into_iter().map(move |id| match (kind.as_str(), id) {
                        ("AWS", "*") => Principal::Anyone,
                        ("Service", service) => Principal::Service(service),
                        (_, other) => Principal::Other(other),
                    })
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The conditions.
    pub(super) fn conditions(&self) -> Vec<Condition<'a>> {
        let Some(Value::Object(operators)) = self.elements.get("Condition") else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for (operator, tested) in operators {
            let Value::Object(keys) = tested else { continue };
            let (test, is_lenient) = test_of(operator);
            for (key, values) in keys {
                let values = match values {
                    Value::Array(list) => list.iter().filter_map(scalar).collect(),
                    one => scalar(one).into_iter().collect(),
                };
                let operator_shown = readable(operator, MAX_NAME);
                found.push(Condition {
                    path: format!("{}.Condition.{operator_shown}{}", self.path, bracketed(key)),
                    test,
                    is_lenient,
                    is_null: operator.eq_ignore_ascii_case("Null"),
                    key: key.to_ascii_lowercase(),
                    written: key,
                    values,
                });
            }
        }
        found
    }
}

/// "Quotation marks are optional for numeric and Boolean values" (Grammar of the IAM JSON policy language).
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// How an operator compares, and whether it matches a request without the key.
fn test_of(operator: &str) -> (Test, bool) {
    let lower = operator.to_ascii_lowercase();
    let (is_for_all, rest) = match lower.split_once(':') {
        Some(("forallvalues", rest)) => (true, rest),
        Some(("foranyvalue", rest)) => (false, rest),
        _ => (false, lower.as_str()),
    };
    let (is_if_exists, rest) =
        rest.strip_suffix("ifexists").map_or((false, rest), |rest| (true, rest));
    let test = match rest {
        "stringequals" | "stringequalsignorecase" => Test::Equals,
        "stringlike" => Test::Like,
        "arnequals" | "arnlike" => Test::Arn,
        "stringnotequals"
        | "stringnotequalsignorecase"
        | "stringnotlike"
        | "arnnotequals"
        | "arnnotlike" => Test::Negated,
        _ => Test::Other,
    };
    (test, is_for_all || is_if_exists)
}

impl Condition<'_> {
    /// Whether it restricts by what it names, rather than by what it excludes.
    pub(super) fn is_positive(&self) -> bool {
        matches!(self.test, Test::Equals | Test::Like | Test::Arn)
    }

    /// The values on one line.
    pub(super) fn shown(&self) -> String {
        self.values.join(", ")
    }
}
