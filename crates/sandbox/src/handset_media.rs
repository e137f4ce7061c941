//! Files of messages for the page: inert, and in ranges, without which a player knows no length.

use std::ops::RangeInclusive;

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::Sandbox;
use crate::media;
use crate::media_kind::essence;

const MEDIA_CSP: &str = "sandbox; default-src 'none'";

/// Types a browser shows by itself.
const INLINE_TYPES: [&str; 11] = [
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "video/mp4",
    "video/3gpp",
    "audio/aac",
    "audio/amr",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
];

/// `GET /_sandbox/handset/media/{id}`.
pub(crate) async fn get(
    Shared(sandbox): Shared<Sandbox>,
    Path(id): Path<String>,
    asked: HeaderMap,
) -> Response {
    let found = {
        let state = sandbox.state();
        state.media.get(&id, state.now_ms()).cloned()
    };
    let Some(found) = found else { return StatusCode::NOT_FOUND.into_response() };
    let range = asked.get(RANGE).and_then(|range| parse_range(range.to_str().ok()?, found.size));
    let whole = 0..=found.size.saturating_sub(1);
    let part = range.clone().unwrap_or(whole);
    let Ok(body) = media::part_of(&found, &part).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = Response::new(body);
    let kind = essence(&found.mime).unwrap_or_default();
    let is_inline = INLINE_TYPES.contains(&kind.as_str());
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    let headers = response.headers_mut();
    inert(headers, &kind, is_inline, found.filename.as_deref());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let length = if found.size == 0 { 0 } else { part.end() - part.start() + 1 };
    headers.insert(CONTENT_LENGTH, length.into());
    if range.is_some() {
        let said = format!("bytes {}-{}/{}", part.start(), part.end(), found.size);
        if let Ok(said) = HeaderValue::from_str(&said) {
            headers.insert(CONTENT_RANGE, said);
        }
    }
    response
}

/// One range of bytes within a file; `None` for what is answered with the whole.
fn parse_range(text: &str, size: u64) -> Option<RangeInclusive<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = size.checked_sub(1)?;
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), end),
        _ => return None,
    };
    (first <= last).then_some(first..=last)
}

/// Headers that keep a file from acting in the page's name.
fn inert(headers: &mut HeaderMap, kind: &str, is_inline: bool, filename: Option<&str>) {
    let shown_as = if is_inline { kind } else { "application/octet-stream" };
    if let Ok(value) = HeaderValue::from_str(shown_as) {
        headers.insert(CONTENT_TYPE, value);
    }
    let safe: String = filename
        .unwrap_or("file")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' })
        .take(100)
        .collect();
    let placement = if is_inline { "inline" } else { "attachment" };
    if let Ok(value) = HeaderValue::from_str(&format!("{placement}; filename=\"{safe}\"")) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(MEDIA_CSP));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_range_and_ignores_what_it_cannot_give() {
        let cases = [
            ("bytes=0-", Some(0..=9)),
            ("bytes=2-4", Some(2..=4)),
            ("bytes=8-99", Some(8..=9)),
            ("bytes=-3", Some(7..=9)),
            ("bytes=10-", None),
            ("bytes=4-2", None),
            ("bytes=0-1,4-5", None),
            ("lines=0-1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_range(text, 10), expected, "{text}");
        }
        assert_eq!(parse_range("bytes=0-", 0), None);
    }
}
