//! Rules that look at one file's text: its opening, its length, leftovers, paths of a machine.
//!
//! Plain searches: no rule here understands Rust.

use std::collections::BTreeMap;
use std::path::Path;

use super::Source;

const LINES_MAX: usize = 600;
/// A shorter opening says nothing.
const OPENING_CHARS_MIN: usize = 8;

/// Words that mark unfinished work. Put together here so that this file does not contain them.
const LEFTOVERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("@no", "commit"),
];

/// Files in which words and paths are data or come from elsewhere.
const UNREAD: &[&str] = &["Cargo.lock", "package-lock.json", "LICENSE-APACHE", "LICENSE-MIT"];

/// Folders that exist on one machine only.
pub(crate) struct MachinePaths(Vec<String>);

impl MachinePaths {
    /// The usual homes and workplaces, and the folder of this very clone when it is not too common a word.
    pub(crate) fn new(root: &Path) -> Self {
        let mut paths: Vec<String> = ["home", "Users", "root", "work", "workspace", "builds"]
            .iter()
            .map(|name| format!("/{name}/"))
            .collect();
        if root.components().count() > 2 {
            paths.push(format!("{}/", root.display()));
        }
        Self(paths)
    }

    /// The path in `line`, when one begins there: after nothing, a blank, a quote, a bracket or a sign.
    fn found_in(&self, line: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|path| {
            line.match_indices(path).any(|(at, _)| {
                line[..at]
                    .chars()
                    .next_back()
                    .is_none_or(|c| c.is_whitespace() || "\"'`(=<[,".contains(c))
            })
        })
    }
}

/// What is wrong with one file.
pub(crate) fn faults(
    source: &Source,
    long_files: &BTreeMap<String, String>,
    machine: &MachinePaths,
) -> Vec<String> {
    let path = &source.path;
    let mut faults = Vec::new();
    let Some(text) = &source.text else { return faults };
    if path.ends_with(".snap.new") {
        faults.push(format!("{path}: a snapshot that nobody has accepted"));
    }
    if path.ends_with(".rs") {
        faults.extend(opening_fault(path, text));
        let lines = text.lines().count();
        if lines > LINES_MAX && !long_files.contains_key(path) {
            faults.push(format!(
                "{path}: {lines} lines; at most {LINES_MAX}, or an entry with a reason in xtask/tidy.toml"
            ));
        }
    }
    if !UNREAD.iter().any(|name| path.ends_with(name)) {
        faults.extend(line_faults(path, text, machine));
    }
    faults
}

fn opening_fault(path: &str, text: &str) -> Option<String> {
    let said = text.lines().next().and_then(|line| line.strip_prefix("//!")).map(str::trim);
    match said {
        None => Some(format!("{path}: does not open with `//!` and what it is for")),
        Some(said) if said.chars().count() < OPENING_CHARS_MIN => {
            Some(format!("{path}: its opening says too little: `{said}`"))
        }
        Some(_) => None,
    }
}

fn line_faults(path: &str, text: &str, machine: &MachinePaths) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
            faults.push(format!("{path}:{number}: `{word}` marks unfinished work"));
        }
        if let Some(folder) = machine.found_in(line) {
            faults.push(format!("{path}:{number}: `{folder}` exists on one machine only"));
        }
        if [["<<<<<<", "< "].concat(), [">>>>>>", "> "].concat()]
            .iter()
            .any(|m| line.starts_with(m))
        {
            faults.push(format!("{path}:{number}: a merge that was not finished"));
        }
    }
    faults
}

/// Exceptions for files that are short, or are gone.
pub(crate) fn needless_exceptions(
    sources: &[Source],
    long_files: &BTreeMap<String, String>,
) -> Vec<String> {
    let is_long = |path: &str| {
        let text =
            sources.iter().find(|source| source.path == path).and_then(|s| s.text.as_deref());
        text.is_some_and(|text| text.lines().count() > LINES_MAX)
    };
    long_files
        .keys()
        .filter(|path| !is_long(path))
        .map(|path| format!("xtask/tidy.toml: {path} needs no exception"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::{LINES_MAX, MachinePaths, faults, needless_exceptions};
    use crate::tidy::Source;

    const OPENING: &str = "//! Something that is long enough to be said.\n";

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: Some(text.to_owned()) }
    }

    fn faults_of(path: &str, text: &str) -> Vec<String> {
        let machine = MachinePaths::new(Path::new("/srv/builder/clone"));
        faults(&source(path, text), &BTreeMap::new(), &machine)
    }

    #[test]
    fn accepts_what_is_tidy() {
        for (path, text) in [
            ("a.rs", OPENING),
            ("a.md", "no opening is asked of other files"),
            ("a.md", "https://example.com/home/page and `crates/root/src`"),
            ("a.md", "autodocs are fine, and so is a method"),
        ] {
            assert_eq!(faults_of(path, text), [""; 0], "{path}: {text}");
        }
    }

    #[test]
    fn refuses_what_is_untidy() {
        let leftover = |word: &str| format!("{OPENING}// {word} later\n");
        for (path, text, complaint) in [
            ("a.rs", "use x;\n".to_owned(), "does not open"),
            ("a.rs", "//! .\n".to_owned(), "says too little"),
            ("a.rs", leftover(concat!("TO", "DO")), "a.rs:2: "),
            ("a.rs", leftover(concat!("unimple", "mented!()")), "a.rs:2: "),
            ("a.css", leftover(concat!("FIX", "ME")), "unfinished work"),
            ("a.md", ["see /ho", "me/ann/notes"].concat(), "one machine only"),
            ("a.md", ["/Us", "ers/ann/notes at a line's start"].concat(), "one machine only"),
            ("a.md", ["`/srv/builder", "/clone/x`"].concat(), "one machine only"),
            ("a.rs", OPENING.repeat(LINES_MAX + 1), "601 lines"),
            ("a.md", ["<<<<<<", "< ours"].concat(), "merge"),
            ("a.snap.new", "x".to_owned(), "nobody has accepted"),
        ] {
            let faults = faults_of(path, &text);
            assert_eq!(faults.len(), 1, "{path}: {faults:?}");
            assert!(faults[0].contains(complaint), "{faults:?} should say {complaint}");
        }
    }

    #[test]
    fn an_exception_holds_for_a_long_file_and_is_refused_for_a_short_one() {
        let long = source("long.rs", &OPENING.repeat(LINES_MAX + 1));
        let short = source("short.rs", OPENING);
        let exceptions: BTreeMap<String, String> = ["long.rs", "short.rs", "gone.rs"]
            .map(|path| (path.to_owned(), "why".to_owned()))
            .into();
        let machine = MachinePaths::new(Path::new("/x"));
        assert_eq!(faults(&long, &exceptions, &machine), [""; 0]);
        let needless = needless_exceptions(&[long, short], &exceptions);
        assert_eq!(needless.len(), 2, "{needless:?}");
    }
}
