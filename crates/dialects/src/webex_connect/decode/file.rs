//! Where a file is, and the name that it is shown with.

use waypost_domain::Failure;
use waypost_domain::media::{MediaKind, clean_filename};

use super::member::{Member, cut};
use crate::link::{MAX_LINK_CHARS, is_web_link};

/// An absolute http or https URL.
pub(super) fn link(url: &Member<'_>) -> Result<String, Failure> {
    let text = url.text()?;
    let text = text.trim();
    if cut(text, MAX_LINK_CHARS).is_some() || !is_web_link(text) {
        return Err(url.invalid());
    }
    Ok(text.to_owned())
}

/// The path of a place in the object `wa`.
pub(super) fn in_wa(place: &str) -> String {
    format!("channels.OTT-Messaging.wa.{place}")
}

/// A document's name.
pub(super) fn shown_name(
    filename: &Member<'_>,
    kind: MediaKind,
) -> Result<Option<String>, Failure> {
    match kind {
        MediaKind::Document => Ok(filename.optional_text()?.and_then(|name| clean_filename(&name))),
        _ => Ok(None),
    }
}
