//! `config print` and `config check`, and how faults and warnings look on the terminal.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command line speaks to the terminal"
)]

use serde_json::{Value, json};

use super::{Fault, Faults, Loaded};
use crate::stdout::say;

/// Prints every setting in effect with its source.
pub(crate) fn print(loaded: &Loaded, as_json: bool) {
    if as_json {
        say(format_args!("{:#}", json!({"settings": loaded.rows, "warnings": loaded.warnings})));
        return;
    }
    let width = loaded.rows.iter().map(|row| row.setting.len()).max().unwrap_or(0);
    for row in &loaded.rows {
        let value = match &row.value {
            Value::Null => "(none)".to_owned(),
            Value::String(text) if text == super::value::REDACTED => text.clone(),
            value => value.to_string(),
        };
        say(format_args!("{:width$} = {value}  # {}", row.setting, row.source));
    }
}

/// Tells what came of reading the configuration: warnings and faults, one line each, on standard
/// error; as JSON on standard output.
pub(crate) fn report(read: Result<&Loaded, &Faults>, as_json: bool) {
    let (faults, warnings): (&[Fault], _) = match read {
        Ok(loaded) => (&[], &loaded.warnings),
        Err(found) => (&found.faults, &found.warnings),
    };
    if as_json {
        say(format_args!("{:#}", as_value(faults, warnings)));
        return;
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    for fault in faults {
        eprintln!("error: {fault}");
    }
    if !faults.is_empty() {
        let plural = if faults.len() == 1 { "fault" } else { "faults" };
        eprintln!("The configuration has {} {plural}.", faults.len());
    }
}

fn as_value(faults: &[Fault], warnings: &[String]) -> Value {
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| {
            json!({
                "setting": fault.setting,
                "source": fault.source.to_string(),
                "problem": fault.problem,
            })
        })
        .collect();
    json!({"ok": faults.is_empty(), "faults": faults, "warnings": warnings})
}
