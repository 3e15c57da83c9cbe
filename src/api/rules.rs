//! The longer CEL rules of the schema. They are built from the tables that the parsers in `policy` use, so the API
//! server and the controller cannot diverge. ARNs are compared field by field: each search is anchored, and no part of
//! it can match a colon.
//!
//! `find` returns '' for a malformed ARN. The ARN's own rule reports it, and the rules that compare it with another
//! field pass. Where a length matters, the rules use conditionals instead of optionals, and `find` instead of `split`:
//! the API server's cost estimate supports nothing else.

use kube::core::Message;

use crate::policy::{PATH_SEGMENT_PATTERN, Partition};
use crate::service::DestinationKind;

/// The part of an ARN before its resource, when it contains the Region and the account.
const PLACE: &str = "^arn:[a-z0-9-]+:[a-z0-9-]+:[a-z0-9-]+:[0-9]{12}:";

/// Within that part: partition, then Region and account.
const PARTITION: &str = "^arn:[a-z0-9-]+:";
const REGION_AND_ACCOUNT: &str = "[a-z0-9-]+:[0-9]{12}:$";

/// White space, and the Hangul fillers, which are invisible letters.
const BLANK: &str = r"\\p{Z}\\x{115F}\\x{1160}\\x{3164}\\x{FFA0}";

/// Every non-ASCII letter and digit that a usual fold maps to a letter of `aws` or `streamrole.dev`, and their
/// neighbors. A unit test compares it with `role::tag_key`.
const LOOK_ALIKES: &[(u32, u32)] = &[
    (0xAA, 0xAA),
    (0xBA, 0xBA),
    (0x17F, 0x17F),
    (0x2B0, 0x2B8),
    (0x2E0, 0x2E4),
    (0x1D2C, 0x1D6A),
    (0x2090, 0x209C),
    (0x2100, 0x214F),
    (0x2160, 0x217F),
    (0x24B6, 0x24E9),
    (0x2C7C, 0x2C7D),
    (0xA7F1, 0xA7F4),
    (0xFB00, 0xFB06),
    (0xFF21, 0xFF5A),
    (0x1D400, 0x1D7FF),
    (0x1F130, 0x1F189),
];

/// The result of `form` for each partition, as alternatives.
fn each_partition(form: impl Fn(Partition) -> String) -> String {
    Partition::ALL.map(form).join("|")
}

/// The declared ARN below `destination`, which has a field for each of these kinds; '' when there is none.
fn declared(kinds: &[DestinationKind], destination: &str) -> String {
    let given = |kind: &DestinationKind| {
        let field = kind.field();
        format!("has({destination}.{field}) ? {destination}.{field} : ")
    };
    format!("({}'')", kinds.iter().map(given).collect::<String>())
}

/// The fields of these kinds, as in `kinesisStreamArn and firehoseDeliveryStreamArn`.
fn fields(kinds: &[DestinationKind]) -> String {
    let fields: Vec<_> = kinds.iter().map(|kind| kind.field()).collect();
    match fields.split_last() {
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// Whether the destination `self` has exactly one of the fields of these kinds.
pub(super) fn one_destination(kinds: &[DestinationKind]) -> String {
    one_of(kinds.iter().map(|kind| kind.field()))
}

pub(super) fn other_than_one_destination(kinds: &[DestinationKind]) -> Message {
    Message::Message(format!("destination needs exactly one of {}", fields(kinds)))
}

/// Whether `self` has exactly one of these fields.
pub(super) fn one_of(fields: impl Iterator<Item = &'static str>) -> String {
    let given: Vec<_> = fields.map(|field| format!("has(self.{field})")).collect();
    match given.as_slice() {
        [one, other] => format!("{one} != {other}"),
        _ => format!("[{}].filter(given, given).size() == 1", given.join(", ")),
    }
}

/// Whether `self` is the ARN of a destination of this kind.
pub(super) fn is_destination(kind: DestinationKind) -> String {
    let (service, resource) = kind.pattern();
    is_arn(service, &resource)
}

pub(super) fn is_no_destination(kind: DestinationKind) -> Message {
    let (field, what, example) = (kind.field(), kind.what(), kind.example());
    Message::Message(format!("{field} must be the ARN of {what}, as in {example}"))
}

pub(super) fn region_is_of_another_partition(field: &str, example: &str) -> Message {
    Message::Message(format!("{field} must name a Region of its partition, as in {example}"))
}

pub(super) fn role_name_is_unchanged() -> &'static str {
    "has(self.roleName) == has(oldSelf.roleName) && (!has(self.roleName) || self.roleName == oldSelf.roleName)"
}

pub(super) const ROLE_NAME_CHANGED: &str = "roleName cannot be changed: IAM cannot rename a role. Create another resource with the new name, then delete this one";

fn place(arn: &str) -> String {
    format!("{arn}.find('{PLACE}')")
}

/// Whether `self` is an ARN of a known partition and this service, with this resource.
pub(super) fn is_arn(service: &str, resource: &str) -> String {
    let partitions = each_partition(|partition| partition.to_string());
    format!("self.matches('^arn:({partitions}):{service}:[a-z0-9-]+:[0-9]{{12}}:{resource}$')")
}

/// Whether the Region of the ARN `self` belongs to its partition.
pub(super) fn region_is_of_partition() -> String {
    let places =
        each_partition(|partition| format!("{partition}:[a-z]+:{}", partition.region_pattern()));
    format!("!self.matches('{PLACE}') || self.matches('^arn:({places}):')")
}

/// Whether `code` is the code of a Region.
pub(super) fn is_region(code: &str) -> String {
    format!("{code}.matches('^({})$')", each_partition(Partition::region_pattern))
}

/// Whether `self` is the ARN of a managed policy.
pub(super) fn is_policy_arn() -> String {
    let partitions = each_partition(|partition| partition.to_string());
    format!(
        "self.matches('^arn:({partitions}):iam::(aws|[0-9]{{12}}):policy/({PATH_SEGMENT_PATTERN}/)*[a-zA-Z0-9_+=,.@-]{{1,128}}$')"
    )
}

/// Whether `self` is the path of a role.
pub(super) fn is_path() -> String {
    format!("self.matches('^/({PATH_SEGMENT_PATTERN}/)*$')")
}

/// The rules of a spec that compare its fields with its destination, for one kind of resource.
pub(super) struct SpecRules {
    /// The kinds of destination that `spec.destination` has a field for.
    pub(super) destinations: &'static [DestinationKind],
    /// Whether the source has an account.
    pub(super) has_account: &'static str,
    /// Whether the source has a Region.
    pub(super) has_region: &'static str,
    /// Why the source must be in the account of the destination.
    pub(super) own_account: &'static str,
}

impl SpecRules {
    /// The place of the declared destination of the spec `self`.
    pub(super) fn place(&self) -> String {
        place(&declared(self.destinations, "self.destination"))
    }

    /// Whether the destination is in the account of the source.
    pub(super) fn source_has_account(&self) -> String {
        let (has_account, place) = (self.has_account, self.place());
        format!("!{has_account} || {place} == '' || {place}.split(':')[4] == self.source.accountId")
    }

    pub(super) fn source_has_another_account(&self) -> String {
        let (place, own_account) = (self.place(), self.own_account);
        format!(
            "'destination is in account ' + {place}.find('[0-9]{{12}}:$').replace(':', '') + ' but source.accountId is ' + self.source.accountId + ': {own_account}'"
        )
    }

    /// Whether the destination is in the partition of the source.
    pub(super) fn source_has_partition(&self) -> String {
        let (has_region, place) = (self.has_region, self.place());
        let regions =
            each_partition(|partition| format!("{partition}:{}", partition.region_pattern()));
        let is_region = is_region("self.source.region");
        format!(
            "!{has_region} || {place} == '' || !{is_region} || ({place}.find('{PARTITION}') + self.source.region).matches('^arn:({regions})$')"
        )
    }

    pub(super) fn source_has_another_partition(&self) -> String {
        let place = self.place();
        format!(
            "'destination is in partition ' + {place}.find('{PARTITION}').replace('arn:', '').replace(':', '') + ' but source.region is ' + self.source.region + ': both must be in the same partition'"
        )
    }

    /// Whether the boundary is in the partition of the destination.
    pub(super) fn boundary_has_partition(&self) -> String {
        let place = self.place();
        format!(
            "!has(self.permissionsBoundaryArn) || {place} == '' || self.permissionsBoundaryArn.find('{PARTITION}') in ['', {place}.find('{PARTITION}')]"
        )
    }

    /// Whether the key of the destination `self` is in the account and Region of what it encrypts.
    pub(super) fn key_is_with_destination(&self) -> String {
        let destination = place(&declared(self.destinations, "self"));
        let key = place("self.kmsKeyArn");
        let same = |part: &str| format!("{key}.find('{part}') == {destination}.find('{part}')");
        format!(
            "!has(self.kmsKeyArn) || {destination} == '' || {key} == '' || ({} && {})",
            same(PARTITION),
            same(REGION_AND_ACCOUNT)
        )
    }

    pub(super) fn key_is_elsewhere(&self, encrypted: &str) -> String {
        let destination = place(&declared(self.destinations, "self"));
        let key = place("self.kmsKeyArn");
        format!(
            "'kmsKeyArn begins with ' + {key} + ' but the ARN of the {encrypted} with ' + {destination} + ' - name the key that encrypts the {encrypted}, which is in its partition, Region and account'"
        )
    }
}

/// Whether no tag key of `self` begins or ends with white space.
pub(super) fn keys_have_no_outer_white_space() -> String {
    format!("self.all(key, !key.matches('^[{BLANK}]|[{BLANK}]$'))")
}

/// Whether no tag key of `self` is reserved, or looks like a reserved key. `(?i)` folds a long s too. The second part
/// accepts the letters in any order: it only checks keys with a look-alike.
pub(super) fn no_key_is_reserved() -> String {
    let look_alikes: String = LOOK_ALIKES
        .iter()
        .map(|&(first, last)| {
            if first == last {
                format!(r"\\x{{{first:X}}}")
            } else {
                format!(r"\\x{{{first:X}}}-\\x{{{last:X}}}")
            }
        })
        .collect();
    format!(
        "self.all(key, !key.matches('(?i)^(aws:|streamrole[.]dev/)') && !(key.matches('[{look_alikes}]') && key.matches('(?i)^([aws{look_alikes}]{{3}}:|[streamol{look_alikes}]{{9,10}}[.][dev{look_alikes}]{{3}}/)')))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::folded_tag_key;

    #[test]
    fn the_look_alike_table_covers_every_folded_letter() {
        let prefixes = ["aws:", "streamrole.dev/"];
        for letter in ('\u{80}'..='\u{33fff}').filter(|letter| letter.is_alphanumeric()) {
            let fold = folded_tag_key(&letter.to_string());
            let disguises =
                !fold.is_empty() && prefixes.iter().any(|prefix| prefix.contains(&fold));
            let code = u32::from(letter);
            let listed = LOOK_ALIKES.iter().any(|(first, last)| (*first..=*last).contains(&code));
            assert!(
                listed || !disguises,
                "{letter:?} ({code:#x}) reads as {fold:?} and is not listed"
            );
        }
    }
}
