//! Media objects: the one inside a message and the one inside a template's header.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{InlineFile, MAX_CAPTION_CHARS, MediaMessage};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, ErrorKind, Failure, MediaId, MediaSource};

use super::{MAX_ID_CHARS, media_kind};
use crate::json::{Field, Object, Type};
use crate::link::{MAX_LINK_CHARS, WEB_LINK, is_web_link};
use crate::replyhero::wire::member;
use crate::replyhero::{file_data, media_type};

/// A media object, read.
pub(super) struct Media {
    pub(super) draft: MediaDraft,
    caption: Option<String>,
    pub(super) filename: Option<String>,
}

/// Where a media object says that its file is, before the file itself is read.
enum Origin<'a> {
    Id(String),
    File(Object<'a>),
    Link(String),
}

/// The content of a message of a media type.
pub(super) fn content(
    message: &Object<'_>,
    kind: MediaKind,
) -> Result<Content<MediaDraft>, Failure> {
    let [proper, media, heading] =
        message.fields([kind.as_str(), member::MEDIA, member::MEDIA_ALIAS]);
    let object = proper.or(media).or(heading).object()?;
    let [file, link] = object.fields([member::FILE, member::LINK]);
    let origin = if file.is_given() {
        Origin::File(file.object()?)
    } else if link.is_given() {
        Origin::Link(url(&link)?)
    } else {
        return Err(file.missing());
    };
    let Media { draft, caption, filename } = finish(&object, kind, origin)?;
    Ok(Content::Media(MediaMessage { kind, media: draft, caption, filename, voice: false }))
}

/// The media object of a template's header. An `id` wins over the others.
pub(super) fn header(object: &Object<'_>, kind: MediaKind) -> Result<Media, Failure> {
    let [id, link, file] = object.fields([member::ID, member::LINK, member::FILE]);
    let elsewhere = link.is_given() || file.is_given();
    let origin = if id.is_given() && !(id.is_blank() && elsewhere) {
        Origin::Id(id.id(MAX_ID_CHARS)?)
    } else if file.is_given() {
        Origin::File(file.object()?)
    } else if link.is_given() {
        Origin::Link(url(&link)?)
    } else {
        return Err(id.missing());
    };
    finish(object, kind, origin)
}

/// Reads what stands beside the file, then the file.
fn finish(object: &Object<'_>, kind: MediaKind, origin: Origin<'_>) -> Result<Media, Failure> {
    let [caption, filename, provider] =
        object.fields([member::CAPTION, member::FILENAME, member::PROVIDER]);
    let caption = caption.optional_text(MAX_CAPTION_CHARS)?.map(|text| text.into_owned());
    let filename = match kind {
        MediaKind::Document => {
            filename.optional_string()?.and_then(|name| clean_filename(&name.decoded()))
        }
        _ => None,
    };
    let (field, source) = match origin {
        Origin::Id(id) => (object.path_of(member::ID), MediaSource::Id(MediaId::new(id))),
        Origin::Link(url) => {
            let provider = provider_name(&provider)?;
            (object.path_of(member::LINK), MediaSource::Link { url, provider })
        }
        Origin::File(file) => {
            (file.path_of(member::DATA), MediaSource::Inline(inline_file(&file, kind)?))
        }
    };
    let filename = match (&source, kind) {
        (MediaSource::Inline(file), MediaKind::Document) => filename.or_else(|| file.name.clone()),
        _ => filename,
    };
    let draft = MediaDraft { kind, source, field };
    Ok(Media { draft, caption, filename })
}

/// An http or https URL with a host, as it was written.
fn url(link: &Field<'_>) -> Result<String, Failure> {
    let text = link.text(MAX_LINK_CHARS)?;
    let text = text.trim();
    if is_web_link(text) { Ok(text.to_owned()) } else { Err(link.invalid(WEB_LINK)) }
}

/// A provider's name: a string, or Meta's older `{"name":"…"}`.
fn provider_name(provider: &Field<'_>) -> Result<Option<String>, Failure> {
    let is_object =
        provider.is_given() && provider.required().is_ok_and(|node| node.kind() == Type::Object);
    let name = if is_object {
        let [name] = provider.object()?.fields([member::NAME]);
        name.optional_text(MAX_ID_CHARS)?
    } else {
        provider.optional_text(MAX_ID_CHARS)?
    };
    Ok(name.map(|name| name.into_owned()))
}

fn inline_file(file: &Object<'_>, kind: MediaKind) -> Result<InlineFile, Failure> {
    let [name, declared, display, extension, data] = file.fields([
        member::NAME,
        member::TYPE,
        member::DISPLAY_TYPE,
        member::EXTENSION,
        member::DATA,
    ]);
    let name = clean_filename(&name.string()?.decoded());
    let declared = {
        let text = declared.string()?.decoded();
        media_type::parse(&text).filter(|mime_type| mime_type.kind() == kind).ok_or_else(|| {
            let message = format!(
                "{} must be the type of a file of kind {}, one of {}.",
                declared.path(),
                kind.as_str(),
                media_type::supported(Some(kind))
            );
            declared.failure(ErrorKind::UnsupportedMediaType, message)
        })?
    };
    if media_kind(&display.string()?.decoded()).is_none() {
        return Err(display.invalid("must be IMAGE, DOCUMENT or VIDEO"));
    }
    extension.string()?;
    require_spelled_bytes(&data)?;
    let read = file_data::read(data.required()?, &declared)
        .ok_or_else(|| data.invalid("holds no bytes that can be read; send them as base64"))?;
    let mime_type = media_type::settle(&declared, &read.bytes, read.is_whole())
        .map_err(|shown| media_type::contradiction(&data.path(), &declared, shown))?;
    if read.size > kind.max_bytes() {
        return Err(media_type::too_large(&data.path(), kind));
    }
    Ok(InlineFile { bytes: read.bytes, mime_type, name })
}

/// A string that is not blank, an array, or `{"type":"Buffer","data":[…]}`.
fn require_spelled_bytes(data: &Field<'_>) -> Result<(), Failure> {
    let node = data.required()?;
    match node.kind() {
        Type::Array => Ok(()),
        Type::Object => {
            let [kind] = node.pick([member::TYPE]);
            let is_buffer =
                kind.and_then(|kind| kind.string()).is_some_and(|kind| kind.is("Buffer"));
            if is_buffer { Ok(()) } else { Err(data.wrong_type("a string", node)) }
        }
        _ => data.string().map(|_| ()),
    }
}
