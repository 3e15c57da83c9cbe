//! The resources of the campaign: a fixed number of slots, each with one purpose.

/// Resources that exist concurrently.
pub(crate) const SLOTS: usize = 220;
pub(crate) const NAMESPACES: usize = 5;

/// The purpose of a slot. Most are plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A role of this name already exists, and the resource has `Never`.
    Foreign,
    /// A role of this name belongs to another cluster.
    Elsewhere,
    /// A role of this name already exists, and the resource has `Adopt`.
    Adopted,
    /// The role is kept when the resource is deleted.
    Retained,
    /// Two resources name the same role in different case; the first is older.
    FirstOfTwo,
    SecondOfTwo,
    Plain,
}

pub(crate) const fn kind(slot: usize) -> Kind {
    match slot {
        0..8 => Kind::Foreign,
        8..12 => Kind::Elsewhere,
        12..18 => Kind::Adopted,
        18..24 => Kind::Retained,
        24 | 26 | 28 => Kind::FirstOfTwo,
        25 | 27 | 29 => Kind::SecondOfTwo,
        _ => Kind::Plain,
    }
}

pub(crate) fn name(slot: usize) -> String {
    format!("events-{slot}")
}

pub(crate) fn namespace(slot: usize) -> String {
    format!("campaign-{}", slot % NAMESPACES)
}

pub(crate) fn role_name(slot: usize) -> String {
    match kind(slot) {
        Kind::SecondOfTwo => format!("CAMPAIGN-{}", slot - 1),
        Kind::Foreign
        | Kind::Elsewhere
        | Kind::Adopted
        | Kind::Retained
        | Kind::FirstOfTwo
        | Kind::Plain => format!("campaign-{slot}"),
    }
}

/// Whether the role with this name in lower case must never belong to a resource of this cluster.
pub(crate) fn is_protected(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| matches!(kind(slot), Kind::Foreign | Kind::Elsewhere))
}

/// Whether a resource can adopt this existing role.
pub(crate) fn may_adopt(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| kind(slot) == Kind::Adopted)
}

fn slot_of(key: &str) -> Option<usize> {
    key.strip_prefix("campaign-")?.parse().ok()
}
