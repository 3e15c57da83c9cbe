//! One reconcile of one resource: whether it can act, what it does to the role, and when it is requeued.

mod account;
mod apply;
mod assess;
mod delete;
mod invalid_object;
mod ledger;
mod orphan;
mod reconciler;
mod writers;

pub(crate) use account::Account;
pub(crate) use assess::{check_caller, compare, turn};
pub(crate) use invalid_object::REASON as INVALID_OBJECT;
pub(crate) use orphan::{clean_up_orphans, report_orphan};
pub(crate) use reconciler::Reconciler;
