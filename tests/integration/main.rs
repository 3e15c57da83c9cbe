//! The controller's binary against a real kube-apiserver with RBAC and moto's IAM. It runs under a service account with
//! only the shipped `ClusterRole`, and IAM denies what the shipped policies do not allow. Each test has its own
//! namespace, role names, controller and proxy, so all tests run concurrently on one stack.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::redundant_closure_for_method_calls,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and tables are long"
)]

mod accounts;
mod bad_input;
mod calls;
mod command_line;
mod conformance;
mod connections;
mod credentials;
mod defaults;
mod deletion;
mod drift;
mod editors;
mod error_codes;
mod events;
mod hostile;
mod hostile_live;
mod hostile_objects;
mod leader;
mod lifecycle;
mod networks;
mod order;
mod ownership;
mod packages;
mod peers;
mod permissions;
mod policies;
mod rbac;
mod services;
mod startup;
mod states;
mod telemetry;
mod upgrade;
