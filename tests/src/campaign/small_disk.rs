//! A disk of a few megabytes that nobody else sees: a tmpfs in a mount namespace of its own, which also
//! an ordinary user may make. It ends with this value.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Mounts and then only waits, so that the namespace lives on while gateways come and go.
const HOLD: &str =
    r#"mount -t tmpfs -o size="$1" tmpfs "$0" && echo mounted && exec sleep infinity"#;
/// What a filler is written in, in bytes: the smallest first step of the database.
const FILL_BYTES: usize = 4_096;

/// The disk.
pub struct SmallDisk {
    holder: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one at `path`.
    ///
    /// # Panics
    /// Where the system lets nobody have a namespace.
    #[must_use]
    pub fn at(path: &Path, megabytes: u32) -> Self {
        std::fs::create_dir_all(path).expect("a folder can be made");
        let mut holder = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", HOLD])
            .arg(path)
            .arg(format!("{megabytes}m"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux is installed");
        let mut said = String::new();
        let output = holder.stdout.take().expect("its output is piped");
        drop(BufReader::new(output).read_line(&mut said));
        assert_eq!(said, "mounted\n", "user namespaces and tmpfs are needed for a small disk");
        Self { holder, path: path.to_owned() }
    }

    /// What starts a program that sees it.
    #[must_use]
    pub fn through(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &target]
            .map(str::to_owned)
            .to_vec()
    }

    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.path.strip_prefix("/").unwrap_or(&self.path)).join("filler")
    }

    /// Fills it to the last block.
    ///
    /// # Panics
    /// Where it cannot be written at all.
    pub fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).expect("a filler can be made");
        let block = [0x5A; FILL_BYTES];
        while filler.write_all(&block).is_ok() {}
    }

    /// Makes the room free again.
    ///
    /// # Panics
    /// Where the filler has gone.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("the filler is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
