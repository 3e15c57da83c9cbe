//! The guide to the services in Markdown. It is built from the table, so it always matches what the controller writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::policy::{AccountId, Document, Partition, Region, capitalized};

use super::destination::{DestinationArn, DestinationKind, KeyArn};
use super::event_stream::EventStream;
use super::source::Source;
use super::table::{Conditions, Service, Target};
use super::{FIRST_KIND, SERVICES};

const ACCOUNT: &str = "111122223333";
const REGION: &str = "us-east-1";
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ROLE: &str = "arn:aws:iam::111122223333:role/app-events";
const READ: &str = "2026-11-25";

const HEAD: &str = "\
# Services

For each service: the two documents of its role, and how to attach the role. The examples are for the account
`111122223333` in `us-east-1`; `streamrole` fills in the names of your resource.
AWS's pages were read on ";

const TAIL: &str = "
## What takes no role

- **Amazon Connect** (contact records, agent events): the stream is associated with the instance, and the service-linked
  role `AWSServiceRoleForAmazonConnect_*` writes to it.
- **Amazon Connect Customer Profiles**: `CreateEventStream` takes the stream's ARN and no role.
- **Amazon Connect outbound campaigns**: only a service-linked role.
- **AWS End User Messaging Push**: has no event stream.
- **SES and End User Messaging SMS to an SNS topic, SES to EventBridge**: the topic policy allows the service; the default event
  bus needs nothing.
- **EventBridge rules to SNS, SQS, Lambda and CloudWatch Logs**: a resource policy of the target allows the service.
- **EventBridge Pipes**: the role also reads the source of the pipe, so it has more than one purpose. Write it by hand.

## Encrypted destinations

With `spec.destination.kmsKeyArn`, the role also has the permissions on the key. The key policy must allow the role, too.

";

/// Every action that some role needs, for a permissions boundary.
#[must_use]
pub fn actions() -> Vec<String> {
    let mut all = BTreeSet::new();
    for (service, target) in pairs() {
        // A log group takes no key.
        let stream = example(service, target, Some(KEY)).or_else(|| example(service, target, None));
        let Some(document) = stream.and_then(|stream| stream.permissions_policy().ok()) else {
            continue;
        };
        let statements = document.statements().iter();
        let actions = statements.filter_map(|statement| statement.get("Action")?.as_array());
        all.extend(actions.flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    all.into_iter().collect()
}

/// The guide as Markdown.
#[must_use]
pub fn guide() -> String {
    let mut text = format!(
        "<!-- Written by `make generate` from the table of services. -->\n\n{HEAD}{READ}.\n"
    );
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n| service | `spec.source` | destinations | confused-deputy conditions |\n| --- | --- | --- | --- |\n"
    );
    for service in SERVICES {
        let destinations: Vec<_> =
            service.targets.iter().map(|target| target.kind.noun()).collect();
        let conditions = match service.conditions {
            Conditions::AccountAndArn => "`aws:SourceAccount`, `aws:SourceArn`",
            Conditions::ArnOnly => "`aws:SourceArn`",
            Conditions::Undocumented => "none documented, so none written",
        };
        let (name, key) = (service.name, named_by(service));
        let _ = writeln!(text, "| {name} | {key} | {} | {conditions} |", destinations.join(", "));
    }
    for service in SERVICES {
        section(&mut text, service);
    }
    text.push_str(TAIL);
    for kind in DestinationKind::ALL {
        let pair = pairs().find(|(_, target)| target.kind == kind);
        let stream = pair.and_then(|(service, target)| example(service, target, Some(KEY)));
        if let Some(permissions) = stream.and_then(|stream| stream.permissions_policy().ok()) {
            let _ = write!(text, "{}:\n\n", capitalized(kind.noun()));
            json(&mut text, &permissions);
        }
    }
    text.push_str("A log group: nothing. CloudWatch Logs itself uses the key.\n");
    text
}

fn pairs() -> impl Iterator<Item = (&'static Service, &'static Target)> {
    SERVICES.into_iter().flat_map(|s| s.targets.iter().map(move |target| (s, target)))
}

fn named_by(service: &Service) -> String {
    match service.ended {
        Some(_) => format!("kind `{FIRST_KIND}`"),
        None => format!("`{}`", service.key),
    }
}

fn fields(service: &Service) -> BTreeMap<String, String> {
    let fields = service.source.fields.iter();
    fields.map(|field| (field.name.to_owned(), field.example.to_owned())).collect()
}

fn example(service: &'static Service, target: &Target, key: Option<&str>) -> Option<EventStream> {
    let source = Source {
        account: AccountId::parse(ACCOUNT).ok()?,
        region: Region::parse(REGION).ok()?,
        name: service.source.name_of(&fields(service)).ok()?,
    };
    let destination = DestinationArn::parse(target.kind, target.kind.example()).ok()?;
    let key = key.and_then(|key| KeyArn::parse(key).ok());
    EventStream::new(service, Some(source), destination, key).ok()
}

fn section(text: &mut String, service: &'static Service) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n## {}\n\n", service.name);
    if let Some(ended) = service.ended {
        let _ = write!(text, "The support of the service ended on {ended}.\n\n");
    }
    let streams: Vec<_> = service
        .targets
        .iter()
        .filter_map(|target| Some((target, example(service, target, None)?)))
        .collect();
    if let Some(trust) = streams.first().and_then(|(_, stream)| stream.trust_policy().ok()) {
        let _ = write!(
            text,
            "Trust policy ({}, [AWS's page]({})):\n\n",
            service.certainty, service.page
        );
        json(text, &trust);
    }
    for (target, stream) in &streams {
        let Ok(permissions) = stream.permissions_policy() else { continue };
        let (noun, certainty, page) = (target.kind.noun(), target.certainty, target.page);
        let _ =
            write!(text, "Permissions policy for {noun} ({certainty}, [AWS's page]({page})):\n\n");
        json(text, &permissions);
        let _ = write!(text, "```sh\n{}\n```\n\n", attach(stream, ROLE).unwrap_or_default());
    }
    let _ = writeln!(text, "{}", service.pass_role);
    let mut notes: Vec<String> = Vec::new();
    if service.same_region {
        notes.push("The source must be in the Region of the destination.".into());
    }
    if !service.takes_path {
        notes.push("The service rejects a role with a path.".into());
    }
    if service.partitions.len() < Partition::ALL.len() {
        let names: Vec<_> = service.partitions.iter().map(|p| format!("`{p}`")).collect();
        notes.push(format!("Only in the partitions {}.", names.join(", ")));
    }
    for difference in service.differences {
        let of = difference
            .target
            .map_or_else(|| "Trust policy".to_owned(), |kind| capitalized(kind.noun()));
        notes.push(format!("Differs from the page on purpose. {of}: {}", difference.reason));
    }
    let refused = DestinationKind::ALL.into_iter().filter_map(|kind| service.refusal(kind));
    notes.extend(refused.map(|refusal| format!("{refusal}.")));
    text.push('\n');
    for note in notes {
        let _ = writeln!(text, "- {note}");
    }
}

/// The command that attaches the role with this ARN, with the names of this event stream. A part that the stream does not
/// name, such as a topic, stays in capital letters.
#[must_use]
pub fn attach(stream: &EventStream, role: &str) -> Option<String> {
    let service = stream.service();
    let target = service.target(stream.destination().kind())?;
    let mut command = target.attach.replace("{role}", role);
    command = command.replace("{destination}", &stream.destination().to_string());
    command = command.replace("{destinationName}", stream.destination().name());
    let given = service.fields_of(stream.source()).unwrap_or_default();
    for field in service.source.fields {
        let value = given.get(field.name).map(String::as_str).or(field.default);
        // A wildcard names no source to attach the role to.
        let value = value.filter(|value| *value != "*");
        let unnamed = || field.name.to_uppercase();
        command = command
            .replace(&format!("{{{}}}", field.name), &value.map_or_else(unnamed, str::to_owned));
    }
    Some(command)
}

fn json(text: &mut String, document: &Document) {
    let json = serde_json::to_string_pretty(document).unwrap_or_default();
    let _ = write!(text, "```json\n{json}\n```\n\n");
}
