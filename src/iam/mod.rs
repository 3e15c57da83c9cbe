//! The only code that calls AWS. It reads a role into an [`ObservedRole`], makes the writes of a plan, and maps every
//! failure to an [`IamError`]. It makes no decisions. Retries of single calls and the rate limit are the SDK's: one
//! client, in adaptive mode, that all workers share.

mod attempts;
mod caller;
mod codes;
mod credentials;
mod environment;
mod error;
mod network;
mod overload;
mod permissions;
mod renewal;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_iam::Client;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{Role, Tag};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};

use crate::policy::{Caller, percent_decode};
use crate::role::{
    Action, Answer, ErrorKind, IamError, LiveDocument, NewRole, ObservedRole, Page, RoleIdentity,
    RoleName, RoleSettings, Roles, Write,
};
use crate::timing::Timing;

pub use attempts::{Attempt, MayCall, OnAttempt};
pub use credentials::NoCredentials;
pub use environment::{Aws, Unusable};
pub use network::BadBundle;
pub(crate) use network::is_on_the_node;
pub use permissions::{PermissionsPolicy, PolicyDocument, PolicyLimits};

/// A client for IAM.
#[derive(Clone)]
pub struct Iam {
    client: Client,
    callers: Arc<caller::Callers>,
    unanswered: attempts::Unanswered,
    attempt_timeout: Duration,
}

impl Iam {
    /// A client with the credentials, region and endpoint of `aws`. `on_attempt` observes each request that was sent. A
    /// request is only sent if `may_call` permits it.
    #[must_use]
    pub fn new(aws: &Aws, on_attempt: OnAttempt, may_call: MayCall, timing: &Timing) -> Self {
        let attempt_timeout = timing.iam_attempt_timeout;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(attempt_timeout)
            .operation_attempt_timeout(attempt_timeout)
            .operation_timeout(timing.iam_call_timeout)
            .build();
        let unanswered = attempts::Unanswered::default();
        let access_key = caller::AccessKey::default();
        let callers = Arc::new(caller::Callers::new(&aws.config, access_key.clone()));
        let config = aws_sdk_iam::config::Builder::from(&aws.config)
            .retry_config(RetryConfig::adaptive())
            .retry_classifier(overload::OncePerOverload::default())
            .retry_classifier(renewal::OtherKeys)
            .timeout_config(timeouts)
            .interceptor(renewal::Renewal(aws.credentials.clone()))
            .interceptor(attempts::Reporter::new(on_attempt, may_call, unanswered.clone()))
            .interceptor(access_key)
            .build();
        Self { client: Client::from_conf(config), callers, unanswered, attempt_timeout }
    }

    async fn look(&self, name: &RoleName, policy: &str) -> Result<Option<ObservedRole>, IamError> {
        let Some(role) = self.role(name).await? else {
            return Ok(None);
        };
        let details = futures::try_join!(
            self.inline_policy(name, policy),
            self.inline_policies(name),
            self.attached_policies(name),
        );
        let Some((document, names, attached_policies)) = found(details)? else { return Ok(None) };
        let mut inline_policies = without_texts(names);
        if let Some(document) = document {
            inline_policies.insert(policy.to_owned(), Some(document));
        }
        Ok(Some(ObservedRole { inline_policies, attached_policies, ..role }))
    }

    async fn look_for_deletion(&self, name: &RoleName) -> Result<Option<ObservedRole>, IamError> {
        let Some(role) = self.role(name).await? else {
            return Ok(None);
        };
        let details = futures::try_join!(
            self.inline_policies(name),
            self.attached_policies(name),
            self.instance_profiles(name),
        );
        Ok(found(details)?.map(|(names, attached_policies, instance_profiles)| {
            let inline_policies = without_texts(names);
            ObservedRole { inline_policies, attached_policies, instance_profiles, ..role }
        }))
    }

    async fn role(&self, name: &RoleName) -> Result<Option<ObservedRole>, IamError> {
        let get = self.client.get_role().role_name(name.as_str()).send();
        let output = found(call(Action::GetRole, name, get).await)?;
        let role = output.and_then(|output| output.role).map(observed);
        if let Some(role) = &role {
            self.callers.learn(&role.arn);
        }
        Ok(role)
    }

    async fn inline_policy(
        &self,
        name: &RoleName,
        policy: &str,
    ) -> Result<Option<LiveDocument>, IamError> {
        let get = self.client.get_role_policy().role_name(name.as_str()).policy_name(policy).send();
        let output = found(call(Action::GetRolePolicy, name, get).await)?;
        Ok(output.map(|output| live_document(&output.policy_document)))
    }

    async fn inline_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, IamError> {
        let mut pages =
            self.client.list_role_policies().role_name(name.as_str()).into_paginator().send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            names.extend(call(Action::ListRolePolicies, name, async { page }).await?.policy_names);
        }
        Ok(names)
    }

    async fn attached_policies(&self, name: &RoleName) -> Result<BTreeSet<String>, IamError> {
        let mut pages = self
            .client
            .list_attached_role_policies()
            .role_name(name.as_str())
            .into_paginator()
            .send();
        let mut arns = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = call(Action::ListAttachedRolePolicies, name, async { page }).await?;
            arns.extend(page.attached_policies.into_iter().flatten().filter_map(|p| p.policy_arn));
        }
        Ok(arns)
    }

    async fn instance_profiles(&self, name: &RoleName) -> Result<BTreeSet<String>, IamError> {
        let mut pages = self
            .client
            .list_instance_profiles_for_role()
            .role_name(name.as_str())
            .into_paginator()
            .send();
        let mut names = BTreeSet::new();
        while let Some(page) = pages.next().await {
            let page = call(Action::ListInstanceProfilesForRole, name, async { page }).await?;
            let profiles = page.instance_profiles.into_iter();
            names.extend(profiles.map(|profile| profile.instance_profile_name));
        }
        Ok(names)
    }

    async fn create(&self, name: &RoleName, new: &NewRole) -> Result<RoleIdentity, IamError> {
        let tags = new.tags.iter().map(tag).collect::<Result<Vec<_>, _>>();
        let create = self
            .client
            .create_role()
            .role_name(name.as_str())
            .path(&new.path)
            .assume_role_policy_document(new.trust_policy.to_value().to_string())
            .set_description((!new.description.is_empty()).then(|| new.description.clone()))
            .max_session_duration(new.max_session_duration_seconds)
            .set_permissions_boundary(new.permissions_boundary.as_ref().map(ToString::to_string))
            .set_tags(Some(tags?))
            .send();
        let role = call(Action::CreateRole, name, create).await?.role;
        if let Some(role) = &role {
            self.callers.learn(&role.arn);
        }
        let identity = role.map(|role| RoleIdentity { arn: role.arn, role_id: role.role_id });
        Ok(identity.unwrap_or_default())
    }

    async fn write(&self, name: &RoleName, write: &Write) -> Result<(), IamError> {
        let iam = &self.client;
        let role = name.as_str();
        match write {
            Write::CreateRole(new) => self.create(name, new).await.map(drop),
            Write::TagRole(tags) => {
                let tags = tags.iter().map(tag).collect::<Result<Vec<_>, _>>()?;
                let tag = iam.tag_role().role_name(role).set_tags(Some(tags)).send();
                call(Action::TagRole, name, tag).map_ok(drop).await
            }
            Write::UntagRole(keys) => {
                let keys = keys.iter().cloned().collect();
                let untag = iam.untag_role().role_name(role).set_tag_keys(Some(keys)).send();
                call(Action::UntagRole, name, untag).map_ok(drop).await
            }
            Write::PutRolePermissionsBoundary(arn) => {
                let put = iam
                    .put_role_permissions_boundary()
                    .role_name(role)
                    .permissions_boundary(arn.to_string())
                    .send();
                call(Action::PutRolePermissionsBoundary, name, put).map_ok(drop).await
            }
            Write::DeleteRolePermissionsBoundary => {
                let delete = iam.delete_role_permissions_boundary().role_name(role).send();
                gone(call(Action::DeleteRolePermissionsBoundary, name, delete).map_ok(drop).await)
            }
            Write::UpdateAssumeRolePolicy(document) => {
                let update = iam
                    .update_assume_role_policy()
                    .role_name(role)
                    .policy_document(document.to_value().to_string())
                    .send();
                call(Action::UpdateAssumeRolePolicy, name, update).map_ok(drop).await
            }
            Write::PutRolePolicy(policy) => {
                let put = iam
                    .put_role_policy()
                    .role_name(role)
                    .policy_name(&policy.name)
                    .policy_document(policy.document.to_value().to_string())
                    .send();
                call(Action::PutRolePolicy, name, put).map_ok(drop).await
            }
            Write::DeleteRolePolicy(policy) => {
                let delete = iam.delete_role_policy().role_name(role).policy_name(policy).send();
                gone(call(Action::DeleteRolePolicy, name, delete).map_ok(drop).await)
            }
            Write::DetachRolePolicy(arn) => {
                let detach = iam.detach_role_policy().role_name(role).policy_arn(arn).send();
                gone(call(Action::DetachRolePolicy, name, detach).map_ok(drop).await)
            }
            Write::UpdateRole { description, max_session_duration_seconds } => {
                let update = iam
                    .update_role()
                    .role_name(role)
                    .description(description)
                    .max_session_duration(*max_session_duration_seconds)
                    .send();
                call(Action::UpdateRole, name, update).map_ok(drop).await
            }
            Write::DeleteRole => gone(
                call(Action::DeleteRole, name, iam.delete_role().role_name(role).send())
                    .map_ok(drop)
                    .await,
            ),
        }
    }
}

impl Roles for Iam {
    fn observe<'a>(
        &'a self,
        name: &'a RoleName,
        policy: &'a str,
    ) -> Answer<'a, Option<ObservedRole>> {
        self.look(name, policy).boxed()
    }

    fn observe_for_deletion<'a>(&'a self, name: &'a RoleName) -> Answer<'a, Option<ObservedRole>> {
        self.look_for_deletion(name).boxed()
    }

    fn apply<'a>(
        &'a self,
        name: &'a RoleName,
        write: &'a Write,
    ) -> Answer<'a, Option<RoleIdentity>> {
        match write {
            Write::CreateRole(new) => self.create(name, new).map_ok(Some).boxed(),
            other => self.write(name, other).map_ok(|()| None).boxed(),
        }
    }

    fn settings_page(&self, next: Option<String>) -> Answer<'_, Page<RoleSettings>> {
        snapshot::settings_page(&self.client, next).boxed()
    }

    fn details_page(&self, next: Option<String>) -> Answer<'_, Page<ObservedRole>> {
        snapshot::details_page(&self.client, next).boxed()
    }

    fn caller(&self) -> BoxFuture<'_, Option<Caller>> {
        self.callers.caller().boxed()
    }

    fn caller_now(&self) -> BoxFuture<'_, Option<Caller>> {
        self.callers.caller_now().boxed()
    }

    fn known_caller(&self) -> Option<Caller> {
        self.callers.known()
    }

    fn may_be_at_work(&self) -> bool {
        self.unanswered.is_within(2 * self.attempt_timeout)
    }
}

async fn call<T, E>(
    action: Action,
    name: &RoleName,
    answer: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, IamError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    answer.await.map_err(|error| IamError::new(action, Some(name), &error))
}

fn found<T>(answer: Result<T, IamError>) -> Result<Option<T>, IamError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn gone(answer: Result<(), IamError>) -> Result<(), IamError> {
    found(answer).map(Option::unwrap_or_default)
}

fn observed(role: Role) -> ObservedRole {
    ObservedRole {
        arn: role.arn,
        role_id: role.role_id,
        path: role.path,
        description: role.description.unwrap_or_default(),
        // An absent duration means the default (IAM API reference, data type Role).
        max_session_duration_seconds: role.max_session_duration.unwrap_or(3600),
        permissions_boundary: role.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
        tags: role.tags.into_iter().flatten().map(|tag| (tag.key, tag.value)).collect(),
        trust_policy: live_document(&role.assume_role_policy_document.unwrap_or_default()),
        ..ObservedRole::default()
    }
}

/// A document that does not decode is kept as received. It is then unreadable, and counts as different.
fn live_document(document: &str) -> LiveDocument {
    percent_decode(document)
        .map_or_else(|_| LiveDocument::read(document), |text| LiveDocument::read(&text))
}

fn without_texts(names: BTreeSet<String>) -> BTreeMap<String, Option<LiveDocument>> {
    names.into_iter().map(|name| (name, None)).collect()
}

fn tag((key, value): (&String, &String)) -> Result<Tag, IamError> {
    Tag::builder()
        .key(key)
        .value(value)
        .build()
        .map_err(|error| IamError::internal(Action::TagRole, &error))
}
