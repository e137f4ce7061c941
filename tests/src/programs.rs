//! Runs the samples that need more than a shell: Java with OkHttp, JavaScript with axios. Where a
//! toolchain is missing, the test is skipped aloud, unless `WAYPOST_TEST_TOOLS=required` says that
//! it must be there (as under `cargo xtask test`, which installs it).

use std::path::{Path, PathBuf};
use std::process::Output;

use tokio::process::Command;

use crate::binary::workspace;
use crate::shell::{complaints, run};

/// Where Debian's `libokhttp-java` puts its archives.
const JARS: [&str; 2] = ["/usr/share/java/okhttp.jar", "/usr/share/java/okio.jar"];
/// The program around a Java sample, and the line that the sample replaces.
const JAVA: &str = include_str!("../clients/java/Sample.java");
const PLACE: &str = "// THE SAMPLE";

/// Compiles and runs the statements of a Java sample, in `folder`; it prints the status and the
/// answer. `None` where Java or OkHttp is missing and need not be there.
///
/// # Panics
/// Where either is missing and must be there, or the sample does not compile.
pub async fn java(folder: &Path, sample: &str) -> Option<Output> {
    let is_there = has("javac", "--version").await
        && has("java", "--version").await
        && JARS.iter().all(|jar| Path::new(jar).exists());
    if !is_there {
        return skip("Java with OkHttp (apt-get install default-jdk-headless libokhttp-java)");
    }
    let program = JAVA.replace(PLACE, sample);
    std::fs::write(folder.join("Sample.java"), program).expect("the folder can be written to");
    let class_path = format!("{}:.", JARS.join(":"));
    let mut compiler = Command::new("javac");
    let compiled =
        run(compiler.args(["-cp", &class_path, "Sample.java"]).current_dir(folder)).await;
    assert!(compiled.status.success(), "{}", complaints(&compiled));
    let mut program = Command::new("java");
    Some(run(program.args(["-cp", &class_path, "Sample"]).current_dir(folder)).await)
}

/// Runs a JavaScript sample that requires axios, in `folder`. `None` where node or axios is missing
/// and need not be there.
///
/// # Panics
/// Where either is missing and must be there.
pub async fn javascript(folder: &Path, sample: &str) -> Option<Output> {
    let modules: PathBuf = workspace().join("tests/clients/javascript/node_modules");
    if !has("node", "--version").await || !modules.join("axios/package.json").exists() {
        return skip("node with axios (npm ci in tests/clients/javascript)");
    }
    std::fs::write(folder.join("sample.js"), sample).expect("the folder can be written to");
    let mut node = Command::new("node");
    Some(run(node.arg("sample.js").env("NODE_PATH", modules).current_dir(folder)).await)
}

async fn has(program: &str, version: &str) -> bool {
    let asked = Command::new(program).arg(version).kill_on_drop(true).output().await;
    asked.is_ok_and(|output| output.status.success())
}

fn skip(missing: &str) -> Option<Output> {
    let required = std::env::var("WAYPOST_TEST_TOOLS").is_ok_and(|value| value == "required");
    assert!(!required, "missing: {missing}");
    eprintln!("SKIPPED: there is no {missing}");
    None
}
