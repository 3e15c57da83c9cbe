//! Whose role is it? Three tags on the role answer, and nothing else does: a status can be lost in a
//! restore and a crash can come before it is written, but the tags are set by the call that creates the
//! role.

use std::collections::BTreeMap;

/// Tag key: uid of the cluster's `kube-system` namespace.
pub const CLUSTER_TAG: &str = "streamrole.dev/cluster";
/// Tag key: `namespace/name` of the resource.
pub const RESOURCE_TAG: &str = "streamrole.dev/resource";
/// Tag key: uid of the resource.
pub const UID_TAG: &str = "streamrole.dev/uid";
/// Tag key, with the value `true`: the role existed before the resource and was taken over by it.
pub const ADOPTED_TAG: &str = "streamrole.dev/adopted";

/// Prefix of every tag that the controller keeps for itself.
pub const RESERVED_TAG_PREFIX: &str = "streamrole.dev/";

/// A resource as ownership tags name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Uid of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// `namespace/name`.
    pub resource: String,
    /// Uid of the resource.
    pub uid: String,
}

impl Owner {
    /// The tags that mark a role as this owner's.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (CLUSTER_TAG.into(), self.cluster.clone()),
            (RESOURCE_TAG.into(), self.resource.clone()),
            (UID_TAG.into(), self.uid.clone()),
        ])
    }

    /// Reads a role's tags. `None` when the role has none of ours.
    #[must_use]
    pub fn of(tags: &BTreeMap<String, String>) -> Option<Self> {
        let tag = |key: &str| tags.get(key).cloned();
        let (cluster, resource, uid) = (tag(CLUSTER_TAG), tag(RESOURCE_TAG), tag(UID_TAG));
        if cluster.is_none() && resource.is_none() && uid.is_none() {
            return None;
        }
        Some(Self {
            cluster: cluster.unwrap_or_default(),
            resource: resource.unwrap_or_default(),
            uid: uid.unwrap_or_default(),
        })
    }
}

/// Whether the role existed before the resource that owns it.
#[must_use]
pub fn is_adopted(tags: &BTreeMap<String, String>) -> bool {
    tags.get(ADOPTED_TAG).is_some_and(|value| value == "true")
}

/// What a role's tags say to one resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// The role is this very object's.
    Ours,
    /// The role was that of an earlier object of the same namespace and name in this cluster, which can
    /// no longer exist: names are unique there. Recreation and restore from a backup lead here.
    Predecessors,
    /// The role has no ownership tags.
    Foreign,
    /// The role is another object's, in this cluster or in another.
    Anothers(Owner),
}

impl Ownership {
    /// What `tags` say to `owner`.
    #[must_use]
    pub fn of(tags: &BTreeMap<String, String>, owner: &Owner) -> Self {
        match Owner::of(tags) {
            None => Self::Foreign,
            Some(found) if found == *owner => Self::Ours,
            Some(found) if found.cluster == owner.cluster && found.resource == owner.resource => {
                Self::Predecessors
            }
            Some(found) => Self::Anothers(found),
        }
    }
}

/// What is known in this cluster of the object that a role's tags name, when it is another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It exists, or may exist, and its role is its own.
    Keeps,
    /// It exists and declares the same role, but was created later: it has to yield.
    Yields,
    /// It no longer exists.
    Gone,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(cluster: &str, resource: &str, uid: &str) -> Owner {
        Owner { cluster: cluster.into(), resource: resource.into(), uid: uid.into() }
    }

    #[test]
    fn only_the_object_that_all_three_tags_name_owns_the_role() {
        let me = owner("c1", "ns/a", "u1");
        let cases = [
            (owner("c1", "ns/a", "u1"), Ownership::Ours),
            (owner("c1", "ns/a", "u0"), Ownership::Predecessors),
            (owner("c2", "ns/a", "u1"), Ownership::Anothers(owner("c2", "ns/a", "u1"))),
            (owner("c1", "ns/b", "u1"), Ownership::Anothers(owner("c1", "ns/b", "u1"))),
        ];
        for (found, expected) in cases {
            assert_eq!(Ownership::of(&found.tags(), &me), expected, "tags of {found:?}");
        }
        let strangers = BTreeMap::from([("team".to_owned(), "marketing".to_owned())]);
        assert_eq!(Ownership::of(&strangers, &me), Ownership::Foreign);
    }

    #[test]
    fn a_role_with_some_of_our_tags_is_not_foreign() {
        let me = owner("c1", "ns/a", "u1");
        let mut tags = me.tags();
        tags.remove(UID_TAG);
        assert_eq!(Ownership::of(&tags, &me), Ownership::Predecessors);
        tags.remove(RESOURCE_TAG);
        assert!(matches!(Ownership::of(&tags, &me), Ownership::Anothers(_)));
    }
}
