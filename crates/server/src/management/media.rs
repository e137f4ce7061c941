//! Media: uploading a file, the list, removing.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use utoipa::ToSchema;
use waypost_dialects::{BodyKind, FormFile, FormParts};
use waypost_domain::media::{MimeType, clean_filename, settle_type};
use waypost_domain::{ErrorKind, Failure, MediaId};
use waypost_engine::ports::MediaRecord;
use waypost_engine::{IdempotencyKey, StoreFile};

use super::access::{Ids, InOrg, Media};
use super::ask::ask;
use super::input::Arguments;
use super::paging::{List, PageArguments};
use super::views::MediaView;
use crate::App;
use crate::bodies::BodyReader;
use crate::headers::{idempotency_key, mark_replayed};
use crate::problem::Problem;
use crate::uploads::{self, ReceivedForm};

/// The largest form: the largest document, and room for the rest.
const MAX_FORM_BYTES: u64 = 105 * 1_024 * 1_024;
const PARTS: FormParts = FormParts { file: "file", texts: &["type", "number"] };
const UPLOAD: &str = "/waypost/v1/orgs/{org_id}/media";

/// The form of an upload.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes a form")]
pub(crate) struct MediaForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The file's type; by default what its part says.
    #[schema(example = "image/jpeg", required = false)]
    r#type: Option<String>,
    /// The number by which it is to be sent first; by default the organisation's first.
    #[schema(required = false)]
    number: Option<String>,
}

/// Stores a file.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/media", tag = "media",
    request_body(content = MediaForm, content_type = "multipart/form-data"),
    responses((status = 201, body = MediaView)))]
pub(crate) async fn upload_media(
    State(app): State<App>,
    within: InOrg<Media>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let form = BodyKind::Multipart { max_bytes: MAX_FORM_BYTES, parts: PARTS };
    if !form.accepts(content_type) {
        let message = "The header Content-Type must say multipart/form-data.";
        return Err(Failure::new(ErrorKind::UnsupportedContentType, message).into());
    }
    let key = idempotency_key(&parts.headers)?;
    let pace = app.limits.body_pace;
    let reader = BodyReader::new(&parts.headers, body, MAX_FORM_BYTES, pace)?;
    let received = uploads::receive(&app.engine, content_type, reader, PARTS).await?;
    let (file, mime_type) = judge(&received)?;
    let command = StoreFile {
        org_id: within.org_id().clone(),
        mime_type,
        filename: file.filename.as_deref().and_then(clean_filename),
        number: received.form.field("number").map(str::to_owned),
    };
    let fingerprint = received.fingerprint;
    let upload = received.upload.ok_or_else(missing_file)?;
    let idempotency = key.map(|key| IdempotencyKey { key, fingerprint });
    let ask = ask(&within, UPLOAD, idempotency, command);
    let answer = app.engine.finish_upload(upload, ask).await?;
    let record = known_media(&app, &within, answer.outcome.media_id.as_str()).await?;
    let mut response = (StatusCode::CREATED, Json(view(&app, &record))).into_response();
    if answer.replayed {
        mark_replayed(response.headers_mut());
    }
    Ok(response)
}

fn missing_file() -> Failure {
    Failure::new(ErrorKind::MissingField, "The form needs a part named file.").at("file")
}

/// The file and the type that declaration and signature agree on.
fn judge(received: &ReceivedForm) -> Result<(&FormFile, MimeType), Failure> {
    let file = received.form.file.as_ref().ok_or_else(missing_file)?;
    if file.size == 0 {
        return Err(Failure::new(ErrorKind::InvalidValue, "The file is empty.").at("file"));
    }
    let declared = received.form.field("type").or(file.content_type.as_deref());
    let unsupported = |message: &str, field: &str| {
        Failure::new(ErrorKind::UnsupportedMediaType, message).at(field)
    };
    let declared = declared
        .ok_or_else(|| Failure::new(ErrorKind::MissingField, "The type is required.").at("type"))?;
    let declared = MimeType::parse(declared.trim().trim_matches('"'))
        .ok_or_else(|| unsupported("WhatsApp carries no files of this type.", "type"))?;
    let mime_type = settle_type(&declared, &file.head, file.is_whole())
        .map_err(|_| unsupported("The file is of another kind than its type says.", "file"))?;
    let limit = mime_type.kind().max_bytes();
    if file.size > limit {
        let message = format!("A file of this kind may have at most {limit} bytes.");
        return Err(Failure::new(ErrorKind::MediaTooLarge, message).at("file"));
    }
    Ok((file, mime_type))
}

fn view(app: &App, record: &MediaRecord) -> MediaView {
    MediaView::new(record, &app.engine.settings().public_url)
}

async fn known_media(app: &App, within: &InOrg<Media>, id: &str) -> Result<MediaRecord, Problem> {
    let now = app.engine.now();
    let found = app.engine.store().media(within.org_id(), &MediaId::new(id), now).await?;
    found.ok_or_else(Problem::not_found)
}

/// Lists stored files.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/media", tag = "media",
    params(PageArguments), responses((status = 200, body = List<MediaView>)))]
pub(crate) async fn list_media(
    State(app): State<App>,
    within: InOrg<Media>,
    Arguments(page): Arguments<PageArguments>,
) -> Result<Json<List<MediaView>>, Problem> {
    let paged = app.engine.store().media_list(within.org_id(), page.of_store()?).await?;
    Ok(Json(List::of(paged, |record| view(&app, &record))))
}

/// Shows a stored file.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/media/{media_id}", tag = "media",
    responses((status = 200, body = MediaView)))]
pub(crate) async fn get_media(
    State(app): State<App>,
    within: InOrg<Media>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<MediaView>, Problem> {
    Ok(Json(view(&app, &known_media(&app, &within, &id).await?)))
}

/// Removes a stored file.
#[utoipa::path(delete, path = "/waypost/v1/orgs/{org_id}/media/{media_id}", tag = "media",
    responses((status = 204)))]
pub(crate) async fn delete_media(
    State(app): State<App>,
    within: InOrg<Media>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<StatusCode, Problem> {
    if app.engine.delete_media(within.org_id(), &MediaId::new(id)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waypost_dialects::{Form, FormFile};

    fn received(declared: Option<&str>, own: Option<&str>, head: &[u8], size: u64) -> ReceivedForm {
        let file = FormFile {
            filename: None,
            content_type: own.map(str::to_owned),
            size,
            head: head.to_vec(),
        };
        let fields = declared.map(|it| ("type".to_owned(), it.to_owned())).into_iter().collect();
        let form = Form { fields, file: Some(file) };
        ReceivedForm { form, upload: None, fingerprint: [0; 32] }
    }

    #[test]
    fn the_type_is_settled_from_form_part_and_signature() {
        let png = b"\x89PNG\r\n\x1a\n";
        for (declared, own, settled) in [
            (Some("image/png"), None, "image/png"),
            (None, Some("image/jpg"), "image/png"),
            (Some("image/jpeg"), Some("application/pdf"), "image/png"),
        ] {
            let form = received(declared, own, png, 8);
            assert_eq!(judge(&form).unwrap().1.as_str(), settled);
        }
        for (declared, own, head, size, kind) in [
            (None, None, &png[..], 8, ErrorKind::MissingField),
            (Some("text/html"), None, png, 8, ErrorKind::UnsupportedMediaType),
            (Some("application/pdf"), None, png, 8, ErrorKind::UnsupportedMediaType),
            (Some("image/png"), None, png, 0, ErrorKind::InvalidValue),
            (Some("image/png"), None, png, 5 * 1_048_576 + 1, ErrorKind::MediaTooLarge),
        ] {
            let form = received(declared, own, head, size);
            assert_eq!(judge(&form).err().map(|it| it.kind), Some(kind), "{declared:?}");
        }
    }
}
