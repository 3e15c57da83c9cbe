//! The local stack for tests and the demo: a real etcd and kube-apiserver with RBAC, moto's server as IAM and STS, and
//! a proxy in front of it that counts calls and injects faults on the wire. Everything listens on free ports of
//! loopback, and ends with the process that started it, even if that process is killed.

mod account;
mod assets;
mod canned;
mod chaos;
mod check_status;
mod collector;
mod controller;
mod credentials;
mod forward_proxy;
mod generated;
mod get;
mod iam_policy;
pub mod in_process;
mod kube_proxy;
mod measure;
mod memory_iam;
mod process;
mod proxy;
mod query;
mod rate_limit;
mod replica;
mod resources;
mod server;
mod stack;
mod tls;
mod tunnel;
mod wait;
pub mod world;

pub use account::{Account, Applied, By, Role};
pub use canned::Canned;
pub use chaos::{Chaos, Mishap, STALENESS};
pub use check_status::{check_status, status_violations};
pub use collector::{Collector, Span};
pub use controller::{Controller, ControllerOptions};
pub use forward_proxy::ForwardProxy;
pub use generated::{Generated, repository};
pub use get::http_get;
pub use iam_policy::{Guard, IamPolicies, Request, RoleInIam};
pub use kube_proxy::KubeProxy;
pub use measure::{cases, measures};
pub use memory_iam::{Calls, MemoryIam};
pub use process::Process;
pub use proxy::{Fault, Proxy};
pub use query::Call;
pub use rate_limit::RateLimit;
pub use replica::Replica;
pub use resources::{
    api_resource, cluster_id, condition, create_all, create_event_stream_roles, create_namespace,
    create_resources, is_ready, kinesis_arn, manifest, ready,
};
pub use stack::{ACCOUNT_ID, CLUSTER_ROLE, CRD, LEASE_ROLE, Stack, iam_at, set_aws_environment};
pub use tls::TlsFront;
pub use tunnel::Tunnel;
pub use wait::{eventually, eventually_within};

/// Why the stack cannot start. For people: tests and the demo only print it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
