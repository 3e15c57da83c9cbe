//! The controller's permissions in the cluster: what fails without each verb of the shipped `ClusterRole`, and that the
//! failure is reported. Each case has a service account with a separate `ClusterRole`.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use support::{
    CLUSTER_ROLE, Controller, ControllerOptions, LEASE_ROLE, Tunnel, eventually, http_get,
};

use support::world::{World, stack};

const ACCOUNT: &str = "controller";

/// The function that fails without a verb.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Need {
    Start,
    SeeChanges,
    ProtectRole,
    TellStatus,
    TellEvent,
    CountEvent,
    FindLease,
    MakeLease,
    KeepLease,
}

struct Right {
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    need: Need,
}

const fn right(
    group: &'static str,
    resource: &'static str,
    verb: &'static str,
    need: Need,
) -> Right {
    Right { group, resource, verb, need }
}

const GROUP: &str = "streamrole.dev";
const PLURAL: &str = "pinpointeventstreamroles";

/// Every verb of the shipped roles.
const RIGHTS: [Right; 10] = [
    right(GROUP, PLURAL, "list", Need::Start),
    right(GROUP, PLURAL, "watch", Need::SeeChanges),
    right(GROUP, PLURAL, "patch", Need::ProtectRole),
    right(GROUP, "pinpointeventstreamroles/status", "patch", Need::TellStatus),
    right("", "namespaces", "get", Need::Start),
    right("events.k8s.io", "events", "create", Need::TellEvent),
    right("events.k8s.io", "events", "patch", Need::CountEvent),
    right("coordination.k8s.io", "leases", "get", Need::FindLease),
    right("coordination.k8s.io", "leases", "create", Need::MakeLease),
    right("coordination.k8s.io", "leases", "update", Need::KeepLease),
];

/// The rules of all shipped roles.
fn shipped() -> Vec<PolicyRule> {
    let everywhere: ClusterRole = serde_saphyr::from_str(CLUSTER_ROLE).unwrap();
    let lease: Role = serde_saphyr::from_str(LEASE_ROLE).unwrap();
    [everywhere.rules.unwrap(), lease.rules.unwrap()].concat()
}

/// A world whose controller has a separate account.
struct Case {
    world: World,
    missing: &'static Right,
    kubeconfig: std::path::PathBuf,
}

impl Case {
    async fn new(test: &str, missing: &'static Right) -> Self {
        let name = format!("{test}-{}-{}", missing.verb, missing.resource.replace('/', "-"));
        let world = World::resyncing_later(&name).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), &name);
        let account = json!({"metadata": {"name": ACCOUNT}});
        let account = serde_json::from_value(account).unwrap();
        accounts.create(&PostParams::default(), &account).await.unwrap();
        let bindings: Api<ClusterRoleBinding> = Api::all(world.client.clone());
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": name}],
        });
        let binding = serde_json::from_value(binding).unwrap();
        bindings.create(&PostParams::default(), &binding).await.unwrap();
        let kubeconfig = stack().await.service_account_kubeconfig(&name, ACCOUNT).await.unwrap();
        Self { world, missing, kubeconfig }
    }

    /// Grants the account the shipped rules, with the verb or without it, and returns once the API server applies them.
    async fn grant(&self, with: bool) {
        let Right { group, resource, verb, .. } = *self.missing;
        let mut rules = shipped();
        for rule in &mut rules {
            if !with && rule.resources.as_ref().unwrap().iter().any(|r| r == resource) {
                rule.verbs.retain(|v| v != verb);
            }
        }
        rules.retain(|rule| !rule.verbs.is_empty());
        let name = &self.world.namespace;
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": rules,
        });
        let cluster_roles: Api<ClusterRole> = Api::all(self.world.client.clone());
        cluster_roles
            .patch(name, &PatchParams::apply("test").force(), &Patch::Apply(role))
            .await
            .unwrap();

        let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let is_namespace = resource == "namespaces";
        let attributes = ResourceAttributes {
            group: Some(group.into()),
            resource: Some(plural.into()),
            subresource: Some(subresource.into()),
            verb: Some(verb.into()),
            namespace: (!is_namespace).then(|| name.clone()),
            name: match (resource, verb) {
                ("namespaces", _) => Some("kube-system".into()),
                ("leases", "get" | "update") => Some("streamrole".into()),
                (_, _) => None,
            },
            ..ResourceAttributes::default()
        };
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{name}:{ACCOUNT}")),
                resource_attributes: Some(attributes),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.world.client.clone());
        eventually(&format!("{verb} {resource} to be allowed: {with}"), || async {
            let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
            if answer.status.unwrap().allowed == with { Ok(()) } else { Err("not yet") }
        })
        .await;
    }

    async fn start(&mut self) {
        let options = ControllerOptions {
            lease_namespace: Some(self.world.namespace.clone()),
            ..self.world.options()
        };
        let started =
            Controller::start_with_kubeconfig(stack().await, &options, &self.kubeconfig).unwrap();
        self.world.controller = Some(started);
    }

    async fn is_ready(&self) -> bool {
        let url = self.world.controller.as_ref().unwrap().listen_url().await;
        http_get(&format!("{url}/readyz")).await.unwrap().0 == 200
    }

    async fn is_ready_at_last(&self) {
        eventually("the controller to be ready", || async {
            if self.is_ready().await { Ok(()) } else { Err(self.world.log()) }
        })
        .await;
    }

    /// Waits for a line of the log with all of `words` and returns the number of such lines.
    async fn says(&self, words: &[&str]) -> usize {
        eventually(&format!("the controller to say {words:?}"), || async {
            let log = self.world.log();
            let lines = log.lines().filter(|line| words.iter().all(|word| line.contains(word)));
            match lines.count() {
                0 => Err(log),
                lines => Ok(lines),
            }
        })
        .await
    }

    async fn events(&self) -> Vec<Event> {
        let events: Api<Event> = Api::namespaced(self.world.client.clone(), &self.world.namespace);
        events.list(&ListParams::default()).await.unwrap().items
    }
}

#[test]
fn every_checked_verb_has_its_consequence() {
    let rules = shipped();
    let asked: BTreeSet<_> = rules
        .iter()
        .flat_map(|rule| {
            let resources = rule.resources.iter().flatten();
            resources.flat_map(|resource| rule.verbs.iter().map(move |verb| (resource, verb)))
        })
        .map(|(resource, verb)| (of_first_kind(resource), verb.as_str()))
        .collect();
    let known = RIGHTS.iter().map(|right| (right.resource.to_owned(), right.verb));
    assert_eq!(asked, known.collect());
}

/// Both kinds need the same verbs.
fn of_first_kind(resource: &str) -> String {
    let other = resource.starts_with("eventstreamroles");
    if other { format!("pinpoint{resource}") } else { resource.to_owned() }
}

#[tokio::test]
async fn each_verb_missing_at_startup_is_named() {
    join_all(RIGHTS.iter().map(|missing| async move {
        let mut case = Case::new("start", missing).await;
        case.grant(false).await;
        case.start().await;
        case.says(&[missing.verb, missing.resource, missing.group, "deploy/rbac"]).await;
        if matches!(missing.need, Need::TellEvent | Need::CountEvent) {
            case.is_ready_at_last().await;
        } else {
            assert!(!case.is_ready().await, "it cannot work without {}", missing.verb);
            case.grant(true).await;
            case.is_ready_at_last().await;
        }
    }))
    .await;
}

#[tokio::test]
async fn each_verb_is_needed() {
    join_all(RIGHTS.iter().map(without)).await;
}

async fn without(missing: &'static Right) {
    let mut case = Case::new("needed", missing).await;
    let words = [format!("cannot {} resource \"{}\"", missing.verb, missing.resource)];
    let words = words.each_ref().map(String::as_str);
    if missing.need == Need::Start {
        case.grant(false).await;
        case.start().await;
        case.says(&words).await;
        assert!(!case.is_ready().await, "without {words:?}");
        return;
    }

    if matches!(missing.need, Need::FindLease | Need::MakeLease | Need::KeepLease) {
        case.grant(true).await;
        case.start().await;
        case.says(&["leading"]).await;
        case.grant(false).await;
        if missing.need != Need::KeepLease {
            let leases: Api<Lease> =
                Api::namespaced(case.world.client.clone(), &case.world.namespace);
            leases.delete("streamrole", &DeleteParams::default()).await.unwrap();
        }
        case.says(&words).await;
        let ended = case.world.controller.take().unwrap();
        let status = tokio::task::spawn_blocking(move || ended.wait().unwrap()).await.unwrap();
        assert_ne!(status, 0, "it no longer leads");
        return;
    }

    let target = stack().await.kube_address();
    let tunnel = Tunnel::open(&target).await.unwrap();
    let config = std::fs::read_to_string(&case.kubeconfig).unwrap();
    std::fs::write(&case.kubeconfig, config.replace(&target, tunnel.address())).unwrap();
    case.grant(true).await;
    case.start().await;
    case.is_ready_at_last().await;
    let world = &case.world;
    let spec = world.kinesis_spec("events");
    match missing.need {
        Need::Start | Need::FindLease | Need::MakeLease | Need::KeepLease => {}
        Need::SeeChanges => {
            case.grant(false).await;
            tunnel.cut();
            case.says(&words).await;
            world.apply("events", &spec).await;
            // It lives, and would have observed the change within a second or two.
            world.resyncs(2).await;
            assert!(!world.role_exists(&world.role("events")).await, "it was not told");
        }
        Need::ProtectRole => {
            case.grant(false).await;
            world.apply("events", &spec).await;
            case.says(&words).await;
            assert!(!world.role_exists(&world.role("events")).await, "nothing would delete it");
        }
        Need::TellStatus => {
            case.grant(false).await;
            world.apply("events", &spec).await;
            case.says(&words).await;
            let status = world.resources.get("events").await.unwrap().status.unwrap_or_default();
            assert!(status.is_untouched(), "{status:?}");
        }
        Need::TellEvent => {
            case.grant(false).await;
            world.apply("events", &spec).await;
            case.says(&words).await;
            world.apply("second", &world.kinesis_spec("second")).await;
            world.ready("second").await;
            assert!(case.events().await.is_empty());
            assert_eq!(case.says(&words).await, 1, "said once: {}", world.log());
        }
        Need::CountEvent => {
            world.apply("events", &spec).await;
            world.ready("events").await;
            world.tamper(&world.role("events")).await;
            world.event("events", "DriftRepaired").await;
            case.grant(false).await;
            world.tamper(&world.role("events")).await;
            case.says(&words).await;
            assert!(case.events().await.iter().all(|event| event.series.is_none()));
        }
    }
    case.grant(true).await;
    world.ready("events").await;
}
