//! The documents name everything that exists, and nothing else.

use std::collections::BTreeSet;

use streamrole::api::Reason;

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
