//! IAM policy documents: what one says, whether two say the same, and where they differ.
//!
//! A [`Document`] is read from what IAM answers or from what we want, keeps all it was given,
//! and prints in the order people write policies in. Two documents are [equivalent] when IAM
//! would evaluate them alike by the rules of its policy grammar; [`differences`] names what
//! differs, and is empty exactly when they are equivalent.
//!
//! Promise: pure, and panics on no input. In doubt two documents differ: a needless write is
//! repaired by the next comparison, a hidden drift by nobody. Nothing is evaluated: `s3:*`
//! includes `s3:Get*`, but is not equal to both of them together.
//!
//! Must not know: the AWS SDK, Kubernetes, the clock, the network, or what is done about drift.
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
pub use text::{readable, shortened};
