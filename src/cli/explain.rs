//! `streamrole explain`.

use clap::Args as ClapArgs;

use super::{Error, Exit, print};

/// Flags of `streamrole explain`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  streamrole explain AccessDenied
  streamrole explain missing-conditions")]
pub(super) struct Args {
    /// A reason of a condition, or the id of a finding of `streamrole audit`.
    topic: String,
}

/// The pages with a row or a section for each topic.
const PAGES: [(&str, &str); 2] = [
    ("docs/troubleshooting.md", include_str!("../../docs/troubleshooting.md")),
    ("docs/findings.md", include_str!("../../docs/findings.md")),
];

/// Prints what the documentation says about the topic.
pub(super) fn explain(args: &Args) -> Result<Exit, Error> {
    let found = PAGES.iter().find_map(|(page, text)| {
        let said = section(text, &args.topic).or_else(|| row(text, &args.topic))?;
        Some(format!("{said}\nFrom {page}.\n"))
    });
    match found {
        Some(text) => print(&text).map(|()| Exit::Nothing),
        None => Err(Error::Input(format!(
            "{} is not documented. These are: {}",
            args.topic,
            topics().join(", ")
        ))),
    }
}

/// The text of the section whose heading is the topic.
fn section(page: &str, topic: &str) -> Option<String> {
    let is_heading = |line: &str| line.starts_with('#');
    let names = |line: &&str| {
        is_heading(line)
            && line.trim_start_matches('#').trim().trim_matches('`').eq_ignore_ascii_case(topic)
    };
    let mut lines = page.lines().skip_while(|line| !names(line));
    lines.next()?;
    let body: Vec<_> = lines.take_while(|line| !is_heading(line)).collect();
    Some(format!("{topic}\n\n{}\n", body.join("\n").trim()))
}

/// The row of a table whose first cell is the topic, one line for each cell.
fn row(page: &str, topic: &str) -> Option<String> {
    let lines: Vec<_> = page.lines().collect();
    let at = lines
        .iter()
        .position(|line| first_cell(line).is_some_and(|name| name.eq_ignore_ascii_case(topic)))?;
    let row = cells(lines.get(at)?);
    // The head is the first line of the table.
    let before = lines.get(..at)?;
    let head = before.iter().rposition(|line| !line.starts_with('|')).map_or(0, |line| line + 1);
    let head = cells(lines.get(head)?);
    let said = head.iter().zip(&row).skip(1).map(|(what, cell)| format!("{what}: {cell}\n"));
    Some(format!("{}\n\n{}", row.first()?.trim_matches('`'), said.collect::<String>()))
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split(" | ").map(str::trim).collect()
}

/// The name in the first cell of a row, if it is one in backticks.
fn first_cell(line: &str) -> Option<&str> {
    let cell = line.strip_prefix("| ")?.split(" | ").next()?;
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// Every topic that has a row or a section of its name.
fn topics() -> Vec<&'static str> {
    let rows = PAGES.iter().flat_map(|(_, text)| text.lines().filter_map(first_cell));
    let sections = PAGES.iter().flat_map(|(_, text)| {
        let heading = |line: &'static str| line.strip_prefix("## `")?.strip_suffix('`');
        text.lines().filter_map(heading)
    });
    rows.chain(sections).filter(|topic| !topic.contains(' ')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn every_reason_has_an_explanation() {
        for reason in Reason::all() {
            let name = reason.as_str();
            let said = PAGES.iter().find_map(|(_, text)| row(text, name));
            assert!(said.is_some_and(|said| said.contains(": ")), "{name}");
        }
    }
}
