//! The resync: the periodic comparison of all settled resources with IAM.

mod all;
mod compare;

pub(crate) use all::{Parts, resync};
