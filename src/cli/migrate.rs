//! `streamrole migrate`. The decisions are those of `service::succession`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use kube::core::ObjectMeta;
use serde::Serialize;
use serde_json::Value;

use crate::api::{Kind, RoleResource, RoleSettings, spec_of};
use crate::policy::readable;
use crate::role::{AdoptionPolicy, Defaults, RoleName};
use crate::service::{Events, Names, Succession, Successor, succession};

use super::manifests::{Manifest, Settings};
use super::{Error, Exit};

/// The longest name of a resource (a rule of the schema).
const LONGEST_NAME: usize = 176;

/// How many characters of a text by others are shown.
const MAX_TEXT: usize = 300;

/// Flags of `streamrole migrate`.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// File or folder with manifests, or - for standard input; can be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    settings: Settings,

    /// The events to go on with; can be repeated or separated by commas.
    #[arg(long, required = true, value_delimiter = ',', value_name = "EVENTS", value_parser = events())]
    events: Vec<Events>,

    /// Name of the SES configuration set, for email.
    #[arg(long, value_name = "NAME")]
    ses_configuration_set: Option<String>,

    /// Name of the configuration set of End User Messaging SMS, for sms.
    #[arg(long, value_name = "NAME")]
    sms_configuration_set: Option<String>,

    /// Name of the rule on the default event bus, for email to a Kinesis data stream.
    #[arg(long, value_name = "NAME")]
    event_bus_rule: Option<String>,

    /// Name of the log group, for sms to a Kinesis data stream.
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,

    /// Name of the SNS topic, for whatsapp.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
}

fn events() -> impl clap::builder::TypedValueParser<Value = Events> {
    PossibleValuesParser::new(Events::ALL.map(Events::name))
        .try_map(|name| Events::named(&name).ok_or("an unknown name of events"))
}

/// Prints the resources that replace resources of a service that has ended.
pub(super) fn migrate(args: &Args) -> Result<Exit, Error> {
    let manifests = args.settings.read(&args.files)?;
    let has_problems = manifests.report_problems();
    let (old, others): (Vec<_>, Vec<_>) = manifests.all.iter().partition(|manifest| {
        let stream = manifest.resource.spec.stream();
        stream.is_ok_and(|stream| stream.service().ended.is_some())
    });
    for other in &others {
        let name = other.resource.metadata.name.as_deref().unwrap_or_default();
        let (kind, name) = (other.resource.kind.name, readable(name, MAX_TEXT));
        note(&format!("{kind} {name} is skipped: its service has not ended"));
    }
    let mut output = Output::new(args)?;
    for manifest in &old {
        output.add(manifest)?;
    }
    super::print(&output.text)?;
    if old.is_empty() && !has_problems {
        return Err(Error::Input("no resource of a service that has ended".into()));
    }
    Ok(match (has_problems, output.is_without_a_way) {
        (true, _) => Exit::Error,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Nothing,
    })
}

fn note(text: &str) {
    // If standard error is closed, there is no place left to report to.
    let _ = writeln!(std::io::stderr(), "streamrole: {text}");
}

/// The printed resources so far.
struct Output {
    events: Vec<Events>,
    names: Names,
    defaults: Defaults,
    taken: BTreeSet<(String, String)>,
    text: String,
    is_without_a_way: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    api_version: String,
    kind: &'a str,
    metadata: Metadata<'a>,
    spec: &'a Value,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
}

/// A resource to print.
struct New {
    kind: &'static Kind,
    name: String,
    spec: Value,
    /// ARN of its role.
    arn: String,
    notes: Vec<String>,
}

impl Output {
    fn new(args: &Args) -> Result<Self, Error> {
        let mut events: Vec<Events> = Vec::new();
        for one in &args.events {
            if !events.contains(one) {
                events.push(*one);
            }
        }
        let names = Names {
            ses_configuration_set: args.ses_configuration_set.clone(),
            sms_configuration_set: args.sms_configuration_set.clone(),
            event_bus_rule: args.event_bus_rule.clone(),
            log_group: args.log_group.clone(),
            topic: args.topic.clone(),
        };
        let (taken, text, defaults) = (BTreeSet::new(), String::new(), args.settings.defaults()?);
        Ok(Self { events, names, defaults, taken, text, is_without_a_way: false })
    }

    /// Adds the successors of one resource, and what is left to do.
    fn add(&mut self, manifest: &Manifest) -> Result<(), Error> {
        let resource = &manifest.resource;
        let stream = resource.spec.stream().map_err(|error| Error::Input(error.to_string()))?;
        let old_name = resource.metadata.name.clone().unwrap_or_default();
        let namespace = resource.metadata.namespace.clone().unwrap_or_default();
        let shown = format!("{} {namespace}/{old_name}", resource.kind.name);
        let shown = readable(&shown, MAX_TEXT);
        let mut todo = Vec::new();
        for events in self.events.clone() {
            let found = succession(&stream, events, &self.names, &old_name)
                .map_err(|error| Error::Flags(error.to_string()))?;
            self.is_without_a_way |= found.is_without_a_way;
            let Succession { roles, notes, finish, .. } = found;
            let mut notes: Vec<_> =
                std::iter::once(format!("{} of {shown}:", events.name())).chain(notes).collect();
            let mut commands = Vec::new();
            for role in &roles {
                let mut new = self.new_resource(manifest, &namespace, role)?;
                new.notes.splice(0..0, notes.drain(..));
                commands.extend(role.prepare.iter().cloned());
                commands.extend(role.attach(&new.arn));
                self.print(&new, &namespace)?;
            }
            commands.extend(finish);
            // Without a role, the notes stand alone.
            if !notes.is_empty() {
                self.separate();
                self.comment(&notes);
            }
            if !commands.is_empty() {
                todo.push((events, commands));
            }
        }
        self.separate();
        let region = stream.destination().region().to_string();
        self.comment(&left_to_do(resource, &shown, &namespace, &region, &todo));
        Ok(())
    }

    fn new_resource(
        &mut self,
        old: &Manifest,
        namespace: &str,
        successor: &Successor,
    ) -> Result<New, Error> {
        let (suffix, stream) = (successor.suffix, &successor.stream);
        let mut notes = successor.notes.clone();
        let old_name = old.resource.metadata.name.clone().unwrap_or_default();
        let name = self.unique(namespace, &shortened(&old_name, LONGEST_NAME - 16), suffix);
        let takes_path = stream.service().takes_path;
        let settings = settings(old.resource.settings(), suffix, takes_path, &mut notes);
        let (kind, spec) = spec_of(stream, &settings).ok_or_else(|| {
            Error::Input(format!("no field expresses the source of {}", stream.service().name))
        })?;
        let arn = arn(old, kind, namespace, &name, spec.clone(), &self.defaults)?;
        if let Some(key) = stream.key() {
            notes.push(format!("The key policy of {key} must allow the role."));
        }
        notes.push(format!("Role: {arn}"));
        Ok(New { kind, name, spec, arn, notes })
    }

    fn unique(&mut self, namespace: &str, name: &str, suffix: &str) -> String {
        let first = std::iter::once(format!("{name}-{suffix}"));
        let more = (2_u64..).map(|number| format!("{name}-{suffix}-{number}"));
        let is_free = |name: &String| !self.taken.contains(&(namespace.to_owned(), name.clone()));
        let free = first.chain(more).find(is_free).unwrap_or_default();
        self.taken.insert((namespace.to_owned(), free.clone()));
        free
    }

    fn separate(&mut self) {
        if !self.text.is_empty() {
            self.text.push_str("---\n");
        }
    }

    fn comment(&mut self, lines: &[String]) {
        for line in lines {
            self.text.push_str(&comment(line));
        }
    }

    fn print(&mut self, new: &New, namespace: &str) -> Result<(), Error> {
        self.separate();
        self.comment(&new.notes);
        let printed = Printed {
            api_version: format!("{}/{}", new.kind.group, new.kind.version),
            kind: new.kind.name,
            metadata: Metadata { name: &new.name, namespace },
            spec: &new.spec,
        };
        let yaml =
            serde_saphyr::to_string(&printed).map_err(|error| Error::Print(error.to_string()))?;
        self.text.push_str(&yaml);
        Ok(())
    }
}

/// A comment line, or an empty one.
fn comment(line: &str) -> String {
    if line.is_empty() { "#\n".into() } else { format!("# {line}\n") }
}

fn shortened(name: &str, longest: usize) -> String {
    let name: String = name.chars().take(longest).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

/// The settings of the old role, for a role with another name.
fn settings(
    old: &RoleSettings,
    suffix: &str,
    takes_path: bool,
    notes: &mut Vec<String>,
) -> RoleSettings {
    let role_name = old.role_name.as_ref().map(|name| format!("{name}-{suffix}"));
    let (role_name, too_long) = match role_name {
        Some(name) if RoleName::parse(&name).is_ok() => (Some(name), false),
        Some(_) => (None, true),
        None => (None, false),
    };
    if too_long {
        notes.push("The role gets its default name: the old name with a suffix would be longer than 64 characters.".into());
    }
    if !takes_path && old.path != "/" {
        notes.push("The path is /, because the service rejects a role with a path.".into());
    }
    if old.description.is_some() {
        notes.push("The old description is not repeated. Set spec.description.".into());
    }
    if old.permissions_boundary_arn.is_some() {
        notes.push("The permissions boundary must allow the actions of this service: streamrole iam-policy role-boundary.".into());
    }
    RoleSettings {
        role_name,
        path: if takes_path { old.path.clone() } else { "/".into() },
        description: None,
        adoption_policy: AdoptionPolicy::Never,
        ..old.clone()
    }
}

/// The ARN of the role that the new resource declares.
fn arn(
    old: &Manifest,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
    spec: Value,
    defaults: &Defaults,
) -> Result<String, Error> {
    let invalid = |problem: String| {
        let old = readable(&format!("{:?}", old.place), MAX_TEXT);
        Error::Input(format!("{old}: its successor is not valid: {problem}"))
    };
    let spec = (kind.read)(spec).map_err(|error| invalid(error.problem))?;
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let resource = RoleResource { kind, metadata, spec, status: None };
    let declaration = resource.declaration(defaults).map_err(|error| invalid(error.to_string()))?;
    Ok(declaration.arn())
}

/// What the resources do not do.
fn left_to_do(
    old: &RoleResource,
    shown: &str,
    namespace: &str,
    region: &str,
    todo: &[(Events, Vec<String>)],
) -> Vec<String> {
    let mut lines = vec![format!("Left to do in AWS for {shown}:")];
    if !todo.is_empty() {
        lines.push(format!("Wait until the resources are Ready, then run in {region}. The caller needs iam:PassRole on the roles."));
    }
    for (events, commands) in todo {
        lines.push(String::new());
        lines.push(format!("{}:", events.name()));
        lines.extend(commands.iter().map(|command| format!("  {command}")));
    }
    if !todo.is_empty() {
        lines.push(String::new());
    }
    lines.push("The records have another format than those of the old event stream: change what reads them.".into());
    lines.push(
        "Retire the old resource when its stream gets no more records. This deletes its role:"
            .into(),
    );
    let name = old.metadata.name.as_deref().unwrap_or_default();
    let words = ["kubectl", "--namespace", namespace, "delete", old.kind.plural, name];
    let command = shlex::try_join(words).unwrap_or_default();
    lines.push(format!("  {}", readable(&command, MAX_TEXT)));
    lines.push("An adopted role, or one with deletionPolicy: Retain, is kept.".into());
    lines
}
