//! The declared roles for Terraform's AWS provider (`aws_iam_role`, `aws_iam_role_policy`).

use hcl::expr::{
    Expression, FuncCall, Object, ObjectKey, Traversal, TraversalOperator, Variable, to_expression,
};
use hcl::{Block, Body, Identifier};

use super::super::Error;
use super::{Names, Role};
use crate::policy::Document;

pub(super) fn terraform(roles: &[Role<'_>]) -> Result<String, Error> {
    let mut names = Names::default();
    let mut body = Body::builder();
    for role in roles {
        let name = names.unique(identifier(role));
        body = body.add_block(iam_role(&name, role)?).add_block(role_policy(&name, role)?);
    }
    hcl::to_string(&body.build()).map_err(|error| Error::Print(error.to_string()))
}

/// A name of Terraform's grammar: letters, digits, underscores and dashes, not beginning with a digit.
fn identifier(role: &Role<'_>) -> String {
    let joined = format!("{}_{}", role.namespace, role.name);
    let safe: String =
        joined.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if safe.starts_with(|c: char| c.is_ascii_digit()) { format!("role_{safe}") } else { safe }
}

fn iam_role(name: &str, role: &Role<'_>) -> Result<Block, Error> {
    let mut block = Block::builder("resource")
        .add_label("aws_iam_role")
        .add_label(name)
        .add_attribute(("name", literal(role.role_name)))
        .add_attribute(("path", literal(role.path)))
        .add_attribute(("max_session_duration", role.max_session_duration_seconds))
        .add_attribute(("assume_role_policy", encoded(role.trust_policy)?));
    if !role.description.is_empty() {
        block = block.add_attribute(("description", literal(role.description)));
    }
    if let Some(boundary) = &role.permissions_boundary_arn {
        block = block.add_attribute(("permissions_boundary", literal(boundary)));
    }
    if !role.tags.is_empty() {
        let tag = |(key, value): (&String, &String)| {
            (ObjectKey::Expression(literal(key)), literal(value))
        };
        let tags: Object<ObjectKey, Expression> = role.tags.iter().map(tag).collect();
        block = block.add_attribute(("tags", Expression::Object(tags)));
    }
    Ok(block.build())
}

fn role_policy(name: &str, role: &Role<'_>) -> Result<Block, Error> {
    let own = Traversal::new(
        Variable::unchecked("aws_iam_role"),
        [
            TraversalOperator::GetAttr(Identifier::sanitized(name)),
            TraversalOperator::GetAttr(Identifier::unchecked("name")),
        ],
    );
    Ok(Block::builder("resource")
        .add_label("aws_iam_role_policy")
        .add_label(name)
        .add_attribute(("name", literal(role.permissions_policy_name)))
        .add_attribute(("role", Expression::from(own)))
        .add_attribute(("policy", encoded(role.permissions_policy)?))
        .build())
}

/// `jsonencode({…})`, which Terraform compares by its content. A declared document has no `${`.
fn encoded(document: &Document) -> Result<Expression, Error> {
    let value = to_expression(document).map_err(|error| Error::Print(error.to_string()))?;
    Ok(Expression::from(FuncCall::builder("jsonencode").arg(value).build()))
}

/// A text without templates. `hcl` escapes `${`, but not `%{`, which begins a directive.
fn literal(text: &str) -> Expression {
    Expression::String(text.replace("%{", "%%{"))
}
