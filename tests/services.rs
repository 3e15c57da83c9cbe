//! The table of services: each entry against AWS's page in `tests/aws-page/services/`, and documents that lead back to
//! the declaration that they come from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::string::string_regex;
use serde_json::Value;
use streamrole::policy::{AccountId, Document, Partition, Region, differences};
use streamrole::service::{
    Certainty, DestinationArn, DestinationKind, EventStream, KeyArn, SERVICES, Service, Source,
    SourceField, recognize,
};

const ACCOUNT: &str = "111122223333";

/// The example of a service and one of its destinations.
fn example(service: &'static Service, kind: DestinationKind) -> EventStream {
    let fields = service.source.fields.iter();
    let fields: BTreeMap<_, _> =
        fields.map(|field| (field.name.to_owned(), field.example.to_owned())).collect();
    let source = Source {
        account: AccountId::parse(ACCOUNT).unwrap(),
        region: Region::parse("us-east-1").unwrap(),
        name: service.source.name_of(&fields).unwrap(),
    };
    let destination = DestinationArn::parse(kind, kind.example()).unwrap();
    EventStream::new(service, Some(source), destination, None).unwrap()
}

/// What AWS's page has for the service: `trust`, and the permissions by the field of the destination.
fn page_of(service: &Service) -> Value {
    let name = format!("tests/aws-page/services/{}.json", service.key);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_documents_of_each_service_are_those_of_awss_page_except_for_the_listed_differences() {
    for service in Service::current() {
        let page = page_of(service);
        let listed = |target| service.differences.iter().any(|d| d.target == target);
        let check = |what: &str, page: &Value, ours: &Document, is_listed: bool| {
            let page = Document::from_value(page).unwrap();
            let found = differences(&page, ours);
            assert_eq!(
                found.is_empty(),
                !is_listed,
                "{} {what}: listed {is_listed}, found {found:?}",
                service.key
            );
        };
        for target in service.targets {
            let stream = example(service, target.kind);
            check("trust", &page["trust"], &stream.trust_policy().unwrap(), listed(None));
            let what = target.kind.field();
            match page.get(what) {
                Some(page) => {
                    let ours = stream.permissions_policy().unwrap();
                    check(what, page, &ours, listed(Some(target.kind)));
                }
                None => assert_ne!(
                    target.certainty,
                    Certainty::Documented,
                    "{} {what} is not on the page",
                    service.key
                ),
            }
        }
    }
}

#[test]
fn each_entry_is_complete() {
    let mut keys = Vec::new();
    for service in SERVICES {
        let key = service.key;
        assert!(!keys.contains(&key), "{key} is there twice");
        keys.push(key);
        assert!(!service.name.is_empty() && !service.targets.is_empty(), "{key}");
        assert!(service.page.starts_with("https://docs.aws.amazon.com/"), "{key}");
        for kind in DestinationKind::ALL {
            let instead = service.instead.iter().filter(|(refused, _)| *refused == kind).count();
            let expected = usize::from(service.target(kind).is_none());
            assert_eq!(instead, expected, "{key} says what works instead of {kind:?}");
        }
        for target in service.targets {
            assert!(!target.actions.is_empty(), "{key}");
            assert!(target.page.starts_with("https://docs.aws.amazon.com/"), "{key}");
            let attach = target.attach;
            for placeholder in ["{role}", "aws "] {
                assert!(attach.contains(placeholder), "{key}: {attach}");
            }
        }
        for field in service.source.fields {
            let example = BTreeMap::from([(field.name.to_owned(), field.example.to_owned())]);
            let name = service.source.name_of(&example);
            assert!(name.is_ok() || service.source.fields.len() > 1, "{key}: {name:?}");
        }
    }
}

/// A value of the field: one that its pattern matches, or `*` where it can be any.
fn value(field: &'static SourceField) -> BoxedStrategy<String> {
    let name = string_regex(&field.pattern()).expect("a regular expression");
    match field.default {
        Some(default) => prop_oneof![name, Just(default.to_owned())].boxed(),
        None => prop_oneof![4 => name, 1 => Just("*".to_owned())].boxed(),
    }
}

fn fields(service: &'static Service) -> impl Strategy<Value = BTreeMap<String, String>> {
    let of = |field: &'static SourceField| value(field).prop_map(|v| (field.name.to_owned(), v));
    let all: Vec<_> = service.source.fields.iter().map(of).collect();
    all.prop_map(|fields| fields.into_iter().collect())
}

fn destination(kind: DestinationKind, region: String) -> impl Strategy<Value = DestinationArn> {
    let (namespace, resource) = kind.pattern();
    let resource = string_regex(&resource).expect("a regular expression");
    resource.prop_map(move |resource| {
        let partition = Region::parse(&region).unwrap().partition();
        let arn = format!("arn:{partition}:{namespace}:{region}:{ACCOUNT}:{resource}");
        DestinationArn::parse(kind, &arn).unwrap()
    })
}

/// A declared event stream of any service, with or without a source and a key.
fn stream() -> impl Strategy<Value = EventStream> {
    let pairs: Vec<_> = SERVICES
        .into_iter()
        .flat_map(|service| service.targets.iter().map(move |target| (service, target.kind)))
        .collect();
    (select(pairs), any::<prop::sample::Index>()).prop_flat_map(|((service, kind), index)| {
        let partition = service.partitions[index.index(service.partitions.len())];
        let code = string_regex(&partition.region_pattern()).expect("a regular expression");
        (code, fields(service)).prop_flat_map(move |(region, fields)| {
            let name = service.source.name_of(&fields).unwrap();
            let source = Source {
                account: AccountId::parse(ACCOUNT).unwrap(),
                region: Region::parse(&region).unwrap(),
                name,
            };
            let has_source =
                if service.ended.is_some() { any::<bool>().boxed() } else { Just(true).boxed() };
            let has_key = kind != DestinationKind::LogGroup;
            (destination(kind, region.clone()), has_source, any::<bool>()).prop_map(
                move |(destination, has_source, with_key)| {
                    let key = format!("arn:{partition}:kms:{region}:{ACCOUNT}:key/1234abcd");
                    let key = (has_key && with_key).then(|| KeyArn::parse(&key).unwrap());
                    let source = has_source.then(|| source.clone());
                    EventStream::new(service, source, destination, key).unwrap()
                },
            )
        })
    })
}

proptest! {
    #[test]
    fn documents_lead_back_to_the_declaration_that_they_come_from(stream in stream()) {
        let (trust, permissions) =
            (stream.trust_policy().unwrap(), stream.permissions_policy().unwrap());
        let found = recognize(&trust, &permissions);
        prop_assert_eq!(found.first(), Some(&stream));
        for other in &found {
            let same = other.trust_policy().unwrap().equivalent(&trust)
                && other.permissions_policy().unwrap().equivalent(&permissions);
            prop_assert!(same, "{:?}", other);
        }
    }

    #[test]
    fn a_source_leads_back_to_the_fields_that_name_it(
        (service, fields) in select(&SERVICES[..]).prop_flat_map(|s| (Just(s), fields(s))),
    ) {
        let name = service.source.name_of(&fields).unwrap();
        let back = service.source.fields_of(name.as_deref()).unwrap();
        prop_assert_eq!(service.source.name_of(&back), Ok(name));
    }

    #[test]
    fn no_document_makes_recognize_panic(trust in any_document(), permissions in any_document()) {
        for stream in recognize(&trust, &permissions) {
            let documents = (stream.trust_policy(), stream.permissions_policy());
            prop_assert!(documents.0.is_ok() && documents.1.is_ok());
        }
    }
}

fn any_document() -> impl Strategy<Value = Document> {
    let text = prop_oneof![
        Just("ses.amazonaws.com".to_owned()),
        Just("logs.us-east-1.amazonaws.com".to_owned()),
        Just("pinpoint.us-east-1.amazonaws.com".to_owned()),
        Just("arn:aws:ses:us-east-1:111122223333:configuration-set/a".to_owned()),
        Just("arn:aws:events:us-east-1:111122223333:rule/a/b/c".to_owned()),
        Just("arn:aws:firehose:us-east-1:111122223333:deliverystream/a".to_owned()),
        Just("*".to_owned()),
        ".{0,30}",
    ];
    (text.clone(), text.clone(), text).prop_map(|(principal, arn, resource)| {
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole",
            "Resource": resource,
            "Condition": {"ArnLike": {"aws:SourceArn": arn}},
        }});
        Document::from_value(&document).unwrap()
    })
}

#[test]
fn regional_principals_and_wider_documents_are_recognized() {
    let document = |value: Value| Document::from_value(&value).unwrap();
    let trust = document(serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Other", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:AssumeRole"},
        {"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com", "pinpoint.eu-west-1.amazonaws.com"]}, "Action": ["sts:AssumeRole"]},
    ]}));
    let permissions = document(serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kinesis:*", "Resource": ["*", "arn:aws:kinesis:eu-west-1:111122223333:stream/a"]},
    ]}));
    let found = recognize(&trust, &permissions);
    let [stream] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(stream.service().key, "pinpoint");
    assert_eq!(stream.destination().label(), "kinesis/a");
    assert_eq!(stream.partition(), Partition::Aws);
    assert!(recognize(&permissions, &trust).is_empty());
}
