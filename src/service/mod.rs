//! The documents that each AWS service needs on the role with which it sends events: one entry and one file per
//! service. Only this folder and the file of a kind name a service. Pure: it builds documents from what a resource
//! declares, and finds in documents what a resource would declare.

mod access;
mod cloud_watch_logs;
mod destination;
mod documents;
mod end_user_messaging_sms;
mod end_user_messaging_social;
mod event_bridge_rule;
mod event_stream;
mod guide;
mod iot;
mod metric_streams;
mod pinpoint;
mod recognize;
mod scheduler;
mod ses;
mod sns;
mod source;
mod successors;
mod table;

use crate::policy::Partition;

pub use access::{Access, new_access};
pub use destination::{DestinationArn, DestinationKind, KeyArn};
pub use event_stream::{EventStream, Mismatch};
pub use guide::{actions, attach, guide};
pub use pinpoint::{FIRST_KIND, PINPOINT, project_id};
pub use recognize::{recognize, trusted};
pub use source::{InvalidSource, Source};
pub use successors::{Events, Names, Succession, Successor, succession};
pub use table::{
    Certainty, Conditions, Difference, Principal, Service, SourceField, SourceForm, Target,
};

/// Every service that assumes a role to send events, in the order of the documentation.
pub static SERVICES: [&Service; 10] = [
    &pinpoint::PINPOINT,
    &ses::SES,
    &end_user_messaging_sms::END_USER_MESSAGING_SMS,
    &event_bridge_rule::EVENT_BRIDGE_RULE,
    &sns::SNS,
    &cloud_watch_logs::CLOUD_WATCH_LOGS,
    &scheduler::SCHEDULER,
    &end_user_messaging_social::END_USER_MESSAGING_SOCIAL,
    &metric_streams::METRIC_STREAMS,
    &iot::IOT,
];

/// Name of the inline policy, unless the entry of the service has another.
pub const USUAL_POLICY_NAME: &str = table::USUAL.policy_name;

/// The partitions with SES and End User Messaging.
const IN_SES_AND_SMS: [Partition; 3] = [Partition::Aws, Partition::AwsUsGov, Partition::AwsEusc];

impl Service {
    /// The services that a resource can name below `spec.source`: those that have not ended.
    pub fn current() -> impl Iterator<Item = &'static Self> {
        SERVICES.into_iter().filter(|service| service.ended.is_none())
    }

    /// The current service with this key.
    #[must_use]
    pub fn with_key(key: &str) -> Option<&'static Self> {
        Self::current().find(|service| service.key == key)
    }
}
