//! The declared role, the live role, and the ordered writes that lead from one to the other. Pure, except for the port
//! to IAM: no clock, no network, no SDK. The plan that is applied is also the plan in reports and events.

mod action;
mod declaration;
mod defaults;
mod deletion;
mod error;
mod name;
mod observed;
mod order;
mod ownership;
mod plan;
mod port;
mod recent;
mod tag_key;

pub use action::Action;
pub use declaration::{
    AdoptionPolicy, Declaration, DeletionPolicy, DesiredRole, DriftPolicy, Held, InlinePolicy,
};
pub use defaults::{DefaultTags, Defaults, InvalidTags, MAX_TAGS};
pub use deletion::{Deletion, DeletionRequest, Kept, plan_deletion};
pub use error::{ErrorKind, IamError, Retry};
pub use name::{RoleKey, RoleName, RoleNamePrefix, RolePath};
pub use observed::{LiveDocument, ObservedRole};
pub use ownership::{
    ADOPTED_TAG, CLUSTER_TAG, ClusterId, Owner, Ownership, RESERVED_TAG_PREFIX, RESOURCE_TAG,
    ResourceName, Standing, UID_TAG, is_adopted,
};
pub use plan::{Change, NewRole, Part, Plan, Precedence, Refusal, Write, plan};
pub use port::{Answer, Page, RoleIdentity, RoleSettings, Roles};
pub use recent::{Outcome, RecentWrites};
pub use tag_key::{
    InvalidKeys, check as check_tag_keys, folded as folded_tag_key,
    is_reserved as is_reserved_tag_key,
};
