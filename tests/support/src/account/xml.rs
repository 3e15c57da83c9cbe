//! A role in IAM's answers.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::escape::escape;

use crate::query::Call;
use crate::stack::ACCOUNT_ID;

use super::role::Role;
use super::{NO_SUCH_ACTION, NO_SUCH_ENTITY, Refusal};

/// Everything but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The caller in the answer of STS: one user of the account.
pub(super) fn caller() -> String {
    let arn = format!("arn:aws:iam::{ACCOUNT_ID}:user/controller");
    text("Arn", &arn) + &text("UserId", "AIDA00000000000000001") + &text("Account", ACCOUNT_ID)
}

impl Role {
    /// The answer to a read of this role.
    pub(super) fn told(&self, call: &Call) -> Result<String, Refusal> {
        let whole = |list: &str, members: &str| {
            Ok(element("IsTruncated", "false") + &element(list, members))
        };
        match call.action.as_str() {
            "GetRole" => Ok(element("Role", &self.whole())),
            "GetRolePolicy" => {
                let policy = call.text("PolicyName");
                let document = self.inline.get(&policy).ok_or(NO_SUCH_ENTITY)?;
                Ok(element("RoleName", &self.name) + &inline_policy(&policy, document))
            }
            "ListRolePolicies" => {
                let names = self.inline.keys().map(|name| text("member", name));
                whole("PolicyNames", &names.collect::<String>())
            }
            "ListAttachedRolePolicies" => whole("AttachedPolicies", &self.attachments()),
            // There are no instance profiles here.
            "ListInstanceProfilesForRole" => whole("InstanceProfiles", ""),
            _ => Err(NO_SUCH_ACTION),
        }
    }

    /// The fields of a role in every answer.
    fn core(&self) -> String {
        let arn = format!("arn:aws:iam::{ACCOUNT_ID}:role{}{}", self.path, self.name);
        [
            text("Path", &self.path),
            element("RoleName", &self.name),
            element("RoleId", &self.id),
            text("Arn", &arn),
            element("CreateDate", "2026-01-01T00:00:00Z"),
            element("AssumeRolePolicyDocument", &percent_encoded(&self.trust_policy)),
        ]
        .concat()
    }

    /// As in `ListRoles`: without boundary and tags.
    pub(super) fn as_listed(&self) -> String {
        let description = match self.description.as_str() {
            "" => String::new(),
            description => text("Description", description),
        };
        self.core() + &description + &element("MaxSessionDuration", &self.max_session_duration)
    }

    /// As in `GetRole`.
    pub(super) fn whole(&self) -> String {
        self.as_listed() + &self.boundary_and_tags()
    }

    /// As in `GetAccountAuthorizationDetails`: without description and session duration.
    pub(super) fn details(&self) -> String {
        let inline =
            self.inline.iter().map(|(name, text)| element("member", &inline_policy(name, text)));
        [
            self.core(),
            self.boundary_and_tags(),
            element("RolePolicyList", &inline.collect::<String>()),
            element("AttachedManagedPolicies", &self.attachments()),
            element("InstanceProfileList", ""),
        ]
        .concat()
    }

    fn boundary_and_tags(&self) -> String {
        let boundary = self.boundary.as_ref().map_or_else(String::new, |arn| {
            let parts =
                element("PermissionsBoundaryType", "Policy") + &text("PermissionsBoundaryArn", arn);
            element("PermissionsBoundary", &parts)
        });
        let tag = |(key, value): (&String, &String)| {
            element("member", &(text("Key", key) + &text("Value", value)))
        };
        boundary + &element("Tags", &self.tags.iter().map(tag).collect::<String>())
    }

    fn attachments(&self) -> String {
        let one = |arn: &String| {
            let name = arn.rsplit('/').next().unwrap_or_default();
            element("member", &(text("PolicyName", name) + &text("PolicyArn", arn)))
        };
        self.attached.iter().map(one).collect()
    }
}

fn inline_policy(name: &str, document: &str) -> String {
    text("PolicyName", name) + &element("PolicyDocument", &percent_encoded(document))
}

fn percent_encoded(document: &str) -> String {
    utf8_percent_encode(document, RESERVED).to_string()
}

/// An element with text.
pub(super) fn text(name: &str, content: &str) -> String {
    element(name, &escape(content))
}

/// An element whose content is already XML.
pub(super) fn element(name: &str, content: &str) -> String {
    format!("<{name}>{content}</{name}>")
}
