//! A policy document as received: parsed strictly, kept completely, printed readably.
//!
//! Promise: a [`Document`] holds exactly what the text contains, with every element, Sid and unknown name; otherwise
//! parsing returns a [`DocumentError`]. A text with two possible readings (a duplicate key in one object, a number that
//! would lose digits) is rejected. Parsing is bounded in size and depth. `canonical.rs` knows what elements mean; this
//! file does not distinguish an action from a resource.

use std::cmp::Ordering;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::encoding::{NotUtf8, percent_decode};

/// The largest document that is parsed, in bytes. IAM's largest quota for a role's documents is 10,240 characters
/// without white space (IAM and AWS STS quotas), so this leaves ample room for white space and non-ASCII text.
const MAX_BYTES: usize = 128 * 1024;

/// The deepest nesting of objects and lists. The policy grammar needs six levels.
const MAX_DEPTH: usize = 16;

/// The longest text that an error quotes.
const MAX_QUOTED: usize = 60;

const DOCUMENT_ORDER: &[&str] = &["Version", "Id", "Statement"];

const STATEMENT_ORDER: &[&str] = &[
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// Why a text or value is not a document that can be compared.
///
/// Treat a live document with this error as different. The message states why it cannot be compared.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DocumentError {
    /// The document is larger than any that IAM stores.
    #[error("the policy document has {bytes} bytes, more than the {limit} that are read")]
    TooLarge {
        /// The size found.
        bytes: usize,
        /// The size allowed.
        limit: usize,
    },
    /// The percent-encoded document does not decode to text.
    #[error(transparent)]
    NotUtf8(#[from] NotUtf8),
    /// Not JSON, nested too deeply, or an object with a duplicate key.
    ///
    /// The grammar forbids duplicate keys, but IAM still honors documents that were saved before it did: the last
    /// `Effect` counts, and `Action`s add up (Troubleshoot IAM policies, "More than one effect, action, or resource
    /// element in a JSON statement element"). JSON parsers keep the last value, which would hide actions.
    #[error("the policy document cannot be read: {reason}")]
    Unreadable {
        /// The error and its position in the text.
        reason: String,
    },
    /// A number in a form that parsing would change, such as `1.10` or `1e2`.
    #[error(
        "the policy document has the number {literal}, which cannot be compared exactly \
         unless it is quoted"
    )]
    InexactNumber {
        /// The number as written, shortened.
        literal: String,
    },
    /// JSON, but not an object.
    #[error("the policy document is {found}, not a JSON object")]
    NotAnObject {
        /// The type found.
        found: &'static str,
    },
}

/// A policy document as received.
///
/// It has no `==` on purpose: [`equivalent`](Self::equivalent) compares the meaning of two documents.
#[derive(Clone, Debug)]
pub struct Document {
    root: Map<String, Value>,
}

impl Document {
    /// Parses the JSON text of a document.
    ///
    /// # Errors
    /// When the text is not a JSON object, is too large or too deep, has a duplicate key in one object, or has a number
    /// that cannot be kept exactly. The shape of elements is not checked: elements outside IAM's grammar are kept and
    /// compared.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        within_size(text.len())?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let value = Strict::default()
            .deserialize(&mut reader)
            .and_then(|value| reader.end().map(|()| value))
            .map_err(unreadable)?;
        match numbers(text).find(|literal| !is_exact(literal)) {
            Some(literal) => Err(DocumentError::InexactNumber {
                literal: literal.chars().take(MAX_QUOTED).collect(),
            }),
            None => Self::of(value),
        }
    }

    /// Parses a document as IAM's API returns it: percent-encoded once.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and when the text does not decode to UTF-8.
    pub fn from_percent_encoded(text: &str) -> Result<Self, DocumentError> {
        // An encoded byte takes up to three characters.
        within_size(text.len() / 3)?;
        Self::parse(&percent_decode(text)?)
    }

    /// Accepts a JSON value, by the same rules as [`parse`](Self::parse). The producer of the value has already
    /// resolved duplicate keys and the digits of numbers.
    ///
    /// # Errors
    /// When the value is not a JSON object, is too large or too deep.
    pub fn from_value(value: &Value) -> Result<Self, DocumentError> {
        let value = Strict::default().deserialize(value).map_err(unreadable)?;
        within_size(value.to_string().len())?;
        Self::of(value)
    }

    fn of(value: Value) -> Result<Self, DocumentError> {
        let found = match value {
            Value::Object(root) => return Ok(Self { root }),
            Value::Array(_) => "a list",
            Value::String(_) => "a string",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "null",
        };
        Err(DocumentError::NotAnObject { found })
    }

    /// The document as received, except for white space and the order of keys.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.root.clone())
    }

    /// A document of these elements.
    pub(super) const fn of_elements(root: Map<String, Value>) -> Self {
        Self { root }
    }

    /// Every top-level element.
    pub(super) fn elements(&self) -> &Map<String, Value> {
        &self.root
    }

    /// The statements. A single statement does not need a list: "the brackets are optional" (Grammar of the IAM JSON
    /// policy language, "Conventions used in this grammar"). A missing `Statement` means no statements: IAM stores
    /// neither form, and neither would grant anything.
    #[must_use]
    pub fn statements(&self) -> &[Value] {
        match self.root.get("Statement") {
            None => &[],
            Some(Value::Array(statements)) => statements,
            Some(statement) => std::slice::from_ref(statement),
        }
    }

    /// Whether the statements came as a list, so that an index identifies each one.
    pub(super) fn lists_statements(&self) -> bool {
        matches!(self.root.get("Statement"), Some(Value::Array(_)))
    }
}

/// Compact JSON, with elements in the order of AWS's documentation.
impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json(self, f)
    }
}

/// In the order of AWS's documentation.
impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements = in_order(&self.root, DOCUMENT_ORDER);
        serializer
            .collect_map(elements.into_iter().map(|(name, value)| (name, Element(name, value))))
    }
}

/// A top-level element, by name and value.
struct Element<'a>(&'a str, &'a Value);

impl Serialize for Element<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self("Statement", Value::Array(statements)) => {
                serializer.collect_seq(statements.iter().map(Statement))
            }
            Self("Statement", statement) => Statement(statement).serialize(serializer),
            Self(_, other) => other.serialize(serializer),
        }
    }
}

/// One statement, printed as compact JSON in reading order.
pub(super) struct Statement<'a>(pub(super) &'a Value);

impl fmt::Display for Statement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json(self, f)
    }
}

impl Serialize for Statement<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(elements) => serializer.collect_map(in_order(elements, STATEMENT_ORDER)),
            other => other.serialize(serializer),
        }
    }
}

fn json(value: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&serde_json::to_string(value).map_err(|_| fmt::Error)?)
}

/// The entries of an object: those named in `order` first, the others by name.
fn in_order<'a>(object: &'a Map<String, Value>, order: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let rank = |name: &str| order.iter().position(|known| *known == name);
    let mut entries: Vec<_> = object.iter().collect();
    entries.sort_by(|(a, _), (b, _)| match (rank(a), rank(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    });
    entries
}

fn within_size(bytes: usize) -> Result<(), DocumentError> {
    if bytes > MAX_BYTES {
        return Err(DocumentError::TooLarge { bytes, limit: MAX_BYTES });
    }
    Ok(())
}

// Takes the error by value, so that `map_err` accepts this function.
#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: serde_json::Error) -> DocumentError {
    DocumentError::Unreadable { reason: error.to_string() }
}

/// The number literals of a valid JSON text: tokens outside strings that start like a number.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let (mut in_string, mut escaped) = (false, false);
    text.split(move |c: char| {
        let was_in_string = in_string;
        if escaped {
            escaped = false;
        } else if in_string && c == '\\' {
            escaped = true;
        } else if c == '"' {
            in_string = !in_string;
        }
        was_in_string || in_string || !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')
    })
    .filter(|piece| piece.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
}

/// Whether the JSON parser preserves a number. The parser keeps integers of 64 bits and the shortest digits of an
/// `f64`; any other number would compare equal to a different one.
fn is_exact(literal: &str) -> bool {
    serde_json::from_str::<Number>(literal).is_ok_and(|number| number.to_string() == literal)
}

/// Parses any JSON value, but rejects a duplicate key in one object and nesting beyond [`MAX_DEPTH`].
#[derive(Clone, Copy)]
struct Strict {
    levels_left: usize,
}

impl Default for Strict {
    fn default() -> Self {
        Self { levels_left: MAX_DEPTH }
    }
}

impl Strict {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left }),
            None => Err(E::custom(format_args!("it is nested more than {MAX_DEPTH} levels deep"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(inside)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                let key: String = key.chars().take(MAX_QUOTED).collect();
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} appears twice in one object"
                )));
            }
            object.insert(key, entries.next_value_seed(inside)?);
        }
        Ok(Value::Object(object))
    }
}
