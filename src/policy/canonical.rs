//! The meaning of a document, as sets of facts that compare with `==`.
//!
//! A statement is a set of [`Fact`]s such as "Action has `kinesis:putrecords`" or "Effect is
//! `Allow`". A document is a set of statements and a few further facts. The rules of the
//! policy language are applied once, where facts are made. Comparing documents and naming their
//! differences is then set arithmetic.
//!
//! Promise: two documents have the same canonical form only if IAM's documentation says that they mean
//! the same. Everything else stays as written: operators, principal types, element
//! names, resources, service principals, wrongly typed values, unknown elements. Nothing is
//! evaluated: a wildcard is a string here, and does not absorb the names that it matches.
//!
//! The rules, with their pages in the IAM User Guide:
//!
//! | rule | source |
//! | --- | --- |
//! | a single value needs no list; order of elements is free | Grammar of the IAM JSON policy language: conventions, notes |
//! | lists of actions, resources, principals, condition values are sets: a request matches any one | Creating a condition with multiple keys or values: evaluation logic; Principal: "a logical `OR`" |
//! | an identical statement twice adds nothing | IAM Access Analyzer policy check "Redundant statement" |
//! | no `Version` is `2008-10-17` | Troubleshoot IAM policies, "Missing JSON version element": "The default policy version is 2008-10-17" |
//! | action prefix and name ignore case | Action: "case insensitive", `IAM:listaccesskeys` |
//! | condition key names ignore case | Condition: "names are not case-sensitive", `AWS:SourceIp` |
//! | `Effect` is exact | Effect: "The `Effect` value is case sensitive" |
//! | `"*"` is `{"AWS": "*"}` | Principal: all principals, "the following elements are equivalent" |
//! | an account id is its root ARN | Principal: AWS account principals, "behave the same way" |
//! | numbers and booleans need no quotes | Grammar: "Quotation marks are optional for numeric and Boolean values" |
//! | no conditions are no `Condition` | Condition: optional; Access Analyzer "Empty object condition": "it does not affect the policy" |
//! | `Sid` and `Id` identify, and grant nothing | Sid, Id: "optional identifier" |
//!
//! Must not know: which of two documents is live, and how differences are reported.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::Document;

/// The meaning of a document.
#[derive(Debug)]
pub(super) struct Canonical {
    /// The facts outside of statements: the version, and elements outside the grammar.
    pub(super) elements: Facts,
    /// The distinct statements, each with the index of its first occurrence.
    pub(super) statements: BTreeMap<Facts, usize>,
}

impl PartialEq for Canonical {
    fn eq(&self, other: &Self) -> bool {
        // The position of a statement is not part of its meaning.
        self.elements == other.elements && self.statements.keys().eq(other.statements.keys())
    }
}

/// A set of facts; an absent element has none.
pub(super) type Facts = BTreeSet<Fact>;

/// One fact in a document.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Fact {
    /// The place of the fact: the names from the statement (or document) down, such as `Condition`, `Bool`,
    /// `aws:SecureTransport`. Empty for a statement that is not an object.
    pub(super) place: Vec<Name>,
    pub(super) claim: Claim,
}

/// Either the value at a place, or one member of the set there.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Claim {
    Is(Scalar),
    Has(Scalar),
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Scalar {
    Text(Name),
    /// Compact JSON of a value that is not a string and that the grammar does not use.
    Json(String),
}

/// A name in its compared form and as it was written.
#[derive(Clone, Debug)]
pub(super) struct Name {
    compared: String,
    pub(super) written: String,
}

impl Name {
    /// The compared form.
    pub(super) fn compared(&self) -> &str {
        &self.compared
    }

    fn exact(text: &str) -> Self {
        Self { compared: text.to_owned(), written: text.to_owned() }
    }

    /// Folds ASCII letters only. Beyond them, case depends on the language, and doubt must not make names equal.
    fn folded(text: &str) -> Self {
        Self { compared: text.to_ascii_lowercase(), written: text.to_owned() }
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compared.cmp(&other.compared)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Name {}

impl Document {
    /// The canonical document of all that are [`equivalent`](Self::equivalent) to it: lists sorted and without
    /// duplicates, case-insensitive names in lower case, defaults written out, Sids and Id removed. It is its own
    /// canonical form.
    #[must_use]
    pub fn canonical(&self) -> Self {
        Self::of_elements(Canonical::of(self).to_object())
    }

    /// Whether IAM's policy grammar gives both documents the same meaning, by the rules at the top of this file.
    #[must_use]
    pub fn equivalent(&self, other: &Self) -> bool {
        Canonical::of(self) == Canonical::of(other)
    }
}

impl Canonical {
    pub(super) fn of(document: &Document) -> Self {
        let mut elements: Facts = document
            .elements()
            .iter()
            .filter(|(name, value)| *name != "Statement" && !is_label("Id", name, value))
            .map(|(name, value)| Fact::is(&[Name::exact(name)], value))
            .collect();
        if !document.elements().contains_key("Version") {
            elements.insert(default_version());
        }
        let mut statements = BTreeMap::new();
        for (index, statement) in document.statements().iter().enumerate() {
            statements.entry(statement_facts(statement)).or_insert(index);
        }
        Self { elements, statements }
    }

    /// The canonical form as a policy.
    pub(super) fn to_object(&self) -> Map<String, Value> {
        let statements = self.statements.keys().map(written_out).collect();
        let mut root = object_of(&self.elements);
        root.insert("Statement".to_owned(), Value::Array(statements));
        root
    }
}

fn default_version() -> Fact {
    let name = Name {
        compared: "2008-10-17".to_owned(),
        written: "2008-10-17 (the default: there is no Version)".to_owned(),
    };
    Fact { place: vec![Name::exact("Version")], claim: Claim::Is(Scalar::Text(name)) }
}

/// Whether an element is only the identifier of that name. A value that is not a string is not one.
fn is_label(label: &str, name: &str, value: &Value) -> bool {
    name == label && value.is_string()
}

fn statement_facts(statement: &Value) -> Facts {
    let Value::Object(elements) = statement else {
        return Facts::from([Fact::is(&[], statement)]);
    };
    elements
        .iter()
        .filter(|(name, value)| !is_label("Sid", name, value))
        .flat_map(|(name, value)| element_facts(name, value))
        .collect()
}

fn element_facts(name: &str, value: &Value) -> Vec<Fact> {
    let place = [Name::exact(name)];
    match name {
        "Action" | "NotAction" => Fact::set(&place, value, action),
        "Resource" | "NotResource" => Fact::set(&place, value, Scalar::of),
        "Principal" | "NotPrincipal" => principal_facts(&place, value),
        "Condition" => condition_facts(&place, value),
        _ => vec![Fact::is(&place, value)],
    }
}

fn principal_facts(place: &[Name], value: &Value) -> Vec<Fact> {
    match value {
        Value::String(everyone) if everyone == "*" => {
            Fact::set(&[place, &[Name::exact("AWS")]].concat(), value, Scalar::of)
        }
        Value::Object(types) if !types.is_empty() => types
            .iter()
            .flat_map(|(kind, ids)| {
                let place = [place, &[Name::exact(kind)]].concat();
                let read = if kind == "AWS" { account } else { Scalar::of };
                Fact::set(&place, ids, read)
            })
            .collect(),
        other => vec![Fact::is(place, other)],
    }
}

/// An empty `Condition` has no effect. An operator without keys is kept: no page documents how IAM treats it.
fn condition_facts(place: &[Name], value: &Value) -> Vec<Fact> {
    let Value::Object(operators) = value else {
        return vec![Fact::is(place, value)];
    };
    let mut facts = Vec::new();
    for (operator, tested) in operators {
        let place = [place, &[Name::exact(operator)]].concat();
        match tested {
            Value::Object(keys) if !keys.is_empty() => facts.extend(key_facts(&place, keys)),
            other => facts.push(Fact::is(&place, other)),
        }
    }
    facts
}

/// Keys that differ only in case under one operator stay as written. IAM Access Analyzer calls them an error
/// ("Duplicate keys with different case"). No page documents whether IAM joins them or drops one, so they equal only
/// themselves.
fn key_facts(place: &[Name], keys: &Map<String, Value>) -> Vec<Fact> {
    let mut spellings: BTreeMap<String, usize> = BTreeMap::new();
    for key in keys.keys() {
        *spellings.entry(key.to_ascii_lowercase()).or_default() += 1;
    }
    keys.iter()
        .flat_map(|(key, values)| {
            let name = match spellings.get(&key.to_ascii_lowercase()) {
                Some(1) => Name::folded(key),
                _ => Name::exact(key),
            };
            Fact::set(&[place, &[name]].concat(), values, condition_value)
        })
        .collect()
}

impl Fact {
    /// The text at the place, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.claim {
            Claim::Is(Scalar::Text(name)) | Claim::Has(Scalar::Text(name)) => Some(&name.compared),
            Claim::Is(Scalar::Json(_)) | Claim::Has(Scalar::Json(_)) => None,
        }
    }

    fn is(place: &[Name], value: &Value) -> Self {
        Self { place: place.to_vec(), claim: Claim::Is(Scalar::of(value)) }
    }

    /// The members of a set; a single member needs no list. The empty set is a separate fact: `[]` matches nothing,
    /// unlike a missing element.
    fn set(place: &[Name], value: &Value, read: fn(&Value) -> Scalar) -> Vec<Self> {
        let members = match value {
            Value::Array(members) => members.as_slice(),
            member => std::slice::from_ref(member),
        };
        if members.is_empty() {
            return vec![Self::is(place, value)];
        }
        let fact = |member| Self { place: place.to_vec(), claim: Claim::Has(read(member)) };
        members.iter().map(fact).collect()
    }
}

impl Scalar {
    /// The value compared literally: strings letter by letter, other values as JSON.
    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(Name::exact(text)),
            other => Self::Json(other.to_string()),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Text(name) => Value::from(name.compared.as_str()),
            // It came from a JSON value, so the second arm is never taken.
            Self::Json(text) => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
            }
        }
    }
}

fn action(value: &Value) -> Scalar {
    match value {
        Value::String(name) => Scalar::Text(Name::folded(name)),
        other => Scalar::of(other),
    }
}

/// Numbers compare by their digits: `1` is `"1"`, and is not `1.0`.
fn condition_value(value: &Value) -> Scalar {
    match value {
        Value::Bool(_) | Value::Number(_) => Scalar::Text(Name::exact(&value.to_string())),
        other => Scalar::of(other),
    }
}

/// An AWS principal; an account's root ARN compares as the account's id.
///
/// The comparison drops the ARN's partition. That hides nothing: a role lives in one partition, and IAM rejects the
/// root of an account in another partition as an invalid principal.
fn account(value: &Value) -> Scalar {
    match value {
        Value::String(written) => Scalar::Text(Name {
            compared: account_of_root(written).unwrap_or(written).to_owned(),
            written: written.clone(),
        }),
        other => Scalar::of(other),
    }
}

/// The account id in `arn:<partition>:iam::<account id>:root`.
fn account_of_root(arn: &str) -> Option<&str> {
    let (partition, rest) = arn.strip_prefix("arn:")?.split_once(':')?;
    let id = rest.strip_prefix("iam::")?.strip_suffix(":root")?;
    let is_partition = partition == "aws" || partition.starts_with("aws-");
    let is_id = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
    (is_partition && is_id).then_some(id)
}

fn written_out(statement: &Facts) -> Value {
    let whole = statement.iter().find(|fact| fact.place.is_empty());
    match whole.map(|fact| &fact.claim) {
        Some(Claim::Is(scalar) | Claim::Has(scalar)) => scalar.to_value(),
        None => Value::Object(object_of(statement)),
    }
}

fn object_of(facts: &Facts) -> Map<String, Value> {
    let mut object = Map::new();
    for fact in facts {
        insert(&mut object, &fact.place, &fact.claim);
    }
    object
}

fn insert(object: &mut Map<String, Value>, place: &[Name], claim: &Claim) {
    let Some((name, inner)) = place.split_first() else {
        return;
    };
    let slot = object.entry(name.compared.as_str()).or_insert(Value::Null);
    match (slot, claim) {
        (Value::Object(object), _) if !inner.is_empty() => insert(object, inner, claim),
        (slot, _) if !inner.is_empty() => {
            let mut object = Map::new();
            insert(&mut object, inner, claim);
            *slot = Value::Object(object);
        }
        (Value::Array(members), Claim::Has(member)) => members.push(member.to_value()),
        (slot, Claim::Has(member)) => *slot = Value::Array(vec![member.to_value()]),
        (slot, Claim::Is(scalar)) => *slot = scalar.to_value(),
    }
}
