//! Logs: one line per outcome on standard error, as text for people or JSON for machines. Promise: no line contains a
//! secret, at any level, and text by others cannot control a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use tracing::Subscriber;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// The controller logs from INFO up, its libraries from WARN up. The controller itself reports missing AWS settings and
/// failed requests to the API server.
const DEFAULT: &str = "warn,aws_config=error,kube_client=off,kube_runtime=off,streamrole=info";

/// The format of log lines.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Readable on a terminal.
    Text,
}

/// Writes logs. `RUST_LOG` sets levels, in the syntax of `tracing_subscriber::EnvFilter`. Spans are for traces: each
/// line is complete without them.
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

/// Standard error, with one line per event. Line ends and characters that change the direction of writing become
/// escapes that JSON can read. The formatter already escapes the escape sequences in values, and writes those that
/// color the line.
struct OneLine;

impl Write for OneLine {
    /// The formatter passes a whole event.
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
        // Characters that the standard library escapes: controls, Unicode line ends, direction marks, invisible
        // characters.
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
    fn a_log_event_is_one_line_of_valid_json_whatever_it_contains() {
        let hostile = "a\nb\r\u{202e}c\u{2028}d\u{85}e\u{e0041}é😀";
        let line = one_line(hostile);
        assert_eq!(line, r"a\u000ab\u000d\u202ec\u2028d\u0085e\udb40\udc41é😀");
        let json: Result<String, _> = serde_json::from_str(&format!("\"{line}\""));
        assert_eq!(json.ok().as_deref(), Some(hostile));
    }
}
