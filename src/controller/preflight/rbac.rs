//! The controller's permissions in a cluster, next to the code that needs them. `deploy/rbac/` is generated from here,
//! and the tests run the controller with exactly these permissions.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Resource as _;
use kube::core::ObjectMeta;

use crate::api::{CONTROLLER_NAME, Kind};

/// The ClusterRole for the controller's service account, for these kinds.
#[must_use]
pub fn cluster_role(kinds: &[&Kind]) -> ClusterRole {
    ClusterRole {
        metadata: ObjectMeta { name: Some(CONTROLLER_NAME.into()), ..ObjectMeta::default() },
        rules: Some([needed(kinds), for_identity(), wanted()].concat()),
        aggregation_rule: None,
    }
}

/// The Role for leader election, bound in the namespace of the Lease, for the Lease's default name.
#[must_use]
pub fn lease_role() -> Role {
    Role {
        metadata: ObjectMeta { name: Some(CONTROLLER_NAME.into()), ..ObjectMeta::default() },
        rules: Some(for_lease(CONTROLLER_NAME)),
    }
}

/// Leader election requires these.
pub(super) fn for_lease(name: &str) -> Vec<PolicyRule> {
    let (group, plural) = (Lease::group(&()), Lease::plural(&()));
    vec![
        // An object that is being created has no name for a rule to match.
        rule(&group, &plural, &["create"]),
        PolicyRule {
            resource_names: Some(vec![name.into()]),
            ..rule(&group, &plural, &["get", "update"])
        },
    ]
}

/// The controller cannot work without these.
pub(super) fn needed(kinds: &[&Kind]) -> Vec<PolicyRule> {
    let of_kind = |kind: &&Kind| {
        [
            // The patch sets and removes the finalizer.
            rule(kind.group, kind.plural, &["list", "watch", "patch"]),
            rule(kind.group, &format!("{}/status", kind.plural), &["patch"]),
        ]
    };
    kinds.iter().flat_map(of_kind).collect()
}

/// Without this, the cluster's identity (the uid of kube-system) must be configured.
pub(super) fn for_identity() -> Vec<PolicyRule> {
    vec![PolicyRule {
        resource_names: Some(vec!["kube-system".into()]),
        ..rule("", "namespaces", &["get"])
    }]
}

/// Without these, the controller reports less. The patch counts a repeated event.
pub(super) fn wanted() -> Vec<PolicyRule> {
    vec![rule("events.k8s.io", "events", &["create", "patch"])]
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![group.into()]),
        resources: Some(vec![resource.into()]),
        verbs: verbs.iter().map(|verb| (*verb).into()).collect(),
        ..PolicyRule::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::KINDS;
    use crate::api::testing::SECOND_KIND;

    #[test]
    fn each_kind_has_its_rules() {
        let [first, _] = KINDS;
        let resources: Vec<_> = needed(&[first, &SECOND_KIND])
            .into_iter()
            .flat_map(|rule| rule.resources.unwrap_or_default())
            .collect();
        let status = |plural: &str| format!("{plural}/status");
        let expected = [first.plural.to_owned(), status(first.plural)];
        let second = [SECOND_KIND.plural.to_owned(), status(SECOND_KIND.plural)];
        assert_eq!(resources, [expected, second].concat());
    }
}
