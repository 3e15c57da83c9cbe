//! The IAM roles of one account in memory. It applies calls, answers reads with the current or a recent state, and
//! keeps a journal of every applied write in order. It implements the actions that the controller uses, without
//! signatures, quotas or the meaning of policies. The conformance test compares it with moto.

mod role;
mod xml;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use tokio::sync::mpsc;

use crate::query::{Call, error_answer};

pub use role::Role;

use xml::element;

/// The age of the oldest state that a read can show.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The author of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// A call to IAM.
    Caller,
    /// An administrator.
    Administrator,
}

/// An applied write.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The time.
    pub at: Instant,
    /// The author.
    pub by: By,
    /// The IAM action, or the change by the administrator.
    pub action: String,
    /// Name of the role in lower case: IAM role names are case-insensitive.
    pub key: String,
    /// The role before; `None` when there was none.
    pub before: Option<Arc<Role>>,
    /// The role after; `None` when it was deleted.
    pub after: Option<Arc<Role>>,
}

/// The roles of one account. Clones are the same account.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    // By name in lower case.
    roles: BTreeMap<String, Past>,
    created: usize,
    journal: Option<mpsc::UnboundedSender<Applied>>,
}

/// The recent states of one name, oldest first. The last one is the current state.
#[derive(Debug, Default)]
struct Past(Vec<(Instant, Option<Arc<Role>>)>);

impl Past {
    fn present(&self) -> Option<&Arc<Role>> {
        self.0.last().and_then(|(_, role)| role.as_ref())
    }

    /// The state at `when`, or now.
    fn at(&self, when: Option<Instant>) -> Option<&Arc<Role>> {
        let Some(when) = when else {
            return self.present();
        };
        self.0.iter().rfind(|(since, _)| *since <= when).and_then(|(_, role)| role.as_ref())
    }

    fn push(&mut self, now: Instant, role: Option<Arc<Role>>) {
        let ended_early = |next: &(Instant, _)| now.duration_since(next.0) > REMEMBERED;
        let forgotten = self.0.iter().skip(1).take_while(|next| ended_early(next)).count();
        self.0.drain(..forgotten);
        self.0.push((now, role));
    }
}

impl Account {
    /// Answers a call. A read shows the state at `when`, if given; a write applies to the current state.
    pub(crate) fn answer(&self, call: &Call, when: Option<Instant>) -> Response<Full<Bytes>> {
        let action = &call.action;
        match self.lock().result(call, when) {
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

    /// The writes that are applied from now on, in order. Only the last caller receives them.
    #[must_use]
    pub fn journal(&self) -> mpsc::UnboundedReceiver<Applied> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().journal = Some(sender);
        receiver
    }

    /// The live role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<Arc<Role>> {
        self.lock().roles.get(&name.to_lowercase()).and_then(Past::present).cloned()
    }

    /// All live roles.
    #[must_use]
    pub fn roles(&self) -> Vec<Arc<Role>> {
        self.lock().roles.values().filter_map(Past::present).cloned().collect()
    }

    /// Creates a role as an administrator. `false` when the name is taken.
    #[must_use]
    pub fn add(&self, role: Role) -> bool {
        let mut state = self.lock();
        let key = role.name.to_lowercase();
        if state.present(&key).is_some() {
            return false;
        }
        let role = Role { id: state.new_id(), ..role };
        state.commit(By::Administrator, "add", key, Some(role));
        true
    }

    /// Changes the role of this name as an administrator; `what` names the change in the journal. `false` when there is
    /// no such role, or when `change` returns `false` and has changed nothing.
    pub fn tamper(&self, name: &str, what: &str, change: impl FnOnce(&mut Role) -> bool) -> bool {
        let mut state = self.lock();
        let key = name.to_lowercase();
        let Some(mut role) = state.present(&key).map(|role| Role::clone(role)) else {
            return false;
        };
        let changed = change(&mut role);
        if changed {
            state.commit(By::Administrator, what, key, Some(role));
        }
        changed
    }

    /// Deletes a role with everything on it as an administrator. `false` when there is none.
    #[must_use]
    pub fn remove(&self, name: &str) -> bool {
        let mut state = self.lock();
        let key = name.to_lowercase();
        let existed = state.present(&key).is_some();
        if existed {
            state.commit(By::Administrator, "remove", key, None);
        }
        existed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error in IAM's answer.
struct Refusal {
    status: u16,
    code: &'static str,
}

const NO_SUCH_ENTITY: Refusal = Refusal { status: 404, code: "NoSuchEntity" };
const ALREADY_EXISTS: Refusal = Refusal { status: 409, code: "EntityAlreadyExists" };
const DELETE_CONFLICT: Refusal = Refusal { status: 409, code: "DeleteConflict" };
const NO_SUCH_ACTION: Refusal = Refusal { status: 400, code: "InvalidAction" };

impl State {
    fn result(&mut self, call: &Call, when: Option<Instant>) -> Result<String, Refusal> {
        match call.action.as_str() {
            "CreateRole" => self.create_role(call),
            "DeleteRole" => self.delete_role(call),
            "GetCallerIdentity" => Ok(xml::caller()),
            "ListRoles" => Ok(self.page(call, when, "Roles", Role::as_listed)),
            "GetAccountAuthorizationDetails" => {
                Ok(self.page(call, when, "RoleDetailList", Role::details))
            }
            _ if call.is_write() => self.write(call),
            _ => {
                let past = self.roles.get(&call.text("RoleName").to_lowercase());
                past.and_then(|past| past.at(when)).ok_or(NO_SUCH_ENTITY)?.told(call)
            }
        }
    }

    fn present(&self, key: &str) -> Option<&Arc<Role>> {
        self.roles.get(key).and_then(Past::present)
    }

    fn new_id(&mut self) -> String {
        self.created += 1;
        format!("AROA{:017}", self.created)
    }

    fn create_role(&mut self, call: &Call) -> Result<String, Refusal> {
        let key = call.text("RoleName").to_lowercase();
        if self.present(&key).is_some() {
            return Err(ALREADY_EXISTS);
        }
        let role = Role::created_by(call, self.new_id());
        let answer = element("Role", &role.whole());
        self.commit(By::Caller, &call.action, key, Some(role));
        Ok(answer)
    }

    fn delete_role(&mut self, call: &Call) -> Result<String, Refusal> {
        let key = call.text("RoleName").to_lowercase();
        let role = self.present(&key).ok_or(NO_SUCH_ENTITY)?;
        if !role.inline.is_empty() || !role.attached.is_empty() {
            return Err(DELETE_CONFLICT);
        }
        self.commit(By::Caller, &call.action, key, None);
        Ok(String::new())
    }

    fn write(&mut self, call: &Call) -> Result<String, Refusal> {
        let key = call.text("RoleName").to_lowercase();
        let mut role = Role::clone(self.present(&key).ok_or(NO_SUCH_ENTITY)?);
        role.write(call)?;
        self.commit(By::Caller, &call.action, key, Some(role));
        Ok(String::new())
    }

    fn commit(&mut self, by: By, action: &str, key: String, after: Option<Role>) {
        let (at, after) = (Instant::now(), after.map(Arc::new));
        let past = self.roles.entry(key.clone()).or_default();
        let before = past.present().cloned();
        past.push(at, after.clone());
        if let Some(journal) = &self.journal {
            // The receiver of the journal may have been dropped.
            let _ = journal.send(Applied { at, by, action: action.into(), key, before, after });
        }
    }

    /// The roles after the marker, which is the key of the last role on the previous page.
    fn page(
        &self,
        call: &Call,
        when: Option<Instant>,
        list: &str,
        show: fn(&Role) -> String,
    ) -> String {
        let most = call.text("MaxItems").parse().unwrap_or(100).clamp(1, 1000);
        let marker = call.text("Marker");
        let prefix = call.text("PathPrefix");
        let mut after = self
            .roles
            .iter()
            .filter_map(|(key, past)| past.at(when).map(|role| (key, role)))
            .filter(|(key, role)| **key > marker && role.path.starts_with(&prefix));
        let page: Vec<_> = after.by_ref().take(most).collect();
        let members: String = page.iter().map(|(_, role)| element("member", &show(role))).collect();
        let next = match (after.next(), page.last()) {
            (Some(_), Some((key, _))) => xml::text("Marker", key),
            (_, _) => String::new(),
        };
        let truncated = element("IsTruncated", if next.is_empty() { "false" } else { "true" });
        truncated + &next + &element(list, &members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_read_returns_the_earlier_state() {
        let account = Account::default();
        let role = Role { name: "a".into(), description: "first".into(), ..Role::default() };
        assert!(account.add(role), "the name is free");
        let then = Instant::now();
        account.tamper("A", "describe", |role| {
            role.description = "second".into();
            true
        });
        let parameters = [("Action", "GetRole"), ("RoleName", "a")];
        let call = Call::new(&parameters);
        let told = |when| account.lock().result(&call, when).unwrap_or_default();
        assert!(told(Some(then)).contains("first"), "{}", told(Some(then)));
        assert!(told(None).contains("second"), "{}", told(None));
    }

    #[test]
    fn the_journal_records_each_write_with_the_role_before_and_after() {
        let account = Account::default();
        let mut journal = account.journal();
        let create = Call::new(&[("Action", "CreateRole"), ("RoleName", "A")]);
        account.answer(&create, None);
        account.answer(&create, None);
        assert!(account.remove("a"), "it is there");
        let seen: Vec<_> = std::iter::from_fn(|| journal.try_recv().ok())
            .map(|w| (w.by, w.action, w.key, w.before.is_some(), w.after.is_some()))
            .collect();
        let expected = [
            (By::Caller, "CreateRole".into(), "a".into(), false, true),
            (By::Administrator, "remove".into(), "a".into(), true, false),
        ];
        assert_eq!(seen, expected, "a refused write is none");
    }
}
