//! `POST /api/v2/media/upload/`: a file. Its type is what its bytes show, else what the part says,
//! else what its name says.

use waypost_domain::media::{self, MediaKind, MimeType, Signature, clean_filename};
use waypost_domain::{ErrorKind, Failure};

use crate::contract::{Command, Form, FormFile, Request, UploadMedia};
use crate::json::Field;
use crate::pepipost::wire::member;

/// The largest picture that does not move and may be a sticker, in bytes.
const MAX_STILL_STICKER_BYTES: u64 = 100 * 1_024;

pub(in super::super) fn upload(request: &Request<'_>, form: &Form) -> Result<Command, Failure> {
    let place = Field::new(member::FILE, None);
    let file = form.file.as_ref().filter(|file| file.size > 0).ok_or_else(|| place.missing())?;
    let mime_type = settle(file).ok_or_else(|| {
        let message = "file is of no supported type; see the list of media types.";
        place.failure(ErrorKind::UnsupportedMediaType, message)
    })?;
    let kind = mime_type.kind();
    let max_bytes = match kind {
        MediaKind::Sticker if !is_animated(&file.head) => MAX_STILL_STICKER_BYTES,
        kind => kind.max_bytes(),
    };
    if file.size > max_bytes {
        let message = format!("file is larger than the {max_bytes} bytes that its type may have.");
        return Err(place.failure(ErrorKind::MediaTooLarge, message));
    }
    Ok(Command::UploadMedia(UploadMedia {
        org_id: request.own_org()?.clone(),
        mime_type,
        filename: file.filename.as_deref().and_then(clean_filename),
    }))
}

fn settle(file: &FormFile) -> Option<MimeType> {
    let declared = declared(file);
    let shown = media::sniff(&file.head, file.is_whole());
    let is_document =
        declared.as_ref().is_some_and(|mime_type| mime_type.kind() == MediaKind::Document);
    match shown {
        None => declared,
        Some(signature) if declared.as_ref().is_some_and(|it| it.fits(signature)) => declared,
        // Containers and texts hold many things: these bytes tell nothing beyond the declaration.
        Some(Signature::Text | Signature::OleDocument | Signature::OfficeOpenXml) => {
            let settle = |it: MimeType| media::settle_type(&it, &file.head, file.is_whole()).ok();
            declared.and_then(settle)
        }
        // The marks of sound files are so short that a document may well begin with them.
        Some(Signature::Mp3 | Signature::Aac | Signature::Amr | Signature::Ogg) if is_document => {
            declared
        }
        Some(signature) => [
            MediaKind::Image,
            MediaKind::Video,
            MediaKind::Audio,
            MediaKind::Document,
            MediaKind::Sticker,
        ]
        .into_iter()
        .find_map(|kind| MimeType::of_signature(kind, signature)),
    }
}

/// What the part says that it is; the file's name, where the part says nothing or only "bytes".
fn declared(file: &FormFile) -> Option<MimeType> {
    let said = file.content_type.as_deref().unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim();
    if !essence.is_empty() && !essence.eq_ignore_ascii_case("application/octet-stream") {
        return MimeType::parse(said);
    }
    let (_, extension) = file.filename.as_deref()?.rsplit_once('.')?;
    MimeType::of_extension(extension)
}

/// Whether a WebP file's extended header says that it moves.
fn is_animated(head: &[u8]) -> bool {
    const FLAGS_AT: usize = 20;
    const ANIMATION: u8 = 0x02;
    head.get(12..16) == Some(b"VP8X") && head.get(FLAGS_AT).is_some_and(|it| it & ANIMATION != 0)
}
