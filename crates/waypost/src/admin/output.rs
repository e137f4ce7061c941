//! How answers look on the terminal: JSON as it came, or columns and lines for people. What names
//! and texts of strangers hold cannot steer the terminal.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to the terminal"
)]

use serde_json::{Value, json};

use super::api::Listed;
use crate::stdout::{printable, say};

/// Wider cells are cut, in characters.
const MAX_CELL_CHARS: usize = 48;

/// Prints a list with the columns named.
pub(crate) fn print_list(listed: &Listed, columns: &[&str], as_json: bool) {
    if as_json {
        say(format_args!("{:#}", json!({"data": listed.data, "next": listed.next})));
        return;
    }
    if listed.data.is_empty() {
        say("None.");
        return;
    }
    for line in table(&listed.data, columns) {
        say(line);
    }
    if let Some(next) = &listed.next {
        eprintln!("There are more: --after {}, or a higher --limit", printable(next));
    }
}

/// Prints entries of a list that has no end: the columns named, without their names.
pub(crate) fn print_rows(entries: &[Value], columns: &[&str]) {
    for entry in entries {
        let cells: Vec<String> = columns.iter().map(|name| cell(at(entry, name))).collect();
        say(cells.join("  "));
    }
}

/// Prints one object in one line.
pub(crate) fn print_line(value: &Value) {
    say(value);
}

/// Prints one resource.
pub(crate) fn print_one(value: &Value, as_json: bool) {
    match value {
        Value::Object(fields) if !as_json => {
            for line in fields.iter().flat_map(|(name, value)| field_lines(name, value)) {
                say(printable(&line));
            }
        }
        value => say(format_args!("{value:#}")),
    }
}

/// A field in as many lines as it needs; nothing where there is no value.
fn field_lines(name: &str, value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Object(_) => vec![format!("{name}: {value:#}")],
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let item = |item: &Value| format!("  {}", item_text(item));
            std::iter::once(format!("{name}:")).chain(items.iter().map(item)).collect()
        }
        value => vec![format!("{name}: {}", cell_text(value))],
    }
}

/// An entry of a list within a resource, in one line.
fn item_text(item: &Value) -> String {
    let Value::Object(fields) = item else { return cell_text(item) };
    let given = fields.iter().filter(|(_, value)| !value.is_null());
    given.map(|(name, value)| format!("{name}={}", cell_text(value))).collect::<Vec<_>>().join(" ")
}

/// Tells that something was done; as JSON, what the gateway answered.
pub(crate) fn print_done(told: &str, answer: &Value, as_json: bool) {
    if as_json {
        say(format_args!("{answer:#}"));
    } else {
        say(printable(told));
    }
}

/// Says something beside the data, on standard error.
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}

fn table(entries: &[Value], columns: &[&str]) -> Vec<String> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_uppercase();
    let head = columns.iter().map(|name| last(name)).collect();
    let row = |entry: &Value| columns.iter().map(|name| cell(at(entry, name))).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(entries.iter().map(row)).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|place| rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0))
        .collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// A field, or with a dot in its name a field of a field.
fn at<'a>(entry: &'a Value, column: &str) -> &'a Value {
    column.split('.').fold(entry, |value, name| &value[name])
}

fn cell(value: &Value) -> String {
    let text = printable(&cell_text(value)).replace('\n', " ");
    match text.char_indices().nth(MAX_CELL_CHARS) {
        Some((place, _)) => format!("{}…", &text[..place]),
        None => text,
    }
}

fn cell_text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(cell_text).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_told_field_by_field() {
        for (value, wanted) in [
            (json!(null), vec![]),
            (json!(5), vec!["x: 5"]),
            (json!(["a", "b"]), vec!["x: a,b"]),
            (json!({"a": 1}), vec!["x: {\n  \"a\": 1\n}"]),
            (json!([{"a": 1, "b": null}, {"a": "c"}]), vec!["x:", "  a=1", "  a=c"]),
        ] {
            assert_eq!(field_lines("x", &value), wanted);
        }
    }

    #[test]
    fn columns_are_aligned_cut_and_harmless() {
        let entries = [
            json!({"id": "1", "name": "Ann", "tags": ["a", "b"], "active": true}),
            json!({"id": "22", "name": "\u{1b}]0;x\u{7}\n", "tags": [], "active": null}),
            json!({"id": "3", "name": "é".repeat(60)}),
        ];
        let lines = table(&entries, &["id", "name", "active", "tags"]);
        let name_column: Vec<_> = lines.iter().map(|line| line.chars().nth(4).unwrap()).collect();
        assert_eq!(name_column, ['N', 'A', '?', 'é']);
        assert!(lines[1].ends_with("true    a,b"), "{lines:?}");
        assert!(lines[2].contains("?]0;x?"), "{lines:?}");
        assert_eq!(lines[3].matches('é').count(), MAX_CELL_CHARS);
        assert!(lines.iter().all(|line| !line.contains(char::is_control)));
        let nested = table(&[json!({"id": "1", "state": {"dead": 7}})], &["id", "state.dead"]);
        assert_eq!(nested, ["ID  DEAD", "1   7"]);
    }
}
