//! A machine's wall clock that a test sets under a running gateway: a library of ours, loaded before
//! the gateway's own, shifts what it sees. Time that passes stays as it is.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use waypost_tests::{Options, binary};

/// The wall clock of one gateway.
pub(crate) struct WallClock {
    library: PathBuf,
    shift: PathBuf,
}

impl WallClock {
    /// One that is right, with its files in `folder`.
    pub(crate) fn build(folder: &Path) -> Self {
        let library = folder.join("wall_clock.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&library)
            .arg(binary::workspace().join("tests/tests/clock/wall_clock.c"))
            .status()
            .expect("what compiles SQLite is there");
        assert!(built.success(), "the library was not built");
        let clock = Self { library, shift: folder.join("wall_clock.shift") };
        clock.set(0);
        clock
    }

    /// Has a gateway see it.
    pub(crate) fn seen_by(&self, options: Options) -> Options {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let options = options.env("LD_PRELOAD", &text(&self.library));
        options.env("WALL_CLOCK_SHIFT", &text(&self.shift))
    }

    /// Sets it so many seconds before or after the right hour, at once.
    pub(crate) fn set(&self, shift_s: i64) {
        // In place: who has mapped the file must see it.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.shift);
        let file = file.expect("the folder can be written to");
        file.write_all_at(&shift_s.to_ne_bytes(), 0).expect("the folder can be written to");
    }
}
