//! The form of Waypost's own API keys: a prefix that tells live from test, a public id, a secret
//! and a checksum with which a mistyped key is told without a look-up.
//!
//! `wp_live_` or `wp_test_`, 12 characters id, 43 characters secret (32 bytes), 6 characters
//! CRC-32 of all before it. Base 62 throughout.

/// Characters of the id: 71 bits.
pub const ID_CHARS: usize = 12;
/// Characters of the secret: 256 bits.
pub const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Builds a key's text from random bytes. `live` tells whether it is for a real upstream.
#[must_use]
pub fn compose(live: bool, id: [u8; 9], secret: [u8; 32]) -> KeyText {
    let prefix = if live { "wp_live_" } else { "wp_test_" };
    let id = base62(&id, ID_CHARS);
    let body = format!("{prefix}{id}{}", base62(&secret, SECRET_CHARS));
    let check = checksum(&body);
    KeyText { text: format!("{body}{check}"), id }
}

/// A key as it is shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText {
    /// The whole text.
    pub text: String,
    /// Its public part.
    pub id: String,
}

/// Whether a text has the form and the checksum of one of our keys. `None` where it does not even
/// claim to be one (an imported secret may look like anything).
#[must_use]
pub fn is_well_formed(text: &str) -> Option<bool> {
    let rest = text.strip_prefix("wp_live_").or_else(|| text.strip_prefix("wp_test_"))?;
    let length_fits = rest.len() == ID_CHARS + SECRET_CHARS + CHECK_CHARS;
    if !length_fits || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(false);
    }
    let (body, check) = text.split_at(text.len() - CHECK_CHARS);
    Some(checksum(body) == check)
}

fn checksum(body: &str) -> String {
    base62(&crc32(body.as_bytes()).to_be_bytes(), CHECK_CHARS)
}

/// Big-endian bytes as exactly `width` base-62 digits.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = remainder * 256 + u32::from(*byte);
            // A quotient of a value below 62 * 256 by 62 is below 256.
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        *digit = DIGITS[remainder as usize];
    }
    digits.into_iter().map(char::from).collect()
}

/// CRC-32 (IEEE), bit by bit: keys are short and made seldom.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> KeyText {
        compose(false, [7; 9], std::array::from_fn(|place| u8::try_from(place).unwrap() * 7))
    }

    #[test]
    fn crc_matches_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_key_has_its_form() {
        let key = sample();
        assert_eq!(key.text.len(), 8 + ID_CHARS + SECRET_CHARS + CHECK_CHARS);
        assert!(key.text.starts_with(&format!("wp_test_{}", key.id)));
        assert_eq!(is_well_formed(&key.text), Some(true));
        assert_eq!(base62(&[0xFF; 32], SECRET_CHARS).len(), SECRET_CHARS);
        assert_eq!(is_well_formed("somebody-elses-secret"), None);
    }

    #[test]
    fn every_mistyped_character_is_told_by_the_checksum() {
        let key = sample().text;
        for place in 8..key.len() {
            for digit in DIGITS {
                let mut typo = key.clone().into_bytes();
                if typo[place] == *digit {
                    continue;
                }
                typo[place] = *digit;
                let typo = String::from_utf8(typo).unwrap();
                assert_eq!(is_well_formed(&typo), Some(false), "{typo}");
            }
        }
    }
}
