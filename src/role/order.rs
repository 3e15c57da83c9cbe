//! In which order the parts of a role are written, so that no moment in between grants more than the role
//! granted before or will grant after. Knows only how each part changes, not what is in it.
//!
//! What a role grants is: its trust policy says to whom, its permissions policy and other policies say
//! what, its boundary says at most what. Where no order of the writes will do, the permissions policy is
//! taken off first and written last.

/// How a part of the role changes what the role grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// It stays as it is.
    None,
    /// It grants no more than before.
    Narrows,
    /// It grants no less than before.
    Widens,
    /// It cannot be told.
    Unknown,
}

/// A part of the role that bears on what it grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Boundary,
    /// Policies that the resource does not declare and asks to remove.
    OtherPolicies,
    TrustPolicy,
    PermissionsPolicy,
}

/// How the parts change, and what else bears on the order.
#[derive(Clone, Debug)]
pub(super) struct Effects {
    pub boundary: Effect,
    pub other_policies: Effect,
    pub trust_policy: Effect,
    pub permissions_policy: Effect,
    /// The permissions policy is on the role before the first write.
    pub has_permissions: bool,
    /// Other policies are on the role before the first write.
    pub has_others: bool,
}

/// The order of the parts that change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Order {
    /// The permissions policy is taken off before all else, and is the last of `parts`.
    pub off_first: bool,
    pub parts: Vec<Part>,
}

/// The first order, from the most natural on, in which every moment is within the old state or the new.
pub(super) fn order(effects: &Effects) -> Order {
    let mut natural = vec![Part::OtherPolicies, Part::TrustPolicy, Part::PermissionsPolicy];
    match effects.boundary {
        Effect::Widens => natural.push(Part::Boundary),
        Effect::None | Effect::Narrows | Effect::Unknown => natural.insert(0, Part::Boundary),
    }
    natural.retain(|part| effects.of(*part) != Effect::None);
    if let Some(parts) = permutations(&natural).find(|parts| is_safe(parts, effects, false)) {
        return Order { off_first: false, parts };
    }

    natural.retain(|part| *part != Part::PermissionsPolicy);
    let on_last = |mut parts: Vec<Part>| {
        parts.push(Part::PermissionsPolicy);
        parts
    };
    let safe = permutations(&natural).map(on_last).find(|parts| is_safe(parts, effects, true));
    // Left over is a role with other policies whose boundary and trust policy both change beyond
    // comparison: what those policies grant for a moment cannot be told.
    let parts = safe.unwrap_or_else(|| on_last(natural));
    Order { off_first: effects.has_permissions, parts }
}

impl Effects {
    const fn of(&self, part: Part) -> Effect {
        match part {
            Part::Boundary => self.boundary,
            Part::OtherPolicies => self.other_policies,
            Part::TrustPolicy => self.trust_policy,
            Part::PermissionsPolicy => self.permissions_policy,
        }
    }
}

const PARTS: [Part; 4] =
    [Part::Boundary, Part::OtherPolicies, Part::TrustPolicy, Part::PermissionsPolicy];

fn is_safe(parts: &[Part], effects: &Effects, off_first: bool) -> bool {
    (0..parts.len()).all(|number| {
        let written = parts.get(..number).unwrap_or_default();
        let has_permissions =
            effects.has_permissions && !off_first || written.contains(&Part::PermissionsPolicy);
        let has_others = effects.has_others && !written.contains(&Part::OtherPolicies);
        let grants_nothing = !has_permissions && !has_others;
        let counts = |part: &Part| has_permissions || *part != Part::PermissionsPolicy;
        // Not yet written parts are old: within the new state if they widen; written ones conversely.
        let within_new = PARTS
            .iter()
            .filter(|part| counts(part) && !written.contains(part))
            .all(|part| matches!(effects.of(*part), Effect::None | Effect::Widens));
        let within_old = written
            .iter()
            .filter(|part| counts(part))
            .all(|part| matches!(effects.of(*part), Effect::None | Effect::Narrows));
        grants_nothing || within_new || within_old
    })
}

fn permutations(parts: &[Part]) -> impl Iterator<Item = Vec<Part>> + use<> {
    let mut all = vec![Vec::new()];
    for _ in parts {
        all = all
            .into_iter()
            .flat_map(|begun: Vec<Part>| {
                let rest = parts.iter().filter(|part| !begun.contains(part)).copied();
                rest.map(|part| [begun.as_slice(), &[part]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    all.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STILL: Effects = Effects {
        boundary: Effect::None,
        other_policies: Effect::None,
        trust_policy: Effect::None,
        permissions_policy: Effect::None,
        has_permissions: true,
        has_others: false,
    };

    #[test]
    fn what_narrows_comes_before_what_widens_and_what_is_neither_while_nothing_is_granted() {
        use Effect::{Narrows, Unknown, Widens};
        use Part::{Boundary, OtherPolicies, PermissionsPolicy, TrustPolicy};
        let table = [
            ("nothing", STILL, false, vec![]),
            (
                "trust narrows, permissions widen",
                Effects { trust_policy: Narrows, permissions_policy: Widens, ..STILL },
                false,
                vec![TrustPolicy, PermissionsPolicy],
            ),
            (
                "trust widens, permissions narrow",
                Effects { trust_policy: Widens, permissions_policy: Narrows, ..STILL },
                false,
                vec![PermissionsPolicy, TrustPolicy],
            ),
            (
                "one change that cannot be compared",
                Effects { permissions_policy: Unknown, ..STILL },
                false,
                vec![PermissionsPolicy],
            ),
            (
                "two changes that cannot be compared",
                Effects { trust_policy: Unknown, permissions_policy: Unknown, ..STILL },
                true,
                vec![TrustPolicy, PermissionsPolicy],
            ),
            (
                "the same without permissions so far",
                Effects {
                    trust_policy: Unknown,
                    permissions_policy: Widens,
                    has_permissions: false,
                    ..STILL
                },
                false,
                vec![TrustPolicy, PermissionsPolicy],
            ),
            (
                "a boundary is set",
                Effects { boundary: Narrows, permissions_policy: Widens, ..STILL },
                false,
                vec![Boundary, PermissionsPolicy],
            ),
            (
                "a boundary is removed",
                Effects { boundary: Widens, permissions_policy: Narrows, ..STILL },
                false,
                vec![PermissionsPolicy, Boundary],
            ),
            (
                "a boundary is replaced and trust with it",
                Effects { boundary: Unknown, trust_policy: Unknown, ..STILL },
                true,
                vec![Boundary, TrustPolicy, PermissionsPolicy],
            ),
            (
                "other policies go, and permissions narrow: the others may deny something",
                Effects {
                    other_policies: Unknown,
                    permissions_policy: Narrows,
                    has_others: true,
                    ..STILL
                },
                false,
                vec![PermissionsPolicy, OtherPolicies],
            ),
        ];
        for (case, effects, off_first, parts) in table {
            assert_eq!(order(&effects), Order { off_first, parts }, "{case}");
        }
    }
}
