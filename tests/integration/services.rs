//! `EventStreamRole` on the real stack: each service of the table with each of its destinations, what the API server
//! rejects, and both kinds beside each other.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use futures::future::join_all;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Map, Value, json};
use streamrole::api::EventStreamRole;
use streamrole::policy::{AccountId, Region};
use streamrole::service::{
    Conditions, DestinationArn, DestinationKind, EventStream, SERVICES, Service, Source, attach,
};

use support::world::{POLICY, World, condition, decoded, kinesis_arn, ready, stack};
use support::{check_status, eventually, is_ready, set_aws_environment};

const NEW_POLICY: &str = "EventStreamPermissionsPolicy";

fn resources(world: &World) -> Api<EventStreamRole> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

async fn try_apply(
    world: &World,
    name: &str,
    spec: &Value,
) -> Result<EventStreamRole, kube::Error> {
    let manifest = json!({
        "apiVersion": "streamrole.dev/v1alpha1",
        "kind": "EventStreamRole",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": spec,
    });
    let params = PatchParams::apply("user").force();
    resources(world).patch(name, &params, &Patch::Apply(manifest)).await
}

async fn apply(world: &World, name: &str, spec: &Value) {
    try_apply(world, name, spec).await.unwrap_or_else(|error| panic!("{name}: {spec}: {error}"));
}

/// Waits until the condition Ready has this status and reason for the current generation.
async fn sees(world: &World, name: &str, status: &str, reason: &str) -> EventStreamRole {
    eventually(&format!("{name} to be Ready={status} with reason {reason}"), || async {
        let resource = resources(world).get(name).await.map_err(|error| error.to_string())?;
        check_status(&resource);
        let ready = ready(&resource);
        let is_current = ready.observed_generation == resource.metadata.generation;
        if is_current && ready.status == status && ready.reason == reason {
            Ok(resource)
        } else {
            Err(format!("{:?}\n{}", resource.status, world.log()))
        }
    })
    .await
}

async fn delete_and_wait(world: &World, name: &str) {
    resources(world).delete(name, &DeleteParams::default()).await.unwrap();
    eventually(&format!("{name} to be gone"), || async {
        match resources(world).get_opt(name).await {
            Ok(None) => Ok(()),
            other => Err(format!("{other:?}\n{}", world.log())),
        }
    })
    .await;
}

/// The fields of a source of this service, each with its example.
fn example(service: &Service) -> Value {
    let fields = service.source.fields.iter();
    fields.map(|field| (field.name.to_owned(), json!(field.example))).collect::<Map<_, _>>().into()
}

fn spec(service: &Service, kind: DestinationKind) -> Value {
    json!({"source": {service.key: example(service)}, "destination": {kind.field(): kind.example()}})
}

/// Each service with each of its destinations.
fn pairs() -> Vec<(&'static Service, DestinationKind)> {
    let of = |service: &'static Service| service.targets.iter().map(move |t| (service, t.kind));
    Service::current().flat_map(of).collect()
}

fn name_of(service: &Service, kind: DestinationKind) -> String {
    format!("{}-{}", service.key, kind.field()).to_lowercase()
}

/// The trust policy, and the permissions policy unless a repair is replacing it.
async fn documents(world: &World, role: &str) -> (Value, Option<Value>) {
    let get = world.iam.get_role_policy().role_name(role).policy_name(NEW_POLICY).send().await;
    let permissions = get.ok().map(|answer| decoded(&answer.policy_document));
    (world.trust_policy(role).await, permissions)
}

#[tokio::test]
async fn every_service_has_its_role_created_repaired_and_deleted() {
    let world = World::resyncing("services").await;
    join_all(pairs().into_iter().map(|(service, kind)| {
        let world = &world;
        async move {
            let name = name_of(service, kind);
            apply(world, &name, &spec(service, kind)).await;
            let resource = sees(world, &name, "True", "Synced").await;
            let status = resource.status.clone().unwrap();
            let role = status.role_name.unwrap();
            assert!(status.source.unwrap().starts_with(service.key));
            let note = condition(&resource, "TrustPolicySynced").unwrap().message;
            let is_undocumented = service.conditions == Conditions::Undocumented;
            assert_eq!(note.contains("no confused-deputy conditions"), is_undocumented, "{note}");
            let made = documents(world, &role).await;

            let wide = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
            let put = world.iam.put_role_policy().role_name(&role).policy_name(NEW_POLICY);
            put.policy_document(wide.to_string()).send().await.unwrap();
            let trust = world.iam.update_assume_role_policy().role_name(&role);
            trust.policy_document(support::world::FOREIGN_TRUST).send().await.unwrap();
            eventually(&format!("{name} to be repaired"), || async {
                let live = documents(world, &role).await;
                if live == made { Ok(()) } else { Err(format!("{live:?}\n{}", world.log())) }
            })
            .await;
            delete_and_wait(world, &name).await;
            assert!(!world.role_exists(&role).await, "{role} is deleted");
        }
    }))
    .await;
}

#[tokio::test]
async fn every_destination_that_a_service_lacks_is_rejected_with_what_works() {
    let world = World::without_controller("unsupported").await;
    let mut rejected = 0;
    for service in Service::current() {
        for kind in DestinationKind::ALL {
            let answer = try_apply(&world, "events", &spec(service, kind)).await;
            let Some(refusal) = service.refusal(kind) else {
                answer.unwrap_or_else(|error| panic!("{} and {kind:?}: {error}", service.key));
                continue;
            };
            let message = answer.expect_err("should be rejected").to_string();
            let field = format!("spec.destination.{}", kind.field());
            for words in [&field, &refusal] {
                assert!(message.contains(words), "{message} should contain {words}");
            }
            rejected += 1;
        }
    }
    assert!(rejected >= 20, "{rejected} of the pairs do not work");
}

#[tokio::test]
async fn every_bad_spec_is_rejected_naming_the_field() {
    let world = World::without_controller("bad-source").await;
    let firehose = "arn:aws:firehose:us-east-1:111122223333:deliverystream/events";
    let topic = "arn:aws:sns:us-east-1:111122223333:events";
    let key = "arn:aws:kms:us-east-1:111122223333:key/1234abcd";
    let to_firehose = json!({"firehoseDeliveryStreamArn": firehose});
    let ses = |name: Value| json!({"source": {"ses": {"configurationSetName": name}}, "destination": to_firehose});
    let from = |changes: Value| {
        let mut source = json!({"ses": {"configurationSetName": "a"}});
        source.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"source": source, "destination": to_firehose})
    };
    let to =
        |source: Value, destination: Value| json!({"source": source, "destination": destination});
    let rule = |fields: Value| {
        to(json!({"eventBridgeRule": fields}), json!({"kinesisStreamArn": kinesis_arn("events")}))
    };
    let table: Vec<(Value, &[&str])> = vec![
        (json!({"destination": to_firehose}), &["spec.source", "Required"]),
        (json!({"source": {"sns": {}}}), &["spec.destination", "Required"]),
        (to(json!({}), to_firehose.clone()), &["spec.source", "exactly one of ses"]),
        (
            to(json!({"region": "us-east-1"}), to_firehose.clone()),
            &["spec.source", "exactly one of"],
        ),
        (from(json!({"sns": {}})), &["spec.source", "exactly one of"]),
        (
            to(
                json!({"sns": {}, "iot": {"ruleName": "a"}, "metricStreams": {}}),
                to_firehose.clone(),
            ),
            &["spec.source", "exactly one of"],
        ),
        (
            to(json!({"ses": {}}), to_firehose.clone()),
            &["spec.source.ses.configurationSetName", "Required"],
        ),
        (ses(json!("")), &["spec.source.ses.configurationSetName"]),
        (ses(json!("news*")), &["spec.source.ses.configurationSetName", "or *"]),
        (ses(json!("**")), &["spec.source.ses.configurationSetName"]),
        (ses(json!("a/b")), &["spec.source.ses.configurationSetName"]),
        (
            ses(json!("arn:aws:ses:us-east-1:111122223333:configuration-set/a")),
            &["spec.source.ses.configurationSetName"],
        ),
        (ses(json!("${aws:username}")), &["spec.source.ses.configurationSetName"]),
        (ses(json!("a".repeat(65))), &["spec.source.ses.configurationSetName"]),
        (ses(json!(7)), &["spec.source.ses.configurationSetName"]),
        (from(json!({"accountId": "1111"})), &["spec.source.accountId"]),
        (
            from(json!({"accountId": "444455556666"})),
            &["spec.source.accountId", "111122223333", "444455556666"],
        ),
        (from(json!({"region": "us-east"})), &["spec.source.region"]),
        (from(json!({"region": "cn-north-1"})), &["spec.source.region", "partition"]),
        (from(json!({"region": "eu-west-1"})), &["spec.source.region", "Amazon SES", "its Region"]),
        (rule(json!({})), &["spec.source.eventBridgeRule.ruleName", "Required"]),
        (rule(json!({"ruleName": "a/b"})), &["spec.source.eventBridgeRule.ruleName"]),
        (
            rule(json!({"ruleName": "a", "eventBusName": "*"})),
            &["spec.source.eventBridgeRule.eventBusName"],
        ),
        (
            rule(json!({"ruleName": "a", "eventBusName": ""})),
            &["spec.source.eventBridgeRule.eventBusName"],
        ),
        (
            to(json!({"scheduler": {"groupName": "a b"}}), to_firehose.clone()),
            &["spec.source.scheduler.groupName"],
        ),
        (to(json!({"scheduler": {}}), to_firehose.clone()), &["spec.source.scheduler.groupName"]),
        (
            to(json!({"iot": {"ruleName": "a-b"}}), to_firehose.clone()),
            &["spec.source.iot.ruleName"],
        ),
        (
            to(json!({"cloudWatchLogs": {}, "region": "eu-west-1"}), to_firehose.clone()),
            &["spec.source.region", "CloudWatch Logs"],
        ),
        (to(json!({"sns": {}}), json!({})), &["spec.destination", "exactly one"]),
        (to(json!({"sns": {}}), json!({"kmsKeyArn": key})), &["spec.destination", "exactly one"]),
        (
            to(
                json!({"sns": {}}),
                json!({"firehoseDeliveryStreamArn": firehose, "snsTopicArn": topic}),
            ),
            &["spec.destination", "exactly one"],
        ),
        (
            to(json!({"sns": {}}), json!({"firehoseDeliveryStreamArn": topic})),
            &["spec.destination.firehoseDeliveryStreamArn"],
        ),
        (
            to(
                json!({"endUserMessagingSocial": {}}),
                json!({"snsTopicArn": format!("{topic}.fifo")}),
            ),
            &["spec.destination.snsTopicArn", "standard"],
        ),
        (
            to(
                json!({"endUserMessagingSocial": {}}),
                json!({"snsTopicArn": "arn:aws:sns:cn-north-1:111122223333:a"}),
            ),
            &["spec.destination.snsTopicArn", "partition"],
        ),
        (
            to(
                json!({"endUserMessagingSms": {"configurationSetName": "a"}}),
                json!({"logGroupArn": "arn:aws:logs:us-east-1:111122223333:log-group:a:*"}),
            ),
            &["spec.destination.logGroupArn", "without :*"],
        ),
        (
            to(
                json!({"endUserMessagingSms": {"configurationSetName": "a"}}),
                json!({"logGroupArn": "arn:aws:logs:us-east-1:111122223333:log-group:a", "kmsKeyArn": key}),
            ),
            &["spec.destination.kmsKeyArn", "CloudWatch Logs"],
        ),
        (
            to(
                json!({"endUserMessagingSms": {"configurationSetName": "a"}}),
                json!({"firehoseDeliveryStreamArn": "arn:aws-cn:firehose:cn-north-1:111122223333:deliverystream/a"}),
            ),
            &["spec.destination", "aws-cn", "End User Messaging SMS"],
        ),
        (
            to(
                json!({"sns": {}}),
                json!({"firehoseDeliveryStreamArn": firehose, "kmsKeyArn": "arn:aws:kms:us-east-1:444455556666:key/a"}),
            ),
            &["spec.destination.kmsKeyArn", "444455556666"],
        ),
        (
            to(
                json!({"sns": {}}),
                json!({"firehoseDeliveryStreamArn": firehose, "kmsKeyArn": "arn:aws:kms:us-west-2:111122223333:key/a"}),
            ),
            &["spec.destination.kmsKeyArn", "us-west-2"],
        ),
        (
            to(
                json!({"sns": {}}),
                json!({"firehoseDeliveryStreamArn": firehose, "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:alias/a"}),
            ),
            &["spec.destination.kmsKeyArn", "alias"],
        ),
        (
            json!({"path": "/a/", "source": {"endUserMessagingSocial": {}}, "destination": {"snsTopicArn": topic}}),
            &["spec.path", "rejects a role with a path"],
        ),
        (
            json!({"permissionsBoundaryArn": "arn:aws-cn:iam::111122223333:policy/b", "source": {"sns": {}}, "destination": to_firehose}),
            &["spec.permissionsBoundaryArn"],
        ),
        (
            json!({"roleName": "a b", "source": {"sns": {}}, "destination": to_firehose}),
            &["spec.roleName"],
        ),
        (
            json!({"tags": {"aws:a": "b"}, "source": {"sns": {}}, "destination": to_firehose}),
            &["spec.tags", "reserved"],
        ),
    ];
    assert!(table.len() >= 30);
    for (spec, words) in table {
        let answer = try_apply(&world, "events", &spec).await;
        let message = answer.map(|_| ()).expect_err(&spec.to_string()).to_string();
        for word in words {
            assert!(message.contains(word), "{spec}: {message} should contain {word}");
        }
    }
    let long = "n".repeat(177);
    let answer = try_apply(&world, &long, &ses(json!("a"))).await;
    assert!(answer.expect_err("a long name").to_string().contains("176 characters"));
}

#[tokio::test]
async fn resources_of_both_kinds_and_one_name_have_separate_roles() {
    let world = World::new("two-kinds").await;
    let pinpoint = world.role("pinpoint");
    world.apply("events", &world.kinesis_spec("pinpoint")).await;
    world.ready("events").await;
    let mut other = spec(Service::with_key("sns").unwrap(), DestinationKind::Firehose);
    other["roleName"] = json!(pinpoint);
    other["adoptionPolicy"] = json!("TakeOver");
    world.proxy.forget_calls();
    apply(&world, "events", &other).await;
    let refused = sees(&world, "events", "False", "RoleOwnedByAnother").await;
    let message = ready(&refused).message;
    assert!(message.contains("PinpointEventStreamRole two-kinds/events"), "{message}");
    assert_eq!(
        world.tags(&pinpoint).await.get("streamrole.dev/resource").map(String::as_str),
        Some("two-kinds/events")
    );
    // A creation is tried before the name is known to be taken.
    let is_harmless = |action: &String| {
        action == "CreateRole" || action.starts_with("Get") || action.starts_with("List")
    };
    assert!(world.proxy.actions().iter().all(is_harmless), "{:?}", world.proxy.actions());

    delete_and_wait(&world, "events").await;
    assert!(world.role_exists(&pinpoint).await, "the role of the other kind stays");
    other["roleName"] = json!(world.role("own"));
    apply(&world, "events", &other).await;
    sees(&world, "events", "True", "Synced").await;
    let tags = world.tags(&world.role("own")).await;
    let owner = tags.get("streamrole.dev/resource").map(String::as_str);
    assert_eq!(owner, Some("EventStreamRole/two-kinds/events"));
    world.delete("events").await;
    world.gone("events").await;
    assert!(world.role_exists(&world.role("own")).await);
}

#[tokio::test]
async fn a_role_moves_to_the_other_kind_and_keeps_its_permissions_meanwhile() {
    let world = World::new("move-kind").await;
    let role = world.role("events");
    let mut old = world.kinesis_spec("events");
    old["deletionPolicy"] = json!("Retain");
    world.apply("events", &old).await;
    world.ready("events").await;
    let before = world.permissions_policy(&role).await;

    let event_bridge = Service::with_key("eventBridgeRule").unwrap();
    let mut new = spec(event_bridge, DestinationKind::Kinesis);
    new["roleName"] = json!(role);
    new["adoptionPolicy"] = json!("Adopt");
    apply(&world, "email-events", &new).await;
    sees(&world, "email-events", "False", "RoleOwnedByAnother").await;
    world.ready("events").await;
    world.proxy.forget_calls();
    world.delete("events").await;
    world.gone("events").await;
    let moved = eventually("the role to be adopted", || async {
        let resource = resources(&world).get("email-events").await.unwrap();
        if is_ready(&resource) { Ok(resource) } else { Err(format!("{:?}", resource.status)) }
    })
    .await;
    assert_eq!(moved.status.as_ref().and_then(|status| status.adopted), Some(true));
    assert_eq!(ready(&moved).reason, "ExtraPolicies", "the old inline policy is reported");
    assert_eq!(world.permissions_policy(&role).await, before, "the old permissions stay");
    let actions = world.proxy.actions();
    for removal in ["DeleteRole", "DeleteRolePolicy", "CreateRole"] {
        assert!(!actions.iter().any(|action| action == removal), "{actions:?}");
    }

    new["exclusivePolicies"] = json!(true);
    apply(&world, "email-events", &new).await;
    sees(&world, "email-events", "True", "Synced").await;
    assert_eq!(world.permissions_policy(&role).await, None, "{POLICY} is removed");
    let owner = resources(&world).get("email-events").await.unwrap().uid();
    assert_eq!(world.tags(&role).await.get("streamrole.dev/uid"), owner.as_ref());
}

/// The command that attaches the role of this ARN, with the example of the service and of its destination.
fn attach_command(service: &'static Service, kind: DestinationKind, role: &str) -> String {
    let fields = service.source.fields.iter();
    let fields: BTreeMap<_, _> =
        fields.map(|field| (field.name.to_owned(), field.example.to_owned())).collect();
    let source = Source {
        account: AccountId::parse("111122223333").unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        name: service.source.name_of(&fields).unwrap(),
    };
    let destination = DestinationArn::parse(kind, kind.example()).unwrap();
    let stream = EventStream::new(service, Some(source), destination, None).unwrap();
    attach(&stream, role).unwrap()
}

/// What the AWS CLI in `folder` prints for this command line, when no endpoint can be reached.
fn run_without_endpoint(folder: &Path, command: &str) -> String {
    let mut shell = Command::new("sh");
    set_aws_environment(&mut shell, "http://127.0.0.1:1");
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&inherited));
    shell.env("PATH", std::env::join_paths(folders).unwrap()).env("AWS_MAX_ATTEMPTS", "1");
    let output = shell.args(["-c", command]).stdin(Stdio::null()).output().unwrap();
    assert!(!output.status.success(), "{command}");
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn the_aws_cli_accepts_every_command_that_attaches_a_role() {
    const ROLE: &str = "arn:aws:iam::111122223333:role/streaming/app-events";
    let aws = stack().await.aws();
    let folder = Path::new(aws.get_program()).parent().unwrap().to_owned();
    let rejected = "aws iot create-topic-rule --rule-name a --topic-rule-payload sql=b";
    let said = run_without_endpoint(&folder, rejected);
    assert!(said.contains("Missing required parameter"), "validation precedes the call: {said}");
    let pairs = SERVICES.iter().flat_map(|s| s.targets.iter().map(move |target| (*s, target.kind)));
    let runs = pairs.map(|(service, kind)| {
        let (folder, command) = (folder.clone(), attach_command(service, kind, ROLE));
        tokio::task::spawn_blocking(move || {
            assert!(command.contains(ROLE), "{command}");
            let said = run_without_endpoint(&folder, &command);
            assert!(said.contains("Could not connect to the endpoint"), "{command}\n{said}");
        })
    });
    for run in join_all(runs).await {
        run.unwrap();
    }
}
