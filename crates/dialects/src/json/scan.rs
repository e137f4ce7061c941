//! Whether a text is JSON, and what stands where in it. Copies nothing.

use waypost_planted::{Bug, is_planted};

use super::contents::{Contents, Entry};
use super::text::plain_run;

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
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Whether control characters stand anywhere, be it line breaks between values.
    has_controls: bool,
    contents: Contents<'a>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let has_controls = has_controls(bytes);
        Self { text, bytes, at: 0, has_controls, contents: Contents::new() }
    }

    /// One value with nothing but blanks around it. Gives what stands in it, itself first.
    pub(super) fn document(mut self) -> Result<Vec<Entry<'a>>, Fault> {
        self.skip_blanks();
        self.value(0)?;
        self.skip_blanks();
        if self.at == self.bytes.len() || is_planted(Bug::TailIgnored) {
            Ok(self.contents.into_entries())
        } else {
            self.fault("unexpected text after the end")
        }
    }

    /// One value, `depth` arrays and objects deep.
    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        let (place, start) = (self.contents.open(), self.at);
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            _ => self.scalar(),
        }?;
        self.contents.close(place, &self.text[start..self.at]);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Fault> {
        let (place, start) = (self.contents.open(), self.at);
        self.string()?;
        self.contents.close(place, &self.text[start..self.at]);
        Ok(())
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
    fn string(&mut self) -> Result<(), Fault> {
        self.expect(b'"', "expected a string in double quotes")?;
        loop {
            let run = plain_run(self.bytes, self.at);
            if self.has_controls {
                self.find_no_control(run)?;
            }
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => self.escape()?,
                None => return self.fault("the text ends inside a string"),
            }
        }
    }

    /// Looks at the next bytes of a string.
    fn find_no_control(&mut self, run: usize) -> Result<(), Fault> {
        let run = &self.bytes[self.at..self.at + run];
        if !has_controls(run) {
            return Ok(());
        }
        self.at += run.iter().position(is_control).unwrap_or_default();
        self.fault("a control character inside a string must be escaped")
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.open(depth)?;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            self.key()?;
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

const fn is_control(byte: &u8) -> bool {
    *byte < 0x20
}

/// Without a way out in the middle it looks at many bytes at a time, and files are long.
fn has_controls(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |any, byte| any | is_control(byte))
}

/// Four hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_character_is_found_wherever_it_stands_in_a_string() {
        for control in [0, 0x1F, b'\n'] {
            for at in 1..100 {
                let mut text = vec![b' '; 101];
                (text[0], text[100]) = (b'"', b'"');
                assert!(Scanner::new(str::from_utf8(&text).unwrap()).document().is_ok());
                text[at] = control;
                let fault = Scanner::new(str::from_utf8(&text).unwrap()).document().err().unwrap();
                assert_eq!(fault.at, at, "{control}");
            }
        }
    }
}
