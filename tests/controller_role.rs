//! The path of the controller's own role in the Terraform module and the `CloudFormation` template: no managed role can
//! have that path.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("../deploy/iam/cloudformation.yaml");
const MODULE: &str = include_str!("../deploy/iam/terraform/main.tf");
const VARIABLES: &str = include_str!("../deploy/iam/terraform/variables.tf");

const PATH: &str = "/streamrole-controller/";

#[test]
fn the_template_rejects_prefixes_of_the_controllers_own_role() {
    let template: Value = serde_saphyr::from_str(TEMPLATE).unwrap();
    assert_eq!(template["Resources"]["Role"]["Properties"]["Path"], PATH);
    let own = &template["Resources"]["OwnRolePolicy"]["Properties"]["PolicyDocument"];
    assert_eq!(own["Statement"][0]["Resource"], json!({"Fn::GetAtt": ["Role", "Arn"]}));

    // The rule excludes prefixes up to the length of the path; the pattern excludes longer ones.
    let rule = &template["Rules"]["RolePrefixLeavesOwnRole"]["Assertions"][0]["Assert"];
    let refused = &rule["Fn::Not"][0]["Fn::Contains"];
    let prefixes: Vec<_> = (1..=PATH.len()).map(|length| PATH.get(..length).unwrap()).collect();
    assert_eq!(refused[0], Value::from(prefixes));
    assert_eq!(refused[1]["Ref"], "RolePrefix");
    let pattern = &template["Parameters"]["RolePrefix"]["AllowedPattern"];
    assert_eq!(*pattern, format!("^/(?!{})[\\w+=,.@/-]*$", PATH.trim_start_matches('/')));
}

#[test]
fn the_module_places_the_role_outside_its_prefix() {
    assert!(MODULE.contains(&format!("path        = \"{PATH}\"")));
    let either = format!(
        "startswith(\"{PATH}\", var.role_prefix) || startswith(var.role_prefix, \"{PATH}\")"
    );
    assert!(VARIABLES.contains(&either));
    assert!(MODULE.contains("\"policy-own-role.json\""));
    assert!(MODULE.contains("controller_role_arn = aws_iam_role.controller.arn"));
}
