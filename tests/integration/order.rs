//! The grants of a role after each write of an update: never more than before or after the update. The exception is the
//! state after a boundary is replaced, when the documents are still the old ones.

use std::sync::{Arc, Mutex};

use aws_sdk_iam::Client;
use futures::FutureExt as _;
use serde_json::{Value, json};
use streamrole::policy::Document;

use support::world::{POLICY, World, decoded};

/// The parts of a role that affect what it grants.
#[derive(Clone, Debug)]
struct Moment {
    trust: Value,
    permissions: Option<Value>,
    boundary: Option<String>,
}

async fn moment(iam: &Client, role: &str) -> Moment {
    let get = iam.get_role().role_name(role).send().await.unwrap().role.unwrap();
    let policy = iam.get_role_policy().role_name(role).policy_name(POLICY).send().await;
    Moment {
        trust: decoded(&get.assume_role_policy_document.unwrap()),
        permissions: policy.ok().map(|policy| decoded(&policy.policy_document)),
        boundary: get.permissions_boundary.and_then(|b| b.permissions_boundary_arn),
    }
}

fn is_within(less: &Moment, more: &Moment) -> bool {
    let document = |value| Document::from_value(value).unwrap();
    let Some(permissions) = &less.permissions else {
        return true;
    };
    document(&less.trust).grants_no_more_than(&document(&more.trust))
        && more
            .permissions
            .as_ref()
            .is_some_and(|more| document(permissions).grants_no_more_than(&document(more)))
        && (less.boundary == more.boundary || more.boundary.is_none())
}

#[tokio::test]
async fn no_step_of_an_update_grants_more_than_before_or_after_it() {
    let world = World::new("moments").await;
    let account = |region: &str| json!({"accountId": "111122223333", "region": region});
    let stream = |name: &str| json!({"kinesisStreamArn": support::world::kinesis_arn(name)});
    let with_key = |name: &str| json!({"kinesisStreamArn": support::world::kinesis_arn(name), "kmsKeyArn": "arn:aws:kms:us-east-1:111122223333:key/1"});
    let boundary = |name: &str| json!(format!("arn:aws:iam::111122223333:policy/{name}"));
    // Each is an edit of the previous one.
    let specs = [
        json!({"destination": stream("a")}),
        json!({"destination": with_key("a"), "source": account("us-east-1")}),
        json!({"destination": stream("a")}),
        json!({"destination": stream("b"), "source": account("us-east-1")}),
        json!({"destination": stream("c"), "source": account("eu-west-1")}),
        json!({"destination": stream("d"), "source": account("eu-west-1"), "permissionsBoundaryArn": boundary("x")}),
        json!({"destination": stream("e"), "source": account("us-east-1"), "permissionsBoundaryArn": boundary("y")}),
        json!({"destination": stream("e"), "permissionsBoundaryArn": boundary("x")}),
        json!({"destination": with_key("e"), "permissionsBoundaryArn": boundary("x")}),
        json!({"destination": stream("e"), "permissionsBoundaryArn": boundary("y")}),
        json!({"destination": with_key("e"), "permissionsBoundaryArn": boundary("y")}),
        json!({"destination": stream("e"), "source": account("us-east-1"), "permissionsBoundaryArn": boundary("x")}),
        json!({"destination": stream("a"), "source": account("eu-west-1")}),
    ];
    let role = world.role("events");
    let seen: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let spec = |spec: &Value| {
        let mut spec = spec.clone();
        spec["roleName"] = json!(role);
        spec
    };
    world.apply("events", &spec(&specs[0])).await;
    world.ready("events").await;
    let (iam, name, moments) = (world.iam.clone(), role.clone(), Arc::clone(&seen));
    world.proxy.after_each_write(move || {
        let (iam, name, moments) = (iam.clone(), name.clone(), Arc::clone(&moments));
        async move {
            let moment = moment(&iam, &name).await;
            moments.lock().unwrap().push(moment);
        }
        .boxed()
    });
    for next in &specs[1..] {
        let before = moment(&world.iam, &role).await;
        world.apply("events", &spec(next)).await;
        world.ready("events").await;
        let moments = std::mem::take(&mut *seen.lock().unwrap());
        let after = moments.last().cloned().unwrap();
        let mut previous = &before;
        for moment in &moments {
            let under_new_boundary = Moment { boundary: moment.boundary.clone(), ..before.clone() };
            let is_just_replaced = previous.boundary != moment.boundary
                && previous.boundary.is_some()
                && moment.boundary.is_some();
            assert!(
                is_within(moment, &before)
                    || is_within(moment, &after)
                    || is_just_replaced && is_within(moment, &under_new_boundary),
                "on the way to {next}: {moment:#?}\nbefore: {before:#?}\nafter: {after:#?}"
            );
            previous = moment;
        }
    }
}
