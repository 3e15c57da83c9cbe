//! Lets the role of a deleted resource go, as its policies and the role's ownership allow.

use crate::api::PinpointEventStreamRole;
use crate::role::{self, Deletion, RoleName, Write};

use super::Context;
use super::status::{Progress, Verdict};

/// What became of the role of a deleted resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Farewell {
    /// It was deleted.
    Deleted(RoleName),
    /// It stays, without our tags.
    Released(RoleName),
    /// There was nothing of ours to delete.
    Nothing,
}

/// Deletes or releases the role. On `Err` the resource must stay, and the verdict says why.
pub(super) async fn clean_up(
    resource: &PinpointEventStreamRole,
    context: &Context,
    progress: &mut Progress,
) -> Result<Farewell, Verdict> {
    let (Ok(name), Ok(owner)) =
        (role::role_name(resource), role::owner(resource, context.cluster.as_str()))
    else {
        // A name that IAM cannot accept names no role.
        return Ok(Farewell::Nothing);
    };
    progress.role_name = Some(name.to_string());
    let observed = context.iam.observe_names(&name).await?;
    let spec = &resource.spec;
    let deletion = role::plan_deletion(
        &owner,
        observed.as_ref(),
        spec.deletion_policy,
        spec.drift_policy,
        spec.exclusive_policies,
    );
    match deletion {
        Deletion::LeaveAlone => Ok(Farewell::Nothing),
        Deletion::Blocked(policies) => Err(Verdict::DeletionBlocked(policies)),
        Deletion::Release(writes) => {
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Released(name))
        }
        Deletion::Delete(writes) => {
            write_all(&name, &writes, context).await?;
            Ok(Farewell::Deleted(name))
        }
    }
}

async fn write_all(name: &RoleName, writes: &[Write], context: &Context) -> Result<(), Verdict> {
    for write in writes {
        context.iam.apply(name, write).await?;
    }
    Ok(())
}
