//! A borrowed reader of JSON, shared by the dialects.
//!
//! [`parse`] checks a whole body once (syntax, UTF-8, depth) and copies nothing; a [`Node`] of the
//! [`Document`] is a piece of that text, opened when it is asked for. So a file of 100 MB inside a body costs no
//! memory until its bytes are decoded, a million unknown members cost nothing at all, and numbers
//! keep the text in which they were written (an id of 20 digits survives).
//!
//! Strict where JSON is strict: no comments, bare words, trailing commas, `NaN` or lone surrogates.
//! Lenient where the vendors are: a byte-order mark is skipped, of duplicate keys the last wins.
//!
//! [`Field`] and [`Object`] carry the path by which errors name a field; [`canonical()`] writes
//! the form that idempotency compares. Not here: building JSON (serde does that) and any vendor's
//! field names.

mod canonical;
mod contents;
mod field;
mod rest;
mod scan;
mod text;

use std::fmt;

use waypost_domain::{ErrorKind, Failure};

pub use canonical::{MAX_SORTED_MEMBERS, canonical};
use contents::Entry;
pub use field::{Field, Object};
use rest::Rest;
pub use scan::MAX_DEPTH;
use scan::Scanner;
pub use text::{Chars, Text};

/// A body that [`parse`] found valid.
pub struct Document<'a> {
    /// Without surrounding blanks.
    text: &'a str,
    entries: Vec<Entry<'a>>,
}

/// One JSON value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Node<'a> {
    /// The value's text without surrounding blanks; never empty.
    text: &'a str,
    /// The document's entries that stand inside it; none where the document keeps none.
    inside: &'a [Entry<'a>],
}

/// A JSON value by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "JSON's words")]
pub enum Type {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    /// The type with its article, for messages.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Checks a whole body.
///
/// # Errors
/// [`ErrorKind::InvalidJson`]: empty, not UTF-8, not JSON, or nested deeper than [`MAX_DEPTH`]. The
/// message says what was expected and where.
pub fn parse(body: &[u8]) -> Result<Document<'_>, Failure> {
    let invalid = |problem: String| Failure::new(ErrorKind::InvalidJson, problem);
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        invalid(format!("The body is not UTF-8 text: byte {at} does not belong to a character."))
    })?;
    if text.trim_ascii().is_empty() {
        return Err(invalid("The body is empty; send a JSON object.".to_owned()));
    }
    let entries = Scanner::new(text).document().map_err(|fault| {
        let (line, column) = position(&body[..fault.at.min(body.len())]);
        invalid(format!(
            "The body is not valid JSON: {} at line {line}, column {column}.",
            fault.problem
        ))
    })?;
    Ok(Document { text: text.trim_ascii(), entries })
}

impl Document<'_> {
    /// Its value.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node { text: self.text, inside: self.entries.get(1..).unwrap_or_default() }
    }
}

/// Line and column, from 1, of the byte after `before`.
fn position(before: &[u8]) -> (usize, usize) {
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

impl<'a> Node<'a> {
    /// Its JSON text, as it was written.
    #[must_use]
    pub const fn written(self) -> &'a str {
        self.text
    }

    /// Its JSON type.
    #[must_use]
    pub fn kind(self) -> Type {
        match self.text.as_bytes().first() {
            Some(b'n') => Type::Null,
            Some(b't' | b'f') => Type::Boolean,
            Some(b'"') => Type::String,
            Some(b'[') => Type::Array,
            Some(b'{') => Type::Object,
            _ => Type::Number,
        }
    }

    /// A number as it was written.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        (self.kind() == Type::Number).then_some(self.text)
    }

    /// A string, still as it was written.
    #[must_use]
    pub fn string(self) -> Option<Text<'a>> {
        let raw = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(Text::of_valid(raw))
    }

    /// An array's elements, read one by one.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        (self.kind() == Type::Array).then(|| Elements { rest: Rest::inside(self) })
    }

    /// Whether it is an array without elements.
    #[must_use]
    pub fn is_empty_array(self) -> bool {
        self.elements().is_some_and(|mut elements| elements.next().is_none())
    }

    /// An object's members in the order in which they were written, duplicates included.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        (self.kind() == Type::Object).then(|| Members { rest: Rest::inside(self) })
    }

    /// The named members of an object in one pass, the last of each name. All absent where the
    /// value is no object.
    #[must_use]
    pub fn pick<const N: usize>(self, names: [&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        let Some(members) = self.members() else { return found };
        for (key, value) in members {
            if let Some(at) = names.iter().position(|name| key.is(name)) {
                found[at] = Some(value);
            }
        }
        found
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root().fmt(f)
    }
}

/// Shows type and length; the text may be a message to somebody.
impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind(), self.text.len())
    }
}

/// The elements of an array.
pub struct Elements<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Node<'a>;

    fn next(&mut self) -> Option<Node<'a>> {
        self.rest.next_value()
    }
}

/// The members of an object.
pub struct Members<'a> {
    rest: Rest<'a>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Node<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.rest.next_value()?.string()?;
        Some((key, self.rest.next_value()?))
    }
}

#[cfg(test)]
mod tests;
