//! Phone numbers: full international numbers as digits, the only form WhatsApp addresses.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The digits of an international phone number, without `+`. E.164 allows at most 15 digits;
/// the shortest numbers in use have 7 with their country code.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Phone(String);

/// What is wrong with a text that should be a phone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// Something other than digits and the usual separators.
    #[error("a phone number has digits, and may have +, blanks, dots, hyphens and parentheses")]
    Character,
    /// Fewer than 7 or more than 15 digits.
    #[error("a full international phone number has 7 to 15 digits, country code first")]
    Length,
    /// Country codes never begin with 0: the text is a national number.
    #[error("a full international phone number begins with its country code, which is never 0")]
    Country,
}

impl Phone {
    /// Reads a number as people write it: `+1 (555) 000-1111`, `0015550001111` or `15550001111`.
    ///
    /// # Errors
    /// Says whether the characters, the number of digits or the country code is wrong.
    pub fn parse(text: &str) -> Result<Self, PhoneError> {
        let text = text.trim();
        let (plus, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut digits = String::with_capacity(15);
        for char in rest.chars() {
            match char {
                '0'..='9' => digits.push(char),
                ' ' | '\u{a0}' | '-' | '.' | '(' | ')' | '/' => {}
                _ => return Err(PhoneError::Character),
            }
        }
        let digits = match digits.strip_prefix("00") {
            Some(international) if !plus => international.to_owned(),
            _ => digits,
        };
        if digits.starts_with('0') {
            return Err(PhoneError::Country);
        }
        if !(7..=15).contains(&digits.len()) {
            return Err(PhoneError::Length);
        }
        Ok(Self(digits))
    }

    /// Reads a business-scoped user id such as `US.1349a`, by which Meta names people who show no
    /// number: two letters, a point and up to 128 letters and digits, `ENT.` before them for a
    /// parent's id.
    #[must_use]
    pub fn business_scoped(text: &str) -> Option<Self> {
        let text = text.trim();
        let (country, id) = text.split_once('.')?;
        let id = id.strip_prefix("ENT.").unwrap_or(id);
        let is_country = country.len() == 2 && country.bytes().all(|it| it.is_ascii_uppercase());
        let is_id =
            (1..=128).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_alphanumeric());
        (is_country && is_id).then(|| Self(text.to_owned()))
    }

    /// Nobody: stands in the record of a message whose receiver could not be read.
    #[must_use]
    pub const fn nobody() -> Self {
        Self(String::new())
    }

    /// Whether it is a business-scoped user id rather than a number.
    #[must_use]
    pub fn is_business_scoped(&self) -> bool {
        self.0.contains('.')
    }

    /// The digits, as the dialects return them; a business-scoped id as it is.
    #[must_use]
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// With the leading `+` that Meta asks for.
    #[must_use]
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }

    /// For logs: all but the last four digits hidden.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = self.0.len().saturating_sub(4);
        format!("…{}", &self.0[shown..])
    }
}

/// Masked: a phone number that slips into a log line by `{:?}` must not be readable there.
impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_as_people_write_them() {
        for text in [
            "15550001111",
            "+15550001111",
            "+1 (555) 000-1111",
            "001 555 000 1111",
            " 1.555.000.1111 ",
        ] {
            assert_eq!(Phone::parse(text).unwrap().digits(), "15550001111", "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_international_number() {
        for (text, error) in [
            ("", PhoneError::Length),
            ("+", PhoneError::Length),
            ("555000", PhoneError::Length),
            ("1555000111122223", PhoneError::Length),
            ("0550001111", PhoneError::Country),
            ("+0015550001111", PhoneError::Country),
            ("1555000111a", PhoneError::Character),
            ("1555+0001111", PhoneError::Character),
            ("cust-1001", PhoneError::Character),
        ] {
            assert_eq!(Phone::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn reads_business_scoped_ids() {
        for (text, good) in [
            ("US.1349abc", true),
            ("US.ENT.118", true),
            ("us.1349", false),
            ("US.", false),
            ("US.13 49", false),
            ("1.555.000.1111", false),
        ] {
            assert_eq!(Phone::business_scoped(text).is_some(), good, "{text}");
        }
        assert!(Phone::business_scoped("US.1349").is_some_and(|it| it.is_business_scoped()));
        assert!(!Phone::parse("15550001111").unwrap().is_business_scoped());
    }

    #[test]
    fn debug_output_hides_the_number() {
        assert_eq!(format!("{:?}", Phone::parse("15550001111").unwrap()), "…1111");
    }
}
