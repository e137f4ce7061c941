//! Message ids in the byte layout of the samples seen in public (base64 of a small tagged
//! record holding the user's number). Nothing reads them back: they are opaque to everybody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Who sent the message; it is a byte of the layout and decides the length of the inner id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Business,
    User,
}

/// A new id for a message to or from `user` (digits, or a business-scoped user id).
pub(crate) fn new_wamid(user: &str, sender: Sender) -> String {
    let mut random = [0_u8; 10];
    crate::entropy::fill(&mut random);
    encode(user, sender, random)
}

fn encode(user: &str, sender: Sender, random: [u8; 10]) -> String {
    let (tag, id) = match sender {
        Sender::Business => (0x11, crate::entropy::upper_hex(&random[..9])),
        Sender::User => (0x12, format!("3A{}", crate::entropy::upper_hex(&random[..9]))),
    };
    let user = &user.as_bytes()[..user.len().min(u8::MAX.into())];
    let mut record = Vec::with_capacity(user.len() + id.len() + 10);
    record.extend([0x1C, 0x18, length_byte(user)]);
    record.extend(user);
    record.extend([0x15, 0x02, 0x00, tag, 0x18, length_byte(id.as_bytes())]);
    record.extend(id.as_bytes());
    record.push(0x00);
    format!("wamid.{}", STANDARD.encode(record))
}

fn length_byte(text: &[u8]) -> u8 {
    u8::try_from(text.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_layout_of_the_reference() {
        let id = encode(
            "15550001111",
            Sender::Business,
            [0xA1, 0xB2, 0xC3, 0xD4, 0xE5, 0xF6, 0x07, 0x18, 0x29, 0x00],
        );
        assert_eq!(id, "wamid.HBgLMTU1NTAwMDExMTEVAgARGBJBMUIyQzNENEU1RjYwNzE4MjkA");
        assert_eq!(id.len(), 58);
    }

    #[test]
    fn ids_of_users_are_longer_and_begin_with_3a() {
        let id = new_wamid("15550001111", Sender::User);
        assert_eq!(id.len(), 62);
        let record = STANDARD.decode(id.trim_start_matches("wamid.")).unwrap();
        assert_eq!(&record[18..22], [0x18, 20, b'3', b'A']);
        assert_eq!(record[17], 0x12);
    }
}
