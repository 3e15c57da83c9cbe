//! Properties of the plan, on a model of a role that its writes change. The shipped IAM policies are evaluated for each
//! write, with the role in its state before the write.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;
use proptest::collection::{btree_map, btree_set};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use streamrole::api::{PinpointEventStreamRole, RoleResource, RoleStatus};
use streamrole::role::{
    self, Action, AdoptionPolicy, CLUSTER_TAG, Defaults, Deletion, DeletionPolicy, DeletionRequest,
    DesiredRole, DriftPolicy, Held, LiveDocument, ObservedRole, Owner, Ownership, Plan,
    RESOURCE_TAG, Refusal, Standing, UID_TAG, Write,
};
use streamrole::service::PINPOINT;
use support::{ACCOUNT_ID, Call, IamPolicies, Request as Question, RoleInIam};

const CLUSTER: &str = "c1";
const DECLARED: &str = PINPOINT.policy_name;
const OTHER_CLUSTER: &str = "c2";
const BOUNDARIES: [&str; 2] = ["arn:aws:iam::aws:policy/A", "arn:aws:iam::111122223333:policy/x/B"];

fn tag_sets() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = select(vec!["team", "Team", "stage", "others"]).prop_map(str::to_owned);
    btree_map(key, select(vec!["a", "b"]).prop_map(str::to_owned), 0..3)
}

fn specs() -> impl Strategy<Value = Value> {
    (
        select(vec!["s", "t"]),
        option::of(select(vec!["us-east-1", "eu-west-1"])),
        option::of(select(BOUNDARIES.to_vec())),
        select(vec![3600, 7200]),
        option::of(select(vec!["one", "two"])),
        tag_sets(),
        any::<bool>(),
        select(vec!["Never", "Adopt", "TakeOver"]),
    )
        .prop_map(|(stream, region, boundary, session, description, tags, exclusive, adoption)| {
            let mut spec = json!({
                "roleName": "role",
                "path": "/",
                "destination": {"kinesisStreamArn": format!("arn:aws:kinesis:us-east-1:111122223333:stream/{stream}")},
                "maxSessionDurationSeconds": session,
                "tags": tags,
                "exclusivePolicies": exclusive,
                "adoptionPolicy": adoption,
            });
            let optional = [
                ("permissionsBoundaryArn", boundary.map(Value::from)),
                ("description", description.map(Value::from)),
                ("source", region.map(|r| json!({"accountId": "111122223333", "region": r}))),
            ];
            for (field, value) in optional {
                if let (Some(spec), Some(value)) = (spec.as_object_mut(), value) {
                    spec.insert(field.into(), value);
                }
            }
            spec
        })
}

fn declared(spec: &Value, former_tag_keys: &BTreeSet<String>) -> Option<DesiredRole> {
    let resource = PinpointEventStreamRole {
        metadata: ObjectMeta {
            name: Some("events".into()),
            namespace: Some("ns".into()),
            uid: Some("u1".into()),
            ..ObjectMeta::default()
        },
        spec: serde_json::from_value(spec.clone()).unwrap(),
        status: Some(RoleStatus {
            tag_keys: former_tag_keys.iter().cloned().collect(),
            ..RoleStatus::default()
        }),
    };
    // Tag keys that differ only in case are rejected before any plan.
    RoleResource::from(resource).desired(CLUSTER, &Defaults::default()).ok()
}

fn arn(path: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:role{path}role")
}

fn owners() -> impl Strategy<Value = Option<Owner>> {
    let owner = |cluster: &str, resource: &str, uid: &str| {
        Some(Owner { cluster: cluster.into(), resource: resource.into(), uid: uid.into() })
    };
    select(vec![
        None,
        owner(CLUSTER, "ns/events", "u1"),
        owner(CLUSTER, "ns/events", "u1"),
        owner(CLUSTER, "ns/events", "u0"),
        owner(CLUSTER, "ns/other", "u2"),
        // A uid belongs to one object across clusters.
        owner(OTHER_CLUSTER, "ns/events", "u3"),
    ])
}

/// A live role from another spec or from an administrator.
fn lives() -> impl Strategy<Value = ObservedRole> {
    let name = |names: [&'static str; 2]| btree_set(select(names.to_vec()), 0..3);
    (
        specs(),
        owners(),
        tag_sets(),
        select(vec!["", "one", "by hand"]),
        option::of(select(vec!["garbage", "{}", "as the spec has it"])),
        name(["extra", "other"]),
        name(["arn:aws:iam::aws:policy/P", "arn:aws:iam::aws:policy/Q"]),
    )
        .prop_filter_map(
            "not a role",
            |(spec, owner, tags, description, policy, inline, attached)| {
                let made = declared(&spec, &BTreeSet::new())?;
                let made = made.declaration;
                let permissions_policy = policy.map(|policy| match policy {
                    "as the spec has it" => {
                        LiveDocument::Document(made.permissions_policy.document.clone())
                    }
                    other => LiveDocument::read(other),
                });
                let mut all_tags = tags;
                all_tags.extend(owner.iter().flat_map(Owner::tags));
                let mut inline_policies: BTreeMap<_, _> =
                    inline.into_iter().map(|name| (name.to_owned(), None)).collect();
                inline_policies
                    .extend(permissions_policy.map(|policy| (DECLARED.to_owned(), Some(policy))));
                Some(ObservedRole {
                    arn: arn("/"),
                    role_id: "AROA1".into(),
                    path: "/".into(),
                    description: description.into(),
                    max_session_duration_seconds: made.max_session_duration_seconds,
                    permissions_boundary: made.permissions_boundary.map(|arn| arn.to_string()),
                    tags: all_tags,
                    trust_policy: LiveDocument::Document(made.trust_policy),
                    inline_policies,
                    attached_policies: attached.into_iter().map(str::to_owned).collect(),
                    ..ObservedRole::default()
                })
            },
        )
}

/// Applies a write as IAM does.
fn apply(role: &mut Option<ObservedRole>, write: &Write) {
    if let Write::CreateRole(new) = write {
        assert!(role.is_none(), "a role is created only where there is none");
        *role = Some(ObservedRole {
            arn: arn(&new.path),
            path: new.path.clone(),
            description: new.description.clone(),
            max_session_duration_seconds: new.max_session_duration_seconds,
            permissions_boundary: new.permissions_boundary.as_ref().map(ToString::to_string),
            tags: new.tags.clone(),
            trust_policy: LiveDocument::Document(new.trust_policy.clone()),
            ..ObservedRole::default()
        });
        return;
    }
    if let Write::DeleteRole = write {
        let is_empty = role.take().is_some_and(|role| {
            role.inline_policies.is_empty() && role.attached_policies.is_empty()
        });
        assert!(is_empty, "only an empty role is deleted");
        return;
    }
    let Some(role) = role else { panic!("{write:?} needs a role") };
    match write {
        Write::CreateRole(_) | Write::DeleteRole => panic!("{write:?} was made above"),
        Write::TagRole(tags) => {
            for (key, value) in tags {
                // IAM keeps one tag for keys that differ only in case.
                role.tags.retain(|old, _| old == key || !old.eq_ignore_ascii_case(key));
                role.tags.insert(key.clone(), value.clone());
            }
        }
        Write::UntagRole(keys) => role.tags.retain(|key, _| !keys.contains(key)),
        Write::PutRolePermissionsBoundary(arn) => role.permissions_boundary = Some(arn.to_string()),
        Write::DeleteRolePermissionsBoundary => role.permissions_boundary = None,
        Write::UpdateAssumeRolePolicy(document) => {
            role.trust_policy = LiveDocument::Document(document.clone());
        }
        Write::PutRolePolicy(policy) => {
            let document = LiveDocument::Document(policy.document.clone());
            role.inline_policies.insert(policy.name.clone(), Some(document));
        }
        Write::DeleteRolePolicy(name) => drop(role.inline_policies.remove(name)),
        Write::DetachRolePolicy(arn) => {
            role.attached_policies.remove(arn);
        }
        Write::UpdateRole { description, max_session_duration_seconds } => {
            role.description.clone_from(description);
            role.max_session_duration_seconds = *max_session_duration_seconds;
        }
    }
}

/// The call of a write, with the parts that IAM's conditions use.
fn call(write: &Write) -> Call {
    let mut parameters = BTreeMap::from([("RoleName".to_owned(), "role".to_owned())]);
    let mut tags = &BTreeMap::new();
    let mut boundary = None;
    let action = match write {
        Write::CreateRole(new) => {
            parameters.insert("Path".into(), new.path.clone());
            tags = &new.tags;
            boundary = new.permissions_boundary.as_ref();
            Action::CreateRole
        }
        Write::TagRole(set) => {
            tags = set;
            Action::TagRole
        }
        Write::UntagRole(_) => Action::UntagRole,
        Write::PutRolePermissionsBoundary(arn) => {
            boundary = Some(arn);
            Action::PutRolePermissionsBoundary
        }
        Write::DeleteRolePermissionsBoundary => Action::DeleteRolePermissionsBoundary,
        Write::UpdateAssumeRolePolicy(_) => Action::UpdateAssumeRolePolicy,
        Write::PutRolePolicy(_) => Action::PutRolePolicy,
        Write::DeleteRolePolicy(_) => Action::DeleteRolePolicy,
        Write::DetachRolePolicy(_) => Action::DetachRolePolicy,
        Write::UpdateRole { .. } => Action::UpdateRole,
        Write::DeleteRole => Action::DeleteRole,
    };
    for (number, (key, value)) in (1..).zip(tags) {
        parameters.insert(format!("Tags.member.{number}.Key"), key.clone());
        parameters.insert(format!("Tags.member.{number}.Value"), value.clone());
    }
    parameters.extend(boundary.map(|arn| ("PermissionsBoundary".to_owned(), arn.to_string())));
    Call { action: action.name().into(), parameters }
}

/// Makes the writes until the policies deny one. Returns the denied request, or the resulting role.
fn carry_out<'a>(
    policies: &IamPolicies,
    live: Option<&ObservedRole>,
    writes: impl IntoIterator<Item = &'a Write>,
) -> Result<Option<ObservedRole>, (&'a Write, Question)> {
    let mut role = live.cloned();
    for write in writes {
        let found = role.as_ref().map(|role| RoleInIam {
            arn: role.arn.clone(),
            tags: role.tags.clone(),
            boundary: role.permissions_boundary.clone(),
        });
        if let Some(denied) = policies.objection(&call(write), found.as_ref()) {
            return Err((write, denied));
        }
        apply(&mut role, write);
    }
    Ok(role)
}

const CONTROLLER: &str = include_str!("../deploy/iam/policy.json");

/// The shipped policies for this cluster, which require this boundary on every role.
fn shipped(policies: &[&str], boundary: &str) -> IamPolicies {
    let values = [
        ("partition", "aws"),
        ("account_id", ACCOUNT_ID),
        ("role_prefix", "/"),
        ("cluster_uid", CLUSTER),
        ("other_cluster_uid", OTHER_CLUSTER),
        ("boundary_arn", boundary),
    ];
    IamPolicies::read(policies, &values).unwrap()
}

fn all_with_boundary(boundary: &str) -> IamPolicies {
    let policies = [
        CONTROLLER,
        include_str!("../deploy/iam/policy-adoption.json"),
        include_str!("../deploy/iam/policy-take-over.json"),
        include_str!("../deploy/iam/policy-boundary.json"),
    ];
    shipped(&policies, boundary)
}

/// A spec with the boundary that every role must have.
fn bounded_specs() -> impl Strategy<Value = (Value, &'static str)> {
    (specs(), select(BOUNDARIES.to_vec())).prop_map(|(mut spec, boundary)| {
        spec.as_object_mut().unwrap().insert("permissionsBoundaryArn".into(), boundary.into());
        (spec, boundary)
    })
}

/// A plan where every other object of the cluster exists and keeps its role.
fn plan(desired: &DesiredRole, observed: Option<&ObservedRole>) -> Result<Plan, Refusal> {
    role::plan(desired, observed, |_| Standing::Keeps)
}

/// A request to a stream (or to something else) on behalf of a project in a Region, as precise as boundaries require.
type Request = (&'static str, &'static str, &'static str);

const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "elsewhere"];
const RESOURCES: [&str; 4] = ["stream/s", "stream/t", "bucket/x", "bucket/y"];
const BOUNDED: [&str; 3] = ["within A", "within B", "within neither"];

/// Everything that a role grants: a small evaluation of the documents, with a meaning for each opaque name.
fn grants(role: &ObservedRole) -> BTreeSet<Request> {
    let value = |document: &LiveDocument| match document {
        LiveDocument::Document(document) => document.to_value(),
        LiveDocument::Unreadable(_) => Value::Null,
    };
    let trust = value(&role.trust_policy);
    let statement = trust.pointer("/Statement/0").or_else(|| trust.pointer("/Statement"));
    let source = statement.and_then(|s| s.pointer("/Condition/ArnLike/aws:SourceArn"));
    let source = source.map(ToString::to_string);
    let trusts = |region: &str| source.as_ref().is_none_or(|arn| arn.contains(region));

    let declared = role.inline_policy(DECLARED).map(value).unwrap_or_default().to_string();
    // Two of the other policies allow something; two deny something.
    let on = |name: &str| {
        role.inline_policies.contains_key(name)
            || role.attached_policies.iter().any(|p| p.ends_with(name))
    };
    let allows = |resource: &str| {
        declared.contains(&format!(":{resource}\""))
            || resource == "bucket/x" && on("extra")
            || resource == "bucket/y" && on("/P")
    };
    let denies = |resource: &str| {
        resource == "stream/s" && on("other") || resource == "stream/t" && on("/Q")
    };
    let bounds = |class: &str| match role.permissions_boundary.as_deref() {
        None => true,
        Some(arn) => class.ends_with(arn.chars().last().unwrap_or_default()),
    };
    let mut granted = BTreeSet::new();
    for region in REGIONS.into_iter().filter(|region| trusts(region)) {
        for resource in RESOURCES.into_iter().filter(|r| allows(r) && !denies(r)) {
            granted
                .extend(BOUNDED.into_iter().filter(|c| bounds(c)).map(|c| (region, resource, c)));
        }
    }
    granted
}

/// Whether the write is to a document or to an undeclared policy.
fn grants_something(write: &Write) -> bool {
    matches!(
        write,
        Write::UpdateAssumeRolePolicy(_) | Write::PutRolePolicy(_) | Write::DetachRolePolicy(_)
    ) || matches!(write, Write::DeleteRolePolicy(name) if name != DECLARED)
}

fn lives_without_cases(live: &ObservedRole) -> bool {
    let mut seen = BTreeSet::new();
    live.tags.keys().all(|key| seen.insert(key.to_lowercase()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(support::cases()))]

    #[test]
    fn a_plan_carried_out_leaves_nothing_to_plan(
        spec in specs(),
        live in option::weighted(0.9, lives()),
        former in btree_set(select(vec!["team", "stage", "gone"]).prop_map(str::to_owned), 0..3),
    ) {
        let Some(desired) = declared(&spec, &former) else { return Ok(()) };
        prop_assume!(live.as_ref().is_none_or(lives_without_cases));
        let Ok(first) = plan(&desired, live.as_ref()) else { return Ok(()) };
        let mut role = live.clone();
        for change in &first.changes {
            let makes_way = matches!(&change.write, Write::DeleteRolePolicy(name) if name == DECLARED)
                || matches!(change.write, Write::PutRolePolicy(_));
            prop_assert!(makes_way || !change.differences.is_empty(), "{change:?} says why");
            apply(&mut role, &change.write);
        }
        let second = plan(&desired, role.as_ref()).unwrap();
        prop_assert!(second.changes.is_empty(), "{:?} after {:?}", second.changes, first.changes);
        let role = role.unwrap();
        prop_assert_eq!(Ownership::of(&role.tags, &desired.owner, desired.held.is(&role)), Ownership::Ours);
        if desired.declaration.exclusive_policies {
            prop_assert!(second.extra_policies.is_empty());
        } else if let Some(live) = &live {
            prop_assert_eq!(&role.attached_policies, &live.attached_policies, "others' policies stay");
            prop_assert!(live.inline_policies.keys().all(|name| role.inline_policies.contains_key(name)));
        }
    }

    #[test]
    fn the_tags_of_others_stay(spec in specs(), live in lives(), former in btree_set(select(vec!["team", "stage"]).prop_map(str::to_owned), 0..2)) {
        let Some(desired) = declared(&spec, &former) else { return Ok(()) };
        prop_assume!(lives_without_cases(&live));
        let Ok(Plan { changes, .. }) = plan(&desired, Some(&live)) else { return Ok(()) };
        let mut role = Some(live.clone());
        for change in &changes {
            apply(&mut role, &change.write);
        }
        let ours = |key: &str| {
            let same = |own: &String| own.eq_ignore_ascii_case(key);
            desired.declaration.tags.keys().any(same) || former.iter().any(same) || key.starts_with("streamrole.dev/")
        };
        let role = role.unwrap();
        for (key, value) in live.tags.iter().filter(|(key, _)| !ours(key)) {
            prop_assert_eq!(role.tags.get(key), Some(value), "tag {}", key);
        }
    }

    #[test]
    fn no_moment_grants_more_than_the_role_did_or_will(spec in specs(), live in lives()) {
        let Some(desired) = declared(&spec, &BTreeSet::new()) else { return Ok(()) };
        let mut live = live;
        if desired.declaration.exclusive_policies {
            // The policies of others are not read, so no order of several of them is always safe.
            let (policies, declared) = (&mut live.inline_policies, DECLARED);
            policies.retain(|name, _| name == declared || live.attached_policies.is_empty() && name == "other");
            live.attached_policies = live.attached_policies.into_iter().take(1).collect();
        }
        let Ok(plan) = plan(&desired, Some(&live)) else { return Ok(()) };
        // The content of a boundary is not read either, so two of them cannot be compared.
        let is_replaced = live.permissions_boundary.is_some() && desired.declaration.permissions_boundary.is_some();
        let policies = plan.changes.iter().filter(|change| grants_something(&change.write)).count();
        if is_replaced && live.has_policies_besides(DECLARED) && policies > 1 {
            return Ok(());
        }
        let mut moments = vec![live.clone()];
        let mut role = Some(live.clone());
        for change in &plan.changes {
            apply(&mut role, &change.write);
            moments.extend(role.clone());
        }
        let (before, after) = (grants(moments.first().unwrap()), grants(moments.last().unwrap()));
        let under_new_boundary = grants(&ObservedRole {
            permissions_boundary: desired.declaration.permissions_boundary.as_ref().map(ToString::to_string),
            ..live
        });
        for (moment, change) in moments.iter().skip(1).zip(&plan.changes) {
            let granted = grants(moment);
            let is_just_replaced =
                is_replaced && matches!(change.write, Write::PutRolePermissionsBoundary(_));
            prop_assert!(
                granted.is_subset(&before)
                    || granted.is_subset(&after)
                    || is_just_replaced && granted.is_subset(&under_new_boundary),
                "after {:?} of {:?}", change.write, plan.changes
            );
        }
    }

    #[test]
    fn the_shipped_policies_allow_each_write_of_each_plan_but_a_claim_that_needs_another_policy(
        spec in specs(),
        live in option::weighted(0.9, lives()),
        former in btree_set(select(vec!["team", "stage", "gone"]).prop_map(str::to_owned), 0..3),
        standing in select(vec![Standing::Keeps, Standing::Gone]),
    ) {
        let Some(desired) = declared(&spec, &former) else { return Ok(()) };
        let Ok(plan) = role::plan(&desired, live.as_ref(), |_| standing) else { return Ok(()) };
        let writes = || plan.changes.iter().map(|change| &change.write);
        let is_of_this_cluster = |live: &ObservedRole| {
            live.tags.get(CLUSTER_TAG).is_some_and(|cluster| cluster == CLUSTER)
        };
        let policy = shipped(&[CONTROLLER], "none");
        match carry_out(&policy, live.as_ref(), writes()) {
            Ok(_) => prop_assert!(live.as_ref().is_none_or(is_of_this_cluster)),
            Err((write, denied)) => {
                prop_assert!(matches!(write, Write::TagRole(_)), "{denied:?} in {:?}", plan.changes);
                prop_assert!(!live.as_ref().is_none_or(is_of_this_cluster), "{denied:?}");
            }
        }
    }

    #[test]
    fn under_a_demanded_boundary_every_plan_for_a_resource_that_declares_it_can_be_carried_out(
        (spec, boundary) in bounded_specs(),
        live in option::weighted(0.9, lives()),
        former in btree_set(select(vec!["team", "stage", "gone"]).prop_map(str::to_owned), 0..3),
        standing in select(vec![Standing::Keeps, Standing::Gone]),
    ) {
        let Some(desired) = declared(&spec, &former) else { return Ok(()) };
        let Ok(plan) = role::plan(&desired, live.as_ref(), |_| standing) else { return Ok(()) };
        let writes = plan.changes.iter().map(|change| &change.write);
        let done = carry_out(&all_with_boundary(boundary), live.as_ref(), writes);
        prop_assert!(done.is_ok(), "{done:?} in {:?} for {live:?}", plan.changes);
    }

    #[test]
    fn the_role_of_a_deleted_resource_goes_under_the_shipped_policies_and_a_demanded_boundary(
        (spec, boundary) in bounded_specs(),
        live in lives(),
        deletion_policy in select(vec![None, Some(DeletionPolicy::Delete), Some(DeletionPolicy::Retain)]),
        stripped in select(vec!["nothing", CLUSTER_TAG, RESOURCE_TAG, UID_TAG]),
    ) {
        let Some(desired) = declared(&spec, &BTreeSet::new()) else { return Ok(()) };
        let mut live = live;
        live.tags.extend(desired.owner.tags());
        live.tags.remove(stripped);
        let request = DeletionRequest {
            owner: &desired.owner,
            held: &Held { role_id: Some(live.role_id.clone()), ..Held::default() },
            permissions_policy: DECLARED,
            deletion_policy,
            drift_policy: DriftPolicy::Correct,
            exclusive_policies: desired.declaration.exclusive_policies,
            permissions_boundary: desired.declaration.permissions_boundary.as_ref(),
        };
        let (writes, is_kept) = match role::plan_deletion(request, Some(&live)) {
            Deletion::Delete(writes) => (writes, false),
            Deletion::Release(writes) => (writes, true),
            Deletion::Blocked(_) => return Ok(()),
            other @ (Deletion::Nothing | Deletion::Keep(_)) => {
                panic!("the role is the resource's: {other:?}")
            }
        };
        // Removing the cluster's tag excludes the role from the policy that requires it.
        let own = (stripped != CLUSTER_TAG).then(|| shipped(&[CONTROLLER], "none"));
        for policies in own.into_iter().chain([all_with_boundary(boundary)]) {
            match carry_out(&policies, Some(&live), &writes) {
                Ok(left) => prop_assert_eq!(left.is_some(), is_kept),
                Err(denied) => prop_assert!(false, "{denied:?} in {writes:?} for {live:?}"),
            }
        }
    }

    #[test]
    fn a_role_that_is_not_ours_is_planned_for_only_as_the_spec_and_its_owner_allow(
        spec in specs(),
        live in lives(),
        standing in select(vec![Standing::Keeps, Standing::Gone]),
    ) {
        let Some(desired) = declared(&spec, &BTreeSet::new()) else { return Ok(()) };
        let policy = desired.declaration.adoption_policy;
        let planned = role::plan(&desired, Some(&live), |_| standing);
        let allowed = match Ownership::of(&live.tags, &desired.owner, desired.held.is(&live)) {
            Ownership::Ours | Ownership::Damaged | Ownership::Predecessors => true,
            Ownership::Foreign => policy != AdoptionPolicy::Never,
            Ownership::Anothers(owner) if owner.cluster != CLUSTER => policy == AdoptionPolicy::TakeOver,
            Ownership::Anothers(_) => match standing {
                Standing::Keeps => false,
                Standing::Gone => policy != AdoptionPolicy::Never,
            },
        };
        prop_assert_eq!(planned.is_ok(), allowed, "{:?}", planned);
        if let (Ok(plan), false) =
            (planned, Ownership::of(&live.tags, &desired.owner, desired.held.is(&live)) == Ownership::Ours)
        {
            let first = plan.changes.into_iter().next().unwrap();
            prop_assert!(matches!(first.write, Write::TagRole(_)), "{first:?} before the claim");
        }
    }
}
