//! What the doctor says: one line a check, with what to do. What is checked stands beside it.

#![allow(clippy::print_stdout, reason = "the command line speaks to the terminal")]

use std::io::IsTerminal as _;

use serde::Serialize;
use serde_json::json;

use crate::stdout::{printable, say};

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grade {
    /// As it should be.
    Ok,
    /// Works, but deserves a look.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of the doctor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) check: &'static str,
    /// How grave it is.
    pub(super) result: Grade,
    /// What was found.
    pub(super) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, result: Grade::Ok, found: found.into(), remedy: None }
    }

    /// Works, but deserves a look.
    pub(super) fn warn(check: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { check, result: Grade::Warn, found: found.into(), remedy }
    }

    /// Does not work.
    pub(super) fn fail(check: &'static str, found: impl Into<String>, remedy: &str) -> Self {
        let remedy = Some(remedy.to_owned());
        Self { check, result: Grade::Fail, found: found.into(), remedy }
    }
}

/// Prints all findings.
pub(super) fn tell(findings: &[Finding], as_json: bool) {
    let healthy = findings.iter().all(|finding| finding.result != Grade::Fail);
    if as_json {
        say(format_args!("{:#}", json!({"ok": healthy, "checks": findings})));
        return;
    }
    let coloured = std::io::stdout().is_terminal();
    for finding in findings {
        say(line(finding, coloured));
    }
}

fn line(finding: &Finding, coloured: bool) -> String {
    let (word, colour) = match finding.result {
        Grade::Ok => ("ok  ", 32),
        Grade::Warn => ("warn", 33),
        Grade::Fail => ("fail", 31),
    };
    let word = if coloured { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() };
    let mut text = format!("{word}  {}: {}", finding.check, printable(&finding.found));
    if let Some(remedy) = &finding.remedy {
        text.push_str(&format!("\n      → {}", printable(remedy)));
    }
    text
}
