//! The type blocks of a message but for templates and interactive ones: text, media, location.

use waypost_domain::command::{MediaDraft, TemplateBinding};
use waypost_domain::content::{Location, MAX_CAPTION_CHARS, MAX_TEXT_CHARS, MediaMessage};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, ErrorKind, Failure, MediaSource};

use super::{MAX_NAME_CHARS, block, interactive, kind_of_link, link, refused, templates};
use crate::json::{Field, Object, Type};
use crate::pepipost::wire::{self, member};

/// The longest name and address of a place, in code points.
const MAX_PLACE_CHARS: usize = 1_024;
const BAD_LOCATION: &str = "Invalid value in location parameter.";

/// A message's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Text,
    Media,
    Location,
    Template,
    MediaTemplate,
    Interactive,
}

impl MessageKind {
    /// Reads the vendor's word, in any letter case.
    pub(super) fn parse(word: &str) -> Option<Self> {
        [
            ("text", Self::Text),
            ("media", Self::Media),
            ("location", Self::Location),
            ("template", Self::Template),
            ("media_template", Self::MediaTemplate),
            ("interactive", Self::Interactive),
        ]
        .into_iter()
        .find_map(|(name, kind)| word.eq_ignore_ascii_case(name).then_some(kind))
    }

    /// Whether the vendor's table for it demands a source.
    pub(super) fn needs_source(self, element: &Object<'_>) -> bool {
        match self {
            Self::Location | Self::Template => true,
            Self::Media => !is_by_url(element),
            Self::Text | Self::MediaTemplate | Self::Interactive => false,
        }
    }
}

/// What a message says, and a template's values.
type Said = (Content<MediaDraft>, Option<TemplateBinding>);

/// Reads the block of a type.
pub(super) fn read(kind: MessageKind, element: &Object<'_>) -> Result<Said, Failure> {
    let content = match kind {
        MessageKind::Text => text(element)?,
        MessageKind::Media => media(element)?,
        MessageKind::Location => location(element)?,
        MessageKind::Interactive => interactive::read(element)?,
        MessageKind::Template => return templates::read(element, false),
        MessageKind::MediaTemplate => return templates::read(element, true),
    };
    Ok((content, None))
}

/// A text within a limit of its own.
fn bounded(field: &Field<'_>, name: &str, max_chars: usize) -> Result<Option<String>, Failure> {
    if field.is_blank() {
        return Ok(None);
    }
    let text = field.optional_text(max_chars).map_err(|failure| match failure.kind {
        ErrorKind::ValueTooLong => {
            refused(field, &format!("{name} cannot be greater than {max_chars} characters"))
        }
        _ => failure,
    })?;
    Ok(text.map(|text| text.into_owned()))
}

fn text(element: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let block = block(element, member::TYPE_TEXT)?;
    let [content, preview] = block.fields([member::CONTENT, member::PREVIEW_URL]);
    let body = bounded(&content, member::CONTENT, MAX_TEXT_CHARS)?;
    let body = body.ok_or_else(|| content.missing())?;
    let preview = preview.optional_lenient_text(MAX_NAME_CHARS).ok().flatten();
    let preview_url = preview.is_some_and(|word| word.trim().eq_ignore_ascii_case("true"));
    Ok(Content::Text { body, preview_url })
}

fn attachment<'a>(element: &Object<'a>) -> Result<Object<'a>, Failure> {
    block(&block(element, member::TYPE_MEDIA)?, member::ATTACHMENTS)
}

fn is_by_url(element: &Object<'_>) -> bool {
    attachment(element).is_ok_and(|attachment| {
        let [id, url] = attachment.fields([member::ATTACHMENT_ID, member::ATTACHMENT_URL]);
        id.is_blank() && !url.is_blank()
    })
}

fn media(element: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let attachment = attachment(element)?;
    let [id, url, word, caption, filename] = attachment.fields([
        member::ATTACHMENT_ID,
        member::ATTACHMENT_URL,
        member::ATTACHMENT_TYPE,
        member::CAPTION,
        member::FILENAME,
    ]);
    let (kind, source, field) = if !id.is_blank() {
        let file = wire::media_id(&id.id(MAX_NAME_CHARS)?);
        // What it is, the file itself says once it is found.
        (MediaKind::Document, MediaSource::IdOfItsKind(file), id.path())
    } else if !url.is_blank() {
        let link = link(&url)?;
        let kind = attachment_kind(&word, &link)?;
        (kind, MediaSource::Link { url: link, provider: None }, url.path())
    } else {
        return Err(id.missing());
    };
    let is_by_id = matches!(source, MediaSource::IdOfItsKind(_));
    let caption = bounded(&caption, member::CAPTION, MAX_CAPTION_CHARS)?;
    let filename = filename.optional_text(usize::MAX)?.and_then(|name| clean_filename(&name));
    Ok(Content::Media(MediaMessage {
        kind,
        media: MediaDraft { kind, source, field },
        caption: caption.filter(|_| is_by_id || kind.takes_caption()),
        filename: filename.filter(|_| kind == MediaKind::Document),
        voice: false,
    }))
}

fn attachment_kind(word: &Field<'_>, link: &str) -> Result<MediaKind, Failure> {
    if word.is_blank() {
        return kind_of_link(link).ok_or_else(|| word.missing());
    }
    let known = word.lenient_text(MAX_NAME_CHARS).ok().and_then(|it| MediaKind::parse(it.trim()));
    known.ok_or_else(|| {
        refused(word, "attachment_type can only be image/video/audio/document/sticker")
    })
}

fn location(element: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let block = block(element, member::TYPE_LOCATION)?;
    let [longitude, latitude, name, address] =
        block.fields([member::LONGITUDE, member::LATITUDE, member::NAME, member::ADDRESS]);
    let longitude = degrees(&longitude, 180.0)?;
    let latitude = degrees(&latitude, 90.0)?;
    let label = |field: &Field<'_>| {
        let text = field.optional_text(MAX_PLACE_CHARS).map_err(|failure| match failure.kind {
            ErrorKind::ValueTooLong => refused(field, BAD_LOCATION),
            _ => failure,
        })?;
        Ok::<_, Failure>(text.map(|text| text.into_owned()))
    };
    Ok(Content::Location(Location {
        latitude,
        longitude,
        name: label(&name)?,
        address: label(&address)?,
    }))
}

/// A number, or one in a string, no further from zero than `limit`.
fn degrees(field: &Field<'_>, limit: f64) -> Result<f64, Failure> {
    let node = field.required()?;
    let number = match node.kind() {
        Type::Number | Type::String => {
            let text = field.lenient_text(MAX_NAME_CHARS);
            text.ok().and_then(|text| text.trim().parse::<f64>().ok())
        }
        _ => None,
    };
    number.filter(|degrees| degrees.abs() <= limit).ok_or_else(|| refused(field, BAD_LOCATION))
}
