//! Which resource declares which role, and which takes precedence when several declare the same role. Pure: objects
//! come in as [`Claim`]s, and the clock is an argument.
//!
//! The resource in the role's tags comes first. When the tags are unknown, or name none of these resources, the order
//! is: a resource that writes before one that does not (paused, `driftPolicy: Report`, invalid), a default name before
//! an explicit one, an earlier creation before a later one. The time for each query and each change does not grow with
//! the number of resources.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::time::Instant;

use crate::api::RoleResource;
use crate::role::{Defaults, Precedence, RoleKey};

use super::super::lifecycle;
use super::Key;

/// The declaration of one resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Claim {
    pub role: Arc<RoleKey>,
    rank: Rank,
}

/// The order of precedence, lowest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Rank {
    is_idle: bool,
    is_explicit: bool,
    /// In seconds, as in Kubernetes.
    created: i64,
}

impl Claim {
    /// The claim of `resource`; `None` when its spec names no role.
    pub(crate) fn of(resource: &RoleResource, cluster: &str, defaults: &Defaults) -> Option<Self> {
        let role = Arc::new(resource.role_key(defaults).ok()?);
        // A resource that is being deleted keeps its turn until it is gone. Between the deletion of its role and its
        // own deletion, another resource must not take the name.
        let is_idle = lifecycle::hands_off(resource).is_some()
            || resource.desired(cluster, defaults).is_err();
        let created = resource.creation_timestamp().map_or(i64::MAX, |time| time.0.as_second());
        let is_explicit = resource.settings().role_name.is_some();
        Some(Self { role, rank: Rank { is_idle, is_explicit, created } })
    }
}

/// The position of a resource among those that declare its role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// No other resource takes precedence.
    First,
    /// This resource takes precedence.
    Behind(Key, Precedence),
    /// This resource was just deleted, and the role is reserved for it for this time.
    Reserved(Key, Duration),
}

/// All claims.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    by_resource: HashMap<Key, Claim>,
    in_order: BTreeSet<(Arc<RoleKey>, Rank, Key)>,
    /// The resource in the tags of a role that several declare, where an observation has shown it.
    holders: HashMap<Arc<RoleKey>, Key>,
    reserved: BTreeMap<Arc<RoleKey>, (Key, Instant)>,
}

impl Claims {
    /// Records the declaration of the resource. Returns the resources whose turn may have changed: the former first one
    /// and the new one.
    pub(crate) fn set(&mut self, resource: &Key, claim: Option<Claim>, now: Instant) -> Vec<Key> {
        if self.by_resource.get(resource) == claim.as_ref() {
            return Vec::new();
        }
        let roles: BTreeSet<_> = self
            .by_resource
            .get(resource)
            .into_iter()
            .chain(&claim)
            .map(|claim| Arc::clone(&claim.role))
            .collect();
        let first_of = |claims: &Self| -> Vec<_> {
            roles.iter().map(|role| claims.first(role).cloned()).collect()
        };
        let before = first_of(self);
        let holds = self.remove(resource);
        if let Some(claim) = claim {
            if let Some(role) = holds.filter(|role| *role == claim.role) {
                // Its tags are still on the role.
                self.holders.insert(role, resource.clone());
            }
            self.in_order.insert((Arc::clone(&claim.role), claim.rank, resource.clone()));
            self.by_resource.insert(resource.clone(), claim);
        }
        self.reserved.retain(|_, (_, until)| *until > now);
        let after = first_of(self);
        let changed = before.into_iter().zip(after).filter(|(before, after)| before != after);
        changed
            .flat_map(|(before, after)| [before, after])
            .flatten()
            .filter(|key| key != resource)
            .collect()
    }

    /// Removes a deleted resource, and reserves its role for this time in case the resource is being recreated. Returns
    /// the resources whose turn may have changed.
    pub(crate) fn forget(
        &mut self,
        resource: &Key,
        now: Instant,
        reservation: Duration,
    ) -> Vec<Key> {
        let Some(role) = self.by_resource.get(resource).map(|claim| Arc::clone(&claim.role)) else {
            return Vec::new();
        };
        let was_first = self.leader(&role) == Some(resource);
        let mut concerned = self.set(resource, None, now);
        if was_first && let Some(next) = self.first(&role).cloned() {
            self.reserved.insert(role, (resource.clone(), now + reservation));
            concerned.push(next);
        }
        concerned.dedup();
        concerned
    }

    /// Removes the resource. Returns the role that it held by its tags.
    fn remove(&mut self, resource: &Key) -> Option<Arc<RoleKey>> {
        let claim = self.by_resource.remove(resource)?;
        self.in_order.remove(&(Arc::clone(&claim.role), claim.rank, resource.clone()));
        let holds = self.holders.get(&claim.role) == Some(resource);
        holds.then(|| self.holders.remove(&claim.role));
        holds.then_some(claim.role)
    }

    /// The first resource when the role's tags are unknown.
    fn first<'a>(&'a self, role: &'a Arc<RoleKey>) -> Option<&'a Key> {
        self.of(role).next().map(|(_, key)| key)
    }

    /// The first resource.
    fn leader<'a>(&'a self, role: &'a Arc<RoleKey>) -> Option<&'a Key> {
        self.holders.get(role).or_else(|| self.first(role))
    }

    fn of<'a>(&'a self, role: &'a Arc<RoleKey>) -> impl Iterator<Item = (Rank, &'a Key)> {
        let begin = Rank { is_idle: false, is_explicit: false, created: i64::MIN };
        let key = Key { kind: "", namespace: "".into(), name: "".into() };
        let begin = (Arc::clone(role), begin, key);
        let claims = self.in_order.range(begin..).take_while(move |(of, ..)| of == role);
        claims.map(|(_, rank, key)| (*rank, key))
    }

    /// The position of the resource. `may_own` means that the tags may name it although no observation has shown that.
    pub(crate) fn turn(&self, resource: &Key, may_own: bool, now: Instant) -> Turn {
        let Some(claim) = self.by_resource.get(resource) else { return Turn::First };
        let role = &claim.role;
        if let Some((other, until)) = self.reserved.get(role)
            && other != resource
            && *until > now
            && !may_own
            && !self.holders.contains_key(role)
            && !self.by_resource.contains_key(other)
        {
            return Turn::Reserved(other.clone(), until.duration_since(now));
        }
        match (self.holders.get(role), self.of(role).next()) {
            (Some(holder), _) if holder == resource => Turn::First,
            (Some(holder), _) => Turn::Behind(holder.clone(), Precedence::Owns),
            (None, Some((rank, first))) if first != resource && !may_own => {
                let by_default_name = claim.rank.is_explicit && !rank.is_explicit;
                let why = if by_default_name {
                    Precedence::DefaultName
                } else {
                    Precedence::CreatedEarlier
                };
                // A resource that does not write does not block this one.
                if rank.is_idle { Turn::First } else { Turn::Behind(first.clone(), why) }
            }
            (None, _) => Turn::First,
        }
    }

    /// Records the resource in a role's tags, if several resources declare the role and this is one of them. Returns
    /// `true` when that is new.
    pub(crate) fn note_holder(&mut self, role: &RoleKey, holder: &Key) -> bool {
        let Some(claim) = self.by_resource.get(holder).filter(|claim| *claim.role == *role) else {
            return false;
        };
        let role = Arc::clone(&claim.role);
        if self.of(&role).nth(1).is_none() {
            return false;
        }
        self.holders.insert(role, holder.clone()).as_ref() != Some(holder)
    }

    /// Records that a role's tags name none of the resources that declare it.
    pub(crate) fn note_no_holder(&mut self, role: &RoleKey) {
        self.holders.remove(role);
    }

    /// Whether the resource declares this role.
    pub(crate) fn declares(&self, resource: &Key, role: &RoleKey) -> bool {
        self.by_resource.get(resource).is_some_and(|claim| *claim.role == *role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AccountId;

    const RECREATION: Duration = Duration::from_secs(5);

    fn role(name: &str) -> Arc<RoleKey> {
        let account = AccountId::parse("111122223333").unwrap_or_else(|error| panic!("{error}"));
        Arc::new(RoleKey { account, name: name.into() })
    }

    fn claim(created: i64, is_explicit: bool, is_idle: bool) -> Claim {
        Claim { role: role("r"), rank: Rank { is_idle, is_explicit, created } }
    }

    fn key(path: &str) -> Key {
        let (namespace, name) = path.split_once('/').unwrap_or_default();
        Key { kind: "K", namespace: namespace.into(), name: name.into() }
    }

    fn behind(path: &str, why: Precedence) -> Turn {
        Turn::Behind(key(path), why)
    }

    #[test]
    fn the_claim_order_is_tags_then_writers_then_default_name_then_age() {
        use Precedence::{CreatedEarlier, DefaultName, Owns};
        let now = Instant::now();
        let (explicit, default) = (true, false);
        let table = [
            (
                "the earlier",
                vec![("a/x", 1, explicit, false), ("b/x", 2, explicit, false)],
                None,
                "a/x",
                CreatedEarlier,
            ),
            (
                "the tags' owner",
                vec![("a/x", 1, explicit, false), ("b/x", 2, explicit, false)],
                Some("b/x"),
                "b/x",
                Owns,
            ),
            (
                "who writes",
                vec![("a/x", 1, explicit, true), ("b/x", 2, explicit, false)],
                None,
                "b/x",
                CreatedEarlier,
            ),
            (
                "the default name",
                vec![("a/x", 1, explicit, false), ("b/x", 2, default, false)],
                None,
                "b/x",
                DefaultName,
            ),
            (
                "two default names",
                vec![("a/b-c", 2, default, false), ("a-b/c", 1, default, false)],
                None,
                "a-b/c",
                CreatedEarlier,
            ),
            (
                "an idle owner",
                vec![("a/x", 1, explicit, false), ("b/x", 2, explicit, true)],
                Some("b/x"),
                "b/x",
                Owns,
            ),
        ];
        for (case, claims, holder, first, why) in table {
            let mut all = Claims::default();
            for (path, created, is_explicit, is_idle) in &claims {
                all.set(&key(path), Some(claim(*created, *is_explicit, *is_idle)), now);
            }
            if let Some(holder) = holder {
                assert!(all.note_holder(&role("r"), &key(holder)), "{case}");
            }
            for (path, ..) in claims {
                let expected = if path == first { Turn::First } else { behind(first, why) };
                assert_eq!(all.turn(&key(path), false, now), expected, "{case}: {path}");
            }
        }
    }

    #[test]
    fn a_new_or_removed_claimant_affects_only_the_old_and_the_new_first() {
        let now = Instant::now();
        let mut all = Claims::default();
        for index in 0..5000 {
            let concerned =
                all.set(&key(&format!("a/{index:04}")), Some(claim(10 + index, true, false)), now);
            assert_eq!(concerned, Vec::new(), "{index}");
        }
        assert_eq!(all.forget(&key("a/0042"), now, RECREATION), Vec::new());
        assert_eq!(all.set(&key("b/x"), Some(claim(1, true, false)), now), [key("a/0000")]);
        assert_eq!(all.forget(&key("b/x"), now, RECREATION), [key("a/0000")]);
        // Paused, it does not block the others.
        let concerned = all.set(&key("a/0000"), Some(claim(10, true, true)), now);
        assert_eq!(concerned, [key("a/0001")]);
        assert_eq!(all.turn(&key("a/0001"), true, now), Turn::First);
    }

    #[test]
    fn a_role_is_reserved_briefly_for_a_recreated_resource() {
        let now = Instant::now();
        let mut all = Claims::default();
        all.set(&key("a/x"), Some(claim(1, false, false)), now);
        all.set(&key("evil/x"), Some(claim(2, true, false)), now);
        assert_eq!(all.forget(&key("a/x"), now, RECREATION), [key("evil/x")]);
        assert_eq!(all.turn(&key("evil/x"), false, now), Turn::Reserved(key("a/x"), RECREATION));
        assert_eq!(all.turn(&key("evil/x"), false, now + RECREATION), Turn::First);
        all.set(&key("a/x"), Some(claim(9, false, false)), now);
        assert_eq!(all.turn(&key("evil/x"), false, now), behind("a/x", Precedence::DefaultName));
        assert_eq!(all.turn(&key("a/x"), false, now), Turn::First);
    }

    #[test]
    fn when_the_owner_is_deleted_the_next_claimant_takes_over() {
        let now = Instant::now();
        let mut all = Claims::default();
        for (path, created) in [("a/x", 1), ("b/x", 2), ("c/x", 3)] {
            all.set(&key(path), Some(claim(created, true, false)), now);
        }
        all.note_holder(&role("r"), &key("c/x"));
        assert_eq!(all.turn(&key("a/x"), false, now), behind("c/x", Precedence::Owns));
        // It is paused, and has the role by its tags.
        assert_eq!(all.set(&key("c/x"), Some(claim(3, true, true)), now), Vec::new());
        assert_eq!(all.turn(&key("a/x"), false, now), behind("c/x", Precedence::Owns));
        assert_eq!(all.forget(&key("c/x"), now, RECREATION), [key("a/x")]);
        assert_eq!(all.turn(&key("a/x"), false, now + RECREATION), Turn::First);
        assert_eq!(
            all.turn(&key("b/x"), false, now + RECREATION),
            behind("a/x", Precedence::CreatedEarlier)
        );
    }
}
