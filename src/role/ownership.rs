//! Who owns a role. Only three tags on the role decide. A status can be lost in a restore, and the controller can crash
//! before it writes one; the call that creates the role also sets the tags.

use std::collections::BTreeMap;
use std::fmt;

use crate::service::FIRST_KIND;

/// Tag key: uid of the cluster's `kube-system` namespace.
pub const CLUSTER_TAG: &str = "streamrole.dev/cluster";
/// Tag key: the resource, as [`ResourceName::tag`] writes it.
pub const RESOURCE_TAG: &str = "streamrole.dev/resource";
/// Tag key: uid of the resource.
pub const UID_TAG: &str = "streamrole.dev/uid";
/// Tag key, with the value `true`: the role existed before the resource, which adopted it.
pub const ADOPTED_TAG: &str = "streamrole.dev/adopted";

/// Prefix of all tags that are reserved for the controller.
pub const RESERVED_TAG_PREFIX: &str = "streamrole.dev/";

/// Identity of a cluster: the uid of its `kube-system` namespace, which lives as long as the cluster, or a value that
/// the user gives instead.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClusterId(String);

impl ClusterId {
    /// The uid of `kube-system`.
    #[must_use]
    pub const fn of_uid(uid: String) -> Self {
        Self(uid)
    }

    /// Parses an identity that a user gives: up to 64 letters, digits, dots, dashes and underscores.
    ///
    /// # Errors
    /// When `text` is not such an identity. The text names the rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 letters, digits, dots, dashes or underscores".into())
        }
    }

    /// The uid, or the value that the user gave instead.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A resource as ownership tags name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Uid of the cluster's `kube-system` namespace.
    pub cluster: String,
    /// The resource as [`ResourceName::tag`] writes it; on a live role, any text.
    pub resource: String,
    /// Uid of the resource.
    pub uid: String,
}

/// Kind, namespace and name of a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceName {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ResourceName {
    /// The value of the tag [`RESOURCE_TAG`]: `namespace/name` for the first kind, `kind/namespace/name` for every
    /// other kind.
    #[must_use]
    pub fn tag(&self) -> String {
        let Self { kind, namespace, name } = self;
        if kind == FIRST_KIND {
            format!("{namespace}/{name}")
        } else {
            format!("{kind}/{namespace}/{name}")
        }
    }

    /// Reads the value of the tag [`RESOURCE_TAG`]; `None` when it names no resource.
    #[must_use]
    pub fn of_tag(value: &str) -> Option<Self> {
        let parts: Vec<_> = value.split('/').collect();
        let (kind, namespace, name) = match parts.as_slice() {
            [namespace, name] => (FIRST_KIND, namespace, name),
            [kind, namespace, name] => (*kind, namespace, name),
            _ => return None,
        };
        Some(Self {
            kind: kind.to_owned(),
            namespace: (*namespace).to_owned(),
            name: (*name).to_owned(),
        })
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl Owner {
    /// The resource for messages, as far as the tag names it.
    #[must_use]
    pub fn description(&self) -> String {
        let name = ResourceName::of_tag(&self.resource);
        name.map_or_else(|| format!("resource {}", self.resource), |name| name.to_string())
    }

    /// The tags that mark a role as this owner's.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (CLUSTER_TAG.into(), self.cluster.clone()),
            (RESOURCE_TAG.into(), self.resource.clone()),
            (UID_TAG.into(), self.uid.clone()),
        ])
    }

    /// Reads a role's tags. `None` when the role has no ownership tags. IAM ignores the case of tag keys (IAM user
    /// guide, "Rules for tagging in IAM"), so a key in another case counts too.
    #[must_use]
    pub fn of(tags: &BTreeMap<String, String>) -> Option<Self> {
        let [cluster, resource, uid] =
            [CLUSTER_TAG, RESOURCE_TAG, UID_TAG].map(|key| value(tags, key));
        if cluster.is_none() && resource.is_none() && uid.is_none() {
            return None;
        }
        Some(Self {
            cluster: cluster.cloned().unwrap_or_default(),
            resource: resource.cloned().unwrap_or_default(),
            uid: uid.cloned().unwrap_or_default(),
        })
    }

    fn is_complete(&self) -> bool {
        ![&self.cluster, &self.resource, &self.uid].into_iter().any(String::is_empty)
    }

    /// Whether every ownership tag is on the role exactly as this owner writes it.
    fn is_exactly_on(&self, tags: &BTreeMap<String, String>) -> bool {
        self.tags().iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}

/// The value under `key`, or under the same key in another case.
fn value<'a>(tags: &'a BTreeMap<String, String>, key: &str) -> Option<&'a String> {
    let in_another_case = || tags.iter().find(|(other, _)| other.eq_ignore_ascii_case(key));
    tags.get(key).or_else(|| in_another_case().map(|(_, value)| value))
}

/// Whether the role existed before the resource that owns it.
#[must_use]
pub fn is_adopted(tags: &BTreeMap<String, String>) -> bool {
    value(tags, ADOPTED_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// How a role's tags relate to one resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ownership {
    /// This object owns the role.
    Ours,
    /// This object owns the role, as the uid in the tags or the role's id proves. Its tags were removed, rewritten or
    /// changed in case.
    Damaged,
    /// An earlier object of the same namespace and name in this cluster owned the role. That object no longer exists,
    /// because names are unique. A recreation or a restore from a backup causes this.
    Predecessors,
    /// The role has no ownership tags, or too few to name an owner.
    Foreign,
    /// Another object owns the role, in this cluster or in another.
    Anothers(Owner),
}

impl Ownership {
    /// How `tags` relate to `owner`. `is_held` means that the role's id is the one that the resource held last. That is
    /// sufficient proof when the tags name no other owner.
    #[must_use]
    pub fn of(tags: &BTreeMap<String, String>, owner: &Owner, is_held: bool) -> Self {
        if owner.is_exactly_on(tags) {
            return Self::Ours;
        }
        let Some(found) = Owner::of(tags) else {
            return if is_held { Self::Damaged } else { Self::Foreign };
        };
        let is = |found: &str, ours: &str| found.eq_ignore_ascii_case(ours);
        if is(&found.uid, &owner.uid) || is_held && !found.is_complete() {
            Self::Damaged
        } else if is(&found.cluster, &owner.cluster) && is(&found.resource, &owner.resource) {
            Self::Predecessors
        } else if found.cluster.is_empty() {
            Self::Foreign
        } else {
            Self::Anothers(found)
        }
    }
}

/// The state in this cluster of another object that a role's tags name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It exists, or can exist, and owns its role.
    Keeps,
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
    fn two_kinds_of_one_namespace_and_name_are_two_owners() {
        let name = |kind: &str| ResourceName {
            kind: kind.into(),
            namespace: "ns".into(),
            name: "a".into(),
        };
        let (first, second) = (name(FIRST_KIND), name("SecondRole"));
        assert_eq!((first.tag(), second.tag()), ("ns/a".into(), "SecondRole/ns/a".into()));
        for name in [first, second] {
            assert_eq!(ResourceName::of_tag(&name.tag()), Some(name));
        }
        for tag in ["", "a", "a/b/c/d"] {
            assert_eq!(ResourceName::of_tag(tag), None, "{tag:?}");
        }
    }

    #[test]
    fn all_three_tags_prove_the_owner() {
        let me = owner("c1", "ns/a", "u1");
        let cases = [
            (owner("c1", "ns/a", "u1"), Ownership::Ours),
            (owner("c1", "ns/a", "u0"), Ownership::Predecessors),
            (owner("c2", "ns/a", "u2"), Ownership::Anothers(owner("c2", "ns/a", "u2"))),
            (owner("c1", "ns/b", "u2"), Ownership::Anothers(owner("c1", "ns/b", "u2"))),
        ];
        for (found, expected) in cases {
            assert_eq!(Ownership::of(&found.tags(), &me, false), expected, "tags of {found:?}");
        }
        let strangers = BTreeMap::from([("team".to_owned(), "marketing".to_owned())]);
        assert_eq!(Ownership::of(&strangers, &me, false), Ownership::Foreign);
    }

    #[test]
    fn the_uid_or_role_id_proves_ownership_when_tags_changed() {
        let me = owner("c1", "ns/a", "00aa");
        let with = |change: &dyn Fn(&mut BTreeMap<String, String>)| {
            let mut tags = me.tags();
            change(&mut tags);
            tags
        };
        let renamed = |tags: &mut BTreeMap<String, String>, key: &str, to: &str| {
            let value = tags.remove(key).unwrap_or_default();
            tags.insert(to.into(), value);
        };
        let another = || Ownership::Anothers(owner("c1", "ns/b", "u2"));
        let elsewhere = || Ownership::Anothers(owner("c2", "ns/a", "u2"));
        let (damaged, foreign) = (Ownership::Damaged, Ownership::Foreign);
        // tags, what they prove alone, what they prove on the role that the resource held
        let table = [
            ("none", BTreeMap::new(), foreign.clone(), damaged.clone()),
            (
                "no cluster",
                with(&|t| drop(t.remove(CLUSTER_TAG))),
                damaged.clone(),
                damaged.clone(),
            ),
            (
                "no resource",
                with(&|t| drop(t.remove(RESOURCE_TAG))),
                damaged.clone(),
                damaged.clone(),
            ),
            (
                "only uid",
                with(&|t| t.retain(|k, _| k == UID_TAG)),
                damaged.clone(),
                damaged.clone(),
            ),
            (
                "only resource",
                with(&|t| t.retain(|k, _| k == RESOURCE_TAG)),
                foreign.clone(),
                damaged.clone(),
            ),
            (
                "only cluster",
                with(&|t| t.retain(|k, _| k == CLUSTER_TAG)),
                Ownership::Anothers(owner("c1", "", "")),
                damaged.clone(),
            ),
            (
                "no uid",
                with(&|t| drop(t.remove(UID_TAG))),
                Ownership::Predecessors,
                damaged.clone(),
            ),
            (
                "keys in another case",
                with(&|t| {
                    renamed(t, UID_TAG, "Streamrole.dev/UID");
                    renamed(t, CLUSTER_TAG, "STREAMROLE.DEV/CLUSTER");
                }),
                damaged.clone(),
                damaged.clone(),
            ),
            (
                "values in another case",
                with(&|t| drop(t.insert(UID_TAG.into(), "00AA".into()))),
                damaged.clone(),
                damaged.clone(),
            ),
            (
                "another cluster but our uid",
                with(&|t| drop(t.insert(CLUSTER_TAG.into(), "x".into()))),
                damaged.clone(),
                damaged,
            ),
            ("another resource's", owner("c1", "ns/b", "u2").tags(), another(), another()),
            ("another cluster's", owner("c2", "ns/a", "u2").tags(), elsewhere(), elsewhere()),
        ];
        for (case, tags, alone, held) in table {
            assert_eq!(Ownership::of(&tags, &me, false), alone, "{case}");
            assert_eq!(Ownership::of(&tags, &me, true), held, "{case}, on the role that was held");
        }
    }
}
