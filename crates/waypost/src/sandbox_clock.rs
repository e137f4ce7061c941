//! The clock of the built-in sandbox and the gateway beside it, over restarts and restores: how far it
//! was advanced stands in a file, because messages and windows are kept with its hours. Not for a real
//! upstream, and not for the sandbox alone, which keeps nothing.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use waypost_clock::Clock;

use crate::data_dir::{make_folder, read_small, write_private};

/// How far the clock is ahead of the machine's, in milliseconds.
const FILE: &str = "clock-ahead-ms";

/// The clock as it was left. An advance is on the disk before it is answered.
///
/// # Errors
/// The folder cannot be made, or what is in the file is not of ours.
pub(crate) fn open(folder: &Path) -> anyhow::Result<Clock> {
    make_folder(folder)?;
    let file = folder.join(FILE);
    let ahead_ms = match read_small(&file)? {
        None => 0,
        Some(text) => read_ahead_ms(&text).with_context(|| {
            format!(
                "{} does not say how far the sandbox's clock was advanced: it holds whole \
                 milliseconds. Remove it to go on with the machine's hour",
                file.display()
            )
        })?,
    };
    Ok(Clock::kept(ahead_ms, move |ahead_ms| {
        // Whoever moves the clock waits for the disk, on any kind of runtime: it is a few bytes, and
        // seldom.
        if let Err(error) = write_ahead_ms(&file, ahead_ms) {
            tracing::error!("the sandbox's clock goes back at the next start: {error:#}");
        }
    }))
}

/// Lets the clock of a folder begin at `hour_ms` (Unix milliseconds), where the machine's hour is not
/// later: what is in the folder was written until then.
///
/// # Errors
/// Not writable.
pub(crate) fn begin_at(folder: &Path, hour_ms: i64) -> anyhow::Result<()> {
    make_folder(folder)?;
    let ahead_ms = hour_ms.saturating_sub(Clock::system().now_ms()).max(0);
    write_ahead_ms(&folder.join(FILE), ahead_ms)
}

fn write_ahead_ms(file: &Path, ahead_ms: i64) -> anyhow::Result<()> {
    write_private(file, format!("{ahead_ms}\n").as_bytes())
}

fn read_ahead_ms(text: &str) -> anyhow::Result<i64> {
    let ahead_ms: i64 = text.trim().parse()?;
    if ahead_ms < 0 { Err(anyhow!("negative")) } else { Ok(ahead_ms) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    /// Whole hours that a clock is ahead of the machine's.
    fn ahead_h(clock: &Clock) -> i64 {
        (clock.now_ms() - Clock::system().now_ms() + HOUR_MS / 2) / HOUR_MS
    }

    #[test]
    fn the_clock_goes_on_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("data/sandbox");
        for begins_h in [0, 25, 50] {
            let clock = open(&folder).unwrap();
            assert_eq!(ahead_h(&clock), begins_h);
            clock.advance(Duration::from_secs(20 * 3_600));
            clock.advance(Duration::from_secs(5 * 3_600));
        }
    }

    #[tokio::test]
    async fn a_clock_is_moved_on_a_runtime_of_one_thread_too() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).unwrap().advance(Duration::from_secs(25 * 3_600));
        assert_eq!(ahead_h(&open(folder.path()).unwrap()), 25);
    }

    #[test]
    fn a_restored_clock_begins_at_the_hour_of_the_backup_or_at_the_machines() {
        for (taken_h, begins_h) in [(-30, 0), (0, 0), (30, 30)] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().join("data/sandbox");
            let taken_ms = Clock::system().now_ms() + taken_h * HOUR_MS;
            begin_at(&folder, taken_ms).unwrap();
            let clock = open(&folder).unwrap();
            assert_eq!(ahead_h(&clock), begins_h, "taken at {taken_h} h");
            assert!(clock.now_ms() >= taken_ms, "nothing in the folder is of a later hour");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        for text in ["", "tomorrow", "1.5", "-1", "99999999999999999999"] {
            std::fs::write(&file, text).unwrap();
            let error = open(folder.path()).unwrap_err();
            assert!(format!("{error:#}").contains(FILE), "{text}: {error:#}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "it is left alone");
        }
    }
}
