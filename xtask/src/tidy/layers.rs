//! The direction of dependencies between our crates, and which crate may know SQL, HTTP serving and the environment.
//!
//! Reads the manifests. Modules inside a crate are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::Source;

/// Layers from the bottom up: a crate depends only on crates of lower ones.
const LAYERS: &[&[&str]] = &[
    &["waypost-clock", "waypost-domain", "waypost-planted"],
    &["waypost-engine"],
    &[
        "waypost-store-sqlite",
        "waypost-store-files",
        "waypost-store-testkit",
        "waypost-dialects",
        "waypost-upstream",
        "waypost-egress",
        "waypost-sandbox",
    ],
    &["waypost-server"],
    &["waypost"],
    &["waypost-tests", "waypost-sim", "waypost-bench", "xtask"],
];

/// Crates that know fewer of ours than their layer would allow.
const NARROWER: &[(&str, &[&str])] = &[
    ("waypost-sandbox", &["waypost-clock"]),
    // Planted bugs are none in a release build: codecs stay pure.
    ("waypost-dialects", &["waypost-domain", "waypost-planted"]),
];

/// Only tests may use it, and those of its own layer may.
const FOR_TESTS: &str = "waypost-store-testkit";

/// Libraries that only some crates may know.
const RESERVED: &[(&str, &[&str])] = &[
    ("axum", &["waypost-server", "waypost-sandbox", "waypost-bench"]),
    ("rusqlite", &["waypost-store-sqlite", "waypost-tests"]),
    ("waypost-sandbox", &["waypost"]),
];

/// Only the composition reads the environment: everything else is told.
const ENVIRONMENT: &[&str] = &["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
const MAY_READ_ENVIRONMENT: &str = "crates/waypost/";

/// What is wrong with the manifests, and who reads the environment without leave. `upward` names the
/// dependencies that tests may have against the direction, as `crate -> dependency`.
///
/// # Errors
/// When a manifest cannot be read.
pub(crate) fn faults(sources: &[Source], upward: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let mut unused: BTreeSet<&String> = upward.keys().collect();
    for source in sources {
        let Some(text) = &source.text else { continue };
        if source.path.ends_with("/Cargo.toml") {
            let manifest: toml::Table = text.parse().with_context(|| source.path.clone())?;
            faults.extend(manifest_faults(&source.path, &manifest, &mut unused, upward));
        }
        if source.path.starts_with("crates/") && !source.path.starts_with(MAY_READ_ENVIRONMENT) {
            faults.extend(environment_faults(&source.path, text));
        }
    }
    faults.extend(unused.iter().map(|edge| format!("xtask/tidy.toml: {edge} needs no exception")));
    Ok(faults)
}

fn manifest_faults(
    path: &str,
    manifest: &toml::Table,
    unused: &mut BTreeSet<&String>,
    upward: &BTreeMap<String, String>,
) -> Vec<String> {
    let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str())
    else {
        return vec![format!("{path}: has no package name")];
    };
    let Some(layer) = layer_of(name) else {
        return vec![format!(
            "{path}: {name} stands on no layer; add it to xtask/src/tidy/layers.rs"
        )];
    };
    let mut faults = Vec::new();
    for (dependency, for_tests) in dependencies(manifest) {
        let edge = format!("{name} -> {dependency}");
        if for_tests && upward.contains_key(&edge) {
            unused.remove(&edge);
        } else if let Some(fault) = dependency_fault(name, layer, &dependency, for_tests) {
            faults.push(format!("{path}: {fault}"));
        }
    }
    faults
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

/// Names in every table of dependencies, also those of one platform; whether only tests use them.
fn dependencies(manifest: &toml::Table) -> BTreeMap<String, bool> {
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let tables = platforms.into_iter().flat_map(|table| table.values());
    let tables = tables.filter_map(toml::Value::as_table).chain([manifest]);
    let mut names = BTreeMap::new();
    for table in tables {
        for (kind, for_tests) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            for name in table
                .get(kind)
                .and_then(toml::Value::as_table)
                .into_iter()
                .flat_map(toml::Table::keys)
            {
                names
                    .entry(name.clone())
                    .and_modify(|tests| *tests &= for_tests)
                    .or_insert(for_tests);
            }
        }
    }
    names
}

fn dependency_fault(name: &str, layer: usize, dependency: &str, for_tests: bool) -> Option<String> {
    if dependency == FOR_TESTS {
        return (!for_tests).then(|| format!("{FOR_TESTS} is for tests only"));
    }
    let reserved = RESERVED.iter().find(|(library, _)| *library == dependency);
    if let Some((_, users)) = reserved.filter(|(_, users)| !users.contains(&name)) {
        return Some(format!("only {} may depend on {dependency}", users.join(", ")));
    }
    let below = layer_of(dependency)?;
    if below >= layer {
        return Some(format!("{name} must not depend on {dependency}: not a lower layer"));
    }
    let (_, known) = NARROWER.iter().find(|(narrow, _)| *narrow == name)?;
    (!known.contains(&dependency))
        .then(|| format!("{name} may know of ours only {}", known.join(", ")))
}

fn environment_faults(path: &str, text: &str) -> Vec<String> {
    // Integration tests may look for what their runner tells them.
    if !path.ends_with(".rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let reads = |line: &str| ENVIRONMENT.iter().any(|call| line.contains(call));
    text.lines()
        .zip(1..)
        .filter(|(line, _)| reads(line))
        .map(|(_, number): (_, usize)| {
            format!("{path}:{number}: only crates/waypost reads the environment")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::faults;
    use crate::tidy::Source;

    fn faults_of(path: &str, text: &str) -> Vec<String> {
        faults_with(path, text, &[])
    }

    fn faults_with(path: &str, text: &str, upward: &[&str]) -> Vec<String> {
        let upward: BTreeMap<String, String> =
            upward.iter().map(|edge| ((*edge).to_owned(), "why".to_owned())).collect();
        let sources = [Source { path: path.to_owned(), text: Some(text.to_owned()) }];
        faults(&sources, &upward).unwrap()
    }

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    #[test]
    fn accepts_dependencies_that_point_down() {
        for (name, rest) in [
            ("waypost-engine", "[dependencies]\nwaypost-domain = \"1\"\nserde = \"1\"\n"),
            ("waypost-sandbox", "[dependencies]\nwaypost-clock = \"1\"\naxum = \"1\"\n"),
            ("waypost-store-sqlite", "[dev-dependencies]\nwaypost-store-testkit = \"1\"\n"),
            ("waypost", "[dependencies]\nwaypost-server = \"1\"\nwaypost-sandbox = \"1\"\n"),
        ] {
            assert_eq!(faults_of("crates/x/Cargo.toml", &manifest(name, rest)), [""; 0], "{name}");
        }
    }

    #[test]
    fn refuses_dependencies_that_do_not() {
        for (name, rest, complaint) in [
            ("waypost-domain", "[dependencies]\nwaypost-engine = \"1\"\n", "not a lower layer"),
            ("waypost-domain", "[dependencies]\nwaypost-clock = \"1\"\n", "not a lower layer"),
            ("waypost-engine", "[dev-dependencies]\nwaypost-egress = \"1\"\n", "not a lower layer"),
            (
                "waypost-upstream",
                "[build-dependencies]\nwaypost-egress = \"1\"\n",
                "not a lower layer",
            ),
            (
                "waypost-server",
                "[target.'cfg(unix)'.dependencies]\nwaypost = \"1\"\n",
                "not a lower layer",
            ),
            ("waypost-sandbox", "[dependencies]\nwaypost-domain = \"1\"\n", "only waypost-clock"),
            ("waypost-dialects", "[dependencies]\nwaypost-engine = \"1\"\n", "only waypost-domain"),
            (
                "waypost-store-sqlite",
                "[dependencies]\nwaypost-store-testkit = \"1\"\n",
                "for tests only",
            ),
            ("waypost-engine", "[dependencies]\nrusqlite = \"1\"\n", "only waypost-store-sqlite"),
            ("waypost-egress", "[dependencies]\naxum = \"1\"\n", "only waypost-server"),
            ("waypost-newcomer", "", "no layer"),
        ] {
            let faults = faults_of("crates/x/Cargo.toml", &manifest(name, rest));
            assert_eq!(faults.len(), 1, "{name}: {faults:?}");
            assert!(faults[0].contains(complaint), "{faults:?} should say {complaint}");
        }
    }

    #[test]
    fn an_exception_holds_for_tests_only_and_is_refused_when_unused() {
        let edge = ["waypost-engine -> waypost-egress"];
        let path = "crates/engine/Cargo.toml";
        for (table, faults) in
            [("[dev-dependencies]\n", 0), ("[dependencies]\n", 2), ("[dev-dependencies]\n#", 1)]
        {
            let text = manifest("waypost-engine", &format!("{table}waypost-egress = \"1\"\n"));
            assert_eq!(faults_with(path, &text, &edge).len(), faults, "{text}");
        }
    }

    #[test]
    fn only_the_composition_reads_the_environment() {
        let line = "let home = std::env::var(\"HOME\");";
        assert_eq!(faults_of("crates/engine/src/keys.rs", line).len(), 1);
        assert_eq!(faults_of("crates/waypost/src/config.rs", line), [""; 0]);
        assert_eq!(faults_of("crates/engine/tests/keys.rs", line), [""; 0]);
        assert_eq!(faults_of("xtask/src/main.rs", line), [""; 0]);
    }
}
