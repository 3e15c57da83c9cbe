//! What replaces the event stream of Amazon Pinpoint, per kind of event and of destination: the roles, and what is left
//! to do in AWS. docs/after-pinpoint.md has the same in prose.

use crate::policy::{InvalidIdentifier, Region};

use super::cloud_watch_logs::CLOUD_WATCH_LOGS;
use super::destination::{DestinationArn, DestinationKind, KeyArn};
use super::end_user_messaging_sms::END_USER_MESSAGING_SMS;
use super::event_bridge_rule::EVENT_BRIDGE_RULE;
use super::event_stream::{EventStream, Mismatch};
use super::guide::attach;
use super::ses::SES;
use super::sns::SNS;
use super::source::Source;
use super::table::{Service, SourceField};

/// Events that an event stream of Pinpoint had.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Events {
    /// `_email.*`.
    Email,
    /// `_SMS.*` and voice.
    Sms,
    /// `WhatsApp`.
    WhatsApp,
    /// `_campaign.*` and journeys.
    Campaigns,
    /// `_session.*` and custom events of apps.
    App,
    /// Push notifications.
    Push,
}

impl Events {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Email, Self::Sms, Self::WhatsApp, Self::Campaigns, Self::App, Self::Push];

    /// The name that a user gives.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
            Self::WhatsApp => "whatsapp",
            Self::Campaigns => "campaigns",
            Self::App => "app",
            Self::Push => "push",
        }
    }

    /// The events with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|events| events.name() == name)
    }
}

/// The names of AWS resources that a user gives. The others are chosen.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Configuration set of SES.
    pub ses_configuration_set: Option<String>,
    /// Configuration set of End User Messaging SMS.
    pub sms_configuration_set: Option<String>,
    /// Rule on the default event bus.
    pub event_bus_rule: Option<String>,
    /// Log group between End User Messaging SMS and a Kinesis data stream.
    pub log_group: Option<String>,
    /// SNS topic between End User Messaging Social and a Firehose stream.
    pub topic: Option<String>,
}

/// A role that replaces the old one for some events.
#[derive(Clone, Debug)]
pub struct Successor {
    /// The end of the names of resource and role.
    pub suffix: &'static str,
    /// The purpose of the role.
    pub stream: EventStream,
    /// What the user must know, one line each.
    pub notes: Vec<String>,
    /// The commands that create what must exist before the role is attached.
    pub prepare: Vec<String>,
    /// The value of a placeholder in the command that attaches the role.
    placeholder: Option<(&'static str, String)>,
}

impl Successor {
    /// The command that attaches the role with this ARN.
    #[must_use]
    pub fn attach(&self, role: &str) -> Option<String> {
        let command = attach(&self.stream, role)?;
        Some(match &self.placeholder {
            Some((name, value)) => command.replace(name, value),
            None => command,
        })
    }
}

/// What replaces the event stream for some events.
#[derive(Clone, Debug, Default)]
pub struct Succession {
    /// The roles.
    pub roles: Vec<Successor>,
    /// What the user must know, one line each.
    pub notes: Vec<String>,
    /// The commands after all roles are attached.
    pub finish: Vec<String>,
    /// Whether the events had a role before and have no documented way to the destination now.
    pub is_without_a_way: bool,
}

impl Succession {
    fn of_notes(notes: &[&str]) -> Self {
        let notes = notes.iter().map(|&note| note.to_owned()).collect();
        Self { notes, ..Self::default() }
    }

    fn without_a_way(notes: &[&str]) -> Self {
        Self { is_without_a_way: true, ..Self::of_notes(notes) }
    }
}

/// What replaces the event stream `old` for these events. `resource` is the name from which the names that are not given
/// are chosen.
///
/// # Errors
/// When a given name is invalid.
pub fn succession(
    old: &EventStream,
    events: Events,
    names: &Names,
    resource: &str,
) -> Result<Succession, InvalidIdentifier> {
    let context = Context { old, names, resource };
    let kind = old.destination().kind();
    let found = match (events, kind) {
        (Events::Email, DestinationKind::Firehose) => context.email_to_firehose()?,
        (Events::Email, _) => context.email_to_kinesis()?,
        (Events::Sms, DestinationKind::Firehose) => context.sms_to_firehose()?,
        (Events::Sms, _) => context.sms_to_kinesis()?,
        (Events::WhatsApp, DestinationKind::Firehose) => context.whatsapp_to_firehose()?,
        (Events::WhatsApp, _) => Ok(Succession::without_a_way(&[
            "No documented way leads from WhatsApp to a Kinesis data stream without your own code: the business account publishes to SNS, which has no subscription for Kinesis.",
            "Use a Firehose stream with source.sns instead: name it in a copy of the old resource, and run this command for that.",
        ])),
        (Events::Campaigns, _) => Ok(Succession::of_notes(&[
            "Campaigns and journeys continue in Amazon Connect. It writes to the stream itself, without a role of yours: aws connect associate-instance-storage-config.",
        ])),
        (Events::App, _) => Ok(Succession::of_notes(&[
            "Sessions and custom events have no service between app and stream: the app writes to the stream itself, with Amplify or an AWS SDK and with its own credentials. No service assumes a role.",
        ])),
        (Events::Push, _) => Ok(Succession::of_notes(&[
            "AWS documents no event stream of AWS End User Messaging Push, so nothing replaces this one.",
        ])),
    };
    let mut found = found
        .unwrap_or_else(|mismatch: Mismatch| Succession::without_a_way(&[&mismatch.to_string()]));
    context.add_note_about_region(&mut found);
    Ok(found)
}

/// A name, and a note if no one gave it.
struct Named {
    name: String,
    note: Option<String>,
    is_given: bool,
}

struct Context<'a> {
    old: &'a EventStream,
    names: &'a Names,
    resource: &'a str,
}

/// What the outcome is, or which parts contradict each other; an invalid name is an error of the user.
type Found = Result<Result<Succession, Mismatch>, InvalidIdentifier>;

impl Context<'_> {
    fn email_to_firehose(&self) -> Found {
        let set = self.ses_configuration_set()?;
        let prepare = unless(
            set.is_given,
            format!("aws sesv2 create-configuration-set --configuration-set-name {}", set.name),
        );
        Ok(self.role("email", &SES, Some(&set), self.old.destination()).map(|role| Succession {
            roles: vec![Successor { prepare, ..role }],
            ..Succession::default()
        }))
    }

    fn email_to_kinesis(&self) -> Found {
        let (set, rule) = (self.ses_configuration_set()?, self.rule()?);
        let prepare = unless(
            rule.is_given,
            format!(
                "aws events put-rule --name {} --event-pattern '{{\"source\": [\"aws.ses\"]}}'",
                rule.name
            ),
        );
        let (region, account) = (self.old.destination().region(), self.old.account());
        let bus = format!("arn:{}:events:{region}:{account}:event-bus/default", region.partition());
        let mut finish = unless(
            set.is_given,
            format!("aws sesv2 create-configuration-set --configuration-set-name {}", set.name),
        );
        finish.push(format!(
            "aws sesv2 create-configuration-set-event-destination --configuration-set-name {} --event-destination-name to-event-bus --event-destination 'Enabled=true,MatchingEventTypes=SEND,DELIVERY,BOUNCE,COMPLAINT,EventBridgeDestination={{EventBusArn={bus}}}'",
            set.name
        ));
        let found = self.role("email", &EVENT_BRIDGE_RULE, Some(&rule), self.old.destination());
        Ok(found.map(|mut role| {
            role.notes.insert(0, "SES does not write to a Kinesis data stream. It sends to the default event bus without a role; a rule on that bus writes to the stream with this role.".into());
            role.notes.extend(set.note);
            Succession { roles: vec![Successor { prepare, ..role }], finish, ..Succession::default() }
        }))
    }

    fn sms_to_firehose(&self) -> Found {
        let set = self.sms_configuration_set()?;
        let prepare = unless(set.is_given, create_sms_set(&set.name));
        let role = self.role("sms", &END_USER_MESSAGING_SMS, Some(&set), self.old.destination());
        Ok(role.map(|role| Succession {
            roles: vec![Successor { prepare, ..role }],
            ..Succession::default()
        }))
    }

    fn sms_to_kinesis(&self) -> Found {
        let set = self.sms_configuration_set()?;
        let (group, note) = if let Some(name) = &self.names.log_group {
            (name.clone(), None)
        } else {
            let name = format!("/streamrole/{}", self.resource);
            let note = format!(
                "The log group {name} was chosen, and does not exist unless you create it. Change it here and in the commands below, or give --log-group."
            );
            (name, Some(note))
        };
        let logs = self.beside(DestinationKind::LogGroup, &format!("log-group:{group}"))?;
        let mut prepare = unless(set.is_given, create_sms_set(&set.name));
        prepare.extend(unless(
            note.is_none(),
            format!("aws logs create-log-group --log-group-name {group}"),
        ));
        let to_logs = self.role("sms", &END_USER_MESSAGING_SMS, Some(&set), &logs);
        let to_stream = self.role("sms-relay", &CLOUD_WATCH_LOGS, None, self.old.destination());
        Ok(to_logs.and_then(|mut to_logs| {
            to_logs.notes.insert(0, "End User Messaging SMS does not write to a Kinesis data stream. With this role it writes to a log group; the next role relays from there.".into());
            to_logs.notes.extend(note);
            let mut to_stream = to_stream?;
            to_stream.notes.push("A subscription filter writes from the log group to the stream with this role. Each record is a batch of log events, compressed with gzip.".into());
            to_stream.placeholder = Some(("LOG_GROUP", group));
            Ok(Succession {
                roles: vec![Successor { prepare, ..to_logs }, to_stream],
                ..Succession::default()
            })
        }))
    }

    fn whatsapp_to_firehose(&self) -> Found {
        let (name, note) = if let Some(name) = &self.names.topic {
            (name.clone(), None)
        } else {
            let name = format!("{}-whatsapp", plain(self.resource, 200));
            let note = format!(
                "The SNS topic {name} was chosen, and does not exist unless you create it. Change it in the commands below, or give --topic."
            );
            (name, Some(note))
        };
        let topic = self.beside(DestinationKind::SnsTopic, &name)?;
        let prepare = unless(note.is_none(), format!("aws sns create-topic --name {name}"));
        let finish = vec![format!(
            "aws socialmessaging put-whatsapp-business-account-event-destinations --id WABA_ID --event-destinations eventDestinationArn={topic}"
        )];
        let role = self.role("whatsapp", &SNS, None, self.old.destination());
        Ok(role.map(|mut role| {
            role.notes.insert(0, "End User Messaging Social publishes to an SNS topic; a subscription writes from there to the Firehose stream with this role.".into());
            role.notes.extend(note);
            role.notes.push(format!("The policy of the topic must allow social-messaging.amazonaws.com to call sns:Publish on {topic}. A role for that is optional: an EventStreamRole with source.endUserMessagingSocial and this topic, at the path /."));
            role.notes.push("The business account is not known: replace WABA_ID in the command below. An account has one event destination at a time, which the command replaces.".into());
            role.placeholder = Some(("TOPIC_ARN", topic.to_string()));
            Succession { roles: vec![Successor { prepare, ..role }], finish, ..Succession::default() }
        }))
    }

    /// The role with which the service sends the events of this source to the destination.
    fn role(
        &self,
        suffix: &'static str,
        service: &'static Service,
        source: Option<&Named>,
        destination: &DestinationArn,
    ) -> Result<Successor, Mismatch> {
        let is_stream = destination == self.old.destination();
        let key: Option<KeyArn> = self.old.key().filter(|_| is_stream).cloned();
        let source_of_events = Source {
            account: destination.account().clone(),
            region: destination.region().clone(),
            name: source.map(|named| named.name.clone()),
        };
        let stream = EventStream::new(service, Some(source_of_events), destination.clone(), key)?;
        let notes = source.and_then(|named| named.note.clone()).into_iter().collect();
        Ok(Successor { suffix, stream, notes, prepare: Vec::new(), placeholder: None })
    }

    /// A destination in the account and Region of the old one.
    fn beside(
        &self,
        kind: DestinationKind,
        resource: &str,
    ) -> Result<DestinationArn, InvalidIdentifier> {
        let (namespace, _) = kind.pattern();
        let (region, account) = (self.old.destination().region(), self.old.account());
        let partition = region.partition();
        let arn = format!("arn:{partition}:{namespace}:{region}:{account}:{resource}");
        DestinationArn::parse(kind, &arn)
    }

    fn ses_configuration_set(&self) -> Result<Named, InvalidIdentifier> {
        let given = self.names.ses_configuration_set.as_deref();
        self.named(&SES, "configurationSetName", given, "--ses-configuration-set")
    }

    fn sms_configuration_set(&self) -> Result<Named, InvalidIdentifier> {
        let given = self.names.sms_configuration_set.as_deref();
        let service = &END_USER_MESSAGING_SMS;
        self.named(service, "configurationSetName", given, "--sms-configuration-set")
    }

    fn rule(&self) -> Result<Named, InvalidIdentifier> {
        let given = self.names.event_bus_rule.as_deref();
        self.named(&EVENT_BRIDGE_RULE, "ruleName", given, "--event-bus-rule")
    }

    /// The name for a field: as given, otherwise chosen from the resource's name.
    fn named(
        &self,
        service: &Service,
        field: &'static str,
        given: Option<&str>,
        flag: &str,
    ) -> Result<Named, InvalidIdentifier> {
        let field: Option<&SourceField> = service.source.fields.iter().find(|f| f.name == field);
        if let Some(name) = given {
            if let Some(field) = field.filter(|field| !field.accepts(name)) {
                let expected = format!("{}, as in {} ({flag})", field.what, field.example);
                return Err(InvalidIdentifier::new(name, expected));
            }
            return Ok(Named { name: name.to_owned(), note: None, is_given: true });
        }
        let longest = field.map_or(64, |field| field.length.1);
        let name = plain(self.resource, longest);
        let (what, service) = (field.map_or("", |field| field.name), service.name);
        let note = format!(
            "{what} {name} was chosen: it must be the name in {service}. If it is not, change it here and in the commands below, or give {flag}."
        );
        Ok(Named { name, note: Some(note), is_given: false })
    }

    fn add_note_about_region(&self, found: &mut Succession) {
        let region = self.old.destination().region();
        let of_another = |other: &&Region| *other != region;
        let source = self.old.source().map(|source| &source.region).filter(of_another);
        if let (Some(source), false) = (source, found.roles.is_empty()) {
            found.notes.push(format!(
                "The old source is in {source}, and the destination in {region}. The manifests expect the new sources in {region}."
            ));
        }
    }
}

fn create_sms_set(name: &str) -> String {
    format!("aws pinpoint-sms-voice-v2 create-configuration-set --configuration-set-name {name}")
}

/// The command, unless what it creates exists.
fn unless(exists: bool, command: String) -> Vec<String> {
    if exists { Vec::new() } else { vec![command] }
}

/// The name with only letters, digits and dashes, which every service accepts.
fn plain(name: &str, longest: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().take(longest).map(plain).collect()
}
