//! What the doctor sees on this machine: the disk, the database, the master key, the certificate's
//! files.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use waypost_domain::Timestamp;
use waypost_domain::directory::Sealed;
use waypost_engine::vault::Vault;
use waypost_store_sqlite::{Examined, OpenError};

use super::finding::Finding;
use crate::config::{Config, Demo, TlsFiles};
use crate::{data_dir, run, tls};

/// With less room, a warning.
const LOW_SPACE_BYTES: u64 = 1024 * 1024 * 1024;
/// With less room, the gateway will soon refuse messages.
const NO_SPACE_BYTES: u64 = 100 * 1024 * 1024;
const FOLDER: &str = "data folder";
const CERTIFICATE: &str = "certificate";
/// A certificate that ends sooner is warned of, in seconds: 14 days, by when it should long be renewed.
const SOON_S: i64 = 14 * 24 * 3_600;
/// Made and removed at once to see whether the folder can be written to.
const PROBE_FILE: &str = ".doctor-probe";

/// Looks at this machine.
pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![folder(&config.data_dir)];
    findings.extend(history(config));
    findings.extend(space(&config.data_dir));
    findings.extend(private(&config.data_dir, &config.master_key_file));
    findings.push(database_library());
    findings.push(database(&config.data_dir, &config.database_file));
    findings.push(master_key(config));
    if let Some(files) = &config.tls {
        findings.extend(certificate(files));
    }
    findings
}

fn certificate(files: &TlsFiles) -> Vec<Finding> {
    let remedy = "point tls.cert_file and tls.key_file to a chain and its key, both PEM";
    let fault =
        |(setting, problem)| Finding::fail(CERTIFICATE, format!("{setting}: {problem}"), remedy);
    let faults: Vec<_> = tls::faults(files).into_iter().map(fault).collect();
    if !faults.is_empty() {
        return faults;
    }
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
    vec![match tls::expires_at_s(files) {
        Ok(end_s) => judge_end(end_s, now_s.cast_signed(), &files.cert_file.display().to_string()),
        Err(error) => {
            Finding::warn(CERTIFICATE, format!("its end is not known: {error:#}"), remedy)
        }
    }]
}

fn judge_end(end_s: i64, now_s: i64, shown: &str) -> Finding {
    const REMEDY: &str = "renew it; the gateway takes up changed files by itself";
    let end = Timestamp(end_s.saturating_mul(1_000)).rfc3339();
    match end_s - now_s {
        ..=0 => Finding::fail(CERTIFICATE, format!("{shown} ended at {end}"), REMEDY),
        1..SOON_S => Finding::warn(CERTIFICATE, format!("{shown} ends at {end}"), REMEDY),
        _ => Finding::ok(CERTIFICATE, format!("{shown} and its key fit, until {end}")),
    }
}

fn folder(path: &Path) -> Finding {
    let shown = path.display();
    let remedy = "make room, or give the folder to the user who runs the gateway, or choose another with --data-dir";
    match probe(path) {
        Ok(()) => Finding::ok(FOLDER, format!("{shown} can be written to")),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.exists() => {
            match probe(existing(path)) {
                Ok(()) => Finding::ok(FOLDER, format!("{shown} will be made on the first start")),
                Err(error) => {
                    Finding::fail(FOLDER, format!("{shown} cannot be made: {error}"), remedy)
                }
            }
        }
        Err(error) => {
            Finding::fail(FOLDER, format!("{shown} cannot be written to: {error}"), remedy)
        }
    }
}

fn probe(folder: &Path) -> io::Result<()> {
    let file = folder.join(PROBE_FILE);
    fs::write(&file, b"x").and_then(|()| fs::remove_file(&file))
}

/// The nearest folder that exists: it has the file system that the data folder will be on.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|each| each.exists()).unwrap_or(Path::new("."))
}

/// What earlier starts and restores left that keeps from starting.
fn history(config: &Config) -> Option<Finding> {
    let forced = config.demo == Demo::Forced;
    let checked = data_dir::check_history(&config.data_dir, &config.upstream.target, forced);
    let remedy = "do what is said here, or choose another folder with --data-dir";
    checked.err().map(|error| Finding::fail(FOLDER, format!("{error:#}"), remedy))
}

fn space(path: &Path) -> Option<Finding> {
    let about = rustix::fs::statvfs(existing(path)).ok()?;
    Some(judge_space(about.f_bavail.saturating_mul(about.f_frsize)))
}

fn judge_space(free_bytes: u64) -> Finding {
    const CHECK: &str = "disk";
    let found = format!("{} MiB free", free_bytes / (1024 * 1024));
    let remedy = "make room, or move data_dir to a larger disk";
    match free_bytes {
        ..NO_SPACE_BYTES => Finding::fail(CHECK, found, remedy),
        NO_SPACE_BYTES..LOW_SPACE_BYTES => Finding::warn(CHECK, found, remedy),
        _ => Finding::ok(CHECK, found),
    }
}

fn private(folder: &Path, master_key_file: &Path) -> Vec<Finding> {
    let files = [folder.join("admin.env"), folder.join("demo.env"), master_key_file.to_owned()];
    let is_open = |path: &&std::path::PathBuf| {
        fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
    };
    let warn = |path: &std::path::PathBuf| {
        Finding::warn(
            "secrets",
            format!("others can read {}", path.display()),
            &format!("chmod 600 {}", path.display()),
        )
    };
    files.iter().filter(is_open).map(warn).collect()
}

fn database_library() -> Finding {
    const CHECK: &str = "SQLite";
    let version = waypost_store_sqlite::library_version();
    match waypost_store_sqlite::check_library_version() {
        Ok(()) => Finding::ok(CHECK, version),
        Err(error) => Finding::fail(CHECK, error.to_string(), "use a build of this release"),
    }
}

fn database(data_dir: &Path, file: &Path) -> Finding {
    const CHECK: &str = "database";
    let shown = file.display();
    match waypost_store_sqlite::examine(file) {
        Ok(Examined::Sound) => Finding::ok(CHECK, format!("{shown} is in order")),
        Ok(Examined::InUse) => Finding::ok(CHECK, format!("{shown} is open in a gateway")),
        Ok(Examined::Absent) if data_dir::was_used(data_dir) => Finding::fail(
            CHECK,
            format!("{shown} is missing or empty, and the data folder was used before"),
            "put it back together with its -wal file, or restore a backup (waypost restore)",
        ),
        Ok(Examined::Absent) => {
            Finding::ok(CHECK, format!("{shown} will be made on the first start"))
        }
        Err(error) => Finding::fail(CHECK, error.to_string(), database_remedy(&error)),
    }
}

fn database_remedy(error: &OpenError) -> &'static str {
    match error {
        OpenError::Folder { .. } => {
            "give it to the user who runs the gateway, and run waypost as that user"
        }
        OpenError::Foreign(_) => "leave that file as it is, and set database_url to another",
        OpenError::Newer { .. } => "install that version of waypost, or restore a backup",
        _ => "keep a copy of the folder as it is, and restore a backup (waypost restore)",
    }
}

fn master_key(config: &Config) -> Finding {
    const CHECK: &str = "master key";
    let shown = config.master_key_file.display();
    let fail = |found| {
        let remedy =
            "put the right file back from where you keep it, or name it by master_key_file";
        Finding::fail(CHECK, found, remedy)
    };
    let key = match data_dir::read_master_key(&config.master_key_file) {
        Ok(Some(key)) => key,
        Ok(None) if data_dir::was_used(&config.data_dir) => {
            return fail(format!("{shown} is missing, and the data folder was used before"));
        }
        Ok(None) => return Finding::ok(CHECK, format!("{shown} will be made on the first start")),
        Err(error) => return fail(format!("{error:#}")),
    };
    let sealed = waypost_store_sqlite::setting(&config.database_file, run::VAULT_CHECK);
    match sealed.map(|sealed| run::fits(&Vault::new(key), &Sealed(sealed))) {
        Some(true) => Finding::ok(CHECK, format!("{shown} opens what the database keeps sealed")),
        Some(false) => fail(format!("{shown} is not the one that the database was sealed with")),
        None => Finding::ok(CHECK, format!("{shown} is readable")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::doctor::finding::Grade;

    #[test]
    fn little_room_is_a_warning_and_almost_none_a_failure() {
        for (free_mib, grade) in [
            (0, Grade::Fail),
            (99, Grade::Fail),
            (100, Grade::Warn),
            (1_023, Grade::Warn),
            (1_024, Grade::Ok),
        ] {
            assert_eq!(judge_space(free_mib * 1024 * 1024).result, grade, "{free_mib} MiB");
        }
    }

    #[test]
    fn a_certificate_near_its_end_is_a_warning_and_an_ended_one_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let day_s = 24 * 3_600;
        for (ends_in_s, grade) in [
            (-day_s, Grade::Fail),
            (day_s, Grade::Warn),
            (13 * day_s, Grade::Warn),
            (15 * day_s, Grade::Ok),
        ] {
            let mut wanted = CertificateParams::new(["wa.example.com".to_owned()]).unwrap();
            let today_s = UNIX_EPOCH.elapsed().unwrap().as_secs().cast_signed();
            let end_s = (today_s + ends_in_s).cast_unsigned();
            wanted.not_after = (UNIX_EPOCH + Duration::from_secs(end_s)).into();
            let key = KeyPair::generate().unwrap();
            let made = wanted.self_signed(&key).unwrap();
            let files = TlsFiles {
                cert_file: root.path().join("cert.pem"),
                key_file: root.path().join("key.pem"),
            };
            fs::write(&files.cert_file, pem("CERTIFICATE", made.der())).unwrap();
            fs::write(&files.key_file, pem("PRIVATE KEY", &key.serialize_der())).unwrap();
            let found = certificate(&files);
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].result, grade, "{found:?}");
        }
    }

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[test]
    fn the_data_folder_is_tried_and_left_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(folder(root.path()).result, Grade::Ok);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let missing = root.path().join("missing");
        assert!(folder(&missing).found.contains("will be made"));
        assert!(!missing.exists());
        // Nobody can make a folder there, root included.
        let refused = folder(Path::new("/proc/missing/waypost"));
        assert_eq!(refused.result, Grade::Fail);
        assert!(refused.found.contains("cannot be made"), "{}", refused.found);
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(folder(&file).result, Grade::Fail);
    }

    #[test]
    fn a_database_that_no_gateway_can_start_on_is_a_failure() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("waypost.db");
        assert_eq!(database(root.path(), &file).result, Grade::Ok);
        fs::write(root.path().join("upstream-kind"), "real\n").unwrap();
        assert_eq!(database(root.path(), &file).result, Grade::Fail);
        drop(waypost_store_sqlite::SqliteStore::open(&file, &Default::default()).unwrap());
        assert_eq!(database(root.path(), &file).result, Grade::Ok);
        fs::write(&file, "no database".repeat(1_000)).unwrap();
        let found = database(root.path(), &file);
        assert_eq!(found.result, Grade::Fail);
        assert!(found.found.contains("is damaged"), "{}", found.found);
    }

    #[test]
    fn files_with_secrets_that_others_can_read_are_told() {
        let root = tempfile::tempdir().unwrap();
        let key = root.path().join("master.key");
        for (mode, count) in [(0o600, 0), (0o640, 1), (0o604, 1)] {
            fs::write(&key, "").unwrap();
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(private(root.path(), &key).len(), count, "{mode:o}");
        }
    }
}
