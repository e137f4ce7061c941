//! `cargo xtask new-dialect NAME`: a folder with everything that a dialect has, and its line in the
//! registry. It compiles and its tests pass; what the vendor does is then written into it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::shell::{self, Repository};

const FILES: [(&str, &str); 7] = [
    ("mod.rs", include_str!("../skeleton/mod.rs.txt")),
    ("wire.rs", include_str!("../skeleton/wire.rs.txt")),
    ("decode.rs", include_str!("../skeleton/decode.rs.txt")),
    ("encode.rs", include_str!("../skeleton/encode.rs.txt")),
    ("errors.rs", include_str!("../skeleton/errors.rs.txt")),
    ("samples.rs", include_str!("../skeleton/samples.rs.txt")),
    ("tests.rs", include_str!("../skeleton/tests.rs.txt")),
];

/// Makes the dialect in the clone.
///
/// # Errors
/// A name that cannot be a module's, or one that is there already.
pub(crate) fn run(repository: &Repository, id: &str) -> Result<()> {
    let dialects = repository.root.join("crates/dialects");
    make(&dialects, id)?;
    let mut fmt = repository.cargo(&["fmt", "--package", "waypost-dialects"]);
    shell::run(&mut fmt)?;
    let update = "support_matrix";
    let mut matrix =
        repository.cargo(&["test", "--quiet", "--package", "waypost-dialects", "--test", update]);
    shell::run(matrix.env("WAYPOST_UPDATE_DOCS", "1"))?;
    println!("made crates/dialects/src/{id}/ and its line in registry.rs; next:");
    println!("  cargo test --package waypost-dialects {id}");
    println!("  write the vendor's words into wire.rs, then decode.rs, errors.rs, encode.rs");
    Ok(())
}

/// What a dialect is compiled with.
const COPIED: [&str; 3] = ["crates/domain", "crates/planted", "crates/dialects"];

/// Makes a dialect in a copy of the clone and runs its tests there: the skeleton keeps up with the
/// contract.
///
/// # Errors
/// What does not compile, or which test fails.
pub(crate) fn check(repository: &Repository) -> Result<String> {
    let copy = tempfile::tempdir().context("a folder for the copy")?;
    for part in ["Cargo.toml", "Cargo.lock", "rustfmt.toml", "clippy.toml"] {
        std::fs::copy(repository.root.join(part), copy.path().join(part))?;
    }
    for part in COPIED {
        copy_folder(&repository.root.join(part), &copy.path().join(part))?;
    }
    std::fs::create_dir_all(copy.path().join("docs"))?;
    let matrix = "docs/dialects.md";
    std::fs::copy(repository.root.join(matrix), copy.path().join(matrix))?;
    narrow_workspace(&copy.path().join("Cargo.toml"))?;
    make(&copy.path().join("crates/dialects"), "acme")?;
    let mut tests = repository.cargo(&["test", "--quiet", "--package", "waypost-dialects"]);
    in_copy(&mut tests, copy.path(), &repository.target);
    shell::run(tests.env("WAYPOST_UPDATE_DOCS", "1"))?;
    Ok("a new dialect compiles and passes its tests".to_owned())
}

fn in_copy(command: &mut Command, copy: &Path, target: &Path) {
    // A folder of its own: what is built from the copy must not be taken for the clone's.
    command.current_dir(copy).env("CARGO_TARGET_DIR", target.join("skeleton"));
}

/// Leaves the crates that were copied.
fn narrow_workspace(manifest: &Path) -> Result<()> {
    let text = std::fs::read_to_string(manifest)?;
    let mut table: toml::Table = text.parse()?;
    let workspace = table.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let workspace = workspace.context("the root manifest has a workspace")?;
    let members = COPIED.map(toml::Value::from).to_vec();
    workspace.insert("members".to_owned(), toml::Value::Array(members.clone()));
    workspace.insert("default-members".to_owned(), toml::Value::Array(members));
    std::fs::write(manifest, table.to_string())?;
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_folder(&source, &target)?;
        } else {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// Writes the folder and the two lines that name it.
fn make(dialects: &Path, id: &str) -> Result<()> {
    let is_word = id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    let begins_well = id.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    ensure!(is_word && begins_well, "a dialect's name has lower-case letters, digits and `_`");
    let folder: PathBuf = dialects.join("src").join(id);
    if folder.exists() {
        bail!("{} is there already", folder.display());
    }
    let name = type_name(id);
    std::fs::create_dir_all(&folder)?;
    for (file, text) in FILES {
        let text =
            text.replace("__ID__", id).replace("__TYPE__", &name).replace("__TITLE__", &title(id));
        std::fs::write(folder.join(file), text)?;
    }
    let module = format!("pub mod {id};\n");
    insert(&dialects.join("src/lib.rs"), "pub mod registry;\n", &module)?;
    let registry = dialects.join("src/registry.rs");
    let import = format!("use crate::{id}::{name};\n");
    insert(&registry, "use crate::contract::Dialect;\n", &import)?;
    let entry = format!("\n    &{name},");
    insert(&registry, "pub static DIALECTS: &[&dyn Dialect] = &[", &entry)
}

/// Puts `text` behind the only place where `mark` stands.
fn insert(file: &Path, mark: &str, text: &str) -> Result<()> {
    let before = std::fs::read_to_string(file)?;
    let (head, tail) = before
        .split_once(mark)
        .with_context(|| format!("{} has no line `{}`", file.display(), mark.trim()))?;
    std::fs::write(file, format!("{head}{mark}{text}{tail}"))?;
    Ok(())
}

/// `acme_two` → `AcmeTwo`.
fn type_name(id: &str) -> String {
    id.split('_').map(capitalised).collect()
}

/// `acme_two` → `Acme Two`.
fn title(id: &str) -> String {
    id.split('_').map(capitalised).collect::<Vec<_>>().join(" ")
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_types_and_titles() {
        for (id, name, shown) in [("acme", "Acme", "Acme"), ("acme_two", "AcmeTwo", "Acme Two")] {
            assert_eq!((type_name(id).as_str(), title(id).as_str()), (name, shown));
        }
    }

    #[test]
    fn a_name_that_is_no_module_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for id in ["", "Acme", "1acme", "ac-me", "../acme"] {
            assert!(make(folder.path(), id).is_err(), "{id}");
        }
    }
}
