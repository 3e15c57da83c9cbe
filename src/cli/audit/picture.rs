//! The picture of who can write where: services on the left, roles in the middle, destinations on the right.

use std::collections::BTreeMap;

use crate::audit::{Report, Severity};

/// The height of a row, and where the columns begin and end.
const ROW: usize = 30;
const SERVICES: (usize, usize) = (8, 258);
const ROLES: (usize, usize) = (348, 668);
const DESTINATIONS: (usize, usize) = (758, 1092);

/// The most characters of a label in each column.
const CHARACTERS: [usize; 3] = [34, 44, 46];

/// A box with a label.
pub(super) struct Node {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub label: String,
    pub full: String,
    /// The CSS class.
    pub class: &'static str,
    /// The numbers of the roles that it belongs to.
    pub roles: String,
}

/// A line between two boxes.
pub(super) struct Edge {
    pub path: String,
    pub role: usize,
    pub class: &'static str,
}

/// The whole picture.
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

pub(super) const fn class_of(worst: Option<Severity>) -> &'static str {
    match worst {
        Some(Severity::Error) => "error",
        Some(Severity::Warning) => "warning",
        Some(Severity::Note) => "note",
        None => "fine",
    }
}

/// A box of the outer columns: its label, and the rows of its roles.
type Ends = BTreeMap<String, Vec<usize>>;

/// Draws the roles that write to a destination. A role has the number of its place in the report.
pub(super) fn picture(report: &Report) -> Picture {
    let roles: Vec<_> = report.roles.iter().enumerate().filter(|(_, r)| r.is_stream).collect();
    let (mut services, mut destinations) = (Ends::new(), Ends::new());
    let mut order: Vec<_> = roles.iter().collect();
    order.sort_by_key(|(_, role)| role.services.first().map_or("", |service| service.name));
    let mut nodes = Vec::new();
    let mut row_of = BTreeMap::new();
    for (row, (number, role)) in order.iter().enumerate() {
        row_of.insert(*number, row);
        for service in &role.services {
            services.entry(service.name.to_owned()).or_default().push(*number);
        }
        for destination in &role.destinations {
            destinations.entry(destination.clone()).or_default().push(*number);
        }
        let class = class_of(report.worst_of(&role.arn));
        nodes.push(node(ROLES, row, &role.name, class, CHARACTERS[1], &[*number]));
    }
    let mut edges = Vec::new();
    let mut height = order.len();
    for (ends, column, limit, is_left) in [
        (&services, SERVICES, CHARACTERS[0], true),
        (&destinations, DESTINATIONS, CHARACTERS[2], false),
    ] {
        for (label, row) in rows(ends, &row_of) {
            let numbers = ends.get(label).map_or(&[][..], Vec::as_slice);
            height = height.max(row + 1);
            let class = if is_left { "service" } else { "destination" };
            nodes.push(node(column, row, label, class, limit, numbers));
            for number in numbers {
                let Some(own) = row_of.get(number) else { continue };
                let class = report
                    .roles
                    .get(*number)
                    .map_or("fine", |role| class_of(report.worst_of(&role.arn)));
                let path = if is_left {
                    curve((column.1, row), (ROLES.0, *own))
                } else {
                    curve((ROLES.1, *own), (column.0, row))
                };
                edges.push(Edge { path, role: *number, class });
            }
        }
    }
    Picture { width: DESTINATIONS.1 + 8, height: height.max(1) * ROW + 8, nodes, edges }
}

/// A row for each box, near its roles and each in a separate one.
fn rows<'a>(ends: &'a Ends, row_of: &BTreeMap<usize, usize>) -> Vec<(&'a String, usize)> {
    let mut wanted: Vec<_> = ends
        .iter()
        .map(|(label, numbers)| {
            let sum: usize = numbers.iter().filter_map(|number| row_of.get(number)).sum();
            (sum / numbers.len().max(1), label)
        })
        .collect();
    wanted.sort();
    let mut next = 0;
    wanted
        .into_iter()
        .map(|(row, label)| {
            let row = row.max(next);
            next = row + 1;
            (label, row)
        })
        .collect()
}

fn node(
    (left, right): (usize, usize),
    row: usize,
    label: &str,
    class: &'static str,
    limit: usize,
    roles: &[usize],
) -> Node {
    let roles: Vec<_> = roles.iter().map(ToString::to_string).collect();
    Node {
        x: left,
        y: row * ROW + 6,
        width: right - left,
        label: crate::policy::readable(label, limit),
        full: label.to_owned(),
        class,
        roles: roles.join(" "),
    }
}

fn curve((x1, row1): (usize, usize), (x2, row2): (usize, usize)) -> String {
    let (y1, y2) = (row1 * ROW + 18, row2 * ROW + 18);
    let middle = usize::midpoint(x1, x2);
    format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
}
