//! Logs: one line an outcome, as text for people or JSON for machines, on standard error. Secrets are in none
//! of them, whatever the level, and no text of others' reaches a terminal as anything but text.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// What the controller itself says from INFO up and what its libraries say from WARN up. What is missing of
/// AWS settings, and how requests to the API server fail, the controller says in its own words.
const DEFAULT: &str = "warn,aws_config=error,kube_client=off,kube_runtime=off,streamrole=info";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Readable on a terminal.
    Text,
}

/// Writes logs. `RUST_LOG` chooses levels as `tracing_subscriber::EnvFilter` reads it. Spans are for traces:
/// each line says by itself what it is about.
pub(super) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method is not general enough"
    )]
    let filter = filter.and(filter_fn(|metadata| metadata.is_event()));
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(|| OneLine);
    match format {
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).with_filter(filter).boxed(),
    }
}

/// Standard error, where each event is one line: a line end within it, and what changes the direction of writing, is
/// written as an escape that JSON reads too. Escape sequences in values are escaped by the formatter already, which
/// writes those that colour the line.
struct OneLine;

impl Write for OneLine {
    /// The formatter hands in a whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = one_line(text.strip_suffix('\n').unwrap_or(&text));
        line.push('\n');
        io::stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        // What the standard library does not print as it is: controls, line ends of Unicode, direction, invisible ones.
        let is_odd = character != '\u{1b}'
            && character.escape_debug().next() == Some('\\')
            && !matches!(character, '"' | '\'' | '\\');
        if is_odd {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(line, "\\u{unit:04x}");
            }
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it_and_stays_json() {
        let hostile = "a\nb\r\u{202e}c\u{2028}d\u{85}e\u{e0041}é😀";
        let line = one_line(hostile);
        assert_eq!(line, r"a\u000ab\u000d\u202ec\u2028d\u0085e\udb40\udc41é😀");
        let json: Result<String, _> = serde_json::from_str(&format!("\"{line}\""));
        assert_eq!(json.ok().as_deref(), Some(hostile));
    }
}
