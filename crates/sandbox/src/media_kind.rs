//! Kinds of media with their types and sizes (reference §2), and what the first bytes of a file
//! say about its type. It decodes nothing.

/// Bytes of a file that are looked at.
pub(crate) const HEAD_BYTES: usize = 64;

const MIB: u64 = 1_048_576;
/// The largest file of any kind.
pub const MEDIA_FILE_MAX_BYTES: u64 = 100 * MIB;

/// The five kinds of media messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum MediaKind {
    Audio,
    Document,
    Image,
    Sticker,
    Video,
}

impl MediaKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Image => "image",
            Self::Sticker => "sticker",
            Self::Video => "video",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Audio, Self::Document, Self::Image, Self::Sticker, Self::Video]
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The kind whose rules hold for an uploaded file of this type.
    pub(crate) fn of_upload(mime: &str) -> Option<Self> {
        [Self::Image, Self::Sticker, Self::Video, Self::Audio, Self::Document]
            .into_iter()
            .find(|kind| kind.lists(mime))
    }

    /// Whether a message of this kind may carry a file of this type; in practice any type goes as
    /// a document.
    fn takes(self, mime: &str) -> bool {
        self == Self::Document || self.lists(mime)
    }

    /// Whether the type is one of this kind's own, by which an upload is judged.
    fn lists(self, mime: &str) -> bool {
        match self {
            Self::Audio => matches!(
                mime,
                "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" | "audio/opus"
            ),
            Self::Image => matches!(mime, "image/jpeg" | "image/png"),
            Self::Sticker => mime == "image/webp",
            Self::Video => matches!(mime, "video/mp4" | "video/3gpp"),
            Self::Document => mime.starts_with("application/") || mime.starts_with("text/"),
        }
    }

    /// The largest file, given its first bytes (animated stickers may be larger).
    pub(crate) fn max_bytes(self, head: &[u8]) -> u64 {
        match self {
            Self::Audio | Self::Video => 16 * MIB,
            Self::Document => MEDIA_FILE_MAX_BYTES,
            Self::Image => 5 * MIB,
            Self::Sticker if is_animated_webp(head) => 500 * 1_024,
            Self::Sticker => 100 * 1_024,
        }
    }

    /// The largest file whatever its first bytes are.
    pub(crate) fn max_bytes_at_all(self) -> u64 {
        match self {
            Self::Sticker => 500 * 1_024,
            other => other.max_bytes(&[]),
        }
    }

    /// Says why a file cannot be sent as this kind.
    pub(crate) fn check(self, mime: &str, head: &[u8], size: u64) -> Result<(), String> {
        if !self.takes(mime) {
            return Err(format!("A file of type {mime} cannot be sent as {}.", self.name()));
        }
        if size > self.max_bytes(head) {
            let max = self.max_bytes(head);
            return Err(format!("The file has {size} bytes; {} takes {max}.", self.name()));
        }
        if contradicts(mime, head) {
            return Err(format!("The content of the file is not of type {mime}."));
        }
        Ok(())
    }
}

/// The type without parameters, in lower case; `None` if it is no type at all.
pub(crate) fn essence(mime: &str) -> Option<String> {
    let essence = mime.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let (kind, name) = essence.split_once('/')?;
    let is_token = |text: &str| {
        !text.is_empty()
            && text.len() <= 127
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    (is_token(kind) && is_token(name)).then_some(essence)
}

/// Whether the first bytes show another type than the one that is claimed. Types that cannot be
/// told by their first bytes are believed.
fn contradicts(mime: &str, head: &[u8]) -> bool {
    match mime {
        "image/jpeg" => !head.starts_with(&[0xFF, 0xD8, 0xFF]),
        "image/png" => !head.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/webp" => !(head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP")),
        "video/mp4" | "video/3gpp" | "audio/mp4" => head.get(4..8) != Some(b"ftyp"),
        "audio/ogg" => !head.starts_with(b"OggS"),
        "audio/amr" => !head.starts_with(b"#!AMR"),
        _ => false,
    }
}

fn is_animated_webp(head: &[u8]) -> bool {
    head.get(12..16) == Some(b"VP8X") && head.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_sizes_are_those_of_the_reference() {
        let png = b"\x89PNG\r\n\x1a\n";
        assert!(MediaKind::Image.check("image/png", png, 5 * MIB).is_ok());
        assert!(MediaKind::Image.check("image/png", png, 5 * MIB + 1).is_err());
        assert!(MediaKind::Image.check("image/png", b"GIF89a", 10).is_err());
        assert!(MediaKind::Image.check("image/gif", b"GIF89a", 10).is_err());
        assert!(MediaKind::Document.check("application/zip", b"PK", 100 * MIB).is_ok());
        for (mime, head) in [("image/png", &png[..]), ("image/gif", b"GIF89a"), ("font/woff", b"")]
        {
            assert!(MediaKind::Document.check(mime, head, 6 * MIB).is_ok(), "{mime}");
        }
        assert!(MediaKind::Document.check("image/png", b"GIF89a", 10).is_err());
        assert_eq!(MediaKind::of_upload("image/png"), Some(MediaKind::Image));
        assert_eq!(MediaKind::of_upload("image/gif"), None);
        assert!(MediaKind::Audio.check("audio/ogg", b"OggS", 16 * MIB).is_ok());
        let mut webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02".to_vec();
        assert!(MediaKind::Sticker.check("image/webp", &webp, 400 * 1_024).is_ok());
        webp[20] = 0;
        assert!(MediaKind::Sticker.check("image/webp", &webp, 400 * 1_024).is_err());
    }

    #[test]
    fn reads_the_type_without_its_parameters() {
        assert_eq!(essence("Audio/OGG; codecs=opus").as_deref(), Some("audio/ogg"));
        assert_eq!(essence("png"), None);
        assert_eq!(essence("image/p ng"), None);
    }
}
