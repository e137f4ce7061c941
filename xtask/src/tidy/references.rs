//! Recorded files — fixtures and snapshots — that no test reads any more.
//!
//! Looks for names in the sources; whether a test that names one also runs is not seen.

use super::Source;

/// Languages of our tests.
const CODE: &[&str] = &[".rs", ".mjs"];
/// Folders of recorded files.
const RECORDED: &str = "/fixtures/";

/// Recorded files whose name occurs in no source.
pub(crate) fn faults(sources: &[Source]) -> Vec<String> {
    let code: Vec<&str> = sources
        .iter()
        .filter(|source| CODE.iter().any(|ending| source.path.ends_with(ending)))
        .filter(|source| !source.path.contains(RECORDED))
        .filter_map(|source| source.text.as_deref())
        .collect();
    sources
        .iter()
        .filter_map(|source| Some((source, recorded_name(&source.path)?)))
        .filter(|(_, name)| !code.iter().any(|text| text.contains(name)))
        .map(|(source, name)| format!("{}: no test mentions `{name}`", source.path))
        .collect()
}

/// How a test calls a recorded file: a fixture by its file name, a snapshot by the last part of its name.
fn recorded_name(path: &str) -> Option<&str> {
    let file = path.rsplit('/').next()?;
    if let Some(stem) = file.strip_suffix(".snap") {
        let name = stem.rsplit("__").next().unwrap_or(stem);
        // A test's second unnamed snapshot is called `name-2`.
        let unnumbered = name.trim_end_matches(|c: char| c.is_ascii_digit());
        return Some(unnumbered.strip_suffix('-').unwrap_or(name));
    }
    path.contains(RECORDED).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::faults;
    use crate::tidy::Source;

    #[test]
    fn refuses_recorded_files_that_no_test_mentions() {
        let source =
            |path: &str, text: &str| Source { path: path.to_owned(), text: Some(text.to_owned()) };
        let sources = [
            source("a/src/tests.rs", "include_str!(\"fixtures/sent.json\"); fn writes_times() {}"),
            source("a/src/fixtures/sent.json", "{}"),
            source("a/src/fixtures/forgotten.json", "{}"),
            source("a/src/snapshots/a__tests__writes_times.snap", ""),
            source("a/src/snapshots/a__tests__writes_times-2.snap", ""),
            source("a/src/snapshots/a__tests__gone.snap", ""),
        ];
        let faults = faults(&sources);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("forgotten.json"), "{faults:?}");
        assert!(faults[1].contains("gone.snap"), "{faults:?}");
    }
}
