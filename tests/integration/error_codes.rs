//! Errors of IAM, one code of each kind: what the user reads, and that the call is retried. The unit tests of
//! `src/iam/codes.rs` and `src/controller/runtime/requeue.rs` cover the kind of each code, and the pauses of each kind.

use k8s_openapi::api::events::v1::Event;
use kube::Api;
use kube::api::ListParams;
use support::Fault;

use support::world::{World, condition, ready};

/// The condition for the call to succeed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Needs {
    /// Nothing: it is retried without a resync, and the resource is `Reconciling`.
    Nothing,
    /// A user acts: it is retried with the resync at the latest, and the resource is `Stalled`.
    Action,
}

struct Row {
    code: &'static str,
    status: u16,
    /// The call with this answer.
    action: &'static str,
    words: &'static str,
    reason: &'static str,
    remedy: &'static str,
    needs: Needs,
    /// Whether the message names the code, the call, the role and the request. False where IAM's answer is not the
    /// cause.
    quotes: bool,
    /// Whether there is an event. False for a failure that passes within seconds.
    event: bool,
}

const ROWS: [Row; 11] = [
    Row {
        code: "NoSuchEntity",
        status: 404,
        action: "PutRolePolicy",
        words: "The role cannot be found.",
        reason: "Progressing",
        remedy: "Retrying.",
        needs: Needs::Nothing,
        quotes: true,
        event: true,
    },
    Row {
        code: "EntityAlreadyExists",
        status: 409,
        action: "CreateRole",
        words: "has not yet returned",
        reason: "Progressing",
        remedy: "Retrying.",
        needs: Needs::Nothing,
        quotes: false,
        event: false,
    },
    Row {
        code: "ConcurrentModification",
        status: 409,
        action: "CreateRole",
        words: "Another request is in progress.",
        reason: "Progressing",
        remedy: "Retrying.",
        needs: Needs::Nothing,
        quotes: true,
        event: true,
    },
    Row {
        code: "DeleteConflict",
        status: 409,
        action: "DeleteRole",
        words: "Cannot delete entity, must remove roles from instance profile first.",
        reason: "DeletionBlocked",
        remedy: "Remove what still uses the role",
        needs: Needs::Action,
        quotes: true,
        event: true,
    },
    Row {
        code: "MalformedPolicyDocument",
        status: 400,
        action: "PutRolePolicy",
        words: "Syntax errors in policy.",
        reason: "RefusedByIam",
        remedy: "Change the field of the spec that IAM names.",
        needs: Needs::Action,
        quotes: true,
        event: true,
    },
    // The code has two meanings; the other one is "Invalid principal".
    Row {
        code: "MalformedPolicyDocument",
        status: 400,
        action: "CreateRole",
        words: "Invalid principal in policy: x",
        reason: "Progressing",
        remedy: "A new principal can take a moment",
        needs: Needs::Nothing,
        quotes: true,
        event: true,
    },
    Row {
        code: "LimitExceeded",
        status: 409,
        action: "CreateRole",
        words: "Cannot exceed quota for RolesPerAccount: 1000.",
        reason: "LimitExceeded",
        remedy: "Free some of this quota, or ask AWS to raise it.",
        needs: Needs::Action,
        quotes: true,
        event: true,
    },
    Row {
        code: "UnmodifiableEntity",
        status: 400,
        action: "PutRolePolicy",
        words: "Cannot perform the operation on the protected role.",
        reason: "RefusedByIam",
        remedy: "Change the field of the spec that IAM names.",
        needs: Needs::Action,
        quotes: true,
        event: true,
    },
    Row {
        code: "Throttling",
        status: 400,
        action: "CreateRole",
        words: "Rate exceeded",
        reason: "Throttled",
        remedy: "Retrying more slowly.",
        needs: Needs::Nothing,
        quotes: true,
        event: true,
    },
    Row {
        code: "AccessDenied",
        status: 403,
        action: "PutRolePolicy",
        words: "User x is not authorized to perform: iam:PutRolePolicy",
        reason: "AccessDenied",
        remedy: "Allow the controller's credentials iam:PutRolePolicy on arn:aws:iam::",
        needs: Needs::Action,
        quotes: true,
        event: true,
    },
    Row {
        code: "ServiceFailure",
        status: 500,
        action: "CreateRole",
        words: "The request processing has failed.",
        reason: "IamUnavailable",
        remedy: "Retrying.",
        needs: Needs::Nothing,
        quotes: true,
        event: true,
    },
];

#[tokio::test]
async fn each_kind_of_error_has_its_condition_reason_message_and_event_and_is_retried() {
    // A separate controller for each row: throttling slows all calls of one.
    futures::future::join_all(ROWS.iter().map(check)).await;
}

async fn check(row: &Row) {
    let case = format!("{} to {}", row.code, row.action);
    let mut world = match row.needs {
        // No resync helps.
        Needs::Nothing => World::without_controller("code").await,
        Needs::Action => World::resyncing_later("code").await,
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
    for part in [row.code, row.action, "request id"] {
        assert_eq!(message.contains(part), row.quotes, "{case}: {part:?} in {message:?}");
    }
    let (present, absent) = match row.needs {
        Needs::Nothing => ("Reconciling", "Stalled"),
        Needs::Action => ("Stalled", "Reconciling"),
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

    // The next reconcile succeeds, and only a retry leads to it.
    world.proxy.heal();
    if row.action == "DeleteRole" {
        world.gone("events").await;
    } else {
        world.ready("events").await;
    }
    if !row.event {
        let events: Api<Event> = Api::namespaced(world.client.clone(), &world.namespace);
        let events = events.list(&ListParams::default()).await.unwrap();
        let told = events.iter().any(|event| event.reason.as_deref() == Some(row.reason));
        assert!(!told, "{case}: no event for what passes within seconds");
    }
}

#[tokio::test]
async fn a_partial_write_is_reported_and_a_requested_reconcile_retries() {
    let mut world = World::without_controller("refused").await;
    let words = "This policy contains invalid Json";
    world.proxy.inject("PutRolePolicy", None, Fault::answer(400, "MalformedPolicyDocument", words));
    world.start_controller().await;
    world.apply("events", &world.kinesis_spec("events")).await;
    let resource = world.sees("events", "False", "RefusedByIam").await;
    let synced = |type_| condition(&resource, type_).map(|c| c.status);
    assert_eq!(
        synced("TrustPolicySynced").as_deref(),
        Some("True"),
        "what was written is reported"
    );
    assert_eq!(synced("PermissionsPolicySynced").as_deref(), Some("False"));

    world.proxy.heal();
    world.annotate("events", "streamrole.dev/reconcile-requested-at", "1").await;
    world.ready("events").await;
}
