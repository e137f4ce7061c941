//! The vendor's list of media types, and how a declared type and the bytes are brought together.

use waypost_domain::media::{self, MediaKind, MimeType, Signature};
use waypost_domain::{ErrorKind, Failure};

/// The list, by kind, as it is told. Meta supports more (stickers, audio); this vendor offers three
/// kinds only.
const OFFERED: [(MediaKind, &str); 3] = [
    (MediaKind::Image, "image/jpeg, image/png"),
    (MediaKind::Document, "text/plain, application/pdf, Word, Excel and PowerPoint documents"),
    (MediaKind::Video, "video/mp4, video/3gp"),
];

/// The list in words, of one kind or whole.
pub(super) fn supported(wanted: Option<MediaKind>) -> String {
    let of_kind = OFFERED.iter().filter(|(kind, _)| wanted.is_none_or(|wanted| wanted == *kind));
    of_kind.map(|(_, types)| *types).collect::<Vec<_>>().join(", ")
}

/// A declared type of the vendor's list, aliases included.
pub(super) fn parse(declared: &str) -> Option<MimeType> {
    let is_offered = |kind: MediaKind| OFFERED.iter().any(|(offered, _)| *offered == kind);
    MimeType::parse(declared).filter(|mime_type| is_offered(mime_type.kind()))
}

/// Whether bytes carry the signature of a supported type of the declared kind.
pub(super) fn is_shown_by(declared: &MimeType, head: &[u8], complete: bool) -> bool {
    media::sniff(head, complete).is_some() && media::settle_type(declared, head, complete).is_ok()
}

/// The type to send: the declared one, or another of its kind if the bytes show that.
///
/// # Errors
/// What the bytes show, if that is of another kind.
pub(super) fn settle(
    declared: &MimeType,
    head: &[u8],
    complete: bool,
) -> Result<MimeType, Signature> {
    match media::settle_type(declared, head, complete) {
        // The marks of sound files are two to five bytes that a document may well begin with
        // (UTF-16 text does); the vendor's list of signatures has none of them.
        Err(Signature::Mp3 | Signature::Aac | Signature::Amr | Signature::Ogg)
            if declared.kind() == MediaKind::Document =>
        {
            Ok(declared.clone())
        }
        settled => settled,
    }
}

/// The refusal of bytes that show another kind than the declared type is of.
pub(super) fn contradiction(path: &str, declared: &MimeType, shown: Signature) -> Failure {
    let message = format!(
        "{path} holds {}, but {} was declared; send it under its own type.",
        name(shown),
        declared.as_str()
    );
    Failure::new(ErrorKind::UnsupportedMediaType, message).at(path)
}

/// The refusal of a file that is larger than its kind may be.
pub(super) fn too_large(path: &str, kind: MediaKind) -> Failure {
    let message = format!(
        "{path} is larger than the {} MB that a file of kind {} may have; send a smaller one.",
        kind.max_bytes() / media::MEGABYTE,
        kind.as_str()
    );
    Failure::new(ErrorKind::MediaTooLarge, message).at(path)
}

const fn name(signature: Signature) -> &'static str {
    match signature {
        Signature::Jpeg => "a JPEG image",
        Signature::Png => "a PNG image",
        Signature::Webp => "a WebP image",
        Signature::Pdf => "a PDF document",
        Signature::OleDocument | Signature::OfficeOpenXml => "an Office document",
        Signature::IsoMedia => "an MP4 or 3GP video",
        Signature::Ogg | Signature::Amr | Signature::Mp3 | Signature::Aac => "a sound file",
        Signature::Text => "plain text",
    }
}
