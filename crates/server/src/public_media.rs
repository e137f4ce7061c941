//! Media at their unguessable public addresses, inert: never sniffed, never shown in place, never
//! run, of an allowed type.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use waypost_domain::media::{MimeType, clean_filename};
use waypost_engine::ports::{BlobStream, MediaRecord};

use crate::App;
use crate::problem::Problem;

/// Answers `/media/{name}`, where the name is a file's public name and its extension.
pub(crate) async fn show_media(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Ok(Path(name)) = name else { return Err(Problem::not_found()) };
    let Some((public_name, extension)) = name.rsplit_once('.') else {
        return Err(Problem::not_found());
    };
    let found = app.engine.open_public_media(public_name).await?;
    let (record, bytes) = found
        .filter(|(record, _)| record.mime_type.extension() == extension)
        .ok_or_else(Problem::not_found)?;
    Ok(inert_file(&record, bytes))
}

/// A file's bytes under headers that keep every browser from doing anything with them but save
/// them.
pub(crate) fn inert_file(record: &MediaRecord, bytes: BlobStream) -> Response {
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type(&record.mime_type));
    headers.insert(CONTENT_LENGTH, record.size.into());
    headers.insert(CONTENT_DISPOSITION, disposition(record));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = "sandbox; default-src 'none'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=300"));
    response
}

/// The stored type where the list of allowed ones still knows it.
fn content_type(mime_type: &MimeType) -> HeaderValue {
    MimeType::parse(mime_type.as_str())
        .and_then(|known| HeaderValue::from_str(known.as_str()).ok())
        .unwrap_or(HeaderValue::from_static(MimeType::UNKNOWN))
}

fn disposition(record: &MediaRecord) -> HeaderValue {
    let fallback = || format!("{}.{}", record.public_name, record.mime_type.extension());
    let name = record.filename.as_deref().and_then(clean_filename).unwrap_or_else(fallback);
    HeaderValue::from_str(&attachment(&name)).unwrap_or(HeaderValue::from_static("attachment"))
}

/// RFC 6266: a plain name for old clients, and the whole name percent-encoded for all others.
fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|char| {
            let safe = char.is_ascii_alphanumeric() || matches!(char, ' ' | '.' | '-' | '_');
            if safe { char } else { '_' }
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_domain::{MediaId, OrgId, Timestamp};
    use waypost_engine::ports::Sha256Hex;

    fn record(filename: &str) -> MediaRecord {
        MediaRecord {
            id: MediaId::new("1000000000000042"),
            org_id: OrgId::new("org-1"),
            sha256: Sha256Hex::from_digest(&[0; 32]),
            size: 1,
            mime_type: MimeType::parse("application/pdf").unwrap(),
            filename: Some(filename.to_owned()),
            public_name: "unguessable".to_owned(),
            created_at: Timestamp(0),
            expires_at: Timestamp(1),
        }
    }

    #[test]
    fn file_names_cannot_break_out_of_their_header() {
        for (name, expected) in [
            ("offer.pdf", "attachment; filename=\"offer.pdf\"; filename*=UTF-8''offer.pdf"),
            (
                "a\"; \r\nSet-Cookie: x=1.pdf",
                "attachment; filename=\"a__ Set-Cookie_ x_1.pdf\"; \
                 filename*=UTF-8''a%22%3B%20Set-Cookie%3A%20x%3D1.pdf",
            ),
            ("../../etc/passwd", "attachment; filename=\"passwd\"; filename*=UTF-8''passwd"),
            (
                "grüße.pdf",
                "attachment; filename=\"gr__e.pdf\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.pdf",
            ),
            (
                "evil\u{202E}fdp.exe",
                "attachment; filename=\"evilfdp.exe\"; filename*=UTF-8''evilfdp.exe",
            ),
            ("..", "attachment; filename=\"unguessable.pdf\"; filename*=UTF-8''unguessable.pdf"),
        ] {
            assert_eq!(disposition(&record(name)), expected, "{name}");
        }
        let long = disposition(&record(&"ü".repeat(300)));
        assert!(long.len() < 1_024, "{}", long.len());
    }

    #[test]
    fn every_type_served_is_of_the_list() {
        for name in ["image/png", "text/plain", "video/mp4"] {
            assert_eq!(content_type(&MimeType::parse(name).unwrap()), name);
        }
        let stored: MimeType = serde_json::from_str("\"text/html\"").unwrap();
        for unlisted in [stored, MimeType::unknown()] {
            assert_eq!(content_type(&unlisted), "application/octet-stream");
        }
    }
}
