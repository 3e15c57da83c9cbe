//! Objects stored under an older schema stay valid: the current schema only extends it. `tests/schema/` has the older
//! schemas; each release adds its schema. `tests/integration/upgrade.rs` tests that the API server and the controller
//! agree.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};

use serde_json::Value;
use streamrole::api::Kind;

fn schema_of(crd: &Value) -> Value {
    let [version] = crd["spec"]["versions"].as_array().unwrap().as_slice() else {
        panic!("there is one version: {crd}");
    };
    version["schema"]["openAPIV3Schema"].clone()
}

/// The changes that make objects valid under `older` invalid, or change their meaning.
fn breaks(path: &str, older: &Value, newer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for word in ["type", "format", "default", "additionalProperties", "x-kubernetes-list-type"] {
        if older[word] != newer[word] {
            found.push(format!("{path}: {word} was {} and is {}", older[word], newer[word]));
        }
    }
    let number = |schema: &Value, word: &str| schema[word].as_f64();
    for word in ["minLength", "minimum", "minItems"] {
        let (old, new) = (number(older, word), number(newer, word));
        if new.is_some_and(|new| old.is_none_or(|old| new > old)) {
            found.push(format!("{path}: {word} was {old:?} and is {new:?}"));
        }
    }
    // Only the controller writes the status, and it replaces the whole status. A first limit that it respects
    // invalidates no stored object.
    let first_limit_is_free = path.starts_with(".status");
    for word in ["maxLength", "maximum", "maxItems", "maxProperties"] {
        let (old, new) = (number(older, word), number(newer, word));
        let is_first = old.is_none() && first_limit_is_free;
        if new.is_some_and(|new| old.is_none_or(|old| new < old)) && !is_first {
            found.push(format!("{path}: {word} was {old:?} and is {new:?}"));
        }
    }
    let list = |schema: &Value, word: &str| schema[word].as_array().cloned().unwrap_or_default();
    let newer_values = list(newer, "enum");
    for value in list(older, "enum") {
        if !newer_values.is_empty() && !newer_values.contains(&value) {
            found.push(format!("{path}: {value} is no longer a value"));
        }
    }
    if list(older, "enum").is_empty() && !newer_values.is_empty() {
        found.push(format!("{path}: only {newer_values:?} are values now"));
    }
    for required in list(newer, "required") {
        if !list(older, "required").contains(&required) {
            found.push(format!("{path}: {required} is required now"));
        }
    }
    for (name, property) in older["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match newer["properties"].get(name) {
            Some(newer) => found.extend(breaks(&path, property, newer)),
            None => found.push(format!("{path} is gone")),
        }
    }
    if older.get("items").is_some() {
        found.extend(breaks(&format!("{path}[]"), &older["items"], &newer["items"]));
    }
    found
}

/// The released CRDs by file name.
fn released() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = |path: PathBuf| {
        let crd = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_name().unwrap().to_string_lossy().into_owned(), crd)
    };
    files.map(read).collect()
}

#[test]
fn the_schema_only_adds_to_older_ones() {
    let released = released();
    assert!(released.len() >= 2, "{released:?}");
    for (file, older) in released {
        let kind = older["spec"]["names"]["kind"].as_str().unwrap();
        let newer = serde_json::to_value((Kind::named(kind).unwrap().crd)()).unwrap();
        let found = breaks("", &schema_of(&older), &schema_of(&newer));
        assert_eq!(found, Vec::<String>::new(), "{file}");
    }
}

/// The place of a change, the change, and the expected report.
type Change = (&'static str, fn(&mut Value), &'static str);

#[test]
fn changes_that_break_stored_objects_are_found() {
    let older: Value = serde_saphyr::from_str(include_str!("schema/first.yaml")).unwrap();
    let older = schema_of(&older);
    let spec = "/properties/spec";
    let changes: [Change; 7] = [
        (
            "",
            |spec| drop(spec["properties"].as_object_mut().unwrap().remove("path")),
            ".spec.path is gone",
        ),
        (
            "",
            |spec| spec["required"] = serde_json::json!(["destination", "source"]),
            "\"source\" is required",
        ),
        ("/properties/roleName", |name| name["maxLength"] = 32.into(), "maxLength"),
        ("/properties/description", |text| text["minLength"] = 1.into(), "minLength"),
        ("/properties/path", |path| path["default"] = "/x/".into(), "default"),
        (
            "/properties/driftPolicy",
            |policy| policy["enum"] = serde_json::json!(["Correct"]),
            "\"Report\" is no longer a value",
        ),
        ("/properties/exclusivePolicies", |flag| flag["type"] = "string".into(), "type"),
    ];
    for (place, change, said) in changes {
        let mut newer = older.clone();
        change(newer.pointer_mut(&format!("{spec}{place}")).unwrap());
        let found = breaks("", &older, &newer).join("\n");
        assert!(found.contains(said), "{said} in {found:?}");
    }
}
