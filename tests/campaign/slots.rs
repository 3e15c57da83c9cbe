//! The resources of the campaign: a fixed number of slots, each there to show one thing.

/// Resources that exist concurrently.
pub(crate) const SLOTS: usize = 220;
pub(crate) const NAMESPACES: usize = 5;

/// What a slot is there to show. Most are plain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A role of this name exists already, and the resource says `Never`.
    Foreign,
    /// A role of this name belongs to another cluster.
    Elsewhere,
    /// A role of this name exists already, and the resource says `Adopt`.
    Adopted,
    /// The role stays when the resource goes.
    Retained,
    /// Two resources name one role, in different cases: the first is the older.
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

/// Whether the role with this name in lower case belongs to no resource of this cluster and must never do.
pub(crate) fn is_protected(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| matches!(kind(slot), Kind::Foreign | Kind::Elsewhere))
}

/// Whether a resource asks for this role although it was there before.
pub(crate) fn may_adopt(key: &str) -> bool {
    slot_of(key).is_some_and(|slot| kind(slot) == Kind::Adopted)
}

fn slot_of(key: &str) -> Option<usize> {
    key.strip_prefix("campaign-")?.parse().ok()
}
