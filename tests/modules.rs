//! Which module of `src/` can use which: the arrows of ARCHITECTURE.md, and no cycle among the modules of one folder.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that each module can use.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("policy", &[]),
    ("timing", &[]),
    ("service", &["policy"]),
    ("role", &["policy", "service"]),
    ("api", &["policy", "role", "service"]),
    ("audit", &["policy", "role", "service"]),
    ("telemetry", &[]),
    ("iam", &["policy", "role", "timing"]),
    ("controller", &["api", "policy", "role", "telemetry", "timing"]),
    (
        "cli",
        &["api", "audit", "controller", "iam", "policy", "role", "service", "telemetry", "timing"],
    ),
    ("main", &["cli"]),
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The path of a module as `use` writes it: `["controller", "index", "claims"]`.
fn module(file: &Path, src: &Path) -> Vec<String> {
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let mut parts: Vec<_> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
        parts.pop();
    }
    parts
}

/// The text without its unit tests, which can use anything in their crate.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\n#[allow")
        .next()
        .unwrap()
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap()
}

/// Every path below the crate in `use` lines or in the text, as a list of modules.
fn used(text: &str, own: &[String]) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for statement in text.split(';') {
        let Some(start) = statement.find("use ").filter(|at| {
            statement.get(..*at).is_some_and(|before| {
                let line = before.rsplit('\n').next().unwrap_or_default().trim();
                line.is_empty() || line.starts_with("pub")
            })
        }) else {
            continue;
        };
        let path: String = statement.split_at(start + 4).1.split_whitespace().collect();
        found.extend(expanded(&path).into_iter().filter_map(|path| absolute(&path, own)));
    }
    for word in ["crate::", "super::"] {
        for (at, _) in text.match_indices(word) {
            let rest: String = text
                .split_at(at)
                .1
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c))
                .collect();
            let is_start = text.get(..at).is_none_or(|before| {
                !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_')
            });
            if is_start {
                found.extend(absolute(&rest, own));
            }
        }
    }
    found
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expanded(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut parts) = (0_i32, vec![String::new()]);
    for character in inner.chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(character);
    }
    parts.iter().flat_map(|part| expanded(&format!("{head}{part}"))).collect()
}

fn absolute(path: &str, own: &[String]) -> Option<Vec<String>> {
    let mut parts = path.split("::").filter(|part| !part.is_empty()).peekable();
    let mut base = own.to_vec();
    match parts.peek() {
        Some(&"crate") => {
            parts.next();
            base.clear();
        }
        Some(&"super") => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        _ => return None,
    }
    // Modules are in snake case; types are not.
    let is_module = |part: &&str| part.starts_with(|c: char| c.is_ascii_lowercase());
    base.extend(parts.take_while(is_module).map(str::to_owned));
    Some(base)
}

struct Code {
    /// Modules and their dependencies, cut to modules.
    uses: BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
}

impl Code {
    fn read() -> Self {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = source_files(&src);
        let modules: BTreeSet<_> = files.iter().map(|file| module(file, &src)).collect();
        let mut uses = BTreeMap::new();
        for file in &files {
            let own = module(file, &src);
            let text = fs::read_to_string(file).unwrap();
            let found = used(without_tests(&text), &own);
            let cut = |mut path: Vec<String>| {
                while !path.is_empty() && !modules.contains(&path) {
                    path.pop();
                }
                path
            };
            uses.insert(own, found.into_iter().map(cut).filter(|path| !path.is_empty()).collect());
        }
        Self { uses }
    }
}

#[test]
fn modules_use_only_their_allowed_dependencies() {
    let mut wrong = Vec::new();
    for (module, uses) in Code::read().uses {
        let Some(room) = module.first() else { continue };
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == room) else {
            wrong.push(format!("{room} is in no row of this test"));
            continue;
        };
        for used in uses {
            let other = used.first().unwrap();
            if other != room && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{} uses {}", module.join("::"), used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_modules_of_one_folder_use_each_other_without_a_cycle() {
    let code = Code::read();
    let folders: BTreeSet<Vec<String>> =
        code.uses.keys().filter_map(|module| Some(module.split_last()?.1.to_vec())).collect();
    for folder in folders {
        let child = |module: &[String]| {
            module.strip_prefix(folder.as_slice()).and_then(|rest| rest.first().cloned())
        };
        let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, uses) in &code.uses {
            let Some(from) = child(module) else { continue };
            let to: Vec<_> =
                uses.iter().filter_map(|used| child(used)).filter(|to| *to != from).collect();
            arrows.entry(from).or_default().extend(to);
        }
        // A module without remaining dependencies is not part of a cycle.
        while let Some(leaf) =
            arrows.iter().find(|(_, to)| !to.iter().any(|to| arrows.contains_key(to)))
        {
            let leaf = leaf.0.clone();
            arrows.remove(&leaf);
        }
        assert!(arrows.is_empty(), "a cycle in {}: {arrows:#?}", folder.join("::"));
    }
}

#[test]
fn only_services_and_resources_name_the_first_service() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let named: Vec<_> = source_files(&src)
        .into_iter()
        .filter(|file| fs::read_to_string(file).unwrap().to_lowercase().contains("pinpoint"))
        .map(|file| module(&file, &src).join("::"))
        .filter(|module| !["service", "api"].contains(&module.split("::").next().unwrap()))
        .collect();
    assert_eq!(named, Vec::<String>::new());
}
