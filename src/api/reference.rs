//! The reference of the resource in Markdown. It is built from the schema that the API server enforces, so it always
//! matches it. Pure.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

use super::{
    ABANDON_ANNOTATION, ConditionType, KINDS, Kind, PAUSED_ANNOTATION,
    RECONCILE_REQUESTED_AT_ANNOTATION, Reason,
};

const ANNOTATIONS: [(&str, &str); 3] = [
    (
        RECONCILE_REQUESTED_AT_ANNOTATION,
        "A new value requests a reconcile now; `status.lastHandledReconcileAt` echoes it.",
    ),
    (
        PAUSED_ANNOTATION,
        "While it is `\"true\"`, nothing is written to IAM, and a deleted resource stays.",
    ),
    (
        ABANDON_ANNOTATION,
        "While it is `\"true\"`, the finalizer of a deleted resource is removed without calling IAM; its role is left unchanged.",
    ),
];

/// One row of a table of fields.
struct Field {
    path: String,
    type_: String,
    default: String,
    description: String,
}

/// A rule that the API server checks, and its field.
struct Rule {
    path: String,
    message: String,
}

/// The reference of all kinds as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = "<!-- Written by `make generate` from the schema. -->\n".to_owned();
    for kind in KINDS {
        text.push_str(&of_kind(kind));
    }
    conditions(&mut text);
    text
}

fn of_kind(kind: &Kind) -> String {
    let crd = (kind.crd)();
    let names = &crd.spec.names;
    let mut text = format!("\n# {}\n\n| | |\n| --- | --- |\n", names.kind);
    for version in &crd.spec.versions {
        row(&mut text, ["apiVersion", &format!("`{}/{}`", crd.spec.group, version.name)]);
    }
    row(&mut text, ["plural", &format!("`{}`", names.plural)]);
    row(&mut text, ["short name", &code_list(names.short_names.as_deref().unwrap_or_default())]);
    row(&mut text, ["category", &code_list(names.categories.as_deref().unwrap_or_default())]);
    row(&mut text, ["scope", &crd.spec.scope]);
    for version in &crd.spec.versions {
        let selectable: Vec<_> = version
            .selectable_fields
            .iter()
            .flatten()
            .map(|field| field.json_path.trim_start_matches('.').to_owned())
            .collect();
        row(&mut text, ["field selectors", &code_list(&selectable)]);
        let Some(schema) = version.schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref())
        else {
            continue;
        };
        let description = schema.description.as_deref().unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "\n{description}\n");
        let (mut fields, mut rules) = (Vec::new(), Vec::new());
        walk("", schema, &mut fields, &mut rules);
        for part in ["spec", "status"] {
            let _ = write!(text, "\n## {part}\n\n");
            let of_part = fields.iter().filter(|field| is_within(&field.path, part));
            table_of_fields(&mut text, part == "spec", of_part);
            if part == "spec" {
                table_of_rules(&mut text, &rules);
            }
        }
        let _ = write!(
            text,
            "\n## Columns\n\n`kubectl get` shows those without a mark, `kubectl get -o wide` all.\n\n"
        );
        head(&mut text, ["column", "what it shows", "wide only"]);
        for column in version.additional_printer_columns.iter().flatten() {
            let wide = if column.priority.unwrap_or_default() > 0 { "yes" } else { "" };
            let shows = column.description.as_deref().unwrap_or_default();
            row(&mut text, [column.name.as_str(), shows, wide]);
        }
    }
    text
}

fn conditions(text: &mut String) {
    text.push_str("\n## Conditions\n\n");
    head(text, ["type", "what it says"]);
    for type_ in ConditionType::ALL {
        row(text, [&format!("`{}`", type_.as_str()), type_.meaning()]);
    }
    let reasons: Vec<_> = Reason::all().map(|reason| reason.as_str().to_owned()).collect();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\nEach carries the generation that it refers to. Reasons, explained in [troubleshooting.md](troubleshooting.md): {}.\n",
        code_list(&reasons)
    );
    text.push_str("\n## Annotations\n\n");
    head(text, ["annotation", "what it does"]);
    for (annotation, does) in ANNOTATIONS {
        row(text, [&format!("`{annotation}`"), does]);
    }
}

fn table_of_fields<'a>(
    text: &mut String,
    with_default: bool,
    fields: impl Iterator<Item = &'a Field>,
) {
    if with_default {
        head(text, ["field", "type", "default", "description"]);
    } else {
        head(text, ["field", "type", "description"]);
    }
    for Field { path, type_, default, description } in fields {
        let path = format!("`{path}`");
        if with_default {
            row(text, [&path, type_, default, description]);
        } else {
            row(text, [&path, type_, description]);
        }
    }
}

fn table_of_rules(text: &mut String, rules: &[Rule]) {
    text.push_str("\nWhat the API server refuses, and says:\n\n");
    head(text, ["about", "message"]);
    for Rule { path, message } in rules {
        row(text, [&format!("`{path}`"), message]);
    }
}

fn is_within(path: &str, part: &str) -> bool {
    path.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'))
}

/// Every field below, depth first, and every rule.
fn walk(path: &str, schema: &JSONSchemaProps, fields: &mut Vec<Field>, rules: &mut Vec<Rule>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let message = match (&rule.message, &rule.message_expression) {
            (Some(message), _) => message.clone(),
            (None, Some(expression)) => in_words(expression),
            (None, None) => format!("`{}`", rule.rule),
        };
        let about = format!("{path}{}", rule.field_path.as_deref().unwrap_or_default());
        let path = if about.is_empty() { "metadata".into() } else { about };
        rules.push(Rule { path, message: message.replace('<', "&lt;") });
    }
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, property) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_field = path.contains('.') && !path.starts_with("metadata");
        if is_field {
            let default = match &property.default {
                Some(default) => format!("`{}`", default.0),
                None if required.contains(name) => "required".into(),
                None => String::new(),
            };
            let description = property.description.clone().unwrap_or_default();
            let type_ = type_of(property);
            fields.push(Field { path: path.clone(), type_, default, description });
        }
        walk(&path, property, fields, rules);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &property.items {
            walk(&format!("{path}[]"), items, fields, rules);
        }
    }
}

/// A message that a rule builds as `'text' + expression + 'text'`, with … for each computed part.
fn in_words(expression: &str) -> String {
    let (mut depth, mut parts) = (0_usize, vec![String::new()]);
    for character in expression.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '+' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    let in_words = |part: &String| match part.trim().strip_prefix('\'') {
        Some(text) => text.strip_suffix('\'').unwrap_or(text).to_owned(),
        None => "…".into(),
    };
    parts.iter().map(in_words).collect()
}

fn type_of(schema: &JSONSchemaProps) -> String {
    if let Some(values) = &schema.enum_ {
        let values: Vec<_> = values.iter().map(|value| value.0.to_string()).collect();
        return values.join(", ");
    }
    let own = schema.type_.clone().unwrap_or_default();
    match (&schema.items, &schema.additional_properties, &schema.format) {
        (Some(JSONSchemaPropsOrArray::Schema(items)), _, _) => {
            format!("list of {}", type_of(items))
        }
        (_, Some(JSONSchemaPropsOrBool::Schema(values)), _) => {
            format!("map of {}", type_of(values))
        }
        (_, _, Some(format)) if format == "date-time" => "time".into(),
        (_, _, _) => own,
    }
}

fn code_list(items: &[String]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("`{item}`")).collect();
    items.join(", ")
}

fn head<const N: usize>(text: &mut String, cells: [&str; N]) {
    row(text, cells);
    row(text, ["---"; N]);
}

fn row<const N: usize>(text: &mut String, cells: [&str; N]) {
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}
