//! `config/default.toml`, written from the table of settings. Writes text only, no file.

use std::fmt::Write as _;

use super::setting::{Fallback, SETTINGS, Setting};

const WIDTH: usize = 98;
const HEAD: &str = "\
# Waypost's settings with their defaults. Copy what you change into waypost.toml.
#
# Every setting can also be given by the variable named beside it, and some by a flag. Flags win over
# variables, variables over the file. Lists in variables are comma-separated.
# What is commented out has no fixed default: the line is an example, the text says what holds.
";

/// The documented defaults.
pub(crate) fn default_toml() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for setting in SETTINGS {
        let (name_section, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if name_section != section {
            section = name_section;
            let _ = write!(text, "\n[{section}]\n");
        }
        let _ = write!(text, "\n{}", entry(setting, name));
    }
    text
}

fn entry(setting: &Setting, name: &str) -> String {
    let mut text = String::new();
    let mut given_by = setting.variable();
    if let Some(flag) = setting.flag.name() {
        let _ = write!(given_by, ", {flag}");
    }
    for line in wrapped(setting.doc).chain([given_by]) {
        let _ = writeln!(text, "# {line}");
    }
    let _ = match setting.default {
        Fallback::Literal(value) => writeln!(text, "{name} = {value}"),
        Fallback::Unset(example) => writeln!(text, "#{name} = {example}"),
    };
    text
}

fn wrapped(text: &str) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().map_or(0, |line| line.chars().count());
        if line + 1 + word.chars().count() > WIDTH {
            lines.push(String::new());
        }
        if let Some(last) = lines.last_mut() {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines.into_iter()
}
