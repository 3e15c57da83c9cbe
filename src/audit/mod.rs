//! What is wrong with the roles that a service of the table can assume: findings with their evidence and remedy.
//!
//! Promise: pure, and panics on no input. A finding of level warning or error is certain by the pages that its rule
//! names; doubt makes a note or nothing. The role that a declaration makes has no such finding, except that its service
//! has ended or that it declares no source.
//!
//! Must not know: the AWS SDK, Kubernetes, the clock, files, or how a report is shown.

mod accept;
mod context;
mod finding;
mod glob;
mod manager;
mod permissions;
mod report;
mod rule;
mod statement;
mod trust;

pub use accept::{Acceptance, accept};
pub use finding::{Accepted, Finding};
pub use manager::Manager;
pub use report::{AuditedRole, Report, audit};
pub use rule::{Rule, Severity};
