//! The permissions of the shipped IAM policies for a holder of the controller's credentials. The `CloudFormation`
//! template has the same policies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::{Map, Value};
use streamrole::role::Action;
use support::{IamPolicies, Request};

const CONTROLLER: &str = include_str!("../deploy/iam/policy.json");
const WITHOUT_TAGS: &str = include_str!("../deploy/iam/policy-without-tags.json");
const ADOPTION: &str = include_str!("../deploy/iam/policy-adoption.json");
const TAKE_OVER: &str = include_str!("../deploy/iam/policy-take-over.json");
const BOUNDARY: &str = include_str!("../deploy/iam/policy-boundary.json");
const OWN_ROLE: &str = include_str!("../deploy/iam/policy-own-role.json");

const INSIDE: &str = "arn:aws:iam::111122223333:role/streaming/events";
const OUTSIDE: &str = "arn:aws:iam::111122223333:role/admin";
/// The controller's own role, when it is under the prefix.
const OWN: &str = "arn:aws:iam::111122223333:role/streaming/streamrole-controller";

/// Tags of the role, as condition keys.
const OURS: (&str, &str) = ("aws:ResourceTag/streamrole.dev/cluster", "this");
const OTHERS: (&str, &str) = ("aws:ResourceTag/streamrole.dev/cluster", "other");
const A_THIRDS: (&str, &str) = ("aws:ResourceTag/streamrole.dev/cluster", "third");
/// Tags in the call.
const FOR_US: (&str, &str) = ("aws:RequestTag/streamrole.dev/cluster", "this");
const FOR_OTHERS: (&str, &str) = ("aws:RequestTag/streamrole.dev/cluster", "other");
const ADOPTED: (&str, &str) = ("aws:RequestTag/streamrole.dev/adopted", "true");
/// Boundary of the role, or in the call that sets it.
const BOUND: (&str, &str) = ("iam:PermissionsBoundary", "arn:aws:iam::111122223333:policy/most");
const LOOSE: (&str, &str) = ("iam:PermissionsBoundary", "arn:aws:iam::111122223333:policy/more");

type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool);

fn check(policies: &[&str], rows: &[Row]) {
    let values = [
        ("partition", "aws"),
        ("account_id", "111122223333"),
        ("role_prefix", "/streaming/"),
        ("cluster_uid", "this"),
        ("other_cluster_uid", "other"),
        ("boundary_arn", BOUND.1),
        ("controller_role_arn", OWN),
    ];
    let policies = IamPolicies::read(policies, &values).unwrap();
    for (action, resource, context, allowed) in rows {
        let request = Request {
            action: format!("iam:{action}"),
            resource: (*resource).into(),
            context: context.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        assert_eq!(policies.allow(&request), *allowed, "{request:?}");
    }
}

#[test]
fn only_roles_under_the_prefix_that_carry_the_cluster_s_tag_are_changed() {
    let changes = [
        "DeleteRole",
        "DeleteRolePermissionsBoundary",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "UntagRole",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
    ];
    for change in changes {
        let rows: [Row; 4] = [
            (change, INSIDE, &[OURS], true),
            (change, INSIDE, &[OTHERS], false),
            (change, INSIDE, &[], false),
            (change, OUTSIDE, &[OURS], false),
        ];
        check(&[CONTROLLER, ADOPTION, TAKE_OVER], &rows);
    }
}

#[test]
fn the_cluster_tag_is_only_set_at_creation() {
    let rows: [Row; 9] = [
        ("CreateRole", INSIDE, &[FOR_US], true),
        ("CreateRole", INSIDE, &[], false),
        ("CreateRole", INSIDE, &[FOR_OTHERS], false),
        ("CreateRole", OUTSIDE, &[FOR_US], false),
        ("TagRole", INSIDE, &[OURS, FOR_US], true),
        ("TagRole", INSIDE, &[OURS], true),
        ("TagRole", INSIDE, &[OURS, FOR_OTHERS], false),
        ("TagRole", INSIDE, &[FOR_US, ADOPTED], false),
        ("TagRole", INSIDE, &[OTHERS, FOR_US, ADOPTED], false),
    ];
    check(&[CONTROLLER], &rows);
}

#[test]
fn adoption_and_take_over_are_allowed_separately() {
    let adoption: [Row; 6] = [
        ("TagRole", INSIDE, &[FOR_US, ADOPTED], true),
        // Restores the tags of a role that lost them.
        ("TagRole", INSIDE, &[FOR_US], true),
        ("TagRole", INSIDE, &[], false),
        ("TagRole", INSIDE, &[FOR_OTHERS, ADOPTED], false),
        ("TagRole", INSIDE, &[OTHERS, FOR_US, ADOPTED], false),
        ("TagRole", OUTSIDE, &[FOR_US, ADOPTED], false),
    ];
    check(&[CONTROLLER, ADOPTION], &adoption);
    let take_over: [Row; 4] = [
        ("TagRole", INSIDE, &[OTHERS, FOR_US, ADOPTED], true),
        ("TagRole", INSIDE, &[OTHERS, FOR_US], false),
        ("TagRole", INSIDE, &[A_THIRDS, FOR_US, ADOPTED], false),
        ("TagRole", INSIDE, &[FOR_US, ADOPTED], false),
    ];
    check(&[CONTROLLER, TAKE_OVER], &take_over);
}

#[test]
fn a_missing_role_is_reported_and_foreign_documents_are_not_read() {
    let rows: [Row; 6] = [
        ("GetRole", "role events", &[], true),
        ("GetRole", OUTSIDE, &[], true),
        ("GetRolePolicy", INSIDE, &[], true),
        ("GetRolePolicy", OUTSIDE, &[], false),
        ("PassRole", INSIDE, &[OURS], false),
        ("AttachRolePolicy", INSIDE, &[OURS], false),
    ];
    check(&[CONTROLLER, ADOPTION, TAKE_OVER], &rows);
    check(&[WITHOUT_TAGS], &rows);
    let rows: [Row; 2] =
        [("PutRolePolicy", INSIDE, &[], true), ("PutRolePolicy", OUTSIDE, &[], false)];
    check(&[WITHOUT_TAGS], &rows);
}

#[test]
fn with_a_boundary_no_role_is_created_or_changed_without_it() {
    let rows: [Row; 7] = [
        ("CreateRole", INSIDE, &[FOR_US, BOUND], true),
        ("CreateRole", INSIDE, &[FOR_US, LOOSE], false),
        ("CreateRole", INSIDE, &[FOR_US], false),
        ("DeleteRolePermissionsBoundary", INSIDE, &[OURS, BOUND], false),
        // Tagging a role with this cluster does not change what it grants, and no condition on the boundary applies.
        ("TagRole", INSIDE, &[FOR_US], true),
        ("UntagRole", INSIDE, &[OURS], true),
        ("GetRole", OUTSIDE, &[LOOSE], true),
    ];
    check(&[CONTROLLER, ADOPTION, BOUNDARY], &rows);
    let changes = [
        "DeleteRole",
        "DeleteRolePolicy",
        "DetachRolePolicy",
        "PutRolePermissionsBoundary",
        "PutRolePolicy",
        "UpdateAssumeRolePolicy",
        "UpdateRole",
    ];
    for change in changes {
        let rows: [Row; 3] = [
            (change, INSIDE, &[OURS, BOUND], true),
            (change, INSIDE, &[OURS, LOOSE], false),
            (change, INSIDE, &[OURS], false),
        ];
        check(&[CONTROLLER, BOUNDARY], &rows);
    }
}

#[test]
fn an_adopted_role_is_bounded_before_its_trust_policy_changes() {
    let theft: [Row; 4] = [
        ("TagRole", INSIDE, &[FOR_US, ADOPTED], true),
        ("UpdateAssumeRolePolicy", INSIDE, &[OURS], false),
        ("PutRolePermissionsBoundary", INSIDE, &[OURS, BOUND], true),
        ("UpdateAssumeRolePolicy", INSIDE, &[OURS, BOUND], true),
    ];
    check(&[CONTROLLER, ADOPTION, BOUNDARY], &theft);
}

#[test]
fn the_controllers_own_role_is_never_written_even_under_the_prefix() {
    for policy in [CONTROLLER, WITHOUT_TAGS] {
        for action in Action::ALL {
            let name = action.name();
            let is_read = name.starts_with("Get") || name.starts_with("List");
            let keys = [OURS, FOR_US, ADOPTED];
            let rows: [Row; 2] = [(name, OWN, &keys, is_read), (name, INSIDE, &keys, true)];
            // The lists only support all resources.
            if !["GetAccountAuthorizationDetails", "ListRoles"].contains(&name) {
                check(&[policy, ADOPTION, OWN_ROLE], &rows);
            }
        }
    }
}

/// The template's parameters and pseudo parameters, as placeholders of the JSON files.
const PARAMETERS: [(&str, &str); 7] = [
    ("AWS::Partition", "${partition}"),
    ("AWS::AccountId", "${account_id}"),
    ("RolePrefix", "${role_prefix}"),
    ("ClusterUid", "${cluster_uid}"),
    ("OtherClusterUid", "${other_cluster_uid}"),
    ("BoundaryArn", "${boundary_arn}"),
    ("Role.Arn", "${controller_role_arn}"),
];

/// The template's `Ref`, `Fn::GetAtt` and `Fn::Sub`, resolved.
fn resolved(value: &Value) -> Value {
    let only = |object: &Map<String, Value>, key: &str| -> Option<String> {
        (object.len() == 1).then(|| object.get(key)?.as_str().map(str::to_owned)).flatten()
    };
    let attribute = |object: &Map<String, Value>| -> Option<String> {
        let parts = object.get("Fn::GetAtt")?.as_array()?.iter().map(Value::as_str);
        Some(parts.collect::<Option<Vec<_>>>()?.join("."))
    };
    match value {
        Value::Object(object) => {
            if let Some(name) = only(object, "Ref").or_else(|| attribute(object)) {
                let known = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
                return known.expect(&name).1.into();
            }
            if let Some(text) = only(object, "Fn::Sub") {
                let replace = |text: String, (parameter, placeholder): &(&str, &str)| {
                    text.replace(&format!("${{{parameter}}}"), placeholder)
                };
                return PARAMETERS.iter().fold(text, replace).into();
            }
            let fields = object.iter().map(|(key, value)| (key.clone(), resolved(value)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(resolved).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_cloudformation_template_holds_the_same_policies() {
    let template: Value =
        serde_saphyr::from_str(include_str!("../deploy/iam/cloudformation.yaml")).unwrap();
    let table = [
        ("ControllerPolicy", CONTROLLER),
        ("AdoptionPolicy", ADOPTION),
        ("TakeOverPolicy", TAKE_OVER),
        ("BoundaryPolicy", BOUNDARY),
        ("OwnRolePolicy", OWN_ROLE),
    ];
    for (resource, policy) in table {
        let held = resolved(&template["Resources"][resource]["Properties"]["PolicyDocument"]);
        assert_eq!(held, serde_json::from_str::<Value>(policy).unwrap(), "{resource}");
    }
    let kinds = template["Resources"].as_object().unwrap().values();
    let policies = kinds.filter(|resource| resource["Type"] == "AWS::IAM::RolePolicy").count();
    assert_eq!(policies, table.len(), "no other policy is on the role");
}
