//! Random bytes of the operating system and their spellings. Not for keys that outlive the
//! process: the sandbox has none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Fills `bytes` with randomness.
pub(crate) fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system hands out random bytes");
}

/// Upper-case hexadecimal.
pub(crate) fn upper_hex(bytes: &[u8]) -> String {
    spell(bytes, b"0123456789ABCDEF")
}

/// Lower-case hexadecimal.
pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    spell(bytes, b"0123456789abcdef")
}

fn spell(bytes: &[u8], digits: &[u8; 16]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(digits[usize::from(byte >> 4)]));
        text.push(char::from(digits[usize::from(byte & 0x0F)]));
    }
    text
}

/// A trace id as Graph answers carry: `A` and 22 more characters.
pub(crate) fn trace_id() -> String {
    let mut random = [0_u8; 17];
    fill(&mut random);
    let mut id = String::from("A");
    id.push_str(&URL_SAFE_NO_PAD.encode(random)[..22]);
    id
}

/// Puts things into any order.
pub(crate) fn shuffle<T>(things: &mut [T]) {
    for last in (1..things.len()).rev() {
        let mut random = [0_u8; 8];
        fill(&mut random);
        let other = u64::from_le_bytes(random) % (last as u64 + 1);
        things.swap(last, usize::try_from(other).unwrap_or(last));
    }
}

/// A number in `0.0..1.0`.
pub(crate) fn fraction() -> f64 {
    let mut random = [0_u8; 4];
    fill(&mut random);
    f64::from(u32::from_le_bytes(random)) / (f64::from(u32::MAX) + 1.0)
}
