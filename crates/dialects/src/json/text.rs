//! A JSON string as it was written, decoded only as far as somebody looks.

use std::borrow::Cow;
use std::convert::Infallible;

use memchr::{memchr, memchr2};

use super::scan::hex4;

/// How many bytes of a string stand from here to its end or to its next escape.
pub(super) fn plain_run(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    memchr2(b'"', b'\\', rest).unwrap_or(rest.len())
}

/// The inside of a JSON string, escapes and all.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    raw: &'a str,
}

impl<'a> Text<'a> {
    /// `raw` stood between quotes in a text that was checked.
    pub(super) const fn of_valid(raw: &'a str) -> Self {
        Self { raw }
    }

    /// How long it is as written, in bytes; never less than when decoded.
    #[must_use]
    pub const fn written_bytes(self) -> usize {
        self.raw.len()
    }

    fn has_escape(self) -> bool {
        memchr(b'\\', self.raw.as_bytes()).is_some()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Whether it is empty or all white space.
    #[must_use]
    pub fn is_blank(self) -> bool {
        self.chars().all(char::is_whitespace)
    }

    /// Whether it says this name, which holds no backslash.
    #[must_use]
    pub fn is(self, name: &str) -> bool {
        debug_assert!(!name.contains('\\'), "{name}");
        let (own, others) = (self.raw.as_bytes(), name.as_bytes());
        if own.len() <= others.len() {
            return own == others;
        }
        // Only with escapes is it longer than what it says. Most names differ in their first letter.
        let may_begin_alike = own.first() == others.first() || own.first() == Some(&b'\\');
        may_begin_alike && self.has_escape() && self.chars().eq(name.chars())
    }

    /// Whether it has more code points than `max`.
    #[must_use]
    pub fn is_longer_than(self, max: usize) -> bool {
        self.raw.len() > max && self.chars().nth(max).is_some()
    }

    /// Its characters, decoded one by one.
    #[must_use]
    pub const fn chars(self) -> Chars<'a> {
        Chars { rest: self.raw }
    }

    /// Hands over what it says piece by piece: whole runs without escapes, and each escaped
    /// character by itself.
    ///
    /// # Errors
    /// The first that `sink` returns.
    pub fn pieces<E>(self, mut sink: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
        let mut rest = self.raw;
        while let Some(run) = rest.find('\\') {
            let (plain, escaped) = rest.split_at(run);
            if !plain.is_empty() {
                sink(plain)?;
            }
            let mut chars = Chars { rest: escaped };
            let Some(char) = chars.next() else { break };
            sink(char.encode_utf8(&mut [0; 4]))?;
            rest = chars.rest;
        }
        if rest.is_empty() { Ok(()) } else { sink(rest) }
    }

    /// What it says; borrowed from the body where nothing in it is escaped.
    #[must_use]
    pub fn decoded(self) -> Cow<'a, str> {
        if !self.has_escape() {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let Ok(()) = self.pieces(|piece| {
            text.push_str(piece);
            Ok::<(), Infallible>(())
        });
        Cow::Owned(text)
    }

    /// What it says, unless it holds U+0000, which neither WhatsApp nor every store can carry. Only
    /// escaped can that stand in JSON.
    #[must_use]
    pub fn without_nul(self) -> Option<Cow<'a, str>> {
        match self.decoded() {
            Cow::Owned(text) if text.contains('\0') => None,
            text => Some(text),
        }
    }
}

/// The characters of a [`Text`].
#[derive(Clone)]
pub struct Chars<'a> {
    rest: &'a str,
}

impl<'a> Chars<'a> {
    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> Text<'a> {
        Text { raw: self.rest }
    }

    /// The character that an escape stands for, and how many bytes the escape has. The text was
    /// checked, so that the replacement character never shows.
    fn escaped(&self) -> (char, usize) {
        let bytes = self.rest.as_bytes();
        let unit = |from: usize| bytes.get(from..from + 4).and_then(hex4);
        match bytes.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{C}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => match (unit(2), unit(8)) {
                (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                    let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                (code, _) => {
                    let char = code.and_then(char::from_u32);
                    (char.unwrap_or(char::REPLACEMENT_CHARACTER), 6)
                }
            },
            Some(byte) => (char::from(*byte), 2),
            None => (char::REPLACEMENT_CHARACTER, 1),
        }
    }
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next()?;
        if first != '\\' {
            self.rest = chars.as_str();
            return Some(first);
        }
        let (char, len) = self.escaped();
        self.rest = self.rest.get(len..).unwrap_or_default();
        Some(char)
    }
}
