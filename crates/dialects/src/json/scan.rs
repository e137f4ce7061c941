//! Finds where JSON values end, and that they are valid. Copies nothing and builds nothing.

use waypost_planted::{Bug, is_planted};

/// The deepest nesting of arrays and objects that is read. No vendor's request needs ten.
pub const MAX_DEPTH: usize = 32;

/// Why a text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Offset in bytes.
    pub(super) at: usize,
    /// What was found or missed there.
    pub(super) problem: &'static str,
}

/// A place in a text.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// One value with nothing but blanks around it.
    pub(super) fn document(&mut self) -> Result<(), Fault> {
        self.skip_blanks();
        self.value(0)?;
        self.skip_blanks();
        if self.at == self.bytes.len() || is_planted(Bug::TailIgnored) {
            Ok(())
        } else {
            self.fault("unexpected text after the end")
        }
    }

    /// One value, `depth` arrays and objects deep.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            _ => self.scalar(),
        }
    }

    /// Goes past blanks, commas and colons. Only for texts known to be valid, where they stand
    /// between values and nowhere else.
    pub(super) fn skip_separators(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n' | b',' | b':')) {
            self.at += 1;
        }
    }

    /// Goes past one value. Only for texts known to be valid: brackets outside of strings are
    /// counted, and nothing is checked. A fault where no value comes next.
    pub(super) fn skip_valid(&mut self) -> Result<(), Fault> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':' | b' ' | b'\t' | b'\r' | b'\n') if depth > 0 => self.at += 1,
                _ => self.scalar()?,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => self.fault("expected a value"),
            None => self.fault("the text ends where a value is expected"),
        }
    }

    /// A string with its quotes.
    pub(super) fn string(&mut self) -> Result<(), Fault> {
        self.expect(b'"', "expected a string in double quotes")?;
        loop {
            self.at += plain_run(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(_) => {
                    return self.fault("a control character inside a string must be escaped");
                }
                None => return self.fault("the text ends inside a string"),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.open(depth)?;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            self.string()?;
            self.skip_blanks();
            self.expect(b':', "expected a colon after the key")?;
            self.skip_blanks();
            self.value(depth + 1)?;
            if self.closes(b'}') {
                return Ok(());
            }
            self.expect(b',', "expected a comma or the end of the object")?;
            self.skip_blanks();
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.open(depth)?;
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.closes(b']') {
                return Ok(());
            }
            self.expect(b',', "expected a comma or the end of the array")?;
            self.skip_blanks();
        }
    }

    /// Goes past an opening bracket.
    fn open(&mut self, depth: usize) -> Result<(), Fault> {
        if depth >= MAX_DEPTH {
            return self.fault("nesting deeper than 32 levels");
        }
        self.at += 1;
        self.skip_blanks();
        Ok(())
    }

    /// Goes past a closing bracket, if it comes next.
    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_blanks();
        let closes = self.peek() == Some(bracket);
        self.at += usize::from(closes);
        closes
    }

    /// An escape in a string. Surrogates must come in pairs: half of one is no character.
    fn escape(&mut self) -> Result<(), Fault> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.unicode_escape()? {
                0xD800..=0xDBFF => {
                    let paired = self.bytes[self.at..].starts_with(b"\\u");
                    self.at += usize::from(paired);
                    match paired.then(|| self.unicode_escape()).transpose()? {
                        Some(0xDC00..=0xDFFF) => Ok(()),
                        _ => self.fault("half of a surrogate pair"),
                    }
                }
                0xDC00..=0xDFFF => self.fault("half of a surrogate pair"),
                _ => Ok(()),
            },
            _ => self.fault("unknown escape in a string"),
        }
    }

    /// `uXXXX`, standing on the `u`.
    fn unicode_escape(&mut self) -> Result<u32, Fault> {
        let digits = self.bytes.get(self.at + 1..self.at + 5);
        let code = digits.and_then(hex4);
        let Some(code) = code else {
            return self.fault("\\u must be followed by four hexadecimal digits");
        };
        self.at += 5;
        Ok(code)
    }

    fn number(&mut self) -> Result<(), Fault> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let rest = &self.bytes[self.at..];
        let run = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if run == 0 {
            return self.fault("expected a digit");
        }
        self.at += run;
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fault("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8, problem: &'static str) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return self.fault(problem);
        }
        self.at += 1;
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn fault<T>(&self, problem: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, problem })
    }
}

/// How many bytes stand before the next one that means something inside a string.
fn plain_run(bytes: &[u8]) -> usize {
    const LANES: usize = 32;
    let special = |byte: &u8| (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
    // Most strings are names, and end within their first word.
    let first = bytes.first_chunk().and_then(|word| first_special(u64::from_le_bytes(*word)));
    if let Some(at) = first {
        return at;
    }
    // Files fill most of a large body: whole blocks without a branch for each byte are ten times
    // as fast.
    let is_plain = |block: &&[u8]| !block.iter().fold(false, |hit, byte| hit | special(byte));
    let blocks = bytes.chunks_exact(LANES).take_while(is_plain).count() * LANES;
    let (words, rest) = bytes[blocks..].as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        if let Some(at) = first_special(u64::from_le_bytes(*word)) {
            return blocks + index * 8 + at;
        }
    }
    let rest_at = bytes.len() - rest.len();
    rest_at + rest.iter().position(special).unwrap_or(rest.len())
}

/// The first byte of eight, the lowest one first, that means something inside a string.
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x80 * ONES;
    // A byte's high bit where that byte is below the bound, right up to the first such byte.
    let below = |word: u64, bound: u64| word.wrapping_sub(bound * ONES) & !word & HIGHS;
    let is = |byte: u8| below(word ^ (u64::from(byte) * ONES), 1);
    let hits = is(b'"') | is(b'\\') | below(word, 0x20);
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

/// Four hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for special in [b'"', b'\\', 0, 0x1F] {
            for at in 0..100 {
                let mut text = vec![b'a'; 100];
                // Neighbours that differ from a special byte in one bit only.
                text.iter_mut().enumerate().for_each(|(place, byte)| {
                    *byte = [b'a', 0x20, b'#', b'!', b']', 0x80 | b'"', 0xFF, 0x80][place % 8];
                });
                text[at] = special;
                text[99] = special;
                assert_eq!(plain_run(&text), at.min(99), "{special} at {at}");
            }
        }
        assert_eq!(plain_run(b""), 0);
        assert_eq!(plain_run(&[b'a'; 77]), 77);
    }
}
