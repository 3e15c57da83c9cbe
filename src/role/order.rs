//! The order in which the parts of a role are written. No intermediate state grants more than the role granted before
//! or will grant after. This module knows how each part changes, not its content.
//!
//! The trust policy decides to whom a role grants. The permissions policy and other policies decide what it grants. The
//! boundary limits that. Where no order of the writes is safe, the permissions policy is removed first and written
//! last.
//!
//! A boundary that is set or replaced is written first; a boundary that is removed is removed last. IAM can make the
//! boundary a condition of every other write (`policy-boundary.json`), so a role with the wrong boundary could not be
//! changed otherwise. This is the one exception to the promise: the content of a boundary is not read, so between the
//! replacement of a boundary and the next write the role has its old policies under the new boundary.

/// How a change to a part changes what the role grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Direction {
    /// Unchanged.
    None,
    /// It grants no more than before.
    Narrows,
    /// It grants no less than before.
    Widens,
    /// Unknown.
    Unknown,
}

/// A write to a part of the role that affects what it grants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Boundary,
    /// Policies that the resource does not declare and that `exclusivePolicies` removes.
    OtherPolicies,
    TrustPolicy,
    /// The permissions policy is removed; [`Step::PermissionsPolicy`] writes it again.
    PermissionsOff,
    PermissionsPolicy,
}

/// How the parts change, and what else affects the order.
#[derive(Clone, Debug)]
pub(super) struct Directions {
    pub boundary: Direction,
    pub other_policies: Direction,
    pub trust_policy: Direction,
    pub permissions_policy: Direction,
    /// The permissions policy is on the role before the first write.
    pub has_permissions: bool,
    /// Other policies are on the role before the first write.
    pub has_others: bool,
}

/// The first order in which every intermediate state is within the old state or the new one. The most natural order is
/// tried first.
pub(super) fn order(directions: &Directions) -> Vec<Step> {
    let mut parts = vec![Step::OtherPolicies, Step::TrustPolicy, Step::PermissionsPolicy];
    parts.retain(|part| directions.of(*part) != Direction::None);
    let whole = |parts: Vec<Step>| directions.with_boundary(parts);
    let mut orders = permutations(&parts).map(whole);
    if let Some(steps) = orders.find(|steps| is_safe(steps, directions)) {
        return steps;
    }

    parts.retain(|part| *part != Step::PermissionsPolicy);
    let off = directions.has_permissions.then_some(Step::PermissionsOff);
    let taken_off = |parts: Vec<Step>| {
        whole(off.into_iter().chain(parts).chain([Step::PermissionsPolicy]).collect())
    };
    let safe = permutations(&parts).map(taken_off).find(|steps| is_safe(steps, directions));
    // The remaining case: a role with other policies, whose boundary changes in an unknown way together with those
    // policies or with the trust policy. What the policies grant in between is unknown.
    safe.unwrap_or_else(|| taken_off(parts))
}

impl Directions {
    const fn of(&self, step: Step) -> Direction {
        match step {
            Step::Boundary => self.boundary,
            Step::OtherPolicies => self.other_policies,
            Step::TrustPolicy => self.trust_policy,
            Step::PermissionsOff => Direction::Narrows,
            Step::PermissionsPolicy => self.permissions_policy,
        }
    }

    fn with_boundary(&self, mut steps: Vec<Step>) -> Vec<Step> {
        match self.boundary {
            Direction::None => {}
            Direction::Widens => steps.push(Step::Boundary),
            Direction::Narrows | Direction::Unknown => steps.insert(0, Step::Boundary),
        }
        steps
    }
}

const PARTS: [Step; 4] =
    [Step::Boundary, Step::OtherPolicies, Step::TrustPolicy, Step::PermissionsPolicy];

/// Whether each intermediate state is within the old state or the new one. The state after a boundary write is exempt.
fn is_safe(steps: &[Step], directions: &Directions) -> bool {
    (1..steps.len()).all(|number| {
        let written = steps.get(..number).unwrap_or_default();
        let has_permissions = written.contains(&Step::PermissionsPolicy)
            || directions.has_permissions && !written.contains(&Step::PermissionsOff);
        let has_others = directions.has_others && !written.contains(&Step::OtherPolicies);
        let grants_nothing = !has_permissions && !has_others;
        let counts = |step: &Step| has_permissions || *step != Step::PermissionsPolicy;
        // Unwritten parts are old: they are within the new state if they widen. Written parts are the reverse.
        let within_new = PARTS
            .iter()
            .filter(|part| counts(part) && !written.contains(part))
            .all(|part| matches!(directions.of(*part), Direction::None | Direction::Widens));
        let within_old = written
            .iter()
            .filter(|step| counts(step))
            .all(|step| matches!(directions.of(*step), Direction::None | Direction::Narrows));
        written == [Step::Boundary] || grants_nothing || within_new || within_old
    })
}

fn permutations(parts: &[Step]) -> impl Iterator<Item = Vec<Step>> + use<> {
    let mut all = vec![Vec::new()];
    for _ in parts {
        all = all
            .into_iter()
            .flat_map(|begun: Vec<Step>| {
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

    const STILL: Directions = Directions {
        boundary: Direction::None,
        other_policies: Direction::None,
        trust_policy: Direction::None,
        permissions_policy: Direction::None,
        has_permissions: true,
        has_others: false,
    };

    fn check(table: &[(&str, Directions, Vec<Step>)]) {
        for (case, directions, steps) in table {
            assert_eq!(order(directions), *steps, "{case}");
        }
    }

    #[test]
    fn narrowing_writes_precede_widening_ones() {
        use Direction::{Narrows, Unknown, Widens};
        use Step::{OtherPolicies, PermissionsOff, PermissionsPolicy, TrustPolicy};
        let table = [
            ("nothing", STILL, vec![]),
            (
                "trust narrows, permissions widen",
                Directions { trust_policy: Narrows, permissions_policy: Widens, ..STILL },
                vec![TrustPolicy, PermissionsPolicy],
            ),
            (
                "trust widens, permissions narrow",
                Directions { trust_policy: Widens, permissions_policy: Narrows, ..STILL },
                vec![PermissionsPolicy, TrustPolicy],
            ),
            (
                "one change that cannot be compared",
                Directions { permissions_policy: Unknown, ..STILL },
                vec![PermissionsPolicy],
            ),
            (
                "two changes that cannot be compared",
                Directions { trust_policy: Unknown, permissions_policy: Unknown, ..STILL },
                vec![PermissionsOff, TrustPolicy, PermissionsPolicy],
            ),
            (
                "the same without permissions so far",
                Directions {
                    trust_policy: Unknown,
                    permissions_policy: Widens,
                    has_permissions: false,
                    ..STILL
                },
                vec![TrustPolicy, PermissionsPolicy],
            ),
            (
                "other policies go, and permissions narrow: the others may deny something",
                Directions {
                    other_policies: Unknown,
                    permissions_policy: Narrows,
                    has_others: true,
                    ..STILL
                },
                vec![PermissionsPolicy, OtherPolicies],
            ),
        ];
        check(&table);
    }

    #[test]
    fn a_boundary_is_set_first_and_removed_last() {
        use Direction::{Narrows, Unknown, Widens};
        use Step::{Boundary, PermissionsOff, PermissionsPolicy, TrustPolicy};
        let table = [
            (
                "a boundary is set",
                Directions { boundary: Narrows, permissions_policy: Widens, ..STILL },
                vec![Boundary, PermissionsPolicy],
            ),
            (
                "a boundary is set, and both others change beyond comparison",
                Directions {
                    boundary: Narrows,
                    trust_policy: Unknown,
                    permissions_policy: Unknown,
                    ..STILL
                },
                vec![Boundary, PermissionsOff, TrustPolicy, PermissionsPolicy],
            ),
            (
                "a boundary is removed",
                Directions { boundary: Widens, permissions_policy: Narrows, ..STILL },
                vec![PermissionsPolicy, Boundary],
            ),
            (
                "a boundary is removed, and both others change beyond comparison",
                Directions {
                    boundary: Widens,
                    trust_policy: Unknown,
                    permissions_policy: Unknown,
                    ..STILL
                },
                vec![PermissionsOff, TrustPolicy, PermissionsPolicy, Boundary],
            ),
            (
                "a boundary is replaced and permissions narrow",
                Directions { boundary: Unknown, permissions_policy: Narrows, ..STILL },
                vec![Boundary, PermissionsPolicy],
            ),
            (
                "a boundary is replaced, trust widens and permissions narrow",
                Directions {
                    boundary: Unknown,
                    trust_policy: Widens,
                    permissions_policy: Narrows,
                    ..STILL
                },
                vec![Boundary, PermissionsPolicy, TrustPolicy],
            ),
            (
                "a boundary is replaced, trust and permissions narrow: only one moment is excepted",
                Directions {
                    boundary: Unknown,
                    trust_policy: Narrows,
                    permissions_policy: Narrows,
                    ..STILL
                },
                vec![Boundary, PermissionsOff, TrustPolicy, PermissionsPolicy],
            ),
        ];
        check(&table);
    }
}
