//! Small real files, and files of a given length that begin like one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A picture of 64 × 48 pixels.
pub const PNG: &[u8] = include_bytes!("../fixtures/media/teal.png");
/// A picture of 8 × 8 pixels.
pub const JPEG: &[u8] = include_bytes!("../fixtures/media/grey.jpeg");
/// A document of one page.
pub const PDF: &[u8] = include_bytes!("../fixtures/media/offer.pdf");
/// A film without a track.
pub const MP4: &[u8] = include_bytes!("../fixtures/media/clip.mp4");

/// Standard base64.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A file that begins like `head` and is `length` bytes long.
#[must_use]
pub fn padded(head: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = head.to_vec();
    bytes.resize(length, 0);
    bytes
}
