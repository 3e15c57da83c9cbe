//! Every error code that IAM answers with: what the user reads of it, and when it is tried again.

use serde_json::json;
use support::{Fault, eventually};

use support::world::{World, condition, ready};

/// When a failed reconcile comes again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Again {
    /// By itself, at once: nobody has to act.
    Soon,
    /// By itself, slowly: somebody has to act, outside of Kubernetes.
    Slowly,
    /// With the next resync, or when the resource changes.
    AtResync,
}

struct Row {
    code: &'static str,
    status: u16,
    /// The call that gets the answer.
    action: &'static str,
    words: &'static str,
    reason: &'static str,
    remedy: &'static str,
    again: Again,
    /// Whether it is worth an event: not when nobody has to know.
    event: bool,
}

const ROWS: [Row; 11] = [
    Row {
        code: "NoSuchEntity",
        status: 404,
        action: "PutRolePolicy",
        words: "The role cannot be found.",
        reason: "Progressing",
        remedy: "It is tried again.",
        again: Again::Soon,
        event: true,
    },
    Row {
        code: "EntityAlreadyExists",
        status: 409,
        action: "CreateRole",
        words: "does not show yet",
        reason: "Progressing",
        remedy: "Retrying.",
        again: Again::Soon,
        event: false,
    },
    Row {
        code: "ConcurrentModification",
        status: 409,
        action: "CreateRole",
        words: "Another request is in progress.",
        reason: "Progressing",
        remedy: "It is tried again.",
        again: Again::Soon,
        event: true,
    },
    Row {
        code: "DeleteConflict",
        status: 409,
        action: "DeleteRole",
        words: "Cannot delete entity, must remove roles from instance profile first.",
        reason: "DeletionBlocked",
        remedy: "Remove what still uses the role",
        again: Again::Slowly,
        event: true,
    },
    Row {
        code: "MalformedPolicyDocument",
        status: 400,
        action: "PutRolePolicy",
        words: "Syntax errors in policy.",
        reason: "RefusedByIam",
        remedy: "Change the field of the spec that IAM names.",
        again: Again::AtResync,
        event: true,
    },
    // The code that stands for two things; the other is "Invalid principal".
    Row {
        code: "MalformedPolicyDocument",
        status: 400,
        action: "CreateRole",
        words: "Invalid principal in policy: x",
        reason: "Progressing",
        remedy: "A new principal can take a while to be known",
        again: Again::Soon,
        event: true,
    },
    Row {
        code: "LimitExceeded",
        status: 409,
        action: "CreateRole",
        words: "Cannot exceed quota for RolesPerAccount: 1000.",
        reason: "LimitExceeded",
        remedy: "Free some of this quota, or ask AWS to raise it.",
        again: Again::Slowly,
        event: true,
    },
    Row {
        code: "UnmodifiableEntity",
        status: 400,
        action: "PutRolePolicy",
        words: "Cannot perform the operation on the protected role.",
        reason: "RefusedByIam",
        remedy: "Change the field of the spec that IAM names.",
        again: Again::AtResync,
        event: true,
    },
    Row {
        code: "Throttling",
        status: 400,
        action: "CreateRole",
        words: "Rate exceeded",
        reason: "Throttled",
        remedy: "It is tried again, more slowly.",
        again: Again::Soon,
        event: true,
    },
    Row {
        code: "AccessDenied",
        status: 403,
        action: "PutRolePolicy",
        words: "User x is not authorized to perform: iam:PutRolePolicy",
        reason: "AccessDenied",
        remedy: "Allow the controller's credentials iam:PutRolePolicy on arn:aws:iam::",
        again: Again::Slowly,
        event: true,
    },
    Row {
        code: "ServiceFailure",
        status: 500,
        action: "CreateRole",
        words: "The request processing has failed.",
        reason: "IamUnavailable",
        remedy: "It is tried again.",
        again: Again::Soon,
        event: true,
    },
];

#[tokio::test]
async fn each_error_code_has_its_condition_reason_message_event_and_requeue() {
    // A controller for each row: throttling slows all calls of one.
    futures::future::join_all(ROWS.iter().enumerate().map(|(number, row)| check(number, row)))
        .await;
}

async fn check(number: usize, row: &Row) {
    let case = format!("{} to {}", row.code, row.action);
    // No resync comes to help but for the row that waits for it.
    let test = format!("code-{number}");
    let mut world = match row.again {
        Again::Soon => World::without_controller(&test).await,
        // The pauses of what is tried slowly are no longer than the resync.
        Again::Slowly | Again::AtResync => World::resyncing_later(&test).await,
    };
    let fault = Fault::answer(row.status, row.code, row.words);
    world.proxy.inject(row.action, None, fault);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    if row.action == "DeleteRole" {
        world.ready("events").await;
        world.delete("events").await;
    }

    let resource = world.says("events", "False", row.reason, row.words).await;
    let message = ready(&resource).message;
    for part in [row.words, row.remedy] {
        assert!(message.contains(part), "{case}: {part:?} in {message:?}");
    }
    // Of a name that is taken but shows no role, IAM's answer is not the news.
    for part in [row.code, row.action, "request id", &world.role("events")] {
        assert!(message.contains(part) || !row.event, "{case}: {part:?} in {message:?}");
    }
    let (present, absent) = match row.again {
        Again::Soon => ("Reconciling", "Stalled"),
        Again::Slowly | Again::AtResync => ("Stalled", "Reconciling"),
    };
    let abnormal = condition(&resource, present);
    assert_eq!(
        abnormal.map(|c| (c.status, c.reason)),
        Some(("True".into(), row.reason.into())),
        "{case}"
    );
    assert_eq!(condition(&resource, absent), None, "{case}");
    if row.event {
        let note = world.event("events", row.reason).await;
        assert!(note.contains(row.words), "{case}: {note}");
    }

    // It is tried again without anybody touching the resource.
    let tries = || world.proxy.actions().iter().filter(|action| *action == row.action).count();
    let so_far = tries();
    eventually(&format!("{case}: another try"), || async {
        if tries() > so_far { Ok(()) } else { Err(world.log()) }
    })
    .await;
    world.proxy.heal();
    if row.action == "DeleteRole" {
        world.gone("events").await;
    } else {
        world.ready("events").await;
    }
}

#[tokio::test]
async fn what_waits_for_the_user_is_tried_at_once_when_the_spec_changes() {
    let mut world = World::without_controller("code-edit").await;
    let fault = Fault::answer(400, "MalformedPolicyDocument", "Syntax errors in policy.");
    world.proxy.inject("PutRolePolicy", None, fault);
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    world.sees("events", "False", "RefusedByIam").await;
    world.proxy.heal();
    let mut spec = world.kinesis_spec("events");
    spec["tags"] = json!({"team": "marketing"});
    world.apply("events", &spec).await;
    world.ready("events").await;
}
