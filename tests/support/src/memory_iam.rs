//! A minimal IAM in memory, for measuring: it answers after a set latency, as fast for 10,000 roles as for
//! one, and counts calls. It knows the actions that the controller uses, and nothing of signatures, quotas
//! or what a policy means. The conformance test holds it against moto.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;
use tokio::net::TcpListener;

use crate::Error;
use crate::query::{Call, error_answer, read_call, serve};
use crate::stack::ACCOUNT_ID;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug, Default)]
struct Role {
    name: String,
    id: String,
    path: String,
    trust_policy: String,
    description: String,
    max_session_duration: String,
    boundary: Option<String>,
    tags: BTreeMap<String, String>,
    inline: BTreeMap<String, String>,
    attached: BTreeSet<String>,
}

/// Calls since they were last forgotten.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// How many there were, by action.
    pub by_action: BTreeMap<String, usize>,
    /// When the first one came.
    pub first: Option<Instant>,
    /// When the last one came.
    pub last: Option<Instant>,
}

impl Calls {
    /// How many there were.
    #[must_use]
    pub fn total(&self) -> usize {
        self.by_action.values().sum()
    }

    fn note(&mut self, call: &Call) {
        let now = Instant::now();
        *self.by_action.entry(call.action.clone()).or_default() += 1;
        self.first.get_or_insert(now);
        self.last = Some(now);
    }
}

#[derive(Debug, Default)]
struct State {
    // By name in lower case: IAM does not tell role names apart by case.
    roles: BTreeMap<String, Role>,
    created: usize,
    calls: Calls,
}

/// A running IAM.
#[derive(Debug)]
pub struct MemoryIam {
    url: String,
    state: Arc<Mutex<State>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for MemoryIam {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl MemoryIam {
    /// Starts an IAM without roles that answers each call after `latency`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(latency: Duration) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::<Mutex<State>>::default();
        let answering = Arc::clone(&state);
        let accepting = tokio::spawn(serve(listener, move |request| {
            let state = Arc::clone(&answering);
            async move {
                let call = read_call(request.body());
                lock(&state).calls.note(&call);
                tokio::time::sleep(latency).await;
                lock(&state).answer(&call)
            }
        }));
        Ok(Self { url, state, accepting })
    }

    /// URL to give to a client of IAM.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The calls since they were last forgotten.
    #[must_use]
    pub fn calls(&self) -> Calls {
        lock(&self.state).calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        lock(&self.state).calls = Calls::default();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error as IAM answers it.
struct Refusal {
    status: u16,
    code: &'static str,
}

const NO_SUCH_ENTITY: Refusal = Refusal { status: 404, code: "NoSuchEntity" };
const ALREADY_EXISTS: Refusal = Refusal { status: 409, code: "EntityAlreadyExists" };
const DELETE_CONFLICT: Refusal = Refusal { status: 409, code: "DeleteConflict" };
const NO_SUCH_ACTION: Refusal = Refusal { status: 400, code: "InvalidAction" };

impl State {
    fn answer(&mut self, call: &Call) -> Response<Full<Bytes>> {
        let action = &call.action;
        match self.result(call) {
            Ok(result) => {
                let body = format!(
                    "<{action}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><{action}Result>{result}</{action}Result></{action}Response>"
                );
                Response::new(Full::new(Bytes::from(body)))
            }
            Err(Refusal { status, code }) => {
                error_answer(status, code, &format!("{action} was refused"))
            }
        }
    }

    fn result(&mut self, call: &Call) -> Result<String, Refusal> {
        match call.action.as_str() {
            "CreateRole" => self.create_role(call),
            "DeleteRole" => self.delete_role(call),
            "ListRoles" => Ok(self.page(call, "Roles", Role::as_listed)),
            "GetAccountAuthorizationDetails" => {
                Ok(self.page(call, "RoleDetailList", Role::details))
            }
            _ => {
                let name = call.text("RoleName").to_lowercase();
                let role = self.roles.get_mut(&name).ok_or(NO_SUCH_ENTITY)?;
                role.result(call)
            }
        }
    }

    fn create_role(&mut self, call: &Call) -> Result<String, Refusal> {
        let name = call.text("RoleName");
        let key = name.to_lowercase();
        if self.roles.contains_key(&key) {
            return Err(ALREADY_EXISTS);
        }
        self.created += 1;
        let or = |key: &str, default: &str| {
            Some(call.text(key)).filter(|text| !text.is_empty()).unwrap_or_else(|| default.into())
        };
        let role = Role {
            name,
            id: format!("AROA{:017}", self.created),
            path: or("Path", "/"),
            trust_policy: call.text("AssumeRolePolicyDocument"),
            description: call.text("Description"),
            max_session_duration: or("MaxSessionDuration", "3600"),
            boundary: call.parameters.get("PermissionsBoundary").cloned(),
            tags: call.tags(),
            ..Role::default()
        };
        let answer = element("Role", &role.whole());
        self.roles.insert(key, role);
        Ok(answer)
    }

    fn delete_role(&mut self, call: &Call) -> Result<String, Refusal> {
        let key = call.text("RoleName").to_lowercase();
        let role = self.roles.get(&key).ok_or(NO_SUCH_ENTITY)?;
        if !role.inline.is_empty() || !role.attached.is_empty() {
            return Err(DELETE_CONFLICT);
        }
        self.roles.remove(&key);
        Ok(String::new())
    }

    /// The roles after the marker, which is the key of the last role of the page before.
    fn page(&self, call: &Call, list: &str, show: fn(&Role) -> String) -> String {
        let most = call.text("MaxItems").parse().unwrap_or(100).clamp(1, 1000);
        let marker = call.text("Marker");
        let prefix = call.text("PathPrefix");
        let is_asked_for =
            |(key, role): &(&String, &Role)| **key > marker && role.path.starts_with(&prefix);
        let mut after = self.roles.iter().filter(is_asked_for);
        let page: Vec<_> = after.by_ref().take(most).collect();
        let members: String = page.iter().map(|(_, role)| element("member", &show(role))).collect();
        let next = match (after.next(), page.last()) {
            (Some(_), Some((key, _))) => element("Marker", &escape(key.as_str())),
            (_, _) => String::new(),
        };
        let truncated = element("IsTruncated", if next.is_empty() { "false" } else { "true" });
        truncated + &next + &element(list, &members)
    }
}

impl Call {
    fn text(&self, key: &str) -> String {
        self.parameters.get(key).cloned().unwrap_or_default()
    }

    fn list(&self, name: &str, field: &str) -> Vec<String> {
        let key = |index: usize| format!("{name}.member.{index}{field}");
        (1..).map_while(|index| self.parameters.get(&key(index)).cloned()).collect()
    }

    fn tags(&self) -> BTreeMap<String, String> {
        self.list("Tags", ".Key").into_iter().zip(self.list("Tags", ".Value")).collect()
    }
}

impl Role {
    fn result(&mut self, call: &Call) -> Result<String, Refusal> {
        let policy = call.text("PolicyName");
        let arn = call.text("PolicyArn");
        let nothing = String::new();
        Ok(match call.action.as_str() {
            "GetRole" => element("Role", &self.whole()),
            "UpdateRole" => {
                let given = |key: &str| call.parameters.get(key).cloned();
                self.description = given("Description").unwrap_or_else(|| self.description.clone());
                self.max_session_duration = given("MaxSessionDuration")
                    .unwrap_or_else(|| self.max_session_duration.clone());
                nothing
            }
            "UpdateAssumeRolePolicy" => {
                self.trust_policy = call.text("PolicyDocument");
                nothing
            }
            "TagRole" => {
                self.tags.extend(call.tags());
                nothing
            }
            "UntagRole" => {
                let keys = call.list("TagKeys", "");
                self.tags.retain(|key, _| !keys.contains(key));
                nothing
            }
            "PutRolePolicy" => {
                self.inline.insert(policy, call.text("PolicyDocument"));
                nothing
            }
            "GetRolePolicy" => {
                let document = self.inline.get(&policy).ok_or(NO_SUCH_ENTITY)?;
                element("RoleName", &self.name) + &inline_policy(&policy, document)
            }
            "DeleteRolePolicy" => {
                self.inline.remove(&policy).ok_or(NO_SUCH_ENTITY)?;
                nothing
            }
            "ListRolePolicies" => {
                let names =
                    self.inline.keys().map(|name| element("member", &escape(name.as_str())));
                element("IsTruncated", "false")
                    + &element("PolicyNames", &names.collect::<String>())
            }
            "AttachRolePolicy" => {
                self.attached.insert(arn);
                nothing
            }
            "DetachRolePolicy" if self.attached.remove(&arn) => nothing,
            "DetachRolePolicy" => return Err(NO_SUCH_ENTITY),
            "ListAttachedRolePolicies" => {
                element("IsTruncated", "false") + &element("AttachedPolicies", &self.attachments())
            }
            "PutRolePermissionsBoundary" => {
                self.boundary = Some(call.text("PermissionsBoundary"));
                nothing
            }
            "DeleteRolePermissionsBoundary" => {
                self.boundary.take().ok_or(NO_SUCH_ENTITY)?;
                nothing
            }
            _ => return Err(NO_SUCH_ACTION),
        })
    }

    /// What every answer shows of a role.
    fn core(&self) -> String {
        let arn = format!("arn:aws:iam::{ACCOUNT_ID}:role{}{}", self.path, self.name);
        [
            element("Path", &escape(self.path.as_str())),
            element("RoleName", &self.name),
            element("RoleId", &self.id),
            element("Arn", &escape(arn)),
            element("CreateDate", "2026-01-01T00:00:00Z"),
            element("AssumeRolePolicyDocument", &percent_encoded(&self.trust_policy)),
        ]
        .concat()
    }

    /// As `ListRoles` has it: without boundary and tags.
    fn as_listed(&self) -> String {
        let description = match self.description.as_str() {
            "" => String::new(),
            text => element("Description", &escape(text)),
        };
        self.core() + &description + &element("MaxSessionDuration", &self.max_session_duration)
    }

    /// As `GetRole` has it.
    fn whole(&self) -> String {
        self.as_listed() + &self.boundary_and_tags()
    }

    /// As `GetAccountAuthorizationDetails` has it: without description and session.
    fn details(&self) -> String {
        let inline =
            self.inline.iter().map(|(name, text)| element("member", &inline_policy(name, text)));
        [
            self.core(),
            self.boundary_and_tags(),
            element("RolePolicyList", &inline.collect::<String>()),
            element("AttachedManagedPolicies", &self.attachments()),
            element("InstanceProfileList", ""),
        ]
        .concat()
    }

    fn boundary_and_tags(&self) -> String {
        let boundary = self.boundary.as_ref().map_or_else(String::new, |arn| {
            let parts = element("PermissionsBoundaryType", "Policy")
                + &element("PermissionsBoundaryArn", &escape(arn.as_str()));
            element("PermissionsBoundary", &parts)
        });
        let tag = |(key, value): (&String, &String)| {
            let pair =
                element("Key", &escape(key.as_str())) + &element("Value", &escape(value.as_str()));
            element("member", &pair)
        };
        boundary + &element("Tags", &self.tags.iter().map(tag).collect::<String>())
    }

    fn attachments(&self) -> String {
        let one = |arn: &String| {
            let name = arn.rsplit('/').next().unwrap_or_default();
            let pair =
                element("PolicyName", &escape(name)) + &element("PolicyArn", &escape(arn.as_str()));
            element("member", &pair)
        };
        self.attached.iter().map(one).collect()
    }
}

fn inline_policy(name: &str, document: &str) -> String {
    element("PolicyName", &escape(name)) + &element("PolicyDocument", &percent_encoded(document))
}

fn percent_encoded(document: &str) -> String {
    utf8_percent_encode(document, RESERVED).to_string()
}

fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}
