//! What commands print on standard output. A reader that has had enough (`| head`) ends the
//! command as it ends every other: silently, by the status of a broken pipe. Nor can a text of
//! strangers steer the terminal, once it is made [`printable`].

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};
use std::process::exit;

/// The status with which shells tell that a program was ended by a broken pipe.
const BROKEN_PIPE: i32 = 128 + 13;

/// Prints a line. Does not return where nobody reads it, or it cannot be written.
pub(crate) fn say(line: impl Display) {
    let Err(error) = writeln!(std::io::stdout().lock(), "{line}") else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        exit(BROKEN_PIPE);
    }
    eprintln!("error: standard output: {error}");
    exit(1);
}

/// Text without characters that steer a terminal, but for line ends.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|char| if char.is_control() && char != '\n' { '?' } else { char }).collect()
}
