//! Who can assume the role, and under which conditions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::policy::{Place, Region, readable};
use crate::service::{Conditions, Principal as ServicePrincipal, SERVICES, Service, Source};

use super::context::{Context, Observation};
use super::glob::{has_wildcard, overlaps, parts};
use super::rule::{Rule, Severity};
use super::statement::{Condition, Principal, Statement, Test, bracketed, statements};

const ASSUME: &str = "sts:AssumeRole";
const ACCOUNT: &str = "aws:sourceaccount";
const ARN: &str = "aws:sourcearn";
const EXTERNAL_ID: &str = "sts:externalid";
/// Keys that restrict on whose behalf a service acts (IAM user guide, "AWS global condition context keys").
const RESTRICTING: [&str; 4] = [ACCOUNT, ARN, "aws:sourceorgid", "aws:sourceorgpaths"];
/// Keys of users and roles: a service principal is in no organization and has no session.
const OF_PEOPLE: [&str; 5] = [
    "aws:multifactorauthpresent",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:username",
];
/// Sources of a service besides those of the table, which assume roles to write to a stream, too: the subscribers of
/// a custom event bus (`EventBridge` user guide, "Custom Event Bus").
const MORE_SOURCES: [(&str, &str); 1] = [("eventBridgeRule", "subscriber/")];

/// How many characters of a principal are shown.
const MAX_NAME: usize = 200;

/// A service of the table that can assume the role.
pub(super) struct Trusted<'a> {
    pub service: &'static Service,
    pub principal: &'a str,
    /// The Region that the principal names.
    pub region: Option<Region>,
    /// Index of the statement.
    statement: usize,
}

/// A trust policy.
pub(super) struct Trust<'a> {
    statements: Vec<Statement<'a>>,
    pub trusted: Vec<Trusted<'a>>,
    /// Everyone else, for people.
    pub others: BTreeSet<String>,
    /// Paths of the statements that allow everyone without a condition.
    anyone: Vec<String>,
}

/// The service of the table that has this principal, and the Region that the principal names.
fn service_of(principal: &str) -> Option<(&'static Service, Option<Region>)> {
    SERVICES.into_iter().find_map(|service| {
        let base = match service.principal {
            ServicePrincipal::Global(global) => global.strip_suffix(".amazonaws.com")?,
            ServicePrincipal::Regional(service) => service,
        };
        let rest = principal.strip_prefix(base)?.strip_prefix('.')?;
        if rest == "amazonaws.com" {
            return Some((service, None));
        }
        let (region, suffix) = rest.split_once('.')?;
        let region = Region::parse(region).ok()?;
        let is_suffix = [region.partition().dns_suffix(), "amazonaws.com"].contains(&suffix);
        is_suffix.then_some((service, Some(region)))
    })
}

impl<'a> Trust<'a> {
    /// Reads a trust policy.
    pub(super) fn read(document: &'a Value) -> Self {
        let statements = statements("AssumeRolePolicyDocument", document);
        let (mut trusted, mut others, mut anyone) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (index, statement) in statements.iter().enumerate() {
            if !statement.allows() {
                continue;
            }
            let is_assumed = statement.covers_action(ASSUME);
            let is_federated = ["sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"]
                .iter()
                .any(|action| statement.covers_action(action));
            for principal in statement.principals() {
                match principal {
                    Principal::Service(text) if is_assumed => match service_of(text) {
                        Some((service, region)) => {
                            trusted.push(Trusted {
                                service,
                                principal: text,
                                region,
                                statement: index,
                            });
                        }
                        None => drop(others.insert(readable(text, MAX_NAME))),
                    },
                    Principal::Anyone if is_assumed && statement.conditions().is_empty() => {
                        anyone.push(statement.path.clone());
                    }
                    Principal::Anyone if is_assumed => drop(others.insert("*".to_owned())),
                    Principal::Other(text) if is_assumed || is_federated => {
                        others.insert(readable(text, MAX_NAME));
                    }
                    _ => {}
                }
            }
        }
        Self { statements, trusted, others, anyone }
    }

    /// The services, each once.
    pub(super) fn services(&self) -> Vec<&'static Service> {
        let mut all: Vec<&'static Service> = Vec::new();
        for trusted in &self.trusted {
            if !all.iter().any(|service| service.key == trusted.service.key) {
                all.push(trusted.service);
            }
        }
        all
    }

    /// Whether a statement denies this principal everything but what some condition names.
    fn is_protected(&self, principal: &str) -> bool {
        self.statements.iter().filter(|statement| statement.denies()).any(|statement| {
            let is_meant = statement.principals().iter().any(|own| match own {
                Principal::Anyone => true,
                Principal::Service(own) => *own == principal,
                Principal::Other(_) => false,
            });
            is_meant
                && statement.covers_action(ASSUME)
                && statement.conditions().iter().any(|condition| {
                    condition.test == Test::Negated && RESTRICTING.contains(&condition.key.as_str())
                })
        })
    }
}

/// What the permissions policies show about the destination.
pub(super) struct Purpose {
    /// Whether the role writes to a destination of the table for one of its services.
    pub is_stream: bool,
    /// The Regions of the destinations.
    pub regions: Vec<Region>,
}

/// Checks the trust policy.
pub(super) fn check(context: &mut Context<'_>, trust: &Trust<'_>, purpose: &Purpose) {
    for path in &trust.anyone {
        context.add(Observation::of(
            Rule::AnyPrincipal,
            &format!("{path}.Principal"),
            "*",
            "The trust policy allows everyone without a condition.".to_owned(),
        ));
    }
    several(context, trust, purpose);
    for trusted in &trust.trusted {
        let Some(statement) = trust.statements.get(trusted.statement) else { continue };
        ended(context, trusted, statement);
        region(context, trusted, statement, purpose);
        conditions(context, trust, trusted, statement, purpose);
    }
}

fn principal_path(statement: &Statement<'_>, principal: &str) -> String {
    format!("{}.Principal.Service{}", statement.path, bracketed(principal))
}

fn several(context: &mut Context<'_>, trust: &Trust<'_>, purpose: &Purpose) {
    let services = trust.services();
    let mut all: Vec<String> = services.iter().map(|service| service.name.to_owned()).collect();
    all.extend(trust.others.iter().cloned());
    if all.len() > 1 {
        let names = all.join(", ");
        let severity = if purpose.is_stream { Severity::Warning } else { Severity::Note };
        let message = format!("{} principals can assume the role.", all.len());
        let path = "AssumeRolePolicyDocument.Statement";
        context.add(Observation::of(Rule::SeveralTrusts, path, &names, message).severity(severity));
    }
}

fn ended(context: &mut Context<'_>, trusted: &Trusted<'_>, statement: &Statement<'_>) {
    let Some(ended) = trusted.service.ended else { return };
    let name = trusted.service.name;
    let used = match context.role.last_used {
        Some(used) => format!(" The role was last used on {}.", day(used)),
        None => String::new(),
    };
    let is_over = ended.parse().is_ok_and(|ended| context.today > ended);
    let message = if is_over {
        format!("The support of {name} ended on {ended}.{used}")
    } else {
        format!("The support of {name} ends on {ended}.{used}")
    };
    let severity = if is_over { Severity::Warning } else { Severity::Note };
    let path = principal_path(statement, trusted.principal);
    context.add(
        Observation::of(Rule::EndedService, &path, trusted.principal, message)
            .severity(severity)
            .source(trusted.service.page),
    );
}

/// The day of a time, in UTC.
pub(super) fn day(time: jiff::Timestamp) -> jiff::civil::Date {
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn region(
    context: &mut Context<'_>,
    trusted: &Trusted<'_>,
    statement: &Statement<'_>,
    purpose: &Purpose,
) {
    let Some(region) = &trusted.region else { return };
    let Some(first) = purpose.regions.first() else { return };
    if trusted.service.same_region && !purpose.regions.contains(region) {
        let name = trusted.service.name;
        let path = principal_path(statement, trusted.principal);
        let message = format!(
            "The principal is that of {name} in {region}, and the destination is in {first}."
        );
        let remedy = format!("Trust {} instead.", trusted.service.principal.in_region(first));
        context.add(
            Observation::of(Rule::WrongPrincipal, &path, trusted.principal, message)
                .remedy(remedy)
                .source(trusted.service.page),
        );
    }
}

/// Why a value never matches what a service sends.
type Dead = Option<String>;

/// What a condition limits.
#[derive(Clone, Copy, Default)]
struct Limits {
    /// It is one of the confused-deputy conditions.
    is_deputy: bool,
    /// It excludes other accounts.
    account: bool,
    /// It excludes other sources.
    source: bool,
}

fn conditions(
    context: &mut Context<'_>,
    trust: &Trust<'_>,
    trusted: &Trusted<'_>,
    statement: &Statement<'_>,
    purpose: &Purpose,
) {
    let service = trusted.service;
    let expected = Expected::of(context.place.clone(), trusted, purpose);
    let all = statement.conditions();
    let mut limits = Limits::default();
    for condition in all.iter().filter(|condition| !condition.is_null) {
        foreign_keys(context, &expected, condition);
        let own = deputy(context, &expected, condition);
        limits.is_deputy |= own.is_deputy;
        limits.account |= own.account;
        limits.source |= own.source;
    }
    if service.conditions == Conditions::Undocumented || trust.is_protected(trusted.principal) {
        return;
    }
    let path = principal_path(statement, trusted.principal);
    let remedy = wanted(&expected, service);
    let of = |rule: Rule, message: String| {
        Observation::of(rule, &path, trusted.principal, message)
            .remedy(remedy.clone())
            .source(service.page)
    };
    let name = service.name;
    // Whoever asks for something impossible lets no one in.
    let is_dead = all.iter().any(|condition| {
        condition.key == EXTERNAL_ID || OF_PEOPLE.contains(&condition.key.as_str())
    });
    if !limits.is_deputy {
        if is_dead {
            return;
        }
        let severity = if purpose.is_stream { Severity::Warning } else { Severity::Note };
        let message = format!("{name} can assume the role on behalf of any account.");
        context.add(of(Rule::MissingConditions, message).severity(severity));
    } else if !limits.account {
        let message = format!("The conditions accept every account that uses {name}.");
        context.add(of(Rule::AnyAccount, message));
    } else if !limits.source && !service.source.fields.is_empty() && purpose.is_stream {
        let message = format!("{name} can assume the role for every source of the account.");
        let remedy = Rule::AnySource.remedy().to_owned();
        context.add(of(Rule::AnySource, message).remedy(remedy));
    }
}

/// Conditions on keys that no service sends.
fn foreign_keys(context: &mut Context<'_>, expected: &Expected, condition: &Condition<'_>) {
    let (service, key) = (expected.service, condition.key.as_str());
    if condition.is_lenient || condition.test == Test::Negated {
        return;
    }
    let of = |rule, message| Observation::of(rule, &condition.path, &condition.shown(), message);
    if key == EXTERNAL_ID {
        let message = format!("{} does not send sts:ExternalId.", service.name);
        context.add(of(Rule::ExternalId, message).remedy(wanted(expected, service)));
    }
    if OF_PEOPLE.contains(&key) {
        let key = readable(condition.written, MAX_NAME);
        let message =
            format!("{key} is a key of users and roles, not of the service {}.", service.name);
        context.add(of(Rule::UnsentKey, message));
    }
}

/// A condition on whose behalf the service acts.
fn deputy(context: &mut Context<'_>, expected: &Expected, condition: &Condition<'_>) -> Limits {
    let (service, key) = (expected.service, condition.key.as_str());
    if !condition.is_positive() || !RESTRICTING.contains(&key) {
        return Limits::default();
    }
    let of = |rule, message| Observation::of(rule, &condition.path, &condition.shown(), message);
    let is_documented = service.conditions != Conditions::Undocumented;
    if !is_documented {
        let key = readable(condition.written, MAX_NAME);
        let message = format!("AWS does not document that {} sends {key}.", service.name);
        context.add(of(Rule::UndocumentedCondition, message).source(service.page));
    }
    // A condition that never matches is one finding, not also one about what it leaves open.
    let closed = Limits { is_deputy: true, account: true, source: true };
    let values: Vec<&str> = condition.values.iter().map(AsRef::as_ref).collect();
    let is_variable = |value: &str| value.contains("${");
    let is_literal =
        |value: &&str| condition.test == Test::Equals && has_wildcard(value) && !is_variable(value);
    if !values.is_empty() && values.iter().all(is_literal) {
        let message = "The operator compares literally, and the value has a wildcard.".to_owned();
        context.add(of(Rule::WildcardInStringEquals, message));
        return closed;
    }
    let dead = |value: &&str| match key {
        _ if is_variable(value) || !is_documented => None,
        ACCOUNT => expected.dead_account(condition, value),
        ARN => expected.dead_arn(condition, value),
        _ => None,
    };
    let reasons: Vec<_> = values.iter().map(dead).collect();
    if let Some(Some(reason)) = reasons.first()
        && reasons.iter().all(Option::is_some)
    {
        let remedy = wanted(expected, service);
        context.add(of(Rule::DeadCondition, reason.clone()).remedy(remedy).source(service.page));
        return closed;
    }
    let is_arn = key == ARN;
    Limits {
        is_deputy: true,
        account: ![ACCOUNT, ARN].contains(&key)
            || !expected.takes_other_account(condition, &values),
        source: is_arn && !values.iter().any(|value| expected.takes_any_source(value)),
    }
}

/// The conditions that the service needs, as an instruction.
fn wanted(expected: &Expected, service: &Service) -> String {
    let arn = expected.example();
    match service.conditions {
        Conditions::AccountAndArn => format!(
            "Require StringEquals aws:SourceAccount {} and ArnLike aws:SourceArn {arn}.",
            expected.account()
        ),
        Conditions::ArnOnly => format!("Require StringLike aws:SourceArn {arn}."),
        Conditions::Undocumented => {
            format!("Remove the condition: AWS documents none for {}.", service.name)
        }
    }
}

/// Whether a wildcard extends over several parts of an ARN, so that another part stands where the account should. Only
/// `StringLike` does that.
fn spans_parts(condition: &Condition<'_>, account: &str) -> bool {
    let is_account = |byte: u8| byte.is_ascii_digit() || b"*?".contains(&byte);
    condition.test == Test::Like && !account.bytes().all(is_account)
}

/// What a service sends when it assumes a role.
struct Expected {
    place: Option<Place>,
    service: &'static Service,
    /// The Regions in which the source can be; empty for any.
    regions: Vec<Region>,
    is_stream: bool,
}

impl Expected {
    fn of(place: Option<Place>, trusted: &Trusted<'_>, purpose: &Purpose) -> Self {
        let service = trusted.service;
        let regions = match &trusted.region {
            Some(region) => vec![region.clone()],
            None if service.same_region => purpose.regions.clone(),
            None => Vec::new(),
        };
        Self { place, service, regions, is_stream: purpose.is_stream }
    }

    fn account(&self) -> String {
        self.place.as_ref().map_or_else(|| "ACCOUNT".to_owned(), |place| place.account.to_string())
    }

    /// A pattern for the ARNs that the service sends.
    fn example(&self) -> String {
        let form = &self.service.source;
        match (self.place.as_ref(), self.regions.first()) {
            (Some(place), Some(region)) => form.arn(&Source {
                account: place.account.clone(),
                region: region.clone(),
                name: None,
            }),
            (place, _) => format!(
                "arn:{}:{}:REGION:{}:{}*",
                place.map_or("aws", |place| place.partition.as_str()),
                form.namespace,
                self.account(),
                form.resource
            ),
        }
    }

    fn dead_account(&self, condition: &Condition<'_>, value: &str) -> Dead {
        if condition.test == Test::Arn {
            return Some(
                "The operator compares ARNs, and aws:SourceAccount is an account id.".into(),
            );
        }
        let own = &self.place.as_ref()?.account;
        if condition.test == Test::Equals && has_wildcard(value) {
            return Some("The operator compares literally, and the value has a wildcard.".into());
        }
        (!overlaps(value, &own.to_string())).then(|| {
            format!("The source is in the account of the role, {own}, and the condition names another value.")
        })
    }

    fn dead_arn(&self, condition: &Condition<'_>, value: &str) -> Dead {
        let form = &self.service.source;
        let name = self.service.name;
        if condition.test == Test::Equals && has_wildcard(value) {
            return Some("The operator compares literally, and the value has a wildcard.".into());
        }
        let Some([arn, partition, namespace, region, account, resource]) = parts(value) else {
            let whole = format!("arn:*:{}:*:*:{}*", form.namespace, form.resource);
            let is_dead = !has_wildcard(value) || !overlaps(value, &whole);
            return is_dead.then(|| format!("The value is not the ARN of a source of {name}."));
        };
        if !overlaps(arn, "arn") {
            return Some(format!("The value is not the ARN of a source of {name}."));
        }
        if spans_parts(condition, account) {
            let whole = format!("arn:*:{}:*:*", form.namespace);
            return (!overlaps(value, &whole))
                .then(|| format!("The value is not the ARN of a source of {name}."));
        }
        if let Some(place) = &self.place {
            let own = place.partition.as_str();
            if !overlaps(partition, own) {
                return Some(format!(
                    "The ARN is in another partition than the role, which is in {own}."
                ));
            }
        }
        if !overlaps(namespace, form.namespace) {
            return Some(format!(
                "{name} sends the ARNs of {}, not of another service.",
                form.namespace
            ));
        }
        if let Some(reason) = self.dead_region(region) {
            return Some(reason);
        }
        if let Some(place) = &self.place
            // The events of another account can arrive through a destination of CloudWatch Logs.
            && (self.service.conditions == Conditions::AccountAndArn)
            && !overlaps(account, &place.account.to_string())
        {
            return Some(format!(
                "The source is in the account of the role, {}, and the ARN names another one.",
                place.account
            ));
        }
        self.dead_resource(resource)
    }

    fn dead_region(&self, region: &str) -> Dead {
        if !has_wildcard(region) {
            let parsed = Region::parse(region).ok();
            let own = self.place.as_ref().map(|place| place.partition);
            if parsed.is_none_or(|region| own.is_some_and(|own| own != region.partition())) {
                return Some("The ARN names no Region of the role's partition.".into());
            }
        }
        let first = self.regions.first()?;
        let is_dead = !self.regions.iter().any(|own| overlaps(region, &own.to_string()));
        is_dead.then(|| {
            format!(
                "{} uses the role in {first}, and the ARN names another Region.",
                self.service.name
            )
        })
    }

    fn dead_resource(&self, resource: &str) -> Dead {
        let form = &self.service.source;
        let template = format!("{}*", form.resource);
        let more = MORE_SOURCES.iter().filter(|(key, _)| *key == self.service.key);
        let is_known = overlaps(resource, &template)
            || more.into_iter().any(|(_, prefix)| overlaps(resource, &format!("{prefix}*")));
        // A role for another purpose can have another source.
        if is_known || !(self.is_stream || resource.starts_with('/')) {
            return None;
        }
        Some(format!(
            "The resource in the ARN of a source of {} begins with {}.",
            self.service.name, form.resource
        ))
    }

    /// Whether some value also matches a source of another account.
    fn takes_other_account(&self, condition: &Condition<'_>, values: &[&str]) -> bool {
        let Some(place) = &self.place else { return false };
        let other: String = place
            .account
            .to_string()
            .bytes()
            .map(|digit| char::from(b'0' + (digit.wrapping_sub(b'0') + 1) % 10))
            .collect();
        let own = place.account.to_string();
        values.iter().any(|value| {
            if condition.test == Test::Equals || !has_wildcard(value) {
                return false;
            }
            if condition.key == ACCOUNT {
                return overlaps(value, &other);
            }
            match parts(value) {
                Some([.., account, _]) if !spans_parts(condition, account) => {
                    overlaps(account, &other)
                }
                // The account is somewhere in the text, or nowhere.
                _ => !value.contains(&own),
            }
        })
    }

    /// Whether the value names no source.
    fn takes_any_source(&self, value: &str) -> bool {
        let Some([.., resource]) = parts(value) else { return true };
        let name = resource.strip_prefix(self.service.source.resource).unwrap_or(resource);
        name.chars().all(|character| character == '*')
    }
}
