//! Reads arbitrary bytes as one or two policy documents and checks the laws that hold of any.
//! What it finds becomes a case in `tests/policy_equivalence.rs`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Document, differences, percent_decode, percent_encode};

#[allow(dead_code, unused_imports)]
#[path = "../../src/policy/mod.rs"]
mod policy;

fn laws_of_one(document: &Document) {
    let canonical = document.canonical();
    assert_eq!(canonical.canonical().to_value(), canonical.to_value());
    assert!(document.equivalent(document) && canonical.equivalent(document));
    assert!(differences(document, document).is_empty());
    let text = document.to_string();
    let again = Document::parse(&text).expect("what is printed can be read");
    assert_eq!(again.to_value(), document.to_value());
}

fn laws_of_two(a: &Document, b: &Document) {
    let equivalent = a.equivalent(b);
    assert_eq!(b.equivalent(a), equivalent);
    assert_eq!(a.canonical().to_value() == b.canonical().to_value(), equivalent);
    let found = differences(a, b);
    assert_eq!(found.is_empty(), equivalent);
    assert!(found.len() <= 65);
    for difference in found {
        let line = difference.to_string();
        assert!(line.chars().count() < 2000 && !line.contains(char::is_control));
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let encoded = percent_encode(&text);
    assert_eq!(percent_decode(&encoded).as_deref(), Ok(&*text));
    let _ = Document::from_percent_encoded(&text);

    // Two documents are parted by a byte that is in no UTF-8 text.
    let mut parts = data.splitn(2, |byte| *byte == 0xff);
    let mut read = || Document::parse(std::str::from_utf8(parts.next()?).ok()?).ok();
    let (a, b) = (read(), read());
    for document in [&a, &b].into_iter().flatten() {
        laws_of_one(document);
    }
    if let (Some(a), Some(b)) = (&a, &b) {
        laws_of_two(a, b);
    }
});
