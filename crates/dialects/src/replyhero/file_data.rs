//! Reading `file.data`. The vendor says "bytes in string" and no more, so seven spellings are
//! tried in a fixed order, and the bytes' own signature decides between those that can be read.
//!
//! Memory: the body is read in place and one reading is held at a time, of which no more is kept
//! than the kind of file may have; the rest is counted only. Not here: what the bytes mean.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use waypost_domain::media::MimeType;

use super::media_type;
use crate::json::{Chars, Node, Text, Type};

/// How far into a data URI its comma may stand, in characters.
const MAX_DATA_URI_HEADER_CHARS: usize = 256;
/// Fewer values than this are no list of bytes but some text with digits.
const MIN_LISTED_BYTES: u64 = 4;
/// From so many letters on, a string that is base64 throughout is taken for nothing else.
const MIN_ENCODED_LETTERS: usize = 64;
/// How much base64 is decoded at a time; a multiple of four.
const BASE64_CHUNK: usize = 4_096;

/// A file's bytes.
pub(super) struct FileData {
    /// At most as many as the kind of file may have.
    pub(super) bytes: Vec<u8>,
    /// How many there were.
    pub(super) size: u64,
    limit: usize,
    expected: usize,
}

/// The ways of spelling bytes, in the order in which they are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    /// `[137,80,…]` or `{"type":"Buffer","data":[…]}`
    JsonArray,
    /// `data:image/png;base64,…`
    DataUri,
    /// `b'\x89PNG…'`
    PythonBytes,
    /// `"137,80,78,71"` or `"[137, 80, 78, 71]"`
    List,
    /// Standard or URL-safe, padded or not, with blanks anywhere.
    Base64,
    /// One character for each byte.
    Latin1,
    /// The text itself is the file.
    PlainText,
}

const SPELLINGS: [Spelling; 7] = [
    Spelling::JsonArray,
    Spelling::DataUri,
    Spelling::PythonBytes,
    Spelling::List,
    Spelling::Base64,
    Spelling::Latin1,
    Spelling::PlainText,
];

/// The bytes that `node` spells: by the first reading that shows a type of the declared kind, or
/// else by the first that can be made at all. `None` where none can, or where it gives no bytes.
pub(super) fn read(node: Node<'_>, declared: &MimeType) -> Option<FileData> {
    let mut first = None;
    for spelling in SPELLINGS {
        if spelling == Spelling::PlainText && declared.as_str() != "text/plain" {
            continue;
        }
        if spelling == Spelling::Latin1 && first == Some(Spelling::Base64) && is_long(node) {
            // Base64 letters are readable text as well. A long string of nothing else is an
            // encoded file whose type shows no signature, such as a text in Windows-1252.
            break;
        }
        let Some(data) = spelling.read(node, declared) else { continue };
        if data.size == 0 {
            return None;
        }
        if media_type::is_shown_by(declared, &data.bytes, data.is_whole()) {
            return Some(data);
        }
        // Made again at the end if it is needed, so that only one reading is in memory.
        first = first.or(Some(spelling));
    }
    first.and_then(|spelling| spelling.read(node, declared))
}

fn is_long(node: Node<'_>) -> bool {
    node.string().is_some_and(|text| text.written_bytes() >= MIN_ENCODED_LETTERS)
}

impl Spelling {
    fn read(self, node: Node<'_>, declared: &MimeType) -> Option<FileData> {
        let limit = usize::try_from(declared.kind().max_bytes()).unwrap_or(usize::MAX);
        if self == Self::JsonArray {
            return json_array(node, FileData::new(limit, 0));
        }
        let text = node.string()?;
        let written = text.written_bytes();
        let data = |expected| FileData::new(limit, expected);
        match self {
            Self::JsonArray => None,
            Self::DataUri => data_uri(text, data(written / 4 * 3)),
            Self::PythonBytes => python_bytes(text, data(written)),
            Self::List => list(text, data(written / 2)),
            Self::Base64 => base64(text, data(written / 4 * 3 + 3)),
            Self::Latin1 => latin1(text, data(written)),
            Self::PlainText => {
                let mut data = data(written);
                text.pieces(|piece| {
                    data.extend(piece.as_bytes());
                    Ok::<(), Infallible>(())
                })
                .ok()?;
                Some(data)
            }
        }
    }
}

impl FileData {
    /// Nothing yet: at most `limit` bytes are kept, and room for `expected` is made with the first.
    const fn new(limit: usize, expected: usize) -> Self {
        Self { bytes: Vec::new(), size: 0, limit, expected }
    }

    /// Whether nothing had to be left out.
    pub(super) fn is_whole(&self) -> bool {
        u64::try_from(self.bytes.len()).is_ok_and(|len| len == self.size)
    }

    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.size == 0 {
            self.bytes.reserve(self.expected.min(self.limit));
        }
        let room = self.limit - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.size += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
}

fn json_array(node: Node<'_>, mut data: FileData) -> Option<FileData> {
    let array = match node.kind() {
        Type::Array => node,
        Type::Object => {
            let [kind, array] = node.pick(["type", "data"]);
            kind?.string().filter(|kind| kind.is("Buffer"))?;
            array?
        }
        _ => return None,
    };
    for element in array.elements()? {
        data.push(element.number()?.parse().ok()?);
    }
    Some(data)
}

fn data_uri(text: Text<'_>, data: FileData) -> Option<FileData> {
    let mut chars = text.chars();
    let header: String =
        chars.by_ref().take(MAX_DATA_URI_HEADER_CHARS).take_while(|char| *char != ',').collect();
    let header = header.to_ascii_lowercase();
    if !(header.starts_with("data:") && header.ends_with(";base64")) {
        return None;
    }
    base64(chars.rest(), data)
}

/// What Python's `str(bytes)` and `repr(bytes)` give.
fn python_bytes(text: Text<'_>, mut data: FileData) -> Option<FileData> {
    let mut chars = text.chars();
    let quote = match (chars.next(), chars.next()) {
        (Some('b'), Some(quote @ ('\'' | '"'))) => quote,
        _ => return None,
    };
    loop {
        match chars.next()? {
            '\\' => data.push(python_escape(&mut chars)?),
            char if char == quote => return chars.next().is_none().then_some(data),
            char => data.push(u8::try_from(char).ok().filter(u8::is_ascii)?),
        }
    }
}

fn python_escape(chars: &mut Chars<'_>) -> Option<u8> {
    Some(match chars.next()? {
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        quoted @ ('\\' | '\'' | '"') => u8::try_from(quoted).ok()?,
        'x' => {
            let digits = [chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?];
            u8::try_from(digits[0] * 16 + digits[1]).ok()?
        }
        _ => return None,
    })
}

/// Decimal values with commas between them, with or without brackets around all of them.
fn list(text: Text<'_>, mut data: FileData) -> Option<FileData> {
    let mut chars = text.chars().skip_while(char::is_ascii_whitespace).peekable();
    let bracketed = chars.next_if_eq(&'[').is_some();
    loop {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        let mut value = chars.next()?.to_digit(10)?;
        while let Some(digit) = chars.peek().and_then(|char| char.to_digit(10)) {
            value = value.saturating_mul(10).saturating_add(digit);
            chars.next();
        }
        data.push(u8::try_from(value).ok()?);
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        match chars.next() {
            Some(',') => {}
            Some(']') if bracketed => break,
            None if !bracketed => break,
            _ => return None,
        }
    }
    let ends = chars.all(|char| char.is_ascii_whitespace());
    (ends && data.size >= MIN_LISTED_BYTES).then_some(data)
}

fn latin1(text: Text<'_>, mut data: FileData) -> Option<FileData> {
    for char in text.chars() {
        data.push(u8::try_from(char).ok()?);
    }
    Some(data)
}

fn base64(text: Text<'_>, data: FileData) -> Option<FileData> {
    let mut reader =
        Base64Reader { chunk: [0; BASE64_CHUNK], filled: 0, letters: 0, pads: 0, data };
    text.pieces(|piece| reader.take_all(piece.as_bytes()).ok_or(())).ok()?;
    reader.finish()
}

/// Decodes base64 in chunks, so that alphabets and blanks are made equal without a copy of it all.
struct Base64Reader {
    chunk: [u8; BASE64_CHUNK],
    filled: usize,
    letters: u64,
    pads: u64,
    data: FileData,
}

impl Base64Reader {
    fn take_all(&mut self, mut text: &[u8]) -> Option<()> {
        while let Some((chunk, rest)) = text.split_at_checked(BASE64_CHUNK) {
            if !self.take_letters(chunk) {
                chunk.iter().try_for_each(|byte| self.take(*byte))?;
            }
            text = rest;
        }
        text.iter().try_for_each(|byte| self.take(*byte))
    }

    /// A whole chunk that is nothing but letters of the standard alphabet, as most of a file is:
    /// decoded where it stands. `false` where it is not, or not at a chunk's beginning.
    fn take_letters(&mut self, chunk: &[u8]) -> bool {
        let is_taken = self.filled == 0 && decode_into(&mut self.data, chunk).is_some();
        if is_taken {
            self.letters += chunk.len() as u64;
        }
        is_taken
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let letter = match byte {
            b'-' => b'+',
            b'_' => b'/',
            b'+' | b'/' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => byte,
            b'=' => {
                self.pads += 1;
                return Some(());
            }
            b' ' | b'\t' | b'\r' | b'\n' | 0x0B | 0x0C => return Some(()),
            _ => return None,
        };
        if self.pads > 0 {
            return None;
        }
        self.chunk[self.filled] = letter;
        self.filled += 1;
        self.letters += 1;
        if self.filled == BASE64_CHUNK { self.decode() } else { Some(()) }
    }

    fn decode(&mut self) -> Option<()> {
        decode_into(&mut self.data, &self.chunk[..self.filled])?;
        self.filled = 0;
        Some(())
    }

    fn finish(mut self) -> Option<FileData> {
        let padded =
            self.pads == 0 || (self.pads <= 2 && (self.letters + self.pads).is_multiple_of(4));
        if !padded {
            return None;
        }
        self.decode()?;
        Some(self.data)
    }
}

/// Decodes letters of the standard alphabet, a chunk of them at most.
fn decode_into(data: &mut FileData, letters: &[u8]) -> Option<()> {
    let mut bytes = [0; BASE64_CHUNK / 4 * 3 + 3];
    let len = STANDARD_NO_PAD.decode_slice(letters, &mut bytes).ok()?;
    data.extend(&bytes[..len]);
    Some(())
}
