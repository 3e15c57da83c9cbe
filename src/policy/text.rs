//! Text by others, made safe for a condition, an event or a log line.
//!
//! Promise: the result is one line of bounded length, without characters that control a terminal or change the
//! direction of writing. Must not know: the subject of the text.

/// The text with its first letter in upper case.
#[must_use]
pub fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The text on one line. A text of more than `limit` characters loses its middle: ARNs differ at their end.
#[must_use]
pub fn readable(text: &str, limit: usize) -> String {
    let tail = limit / 3;
    let head = limit.saturating_sub(tail + 1);
    if text.chars().nth(limit).is_none() {
        let line = on_one_line(text.chars());
        let length = line.chars().count();
        if length <= limit {
            return line;
        }
        return line
            .chars()
            .take(head)
            .chain(['…'])
            .chain(line.chars().skip(length - tail))
            .collect();
    }
    // The omitted part is not read: it can be megabytes.
    let start = on_one_line(text.chars().take(head));
    let from = text.char_indices().rev().nth(tail.saturating_sub(1)).map_or(0, |(index, _)| index);
    let end = on_one_line(text.get(from..).unwrap_or_default().chars());
    let skipped = end.chars().count().saturating_sub(tail);
    start.chars().take(head).chain(['…']).chain(end.chars().skip(skipped)).collect()
}

fn on_one_line(text: impl Iterator<Item = char>) -> String {
    let mut line = String::new();
    for c in text {
        match c {
            '"' | '\'' | '\\' => line.push(c),
            // Line ends, and characters that control terminals or reverse the direction of writing.
            other => line.extend(other.escape_debug()),
        }
    }
    line
}

/// The beginning of the text, at most `longest` bytes, never cut within a character.
#[must_use]
pub fn shortened(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if short.len() + character.len_utf8() + '…'.len_utf8() > longest {
            break;
        }
        short.push(character);
    }
    short + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_bounded_line_without_control_characters() {
        let hostile = "a\nb\r\u{1b}[2J\u{202e}c\u{2028}d\u{85}e\u{0}f\u{200b}";
        assert_eq!(readable(hostile, 200), r"a\nb\r\u{1b}[2J\u{202e}c\u{2028}d\u{85}e\0f\u{200b}");
        for limit in [0, 1, 2, 3, 10, 200] {
            let short = readable(&"\n".repeat(1000), limit);
            assert!(short.chars().count() <= limit.max(1), "{limit}: {short}");
        }
        assert_eq!(readable("abcdefghijkl", 6), "abc…kl");
        assert_eq!(readable("ab\ncd", 5), r"ab\…d");
    }

    #[test]
    fn a_shortened_text_is_cut_between_characters() {
        let note = shortened(&"é".repeat(1000), 1024);
        assert!(note.len() <= 1024 && note.ends_with('…'), "{} bytes", note.len());
        assert_eq!(shortened("short", 1024), "short");
    }
}
