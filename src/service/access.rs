//! What one event stream allows and another does not. Exact, because the documents of an event stream have known forms.

use serde::Serialize;

use super::event_stream::EventStream;
use super::source::Source;
use super::table::Conditions;

/// Access that only the new role gives, with an example request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// What it is.
    pub what: String,
    /// Who makes the request: a service principal, or the role.
    pub principal: String,
    /// The action of the request.
    pub action: String,
    /// The resource of the request.
    pub resource: String,
    /// The `aws:SourceArn` of the request, if the principal is a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_arn: Option<String>,
}

/// What `new` allows and `old` does not; everything when there is no old role. `role` is the ARN of the role.
#[must_use]
pub fn new_access(new: &EventStream, old: Option<&EventStream>, role: &str) -> Vec<Access> {
    let mut found = Vec::new();
    found.extend(new_trust(new, old, role));
    let old_actions = old.map(granted).unwrap_or_default();
    let is_new = |grant: &(String, String)| !old_actions.contains(grant);
    found.extend(granted(new).into_iter().filter(is_new).map(|(action, resource)| Access {
        what: format!("the role can call {action} on {resource}"),
        principal: role.to_owned(),
        action,
        resource,
        source_arn: None,
    }));
    found
}

fn new_trust(new: &EventStream, old: Option<&EventStream>, role: &str) -> Option<Access> {
    let covered = old.is_some_and(|old| {
        old.principal() == new.principal() && covers(restriction(old), restriction(new))
    });
    if covered {
        return None;
    }
    let principal = new.principal();
    let source_arn = restriction(new).map(|source| example_arn(new, source));
    let what = match &source_arn {
        Some(arn) => format!("{principal} can assume the role on behalf of {arn}"),
        None => format!("{principal} can assume the role on behalf of anyone"),
    };
    let (action, resource) = ("sts:AssumeRole".to_owned(), role.to_owned());
    Some(Access { what, principal, action, resource, source_arn })
}

/// The source that the trust policy limits the service to.
fn restriction(stream: &EventStream) -> Option<&Source> {
    let is_limited = stream.service().conditions != Conditions::Undocumented;
    stream.source().filter(|_| is_limited)
}

/// Whether every source that `narrow` permits, `wide` permits too. No restriction permits every source.
fn covers(wide: Option<&Source>, narrow: Option<&Source>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(wide), Some(narrow)) => {
            let is_same_place = wide.account == narrow.account && wide.region == narrow.region;
            let in_bus = |wide: &str, narrow: &str| {
                // `bus/*` permits each rule of the bus.
                wide.strip_suffix('*').is_some_and(|prefix| narrow.starts_with(prefix))
            };
            is_same_place
                && match (&wide.name, &narrow.name) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(wide), Some(narrow)) => wide == narrow || in_bus(wide, narrow),
                }
        }
    }
}

/// The ARN of one source: a wildcard is filled in.
fn example_arn(stream: &EventStream, source: &Source) -> String {
    stream.service().source.arn(source).replace('*', "example")
}

/// The actions that the role can call, each with its resource.
fn granted(stream: &EventStream) -> Vec<(String, String)> {
    let destination = stream.destination();
    let target = stream.service().target(destination.kind());
    let actions = target.map_or(&[][..], |target| target.actions).iter();
    let resource = destination.resource();
    let mut all: Vec<_> = actions.map(|action| ((*action).to_owned(), resource.clone())).collect();
    if let Some(key) = stream.key() {
        let actions = super::documents::actions_on_key(destination.kind()).iter();
        all.extend(actions.map(|action| ((*action).to_owned(), key.to_string())));
    }
    all
}
