//! Text, media, a contact, a place.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{
    Contact, ContactName, ContactPhone, Location, MAX_CAPTION_CHARS, MAX_TEXT_CHARS, MediaMessage,
};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, Failure, MediaSource};

use super::{
    MAX_NAME_CHARS, MAX_PHONE_CHARS, MAX_WORD_CHARS, Said, any_of, filled, optional,
    text as required,
};
use crate::json::{Field, Object};
use crate::link::{MAX_LINK_CHARS, WEB_LINK, is_web_link};
use crate::lipachat::wire::member;

/// The most numbers of one contact.
const MAX_PHONES: usize = 10;
/// The kind of a contact's number where the request names none.
const DEFAULT_PHONE_KIND: &str = "CELL";

/// The names of a place's longitude; the right spelling wins.
pub(super) const LONGITUDE: &[&str] = &[member::LONGITUDE, member::LONGTITUDE];

/// `POST /api/v1/whatsapp/message/text`
pub(super) fn text(root: &Object<'_>) -> Result<Said, Failure> {
    let [message] = root.fields([member::MESSAGE]);
    let body = required(&message, MAX_TEXT_CHARS)?;
    Ok((Content::Text { body, preview_url: false }, None))
}

/// `POST /api/v1/whatsapp/media`
pub(super) fn media(root: &Object<'_>) -> Result<Said, Failure> {
    let [kind, link, caption, filename] =
        root.fields([member::MEDIA_TYPE, member::MEDIA_URL, member::CAPTION, member::FILENAME]);
    let word = kind.lenient_text(MAX_WORD_CHARS)?;
    let kind = MediaKind::parse(word.trim())
        .ok_or_else(|| kind.invalid("must be IMAGE, VIDEO, AUDIO, DOCUMENT or STICKER"))?;
    let url = self::link(&link)?;
    let caption = if kind.takes_caption() { optional(&caption, MAX_CAPTION_CHARS)? } else { None };
    let filename = file_name(&filename, kind)?;
    let source = MediaSource::Link { url, provider: None };
    let media = MediaDraft { kind, source, field: link.path() };
    Ok((Content::Media(MediaMessage { kind, media, caption, filename, voice: false }), None))
}

/// A document's name without directories; other kinds have none.
pub(super) fn file_name(field: &Field<'_>, kind: MediaKind) -> Result<Option<String>, Failure> {
    if kind != MediaKind::Document {
        return Ok(None);
    }
    let name = field.optional_lenient_text(usize::MAX)?;
    Ok(name.and_then(|name| clean_filename(&name)))
}

/// An http or https URL with a host, as it was written.
pub(super) fn link(field: &Field<'_>) -> Result<String, Failure> {
    let text = field.lenient_text(MAX_LINK_CHARS)?;
    let text = text.trim();
    if is_web_link(text) { Ok(text.to_owned()) } else { Err(field.invalid(WEB_LINK)) }
}

/// `POST /api/v1/whatsapp/contact`
pub(super) fn contact(root: &Object<'_>) -> Result<Said, Failure> {
    let [name, phones] = root.fields([member::NAME, member::PHONES]);
    let [formatted] = name.object()?.fields([member::FORMATTED_NAME]);
    let formatted_name = required(&formatted, MAX_NAME_CHARS)?;
    let phones = filled(&phones, MAX_PHONES)?
        .iter()
        .map(|phone| contact_phone(&phone.object()?))
        .collect::<Result<Vec<_>, Failure>>()?;
    // WhatsApp wants a second part of the name.
    let first_name = Some(formatted_name.clone());
    let name = ContactName { formatted_name, first_name, ..ContactName::default() };
    Ok((Content::Contacts(vec![Contact { name, phones, ..Contact::default() }]), None))
}

fn contact_phone(object: &Object<'_>) -> Result<ContactPhone, Failure> {
    let [phone, kind, wa_id] = object.fields([member::PHONE, member::TYPE, member::WA_ID]);
    let phone = Some(required(&phone, MAX_PHONE_CHARS)?);
    let kind = optional(&kind, MAX_WORD_CHARS)?;
    let kind = kind.map_or_else(|| DEFAULT_PHONE_KIND.to_owned(), |kind| kind.to_uppercase());
    let wa_id = optional(&wa_id, MAX_PHONE_CHARS)?;
    let wa_id = wa_id.map(|wa_id| wa_id.trim().trim_start_matches('+').to_owned());
    Ok(ContactPhone { phone, kind: Some(kind), wa_id })
}

/// `POST /api/v1/whatsapp/location`
pub(super) fn location(root: &Object<'_>) -> Result<Said, Failure> {
    let [latitude, name, address] = root.fields([member::LATITUDE, member::NAME, member::ADDRESS]);
    let location = Location {
        latitude: degrees(&latitude, 90.0)?,
        longitude: degrees(&any_of(root, LONGITUDE), 180.0)?,
        name: optional(&name, MAX_NAME_CHARS)?,
        address: optional(&address, MAX_NAME_CHARS)?,
    };
    Ok((Content::Location(location), None))
}

fn degrees(field: &Field<'_>, limit: f64) -> Result<f64, Failure> {
    let text = field.lenient_text(MAX_WORD_CHARS)?;
    let degrees = text.trim().parse::<f64>().ok().filter(|degrees| degrees.abs() <= limit);
    degrees.ok_or_else(|| field.invalid(&format!("must be a number from -{limit} to {limit}")))
}
