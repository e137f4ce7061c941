//! A check sum of what a message says and to whom, so that bits that flip on a disk are noticed
//! before the message is sent or shown. It is no protection against people.

use crc32fast::Hasher;

/// Of a message's id, its person and its content as it is kept.
pub(crate) fn of(id: &[u8; 16], phone: &str, content: &str) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(id);
    hasher.update(phone.as_bytes());
    hasher.update(&[0]);
    hasher.update(content.as_bytes());
    hasher.finalize()
}
