//! The declared roles as a shell script that creates them with the AWS CLI.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;

use super::super::Error;
use super::Role;

pub(super) fn script(roles: &[Role<'_>]) -> Result<String, Error> {
    let mut script = "#!/bin/sh\nset -eu\n".to_owned();
    for role in roles {
        script.push('\n');
        for command in commands(role)? {
            let words = command.iter().map(|word| quoted(word)).collect::<Result<Vec<_>, _>>()?;
            script.push_str(&words.join(" "));
            script.push('\n');
        }
    }
    Ok(script)
}

fn quoted(word: &str) -> Result<Cow<'_, str>, Error> {
    shlex::try_quote(word).map_err(|error| Error::Print(error.to_string()))
}

fn commands(role: &Role<'_>) -> Result<[Vec<String>; 2], Error> {
    let duration = role.max_session_duration_seconds.to_string();
    let trust = json(role.trust_policy)?;
    let mut create = words(&["aws", "iam", "create-role", "--role-name", role.role_name]);
    create.extend(words(&["--path", role.path, "--max-session-duration", &duration]));
    create.extend(words(&["--assume-role-policy-document", &trust]));
    if !role.description.is_empty() {
        create.extend(words(&["--description", role.description]));
    }
    if let Some(boundary) = &role.permissions_boundary_arn {
        create.extend(words(&["--permissions-boundary", boundary]));
    }
    if !role.tags.is_empty() {
        let tags: Vec<_> =
            role.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        create.extend(words(&["--tags", &json(&tags)?]));
    }
    let mut put = words(&["aws", "iam", "put-role-policy", "--role-name", role.role_name]);
    put.extend(words(&["--policy-name", role.permissions_policy_name]));
    put.extend(words(&["--policy-document", &json(role.permissions_policy)?]));
    Ok([create, put])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Print(error.to_string()))
}
