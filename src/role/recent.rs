//! Compares the recent writes to a role with what IAM shows of it now. IAM is eventually consistent (IAM user guide,
//! "Changes that I make are not always immediately visible"). A read can be older than the last write. A write without
//! an answer may have succeeded or not. A decision based on such a read could undo an edit, treat a new role as
//! deleted, or report Ready too early.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::policy::Document;

use super::observed::{LiveDocument, ObservedRole};
use super::ownership::UID_TAG;
use super::plan::{Part, Plan, Write};

/// The outcome of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// IAM confirmed the write.
    Done,
    /// IAM answered that the role already exists.
    ExistsAlready,
    /// It failed after an unknown number of attempts. One of them may have succeeded.
    Unsure,
}

/// A write: a fingerprint instead of the document, because many writes are remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Written {
    As(u64),
    Unsure,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Existence {
    /// The write created the role, which has nothing but later writes.
    Created,
    Exists,
    Deleted,
}

/// The recent writes to one role.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RecentWrites {
    existence: Option<Existence>,
    owner_uid: Option<String>,
    trust_policy: Option<Written>,
    /// By name.
    inline_policies: BTreeMap<String, Written>,
    boundary: Option<Written>,
}

impl RecentWrites {
    /// The same for an earlier process whose writes are unknown, including those to the inline policy of this name.
    #[must_use]
    pub fn after_an_earlier_process(mut self, policy: &str) -> Self {
        self.inline_policies.entry(policy.to_owned()).or_insert(Written::Unsure);
        Self {
            trust_policy: self.trust_policy.or(Some(Written::Unsure)),
            boundary: self.boundary.or(Some(Written::Unsure)),
            ..self
        }
    }

    /// Records a write.
    pub fn note(&mut self, write: &Write, outcome: Outcome) {
        let written = |fingerprint| match outcome {
            Outcome::Done => Written::As(fingerprint),
            Outcome::ExistsAlready | Outcome::Unsure => Written::Unsure,
        };
        match (write, outcome) {
            (Write::CreateRole(new), Outcome::Done) => {
                *self = Self {
                    existence: Some(Existence::Created),
                    owner_uid: new.tags.get(UID_TAG).cloned(),
                    trust_policy: Some(written(of_document(&new.trust_policy))),
                    inline_policies: BTreeMap::new(),
                    boundary: Some(written(of_text(new.permissions_boundary.as_ref()))),
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
                self.trust_policy = Some(written(of_document(document)));
            }
            (Write::PutRolePolicy(policy), _) => {
                let put = written(of_document(&policy.document));
                self.inline_policies.insert(policy.name.clone(), put);
            }
            (Write::DeleteRolePolicy(name), _) => {
                self.inline_policies.insert(name.clone(), written(ABSENT));
            }
            (Write::PutRolePermissionsBoundary(arn), _) => {
                self.boundary = Some(written(of_text(Some(arn))));
            }
            (Write::DeleteRolePermissionsBoundary, _) => self.boundary = Some(written(ABSENT)),
            (
                Write::DeleteRole
                | Write::TagRole(_)
                | Write::UntagRole(_)
                | Write::DetachRolePolicy(_)
                | Write::UpdateRole { .. },
                _,
            ) => {}
        }
    }

    /// Whether IAM shows all these writes, including the one to the inline policy of this name. If not, the observation
    /// is older than the writes, or someone changed the role since. Waiting is correct in both cases.
    #[must_use]
    pub fn are_shown_by(&self, observed: Option<&ObservedRole>, policy: &str) -> bool {
        let Some(live) = observed else {
            return !matches!(self.existence, Some(Existence::Created | Existence::Exists));
        };
        let shows = |written: Option<Written>, live: u64| match written {
            Some(Written::As(written)) => written == live,
            Some(Written::Unsure) | None => true,
        };
        let is_owner = |uid: &String| live.tags.get(UID_TAG) == Some(uid);
        self.existence != Some(Existence::Deleted)
            && self.owner_uid.as_ref().is_none_or(is_owner)
            && shows(self.trust_policy, of_live_document(&live.trust_policy))
            && self.shows_policy(live, policy)
            && shows(self.boundary, of_text(live.permissions_boundary.as_ref()))
    }

    /// If the text of a policy was not requested, only its presence is known.
    fn shows_policy(&self, live: &ObservedRole, policy: &str) -> bool {
        let is_new = self.existence == Some(Existence::Created);
        let unwritten = is_new.then_some(Written::As(ABSENT));
        let written = self.inline_policies.get(policy).copied().or(unwritten);
        match (written, live.inline_policies.get(policy)) {
            (None | Some(Written::Unsure), _) => true,
            (Some(Written::As(written)), None) => written == ABSENT,
            (Some(Written::As(written)), Some(None)) => written != ABSENT,
            (Some(Written::As(written)), Some(Some(live))) => written == of_live_document(live),
        }
    }

    /// Whether `plan` writes each part whose last write is unknown, including the inline policy of this name.
    #[must_use]
    pub fn are_settled_by(&self, plan: &Plan, policy: &str) -> bool {
        let writes = |part: Part| plan.changes.iter().any(|change| change.part == part);
        let sure = |written: Option<Written>| written != Some(Written::Unsure);
        let policy = self.inline_policies.get(policy).copied();
        let is_settled = |written, part| sure(written) || writes(part);
        writes(Part::Role)
            || is_settled(self.trust_policy, Part::TrustPolicy)
                && is_settled(policy, Part::PermissionsPolicy)
                && is_settled(self.boundary, Part::Boundary)
    }
}

const ABSENT: u64 = 0;

fn of_text(text: Option<&impl ToString>) -> u64 {
    text.map_or(ABSENT, |text| fingerprint(&text.to_string()))
}

/// Equivalent documents have the same fingerprint: IAM can return them in another order.
fn of_document(document: &Document) -> u64 {
    fingerprint(&document.canonical().to_string())
}

fn of_live_document(document: &LiveDocument) -> u64 {
    match document {
        LiveDocument::Document(document) => of_document(document),
        LiveDocument::Unreadable(error) => fingerprint(&error.to_string()),
    }
}

fn fingerprint(text: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Outcome::{Done, ExistsAlready, Unsure};
    use super::*;
    use crate::role::{Change, InlinePolicy, NewRole, Owner};

    fn document(action: &str) -> Document {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        let whole = json!({"Version": "2012-10-17", "Statement": statement});
        Document::from_value(&whole).unwrap_or_else(|error| panic!("{error}"))
    }

    const POLICY: &str = "policy";

    fn put(action: &str) -> Write {
        Write::PutRolePolicy(InlinePolicy { name: POLICY.into(), document: document(action) })
    }

    fn live_document(action: &str) -> LiveDocument {
        LiveDocument::Document(document(action))
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
            trust_policy: live_document("sts:AssumeRole"),
            inline_policies: BTreeMap::from([(POLICY.into(), Some(live_document("a:Old")))]),
            ..ObservedRole::default()
        }
    }

    #[test]
    fn a_read_that_lacks_a_write_is_distinguished_from_one_that_has_it() {
        let put = || put("a:New");
        let trust = || Write::UpdateAssumeRolePolicy(document("sts:Other"));
        let claim = || Write::TagRole(owner_tags("u2"));
        let off = || Write::DeleteRolePolicy(POLICY.into());
        let others = || Write::DeleteRolePolicy("other".into());
        let with = |change: fn(&mut ObservedRole)| {
            let mut live = live();
            change(&mut live);
            Some(live)
        };
        let new = with(|live| {
            live.inline_policies.insert(POLICY.into(), Some(live_document("a:New")));
        });
        let without = with(|live| live.inline_policies.clear());
        let named = with(|live| {
            live.inline_policies.insert(POLICY.into(), None);
        });
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
            ("policy put, and there by name", vec![(put(), Done)], named.clone(), true),
            ("policy off, still there by name", vec![(off(), Done)], named, false),
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
            assert_eq!(recent.are_shown_by(observed.as_ref(), POLICY), expected, "{case}");
        }
    }

    #[test]
    fn an_uncertain_write_is_repeated() {
        let plan = |part: Option<(Part, Write)>| Plan {
            changes: part
                .into_iter()
                .map(|(part, write)| Change { part, write, differences: Vec::new() })
                .collect(),
            extra_policies: Vec::new(),
        };
        let puts = || Some((Part::PermissionsPolicy, put("a:Old")));
        let mut recent = RecentWrites::default();
        assert!(recent.are_settled_by(&plan(None), POLICY));
        recent.note(&put("a:New"), Outcome::Unsure);
        assert!(!recent.are_settled_by(&plan(None), POLICY));
        assert!(recent.are_settled_by(&plan(None), "another"));
        assert!(recent.are_settled_by(&plan(puts()), POLICY));
        let unknown = RecentWrites::default().after_an_earlier_process(POLICY);
        assert!(!unknown.are_settled_by(&plan(None), POLICY));
        assert!(unknown.are_settled_by(&plan(Some((Part::Role, created()))), POLICY));
    }
}
