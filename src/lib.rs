//! `streamrole` keeps the IAM roles with which an AWS service sends events in sync with Kubernetes resources.
//!
//! ARCHITECTURE.md documents which module holds what, and which modules it can use; `tests/modules.rs` enforces it.

pub mod api;
pub mod audit;
pub mod cli;
pub mod controller;
pub mod iam;
pub mod policy;
pub mod role;
pub mod service;
pub mod telemetry;
pub mod timing;
