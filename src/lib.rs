//! `streamrole` keeps IAM roles that let an AWS service send events equal to what Kubernetes resources declare.
//!
//! Which module holds what, and which other modules it may use, is in ARCHITECTURE.md; `tests/modules.rs` holds the code to
//! it.

pub mod api;
pub mod cli;
pub mod controller;
pub mod iam;
pub mod policy;
pub mod role;
pub mod service;
pub mod telemetry;
pub mod timing;
