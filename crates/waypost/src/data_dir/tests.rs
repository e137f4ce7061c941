//! Tests of the data folder on a real file system.

use std::os::unix::fs::PermissionsExt as _;

use url::Url;

use super::*;

fn real() -> UpstreamTarget {
    UpstreamTarget::Real(Url::parse("https://graph.facebook.com").unwrap())
}

fn open(path: &Path) -> anyhow::Result<DataDir> {
    DataDir::open(path, &UpstreamTarget::Sandbox, false)
}

/// One start that makes everything and ends.
fn start(path: &Path, target: &UpstreamTarget, demo_forced: bool) -> anyhow::Result<()> {
    DataDir::open(path, target, demo_forced)?.finish_first_start()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn everything_is_for_the_owner_only() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("deep/waypost-data");
    let folder = open(&path).unwrap();
    let key_file = path.join("master.key");
    folder.master_key(&key_file).unwrap();
    folder
        .write_variables(ADMIN_ENV, "For clients.", &[("WAYPOST_URL", "http://[::1]:1")])
        .unwrap();
    folder.write_variables(DEMO_ENV, "For the demo.", &[]).unwrap();
    folder.finish_first_start().unwrap();

    assert_eq!(mode(&path), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["admin.env", "demo.env", "master.key", "upstream-kind", "waypost.lock"]);
}

#[test]
fn a_file_with_wider_rights_is_narrowed_when_it_is_written_again() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path()).unwrap();
    for name in [ADMIN_ENV, ".admin.env.new"] {
        let file = root.path().join(name);
        fs::write(&file, "WAYPOST_ADMIN_KEY=old\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }
    folder.write_variables(ADMIN_ENV, "For clients.", &[]).unwrap();
    assert_eq!(mode(&root.path().join(ADMIN_ENV)), 0o600);
    assert!(!root.path().join(".admin.env.new").exists());
}

#[test]
fn the_master_key_is_made_once_and_read_back() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("master.key");
    let first = open(root.path()).unwrap();
    assert!(first.is_first_start());
    let key = first.master_key(&file).unwrap();
    assert_ne!(key, [0; MASTER_KEY_BYTES]);
    drop(first);

    let after_an_interruption = open(root.path()).unwrap();
    assert!(after_an_interruption.is_first_start());
    assert_eq!(after_an_interruption.master_key(&file).unwrap(), key);
    after_an_interruption.finish_first_start().unwrap();
    drop(after_an_interruption);

    let later = open(root.path()).unwrap();
    assert!(!later.is_first_start());
    assert_eq!(later.master_key(&file).unwrap(), key);
}

#[test]
fn a_missing_or_damaged_master_key_is_never_replaced() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("master.key");
    start(root.path(), &UpstreamTarget::Sandbox, false).unwrap();
    let folder = open(root.path()).unwrap();
    let error = format!("{:#}", folder.master_key(&file).unwrap_err());
    assert!(error.contains("Restore it from your backup"), "{error}");
    assert!(!file.exists());

    for damaged in ["", "00", &"zz".repeat(32), &"ab".repeat(33)] {
        fs::write(&file, damaged).unwrap();
        let error = format!("{:#}", folder.master_key(&file).unwrap_err());
        assert!(error.contains("64 hexadecimal digits"), "{damaged}: {error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), damaged);
    }
}

#[test]
fn only_a_first_start_may_make_the_database() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("waypost.db");
    let require = || open(root.path()).unwrap().require_database(&file);
    require().unwrap();
    fs::write(&file, "").unwrap();
    // The first start was interrupted before anything was in it.
    require().unwrap();
    start(root.path(), &UpstreamTarget::Sandbox, false).unwrap();
    let error = require().unwrap_err().to_string();
    assert!(error.contains("waypost.db") && error.contains("`waypost restore`"), "{error}");
    assert_eq!(error.lines().count(), 1);
    fs::remove_file(&file).unwrap();
    assert_eq!(require().unwrap_err().to_string(), error);
    fs::write(&file, "something").unwrap();
    require().unwrap();
}

#[test]
fn a_second_holder_is_refused_with_the_process_of_the_first() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    let error = format!("{:#}", open(root.path()).unwrap_err());
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    assert_eq!(error.lines().count(), 1);
    drop(first);
    open(root.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_told_in_one_line() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = format!("{:#}", open(&file.join("below")).unwrap_err());
    assert!(error.starts_with("cannot make the data folder"), "{error}");
    assert_eq!(error.lines().count(), 1);
    let error = format!("{:#}", open(&file).unwrap_err());
    assert!(error.ends_with("is a file"), "{error}");

    let folder = root.path().join("folder");
    fs::create_dir_all(folder.join(LOCK_FILE)).unwrap();
    let error = format!("{:#}", open(&folder).unwrap_err());
    assert!(error.starts_with("cannot write to the data folder"), "{error}");
}

#[test]
fn a_folder_changes_its_kind_of_upstream_only_when_the_demo_is_asked_for() {
    for (made_with, started_with) in
        [(UpstreamTarget::Sandbox, real()), (real(), UpstreamTarget::Sandbox)]
    {
        let root = tempfile::tempdir().unwrap();
        start(root.path(), &made_with, false).unwrap();
        let error = start(root.path(), &started_with, false).unwrap_err().to_string();
        assert!(error.contains("--demo"), "{error}");
        start(root.path(), &started_with, true).unwrap();
        // Asking once does not change what the folder was made with.
        assert!(start(root.path(), &started_with, false).is_err());
        start(root.path(), &made_with, false).unwrap();
    }
}

#[test]
fn variables_are_read_back_as_a_shell_reads_them() {
    let root = tempfile::tempdir().unwrap();
    let folder = open(root.path()).unwrap();
    let pairs = [
        ("WAYPOST_URL", "http://127.0.0.1:8080"),
        ("WAYPOST_ADMIN_KEY", "wp_test_0123"),
        ("WAYPOST_JOIN_CODE", "it's $HOME `id` \"x\""),
        ("WAYPOST_APP_ID", ""),
    ];
    folder.write_variables(DEMO_ENV, "Read me.", &pairs).unwrap();
    let read = folder.read_variables(DEMO_ENV).unwrap().unwrap();
    assert_eq!(read.len(), pairs.len());
    for (key, value) in pairs {
        assert_eq!(read[key], value);
        let script = format!(". {}/demo.env; printf %s \"${key}\"", root.path().display());
        let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), value);
    }
    assert_eq!(folder.read_variables(ADMIN_ENV).unwrap(), None);
}
