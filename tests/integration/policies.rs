//! The shipped admission policies on the real API server: what each denies, with which message, and what it permits.

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, Resource, discovery};
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use streamrole::api::{EventStreamRole, PinpointEventStreamRole};
use streamrole::service::{Conditions, DestinationKind, Service};
use support::{eventually, manifest};

use support::world::{World, kubectl, stack};

/// A world under the policies of this file, for its own namespace only.
async fn under(test: &str, policies: &str) -> World {
    let world = World::without_controller(test).await;
    let parameters = include_str!("../../deploy/policies/parameters.yaml");
    let mut parameters: ConfigMap = serde_saphyr::from_str(parameters).unwrap();
    parameters.metadata.namespace = Some(test.into());
    let config_maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), test);
    config_maps.create(&PostParams::default(), &parameters).await.unwrap();

    let documents: Vec<Value> = serde_saphyr::from_multiple(policies).unwrap();
    for mut document in documents {
        let kind = document["kind"].as_str().unwrap().to_owned();
        document["metadata"]["name"] = json!(test);
        if kind == "ValidatingAdmissionPolicyBinding" {
            let spec = &mut document["spec"];
            spec["policyName"] = json!(test);
            let here = json!({"matchLabels": {"kubernetes.io/metadata.name": test}});
            spec["matchResources"] = json!({"namespaceSelector": here});
            if let Some(parameters) = spec.get_mut("paramRef") {
                parameters["namespace"] = json!(test);
            }
        }
        let object = DynamicObject::deserialize(document).unwrap();
        let kind = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", &kind);
        let (resource, _) = discovery::pinned_kind(&world.client, &kind).await.unwrap();
        let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
        let params = PatchParams::apply("test").force();
        api.patch(test, &params, &Patch::Apply(&object)).await.unwrap();
    }
    world
}

/// A kind with a spec and a status.
trait RoleKind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + DeserializeOwned
    + std::fmt::Debug
{
}

impl RoleKind for PinpointEventStreamRole {}
impl RoleKind for EventStreamRole {}

/// `kubectl apply --server-side` of a resource of the kind.
async fn apply<K: RoleKind>(
    world: &World,
    name: &str,
    spec: &Value,
    params: &PatchParams,
) -> Result<K, kube::Error> {
    let mut manifest = manifest(&json!({"name": name}), spec);
    manifest["kind"] = json!(K::kind(&()));
    let resources: Api<K> = Api::namespaced(world.client.clone(), &world.namespace);
    resources.patch(name, params, &Patch::Apply(manifest)).await
}

/// Waits until the policy is in force: it denies this spec, and the message has all of these words.
async fn refused(world: &World, name: &str, spec: &Value, words: &[&str]) {
    refused_of::<PinpointEventStreamRole>(world, name, spec, words).await;
}

/// As [`refused`], for the kind.
async fn refused_of<K: RoleKind>(world: &World, name: &str, spec: &Value, words: &[&str]) {
    eventually(&format!("{name} to be refused: {spec}"), || async {
        // A dry run: until the policy is in force the object would be stored.
        let params = PatchParams::apply("user").dry_run();
        match apply::<K>(world, name, spec, &params).await {
            Ok(_) => Err("it is accepted".to_owned()),
            Err(kube::Error::Api(answer)) if answer.code == 403 => {
                // A policy reads its namespace and parameters from a cache.
                let missing = words.iter().find(|word| !answer.message.contains(**word));
                missing.map_or(Ok(()), |word| Err(format!("{word} is not in: {}", answer.message)))
            }
            Err(error) => Err(error.to_string()),
        }
    })
    .await;
}

/// Waits until this spec is accepted.
async fn accepted(world: &World, name: &str, spec: &Value) {
    accepted_of::<PinpointEventStreamRole>(world, name, spec).await;
}

/// As [`accepted`], for the kind.
async fn accepted_of<K: RoleKind>(world: &World, name: &str, spec: &Value) {
    eventually(&format!("{name} to be accepted: {spec}"), || async {
        let params = PatchParams::apply("user").force();
        apply::<K>(world, name, spec, &params).await.map_err(|error| error.to_string())
    })
    .await;
}

/// Applies this metadata to the world's namespace.
async fn mark(world: &World, metadata: Value) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let patch = Patch::Merge(json!({"metadata": metadata}));
    namespaces.patch(&world.namespace, &PatchParams::default(), &patch).await.unwrap();
}

/// Sets a key of the policies' `ConfigMap`; null removes it.
async fn set_parameter(world: &World, key: &str, value: Value) {
    let config_maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &world.namespace);
    let patch = Patch::Merge(json!({"data": {key: value}}));
    let params = PatchParams::default();
    config_maps.patch("streamrole-policies", &params, &patch).await.unwrap();
}

/// Each of these values of a parameter denies a spec that a valid value allows, and the message names the key.
async fn malformed_values_deny(world: &World, key: &str, good: &Value, bad: &[&str]) {
    let values = bad.iter().map(|text| (json!(text), "malformed"));
    let absent = [(json!(""), "missing or empty"), (Value::Null, "missing or empty")];
    for (value, state) in values.chain(absent) {
        set_parameter(world, key, value.clone()).await;
        let map = format!("ConfigMap {}/streamrole-policies: {key} is {state}", world.namespace);
        refused(world, "malformed", good, &[&map, "Ask a cluster administrator"]).await;
    }
}

fn with(spec: &Value, field: &str, value: Value) -> Value {
    let mut spec = spec.clone();
    spec[field] = value;
    spec
}

#[tokio::test]
async fn role_names_begin_with_the_prefix_of_the_namespace() {
    let policies = include_str!("../../deploy/policies/role-name-prefix.yaml");
    let world = under("prefixes", policies).await;
    let own = world.kinesis_spec("events");
    let other = with(&own, "roleName", json!("admin"));
    refused(&world, "events", &other, &["spec.roleName", "admin", "begin with prefixes-"]).await;
    world.apply("events", &own).await;
    world.apply("unnamed", &json!({"destination": own["destination"]})).await;

    let prefix = |prefix: &str| json!({"annotations": {"streamrole.dev/role-name-prefix": prefix}});
    mark(&world, prefix("team-")).await;
    refused(&world, "late", &own, &["begin with team-"]).await;
    refused(&world, "late", &json!({"destination": own["destination"]}), &["prefixes-late"]).await;
    world.apply("late", &with(&own, "roleName", json!("team-late"))).await;

    for malformed in ["", "team/", "two words"] {
        mark(&world, prefix(malformed)).await;
        let words = ["namespace prefixes: the annotation streamrole.dev/role-name-prefix must be"];
        refused(&world, "malformed", &own, &words).await;
    }
}

#[tokio::test]
async fn truncated_default_names_are_checked_in_truncated_form() {
    let policies = include_str!("../../deploy/policies/role-name-prefix.yaml");
    let namespace = "cut-names";
    let world = under(namespace, policies).await;
    let unnamed = json!({"destination": world.kinesis_spec("events")["destination"]});
    let prefix = |prefix: &str| json!({"annotations": {"streamrole.dev/role-name-prefix": prefix}});
    refused(&world, "events", &with(&unnamed, "roleName", json!("admin")), &["admin"]).await;

    // "cut-names-" and 54 characters are 64: IAM gets this name unchanged.
    let whole = "a".repeat(54);
    world.apply(&whole, &unnamed).await;
    let cut = "b".repeat(55);
    world.apply(&cut, &unnamed).await;

    // The first 39 characters and the hyphen are known; the rest is not.
    let known = format!("cut-names-{}", "b".repeat(29));
    let name = format!("named {known}-<hash>");
    mark(&world, prefix(&format!("{known}b"))).await;
    let shorter = "the role would be named";
    refused(&world, &cut, &with(&unnamed, "description", json!("x")), &[shorter, "begin with"])
        .await;
    mark(&world, prefix(&format!("{known}-0"))).await;
    let words = [&*name, "too short to be compared", "Set spec.roleName"];
    refused(&world, &cut, &with(&unnamed, "description", json!("x")), &words).await;
    mark(&world, prefix(&format!("{known}-"))).await;
    accepted(&world, &cut, &with(&unnamed, "description", json!("x"))).await;
    // A name that is not cut is compared as a whole.
    mark(&world, prefix(&format!("cut-names-{}", "a".repeat(54)))).await;
    accepted(&world, &whole, &with(&unnamed, "description", json!("x"))).await;
}

#[tokio::test]
async fn a_namespace_whose_name_leaves_no_room_needs_role_names() {
    let policies = include_str!("../../deploy/policies/role-name-prefix.yaml");
    let namespace = format!("long-{}", "n".repeat(40));
    let world = under(&namespace, policies).await;
    let unnamed = json!({"destination": world.kinesis_spec("events")["destination"]});
    let words = ["spec.roleName", &*format!("begin with {namespace}-")];
    refused(&world, "a-name-that-is-cut-off", &unnamed, &words).await;
    world.apply("short", &unnamed).await;
    world.apply("named", &with(&unnamed, "roleName", json!(world.role("named")))).await;
}

#[tokio::test]
async fn roles_are_at_the_path_of_the_namespace() {
    let world = under("paths", include_str!("../../deploy/policies/path.yaml")).await;
    let spec = world.kinesis_spec("events");
    let at = |path: &str| with(&spec, "path", json!(path));
    refused(&world, "events", &spec, &["spec.path is /,", "begin with /paths/"]).await;
    for other in ["/other/", "/paths-too/", "/other/paths/", "/Paths/"] {
        refused(&world, "events", &at(other), &["spec.path is", "begin with /paths/"]).await;
    }
    world.apply("events", &at("/paths/")).await;
    world.apply("below", &with(&at("/paths/below/"), "roleName", json!("paths-below"))).await;

    let path = |path: &str| json!({"annotations": {"streamrole.dev/path": path}});
    mark(&world, path("/streaming/paths/")).await;
    refused(&world, "late", &at("/paths/"), &["begin with /streaming/paths/"]).await;
    accepted(&world, "late", &at("/streaming/paths/")).await;
    for malformed in ["", "streaming/", "/streaming", "/two words/"] {
        mark(&world, path(malformed)).await;
        let words = ["namespace paths: the annotation streamrole.dev/path must be"];
        refused(&world, "malformed", &at("/paths/"), &words).await;
    }
    mark(&world, path("/")).await;
    accepted(&world, "root", &spec).await;
}

#[tokio::test]
async fn events_go_to_streams_of_the_listed_accounts() {
    let policies = include_str!("../../deploy/policies/destination-accounts.yaml");
    let world = under("accounts", policies).await;
    let foreign = |service: &str, stream: &str| {
        format!("arn:aws:{service}:us-east-1:999999999999:{stream}/events")
    };
    for (field, arn) in [
        ("kinesisStreamArn", foreign("kinesis", "stream")),
        ("firehoseDeliveryStreamArn", foreign("firehose", "deliverystream")),
    ] {
        let spec = json!({"destination": {field: arn}});
        refused(&world, "events", &spec, &[field, "account 999999999999", "only: 111122223333"])
            .await;
    }
    let stream = |account: &str| {
        let mut spec = world.kinesis_spec("events");
        let arn = format!("arn:aws:kinesis:us-east-1:{account}:stream/events");
        spec["destination"]["kinesisStreamArn"] = json!(arn);
        spec
    };
    let good = stream("111122223333");
    world.apply("events", &good).await;

    let parameter = "destinationAccounts";
    set_parameter(&world, parameter, json!("999999999999 111122223333")).await;
    accepted(&world, "both", &stream("999999999999")).await;
    let bad = ["1111", "111122223333  999999999999", "111122223333 ", "111122223333,999999999999"];
    malformed_values_deny(&world, parameter, &good, &bad).await;
}

#[tokio::test]
async fn every_role_has_one_of_the_listed_boundaries() {
    let policies = include_str!("../../deploy/policies/permissions-boundary.yaml");
    let world = under("boundaries", policies).await;
    let spec = world.kinesis_spec("events");
    let boundary = |name: &str| json!(format!("arn:aws:iam::111122223333:policy/{name}"));
    refused(&world, "events", &spec, &["spec.permissionsBoundaryArn is none"]).await;
    let other = with(&spec, "permissionsBoundaryArn", boundary("other"));
    refused(&world, "events", &other, &["policy/other", "one of", "policy/streamrole-boundary"])
        .await;
    let right = with(&spec, "permissionsBoundaryArn", boundary("streamrole-boundary"));
    world.apply("events", &right).await;
    refused(&world, "events", &spec, &["spec.permissionsBoundaryArn is none"]).await;

    let arn = "arn:aws:iam::111122223333:policy/streamrole-boundary";
    let parameter = "permissionsBoundaryArns";
    set_parameter(
        &world,
        parameter,
        json!(format!("arn:aws:iam::aws:policy/ReadOnlyAccess {arn}")),
    )
    .await;
    let another = json!("arn:aws:iam::aws:policy/ReadOnlyAccess");
    accepted(&world, "another", &with(&spec, "permissionsBoundaryArn", another)).await;
    // Without the check, "none" would permit roles without a boundary.
    let (twice, with_none) = (format!("{arn}  {arn}"), format!("{arn} none"));
    let bad = [&*twice, &with_none, "none", "arn:aws:iam::111122223333:role/admin"];
    for good in [&right, &spec] {
        malformed_values_deny(&world, parameter, good, &bad).await;
    }
}

#[tokio::test]
async fn tags_have_listed_keys_only() {
    let world = under("tag-keys", include_str!("../../deploy/policies/tag-keys.yaml")).await;
    let spec = world.kinesis_spec("events");
    let tagged = |tags: Value| with(&spec, "tags", tags);
    for key in ["project", "Team", "team2", "cost", "xcost-center", "cost center"] {
        let tags = tagged(json!({"team": "growth", key: "x"}));
        let words = ["spec.tags", &*format!("key {key} is"), "these are: team, cost-*", "Remove"];
        refused(&world, "events", &tags, &words).await;
    }
    world.apply("events", &tagged(json!({"team": "growth", "cost-center": "7"}))).await;
    world.apply("untagged", &spec).await;
    world.apply("empty", &tagged(json!({}))).await;

    set_parameter(&world, "tagKeys", json!("größe cost*")).await;
    accepted(&world, "others", &tagged(json!({"größe": "1", "cost center": "7"}))).await;
    let bad = ["team  cost-*", "*", "a*b", "team, cost", "team\n", " team"];
    malformed_values_deny(&world, "tagKeys", &spec, &bad).await;
}

#[tokio::test]
async fn roles_are_adopted_only_from_namespaces_that_are_labelled_for_it() {
    let world = under("adoption", include_str!("../../deploy/policies/adoption.yaml")).await;
    let spec = world.kinesis_spec("events");
    let adopting = |policy: &str| with(&spec, "adoptionPolicy", json!(policy));
    let label = |value: &str| json!({"labels": {"streamrole.dev/adoption": value}});
    let refuses = async |policy: &str| {
        let missing = format!("the label streamrole.dev/adoption={policy}");
        let words = [&*format!("spec.adoptionPolicy is {policy}"), "namespace adoption", &missing];
        refused(&world, "refused", &adopting(policy), &words).await;
    };
    refuses("Adopt").await;
    refuses("TakeOver").await;
    world.apply("never", &adopting("Never")).await;
    world.apply("events", &spec).await;
    // Not by an edit either.
    refused(&world, "events", &adopting("Adopt"), &["spec.adoptionPolicy is Adopt"]).await;

    mark(&world, label("Adopt")).await;
    accepted(&world, "adopt", &adopting("Adopt")).await;
    refuses("TakeOver").await;
    mark(&world, label("TakeOver")).await;
    accepted(&world, "take-over", &adopting("TakeOver")).await;
    world.apply("adopt-too", &adopting("Adopt")).await;
    for unknown in ["allowed", "adopt", "Never", ""] {
        mark(&world, label(unknown)).await;
        refuses("Adopt").await;
        refuses("TakeOver").await;
    }
    // A stored object can only be edited to an allowed value.
    let edited = with(&adopting("TakeOver"), "description", json!("edited"));
    refused(&world, "take-over", &edited, &["spec.adoptionPolicy is TakeOver"]).await;
    world.annotate("take-over", "streamrole.dev/paused", "true").await;
    world.apply("take-over", &adopting("Never")).await;
}

#[tokio::test]
async fn each_destructive_field_needs_its_label() {
    let policies = include_str!("../../deploy/policies/destructive-fields.yaml");
    let world = under("destructive", policies).await;
    let spec = world.kinesis_spec("events");
    let cases = [
        ("exclusivePolicies", json!(true), "exclusive-policies"),
        ("deletionPolicy", json!("Delete"), "delete-adopted"),
        ("deletionPolicy", json!("Retain"), "retain"),
    ];
    let refuses = async |field: &str, value: &Value, label: &str| {
        let seen = format!("spec.{field} is {}", value.to_string().trim_matches('"'));
        let missing = format!("label streamrole.dev/{label}=allowed");
        let spec = with(&spec, field, value.clone());
        refused(&world, "refused", &spec, &[&seen, "namespace destructive", &missing]).await;
    };
    for (field, value, label) in &cases {
        refuses(field, value, label).await;
    }
    world.apply("plain", &with(&spec, "exclusivePolicies", json!(false))).await;
    for (field, value, label) in &cases {
        let key = format!("streamrole.dev/{label}");
        mark(&world, json!({"labels": {&key: "yes"}})).await;
        refuses(field, value, label).await;
        mark(&world, json!({"labels": {&key: "allowed"}})).await;
        accepted(&world, label, &with(&spec, field, value.clone())).await;
        // One label does not replace another.
        for (field, value, other) in &cases {
            if other != label {
                refuses(field, value, other).await;
            }
        }
        mark(&world, json!({"labels": {&key: null}})).await;
        refuses(field, value, label).await;
    }
}

/// kubectl's output when a user applies this spec.
async fn kubectl_apply(world: &World, spec: &Value, options: &[&str]) -> String {
    let manifest = manifest(&json!({"name": "events"}), spec);
    let file = stack().await.scratch(&format!("{}.json", world.namespace));
    std::fs::write(&file, manifest.to_string()).unwrap();
    let arguments = ["apply", "-f", file.to_str().unwrap()];
    kubectl(world, &[&arguments, options].concat()).await
}

#[tokio::test]
async fn a_missing_source_is_stored_with_a_warning() {
    let policies = include_str!("../../deploy/policies/source-warning.yaml");
    let world = under("source-warnings", policies).await;
    let without = world.kinesis_spec("events");
    let source = json!({"accountId": "111122223333", "region": "us-east-1"});
    let with_source = with(&without, "source", source);
    eventually("the policy to be in force", || async {
        let said = kubectl_apply(&world, &without, &["--dry-run=server"]).await;
        if said.contains("Warning:") { Ok(()) } else { Err(said) }
    })
    .await;

    let said = kubectl_apply(&world, &without, &[]).await;
    let warnings: Vec<_> = said.lines().filter(|line| line.starts_with("Warning:")).collect();
    let [warning] = warnings[..] else { panic!("one warning, on one line: {said}") };
    for word in ["spec.source is missing", "(since 2022)", "set spec.source"] {
        assert!(warning.contains(word), "{word} in: {warning}");
    }
    assert!(world.resources.get("events").await.unwrap().spec.source.is_none());

    let annotate = ["annotate", "pesr/events", "example.com/a=b"];
    for said in [
        kubectl(&world, &annotate).await,
        kubectl_apply(&world, &without, &[]).await,
        kubectl_apply(&world, &with_source, &[]).await,
    ] {
        assert!(!said.contains("Warning:"), "{said}");
    }
    let edited = with(&without, "description", json!("edited"));
    assert!(kubectl_apply(&world, &edited, &[]).await.contains("Warning:"));
}

#[tokio::test]
async fn new_roles_need_a_source_and_older_ones_can_be_deleted() {
    let mut world = World::without_controller("sources").await;
    world.start_controller().await;
    let spec = world.kinesis_spec("old");
    world.apply("old", &spec).await;
    world.ready("old").await;

    let policies = include_str!("../../deploy/policies/source.yaml");
    let strict = under("sources-policy", policies).await;
    let source = json!({"accountId": "111122223333", "region": "us-east-1"});
    let spec = strict.kinesis_spec("events");
    refused(&strict, "events", &spec, &["spec.source is missing", "source.accountId"]).await;
    strict.apply("events", &with(&spec, "source", source)).await;

    // The old resource's namespace comes under the policy only now.
    let bindings = GroupVersionKind::gvk(
        "admissionregistration.k8s.io",
        "v1",
        "ValidatingAdmissionPolicyBinding",
    );
    let (resource, _) = discovery::pinned_kind(&world.client, &bindings).await.unwrap();
    let api: Api<DynamicObject> = Api::all_with(world.client.clone(), &resource);
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "sources"}});
    let patch = json!({"spec": {"matchResources": {"namespaceSelector": here}}});
    api.patch("sources-policy", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let old = world.kinesis_spec("old");
    let edited = with(&old, "description", json!("edited"));
    refused(&world, "old", &edited, &["spec.source is missing"]).await;
    world.annotate("old", "streamrole.dev/reconcile-requested-at", "now").await;
    world.delete("old").await;
    world.gone("old").await;
}

/// The spec of an `EventStreamRole` for this service and the destination of this ARN.
fn spec_for(service: &str, kind: DestinationKind, arn: &str) -> Value {
    let fields = Service::with_key(service).unwrap().source.fields.iter();
    let source: Map<_, _> =
        fields.map(|field| (field.name.to_owned(), json!(field.example))).collect();
    json!({"source": {service: source}, "destination": {kind.field(): arn}})
}

/// The spec of an `EventStreamRole` whose role is named `<namespace>-events`.
fn rule_spec(world: &World) -> Value {
    let kind = DestinationKind::Kinesis;
    let spec = spec_for("eventBridgeRule", kind, kind.example());
    with(&spec, "roleName", json!(world.role("events")))
}

#[tokio::test]
async fn every_destination_of_an_event_stream_role_is_in_a_listed_account() {
    let policies = include_str!("../../deploy/policies/destination-accounts.yaml");
    let world = under("accounts-of-both", policies).await;
    for (service, kind) in [
        ("eventBridgeRule", DestinationKind::Kinesis),
        ("ses", DestinationKind::Firehose),
        ("endUserMessagingSms", DestinationKind::LogGroup),
        ("endUserMessagingSocial", DestinationKind::SnsTopic),
    ] {
        let foreign = kind.example().replace("111122223333", "999999999999");
        let field = format!("spec.destination.{}:", kind.field());
        let words = [&*field, "account 999999999999", "only: 111122223333"];
        let name = service.to_lowercase();
        let spec = spec_for(service, kind, &foreign);
        refused_of::<EventStreamRole>(&world, &name, &spec, &words).await;
        let own = spec_for(service, kind, kind.example());
        accepted_of::<EventStreamRole>(&world, &name, &own).await;
        // Not by an edit either.
        refused_of::<EventStreamRole>(&world, &name, &spec, &words).await;
    }
}

#[tokio::test]
async fn services_without_documented_conditions_need_the_label_of_the_namespace() {
    let world = under("conditions", include_str!("../../deploy/policies/source.yaml")).await;
    let label =
        |value: Value| json!({"labels": {"streamrole.dev/source-without-conditions": value}});
    let examples = |service: &'static Service| {
        let kind = service.targets[0].kind;
        (service.key.to_lowercase(), spec_for(service.key, kind, kind.example()))
    };
    let (without, documented): (Vec<_>, Vec<_>) =
        Service::current().partition(|s| s.conditions == Conditions::Undocumented);
    assert!(without.iter().any(|service| service.key == "sns"), "{without:?}");
    let all_refused = async || {
        for service in &without {
            let (name, spec) = examples(service);
            // Also an edit of a stored object.
            let spec = with(&spec, "description", json!("edited"));
            let field = format!("spec.source.{}:", service.key);
            let words = [&*field, "no conditions", "source-without-conditions=allowed"];
            refused_of::<EventStreamRole>(&world, &name, &spec, &words).await;
        }
    };
    all_refused().await;
    for service in documented {
        let (name, spec) = examples(service);
        accepted_of::<EventStreamRole>(&world, &name, &spec).await;
    }
    mark(&world, label(json!("yes"))).await;
    all_refused().await;
    mark(&world, label(json!("allowed"))).await;
    for service in &without {
        let (name, spec) = examples(service);
        accepted_of::<EventStreamRole>(&world, &name, &spec).await;
    }
    // The label is not for the other kind.
    refused(&world, "events", &world.kinesis_spec("events"), &["spec.source is missing"]).await;

    mark(&world, label(Value::Null)).await;
    all_refused().await;
    let (stored, params) = (examples(without[0]).0, DeleteParams::default());
    let resources: Api<EventStreamRole> = Api::namespaced(world.client.clone(), &world.namespace);
    resources.delete(&stored, &params).await.unwrap();
}

#[tokio::test]
async fn a_boundary_of_another_partition_can_be_listed() {
    let policies = include_str!("../../deploy/policies/permissions-boundary.yaml");
    let world = under("partitions", policies).await;
    let stream = "arn:aws-eusc:firehose:eusc-de-east-1:111122223333:deliverystream/events";
    let spec = spec_for("ses", DestinationKind::Firehose, stream);
    let bounded = |arn: &str| with(&spec, "permissionsBoundaryArn", json!(arn));
    let policy = |name: &str| format!("arn:aws-eusc:iam::111122223333:policy/{name}");
    let (arn, other) = (policy("streamrole-boundary"), policy("other"));
    let listed = "arn:aws:iam::111122223333:policy/streamrole-boundary";
    for (spec, seen) in [(&spec, "none"), (&bounded(&arn), &*arn)] {
        let words = [&*format!("spec.permissionsBoundaryArn is {seen}"), "one of", listed];
        refused_of::<EventStreamRole>(&world, "events", spec, &words).await;
    }
    set_parameter(&world, "permissionsBoundaryArns", json!(format!("{listed} {arn}"))).await;
    accepted_of::<EventStreamRole>(&world, "events", &bounded(&arn)).await;
    let words = [&*format!("spec.permissionsBoundaryArn is {other}"), "one of", &arn];
    refused_of::<EventStreamRole>(&world, "events", &bounded(&other), &words).await;
}

#[tokio::test]
async fn a_role_that_cannot_have_a_path_needs_a_namespace_without_one() {
    let world = under("no-paths", include_str!("../../deploy/policies/path.yaml")).await;
    let kind = DestinationKind::SnsTopic;
    let spec = spec_for("endUserMessagingSocial", kind, kind.example());
    let words = ["spec.path is /,", "begin with /no-paths/"];
    refused_of::<EventStreamRole>(&world, "events", &spec, &words).await;
    mark(&world, json!({"annotations": {"streamrole.dev/path": "/"}})).await;
    accepted_of::<EventStreamRole>(&world, "events", &spec).await;
}

#[tokio::test]
async fn the_policies_on_common_fields_are_for_event_stream_roles_too() {
    for (test, policies, (field, good), bad, words) in [
        (
            "common-names",
            include_str!("../../deploy/policies/role-name-prefix.yaml"),
            ("roleName", json!("common-names-b")),
            json!("admin"),
            "be named admin",
        ),
        (
            "common-paths",
            include_str!("../../deploy/policies/path.yaml"),
            ("path", json!("/common-paths/")),
            json!("/other/"),
            "spec.path is /other/",
        ),
        (
            "common-tags",
            include_str!("../../deploy/policies/tag-keys.yaml"),
            ("tags", json!({"team": "a"})),
            json!({"team": "a", "project": "b"}),
            "the key project is not allowed",
        ),
        (
            "common-adoption",
            include_str!("../../deploy/policies/adoption.yaml"),
            ("adoptionPolicy", json!("Never")),
            json!("Adopt"),
            "spec.adoptionPolicy is Adopt",
        ),
        (
            "common-deletion",
            include_str!("../../deploy/policies/destructive-fields.yaml"),
            ("exclusivePolicies", json!(false)),
            json!(true),
            "spec.exclusivePolicies is true",
        ),
    ] {
        let world = under(test, policies).await;
        let spec = rule_spec(&world);
        refused_of::<EventStreamRole>(&world, "events", &with(&spec, field, bad), &[words]).await;
        accepted_of::<EventStreamRole>(&world, "events", &with(&spec, field, good)).await;
    }
}

#[tokio::test]
async fn an_event_stream_role_can_adopt_and_destroy_from_a_labelled_namespace() {
    for (test, policies, label, field, value) in [
        (
            "labelled-adoption",
            include_str!("../../deploy/policies/adoption.yaml"),
            "adoption=TakeOver",
            "adoptionPolicy",
            json!("TakeOver"),
        ),
        (
            "labelled-exclusive",
            include_str!("../../deploy/policies/destructive-fields.yaml"),
            "exclusive-policies=allowed",
            "exclusivePolicies",
            json!(true),
        ),
        (
            "labelled-delete",
            include_str!("../../deploy/policies/destructive-fields.yaml"),
            "delete-adopted=allowed",
            "deletionPolicy",
            json!("Delete"),
        ),
        (
            "labelled-retain",
            include_str!("../../deploy/policies/destructive-fields.yaml"),
            "retain=allowed",
            "deletionPolicy",
            json!("Retain"),
        ),
    ] {
        let world = under(test, policies).await;
        let spec = with(&rule_spec(&world), field, value);
        let missing = format!("the label streamrole.dev/{label}");
        let words = [&*format!("spec.{field} is"), &missing];
        refused_of::<EventStreamRole>(&world, "events", &spec, &words).await;
        let (key, value) = label.split_once('=').unwrap();
        mark(&world, json!({"labels": {format!("streamrole.dev/{key}"): value}})).await;
        accepted_of::<EventStreamRole>(&world, "events", &spec).await;
    }
}
