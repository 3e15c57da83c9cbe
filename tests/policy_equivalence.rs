//! Which policy documents mean the same: a table of pairs, each with the source of its verdict. Then what is rejected,
//! how differences are reported, and how documents are printed.
//!
//! Pages without a guide are in the IAM User Guide. "Conservative" marks a pair that AWS does not document, so the two
//! must differ. "peer" marks a case that hashicorp/awspolicyequivalence (`ape`) or micahhausler/aws-iam-policy (`aip`)
//! also tests, with their verdict where it differs from ours.

#![allow(clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

use serde_json::{Value, json};
use streamrole::policy::{
    Difference, Document, DocumentError, NotUtf8, differences, percent_decode, percent_encode,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Same,
    Differ,
}
use Verdict::{Differ, Same};

struct Pair {
    name: &'static str,
    left: &'static str,
    right: &'static str,
    verdict: Verdict,
    source: &'static str,
}

const fn pair(
    name: &'static str,
    left: &'static str,
    right: &'static str,
    verdict: Verdict,
    source: &'static str,
) -> Pair {
    Pair { name, left, right, verdict, source }
}

const GRAMMAR: &str =
    "Grammar of the IAM JSON policy language: conventions, 'the brackets are optional'";
const SETS: &str =
    "Creating a condition with multiple keys or values: several values are a logical OR";
const ACTION_CASE: &str = "Action: 'The prefix and the action name are case insensitive'";
const KEY_CASE: &str =
    "Condition: 'Context key names are not case-sensitive', aws:SourceIP is AWS:SourceIp";
const QUOTES: &str = "Grammar: 'Quotation marks are optional for numeric and Boolean values'";
const ACCOUNT: &str = "Principal, AWS account principals: id and root ARN 'behave the same way'";
const EVERYONE: &str = "Principal, All principals: '*' and {AWS: '*'} 'are equivalent'";
const CONSERVATIVE: &str = "Conservative: no page says that the two are the same";
const UNKNOWN: &str = "The brief: unknown elements are kept and compared, never dropped";
const NOT_EVALUATED: &str = "Equality is not evaluation: no wildcard swallows what it covers";

/// Whole documents.
#[rustfmt::skip]
const DOCUMENTS: &[Pair] = &[
    pair("the same text", r#"{"Version":"2012-10-17","Statement":[]}"#, r#"{"Version":"2012-10-17","Statement":[]}"#, Same, "peer ape"),
    pair("white space", r#"{"Statement":{"Effect":"Allow"}}"#, "\n{ \"Statement\" :\t{\"Effect\": \"Allow\" } }\r\n", Same, "Grammar: 'White space between individual entities is allowed'"),
    pair("escapes in strings", r#"{"Statement":{"Effect":"Allow"}}"#, r#"{"Statement":{"\u0045ffect":"\u0041llow"}}"#, Same, "RFC 8259, section 8.3"),
    pair("order of top-level elements", r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}"#, r#"{"Statement":[{"Effect":"Allow"}],"Version":"2012-10-17"}"#, Same, "Grammar, notes: 'Blocks can appear in any order'"),
    pair("a lone statement without its list", r#"{"Statement":{"Effect":"Allow"}}"#, r#"{"Statement":[{"Effect":"Allow"}]}"#, Same, "Statement: 'a single statement or an array'; peer ape"),
    pair("order of statements", r#"{"Statement":[{"Effect":"Allow"},{"Effect":"Deny"}]}"#, r#"{"Statement":[{"Effect":"Deny"},{"Effect":"Allow"}]}"#, Same, "Policy evaluation logic: all statements are evaluated; peer ape"),
    pair("a statement twice", r#"{"Statement":[{"Effect":"Allow","Action":"a:B"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:B"},{"Effect":"Allow","Action":["A:b"]}]}"#, Same, "Access Analyzer 'Redundant statement': removing one does not affect permissions"),
    pair("which of two statements is twice", r#"{"Statement":[{"Effect":"Allow","Action":"a:B"},{"Effect":"Allow","Action":"a:B"},{"Effect":"Allow","Action":"a:C"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:B"},{"Effect":"Allow","Action":"a:C"},{"Effect":"Allow","Action":"a:C"}]}"#, Same, "Access Analyzer 'Redundant statement'"),
    pair("a statement missing", r#"{"Statement":[{"Effect":"Allow","Action":"a:B"},{"Effect":"Deny","Action":"a:B"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:B"}]}"#, Differ, "Policy evaluation logic: explicit deny; peer ape"),
    pair("one statement or its two halves", r#"{"Statement":[{"Effect":"Allow","Action":["a:B","a:C"],"Resource":"*"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:B","Resource":"*"},{"Effect":"Allow","Action":"a:C","Resource":"*"}]}"#, Differ, NOT_EVALUATED),
    pair("an empty statement beside another", r#"{"Statement":[{},{"Effect":"Allow"}]}"#, r#"{"Statement":[{"Effect":"Allow"}]}"#, Differ, CONSERVATIVE),
    pair("no statements, or none at all", r#"{"Statement":[]}"#, "{}", Same, "A policy without statements grants and denies nothing; peer ape 'Equivalence of emptiness'"),
    pair("a statement of the wrong type", r#"{"Statement":42}"#, r#"{"Statement":[]}"#, Differ, "Conservative; peer ape 'Incorrect Statement type'"),
    pair("a statement of the wrong type, unchanged", r#"{"Statement":42}"#, r#"{"Statement":[42]}"#, Same, "Grammar; peer ape 'Incorrect Statement type'"),
    pair("a statement that is no object is not one with a nameless element", r#"{"Statement":[42]}"#, r#"{"Statement":[{"":42}]}"#, Differ, CONSERVATIVE),
    pair("statements that are no objects", r#"{"Statement":[42]}"#, r#"{"Statement":[43]}"#, Differ, UNKNOWN),
    pair("a statement that is no object is not an empty one", r#"{"Statement":[42]}"#, r#"{"Statement":[{}]}"#, Differ, CONSERVATIVE),
    pair("another version", r#"{"Version":"2012-10-17","Statement":[]}"#, r#"{"Version":"2008-10-17","Statement":[]}"#, Differ, "Version: policy variables are text in 2008-10-17; peer ape"),
    pair("no version is the old one", r#"{"Statement":[]}"#, r#"{"Version":"2008-10-17","Statement":[]}"#, Same, "Troubleshoot IAM policies: 'The default policy version is 2008-10-17'"),
    pair("no version is not the new one", r#"{"Statement":[]}"#, r#"{"Version":"2012-10-17","Statement":[]}"#, Differ, "Troubleshoot IAM policies: 'The default policy version is 2008-10-17'"),
    pair("a null version is not none", r#"{"Version":null,"Statement":[]}"#, r#"{"Statement":[]}"#, Differ, CONSERVATIVE),
    pair("an Id", r#"{"Id":"mine","Statement":[]}"#, r#"{"Statement":[]}"#, Same, "Id: 'an optional identifier for the policy'; peer ape says they differ"),
    pair("an Id that is no identifier", r#"{"Id":{"a":1},"Statement":[]}"#, r#"{"Statement":[]}"#, Differ, CONSERVATIVE),
    pair("an unknown top-level element", r#"{"Statement":[],"NewField":"x"}"#, r#"{"Statement":[]}"#, Differ, UNKNOWN),
    pair("an unknown top-level element with another value", r#"{"Statement":[],"NewField":"x"}"#, r#"{"Statement":[],"NewField":["x"]}"#, Differ, UNKNOWN),
    pair("element names in another case", r#"{"Statement":[{"Effect":"Allow"}]}"#, r#"{"statement":[{"Effect":"Allow"}]}"#, Differ, "Grammar: element names are literal strings; nothing says that their case is free"),
];

/// The content of a single statement.
#[rustfmt::skip]
const STATEMENTS: &[Pair] = &[
    // Elements
    pair("order of elements", r#""Effect":"Allow","Action":"a:B""#, r#""Action":"a:B","Effect":"Allow""#, Same, "Grammar, notes: 'Blocks can appear in any order'"),
    pair("a Sid", r#""Sid":"One","Effect":"Allow""#, r#""Effect":"Allow""#, Same, "Sid: 'an optional identifier for the policy statement'; peer ape says they differ"),
    pair("another Sid", r#""Sid":"One","Effect":"Allow""#, r#""Sid":"","Effect":"Allow""#, Same, "Sid: 'You can't retrieve a particular statement based on this ID'"),
    pair("a Sid that is no identifier", r#""Sid":["Deny"],"Effect":"Allow""#, r#""Effect":"Allow""#, Differ, CONSERVATIVE),
    pair("another effect", r#""Effect":"Allow","Action":"a:B""#, r#""Effect":"Deny","Action":"a:B""#, Differ, "Effect; peer ape"),
    pair("the effect in another case", r#""Effect":"Allow""#, r#""Effect":"allow""#, Differ, "Effect: 'The Effect value is case sensitive'; peer ape says they are the same"),
    pair("the effect in a list", r#""Effect":"Allow""#, r#""Effect":["Allow"]"#, Differ, "Grammar: effect_block takes no list"),
    pair("no effect", r#""Effect":"Allow","Action":"a:B""#, r#""Action":"a:B""#, Differ, "Effect: 'is required'"),
    pair("an unknown element", r#""Effect":"Allow","Unless":"x""#, r#""Effect":"Allow""#, Differ, "The brief; peer aip refuses unknown elements"),
    pair("an unknown element whose keys come in another order", r#""Unless":{"a":{"c":1,"d":2},"b":2}"#, r#""Unless":{"b":2,"a":{"d":2,"c":1}}"#, Same, "RFC 8259, section 4: an object is unordered"),
    pair("an unknown element whose list comes in another order", r#""Unless":["a","b"]"#, r#""Unless":["b","a"]"#, Differ, CONSERVATIVE),
    pair("an unknown element that is null", r#""Unless":null"#, r#""Effect":null"#, Differ, UNKNOWN),
    pair("a number is not its string in an unknown element", r#""Unless":5"#, r#""Unless":"5""#, Differ, UNKNOWN),
    pair("an element name in another case", r#""Effect":"Allow","Action":"a:B""#, r#""Effect":"Allow","action":"a:B""#, Differ, "Grammar: element names are literal strings; nothing says that their case is free"),

    // Actions
    pair("a lone action without its list", r#""Action":"a:B""#, r#""Action":["a:B"]"#, Same, "Grammar; peer ape"),
    pair("order of actions", r#""Action":["a:B","a:C"]"#, r#""Action":["a:C","a:B"]"#, Same, SETS),
    pair("an action twice", r#""Action":["a:B","a:B"]"#, r#""Action":"a:B""#, Same, SETS),
    pair("which of two actions is twice", r#""Action":["a:B","a:B","a:C"]"#, r#""Action":["a:B","a:C","a:C"]"#, Same, SETS),
    pair("as many actions but others", r#""Action":["a:B","a:B","a:C"]"#, r#""Action":["a:B","a:B","a:D"]"#, Differ, "peer ape compares only how many and one way"),
    pair("case of an action", r#""Action":"kinesis:PutRecords""#, r#""Action":"Kinesis:putrecords""#, Same, ACTION_CASE),
    pair("actions that are one but for case", r#""Action":["a:B","A:b"]"#, r#""Action":"a:b""#, Same, ACTION_CASE),
    pair("another action", r#""Action":"kinesis:PutRecords""#, r#""Action":"kinesis:PutRecord""#, Differ, "Action; peer ape"),
    pair("an action with a space", r#""Action":"a:B""#, r#""Action":"a:B ""#, Differ, CONSERVATIVE),
    pair("a wildcard that covers the other", r#""Action":["s3:*","s3:GetObject"]"#, r#""Action":"s3:*""#, Differ, NOT_EVALUATED),
    pair("letters beyond ASCII keep their case", r#""Action":"a:É""#, r#""Action":"a:é""#, Differ, CONSERVATIVE),
    pair("the Kelvin sign is no k", "\"Action\":\"\u{212a}ms:Decrypt\"", r#""Action":"kms:Decrypt""#, Differ, CONSERVATIVE),
    pair("no actions are not a missing element", r#""Action":[]"#, r#""Effect":"Allow""#, Differ, "Access Analyzer 'Empty array action'"),
    pair("no actions are not the empty action", r#""Action":[]"#, r#""Action":"""#, Differ, CONSERVATIVE),
    pair("no actions are not a list with an empty list", r#""Action":[]"#, r#""Action":[[]]"#, Differ, CONSERVATIVE),
    pair("an action of the wrong type, unchanged", r#""Action":5"#, r#""Action":[5]"#, Same, GRAMMAR),
    pair("an action of the wrong type", r#""Action":5"#, r#""Action":"5""#, Differ, UNKNOWN),
    pair("a lone NotAction, its case and order", r#""NotAction":["a:B","a:C"]"#, r#""NotAction":["A:c","a:b","a:b"]"#, Same, "NotAction takes what Action does"),
    pair("NotAction is not Action", r#""NotAction":"a:B""#, r#""Action":"a:B""#, Differ, "NotAction; peer ape"),
    pair("another NotAction", r#""NotAction":"a:B""#, r#""NotAction":"a:C""#, Differ, "NotAction"),

    // Resources
    pair("a lone resource without its list", r#""Resource":"*""#, r#""Resource":["*"]"#, Same, GRAMMAR),
    pair("order and number of resources", r#""Resource":["arn:a","arn:b"]"#, r#""Resource":["arn:b","arn:a","arn:b"]"#, Same, SETS),
    pair("case of a resource", r#""Resource":"arn:aws:s3:::Bucket""#, r#""Resource":"arn:aws:s3:::bucket""#, Differ, "Amazon Resource Names: names in them keep their case"),
    pair("another resource", r#""Resource":"arn:a""#, r#""Resource":"arn:b""#, Differ, "Resource; peer ape"),
    pair("a resource more", r#""Resource":"arn:a""#, r#""Resource":["arn:a","arn:b"]"#, Differ, "Resource"),
    pair("a wildcard resource that covers the other", r#""Resource":["*","arn:a"]"#, r#""Resource":"*""#, Differ, NOT_EVALUATED),
    pair("no resource is not every resource", r#""Effect":"Allow""#, r#""Effect":"Allow","Resource":"*""#, Differ, "Resource"),
    pair("resources of the wrong type in another order", r#""Resource":[42,86]"#, r#""Resource":[86,42]"#, Same, "Sets; peer ape"),
    pair("a resource of the wrong type", r#""Resource":{}"#, r#""Resource":[]"#, Differ, "Conservative; peer ape 'Incorrect single Resource type'"),
    pair("order of NotResource", r#""NotResource":["arn:a","arn:b"]"#, r#""NotResource":["arn:b","arn:a"]"#, Same, "NotResource takes what Resource does"),
    pair("NotResource is not Resource", r#""NotResource":"arn:a""#, r#""Resource":"arn:a""#, Differ, "NotResource"),

    // Principals
    pair("a lone principal without its list", r#""Principal":{"Service":"pinpoint.amazonaws.com"}"#, r#""Principal":{"Service":["pinpoint.amazonaws.com"]}"#, Same, "Grammar; peer ape"),
    pair("order and number of principals", r#""Principal":{"AWS":["arn:a","arn:b","arn:a"]}"#, r#""Principal":{"AWS":["arn:b","arn:a"]}"#, Same, "Principal: a logical OR; peer ape"),
    pair("principals counted, not compared", r#""Principal":{"AWS":["arn:a","arn:a","arn:b"]}"#, r#""Principal":{"AWS":["arn:a","arn:c","arn:b"]}"#, Differ, "peer ape compares only how many and one way"),
    pair("a principal more", r#""Principal":{"Service":"pinpoint.amazonaws.com"}"#, r#""Principal":{"Service":["pinpoint.amazonaws.com","ec2.amazonaws.com"]}"#, Differ, "Principal"),
    pair("the regional service principal", r#""Principal":{"Service":"pinpoint.amazonaws.com"}"#, r#""Principal":{"Service":"pinpoint.us-east-1.amazonaws.com"}"#, Differ, "Principal: AWS service principals are identifiers"),
    pair("a service principal in another case", r#""Principal":{"Service":"pinpoint.amazonaws.com"}"#, r#""Principal":{"Service":"Pinpoint.amazonaws.com"}"#, Differ, "Conservative: Access Analyzer 'Invalid service principal format' wants lowercase"),
    pair("the same principal of another type", r#""Principal":{"Service":"x"}"#, r#""Principal":{"Federated":"x"}"#, Differ, "Principal"),
    pair("a principal type in another case", r#""Principal":{"AWS":"arn:a"}"#, r#""Principal":{"aws":"arn:a"}"#, Differ, CONSERVATIVE),
    pair("order of principal types", r#""Principal":{"AWS":"arn:a","Service":"x"}"#, r#""Principal":{"Service":"x","AWS":"arn:a"}"#, Same, "Grammar; peer aip"),
    pair("everyone in short and in full", r#""Principal":"*""#, r#""Principal":{"AWS":"*"}"#, Same, EVERYONE),
    pair("everyone in short and in a list", r#""Principal":"*""#, r#""Principal":{"AWS":["*"]}"#, Same, EVERYONE),
    pair("everyone is not every service", r#""Principal":"*""#, r#""Principal":{"Service":"*"}"#, Differ, CONSERVATIVE),
    pair("everyone is not a missing principal", r#""Effect":"Allow","Principal":"*""#, r#""Effect":"Allow""#, Differ, "Principal; peer ape says they are the same if the other is {}"),
    pair("everyone and one more", r#""Principal":{"AWS":["*","arn:a"]}"#, r#""Principal":"*""#, Differ, NOT_EVALUATED),
    pair("an empty principal is not a missing one", r#""Effect":"Allow","Principal":{}"#, r#""Effect":"Allow""#, Differ, "Access Analyzer 'Empty object principal'; peer ape says they are the same"),
    pair("no principals of a type are not an empty principal", r#""Principal":{"AWS":[]}"#, r#""Principal":{}"#, Differ, "Conservative; peer ape says they are the same"),
    pair("no principals of either type", r#""Principal":{"AWS":[]}"#, r#""Principal":{"Service":[]}"#, Differ, "Conservative; peer ape says they are the same"),
    pair("an account's id and its root", r#""Principal":{"AWS":"123456789012"}"#, r#""Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#, Same, ACCOUNT),
    pair("an account's id and its root in China", r#""Principal":{"AWS":["123456789012"]}"#, r#""Principal":{"AWS":"arn:aws-cn:iam::123456789012:root"}"#, Same, ACCOUNT),
    pair("an account's id and its root in GovCloud", r#""Principal":{"AWS":["123456789012","arn:a"]}"#, r#""Principal":{"AWS":["arn:a","arn:aws-us-gov:iam::123456789012:root"]}"#, Same, "Principal; peer ape"),
    pair("an account named twice", r#""Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:root"]}"#, r#""Principal":{"AWS":"123456789012"}"#, Same, ACCOUNT),
    pair("another account's root", r#""Principal":{"AWS":"123456789012"}"#, r#""Principal":{"AWS":"arn:aws:iam::123456789013:root"}"#, Differ, ACCOUNT),
    pair("a user of the account", r#""Principal":{"AWS":"123456789012"}"#, r#""Principal":{"AWS":"arn:aws:iam::123456789012:user/root"}"#, Differ, "Principal: IAM user principals"),
    pair("the root of no partition", r#""Principal":{"AWS":"123456789012"}"#, r#""Principal":{"AWS":"arn:PARTITION:iam::123456789012:root"}"#, Differ, "Conservative; peer ape says they are the same"),
    pair("the root of no account", r#""Principal":{"AWS":"12345678901"}"#, r#""Principal":{"AWS":"arn:aws:iam::12345678901:root"}"#, Differ, "An account id has 12 digits"),
    pair("the same, of another service", r#""Principal":{"AWS":"123456789012"}"#, r#""Principal":{"AWS":"arn:aws:sts::123456789012:root"}"#, Differ, ACCOUNT),
    pair("an account as another type", r#""Principal":{"Federated":"123456789012"}"#, r#""Principal":{"Federated":"arn:aws:iam::123456789012:root"}"#, Differ, CONSERVATIVE),
    pair("an account as a bare principal", r#""Principal":"123456789012""#, r#""Principal":{"AWS":"123456789012"}"#, Differ, "Grammar: principal_block is '*' or a map; peer ape compares bare ones"),
    pair("a deleted principal's id", r#""Principal":{"AWS":"arn:aws:iam::123456789012:role/r"}"#, r#""Principal":{"AWS":"AROAEXAMPLEEXAMPLE"}"#, Differ, "Principal, IAM role principals: the id stays when the role is deleted"),
    pair("a principal of the wrong type", r#""Principal":["*"]"#, r#""Principal":"*""#, Differ, CONSERVATIVE),
    pair("everyone and an account in NotPrincipal", r#""NotPrincipal":{"AWS":"123456789012"}"#, r#""NotPrincipal":{"AWS":["arn:aws:iam::123456789012:root"]}"#, Same, ACCOUNT),
    pair("NotPrincipal is not Principal", r#""NotPrincipal":{"AWS":"arn:a"}"#, r#""Principal":{"AWS":"arn:a"}"#, Differ, "NotPrincipal"),
    pair("another NotPrincipal", r#""NotPrincipal":{"AWS":"arn:a"}"#, r#""NotPrincipal":{"AWS":"arn:b"}"#, Differ, "NotPrincipal; peer ape"),

    // Conditions
    pair("a lone condition value without its list", r#""Condition":{"StringEquals":{"aws:SourceAccount":"1"}}"#, r#""Condition":{"StringEquals":{"aws:SourceAccount":["1"]}}"#, Same, "Grammar; peer ape"),
    pair("order and number of condition values", r#""Condition":{"StringEquals":{"k":["a","b"]}}"#, r#""Condition":{"StringEquals":{"k":["b","a","b"]}}"#, Same, SETS),
    pair("order of keys and operators", r#""Condition":{"ArnLike":{"a":"1","b":"2"},"Bool":{"c":"true"}}"#, r#""Condition":{"Bool":{"c":"true"},"ArnLike":{"b":"2","a":"1"}}"#, Same, "Evaluation logic: a logical AND; aws-controllers-k8s issue 2142"),
    pair("another condition value", r#""Condition":{"StringEquals":{"aws:SourceAccount":"1"}}"#, r#""Condition":{"StringEquals":{"aws:SourceAccount":"2"}}"#, Differ, "Condition; peer ape"),
    pair("case of a condition value", r#""Condition":{"StringEqualsIgnoreCase":{"k":"a"}}"#, r#""Condition":{"StringEqualsIgnoreCase":{"k":"A"}}"#, Differ, NOT_EVALUATED),
    pair("case of a condition key", r#""Condition":{"StringEquals":{"aws:SourceAccount":"1"}}"#, r#""Condition":{"StringEquals":{"AWS:sourceaccount":"1"}}"#, Same, KEY_CASE),
    pair("case of a tag's key in a condition key", r#""Condition":{"StringEquals":{"aws:ResourceTag/TagKey1":"1"}}"#, r#""Condition":{"StringEquals":{"aws:ResourceTag/tagkey1":"1"}}"#, Same, "Condition: 'Key names are not case-sensitive', aws:ResourceTag/TagKey1"),
    pair("another condition key", r#""Condition":{"StringEquals":{"aws:SourceAccount":"1"}}"#, r#""Condition":{"StringEquals":{"aws:PrincipalAccount":"1"}}"#, Differ, "Condition"),
    pair("a key twice but for case, against once", r#""Condition":{"StringEquals":{"aws:K":"1","aws:k":"1"}}"#, r#""Condition":{"StringEquals":{"aws:k":"1"}}"#, Differ, "Conservative: Access Analyzer calls it an error, 'Duplicate keys with different case'"),
    pair("a key twice but for case, values swapped", r#""Condition":{"StringEquals":{"aws:K":"1","aws:k":"2"}}"#, r#""Condition":{"StringEquals":{"aws:K":"2","aws:k":"1"}}"#, Differ, "Conservative: Access Analyzer 'Duplicate keys with different case'"),
    pair("a key twice but for case, against both values", r#""Condition":{"StringEquals":{"aws:K":"1","aws:k":"2"}}"#, r#""Condition":{"StringEquals":{"aws:k":["1","2"]}}"#, Differ, "Conservative: Access Analyzer 'Duplicate keys with different case'"),
    pair("the same key under two operators", r#""Condition":{"StringLike":{"k":"1"},"StringEquals":{"K":"1"}}"#, r#""Condition":{"StringEquals":{"k":"1"},"StringLike":{"K":"1"}}"#, Same, KEY_CASE),
    pair("another operator", r#""Condition":{"StringEquals":{"k":"1"}}"#, r#""Condition":{"StringLike":{"k":"1"}}"#, Differ, "Condition operators; peer ape"),
    pair("an operator in another case", r#""Condition":{"StringEquals":{"k":"1"}}"#, r#""Condition":{"stringequals":{"k":"1"}}"#, Differ, "Conservative: Condition operators says nothing of case"),
    pair("an operator for a set", r#""Condition":{"StringEquals":{"k":"1"}}"#, r#""Condition":{"ForAnyValue:StringEquals":{"k":"1"}}"#, Differ, "Creating a condition with multiple keys or values: set operators"),
    pair("an operator with IfExists", r#""Condition":{"StringEquals":{"k":"1"}}"#, r#""Condition":{"StringEqualsIfExists":{"k":"1"}}"#, Differ, "Condition operators: ...IfExists"),
    pair("a condition missing", r#""Effect":"Allow","Condition":{"StringEquals":{"k":"1"}}"#, r#""Effect":"Allow""#, Differ, "Condition"),
    pair("a condition more", r#""Condition":{"StringEquals":{"k":"1"}}"#, r#""Condition":{"StringEquals":{"k":"1"},"Bool":{"aws:SecureTransport":"true"}}"#, Differ, "Condition; peer ape"),
    pair("an empty Condition", r#""Effect":"Allow","Condition":{}"#, r#""Effect":"Allow""#, Same, "Condition is optional; Access Analyzer 'Empty object condition': it does not affect the policy"),
    pair("an operator without keys", r#""Effect":"Allow","Condition":{"Bool":{}}"#, r#""Effect":"Allow""#, Differ, CONSERVATIVE),
    pair("a key without values is not a missing key", r#""Effect":"Allow","Condition":{"StringEquals":{"k":[]}}"#, r#""Effect":"Allow""#, Differ, "Access Analyzer 'Empty array condition'"),
    pair("a key without values, unchanged", r#""Condition":{"ArnEquals":{"aws:SourceArn":[]}}"#, r#""Condition":{"ArnEquals":{"AWS:SourceArn":[]}}"#, Same, "peer ape 'Condition containing empty array'"),
    pair("a key without values is not the empty value", r#""Condition":{"StringEquals":{"k":[]}}"#, r#""Condition":{"StringEquals":{"k":""}}"#, Differ, "Conservative; peer ape took the two for the same at one time"),
    pair("a Condition of the wrong type", r#""Effect":"Allow","Condition":[]"#, r#""Effect":"Allow","Condition":{}"#, Differ, CONSERVATIVE),
    pair("a boolean without quotes", r#""Condition":{"Bool":{"aws:SecureTransport":true}}"#, r#""Condition":{"Bool":{"aws:SecureTransport":"true"}}"#, Same, "Grammar: quotation marks; peer ape"),
    pair("another boolean", r#""Condition":{"Bool":{"aws:SecureTransport":true}}"#, r#""Condition":{"Bool":{"aws:SecureTransport":false}}"#, Differ, "Condition operators"),
    pair("a boolean in capitals", r#""Condition":{"Bool":{"k":"true"}}"#, r#""Condition":{"Bool":{"k":"True"}}"#, Differ, CONSERVATIVE),
    pair("a number without quotes", r#""Condition":{"NumericLessThan":{"k":100}}"#, r#""Condition":{"NumericLessThan":{"k":"100"}}"#, Same, QUOTES),
    pair("numbers without quotes in a list", r#""Condition":{"NumericEquals":{"k":[100.01,200.2,-3]}}"#, r#""Condition":{"NumericEquals":{"k":["-3","100.01","200.2"]}}"#, Same, "Grammar: quotation marks; peer ape"),
    pair("a number written otherwise", r#""Condition":{"NumericEquals":{"k":1}}"#, r#""Condition":{"NumericEquals":{"k":1.0}}"#, Differ, "Conservative: StringEquals would compare the digits"),
    pair("the largest integers", r#""Condition":{"NumericEquals":{"k":18446744073709551615}}"#, r#""Condition":{"NumericEquals":{"k":18446744073709551614}}"#, Differ, "Condition operators: numeric"),
    pair("null as a condition value", r#""Condition":{"StringEquals":{"k":null}}"#, r#""Condition":{"StringEquals":{"k":"null"}}"#, Differ, UNKNOWN),
    pair("null is no missing value", r#""Condition":{"StringEquals":{"k":[null]}}"#, r#""Condition":{"StringEquals":{"k":[]}}"#, Differ, "peer aip refuses null"),
];

fn read(text: &str) -> Document {
    Document::parse(text).unwrap_or_else(|error| panic!("{text} should parse: {error}"))
}

fn judge(pair: &Pair, left: &str, right: &str) {
    let (left, right) = (read(left), read(right));
    let expected = pair.verdict == Same;
    for (a, b) in [(&left, &right), (&right, &left)] {
        let told = differences(a, b);
        let context = || format!("«{}» ({})\n{a}\n{b}\n{told:?}", pair.name, pair.source);
        assert_eq!(a.equivalent(b), expected, "equivalent: {}", context());
        assert_eq!(told.is_empty(), expected, "differences: {}", context());
        assert!(told.iter().all(|one| one.desired != one.live), "{}", context());
        let canonical = a.canonical();
        assert!(canonical.equivalent(a), "canonical form: {}", context());
        let same_form = canonical.to_value() == b.canonical().to_value();
        assert_eq!(same_form, expected, "canonical forms: {}", context());
    }
}

#[test]
fn documents_are_equivalent_as_iam_documents() {
    for pair in DOCUMENTS {
        judge(pair, pair.left, pair.right);
    }
}

#[test]
fn statements_are_equivalent_as_iam_documents() {
    for pair in STATEMENTS {
        let within = |body| format!(r#"{{"Version":"2012-10-17","Statement":[{{{body}}}]}}"#);
        judge(pair, &within(pair.left), &within(pair.right));
    }
}

#[test]
fn the_tables_contain_each_pair_once() {
    let names: std::collections::BTreeSet<_> =
        DOCUMENTS.iter().chain(STATEMENTS).map(|pair| pair.name).collect();
    assert_eq!(names.len(), DOCUMENTS.len() + STATEMENTS.len());
    assert!(names.len() >= 60, "only {} pairs", names.len());
}

/// The text of AWS's page on this role, and how IAM can return it.
#[test]
fn the_documented_policies_are_recognized_in_iams_answers() {
    let page = read(
        r#"{"Version":"2012-10-17","Statement":{"Action":["kinesis:PutRecords","kinesis:DescribeStream"],
        "Effect":"Allow","Resource":["arn:aws:kinesis:us-east-1:111122223333:stream/app-events"]}}"#,
    );
    let answer = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A\
        %22Allow%22%2C%22Action%22%3A%5B%22kinesis%3ADescribeStream%22%2C%22kinesis%3APutRecords\
        %22%5D%2C%22Resource%22%3A%22arn%3Aaws%3Akinesis%3Aus-east-1%3A111122223333%3Astream\
        %2Fapp-events%22%7D%5D%7D";
    let live = Document::from_percent_encoded(answer).expect("IAM's encoding is read");
    assert!(page.equivalent(&live), "{:?}", differences(&page, &live));
}

#[test]
fn ambiguous_documents_are_rejected() {
    let deep =
        |levels: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1));
    let very_deep = "[".repeat(100_000);
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(128 * 1024));
    let cases: &[(&str, &str)] = &[
        ("", "EOF while parsing a value"),
        ("{", "EOF while parsing an object"),
        ("not json", "expected ident"),
        ("[{}]", "is a list, not a JSON object"),
        ("\"{}\"", "is a string, not a JSON object"),
        ("null", "is null, not a JSON object"),
        ("{} {}", "trailing characters"),
        ("\u{feff}{}", "expected value"),
        (r#"{"a":"\ud800"}"#, "unexpected end of hex escape"),
        (
            r#"{"Statement":{"Effect":"Allow","Effect":"Deny"}}"#,
            r#"the key "Effect" appears twice in one object at line 1 column 39"#,
        ),
        (
            r#"{"Statement":{"Effect":"Allow","\u0045ffect":"Allow"}}"#,
            r#"the key "Effect" appears twice"#,
        ),
        (r#"{"Statement":[],"Statement":[]}"#, r#"the key "Statement" appears twice"#),
        (r#"{"Statement":{"Condition":{"Bool":{"k":1,"k":1}}}}"#, r#"the key "k" appears twice"#),
        (r#"{"a":1.10}"#, "has the number 1.10, which cannot be compared exactly"),
        (r#"{"a":[true,1e2]}"#, "has the number 1e2,"),
        (r#"{"a":-0}"#, "has the number -0,"),
        (r#"{"a":18446744073709551616}"#, "has the number 18446744073709551616,"),
        (r#"{"a":"\\","b":0.1000}"#, "has the number 0.1000,"),
        (&deep(17), "nested more than 16 levels deep"),
        (&very_deep, "nested more than 16 levels deep"),
        (&large, "has 131080 bytes, more than the 131072 that are read"),
    ];
    for (text, expected) in cases {
        let error = Document::parse(text).expect_err("refused").to_string();
        assert!(error.contains(expected), "{text:.80}: {error}");
        assert!(error.len() < 200, "{error}");
    }
    assert!(Document::parse(&deep(16)).is_ok(), "16 levels are read");
}

#[test]
fn numbers_inside_strings_are_text() {
    for text in [r#"{"a":"1.10"}"#, r#"{"a":"\"1.10"}"#, r#"{"1e2":"\\"}"#, r#"{"a":[1,2.5,-7]}"#] {
        assert!(Document::parse(text).is_ok(), "{text}");
    }
}

#[test]
fn a_value_is_read_by_the_rules_of_a_text() {
    let mut deep = json!(1);
    for _ in 0..17 {
        deep = json!([deep]);
    }
    let error = |value: &Value| Document::from_value(value).expect_err("refused");
    assert!(error(&json!({ "a": deep })).to_string().contains("16 levels"));
    assert_eq!(error(&json!([])), DocumentError::NotAnObject { found: "a list" });
    let large = json!({ "a": "x".repeat(128 * 1024) });
    assert!(matches!(error(&large), DocumentError::TooLarge { .. }));

    let value = json!({"Statement": [{"Unless": [null, true, -1, 2, 2.5, "x"]}]});
    let document = Document::from_value(&value).expect("read");
    assert_eq!(document.to_value(), value);
    assert!(document.equivalent(&read(&value.to_string())));
}

#[test]
fn percent_decoding_runs_once_and_keeps_a_plus_sign() {
    let cases = [
        ("a+b", "a+b"),
        ("a%2Bb", "a+b"),
        ("a%2bb", "a+b"),
        ("%2525", "%25"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        ("%C3%A9é", "éé"),
        ("%7B%7D", "{}"),
    ];
    for (encoded, decoded) in cases {
        assert_eq!(percent_decode(encoded).as_deref(), Ok(decoded), "{encoded}");
    }
    assert_eq!(percent_decode("ab%FF"), Err(NotUtf8 { valid_up_to: 2 }));
    assert_eq!(percent_encode("a b+~é{\"%"), "a%20b%2B~%C3%A9%7B%22%25");

    let bad = Document::from_percent_encoded("%7B%FF").expect_err("refused");
    assert_eq!(bad, DocumentError::NotUtf8(NotUtf8 { valid_up_to: 1 }));
    let once = Document::from_percent_encoded("{%22a%22:%22+%2541%22}").expect("read");
    assert_eq!(once.to_value(), json!({"a": "+%41"}));
}

#[test]
fn a_document_of_maximum_size_is_read_url_encoded() {
    let text = format!(r#"{{"a":"{}"}}"#, "{".repeat(128 * 1024 - 8));
    assert!(Document::parse(&text).is_ok());
    assert!(Document::from_percent_encoded(&percent_encode(&text)).is_ok());
    let larger = percent_encode(&format!("{text}    "));
    assert!(matches!(Document::from_percent_encoded(&larger), Err(DocumentError::TooLarge { .. })));
}

#[test]
fn a_document_prints_completely_and_in_the_usual_order() {
    let cases = [
        (
            r#"{"Statement":[{"Condition":{"Bool":{"k":true}},"Zeta":1,"Alpha":2,"Resource":["b","a"],
              "Action":"a:B","Principal":"*","Effect":"Allow","Sid":"One"},5],"Other":null,"Id":"i","Version":"2012-10-17"}"#,
            r#"{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"One","Effect":"Allow","Principal":"*","Action":"a:B","Resource":["b","a"],"Condition":{"Bool":{"k":true}},"Alpha":2,"Zeta":1},5],"Other":null}"#,
        ),
        (
            r#"{"Statement":{"NotResource":"r","NotAction":"a","NotPrincipal":"*","Effect":"Deny"}}"#,
            r#"{"Statement":{"Effect":"Deny","NotPrincipal":"*","NotAction":"a","NotResource":"r"}}"#,
        ),
        ("{}", "{}"),
        (r#"{"a\n\"":"\u001b"}"#, r#"{"a\n\"":"\u001b"}"#),
    ];
    for (text, printed) in cases {
        assert_eq!(read(text).to_string(), printed);
    }
}

#[test]
fn the_canonical_form_is_fully_expanded() {
    let document = read(
        r#"{"Id":"i","Statement":{"Sid":"s","Effect":"Allow","Principal":"*","Action":"A:B","Foo":"x",
        "NotAction":[],"Condition":{"Bool":{"aws:K":true,"n":[2,"1"]},"Null":{}}}}"#,
    );
    let expected = json!({
        "Version": "2008-10-17",
        "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["a:b"], "NotAction": [],
            "Foo": "x", "Condition": {"Bool": {"aws:k": ["true"], "n": ["1", "2"]}, "Null": {}},
        }],
    });
    assert_eq!(document.canonical().to_value(), expected);
}

/// Each line as in `kubectl describe`.
fn lines(desired: &str, live: &str) -> Vec<String> {
    let found = differences(&read(desired), &read(live));
    found.iter().map(Difference::to_string).collect()
}

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"pinpoint.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}}]}"#;

#[test]
fn differences_name_what_is_missing_and_what_is_unexpected() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &[&str])] = &[
        (TRUST, TRUST, &[]),
        // A typical edit of a trust policy in the console.
        (TRUST, r#"{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":"Allow","Principal":{"Service":"pinpoint.amazonaws.com","AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole"}]}"#, &[
            r#"Statement[0].Condition.StringEquals["aws:SourceAccount"]: lacks 111122223333"#,
            "Statement[0].Principal.AWS: has unexpected arn:aws:iam::999999999999:root",
        ]),
        (TRUST, &TRUST.replace("StringEquals", "StringLike"), &[
            r#"Statement[0].Condition.StringEquals["aws:SourceAccount"]: lacks 111122223333"#,
            r#"Statement[0].Condition.StringLike["aws:SourceAccount"]: has unexpected 111122223333"#,
        ]),
        (TRUST, &TRUST.replace("111122223333", "444455556666"), &[
            r#"Statement[0].Condition.StringEquals["aws:SourceAccount"]: is 444455556666, should be 111122223333"#,
        ]),
        (TRUST, r#"{"Statement":[]}"#, &[
            "Version: is 2008-10-17 (the default: there is no Version), should be 2012-10-17",
            r#"Statement[0]: lacks {"Effect":"Allow","Principal":{"Service":"pinpoint.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"}}}"#,
        ]),
        // Sets: only the differences, in the spelling of their document.
        (r#"{"Statement":{"Effect":"Allow","Action":["kinesis:PutRecords","kinesis:DescribeStream"]}}"#, r#"{"Statement":{"Effect":"Allow","Action":["Kinesis:DESCRIBEstream"]}}"#, &[
            "Statement.Action: lacks kinesis:PutRecords",
        ]),
        (r#"{"Statement":{"Effect":"Allow","Action":["a:A","a:B"],"Resource":"*"}}"#, r#"{"Statement":{"Effect":"Deny","Action":["a:A","a:C","a:D"],"Resource":"*"}}"#, &[
            "Statement.Action: lacks a:B",
            "Statement.Action: has unexpected a:C",
            "Statement.Action: has unexpected a:D",
            "Statement.Effect: is Deny, should be Allow",
        ]),
        (r#"{"Statement":{"Effect":"Allow","Action":["a:A","a:B"]}}"#, r#"{"Statement":{"Effect":"Allow","Action":["a:A","a:C"]}}"#, &[
            "Statement.Action: lacks a:B",
            "Statement.Action: has unexpected a:C",
        ]),
        // Odd values are distinguished from similar strings.
        (r#"{"Statement":{"Action":["5"],"Resource":"r"}}"#, r#"{"Statement":{"Action":5,"Resource":"r"}}"#, &[
            "Statement.Action: is JSON 5, should be 5",
        ]),
        (r#"{"Statement":{"Action":["a"],"Resource":"r"}}"#, r#"{"Statement":{"Action":[],"Resource":"r"}}"#, &[
            "Statement.Action: is JSON [], should be a",
        ]),
        (r#"{"Statement":{"Action":["a"],"Resource":"r"}}"#, r#"{"Statement":{"Action":["a",""],"Resource":"r"}}"#, &[
            r#"Statement.Action: has unexpected """#,
        ]),
        (r#"{"Statement":[]}"#, r#"{"Statement":[],"Extra":{"a":1}}"#, &[
            r#"Extra: has unexpected JSON {"a":1}"#,
        ]),
        // Statements: identical ones are ignored, then the same Sid pairs, then the most similar.
        (r#"{"Statement":[{"Effect":"Allow","Action":"a:A"},{"Effect":"Allow","Action":"a:B","Resource":"r"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:B","Resource":"s"},{"Effect":"Allow","Action":"A:a"}]}"#, &[
            "Statement[1].Resource: is s, should be r",
        ]),
        (r#"{"Statement":[{"Sid":"x","Effect":"Allow","Action":"a:A"},{"Sid":"y","Effect":"Allow","Action":"a:B"}]}"#, r#"{"Statement":[{"Sid":"y","Effect":"Allow","Action":"a:A","Resource":"r"},{"Sid":"x","Effect":"Deny","Action":"a:B"}]}"#, &[
            "Statement[0].Action: is a:B, should be a:A",
            "Statement[0].Effect: is Deny, should be Allow",
            "Statement[1].Action: is a:A, should be a:B",
            "Statement[1].Resource: has unexpected r",
        ]),
        (r#"{"Statement":[{"Effect":"Allow","Action":"a:A","Resource":"r"}]}"#, r#"{"Statement":[{"Effect":"Allow","Action":"a:A"},{"Effect":"Allow","Action":["a:A","a:B"],"Resource":"r"},{"Effect":"Allow","Action":"s3:*"}]}"#, &[
            "Statement[0].Action: has unexpected a:B",
            r#"live Statement[0]: has unexpected {"Effect":"Allow","Action":"a:A"}"#,
            r#"live Statement[2]: has unexpected {"Effect":"Allow","Action":"s3:*"}"#,
        ]),
        (r#"{"Statement":[{"Effect":"Allow","Action":"a:A"}]}"#, r#"{"Statement":{"Effect":"Allow","Action":"a:B"}}"#, &[
            r#"Statement[0]: lacks {"Effect":"Allow","Action":"a:A"}"#,
            r#"live Statement: has unexpected {"Effect":"Allow","Action":"a:B"}"#,
        ]),
        (r#"{"Statement":[{"Action":["a:1","a:2","a:3"]},{"Action":["a:1","a:2","b:9"]}]}"#, r#"{"Statement":[{"Action":["a:1","a:2","a:3","a:4"]},{"Action":"b:9"}]}"#, &[
            "Statement[0].Action: has unexpected a:4",
            "Statement[1].Action: lacks a:1",
            "Statement[1].Action: lacks a:2",
        ]),
        (r#"{"Statement":[{"Action":"z:Z"},{"Action":"a:A"}]}"#, r#"{"Statement":[{"Action":"y:Y"},{"Action":"b:B"}]}"#, &[
            r#"Statement[0]: lacks {"Action":"z:Z"}"#,
            r#"Statement[1]: lacks {"Action":"a:A"}"#,
            r#"live Statement[0]: has unexpected {"Action":"y:Y"}"#,
            r#"live Statement[1]: has unexpected {"Action":"b:B"}"#,
        ]),
        (r#"{"Statement":[{"Effect":"Allow"}]}"#, r#"{"Statement":["x"]}"#, &[
            r#"Statement[0]: lacks {"Effect":"Allow"}"#,
            r#"live Statement[0]: has unexpected "x""#,
        ]),
    ];
    for (desired, live, expected) in cases {
        assert_eq!(lines(desired, live), *expected, "\n{desired}\n{live}");
    }
}

#[test]
fn a_difference_is_one_line_of_bounded_length() {
    let long = "é".repeat(10_000);
    let nasty = r"a\nb\u001b[31m\u2028\u202ec";
    let desired = r#"{"Statement":{"Action":"a","Resource":"r"}}"#;
    let live = format!(
        r#"{{"Statement":{{"Action":"a","Resource":["r","{nasty}","{long}tail"],"Condition":{{"{long}":{{"{nasty}\"]":"x"}}}}}}}}"#
    );
    let lines = lines(desired, &live);
    assert_eq!(lines.len(), 3, "{lines:?}");
    for line in &lines {
        assert!(line.chars().count() < 600, "{line}");
        assert!(
            !line.contains(|c: char| c.is_control() || "\u{2028}\u{202e}".contains(c)),
            "{line:?}"
        );
    }
    let nasty = r"Statement.Resource: has unexpected a\nb\u{1b}[31m\u{2028}\u{202e}c";
    assert!(lines.iter().any(|line| line == nasty), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("étail") && line.contains('…')), "{lines:?}");
}

#[test]
fn a_thousand_differences_are_cut_short_and_counted() {
    let actions: Vec<_> = (0..1000).map(|n| format!("a:{n:04}")).collect();
    let live = json!({"Statement": {"Effect": "Allow", "Resource": "r", "Action": actions}});
    let found = lines(r#"{"Statement":{"Effect":"Allow","Resource":"r"}}"#, &live.to_string());
    assert_eq!(found.len(), 65);
    assert_eq!(found.last().map(String::as_str), Some("and 936 more differences"));
}

/// The worst case within the limits: as many statements as possible, all different, all similar.
#[test]
fn the_largest_documents_compare_quickly() {
    let crowd = |effect: &str| {
        let mut text = String::from(r#"{"Statement":["#);
        for n in 0.. {
            let one = format!(r#"{{"Action":"x","{effect}":{n}}},"#);
            if text.len() + one.len() > 128 * 1024 - 8 {
                break;
            }
            text.push_str(&one);
        }
        text.push_str("{}]}");
        text
    };
    let keys: Vec<_> = (0..8000).map(|n| format!("\"k{n}\":\"{n}\"")).collect();
    let keys = |operator| {
        format!(r#"{{"Statement":{{"Condition":{{"{operator}":{{{}}}}}}}}}"#, keys.join(","))
    };
    for (a, b) in [(crowd("A"), crowd("B")), (keys("A"), keys("B"))] {
        let (a, b) = (read(&a), read(&b));
        let start = std::time::Instant::now();
        assert!(!differences(&a, &b).is_empty());
        let took = start.elapsed();
        let limit = !support::measures() || took.as_secs() < 5;
        assert!(limit, "took {took:?}, in an unoptimized build");
    }
}
