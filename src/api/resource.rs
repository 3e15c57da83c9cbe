//! A resource that declares a role, as the rest of the program uses it. It can be of any kind; [`RoleSpec`] hides the
//! kind's own part.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::{DynamicObject, DynamicResourceScope};
use kube::{Resource, ResourceExt as _};
use serde_json::Value;

use crate::policy::Place;
use crate::role::{
    Declaration, Defaults, DesiredRole, Held, Owner, ResourceName, RoleKey, RoleName,
};

use super::declaration::{declaration, place, role_name};
use super::kind::{InvalidSpec, Kind, Spec, SpecError};
use super::settings::RoleSettings;
use super::status::RoleStatus;

/// A resource that declares a role.
#[derive(Clone, Debug)]
pub struct RoleResource {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: Spec,
    /// Its status.
    pub status: Option<RoleStatus>,
}

impl RoleResource {
    /// The resource of an object as the API server returns it.
    ///
    /// # Errors
    /// When its spec does not match the type of the kind.
    pub fn of_object(kind: &'static Kind, object: DynamicObject) -> Result<Self, InvalidSpec> {
        let DynamicObject { metadata, mut data, .. } = object;
        let mut part = |name| data.get_mut(name).map(Value::take).unwrap_or_default();
        let (spec, status) = ((kind.read)(part("spec"))?, part("status"));
        // A status that this program did not write counts as none.
        let status = serde_json::from_value(status).unwrap_or_default();
        Ok(Self { kind, metadata, spec, status })
    }

    /// The settings of its role.
    #[must_use]
    pub fn settings(&self) -> &RoleSettings {
        self.spec.settings()
    }

    /// The name of the role that it declares.
    ///
    /// # Errors
    /// When IAM does not accept the declared name.
    pub fn role_name(&self, defaults: &Defaults) -> Result<RoleName, SpecError> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        role_name(self.settings(), &namespace, &name, self.held_name(), defaults)
    }

    /// The key of the role that it declares, unique across accounts.
    ///
    /// # Errors
    /// When the spec has no account, or a name that IAM does not accept.
    pub fn role_key(&self, defaults: &Defaults) -> Result<RoleKey, SpecError> {
        let (_, account) = place(&*self.spec)?;
        Ok(self.role_name(defaults)?.in_account(&account))
    }

    /// The account of the role: from the spec, otherwise from the ARN of the role in the status.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let held = || Place::of_arn(self.status.as_ref()?.role_arn.as_deref()?);
        place(&*self.spec)
            .map(|(partition, account)| Place { partition, account })
            .ok()
            .or_else(held)
    }

    /// Its declaration, with the controller's defaults.
    ///
    /// # Errors
    /// When the spec breaks a rule.
    pub fn declaration(&self, defaults: &Defaults) -> Result<Declaration, SpecError> {
        let (namespace, name) = (self.namespace().unwrap_or_default(), self.name_any());
        declaration(&*self.spec, &namespace, &name, self.held_name(), defaults)
    }

    /// The role that it declares in the cluster with this id.
    ///
    /// # Errors
    /// When the spec breaks a rule, or the resource was not read from a cluster.
    pub fn desired(&self, cluster: &str, defaults: &Defaults) -> Result<DesiredRole, SpecError> {
        Ok(DesiredRole {
            owner: self.owner(cluster)?,
            declaration: self.declaration(defaults)?,
            held: self.held(),
        })
    }

    /// The resource as the role's tags name it.
    ///
    /// # Errors
    /// When the resource was not read from a cluster.
    pub fn owner(&self, cluster: &str) -> Result<Owner, SpecError> {
        let name = ResourceName {
            kind: self.kind.name.to_owned(),
            namespace: self.namespace().ok_or(SpecError::Metadata("namespace"))?,
            name: self.name_any(),
        };
        Ok(Owner {
            cluster: cluster.into(),
            resource: name.tag(),
            uid: self.uid().ok_or(SpecError::Metadata("uid"))?,
        })
    }

    /// The state of the role as its status records it.
    #[must_use]
    pub fn held(&self) -> Held {
        let Some(status) = &self.status else { return Held::default() };
        Held {
            role_id: status.role_id.clone(),
            adopted: status.adopted == Some(true),
            tag_keys: status.tag_keys.iter().cloned().collect(),
        }
    }

    /// Name of the inline policy with the role's permissions.
    #[must_use]
    pub fn policy_name(&self) -> &'static str {
        self.spec.policy_name()
    }

    /// The source that it declares, shortened for people, if its kind lets users choose the service.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        let stream = self.spec.stream().ok()?;
        let (service, source) = (stream.service(), stream.source());
        service.ended.is_none().then(|| match source.and_then(|source| source.name.as_deref()) {
            Some(name) => format!("{}/{name}", service.key),
            None => service.key.to_owned(),
        })
    }

    /// The destination that it declares, shortened for people.
    #[must_use]
    pub fn destination(&self) -> Option<String> {
        self.spec.stream().ok().map(|stream| stream.destination().label())
    }

    /// What a user must know about its trust policy.
    #[must_use]
    pub fn trust_note(&self) -> Option<String> {
        self.spec.stream().ok()?.note()
    }

    fn held_name(&self) -> Option<&str> {
        let status = self.status.as_ref().filter(|status| status.role_id.is_some())?;
        status.role_name.as_deref()
    }
}

impl Resource for RoleResource {
    type DynamicType = &'static Kind;
    type Scope = DynamicResourceScope;

    fn kind(kind: &Self::DynamicType) -> Cow<'_, str> {
        kind.name.into()
    }

    fn group(kind: &Self::DynamicType) -> Cow<'_, str> {
        kind.group.into()
    }

    fn version(kind: &Self::DynamicType) -> Cow<'_, str> {
        kind.version.into()
    }

    fn plural(kind: &Self::DynamicType) -> Cow<'_, str> {
        kind.plural.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
