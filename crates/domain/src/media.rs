//! Media kinds, their types, limits and signatures (Meta's table, "Media" in its Cloud API pages).
//! The gateway never decodes a file; it looks at its first bytes only.

use serde::{Deserialize, Serialize};

/// One megabyte as every limit here counts it.
pub const MEGABYTE: u64 = 1_048_576;

/// How many leading bytes [`sniff`] wants to see; more does no harm.
pub const SNIFF_BYTES: usize = 4_096;

/// The longest file name that is passed on, in bytes.
pub const MAX_FILENAME_BYTES: usize = 240;

/// What a file is for WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the names say it")]
pub enum MediaKind {
    Image,
    Video,
    Audio,
    Document,
    Sticker,
}

impl MediaKind {
    /// Meta's word for it, also the name of the member that carries it in a message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }

    /// Reads Meta's word, in any letter case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Image, Self::Video, Self::Audio, Self::Document, Self::Sticker]
            .into_iter()
            .find(|kind| text.eq_ignore_ascii_case(kind.as_str()))
    }

    /// The largest file of this kind that Meta takes, in bytes (stickers: animated).
    #[must_use]
    pub const fn max_bytes(self) -> u64 {
        match self {
            Self::Image => 5 * MEGABYTE,
            Self::Video | Self::Audio => 16 * MEGABYTE,
            Self::Document => 100 * MEGABYTE,
            Self::Sticker => 500 * 1_024,
        }
    }

    /// Whether a caption may stand beside it.
    #[must_use]
    pub const fn takes_caption(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }
}

/// What the bytes look like. Containers that hold several types are told apart by the declared
/// type only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Signature {
    Jpeg,
    Png,
    Webp,
    Pdf,
    /// Word, Excel, PowerPoint before 2007.
    OleDocument,
    /// Word, Excel, PowerPoint since 2007.
    OfficeOpenXml,
    /// MP4, 3GP, M4A.
    IsoMedia,
    Ogg,
    Amr,
    Mp3,
    Aac,
    /// Valid UTF-8 without control characters other than tab, CR and LF.
    Text,
}

struct MediaType {
    mime: &'static str,
    kind: MediaKind,
    signature: Signature,
    extension: &'static str,
}

const fn entry(
    mime: &'static str,
    kind: MediaKind,
    signature: Signature,
    extension: &'static str,
) -> MediaType {
    MediaType { mime, kind, signature, extension }
}

const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SLIDES: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

const TYPES: &[MediaType] = &[
    entry("image/jpeg", MediaKind::Image, Signature::Jpeg, "jpg"),
    entry("image/png", MediaKind::Image, Signature::Png, "png"),
    entry("image/webp", MediaKind::Sticker, Signature::Webp, "webp"),
    entry("video/mp4", MediaKind::Video, Signature::IsoMedia, "mp4"),
    entry("video/3gpp", MediaKind::Video, Signature::IsoMedia, "3gp"),
    entry("audio/aac", MediaKind::Audio, Signature::Aac, "aac"),
    entry("audio/amr", MediaKind::Audio, Signature::Amr, "amr"),
    entry("audio/mpeg", MediaKind::Audio, Signature::Mp3, "mp3"),
    entry("audio/mp4", MediaKind::Audio, Signature::IsoMedia, "m4a"),
    entry("audio/ogg", MediaKind::Audio, Signature::Ogg, "ogg"),
    entry("text/plain", MediaKind::Document, Signature::Text, "txt"),
    entry("application/pdf", MediaKind::Document, Signature::Pdf, "pdf"),
    entry("application/msword", MediaKind::Document, Signature::OleDocument, "doc"),
    entry("application/vnd.ms-excel", MediaKind::Document, Signature::OleDocument, "xls"),
    entry("application/vnd.ms-powerpoint", MediaKind::Document, Signature::OleDocument, "ppt"),
    entry(WORD, MediaKind::Document, Signature::OfficeOpenXml, "docx"),
    entry(SHEET, MediaKind::Document, Signature::OfficeOpenXml, "xlsx"),
    entry(SLIDES, MediaKind::Document, Signature::OfficeOpenXml, "pptx"),
];

/// A supported media type in Meta's spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MimeType(String);

impl MimeType {
    /// The type of bytes of which no more is known, as RFC 2046 has it.
    pub const UNKNOWN: &str = "application/octet-stream";

    /// The type of a file that came with one Meta does not list: people may send any document.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Self::UNKNOWN.to_owned())
    }

    /// Reads a declared type: parameters after `;` are dropped, letter case is ignored, and the
    /// unregistered names in use (`image/jpg`, `image/pjpeg`, `video/3gp`) become the registered.
    /// `None` where Meta supports no such type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let known = match essence.as_str() {
            "image/jpg" | "image/pjpeg" => "image/jpeg",
            "video/3gp" => "video/3gpp",
            other => other,
        };
        find(known).map(|media_type| Self(media_type.mime.to_owned()))
    }

    /// The type whose files usually have this extension (without a dot), in any letter case.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        let usual = match extension.as_str() {
            "jpeg" => "jpg",
            "3gpp" => "3gp",
            "oga" | "opus" => "ogg",
            other => other,
        };
        let found = TYPES.iter().find(|media_type| media_type.extension == usual);
        found.map(|media_type| Self(media_type.mime.to_owned()))
    }

    /// The first type of a kind whose files look like this.
    #[must_use]
    pub fn of_signature(kind: MediaKind, signature: Signature) -> Option<Self> {
        let fits =
            |media_type: &&MediaType| media_type.kind == kind && media_type.signature == signature;
        TYPES.iter().find(fits).map(|media_type| Self(media_type.mime.to_owned()))
    }

    /// The type's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is for WhatsApp.
    #[must_use]
    pub fn kind(&self) -> MediaKind {
        find(&self.0).map_or(MediaKind::Document, |media_type| media_type.kind)
    }

    /// The usual file extension, without a dot.
    #[must_use]
    pub fn extension(&self) -> &'static str {
        find(&self.0).map_or("bin", |media_type| media_type.extension)
    }

    /// Whether bytes with this signature may be of this type.
    #[must_use]
    pub fn fits(&self, signature: Signature) -> bool {
        find(&self.0).is_some_and(|media_type| media_type.signature == signature)
    }
}

fn find(mime: &str) -> Option<&'static MediaType> {
    TYPES.iter().find(|media_type| media_type.mime == mime)
}

/// What the first bytes of a file look like. `complete` says whether `head` is the whole file: a
/// text that is cut may end inside a character.
#[must_use]
pub fn sniff(head: &[u8], complete: bool) -> Option<Signature> {
    let signature = match head {
        [0xFF, 0xD8, 0xFF, ..] => Signature::Jpeg,
        [0x89, b'P', b'N', b'G', ..] => Signature::Png,
        [b'%', b'P', b'D', b'F', b'-', ..] => Signature::Pdf,
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, ..] => Signature::OleDocument,
        [0x50, 0x4B, 0x03, 0x04, ..] => Signature::OfficeOpenXml,
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Signature::IsoMedia,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Signature::Webp,
        [b'O', b'g', b'g', b'S', ..] => Signature::Ogg,
        [b'#', b'!', b'A', b'M', b'R', ..] => Signature::Amr,
        [b'I', b'D', b'3', ..] => Signature::Mp3,
        // MPEG audio frames begin with eleven set bits; AAC in ADTS has layer 0.
        [0xFF, second, ..] if second & 0xF6 == 0xF0 => Signature::Aac,
        [0xFF, second, ..] if second & 0xE0 == 0xE0 => Signature::Mp3,
        _ if is_text(head, complete) => Signature::Text,
        _ => return None,
    };
    Some(signature)
}

fn is_text(head: &[u8], complete: bool) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if !complete && error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && !text.chars().any(|char| char.is_control() && !matches!(char, '\t' | '\r' | '\n'))
}

/// A type that the declared one and the bytes agree on.
///
/// The bytes win over the declaration where they show another type of the same kind (a PNG
/// declared as JPEG); where they show nothing known, the declaration stands.
///
/// # Errors
/// The signature of another kind: what the bytes look like, for the message.
pub fn settle_type(
    declared: &MimeType,
    head: &[u8],
    complete: bool,
) -> Result<MimeType, Signature> {
    let Some(signature) = sniff(head, complete) else { return Ok(declared.clone()) };
    if declared.fits(signature) {
        return Ok(declared.clone());
    }
    MimeType::of_signature(declared.kind(), signature).ok_or(signature)
}

/// A file name that is safe to show and to send: directory parts and control characters removed,
/// at most [`MAX_FILENAME_BYTES`]. `None` where nothing is left.
#[must_use]
pub fn clean_filename(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|char| !is_invisible(*char)).collect();
    while clean.len() > MAX_FILENAME_BYTES {
        clean.pop();
    }
    let clean = clean.trim();
    (!clean.is_empty() && clean != "." && clean != "..").then(|| clean.to_owned())
}

/// Control characters and the marks that turn the reading direction, with which a name can hide
/// its extension.
fn is_invisible(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mime(text: &str) -> MimeType {
        MimeType::parse(text).unwrap()
    }

    #[test]
    fn reads_declared_types_with_their_aliases() {
        for (text, expected) in [
            ("image/jpg", "image/jpeg"),
            ("IMAGE/PJPEG", "image/jpeg"),
            ("video/3gp", "video/3gpp"),
            ("text/plain; charset=utf-8", "text/plain"),
            (" application/pdf ", "application/pdf"),
        ] {
            assert_eq!(mime(text).as_str(), expected);
        }
        for text in ["image/gif", "", "audio", "application/zip", "image/svg+xml", "text/html"] {
            assert_eq!(MimeType::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_of_no_known_type_is_a_document_and_nothing_else() {
        let unknown = MimeType::unknown();
        assert_eq!((unknown.kind(), unknown.extension()), (MediaKind::Document, "bin"));
        assert_eq!(MimeType::parse(unknown.as_str()), None, "nobody may send it");
        assert!(!unknown.fits(Signature::Text));
    }

    #[test]
    fn extensions_name_types() {
        for (extension, expected) in [
            ("jpg", "image/jpeg"),
            ("JPEG", "image/jpeg"),
            ("3gpp", "video/3gpp"),
            ("opus", "audio/ogg"),
        ] {
            assert_eq!(MimeType::of_extension(extension), Some(mime(expected)));
        }
        for extension in ["", "gif", "exe", "jpg "] {
            assert_eq!(MimeType::of_extension(extension), None, "{extension}");
        }
    }

    #[test]
    fn bytes_win_over_the_declaration_within_a_kind() {
        let png = b"\x89PNG\r\n\x1a\n";
        assert_eq!(settle_type(&mime("image/jpeg"), png, true), Ok(mime("image/png")));
        assert_eq!(settle_type(&mime("image/png"), png, true), Ok(mime("image/png")));
        assert_eq!(settle_type(&mime("image/png"), b"%PDF-1.7", true), Err(Signature::Pdf));
        assert_eq!(
            settle_type(&mime("application/pdf"), b"\x01\x02", true),
            Ok(mime("application/pdf"))
        );
        let ole = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1";
        let excel = mime("application/vnd.ms-excel");
        assert_eq!(settle_type(&excel, ole, true), Ok(excel.clone()));
        assert_eq!(
            settle_type(&mime("video/mp4"), b"\0\0\0\x18ftyp3gp5", true),
            Ok(mime("video/mp4"))
        );
    }

    #[test]
    fn text_is_utf_8_without_control_characters() {
        assert_eq!(sniff("grüße\n".as_bytes(), true), Some(Signature::Text));
        assert_eq!(sniff(&"ü".as_bytes()[..1], true), None);
        assert_eq!(sniff(b"ab\xC3", false), Some(Signature::Text));
        assert_eq!(sniff(b"a\0b", true), None);
        assert_eq!(sniff(b"", true), None);
    }

    #[test]
    fn file_names_lose_directories_and_hidden_characters() {
        for (name, expected) in [
            ("a.pdf", Some("a.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\temp\\a.pdf", Some("a.pdf")),
            ("a\r\nb\".pdf", Some("ab\".pdf")),
            ("evil\u{202E}fdp.exe", Some("evilfdp.exe")),
            ("..", None),
            ("dir/", None),
        ] {
            assert_eq!(clean_filename(name).as_deref(), expected, "{name}");
        }
        assert_eq!(clean_filename(&"ü".repeat(300)).unwrap().len(), MAX_FILENAME_BYTES);
    }
}
