//! Files as callers of ReplyHero's dialect send them: inline in a message, or as a form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

/// What stands between the parts of a form.
pub(crate) const BOUNDARY: &str = "waypost-bench-boundary";
/// What a JPEG begins with.
pub(crate) const JPEG: [u8; 4] = [0xFF, 0xD8, 0xFF, 0xE0];

/// A message with an image in it.
pub(crate) fn inline_image(bytes: &[u8]) -> Value {
    let file = json!({
        "name": "large.jpg",
        "type": "image/jpeg",
        "displayType": "IMAGE",
        "extension": "jpg",
        "data": STANDARD.encode(bytes),
    });
    json!({ "type": "image", "image": { "file": file } })
}

/// What a form has before a file's bytes and behind them.
pub(crate) fn form(org_id: &str, media_type: &str, filename: &str) -> (Bytes, Bytes) {
    let field = |name: &str, value: &str| {
        format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
    };
    let head = format!(
        "{}{}--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\
         content-type: {media_type}\r\n\r\n",
        field("orgId", org_id),
        field("type", media_type),
    );
    (Bytes::from(head), Bytes::from(format!("\r\n--{BOUNDARY}--\r\n")))
}
