//! The programs that tests need besides the Rust toolchain: which are there, and how they are installed on Debian.
//!
//! Installs with `apt-get` as root or through password-less sudo only; elsewhere it says what is missing.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::shell::{self, Repository};

/// One program, how to see that it is fit for use, and the Debian packages that bring it.
struct Tool {
    name: &'static str,
    purpose: &'static str,
    /// Command that succeeds when the tool is there.
    probe: &'static [&'static str],
    /// Major version that its answer to the probe must reach.
    major_min: Option<u32>,
    packages: &'static [&'static str],
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "chromium",
        purpose: "tests of the pages",
        probe: &["chromium", "--version"],
        major_min: None,
        packages: &["chromium"],
    },
    Tool {
        name: "node 18 or newer",
        purpose: "drives Chromium, runs client libraries and JavaScript samples",
        probe: &["node", "--version"],
        major_min: Some(18),
        packages: &["nodejs"],
    },
    Tool {
        name: "npm",
        purpose: "installs the driver of Chromium and client libraries",
        probe: &["npm", "--version"],
        major_min: None,
        packages: &["npm"],
    },
    Tool {
        name: "curl",
        purpose: "runs the documents' commands as written",
        probe: &["curl", "--version"],
        major_min: None,
        packages: &["curl"],
    },
    Tool {
        name: "python3 with requests",
        purpose: "runs the documents' Python samples as written",
        probe: &["python3", "-c", "import requests"],
        major_min: None,
        packages: &["python3", "python3-requests"],
    },
    Tool {
        name: "a JDK 17 or newer",
        purpose: "compiles and runs the documents' Java samples as written",
        probe: &["javac", "--version"],
        major_min: Some(17),
        packages: &["default-jdk-headless"],
    },
    Tool {
        name: "OkHttp",
        purpose: "what the documents' Java samples call",
        probe: &["test", "-f", "/usr/share/java/okhttp.jar"],
        major_min: None,
        packages: &["libokhttp-java"],
    },
    Tool {
        name: "strace",
        purpose: "sees, records and breaks system calls",
        probe: &["strace", "--version"],
        major_min: None,
        packages: &["strace"],
    },
    Tool {
        name: "util-linux",
        purpose: "mounts small disks that only a test sees",
        probe: &["unshare", "--map-root-user", "--mount", "nsenter", "--version"],
        major_min: None,
        packages: &["util-linux"],
    },
];

/// Sees to it that every tool is there.
///
/// # Errors
/// When something is missing and cannot be installed; names all of it.
pub(crate) fn provide(repository: &Repository) -> Result<String> {
    let missing = missing(repository);
    if missing.is_empty() {
        return Ok(format!("all {} tools are there", TOOLS.len()));
    }
    if let Some(prefix) = installer(repository) {
        install(repository, prefix, &missing)?;
    }
    let still_missing = self::missing(repository);
    if still_missing.is_empty() {
        return Ok(format!("installed {}", names(&missing)));
    }
    for tool in &still_missing {
        eprintln!("missing: {} ({})", tool.name, tool.purpose);
    }
    let packages: Vec<&str> =
        still_missing.iter().flat_map(|tool| tool.packages).copied().collect();
    bail!("install what is missing; on Debian: apt-get install {}", packages.join(" "))
}

fn missing(repository: &Repository) -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| !is_fit(repository, tool)).collect()
}

fn is_fit(repository: &Repository, tool: &Tool) -> bool {
    let Some((program, args)) = tool.probe.split_first() else { return false };
    let Some(answer) = shell::output(&mut repository.command(program, args)) else { return false };
    tool.major_min.is_none_or(|min| major_version(&answer).is_some_and(|major| major >= min))
}

/// The first number of an answer such as `v20.1.0`.
fn major_version(answer: &str) -> Option<u32> {
    let digits = answer.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

/// What stands before `apt-get` for it to be allowed; `None` where we may not install.
fn installer(repository: &Repository) -> Option<&'static [&'static str]> {
    if !Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    let user = shell::output(&mut repository.command("id", &["-u"]))?;
    if user.trim() == "0" {
        return Some(&[]);
    }
    shell::output(&mut repository.command("sudo", &["-n", "true"])).map(|_| &["sudo", "-n"][..])
}

/// One tool after the other: some packages bring two of them and refuse the other's own package.
fn install(repository: &Repository, prefix: &[&str], tools: &[&Tool]) -> Result<()> {
    let apt = |action: &[&str], packages: &[&str]| {
        let env = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
        let words: Vec<&str> = [prefix, &env, action, packages].concat();
        let (program, args) = words.split_first().context("a command has a first word")?;
        shell::run(&mut repository.command(program, args))
    };
    apt(&["update", "--quiet"], &[])?;
    for tool in tools {
        if !is_fit(repository, tool) {
            apt(&["install", "--yes", "--quiet", "--no-install-recommends"], tool.packages)?;
        }
    }
    Ok(())
}

fn names(tools: &[&Tool]) -> String {
    tools.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn reads_the_major_version_of_an_answer() {
        for (answer, major) in [
            ("v20.20.2\n", Some(20)),
            ("9.2.0", Some(9)),
            ("javac 17.0.15", Some(17)),
            ("strace -- version 6.1", Some(6)),
            ("", None),
            ("none", None),
        ] {
            assert_eq!(major_version(answer), major, "{answer:?}");
        }
    }
}
