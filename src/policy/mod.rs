//! IAM policy documents: what one means, whether two mean the same, and where they differ.
//!
//! A [`Document`] is parsed from IAM's answers or built from the spec. It keeps its whole content and prints elements
//! in the usual order. Two documents are [equivalent] when IAM evaluates them alike by the rules of its policy grammar.
//! [`differences`] names the differences; it is empty exactly when the documents are equivalent.
//!
//! Promise: pure, and panics on no input. In doubt two documents differ: the next comparison repairs a needless write,
//! but nothing repairs hidden drift. Nothing is evaluated: `s3:*` includes `s3:Get*`, but is not equal to both of them
//! together.
//!
//! Must not know: the AWS SDK, Kubernetes, the clock, the network, or how the controller reacts to drift.
//!
//! [equivalent]: Document::equivalent

mod arn;
mod canonical;
mod difference;
mod document;
mod encoding;
mod grants;
mod principal;
mod text;

pub(crate) use arn::Arn;
pub use arn::{
    AccountId, InvalidIdentifier, PATH_SEGMENT_PATTERN, Partition, PolicyArn, Region, is_plain_path,
};
pub use difference::{Difference, differences};
pub use document::{Document, DocumentError};
pub use encoding::{NotUtf8, percent_decode, percent_encode};
pub use principal::{Caller, Place};
pub use text::{capitalized, readable, shortened};
