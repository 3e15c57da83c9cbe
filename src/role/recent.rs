//! What was written to a role a moment ago, held against what IAM now shows of it. IAM is eventually
//! consistent (IAM user guide, "Changes that I make are not always immediately visible"): a read can be
//! older than the last write, and a write that was not answered may or may not have been made. A decision
//! on such a read would undo an edit, call a role gone that was just created, or say Ready too early.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::policy::{Document, PERMISSIONS_POLICY_NAME};

use super::observed::ObservedRole;
use super::ownership::UID_TAG;
use super::plan::{Plan, Write};

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// IAM said that it was made.
    Done,
    /// IAM said that the role exists already.
    ExistsAlready,
    /// It failed, after how many attempts nobody knows: one of them may have been made.
    Unsure,
}

/// Something that was written: fingerprints rather than documents, because many are remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Written {
    As(u64),
    Unsure,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Existence {
    Exists,
    Deleted,
}

/// The recent writes to one role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecentWrites {
    existence: Option<Existence>,
    owner_uid: Option<String>,
    trust_policy: Option<Written>,
    permissions_policy: Option<Written>,
    boundary: Option<Written>,
}

impl RecentWrites {
    /// The same after an earlier process of which nobody knows what it wrote.
    #[must_use]
    pub fn after_an_earlier_process(self) -> Self {
        Self {
            trust_policy: self.trust_policy.or(Some(Written::Unsure)),
            permissions_policy: self.permissions_policy.or(Some(Written::Unsure)),
            boundary: self.boundary.or(Some(Written::Unsure)),
            ..self
        }
    }

    /// Takes note of a write.
    pub fn note(&mut self, write: &Write, outcome: Outcome) {
        let written = |fingerprint| match outcome {
            Outcome::Done => Some(Written::As(fingerprint)),
            Outcome::ExistsAlready | Outcome::Unsure => Some(Written::Unsure),
        };
        match (write, outcome) {
            (Write::CreateRole(new), Outcome::Done) => {
                *self = Self {
                    existence: Some(Existence::Exists),
                    owner_uid: new.tags.get(UID_TAG).cloned(),
                    trust_policy: written(of_document(&new.trust_policy)),
                    permissions_policy: written(ABSENT),
                    boundary: written(of_text(new.permissions_boundary.as_ref())),
                }
            }
            (Write::CreateRole(_), Outcome::ExistsAlready | Outcome::Unsure) => {
                self.existence = Some(Existence::Exists);
            }
            (Write::DeleteRole, Outcome::Done) => {
                *self = Self { existence: Some(Existence::Deleted), ..Self::default() };
            }
            (Write::TagRole(tags), Outcome::Done) => {
                self.owner_uid = tags.get(UID_TAG).cloned().or_else(|| self.owner_uid.take());
            }
            (Write::UntagRole(keys), Outcome::Done) if keys.contains(UID_TAG) => {
                self.owner_uid = None;
            }
            (Write::UpdateAssumeRolePolicy(document), _) => {
                self.trust_policy = written(of_document(document));
            }
            (Write::PutRolePolicy(document), _) => {
                self.permissions_policy = written(of_document(document));
            }
            (Write::DeleteRolePolicy(name), _) if name == PERMISSIONS_POLICY_NAME => {
                self.permissions_policy = written(ABSENT);
            }
            (Write::PutRolePermissionsBoundary(arn), _) => {
                self.boundary = written(of_text(Some(arn)));
            }
            (Write::DeleteRolePermissionsBoundary, _) => self.boundary = written(ABSENT),
            (
                Write::DeleteRole
                | Write::TagRole(_)
                | Write::UntagRole(_)
                | Write::DeleteRolePolicy(_)
                | Write::DetachRolePolicy(_)
                | Write::UpdateRole { .. },
                _,
            ) => {}
        }
    }

    /// Whether what IAM shows has all these writes in it. If not it is older than they are, or somebody
    /// else was quick: to wait is right in both cases.
    #[must_use]
    pub fn are_shown_by(&self, observed: Option<&ObservedRole>) -> bool {
        let Some(live) = observed else {
            return self.existence != Some(Existence::Exists);
        };
        let shows = |written: Option<Written>, live: u64| match written {
            Some(Written::As(written)) => written == live,
            Some(Written::Unsure) | None => true,
        };
        let is_owner = |uid: &String| live.tags.get(UID_TAG) == Some(uid);
        self.existence != Some(Existence::Deleted)
            && self.owner_uid.as_ref().is_none_or(is_owner)
            && shows(self.trust_policy, of_live_document(Some(&live.trust_policy)))
            && shows(self.permissions_policy, of_live_document(live.permissions_policy.as_deref()))
            && shows(self.boundary, of_text(live.permissions_boundary.as_ref()))
    }

    /// As [`Self::are_shown_by`], of an observation that has no texts of policies.
    #[must_use]
    pub fn are_shown_by_names(&self, observed: Option<&ObservedRole>) -> bool {
        let names = Self { permissions_policy: None, ..self.clone() };
        names.are_shown_by(observed)
    }

    /// Whether each part of which nobody knows what was written to it last is written by `plan`.
    #[must_use]
    pub fn are_settled_by(&self, plan: &Plan) -> bool {
        let has = |wanted: fn(&Write) -> bool| plan.changes.iter().any(|c| wanted(&c.write));
        let sure = |written: Option<Written>| written != Some(Written::Unsure);
        has(|write| matches!(write, Write::CreateRole(_)))
            || (sure(self.trust_policy)
                || has(|write| matches!(write, Write::UpdateAssumeRolePolicy(_))))
                && (sure(self.permissions_policy)
                    || has(|write| matches!(write, Write::PutRolePolicy(_))))
                && (sure(self.boundary)
                    || has(|write| {
                        matches!(
                            write,
                            Write::PutRolePermissionsBoundary(_)
                                | Write::DeleteRolePermissionsBoundary
                        )
                    }))
    }
}

const ABSENT: u64 = 0;

fn of_text(text: Option<&impl ToString>) -> u64 {
    text.map_or(ABSENT, |text| fingerprint(&text.to_string()))
}

/// Two equivalent documents have one fingerprint: IAM may write them in another order.
fn of_document(document: &Document) -> u64 {
    fingerprint(&document.canonical().to_string())
}

fn of_live_document(text: Option<&str>) -> u64 {
    text.map_or(ABSENT, |text| {
        Document::parse(text).map_or_else(|_| fingerprint(text), |document| of_document(&document))
    })
}

fn fingerprint(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::Outcome::{Done, ExistsAlready, Unsure};
    use super::*;
    use crate::role::plan::NewRole;
    use crate::role::{Change, Owner};

    fn document(action: &str) -> Document {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        let whole = json!({"Version": "2012-10-17", "Statement": statement});
        Document::from_value(&whole).unwrap_or_else(|error| panic!("{error}"))
    }

    fn owner_tags(uid: &str) -> BTreeMap<String, String> {
        Owner { cluster: "c".into(), resource: "ns/n".into(), uid: uid.into() }.tags()
    }

    fn created() -> Write {
        Write::CreateRole(Box::new(NewRole {
            path: "/".into(),
            description: String::new(),
            max_session_duration_seconds: 3600,
            permissions_boundary: None,
            tags: owner_tags("u1"),
            trust_policy: document("sts:AssumeRole"),
        }))
    }

    fn live() -> ObservedRole {
        ObservedRole {
            tags: owner_tags("u1"),
            trust_policy: document("sts:AssumeRole").to_string(),
            permissions_policy: Some(document("a:Old").to_string()),
            ..ObservedRole::default()
        }
    }

    #[test]
    fn a_read_that_lacks_a_write_is_told_from_one_that_has_it() {
        let put = || Write::PutRolePolicy(document("a:New"));
        let trust = || Write::UpdateAssumeRolePolicy(document("sts:Other"));
        let claim = || Write::TagRole(owner_tags("u2"));
        let off = || Write::DeleteRolePolicy(PERMISSIONS_POLICY_NAME.into());
        let others = || Write::DeleteRolePolicy("other".into());
        let with = |change: fn(&mut ObservedRole)| {
            let mut live = live();
            change(&mut live);
            Some(live)
        };
        let new = with(|live| live.permissions_policy = Some(document("a:New").to_string()));
        let without = with(|live| live.permissions_policy = None);
        let taken = with(|live| live.tags = owner_tags("u2"));
        let table = [
            ("nothing written", vec![], Some(live()), true),
            ("created, absent", vec![(created(), Done)], None, false),
            ("perhaps created, absent", vec![(created(), Unsure)], None, false),
            ("created before, absent", vec![(created(), ExistsAlready)], None, false),
            ("created, there", vec![(created(), Done)], without.clone(), true),
            (
                "created, with the policy of an earlier role",
                vec![(created(), Done)],
                Some(live()),
                false,
            ),
            ("deleted, there", vec![(Write::DeleteRole, Done)], Some(live()), false),
            ("deleted, absent", vec![(Write::DeleteRole, Done)], None, true),
            ("perhaps deleted, there", vec![(Write::DeleteRole, Unsure)], Some(live()), true),
            ("policy put, the old one", vec![(put(), Done)], Some(live()), false),
            ("policy put, the new one", vec![(put(), Done)], new.clone(), true),
            ("policy put, none", vec![(put(), Done)], without.clone(), false),
            ("policy perhaps put", vec![(put(), Unsure)], Some(live()), true),
            ("policy off, still there", vec![(off(), Done)], Some(live()), false),
            ("policy off and on", vec![(off(), Done), (put(), Done)], new, true),
            ("another policy off", vec![(others(), Done)], Some(live()), true),
            ("trust written, the old one", vec![(trust(), Done)], Some(live()), false),
            ("claimed, old tags", vec![(claim(), Done)], Some(live()), false),
            ("claimed, new tags", vec![(claim(), Done)], taken, true),
            (
                "deleted, then created",
                vec![(Write::DeleteRole, Done), (created(), Done)],
                without.clone(),
                true,
            ),
        ];
        for (case, writes, observed, expected) in table {
            let mut recent = RecentWrites::default();
            for (write, outcome) in &writes {
                recent.note(write, *outcome);
            }
            assert_eq!(recent.are_shown_by(observed.as_ref()), expected, "{case}");
        }
    }

    #[test]
    fn a_part_that_may_or_may_not_have_been_written_is_settled_by_writing_it() {
        let plan = |writes: Vec<Write>| Plan {
            changes: writes
                .into_iter()
                .map(|write| Change { write, differences: Vec::new() })
                .collect(),
            extra_policies: Vec::new(),
        };
        let mut recent = RecentWrites::default();
        assert!(recent.are_settled_by(&plan(Vec::new())));
        recent.note(&Write::PutRolePolicy(document("a:New")), Outcome::Unsure);
        assert!(!recent.are_settled_by(&plan(Vec::new())));
        assert!(recent.are_settled_by(&plan(vec![Write::PutRolePolicy(document("a:Old"))])));
        let unknown = RecentWrites::default().after_an_earlier_process();
        assert!(!unknown.are_settled_by(&plan(Vec::new())));
        assert!(unknown.are_settled_by(&plan(vec![created()])));
    }
}
