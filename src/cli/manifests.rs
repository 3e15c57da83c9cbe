//! Resources from files, folders and standard input. A document that cannot be read is reported with its file and line,
//! and does not hide the others.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use clap::Args;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::api::{KINDS, Kind, RoleResource, unknown_fields};
use crate::role::{Declaration, DefaultTags, Defaults, RoleNamePrefix};

use super::run;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Flags that name manifests, and what the controller adds to them.
#[derive(Args, Debug)]
pub(super) struct Source {
    /// File or folder with manifests, or - for standard input; can be repeated. Of a folder, all files with the endings
    /// .yaml, .yml and .json are read. Resources of other kinds are skipped.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

/// The settings of the controller that change what a manifest declares.
#[derive(Args, Clone, Debug)]
pub(super) struct Settings {
    /// Namespace of manifests without one. Default: default.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,

    /// Tag that the controller gives every role, as in team=marketing; can be repeated.
    #[arg(long, env = "STREAMROLE_DEFAULT_TAG", value_delimiter = ',', value_parser = run::tag, value_name = "KEY=VALUE")]
    default_tag: Vec<(String, String)>,

    /// Prefix that the controller gives default role names.
    #[arg(long, env = "STREAMROLE_ROLE_NAME_PREFIX", default_value = "", hide_default_value = true, value_parser = RoleNamePrefix::parse, value_name = "PREFIX")]
    role_name_prefix: RoleNamePrefix,
}

impl Settings {
    /// Reads these files.
    ///
    /// # Errors
    /// When a file cannot be read, or no file contains a resource.
    pub(super) fn read(&self, files: &[PathBuf]) -> Result<Manifests, super::Error> {
        read(files, self.namespace.as_deref().unwrap_or("default"), &self.defaults()?)
    }

    /// The controller's defaults.
    ///
    /// # Errors
    /// When a tag breaks a rule.
    pub(super) fn defaults(&self) -> Result<Defaults, super::Error> {
        let tags = DefaultTags::new(self.default_tag.iter().cloned());
        let tags = tags.map_err(|error| super::Error::Flags(format!("--default-tag: {error}")))?;
        Ok(Defaults { role_name_prefix: self.role_name_prefix.clone(), tags })
    }
}

/// A document of a file.
#[derive(Clone)]
pub(super) struct Place {
    /// The file as the user named it; `-` for standard input.
    pub file: Arc<str>,
    /// Line of the file on which the document begins, from 1.
    pub line: usize,
    text: Arc<str>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A resource of a file, and the role that it declares.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    /// Where it is.
    pub place: Place,
    /// The resource.
    pub resource: RoleResource,
    /// The role that it declares.
    pub declaration: Declaration,
}

/// A document that is no valid resource.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    place: Place,
    /// Line and column within the document, from 1.
    at: Option<(usize, usize)>,
    message: String,
}

/// What the files contain.
#[derive(Debug, Default)]
pub(super) struct Manifests {
    /// The valid resources, in the order of the files.
    pub all: Vec<Manifest>,
    /// The documents that are not valid.
    pub problems: Vec<Problem>,
}

impl Source {
    /// Reads all files.
    ///
    /// # Errors
    /// When a file cannot be read, or no file contains a resource.
    pub(super) fn read(&self) -> Result<Manifests, super::Error> {
        self.settings.read(&self.files)
    }
}

/// Reads these files. A resource without a namespace is in `namespace`.
///
/// # Errors
/// When a file cannot be read, or no file contains a resource.
fn read(
    files: &[PathBuf],
    namespace: &str,
    defaults: &Defaults,
) -> Result<Manifests, super::Error> {
    let mut found = Manifests::default();
    for file in files {
        for path in expanded(file)? {
            let text = text_of(&path)?;
            let file: Arc<str> = path.to_string_lossy().into();
            for place in documents(&file, &text) {
                found.add(place, namespace, defaults);
            }
        }
    }
    if found.all.is_empty() && found.problems.is_empty() {
        let kinds = KINDS.map(|kind| kind.name).join(" or ");
        let names: Vec<_> = files.iter().map(|file| file.to_string_lossy()).collect();
        return Err(super::Error::Input(format!("no {kinds} in {}", names.join(", "))));
    }
    Ok(found)
}

/// The files that a path names: itself, or for a folder those below it that can be manifests.
fn expanded(path: &Path) -> Result<Vec<PathBuf>, super::Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    let mut files = Vec::new();
    let mut entries = std::fs::read_dir(path)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_manifest = ["yaml", "yml", "json"]
            .iter()
            .any(|ending| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(ending)));
        // A link to a folder could lead back here.
        if entry.file_type().is_ok_and(|type_| type_.is_dir()) {
            files.extend(expanded(&path)?);
        } else if is_manifest && path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn unreadable(path: &Path, error: &std::io::Error) -> super::Error {
    super::Error::Input(format!("cannot read {}: {error}", path.display()))
}

fn text_of(path: &Path) -> Result<String, super::Error> {
    let read = || {
        let mut text = String::new();
        let length = if path == Path::new("-") {
            std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text)?
        } else {
            std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?
        };
        if length as u64 > MAX_BYTES {
            return Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
        }
        Ok(text)
    };
    read().map_err(|error| unreadable(path, &error))
}

/// The documents of a file. A line that begins with `---` always separates documents (YAML 1.2.2, 9.1).
fn documents(file: &Arc<str>, text: &str) -> Vec<Place> {
    let is_separator = |line: &str| {
        line.strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    };
    let mut all = Vec::new();
    let (mut first, mut document) = (1, String::new());
    for (number, line) in (1..).zip(text.lines()) {
        if is_separator(line) {
            let whole = std::mem::take(&mut document);
            all.push(Place { file: Arc::clone(file), line: first, text: whole.into() });
            first = number + 1;
        } else {
            document.push_str(line);
            document.push('\n');
        }
    }
    all.push(Place { file: Arc::clone(file), line: first, text: document.into() });
    all
}

impl Manifests {
    fn add(&mut self, place: Place, namespace: &str, defaults: &Defaults) {
        let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        if place.text.lines().all(is_empty) {
            return;
        }
        match serde_saphyr::from_str::<Value>(&place.text) {
            Ok(value) => self.add_value(&place, value, namespace, defaults),
            Err(error) => {
                let at = error.location().and_then(|at| {
                    Some((usize::try_from(at.line()).ok()?, usize::try_from(at.column()).ok()?))
                });
                let message = error.without_snippet().to_string();
                // The position is that in the document; the snippet shows the one in the file.
                let message = message.split(" at line ").next().unwrap_or_default().to_owned();
                self.problems.push(Problem { place, at, message });
            }
        }
    }

    fn add_value(&mut self, place: &Place, value: Value, namespace: &str, defaults: &Defaults) {
        let Value::Object(mut object) = value else { return };
        let text_of = |object: &Map<String, Value>, field: &str| {
            object.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind) = (text_of(&object, "apiVersion"), text_of(&object, "kind"));
        if version == "v1" && kind == "List" {
            if let Some(Value::Array(items)) = object.remove("items") {
                for item in items {
                    self.add_value(place, item, namespace, defaults);
                }
            }
            return;
        }
        let Some((group, version)) = version.split_once('/') else { return };
        if KINDS.iter().all(|kind| kind.group != group) {
            return;
        }
        match manifest(place, (version, &kind), object, namespace, defaults) {
            Ok(manifest) => self.all.push(manifest),
            Err(problems) => self.problems.extend(problems),
        }
    }
}

fn manifest(
    place: &Place,
    (version, kind): (&str, &str),
    mut object: Map<String, Value>,
    namespace: &str,
    defaults: &Defaults,
) -> Result<Manifest, Vec<Problem>> {
    let problem = |field: &str, message: String| Problem {
        place: place.clone(),
        at: place.position_of(field),
        message,
    };
    let known = KINDS.into_iter().find(|known| known.name == kind && known.version == version);
    let Some(kind) = known else {
        let known = KINDS.map(|kind| format!("{} {}/{}", kind.name, kind.group, kind.version));
        let message =
            format!("kind {kind} of version {version} is unknown; known: {}", known.join(", "));
        return Err(vec![problem("kind", message)]);
    };
    let whole = Value::Object(object.clone());
    let unknown = unknown_fields(kind, &whole);
    let unknown: Vec<_> = unknown
        .into_iter()
        .map(|field| problem(&field, format!("{field} is not a field")))
        .collect();
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let metadata = object.remove("metadata").unwrap_or_default();
    let metadata: ObjectMeta = serde_json::from_value(metadata)
        .map_err(|error| vec![problem("metadata", format!("metadata: {error}"))])?;
    let metadata = ObjectMeta {
        namespace: metadata.namespace.or_else(|| Some(namespace.to_owned())),
        ..metadata
    };
    if metadata.name.as_deref().unwrap_or_default().is_empty() {
        return Err(vec![problem("metadata", "metadata.name is missing".into())]);
    }
    let spec = object.remove("spec").unwrap_or_default();
    let resource = resource(kind, metadata, spec)
        .map_err(|(field, message)| vec![problem(&field, message)])?;
    let declaration = resource.declaration(defaults).map_err(|error| {
        let message = error.to_string();
        // Each of these messages begins with the field.
        let field = message.split([':', ' ']).next().unwrap_or_default().to_owned();
        vec![problem(&field, message)]
    })?;
    Ok(Manifest { place: place.clone(), resource, declaration })
}

fn resource(
    kind: &'static Kind,
    metadata: ObjectMeta,
    spec: Value,
) -> Result<RoleResource, (String, String)> {
    let spec = if spec.is_null() { Value::Object(Map::new()) } else { spec };
    let spec = (kind.read)(spec).map_err(|invalid| {
        let field =
            if invalid.path.is_empty() { "spec".into() } else { format!("spec.{}", invalid.path) };
        let message = format!("{field}: {}", invalid.problem);
        (field, message)
    })?;
    Ok(RoleResource { kind, metadata, spec, status: None })
}

impl Place {
    /// Line and column, from 1 and within the document, of a field such as `spec.destination`; of the nearest field
    /// above it when the document has no such field.
    fn position_of(&self, field: &str) -> Option<(usize, usize)> {
        let root: Spanned<Node> = serde_saphyr::from_str(&self.text).ok()?;
        let (mut node, mut position) = (root.value, None);
        for name in field.split('.') {
            let Node::Object(fields) = node else { break };
            let Some((key, value)) = fields.into_iter().find(|(key, _)| key.value == name) else {
                break;
            };
            let at = key.referenced;
            position = usize::try_from(at.line()).ok().zip(usize::try_from(at.column()).ok());
            node = value.value;
        }
        position
    }

    /// Line of the file, from 1, of a field such as `spec.destination`.
    pub(super) fn line_of(&self, field: &str) -> usize {
        let within = self.position_of(field).map_or(1, |(line, _)| line);
        self.line + within.saturating_sub(1)
    }
}

/// A YAML value whose keys have positions.
enum Node {
    Object(Vec<(Spanned<String>, Spanned<Self>)>),
    Other,
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(Node::Object(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Node::Other)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_str<E>(self, _: &str) -> Result<Node, E> {
                Ok(Node::Other)
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Other)
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

impl Problem {
    /// The problem with its place in the file, in color if `is_styled`.
    pub(super) fn render(&self, is_styled: bool) -> String {
        let (line, column) = self.at.unwrap_or((1, 1));
        let lines: Vec<_> = self.place.text.split_inclusive('\n').collect();
        let before: usize = lines.iter().take(line.saturating_sub(1)).map(|line| line.len()).sum();
        let own = lines.get(line.saturating_sub(1)).map_or("", |line| line.trim_end());
        let skipped: usize = own.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let span = (before + skipped)..(before + own.len()).max(before + skipped);
        let path = self.place.file.to_string();
        let snippet = Snippet::source(self.place.text.to_string())
            .line_start(self.place.line)
            .path(path)
            .annotation(AnnotationKind::Primary.span(span));
        let report = [Level::ERROR.primary_title(&self.message).element(snippet)];
        let renderer = if is_styled { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&report)
    }

    /// The file and the line.
    pub(super) fn place(&self) -> (&str, usize) {
        let within = self.at.map_or(1, |(line, _)| line);
        (&self.place.file, self.place.line + within.saturating_sub(1))
    }
}

impl Manifests {
    /// Reports the documents that are not valid on standard error. Returns whether there are any.
    pub(super) fn report_problems(&self) -> bool {
        use std::io::Write as _;
        let mut seen = BTreeSet::new();
        for problem in &self.problems {
            let (file, line) = problem.place();
            if seen.insert((file.to_owned(), line, problem.message.clone())) {
                // If standard error is closed, there is no place left to report to.
                let _ = writeln!(anstream::stderr(), "{}", problem.render(true));
            }
        }
        !self.problems.is_empty()
    }
}
