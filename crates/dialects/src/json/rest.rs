//! The inside of an array or object that was found valid, value by value. Looks for where values
//! end, and checks nothing again.

use super::text::plain_run;

/// What has not been read.
pub(super) struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    /// What stands behind an opening bracket.
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next value as it is written, which may be a member's key.
    pub(super) fn next_value(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let mut start = self.at;
        while is_between(*bytes.get(start)?) {
            start += 1;
        }
        self.at = value_end(bytes, start);
        // Nothing is as long as the closing bracket.
        self.text.get(start..self.at).filter(|value| !value.is_empty())
    }
}

/// What stands between values.
const fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b':')
}

/// Where the value ends that begins here.
fn value_end(bytes: &[u8], start: usize) -> usize {
    match bytes[start] {
        b'"' => string_end(bytes, start),
        b'{' | b'[' => brackets_end(bytes, start),
        _ => {
            let is_end = |byte: &u8| is_between(*byte) || matches!(byte, b'}' | b']');
            let length = bytes[start..].iter().position(is_end);
            length.map_or(bytes.len(), |length| start + length)
        }
    }
}

/// Behind the closing quote of the string whose opening quote stands here.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    loop {
        at += plain_run(bytes, at);
        if bytes.get(at) != Some(&b'\\') {
            return bytes.len().min(at + 1);
        }
        // Whatever is escaped, the byte behind the backslash ends nothing.
        at += 2;
    }
}

/// Behind the closing bracket of the array or object whose opening one stands here.
fn brackets_end(bytes: &[u8], start: usize) -> usize {
    /// By what an opening and a closing bracket of either kind differ from their mates.
    const CASE: u8 = b'{' ^ b'[';
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'"' {
            at = string_end(bytes, at);
            continue;
        }
        at += 1;
        // Without a branch for each kind: which one comes next cannot be foreseen.
        depth += usize::from(byte | CASE == b'{');
        depth -= usize::from(byte | CASE == b'}');
        if depth == 0 {
            break;
        }
    }
    at
}
