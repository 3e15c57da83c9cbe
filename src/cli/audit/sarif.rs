//! The report as SARIF 2.1.0 (OASIS standard), which code scanning reads.

use std::collections::BTreeMap;

use serde_json::json;
use serde_sarif::sarif::{
    ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString,
    Notification, PhysicalLocation, PropertyBag, Region, ReportingConfiguration,
    ReportingDescriptor, Result as SarifResult, ResultLevel, Run, Sarif, Suppression, Tool,
    ToolComponent,
};

use crate::audit::{Finding, Rule, Severity};
use crate::policy::{capitalized, percent_encode};

use super::super::Error;
use super::View;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The name of our fingerprint. The number changes when the way to make one does.
const FINGERPRINT: &str = "streamroleFinding/v1";

/// The report as SARIF.
pub(super) fn sarif(view: &View) -> Result<String, Error> {
    let driver = ToolComponent::builder()
        .name("streamrole")
        .version(env!("CARGO_PKG_VERSION"))
        .semantic_version(env!("CARGO_PKG_VERSION"))
        .rules(Rule::ALL.iter().copied().map(rule).collect::<Vec<_>>())
        .build();
    let findings = &view.report.findings;
    let has_accepted = findings.iter().any(|finding| finding.accepted.is_some());
    let results: Vec<_> =
        findings.iter().map(|finding| result(view, finding, has_accepted)).collect();
    let unseen = view.unseen.iter().map(|line| {
        Notification::builder()
            .level(json!("note"))
            .message(message(&format!("Not checked: {line}.")))
            .build()
    });
    let invocation = Invocation::builder()
        .execution_successful(true)
        .tool_execution_notifications(unseen.collect::<Vec<_>>())
        .build();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .invocations(vec![invocation])
        .results(results)
        .column_kind(json!("unicodeCodePoints"))
        .build();
    let sarif = Sarif::builder().schema(SCHEMA).version(json!("2.1.0")).runs(vec![run]).build();
    let text = serde_json::to_string_pretty(&sarif);
    text.map(|text| text + "\n").map_err(|error| Error::Print(error.to_string()))
}

fn message(text: &str) -> Message {
    Message::builder().text(text).build()
}

fn multiformat(text: &str) -> MultiformatMessageString {
    MultiformatMessageString::builder().text(text).build()
}

fn rule(rule: Rule) -> ReportingDescriptor {
    let name: String = rule.id().split('-').map(capitalized).collect();
    ReportingDescriptor::builder()
        .id(rule.id())
        .name(name)
        .short_description(multiformat(rule.title()))
        .full_description(multiformat(rule.title()))
        .help(multiformat(&format!("{} AWS: {}", rule.remedy(), rule.source())))
        .help_uri(rule.source())
        .default_configuration(
            ReportingConfiguration::builder().level(json!(rule.severity())).build(),
        )
        .build()
}

const fn level(severity: Severity) -> ResultLevel {
    match severity {
        Severity::Note => ResultLevel::Note,
        Severity::Warning => ResultLevel::Warning,
        Severity::Error => ResultLevel::Error,
    }
}

fn result(view: &View, finding: &Finding, has_accepted: bool) -> SarifResult {
    let index = Rule::ALL.iter().position(|rule| *rule == finding.rule);
    let index = index.and_then(|index| i64::try_from(index).ok()).unwrap_or(-1);
    let evidence = if finding.evidence.is_empty() {
        finding.path.clone()
    } else {
        format!("{}: {}", finding.path, finding.evidence)
    };
    let text =
        format!("Role {}: {} At {evidence}. {}", finding.role, finding.message, finding.remedy);
    let properties = BTreeMap::from([
        ("role".to_owned(), json!(finding.role)),
        ("path".to_owned(), json!(finding.path)),
        ("evidence".to_owned(), json!(finding.evidence)),
        ("source".to_owned(), json!(finding.source)),
    ]);
    let mut result = SarifResult::builder()
        .rule_id(finding.rule.id())
        .rule_index(index)
        .level(level(finding.severity))
        .message(message(&text))
        .locations(vec![location(view, finding)])
        .partial_fingerprints(BTreeMap::from([(
            FINGERPRINT.to_owned(),
            finding.fingerprint.clone(),
        )]))
        .properties(PropertyBag::builder().additional_properties(properties).build())
        .build();
    // When one result has suppressions, an empty list says that another has none.
    result.suppressions = has_accepted.then(|| suppressions(finding));
    result
}

fn suppressions(finding: &Finding) -> Vec<Suppression> {
    let accepted = finding.accepted.iter();
    accepted
        .map(|accepted| {
            Suppression::builder()
                .kind(json!("external"))
                .status(json!("accepted"))
                .justification(format!("{} (until {})", accepted.reason, accepted.until))
                .build()
        })
        .collect()
}

fn location(view: &View, finding: &Finding) -> Location {
    let role = LogicalLocation::builder()
        .name(finding.role.clone())
        .fully_qualified_name(finding.arn.clone())
        .kind("resource")
        .build();
    let mut location = Location::builder().logical_locations(vec![role]).build();
    location.physical_location = view.location(finding).map(|(file, line)| {
        PhysicalLocation::builder()
            .artifact_location(ArtifactLocation::builder().uri(uri(&file)).build())
            .region(Region::builder().start_line(i64::try_from(line).unwrap_or(1)).build())
            .build()
    });
    location
}

/// The file as a URI: relative to the folder of the process, unless the path is absolute.
fn uri(file: &str) -> String {
    let path = file.strip_prefix("./").unwrap_or(file);
    let path: Vec<_> = path.split('/').map(percent_encode).collect();
    let path = path.join("/");
    match file {
        "-" => "stdin".to_owned(),
        absolute if absolute.starts_with('/') => format!("file://{path}"),
        _ => path,
    }
}
