//! Every way in which a call to IAM fails: what the user reads, and when the controller requeues the resource.

use std::time::Duration;

use streamrole::role::{Action, ErrorKind, Retry};
use support::in_process::{InProcess, kinesis_spec};
use tokio::time::Instant;

/// Every kind of error, with its reason and a word of its remedy. It only compiles while it covers all kinds.
const fn of_kind(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::Conflict => {
            ("Progressing", "Retrying.")
        }
        ErrorKind::InvalidPrincipal => ("Progressing", "new principal"),
        ErrorKind::MissingBoundary => ("Progressing", "new policy"),
        ErrorKind::DeleteConflict => ("DeletionBlocked", "instance profile"),
        ErrorKind::Rejected => ("RefusedByIam", "Change the field"),
        ErrorKind::LimitExceeded => ("LimitExceeded", "quota"),
        ErrorKind::Throttled => ("Throttled", "more slowly"),
        ErrorKind::AccessDenied => ("AccessDenied", "Allow the controller's credentials iam:"),
        ErrorKind::Credentials => ("CredentialsUnavailable", "Check the controller's AWS"),
        ErrorKind::CredentialsAway => ("CredentialsUnavailable", "Retrying."),
        ErrorKind::Unavailable => ("IamUnavailable", "Retrying."),
        ErrorKind::Internal => ("RefusedByIam", "report this bug"),
    }
}

const KINDS: [ErrorKind; 14] = [
    ErrorKind::NotFound,
    ErrorKind::AlreadyExists,
    ErrorKind::Conflict,
    ErrorKind::DeleteConflict,
    ErrorKind::InvalidPrincipal,
    ErrorKind::MissingBoundary,
    ErrorKind::Rejected,
    ErrorKind::LimitExceeded,
    ErrorKind::Throttled,
    ErrorKind::AccessDenied,
    ErrorKind::Credentials,
    ErrorKind::CredentialsAway,
    ErrorKind::Unavailable,
    ErrorKind::Internal,
];

#[tokio::test(start_paused = true)]
async fn each_kind_of_error_has_its_reason_remedy_and_conditions_and_recovers() {
    for kind in KINDS {
        let world = InProcess::new();
        // A call of every reconcile.
        world.roles.fail(Action::PutRolePolicy, kind);
        world.apply("events", &kinesis_spec("s"));
        let (reason, remedy) = of_kind(kind);
        let message = world.says("events", "False", reason).await;
        for part in [remedy, "PutRolePolicy", "ns-events", "IAM's own words"] {
            assert!(message.contains(part), "{kind:?}: {part:?} in {message:?}");
        }
        let is_retried_soon = kind.retry() == Retry::Soon;
        assert_eq!(world.is("events", "Reconciling"), is_retried_soon, "{kind:?}");
        assert_eq!(world.is("events", "Stalled"), !is_retried_soon, "{kind:?}");
        let warned = world.cluster.events().iter().any(|(of, _)| of == reason);
        assert!(warned, "{kind:?} has its event: {:?}", world.cluster.events());
        world.roles.heal();
        // If only a change can help, the resource waits for the resync or for that change.
        world.synced("events").await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_class_of_retry_is_retried_on_time() {
    for kind in KINDS {
        let world = InProcess::new();
        world.roles.fail(Action::PutRolePolicy, kind);
        world.apply("events", &kinesis_spec("s"));
        let (reason, _) = of_kind(kind);
        world.says("events", "False", reason).await;
        let _ = world.roles.take_calls();
        let failed = Instant::now();
        world
            .until("another call", || {
                let puts = world.roles.take_calls().contains(&Action::PutRolePolicy);
                puts.then_some(()).ok_or_else(String::new)
            })
            .await;
        let pause = failed.elapsed();
        let expected = match kind.retry() {
            Retry::Soon => Duration::from_millis(500)..Duration::from_secs(10),
            Retry::Slowly => Duration::from_secs(25)..Duration::from_mins(2),
            // The resync compares it, with a jitter of a tenth.
            Retry::AfterChange => Duration::from_mins(8)..Duration::from_mins(12),
        };
        assert!(expected.contains(&pause), "{kind:?}: {pause:?} is not in {expected:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_resource_is_reconciled_immediately_when_the_spec_changes() {
    let world = InProcess::new();
    world.roles.fail(Action::CreateRole, ErrorKind::Rejected);
    world.apply("events", &kinesis_spec("s"));
    world.says("events", "False", "RefusedByIam").await;
    world.roles.heal();
    let edited = Instant::now();
    world.apply("events", &kinesis_spec("t"));
    world.synced("events").await;
    assert!(edited.elapsed() < Duration::from_secs(30), "{:?}", edited.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_principal_or_boundary_unknown_for_two_minutes_waits_for_a_change() {
    for kind in [ErrorKind::InvalidPrincipal, ErrorKind::MissingBoundary] {
        let world = InProcess::new();
        world.roles.fail(Action::CreateRole, kind);
        world.apply("events", &kinesis_spec("s"));
        world.says("events", "False", "Progressing").await;
        let begun = Instant::now();
        world.says("events", "False", "RefusedByIam").await;
        assert!(begun.elapsed() > Duration::from_mins(2), "{:?}", begun.elapsed());
        assert!(world.is("events", "Stalled"));
        let _ = world.roles.take_calls();
        world.pass(Duration::from_mins(5)).await;
        assert!(!world.roles.take_calls().contains(&Action::CreateRole), "it waits for a change");
    }
}
