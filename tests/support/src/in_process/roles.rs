//! The roles of an account as a map: the port [`Roles`] without a network, with injected faults and delayed reads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use streamrole::policy::Caller;
use streamrole::role::{
    Action, Answer, ErrorKind, IamError, LiveDocument, ObservedRole, Page, RoleIdentity, RoleName,
    RoleSettings, Roles, Write,
};

use crate::ACCOUNT_ID;

/// An account in memory. Clones are the same account.
#[derive(Clone, Default)]
pub struct MemoryRoles(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    // By name in lower case.
    roles: BTreeMap<String, ObservedRole>,
    /// The state that reads show while they are delayed.
    shown: Option<BTreeMap<String, ObservedRole>>,
    /// Roles that lists leave out.
    hidden: Vec<String>,
    faults: Vec<Fault>,
    calls: Vec<Action>,
    created: usize,
    /// The names and states of roles after each write.
    moments: Vec<(String, Option<ObservedRole>)>,
}

struct Fault {
    action: Action,
    kind: ErrorKind,
    /// Whether the write is made before its answer is lost.
    is_made: bool,
}

impl MemoryRoles {
    /// From now on, calls of this action fail with this error.
    pub fn fail(&self, action: Action, kind: ErrorKind) {
        self.lock().faults.push(Fault { action, kind, is_made: false });
    }

    /// From now on, calls of this action succeed but return this error.
    pub fn lose_answers(&self, action: Action, kind: ErrorKind) {
        self.lock().faults.push(Fault { action, kind, is_made: true });
    }

    /// Ends all faults and delays.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.shown = None;
    }

    /// From now on, reads show the state of this moment, regardless of later writes.
    pub fn hold_reads(&self) {
        let mut state = self.lock();
        state.shown = Some(state.roles.clone());
    }

    /// From now on lists leave this role out.
    pub fn hide_from_lists(&self, name: &str) {
        self.lock().hidden.push(name.to_ascii_lowercase());
    }

    /// The role of this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<ObservedRole> {
        self.lock().roles.get(&name.to_ascii_lowercase()).cloned()
    }

    /// Creates or changes a role as an administrator.
    pub fn put(&self, name: &str, change: impl FnOnce(&mut ObservedRole)) {
        let mut state = self.lock();
        let role = state.roles.entry(name.to_ascii_lowercase()).or_insert_with(|| ObservedRole {
            arn: arn("/", name),
            role_id: format!("AROA{name}"),
            path: "/".into(),
            max_session_duration_seconds: 3600,
            ..ObservedRole::default()
        });
        change(role);
    }

    /// An administrator tags a role, or makes one with these tags: whose it is.
    pub fn put_owned(&self, name: &str, cluster: &str, resource: &str, uid: &str) {
        self.put(name, |role| {
            for (key, value) in [("cluster", cluster), ("resource", resource), ("uid", uid)] {
                role.tags.insert(format!("streamrole.dev/{key}"), value.into());
            }
        });
    }

    /// An administrator deletes a role.
    pub fn remove(&self, name: &str) {
        self.lock().roles.remove(&name.to_ascii_lowercase());
    }

    /// The calls since the last time they were taken.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Action> {
        std::mem::take(&mut self.lock().calls)
    }

    /// The states of the role after each write of the controller since the last time they were taken.
    #[must_use]
    pub fn take_moments(&self, name: &str) -> Vec<Option<ObservedRole>> {
        let name = name.to_ascii_lowercase();
        let moments = self.lock().moments.extract_if(.., |(of, _)| *of == name).collect::<Vec<_>>();
        moments.into_iter().map(|(_, role)| role).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, action: Action, name: &RoleName) -> Result<Option<ObservedRole>, IamError> {
        let mut state = self.lock();
        state.call(action, Some(name))?;
        let roles = state.shown.as_ref().unwrap_or(&state.roles);
        Ok(roles.get(&name.as_str().to_ascii_lowercase()).cloned())
    }

    fn write(&self, name: &RoleName, write: &Write) -> Result<Option<RoleIdentity>, IamError> {
        let mut state = self.lock();
        let action = action_of(write);
        state.calls.push(action);
        let fault = state.fault(action).map(|fault| (fault.kind, fault.is_made));
        if let Some((kind, false)) = fault {
            return Err(error(action, Some(name), kind));
        }
        let key = name.as_str().to_ascii_lowercase();
        let mut role = state.roles.remove(&key);
        let done = apply_write(&mut role, write);
        let mut identity = None;
        if let (Ok(()), Write::CreateRole(_), Some(role)) = (done, write, &mut role) {
            state.created += 1;
            role.arn = arn(&role.path, name.as_str());
            role.role_id = format!("AROA{:06}", state.created);
            identity = Some(RoleIdentity { arn: role.arn.clone(), role_id: role.role_id.clone() });
        }
        state.moments.push((key.clone(), role.clone()));
        state.roles.extend(role.map(|role| (key, role)));
        done.map_err(|kind| error(action, Some(name), kind))?;
        match fault {
            Some((kind, _)) => Err(error(action, Some(name), kind)),
            None => Ok(identity),
        }
    }

    fn page<T>(&self, action: Action, of: impl Fn(&ObservedRole) -> T) -> Result<Page<T>, IamError>
    where
        T: Send + 'static,
    {
        let mut state = self.lock();
        state.call(action, None)?;
        let roles = state.shown.as_ref().unwrap_or(&state.roles);
        let roles: Vec<_> = roles
            .iter()
            .filter(|(name, _)| !state.hidden.contains(name))
            .map(|(name, role)| (name.clone(), of(role)))
            .collect();
        Ok(Page { roles: Box::new(roles.into_iter()), next: None })
    }
}

impl State {
    fn call(&mut self, action: Action, name: Option<&RoleName>) -> Result<(), IamError> {
        self.calls.push(action);
        match self.fault(action) {
            Some(fault) => Err(error(action, name, fault.kind)),
            None => Ok(()),
        }
    }

    fn fault(&self, action: Action) -> Option<&Fault> {
        self.faults.iter().find(|fault| fault.action == action)
    }
}

fn arn(path: &str, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:role{path}{name}")
}

fn error(action: Action, role: Option<&RoleName>, kind: ErrorKind) -> IamError {
    let (code, message) = (Some(format!("{kind:?}")), "IAM's own words".into());
    let request_id = Some("1".into());
    IamError { action, role: role.cloned(), kind, code, message, request_id }
}

/// Applies a write to a role as IAM does, including its creation.
///
/// # Errors
/// When the role already exists, does not exist, or is not empty on deletion.
pub fn apply_write(role: &mut Option<ObservedRole>, write: &Write) -> Result<(), ErrorKind> {
    if let Write::CreateRole(new) = write {
        if role.is_some() {
            return Err(ErrorKind::AlreadyExists);
        }
        *role = Some(ObservedRole {
            arn: arn(&new.path, "role"),
            path: new.path.clone(),
            description: new.description.clone(),
            max_session_duration_seconds: new.max_session_duration_seconds,
            permissions_boundary: new.permissions_boundary.as_ref().map(ToString::to_string),
            tags: new.tags.clone(),
            trust_policy: LiveDocument::Document(new.trust_policy.clone()),
            ..ObservedRole::default()
        });
        return Ok(());
    }
    let Some(live) = role else { return Err(ErrorKind::NotFound) };
    match write {
        Write::CreateRole(_) => {}
        Write::DeleteRole => {
            let is_empty = live.inline_policies.is_empty() && live.attached_policies.is_empty();
            if !is_empty {
                return Err(ErrorKind::DeleteConflict);
            }
            *role = None;
        }
        Write::TagRole(tags) => {
            for (key, value) in tags {
                // IAM keeps one tag for keys that differ only in case.
                live.tags.retain(|old, _| old == key || !old.eq_ignore_ascii_case(key));
                live.tags.insert(key.clone(), value.clone());
            }
        }
        Write::UntagRole(keys) => live.tags.retain(|key, _| !keys.contains(key)),
        Write::PutRolePermissionsBoundary(arn) => live.permissions_boundary = Some(arn.to_string()),
        Write::DeleteRolePermissionsBoundary => live.permissions_boundary = None,
        Write::UpdateAssumeRolePolicy(document) => {
            live.trust_policy = LiveDocument::Document(document.clone());
        }
        Write::PutRolePolicy(policy) => {
            let document = LiveDocument::Document(policy.document.clone());
            live.inline_policies.insert(policy.name.clone(), Some(document));
        }
        Write::DeleteRolePolicy(name) => drop(live.inline_policies.remove(name)),
        Write::DetachRolePolicy(arn) => drop(live.attached_policies.remove(arn)),
        Write::UpdateRole { description, max_session_duration_seconds } => {
            live.description.clone_from(description);
            live.max_session_duration_seconds = *max_session_duration_seconds;
        }
    }
    Ok(())
}

/// The IAM action of a write.
#[must_use]
pub const fn action_of(write: &Write) -> Action {
    match write {
        Write::CreateRole(_) => Action::CreateRole,
        Write::TagRole(_) => Action::TagRole,
        Write::UntagRole(_) => Action::UntagRole,
        Write::PutRolePermissionsBoundary(_) => Action::PutRolePermissionsBoundary,
        Write::DeleteRolePermissionsBoundary => Action::DeleteRolePermissionsBoundary,
        Write::UpdateAssumeRolePolicy(_) => Action::UpdateAssumeRolePolicy,
        Write::PutRolePolicy(_) => Action::PutRolePolicy,
        Write::DeleteRolePolicy(_) => Action::DeleteRolePolicy,
        Write::DetachRolePolicy(_) => Action::DetachRolePolicy,
        Write::UpdateRole { .. } => Action::UpdateRole,
        Write::DeleteRole => Action::DeleteRole,
    }
}

impl Roles for MemoryRoles {
    fn observe<'a>(
        &'a self,
        name: &'a RoleName,
        _policy: &'a str,
    ) -> Answer<'a, Option<ObservedRole>> {
        async { self.read(Action::GetRole, name) }.boxed()
    }

    fn observe_for_deletion<'a>(&'a self, name: &'a RoleName) -> Answer<'a, Option<ObservedRole>> {
        async { self.read(Action::GetRole, name) }.boxed()
    }

    fn apply<'a>(
        &'a self,
        name: &'a RoleName,
        write: &'a Write,
    ) -> Answer<'a, Option<RoleIdentity>> {
        async { self.write(name, write) }.boxed()
    }

    fn settings_page(&self, _next: Option<String>) -> Answer<'_, Page<RoleSettings>> {
        let settings = |role: &ObservedRole| RoleSettings {
            description: role.description.clone(),
            max_session_duration_seconds: role.max_session_duration_seconds,
        };
        async move { self.page(Action::ListRoles, settings) }.boxed()
    }

    fn details_page(&self, _next: Option<String>) -> Answer<'_, Page<ObservedRole>> {
        async { self.page(Action::GetAccountAuthorizationDetails, ObservedRole::clone) }.boxed()
    }

    fn caller(&self) -> BoxFuture<'_, Option<Caller>> {
        async { self.known_caller() }.boxed()
    }

    fn caller_now(&self) -> BoxFuture<'_, Option<Caller>> {
        async { self.known_caller() }.boxed()
    }

    fn known_caller(&self) -> Option<Caller> {
        Caller::of_arn(&format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/controller/session"))
    }

    fn may_be_at_work(&self) -> bool {
        false
    }
}
