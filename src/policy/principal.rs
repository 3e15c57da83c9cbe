//! The caller of AWS, parsed from its ARN (IAM user guide, "IAM identifiers"), and the account of a role, parsed from
//! the role's ARN.

use super::arn::{AccountId, Arn, Partition};

/// The account of a role or a caller.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Place {
    /// Partition of the account.
    pub partition: Partition,
    /// Id of the account.
    pub account: AccountId,
}

impl Place {
    /// The account in an IAM or STS ARN: `arn:<partition>:iam::<account>:…`. `None` when `arn` is not such an ARN.
    #[must_use]
    pub fn of_arn(arn: &str) -> Option<Self> {
        let arn = Arn::split(arn).filter(|arn| matches!(arn.service, "iam" | "sts"))?;
        Some(Self { partition: arn.partition, account: AccountId::parse(arn.account).ok()? })
    }
}

/// The owner of the credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Its account.
    pub place: Place,
    /// Name of the role of the session; `None` for a user or the root user.
    pub role: Option<String>,
}

impl Caller {
    /// Parses the ARN in the answer of `GetCallerIdentity`. `None` when it is not the ARN of an account.
    #[must_use]
    pub fn of_arn(text: &str) -> Option<Self> {
        let place = Place::of_arn(text)?;
        let resource = Arn::split(text)?.resource;
        // The ARN of a session has the role's name without its path.
        let role = resource.strip_prefix("assumed-role/").and_then(|rest| rest.split('/').next());
        Some(Self { place, role: role.filter(|role| !role.is_empty()).map(Into::into) })
    }

    /// Whether the session is of this role. IAM role names are case-insensitive.
    #[must_use]
    pub fn runs_as(&self, role: &str) -> bool {
        self.role.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_read_from_each_form_of_arn_that_aws_documents() {
        let account = "111122223333";
        let table = [
            ("arn:aws:sts::111122223333:assumed-role/streamrole/eks-session", Some("streamrole")),
            ("arn:aws-cn:sts::111122223333:assumed-role/a.b@c/botocore-1", Some("a.b@c")),
            ("arn:aws:iam::111122223333:user/path/ops", None),
            ("arn:aws:iam::111122223333:root", None),
            ("arn:aws:sts::111122223333:federated-user/bob", None),
        ];
        for (arn, role) in table {
            let caller = Caller::of_arn(arn);
            assert_eq!(
                caller.as_ref().map(|c| (c.place.account.to_string(), c.role.as_deref())),
                Some((account.to_owned(), role)),
                "{arn}"
            );
        }
        for arn in ["", "arn:aws:iam::aws:policy/x", "arn:aws:s3:::bucket", "arn:aws:sts::1:user/x"]
        {
            assert_eq!(Caller::of_arn(arn), None, "{arn}");
        }
        let caller = Caller::of_arn("arn:aws:sts::111122223333:assumed-role/Streamrole/x");
        assert!(caller.is_some_and(|caller| caller.runs_as("sTREAMROLE") && !caller.runs_as("x")));
    }
}
