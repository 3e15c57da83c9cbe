//! What the controller shows of itself: logs, metrics and health. Nothing here knows the resource, IAM or
//! Kubernetes.

mod http;
mod logs;
mod metrics;

pub use http::{Health, serve};
pub use logs::{LogFormat, init_logs};
pub use metrics::{ConditionLabels, Counted, Metrics};
