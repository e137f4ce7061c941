//! The inside of an array or object that was found valid, value by value. Checks nothing again.

use std::ops::Range;

use super::Node;
use super::contents::Entry;
use super::text::plain_run;

/// What has not been read.
pub(super) enum Rest<'a> {
    /// The entries that are left.
    Listed(&'a [Entry<'a>]),
    /// What stands behind this offset. Where a value ends must be looked for.
    Written { text: &'a str, at: usize },
}

impl<'a> Rest<'a> {
    /// What stands inside the brackets of a value.
    pub(super) const fn inside(node: Node<'a>) -> Self {
        match node.inside {
            // Nothing is in it, or nothing was kept.
            [] => Self::Written { text: node.text, at: 1 },
            entries => Self::Listed(entries),
        }
    }

    /// The next value, which may be a member's key.
    pub(super) fn next_value(&mut self) -> Option<Node<'a>> {
        match self {
            Self::Listed(entries) => {
                let (first, behind) = entries.split_first()?;
                let (inside, rest) = behind.split_at(first.inside);
                *entries = rest;
                Some(Node { text: first.text, inside })
            }
            Self::Written { text, at } => {
                let value = find_value(text, *at)?;
                *at = value.end;
                // Nothing is as long as the closing bracket.
                let value = text.get(value).filter(|value| !value.is_empty())?;
                Some(Node { text: value, inside: &[] })
            }
        }
    }
}

/// Where the next value stands.
fn find_value(text: &str, from: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut start = from;
    while is_between(*bytes.get(start)?) {
        start += 1;
    }
    Some(start..value_end(bytes, start))
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
