//! What happened in a sequence, line by line, and its digest: two runs of one plan have the same.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Lines that are kept for people; all of them count for the digest.
const MAX_LINES: usize = 5_000;

/// A sequence's trace.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Vec<String>,
    digest: Sha256,
}

impl Trace {
    pub(crate) fn note(&mut self, at_ms: u64, line: &str) {
        let line = format!("{at_ms:>9} {line}");
        self.digest.update(line.as_bytes());
        self.digest.update(b"\n");
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The first 16 hex digits of the SHA-256 of all lines.
    #[must_use]
    pub fn digest(&self) -> String {
        short_hex(&self.digest.clone().finalize())
    }
}

/// The digest of several digests, in order.
#[must_use]
pub(crate) fn digest_of<'a>(digests: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = Sha256::new();
    for digest in digests {
        all.update(digest.as_bytes());
    }
    short_hex(&all.finalize())
}

fn short_hex(bytes: &[u8]) -> String {
    bytes.iter().take(8).fold(String::with_capacity(16), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
