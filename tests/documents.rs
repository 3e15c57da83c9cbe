//! The documents name everything that exists, and nothing else.

#![allow(clippy::indexing_slicing, reason = "of JSON")]

use std::collections::BTreeSet;

use streamrole::api::{KINDS, Reason, json_schema};

/// The names in the first column of the table with this header.
fn named<'a>(document: &'a str, head: &str) -> BTreeSet<&'a str> {
    let table = document.lines().skip_while(|line| !line.starts_with(head)).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`')).collect()
}

#[test]
fn every_reason_is_explained_and_no_other() {
    let reasons: BTreeSet<_> = Reason::all().map(Reason::as_str).collect();
    let documents = [
        ("README.md", include_str!("../README.md")),
        ("docs/troubleshooting.md", include_str!("../docs/troubleshooting.md")),
    ];
    for (name, document) in documents {
        assert_eq!(named(document, "| reason |"), reasons, "{name}");
    }
}

#[test]
fn troubleshooting_goes_by_reason_in_order() {
    let document = include_str!("../docs/troubleshooting.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<_> = rows.filter_map(|row| row.split('`').next()).collect();
    let reasons: Vec<_> = Reason::all().map(Reason::as_str).collect();
    assert_eq!(listed, reasons);
}

/// The public fields of a source file, as the schema names them, with their doc comments on one line.
fn documented_fields(source: &str) -> Vec<(String, String)> {
    let (mut fields, mut comment) = (Vec::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            comment.push(text);
        } else if let Some((name, _)) = line.strip_prefix("pub ").and_then(|l| l.split_once(": ")) {
            let mut words = name.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            let name = words.fold(first, |name, word| {
                let (head, tail) = word.split_at(1);
                name + &head.to_uppercase() + tail
            });
            fields.push((name, comment.join(" ")));
            comment.clear();
        } else if !line.starts_with("#[") && !line.starts_with("validation") && line != ")]" {
            comment.clear();
        }
    }
    fields
}

fn descriptions(schema: &serde_json::Value, found: &mut BTreeSet<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let description = property["description"].as_str().unwrap_or_default();
        let words: Vec<_> = description.split_whitespace().collect();
        found.insert((name.clone(), words.join(" ")));
        descriptions(property, found);
        descriptions(&property["items"], found);
    }
}

#[test]
fn the_comment_of_every_field_is_its_description_in_the_schema() {
    let mut found = BTreeSet::new();
    for kind in KINDS {
        descriptions(&json_schema(kind), &mut found);
    }
    let sources = [
        include_str!("../src/api/settings.rs"),
        include_str!("../src/api/status.rs"),
        include_str!("../src/api/v1alpha1/pinpoint_event_stream_role.rs"),
    ];
    let fields: Vec<_> = sources
        .iter()
        .flat_map(|source| documented_fields(source))
        // Its fields are those of the spec itself.
        .filter(|(name, _)| name != "settings")
        .collect();
    assert!(fields.len() > 25, "{fields:?}");
    let lost: Vec<_> = fields.iter().filter(|field| !found.contains(*field)).collect();
    assert!(lost.is_empty(), "{lost:#?}");
}
