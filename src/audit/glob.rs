//! Wildcards of IAM policies: `*` for any characters, `?` for one (IAM user guide, "IAM JSON policy elements: Resource").

/// Whether some text matches both patterns. A pattern without wildcards is a text.
pub(super) fn overlaps(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // `row[j]`: the first `i` bytes of `one` and the first `j` bytes of `other` can match the same text.
    let mut row = vec![false; other.len() + 1];
    if let Some(start) = row.first_mut() {
        *start = true;
    }
    for i in 0..=one.len() {
        let mut next = vec![false; other.len() + 1];
        let a = one.get(i).copied();
        for j in 0..=other.len() {
            if row.get(j) != Some(&true) {
                continue;
            }
            let b = other.get(j).copied();
            if a == Some(b'*') || b == Some(b'*') {
                if a.is_some() {
                    reach(&mut next, j);
                }
                if b.is_some() {
                    reach(&mut row, j + 1);
                }
            } else if let (Some(a), Some(b)) = (a, b)
                && (a == b || a == b'?' || b == b'?')
            {
                reach(&mut next, j + 1);
            }
        }
        if i == one.len() {
            return row.last() == Some(&true);
        }
        row = next;
    }
    false
}

fn reach(row: &mut [bool], at: usize) {
    if let Some(cell) = row.get_mut(at) {
        *cell = true;
    }
}

/// Whether the text has a wildcard.
pub(super) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// The six parts of an ARN or of a pattern for ARNs.
pub(super) fn parts(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.splitn(6, ':');
    let six =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    Some(six)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_overlap_exactly_when_one_text_matches_both() {
        let table = [
            ("", "", true),
            ("a", "", false),
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*", "*b", true),
            ("a*b", "c*", false),
            ("*x*", "aby", false),
            ("**", "abc", true),
            ("firehose:put*", "firehose:putrecordbatch", true),
            (
                "arn:aws:ses:*:1:configuration-set/*",
                "arn:aws:ses:us-east-1:1:configuration-set/a",
                true,
            ),
        ];
        for (one, other, expected) in table {
            assert_eq!(overlaps(one, other), expected, "{one} {other}");
            assert_eq!(overlaps(other, one), expected, "{other} {one}");
        }
    }
}
