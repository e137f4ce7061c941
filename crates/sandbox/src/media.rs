//! The four media calls (reference §2). The bytes are kept by the media store.

use std::ops::RangeInclusive;

use axum::body::Body;
use axum::response::Response;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};
use multer::{Field, Multipart};
use serde_json::json;
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use crate::Sandbox;
use crate::call::Call;
use crate::entropy;
use crate::errors::{Answer, GraphError, json_response};
use crate::media_kind::{MediaKind, essence};
use crate::media_store::{Described, Held, Media, MediaWriter, UPLOAD_LIFETIME_MS};

/// First component of the address under which media are downloaded.
pub(crate) const DOWNLOAD_PATH: &str = "whatsapp_business";
/// How long such an address is valid.
const URL_LIFETIME_MS: i64 = 5 * 60_000;
/// A form field that is not the file.
const FIELD_MAX_BYTES: usize = 4_096;

/// What a multipart upload brought.
#[derive(Default)]
struct Form {
    product: Option<String>,
    kind: Option<String>,
    file: Option<FilePart>,
}

struct FilePart {
    writer: MediaWriter,
    content_type: Option<String>,
    filename: Option<String>,
}

/// `POST /{number}/media`.
pub(crate) async fn upload(sandbox: &Sandbox, call: Call) -> Answer<Response> {
    if call.method != Method::POST {
        return Err(GraphError::wrong_method("POST"));
    }
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(content_type.unwrap_or(""))
        .map_err(|_| GraphError::parameter("The body must be multipart/form-data."))?;
    let _place = sandbox.0.uploads.acquire().await;
    let form = receive(sandbox, Multipart::new(call.body.into_data_stream(), boundary)).await?;
    let is_product = form.product.as_deref().is_some_and(|p| p.eq_ignore_ascii_case("whatsapp"));
    if !is_product {
        return Err(GraphError::parameter(
            "The parameter messaging_product is required: whatsapp.",
        ));
    }
    let file = form.file.ok_or_else(|| GraphError::parameter("The parameter file is required."))?;
    let claimed = form.kind.as_deref().and_then(essence);
    let mime = claimed
        .or_else(|| file.content_type.as_deref().and_then(essence))
        .ok_or_else(|| GraphError::parameter("The parameter type is required: a MIME type."))?;
    check_upload(&mime, &file.writer)?;
    let described = {
        let mut state = sandbox.state();
        let expires_at_ms = state.now_ms() + UPLOAD_LIFETIME_MS;
        Described { id: state.media.next_id(), mime, filename: file.filename, expires_at_ms }
    };
    let media = file.writer.finish(described).await.map_err(|error| not_kept(&error))?;
    let id = media.id.clone();
    sandbox.state().media.insert(media);
    Ok(json_response(200, &json!({ "id": id })))
}

/// Types and sizes are refused at once; contents that belie their type fail when they are sent.
fn check_upload(mime: &str, writer: &MediaWriter) -> Answer<()> {
    let kind = MediaKind::of_upload(mime).ok_or_else(|| {
        let details =
            format!("Param file must be of a supported type. Received file of type '{mime}'.");
        GraphError::parameter(details)
    })?;
    let max_bytes = kind.max_bytes(writer.head());
    if writer.size() > max_bytes {
        let details = format!("The file is too large: {} takes {max_bytes} bytes.", kind.name());
        return Err(GraphError::parameter(details));
    }
    if writer.size() == 0 {
        return Err(GraphError::parameter("The file is empty."));
    }
    Ok(())
}

fn not_kept(error: &std::io::Error) -> GraphError {
    tracing::error!(%error, "a media file could not be kept");
    GraphError::new(131_016, "The media file could not be kept.")
}

fn malformed(_: multer::Error) -> GraphError {
    GraphError::parameter("The multipart body is malformed.")
}

async fn receive(sandbox: &Sandbox, mut multipart: Multipart<'_>) -> Answer<Form> {
    let mut form = Form::default();
    while let Some(mut field) = multipart.next_field().await.map_err(malformed)? {
        match field.name() {
            Some("messaging_product") => form.product = Some(short_text(&mut field).await?),
            Some("type") => form.kind = Some(short_text(&mut field).await?),
            Some("file") if form.file.is_none() => {
                form.file = Some(receive_file(sandbox, &mut field).await?);
            }
            _ => while field.chunk().await.map_err(malformed)?.is_some() {},
        }
    }
    Ok(form)
}

async fn short_text(field: &mut Field<'_>) -> Answer<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > FIELD_MAX_BYTES {
            return Err(GraphError::parameter("A form field is too long."));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

async fn receive_file(sandbox: &Sandbox, field: &mut Field<'_>) -> Answer<FilePart> {
    let content_type = field.content_type().map(ToString::to_string);
    let filename = field.file_name().map(|name| name.chars().take(255).collect());
    let folder = sandbox.0.media_folder.as_deref();
    let mut writer = MediaWriter::begin(folder).await.map_err(|error| not_kept(&error))?;
    while let Some(chunk) = field.chunk().await.map_err(malformed)? {
        if !writer.write(&chunk).await.map_err(|error| not_kept(&error))? {
            return Err(GraphError::parameter("The file is too large."));
        }
    }
    Ok(FilePart { writer, content_type, filename })
}

/// `GET` and `DELETE /{media}`.
pub(crate) fn one(sandbox: &Sandbox, call: &Call, id: &str) -> Answer<Response> {
    let mut state = sandbox.state();
    if let Some(number) = call.query("phone_number_id")
        && state.find_number(number).is_none()
    {
        return Err(GraphError::unknown_object(number));
    }
    let now_ms = state.now_ms();
    let media = state.media.get(id, now_ms).ok_or_else(|| GraphError::unknown_object(id))?;
    match call.method {
        Method::GET => {
            let answer = json!({
                "messaging_product": "whatsapp",
                "url": sandbox.media_url(&call.base_url(), id, now_ms),
                "mime_type": media.mime,
                "sha256": entropy::lower_hex(&media.sha256),
                "file_size": media.size.to_string(),
                "id": id,
            });
            Ok(json_response(200, &answer))
        }
        Method::DELETE => {
            state.media.remove(id);
            Ok(json_response(200, &json!({"success": true})))
        }
        _ => Err(GraphError::wrong_method("GET, DELETE")),
    }
}

impl Sandbox {
    fn media_url(&self, base: &str, id: &str, now_ms: i64) -> String {
        let until_s = (now_ms + URL_LIFETIME_MS) / 1_000;
        let hash = self.url_hash(id, until_s);
        format!("{base}/{DOWNLOAD_PATH}/attachments/?mid={id}&ext={until_s}&hash={hash}")
    }

    fn url_hash(&self, id: &str, until_s: i64) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0.url_secret)
            .expect("HMAC takes keys of any length");
        mac.update(format!("{id}:{until_s}").as_bytes());
        entropy::lower_hex(&mac.finalize().into_bytes()[..16])
    }
}

/// `GET` of an address that a media call gave. Old addresses and unknown media are a 404.
pub(crate) async fn download(sandbox: &Sandbox, call: Call) -> Answer<Response> {
    let media = find_download(sandbox, &call)?;
    drop(call);
    let mut response = Response::new(body_of(&media).await.map_err(|_| gone())?);
    let headers = response.headers_mut();
    if let Ok(mime) = HeaderValue::from_str(&media.mime) {
        headers.insert(CONTENT_TYPE, mime);
    }
    headers.insert(CONTENT_LENGTH, media.size.into());
    Ok(response)
}

fn gone() -> GraphError {
    GraphError::parameter("The media address is no longer valid.").with_http(404)
}

fn find_download(sandbox: &Sandbox, call: &Call) -> Answer<Media> {
    let token = call.bearer().ok_or_else(GraphError::bad_token)?;
    if sandbox.0.access_token.as_deref().is_some_and(|expected| expected != token) {
        return Err(GraphError::bad_token());
    }
    if !call.is_get() {
        return Err(GraphError::wrong_method("GET"));
    }
    let id = call.query("mid").unwrap_or("");
    let until_s = call.query("ext").and_then(|ext| ext.parse::<i64>().ok()).unwrap_or(0);
    let is_ours = call.query("hash").is_some_and(|hash| hash == sandbox.url_hash(id, until_s));
    let state = sandbox.state();
    let now_ms = state.now_ms();
    if !is_ours || now_ms >= until_s * 1_000 {
        return Err(gone());
    }
    state.media.get(id, now_ms).cloned().ok_or_else(gone)
}

/// The bytes of a media file, streamed when they are in a file.
async fn body_of(media: &Media) -> std::io::Result<Body> {
    part_of(media, &(0..=media.size.saturating_sub(1))).await
}

/// Some of them.
pub(crate) async fn part_of(media: &Media, part: &RangeInclusive<u64>) -> std::io::Result<Body> {
    match &media.held {
        Held::Memory(bytes) => {
            let at = |place: u64| usize::try_from(place).unwrap_or(usize::MAX).min(bytes.len());
            Ok(Body::from(bytes.slice(at(*part.start())..at(part.end() + 1))))
        }
        Held::File(path) => {
            let mut file = tokio::fs::File::open(path).await?;
            file.seek(std::io::SeekFrom::Start(*part.start())).await?;
            let some = file.take(part.end() - part.start() + 1);
            Ok(Body::from_stream(ReaderStream::with_capacity(some, 65_536)))
        }
        Held::Nowhere => Err(std::io::ErrorKind::NotFound.into()),
    }
}
