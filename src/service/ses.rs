//! Amazon SES: the events of a configuration set.

use super::table::{Certainty, Conditions, Difference, Principal, SourceField, SourceForm, Target};
use super::table::{Service, USUAL};
use super::{DestinationKind, IN_SES_AND_SMS};

const PAGE: &str = "https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-firehose.html";

/// The entry for Amazon SES. The page writes both Regions alike, so the stream must be in the Region of the
/// configuration set. A configuration set can also be named by a wildcard, which `StringEquals` takes literally.
pub(super) static SES: Service = Service {
    key: "ses",
    name: "Amazon SES",
    principal: Principal::Global("ses.amazonaws.com"),
    source: SourceForm {
        namespace: "ses",
        resource: "configuration-set/",
        fields: &[SourceField {
            name: "configurationSetName",
            what: "the name of the SES configuration set",
            characters: "a-zA-Z0-9_-",
            length: (1, 64),
            default: None,
            example: "newsletter",
        }],
    },
    conditions: Conditions::AccountAndArn,
    page: PAGE,
    targets: &[Target {
        kind: DestinationKind::Firehose,
        actions: &["firehose:PutRecordBatch"],
        certainty: Certainty::Documented,
        page: PAGE,
        attach: "aws sesv2 create-configuration-set-event-destination --configuration-set-name {configurationSetName} --event-destination-name to-firehose --event-destination 'Enabled=true,MatchingEventTypes=SEND,DELIVERY,BOUNCE,COMPLAINT,KinesisFirehoseDestination={IamRoleArn={role},DeliveryStreamArn={destination}}'",
    }],
    instead: &[
        (
            DestinationKind::Kinesis,
            "send events to the default event bus and use source.eventBridgeRule",
        ),
        (
            DestinationKind::LogGroup,
            "send events to the default event bus; a rule writes to a log group without a role",
        ),
        (
            DestinationKind::SnsTopic,
            "SES publishes to SNS without a role; allow ses.amazonaws.com in the topic policy",
        ),
    ],
    same_region: true,
    partitions: &IN_SES_AND_SMS,
    pass_role: "The Service Authorization Reference lists no `iam:PassRole` for this call. Allow it all the same: it may be checked.",
    differences: &[Difference {
        target: None,
        reason: "`ArnLike` instead of `StringEquals` for `aws:SourceArn`: it means the same for a name, and `*` works.",
    }],
    ..USUAL
};
