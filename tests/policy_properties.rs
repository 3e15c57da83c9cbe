//! Properties of all policy documents, on 10,000 random ones each.
//!
//! There are two kinds of documents. A `Policy` is a meaning, which `Style` writes in one of many equivalent forms. So
//! two texts are equivalent exactly when their meanings are equal, which this file knows without the code under test.
//! The other kind is any JSON from the words of the policy language. It shows that the laws hold without a known
//! meaning.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value};
use streamrole::policy::{Document, differences, percent_decode, percent_encode};

fn cases() -> ProptestConfig {
    // A failing case goes to tests/policy_equivalence.rs instead of a file of seeds.
    ProptestConfig {
        cases: support::cases(),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

// ---- Meanings

type Words = BTreeSet<&'static str>;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Policy {
    current: bool,
    statements: BTreeSet<Statement>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Statement {
    deny: bool,
    /// Element name (`Principal` or `NotPrincipal`), then type, then ids; accounts by their id.
    principals: Option<(&'static str, BTreeMap<&'static str, Words>)>,
    actions: (&'static str, Words),
    resources: Option<(&'static str, Words)>,
    conditions: BTreeMap<(&'static str, &'static str), Words>,
    unknown: Option<&'static str>,
}

const ACTIONS: &[&str] =
    &["kinesis:putrecords", "kinesis:describestream", "s3:*", "*", "sts:assumerole"];
const RESOURCES: &[&str] = &[
    "*",
    "arn:aws:s3:::B",
    "arn:aws:s3:::b",
    "arn:aws:kinesis:us-east-1:111122223333:stream/é\"\\",
];
const IDS: &[&str] = &[
    "*",
    "111122223333",
    "444455556666",
    "arn:aws:iam::111122223333:role/r",
    "pinpoint.amazonaws.com",
];
const TYPES: &[&str] = &["AWS", "Service", "Federated"];
const OPERATORS: &[&str] =
    &["StringEquals", "StringLike", "Bool", "stringequals", "ForAnyValue:StringLike"];
const KEYS: &[&str] = &["aws:sourceaccount", "aws:sourcearn", "aws:resourcetag/a-1"];
const VALUES: &[&str] =
    &["true", "false", "1", "1.0", "42", "-7", "100.5", "text", "Text", "", "*"];
const UNKNOWN: &[&str] = &["null", "5", "\"5\"", "[\"a\",\"b\"]", "{\"a\":[]}"];

fn words(of: &'static [&'static str], from: usize) -> impl Strategy<Value = Words> {
    btree_set(select(of), from..4)
}

prop_compose! {
    fn statement()(
        deny in any::<bool>(),
        principals in option::of((
            select(&["Principal", "NotPrincipal"][..]),
            btree_map(select(TYPES), words(IDS, 1), 0..3),
        )),
        actions in (select(&["Action", "NotAction"][..]), words(ACTIONS, 0)),
        resources in option::of((select(&["Resource", "NotResource"][..]), words(RESOURCES, 0))),
        conditions in btree_map((select(OPERATORS), select(KEYS)), words(VALUES, 0), 0..4),
        unknown in option::weighted(0.2, select(UNKNOWN)),
    ) -> Statement {
        Statement { deny, principals, actions, resources, conditions, unknown }
    }
}

prop_compose! {
    fn policy()(current in any::<bool>(), statements in btree_set(statement(), 0..4)) -> Policy {
        Policy { current, statements }
    }
}

// ---- Ways to write them down

/// A stream of small choices; the same number makes the same choices.
struct Style(u64);

impl Style {
    fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("less than limit")
    }

    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }

    fn one_of<'a>(&mut self, ways: &[&'a str]) -> &'a str {
        ways[self.below(ways.len())]
    }

    fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
        items
    }

    fn space(&mut self) -> &'static str {
        self.one_of(&["", "", "", " ", "\n\t"])
    }

    fn string(&mut self, text: &str) -> String {
        let mut written = Value::from(text).to_string();
        if self.below(8) == 0 && text.is_ascii() && !text.contains(['"', '\\']) {
            let escaped: Vec<_> = text.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
            written = format!("\"{}\"", escaped.concat());
        }
        written
    }

    fn recased(&mut self, text: &str) -> String {
        let recase = |c: char| if self.flip() { c.to_ascii_uppercase() } else { c };
        text.chars().map(recase).collect()
    }

    fn joined(&mut self, items: &[String], open: char, close: char) -> String {
        let mut text = String::from(open);
        for (index, item) in items.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            text.push_str(&[comma, self.space(), item, self.space()].concat());
        }
        text.push(close);
        text
    }

    fn object(&mut self, entries: Vec<(String, String)>) -> String {
        let entries = self.shuffled(entries);
        let entries: Vec<_> = entries
            .into_iter()
            .map(|(name, value)| {
                [&self.string(&name), self.space(), ":", self.space(), &value].concat()
            })
            .collect();
        self.joined(&entries, '{', '}')
    }

    /// A set: in any order, with duplicates, and one member with or without its list.
    fn set(&mut self, members: &Words, write: fn(&mut Self, &str) -> String) -> String {
        let mut written: Vec<_> = members.iter().map(|member| write(self, member)).collect();
        if written.len() == 1 && self.flip() {
            return written.remove(0);
        }
        if let (Some(first), true) = (members.first(), self.flip()) {
            written.push(write(self, first));
        }
        let written = self.shuffled(written);
        self.joined(&written, '[', ']')
    }

    fn action(&mut self, name: &str) -> String {
        let name = self.recased(name);
        self.string(&name)
    }

    fn account(&mut self, id: &str) -> String {
        let is_account = id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit());
        let partition = self.one_of(&["", "aws", "aws-cn", "aws-us-gov"]);
        if is_account && !partition.is_empty() {
            return self.string(&format!("arn:{partition}:iam::{id}:root"));
        }
        self.string(id)
    }

    fn value(&mut self, text: &str) -> String {
        let unquoted = text.parse::<f64>().is_ok() || text == "true" || text == "false";
        if unquoted && self.flip() { text.to_owned() } else { self.string(text) }
    }

    fn principals(&mut self, types: &BTreeMap<&'static str, Words>) -> String {
        let everyone = BTreeMap::from([("AWS", Words::from(["*"]))]);
        if *types == everyone && self.flip() {
            return self.string("*");
        }
        let entries = types
            .iter()
            .map(|(kind, ids)| {
                let write = if *kind == "AWS" { Self::account } else { Self::string };
                ((*kind).to_owned(), self.set(ids, write))
            })
            .collect();
        self.object(entries)
    }

    fn conditions(&mut self, conditions: &BTreeMap<(&'static str, &'static str), Words>) -> String {
        let mut operators: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for ((operator, key), values) in conditions {
            let entry = (self.recased(key), self.set(values, Self::value));
            operators.entry((*operator).to_owned()).or_default().push(entry);
        }
        let operators =
            operators.into_iter().map(|(operator, keys)| (operator, self.object(keys))).collect();
        self.object(operators)
    }

    fn statement(&mut self, statement: &Statement) -> String {
        let effect = if statement.deny { "Deny" } else { "Allow" };
        let (action, actions) = &statement.actions;
        let mut entries = vec![
            ("Effect".to_owned(), self.string(effect)),
            ((*action).to_owned(), self.set(actions, Self::action)),
        ];
        if self.flip() {
            entries
                .push(("Sid".to_owned(), self.one_of(&["\"\"", "\"One\"", "\"Two\""]).to_owned()));
        }
        if let Some((element, types)) = &statement.principals {
            entries.push(((*element).to_owned(), self.principals(types)));
        }
        if let Some((element, resources)) = &statement.resources {
            entries.push(((*element).to_owned(), self.set(resources, Self::string)));
        }
        if !statement.conditions.is_empty() || self.flip() {
            entries.push(("Condition".to_owned(), self.conditions(&statement.conditions)));
        }
        if let Some(unknown) = statement.unknown {
            entries.push(("Unless".to_owned(), unknown.to_owned()));
        }
        self.object(entries)
    }

    fn policy(&mut self, policy: &Policy) -> String {
        let mut statements: Vec<_> =
            policy.statements.iter().map(|one| self.statement(one)).collect();
        let mut entries = Vec::new();
        if let (Some(first), true) = (policy.statements.first(), self.flip()) {
            statements.push(self.statement(first));
        }
        let statements = self.shuffled(statements);
        let lone = statements.len() == 1 && self.flip();
        let statements =
            if lone { statements.concat() } else { self.joined(&statements, '[', ']') };
        entries.push(("Statement".to_owned(), statements));
        if policy.current {
            entries.push(("Version".to_owned(), self.string("2012-10-17")));
        } else if self.flip() {
            entries.push(("Version".to_owned(), self.string("2008-10-17")));
        }
        if self.flip() {
            entries.push(("Id".to_owned(), self.one_of(&["\"\"", "\"x\""]).to_owned()));
        }
        self.object(entries)
    }
}

fn written(policy: &Policy, style: u64) -> Document {
    let text = Style(style).policy(policy);
    Document::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

// ---- Single changes

/// Adds a missing word, or removes it.
fn toggle(set: &mut Words, word: &'static str) {
    if !set.remove(word) {
        set.insert(word);
    }
}

/// Changes one part of one statement; `kind` and `pick` choose the part and the value.
fn change(statement: &mut Statement, kind: usize, pick: usize) {
    let word = |of: &'static [&'static str]| of[pick % of.len()];
    match kind {
        0 => statement.deny = !statement.deny,
        1 => toggle(&mut statement.actions.1, word(ACTIONS)),
        2 => {
            statement.actions.0 =
                if statement.actions.0 == "Action" { "NotAction" } else { "Action" }
        }
        3 => match &mut statement.resources {
            Some((_, resources)) => toggle(resources, word(RESOURCES)),
            none => *none = Some(("Resource", Words::from([word(RESOURCES)]))),
        },
        4 => match &mut statement.resources {
            Some((element, _)) if *element == "Resource" => *element = "NotResource",
            other => *other = if other.is_some() { None } else { Some(("Resource", Words::new())) },
        },
        5 => match &mut statement.principals {
            Some((_, types)) => {
                let ids = types.entry(word(TYPES)).or_default();
                // A new type with an id, another id of a known type, or its last id removed.
                toggle(ids, IDS[pick / 3 % IDS.len()]);
            }
            none => {
                *none = Some(("Principal", BTreeMap::from([("AWS", Words::from([word(IDS)]))])));
            }
        },
        6 => match &mut statement.principals {
            Some((element, _)) if *element == "Principal" => *element = "NotPrincipal",
            other => {
                *other = if other.is_some() { None } else { Some(("Principal", BTreeMap::new())) }
            }
        },
        7 => {
            let condition = (word(OPERATORS), KEYS[pick / 5 % KEYS.len()]);
            match statement.conditions.get_mut(&condition) {
                Some(values) => toggle(values, VALUES[pick / 15 % VALUES.len()]),
                None => drop(statement.conditions.insert(condition, Words::from(["1"]))),
            }
        }
        8 => match statement.conditions.pop_first() {
            // The same values under another key or operator, or one condition less.
            Some((_, values)) if pick.is_multiple_of(2) => {
                statement.conditions.insert((word(OPERATORS), KEYS[pick / 5 % KEYS.len()]), values);
            }
            Some(_) => {}
            None => drop(statement.conditions.insert((word(OPERATORS), KEYS[0]), Words::new())),
        },
        _ => {
            statement.unknown = if statement.unknown.is_some() { None } else { Some(word(UNKNOWN)) }
        }
    }
}

fn changed(policy: &Policy, which: usize, kind: usize, pick: usize) -> Policy {
    let mut policy = policy.clone();
    let statement = policy.statements.iter().nth(which % policy.statements.len().max(1)).cloned();
    match (statement, kind) {
        (_, 10) | (None, _) => policy.current = !policy.current,
        (Some(statement), 11) => drop(policy.statements.remove(&statement)),
        (Some(mut statement), kind) => {
            policy.statements.remove(&statement);
            change(&mut statement, kind, pick);
            policy.statements.insert(statement);
        }
    }
    policy
}

// ---- Any JSON in the language's words

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        select(
            &[
                "*",
                "Allow",
                "a:B",
                "A:b",
                "111122223333",
                "arn:aws:iam::111122223333:root",
                "2008-10-17",
                "true",
                "1",
                "%41+",
                ""
            ][..]
        )
        .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        (-1..3i64).prop_map(Value::from),
        select(&[0.0, -0.0, 1.0, 1e300][..]).prop_map(Value::from),
        Just(Value::Null),
        ".{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::Array),
            vec((name(), inner), 0..4).prop_map(|entries| Value::Object(Map::from_iter(entries))),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    let known = &[
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "Principal",
        "AWS",
        "Service",
        "Condition",
        "Bool",
        "k",
        "K",
        "Sid",
        "Id",
        "Statement",
        "Version",
        "",
    ];
    prop_oneof![8 => select(&known[..]).prop_map(String::from), 1 => ".{0,3}"]
}

fn any_object() -> impl Strategy<Value = Value> {
    vec((name(), any_value()), 0..4).prop_map(|entries| Value::Object(Map::from_iter(entries)))
}

/// Statements of one or two elements out of a few, so that many of them are equivalent.
fn one_of_few() -> impl Strategy<Value = Value> {
    let elements = &[
        r#""Action":"a""#,
        r#""Action":["A"]"#,
        r#""Action":[]"#,
        r#""Principal":"*""#,
        r#""Principal":{"AWS":["*"]}"#,
        r#""Principal":{}"#,
        r#""Sid":"s""#,
        r#""Condition":{}"#,
        r#""Condition":{"Bool":{"K":true}}"#,
        r#""Condition":{"Bool":{"k":["true"]}}"#,
        r#""Condition":{"Bool":{"k":1,"K":1}}"#,
    ];
    let statement = vec(select(&elements[..]), 0..2).prop_map(|elements| {
        serde_json::from_str::<Value>(&format!("{{{}}}", elements.join(","))).expect("JSON")
    });
    let statements = prop_oneof![vec(statement.clone(), 0..3).prop_map(Value::Array), statement];
    statements.prop_map(|statements| serde_json::json!({ "Statement": statements }))
}

fn any_document() -> impl Strategy<Value = Document> {
    prop_oneof![
        any_object(),
        any_value().prop_map(|statement| serde_json::json!({ "Statement": statement })),
        one_of_few(),
        (policy(), any::<u64>()).prop_map(|(policy, style)| written(&policy, style).to_value()),
    ]
    .prop_map(|value| Document::from_value(&value).expect("an object of little depth"))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn documents_are_equivalent_exactly_when_their_meanings_are_equal(
        a in policy(), b in policy(), styles in any::<(u64, u64)>(),
    ) {
        prop_assert_eq!(written(&a, styles.0).equivalent(&written(&b, styles.1)), a == b);
    }

    #[test]
    fn no_rewriting_that_keeps_the_meaning_is_a_difference(
        policy in policy(), styles in any::<(u64, u64)>(),
    ) {
        let (a, b) = (written(&policy, styles.0), written(&policy, styles.1));
        prop_assert!(a.equivalent(&b), "{a}\n{b}\n{:?}", differences(&a, &b));
        prop_assert_eq!(differences(&a, &b), vec![]);
        prop_assert_eq!(a.canonical().to_value(), b.canonical().to_value());
    }

    #[test]
    fn every_single_change_is_seen(
        policy in policy(), styles in any::<(u64, u64)>(),
        which in 0..4usize, kind in 0..12usize, pick in any::<u16>(),
    ) {
        let other = changed(&policy, which, kind, pick.into());
        prop_assume!(policy != other);
        let (a, b) = (written(&policy, styles.0), written(&other, styles.1));
        prop_assert!(!a.equivalent(&b), "{a}\n{b}");
        prop_assert!(!differences(&a, &b).is_empty());
    }

    #[test]
    fn a_key_twice_is_refused_wherever_it_stands(policy in policy(), style: u64, at: usize) {
        let text = Style(style).policy(&policy);
        let braces: Vec<_> = text.match_indices('{').map(|(index, _)| index + 1).collect();
        let (before, after) = text.split_at(braces[at % braces.len()]);
        let comma = if after.trim_start().starts_with('}') { "" } else { "," };
        let text = format!(r#"{before}"x":0,"x":0{comma}{after}"#);
        let error = Document::parse(&text).expect_err("refused").to_string();
        prop_assert!(error.contains("the key \"x\" appears twice"), "{error}");
    }

    #[test]
    fn equivalence_is_reflexive_and_symmetric(a in any_document(), b in any_document()) {
        prop_assert!(a.equivalent(&a));
        prop_assert_eq!(a.equivalent(&b), b.equivalent(&a));
    }

    #[test]
    fn equivalence_is_transitive(few in vec(one_of_few(), 3)) {
        let few: Vec<_> = few.iter().map(|value| Document::from_value(value).expect("read")).collect();
        let [a, b, c] = &few[..] else { panic!("three were made") };
        prop_assert!(!(a.equivalent(b) && b.equivalent(c)) || a.equivalent(c), "{a}\n{b}\n{c}");
    }

    #[test]
    fn the_canonical_form_is_a_fixed_point_and_stands_for_the_meaning(
        a in any_document(), b in any_document(),
    ) {
        let (once, other) = (a.canonical(), b.canonical());
        prop_assert_eq!(once.canonical().to_value(), once.to_value());
        prop_assert!(once.equivalent(&a), "{a}\n{once}");
        prop_assert_eq!(once.to_value() == other.to_value(), a.equivalent(&b));
    }

    #[test]
    fn there_are_differences_exactly_when_documents_are_not_equivalent(
        a in any_document(), b in any_document(),
    ) {
        let found = differences(&a, &b);
        prop_assert_eq!(found.is_empty(), a.equivalent(&b), "{}\n{}\n{:?}", a, b, found);
        prop_assert!(found.len() <= 65);
        for difference in &found {
            prop_assert!(difference.desired.is_some() || difference.live.is_some());
            let line = difference.to_string();
            prop_assert!(line.chars().count() < 2000 && !line.contains(char::is_control), "{line}");
        }
        prop_assert_eq!(differences(&a, &b), found, "the same again");
    }

    #[test]
    fn a_document_prints_as_a_text_that_reads_as_itself(document in any_document()) {
        let again = Document::parse(&document.to_string());
        prop_assert_eq!(again.map(|again| again.to_value()), Ok(document.to_value()));
    }

    #[test]
    fn decoding_undoes_encoding(text in any::<String>()) {
        let encoded = percent_encode(&text);
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        prop_assert_eq!(percent_decode(&encoded), Ok(text));
    }

    #[test]
    fn an_encoded_document_reads_like_its_text(document in any_document()) {
        let text = document.to_string();
        let (plain, encoded) = (Document::parse(&text), Document::from_percent_encoded(&percent_encode(&text)));
        prop_assert_eq!(plain.map(|one| one.to_value()), encoded.map(|one| one.to_value()));
    }

    #[test]
    fn no_text_makes_reading_panic(
        text in prop_oneof![any::<String>(), r#"[\[\]{}:,"\\0-9eE.+%u \-a-f]{0,40}"#],
        document in any_document(), cut in any::<usize>(), with in any::<char>(),
    ) {
        let _ = Document::parse(&text);
        let _ = Document::from_percent_encoded(&text);
        let _ = Document::parse(&format!("{{\"Statement\":{text}}}"));
        let mut characters: Vec<_> = document.to_string().chars().collect();
        let at = cut % characters.len();
        characters[at] = with;
        let damaged: String = characters.into_iter().collect();
        if let Ok(read) = Document::parse(&damaged) {
            let _ = differences(&read, &document);
        }
    }
}
