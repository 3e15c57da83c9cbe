//! The words of docs/style-words.txt occur nowhere that people read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::RegexBuilder;

const LIST: &str = include_str!("../docs/style-words.txt");

/// What people read.
const PLACES: [&str; 9] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs",
    "deploy",
    "src",
    "tests",
];

fn is_read(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let kinds = ["md", "rs", "yaml", "go", "tpl", "txt", "tf"];
    let is_text = path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known));
    // The list itself, the page that explains it, and schemas that were stored once.
    is_text
        && !text.contains("style")
        && !text.contains("/tests/schema/")
        && !text.ends_with("/tests/words.rs")
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.flat_map(|entry| files(&entry.unwrap().path())).collect();
    }
    if is_read(path) { vec![path.to_owned()] } else { Vec::new() }
}

#[test]
fn texts_contain_no_phrase_of_the_style_list() {
    let patterns: Vec<_> = LIST
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(pattern, instead)| {
            let pattern = RegexBuilder::new(pattern).case_insensitive(true).build().unwrap();
            (pattern, instead)
        })
        .collect();
    assert!(patterns.len() > 30, "the list is read");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for file in PLACES.iter().flat_map(|place| files(&root.join(place))) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            for (pattern, instead) in &patterns {
                if let Some(hit) = pattern.find(line) {
                    let file = file.strip_prefix(root).unwrap().display();
                    found.push(format!("{file}:{number}: {:?}: write {instead}", hit.as_str()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{} phrases: {found:#?}", found.len());
}
