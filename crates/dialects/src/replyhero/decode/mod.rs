//! Requests to commands. Checks run in the order of the vendor reference's tables, and the first
//! that fails is the answer; nothing here asks whether an id exists.

mod media;
mod template;

use waypost_domain::command::{MediaDraft, Recipient};
use waypost_domain::content::{MAX_TEXT_CHARS, TemplateMessage};
use waypost_domain::media::{MediaKind, clean_filename};
use waypost_domain::{Content, CustomerId, ErrorKind, Failure, OrgId, UserId};

use super::media_type;
use super::wire::member;
use crate::contract::{Broadcast, Command, Form, SendMessage, UploadMedia};
use crate::json::{self, Field, Object};

/// The longest identifier, and the longest `sessionId`, in code points.
const MAX_ID_CHARS: usize = 256;
/// The longest template name, in code points (Meta's limit).
const MAX_TEMPLATE_NAME_CHARS: usize = 512;

/// `POST /whatsapp/messages/send`
pub(super) fn send_message(body: &[u8]) -> Result<Command, Failure> {
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [message, session, customer, user, org] = root.fields([
        member::MESSAGE,
        member::SESSION_ID,
        member::CUSTOMER_ID,
        member::USER_ID,
        member::ORG_ID,
    ]);
    let content = content(&message.object()?)?;
    let session_id = Some(session.id(MAX_ID_CHARS)?);
    let recipient = Recipient::Customer(CustomerId::new(customer.id(MAX_ID_CHARS)?));
    let user_id = Some(UserId::new(user.id(MAX_ID_CHARS)?));
    let org_id = OrgId::new(org.id(MAX_ID_CHARS)?);
    Ok(Command::SendMessage(Box::new(SendMessage {
        session_id,
        user_id,
        ..SendMessage::new(org_id, recipient, content)
    })))
}

fn content(message: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let [kind] = message.fields([member::TYPE]);
    let word = kind.string()?;
    let word = if word.is_longer_than(MAX_ID_CHARS) { "".into() } else { word.decoded() };
    if word.eq_ignore_ascii_case(member::TEXT) {
        return text(message);
    }
    match media_kind(&word) {
        Some(kind) => media::content(message, kind),
        None => Err(kind.failure(
            ErrorKind::UnsupportedMessageType,
            format!("{} must be text, image, document or video.", kind.path()),
        )),
    }
}

fn text(message: &Object<'_>) -> Result<Content<MediaDraft>, Failure> {
    let [text] = message.fields([member::TEXT]);
    let [body] = text.object()?.fields([member::BODY]);
    let body = body.text(MAX_TEXT_CHARS)?.into_owned();
    Ok(Content::Text { body, preview_url: false })
}

/// The kinds of file that the vendor offers.
fn media_kind(word: &str) -> Option<MediaKind> {
    let offered = [MediaKind::Image, MediaKind::Document, MediaKind::Video];
    MediaKind::parse(word).filter(|kind| offered.contains(kind))
}

/// `POST /whatsapp/template/send`
pub(super) fn broadcast(body: &[u8]) -> Result<Command, Failure> {
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [name, session, user, org, components] = root.fields([
        member::TEMPLATE_NAME,
        member::SESSION_ID,
        member::USER_ID,
        member::ORG_ID,
        member::COMPONENTS,
    ]);
    let name = name.text(MAX_TEMPLATE_NAME_CHARS)?.into_owned();
    Ok(Command::Broadcast(Box::new(Broadcast {
        session_id: Some(session.id(MAX_ID_CHARS)?),
        user_id: Some(UserId::new(user.id(MAX_ID_CHARS)?)),
        org_id: OrgId::new(org.id(MAX_ID_CHARS)?),
        number: None,
        template: TemplateMessage {
            name,
            language: None,
            components: template::components(&components)?,
        },
    })))
}

/// `POST /whatsapp/uploads/media_upload`
pub(super) fn upload(form: &Form) -> Result<Command, Failure> {
    let org_id = form_text(form, member::ORG_ID)?;
    let declared = media_type::parse(form_text(form, member::TYPE)?).ok_or_else(|| {
        let message = format!("type must be one of {}.", media_type::supported(None));
        Failure::new(ErrorKind::UnsupportedMediaType, message).at(member::TYPE)
    })?;
    let place = Field::new(member::FILE, None);
    let file = form.file.as_ref().ok_or_else(|| place.missing())?;
    if file.size == 0 {
        return Err(place.invalid("is empty; attach a file with content"));
    }
    if file.size > declared.kind().max_bytes() {
        return Err(media_type::too_large(member::FILE, declared.kind()));
    }
    let mime_type = media_type::settle(&declared, &file.head, file.is_whole())
        .map_err(|shown| media_type::contradiction(member::FILE, &declared, shown))?;
    Ok(Command::UploadMedia(UploadMedia {
        org_id: OrgId::new(org_id),
        mime_type,
        filename: file.filename.as_deref().and_then(clean_filename),
    }))
}

/// A required text part without the blanks and the one pair of quotes around it that the vendor's
/// sample leaves in (`--form 'orgId="X"'`).
fn form_text<'a>(form: &'a Form, name: &str) -> Result<&'a str, Failure> {
    let place = Field::new(name, None);
    let written = form.field(name).ok_or_else(|| place.missing())?.trim();
    let inner = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let value = inner.unwrap_or(written);
    if value.trim().is_empty() {
        return Err(place.invalid("must not be blank"));
    }
    if value.contains('\0') {
        return Err(place.invalid("must not hold the character U+0000; remove it"));
    }
    if value.chars().nth(MAX_ID_CHARS).is_some() {
        let message = format!("{name} is longer than {MAX_ID_CHARS} characters; shorten it.");
        return Err(place.failure(ErrorKind::ValueTooLong, message));
    }
    Ok(value)
}
