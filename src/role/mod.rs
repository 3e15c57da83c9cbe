//! What a resource declares, what IAM has, and the ordered writes that lead from one to the other. Pure:
//! no clock, no network, no SDK, so that the same plan is what gets applied, reported and named in events.

mod defaults;
mod deletion;
mod desired;
mod name;
mod observed;
mod order;
mod ownership;
mod plan;
mod recent;
mod tag_key;

pub use defaults::{DefaultTags, Defaults, InvalidTags, MAX_TAGS};
pub use deletion::{Deletion, DeletionRequest, Kept, plan_deletion};
pub use desired::{
    DesiredRole, SpecError, desired, destination_label, expected_arn, owner, role_key, role_name,
};
pub use name::{RoleKey, RoleName, RoleNamePrefix, RolePath};
pub use observed::ObservedRole;
pub use ownership::{
    ADOPTED_TAG, CLUSTER_TAG, Owner, Ownership, RESOURCE_TAG, Standing, UID_TAG, is_adopted,
};
pub use plan::{Change, NewRole, Plan, Precedence, Refusal, Write, plan};
pub use recent::{Outcome, RecentWrites};
pub use tag_key::{folded as folded_tag_key, is_reserved as is_reserved_tag_key};
