//! AWS End User Messaging Social: the WhatsApp events of a business account.

use super::DestinationKind;
use super::table::{
    Certainty, Conditions, Difference, Principal, Service, SourceForm, Target, USUAL,
};

const PAGE: &str = "https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destinations-add.html";

/// The entry for AWS End User Messaging Social. The page prints no trust policy for SNS; an AWS example of 2026-08
/// (`agent-toolkit-for-aws`, `configuring-event-destinations.md`) does. The API rejects the ARN of a role with a path.
pub(super) static END_USER_MESSAGING_SOCIAL: Service = Service {
    key: "endUserMessagingSocial",
    name: "AWS End User Messaging Social",
    principal: Principal::Global("social-messaging.amazonaws.com"),
    source: SourceForm { namespace: "social-messaging", resource: "", fields: &[] },
    conditions: Conditions::AccountAndArn,
    certainty: Certainty::Tested,
    page: PAGE,
    targets: &[Target {
        kind: DestinationKind::SnsTopic,
        actions: &["sns:Publish"],
        certainty: Certainty::Tested,
        page: PAGE,
        attach: "aws socialmessaging put-whatsapp-business-account-event-destinations --id WABA_ID --event-destinations eventDestinationArn={destination},roleArn={role}",
    }],
    instead: &[
        (
            DestinationKind::Kinesis,
            "send events to an SNS topic; no subscription reaches a Kinesis data stream, so use a Firehose stream with source.sns",
        ),
        (
            DestinationKind::Firehose,
            "send events to an SNS topic, and from there to the stream with source.sns",
        ),
        (DestinationKind::LogGroup, "send events to an SNS topic"),
    ],
    takes_path: false,
    pass_role: "No page says whether the call checks `iam:PassRole`. Allow it.",
    differences: &[Difference {
        target: None,
        reason: "The Region of the source in `aws:SourceArn`, where the example has `*`.",
    }],
    ..USUAL
};
