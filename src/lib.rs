//! `streamrole` keeps the IAM roles that `PinpointEventStreamRole` resources declare equal to their
//! declaration.
//!
//! The rooms, and what each may know of the others, are on one page in ARCHITECTURE.md. In one line:
//! `api` and `policy` know nothing of the rest, `role` decides, `iam` talks to AWS, `controller` ties
//! them to Kubernetes, `cli` starts it.

pub mod api;
pub mod cli;
pub mod controller;
pub mod iam;
pub mod policy;
pub mod role;
pub mod telemetry;
