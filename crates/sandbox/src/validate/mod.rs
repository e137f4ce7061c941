//! Checks a `POST /{number}/messages` body by the rules of the reference §1 and names what is
//! wrong with Meta's codes. It needs no state: whether media, templates or people exist is seen
//! by the caller.

mod fields;
mod interactive;
mod template_create;
mod template_send;

use serde_json::{Map, Value};

pub(crate) use fields::Fields;
pub(crate) use template_create::{
    NewTemplate, check_category, check_components, check_new_template, check_ttl,
};
pub(crate) use template_send::check_template;

use crate::errors::{Answer, GraphError};
use crate::media_kind::MediaKind;
use crate::message_kind::{INBOUND_ONLY, listed, sendable};

const TEXT_MAX_CHARS: usize = 4_096;
const CAPTION_MAX_CHARS: usize = 1_024;
const OPAQUE_MAX_CHARS: usize = 512;
const CONTACTS_MAX: usize = 257;
/// Phones, e-mails, addresses or links of one contact.
const CONTACT_LIST_MAX: usize = 100;
const LINK_MAX_CHARS: usize = 8_192;

/// What a body asks for.
#[derive(Debug)]
pub(crate) enum Asked<'a> {
    Message(Outgoing<'a>),
    /// Read receipt, with or without the typing indicator.
    Receipt {
        message_id: &'a str,
    },
}

/// A message whose form is right.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// As given in `to` or `recipient`.
    pub(crate) input: &'a str,
    pub(crate) recipient: Recipient<'a>,
    pub(crate) kind: &'static str,
    /// The member named like the type.
    pub(crate) content: &'a Value,
    pub(crate) media: Vec<MediaRef<'a>>,
    pub(crate) opaque: Option<&'a str>,
    pub(crate) identity_hash: Option<&'a str>,
}

/// Whom a message is for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recipient<'a> {
    /// Digits.
    Phone(String),
    UserId(&'a str),
}

/// Media that a message refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MediaRef<'a> {
    pub(crate) kind: MediaKind,
    pub(crate) source: Source<'a>,
}

/// By what media is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    Id(&'a str),
    Link(&'a str),
}

/// Checks envelope, then content.
pub(crate) fn check(body: &Map<String, Value>) -> Answer<Asked<'_>> {
    check_product(body)?;
    if body.contains_key("status") {
        return check_receipt(body);
    }
    let (input, recipient) = check_recipient(body)?;
    let kind = check_kind(body)?;
    let opaque = check_opaque(body)?;
    let root = Fields::new(body, "");
    if let Some(context) = body.get("context") {
        let context = Fields::of(context, "context")?;
        context.text("message_id", usize::MAX)?;
    }
    let identity_hash = root.optional_text("recipient_identity_key_hash", usize::MAX)?;
    let content = body.get(kind).ok_or_else(|| missing(kind))?;
    let mut media = Vec::new();
    check_content(kind, content, &mut media)?;
    Ok(Asked::Message(Outgoing { input, recipient, kind, content, media, opaque, identity_hash }))
}

fn missing(name: &str) -> GraphError {
    GraphError::new(131_008, format!("Required parameter is missing: {name}"))
}

fn invalid(name: &str, why: &str) -> GraphError {
    GraphError::new(131_009, format!("{name}: {why}"))
}

/// `messaging_product` is `whatsapp`, here and in management calls.
pub(crate) fn check_product(body: &Map<String, Value>) -> Answer<()> {
    match body.get("messaging_product").and_then(Value::as_str) {
        Some(product) if product.eq_ignore_ascii_case("whatsapp") => Ok(()),
        _ => Err(GraphError::parameter("The parameter messaging_product is required: whatsapp.")),
    }
}

fn check_receipt(body: &Map<String, Value>) -> Answer<Asked<'_>> {
    let fields = Fields::new(body, "");
    if fields.text("status", 64)? != "read" {
        return Err(invalid("status", "must be read"));
    }
    let message_id = fields.text("message_id", usize::MAX)?;
    if let Some(typing) = body.get("typing_indicator") {
        let kind = Fields::of(typing, "typing_indicator")?.text("type", 64)?;
        if kind != "text" {
            return Err(invalid("typing_indicator.type", "must be text"));
        }
    }
    Ok(Asked::Receipt { message_id })
}

fn check_recipient(body: &Map<String, Value>) -> Answer<(&str, Recipient<'_>)> {
    let recipient_type = match body.get("recipient_type") {
        None | Some(Value::Null) => "individual",
        Some(value) => value.as_str().unwrap_or(""),
    };
    match recipient_type {
        "individual" => {}
        "group" => return Err(GraphError::new(131_041, "There is no such group.")),
        _ => return Err(GraphError::parameter("recipient_type is individual or group.")),
    }
    match (body.get("to"), body.get("recipient")) {
        (Some(Value::String(to)), _) => match phone_digits(to) {
            Some(digits) => Ok((to, Recipient::Phone(digits))),
            None => Err(invalid("to", "must be a phone number with country code")),
        },
        (Some(other), _) if !other.is_null() => Err(invalid("to", "must be a string")),
        (_, Some(Value::String(user_id))) if is_user_id(user_id) => {
            Ok((user_id, Recipient::UserId(user_id)))
        }
        (_, Some(other)) if !other.is_null() => {
            Err(invalid("recipient", "must be a business-scoped user id"))
        }
        _ => Err(GraphError::parameter("The parameter to is required.")),
    }
}

/// The digits of a phone number; `+ - ( )` and blanks are taken out.
pub(crate) fn phone_digits(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '0'..='9' => digits.push(character),
            '+' | '-' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    (7..=15).contains(&digits.len()).then_some(digits)
}

/// `CC.` or `CC.ENT.` and up to 128 alphanumerics.
pub(crate) fn is_user_id(text: &str) -> bool {
    let Some((country, id)) = text.split_once('.') else { return false };
    let id = id.strip_prefix("ENT.").unwrap_or(id);
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && (1..=128).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_kind(body: &Map<String, Value>) -> Answer<&'static str> {
    let name = match body.get("type") {
        None | Some(Value::Null) => return Ok("text"),
        Some(value) => value.as_str().unwrap_or(""),
    };
    if let Some(kind) = sendable().find(|kind| *kind == name) {
        return Ok(kind);
    }
    if INBOUND_ONLY.contains(&name) {
        return Err(GraphError::new(131_051, format!("Messages of type {name} cannot be sent.")));
    }
    Err(GraphError::parameter(format!("type must be one of: {}", listed(sendable()))))
}

fn check_opaque(body: &Map<String, Value>) -> Answer<Option<&str>> {
    let name = "biz_opaque_callback_data";
    let opaque = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().ok_or_else(|| invalid(name, "must be a string"))?,
    };
    if opaque.chars().count() > OPAQUE_MAX_CHARS {
        return Err(GraphError::parameter(format!("{name} has at most 512 characters.")));
    }
    Ok(Some(opaque))
}

fn check_content<'a>(
    kind: &'static str,
    content: &'a Value,
    media: &mut Vec<MediaRef<'a>>,
) -> Answer<()> {
    match kind {
        "text" => {
            let text = Fields::of(content, "text")?;
            text.text("body", TEXT_MAX_CHARS)?;
            text.optional_bool("preview_url")?;
        }
        "location" => check_location(content)?,
        "contacts" => check_contacts(content)?,
        "reaction" => {
            let reaction = Fields::of(content, "reaction")?;
            reaction.text("message_id", usize::MAX)?;
            reaction.any_text("emoji", 64)?;
        }
        "interactive" => interactive::check(content, media)?,
        "template" => check_template_form(content)?,
        media_kind => {
            if let Some(kind) = MediaKind::parse(media_kind) {
                media.push(check_media(content, kind, media_kind)?);
            }
        }
    }
    Ok(())
}

/// One of `id` and `link`; what belongs to the kind besides.
fn check_media<'a>(content: &'a Value, kind: MediaKind, at: &str) -> Answer<MediaRef<'a>> {
    let fields = Fields::of(content, at)?;
    let id = fields.optional_text("id", 128)?;
    let link = fields.optional_text("link", LINK_MAX_CHARS)?;
    let source = match (id, link) {
        (Some(_), Some(_)) => return Err(invalid(at, "takes either id or link, not both")),
        (None, None) => return Err(missing(&format!("{at}.id or {at}.link"))),
        (Some(id), None) => Source::Id(id),
        (None, Some(link)) => Source::Link(check_link(link, at)?),
    };
    if matches!(kind, MediaKind::Image | MediaKind::Video | MediaKind::Document) {
        fields.optional_any_text("caption", CAPTION_MAX_CHARS)?;
    }
    if kind == MediaKind::Document {
        fields.optional_any_text("filename", 1_024)?;
    }
    if kind == MediaKind::Audio {
        fields.optional_bool("voice")?;
    }
    Ok(MediaRef { kind, source })
}

fn check_link<'a>(link: &'a str, at: &str) -> Answer<&'a str> {
    if is_web_url(link) {
        return Ok(link);
    }
    Err(invalid(&format!("{at}.link"), "must be a valid URL"))
}

/// Whether it is an http or https address with a host.
pub(crate) fn is_web_url(text: &str) -> bool {
    url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn check_location(content: &Value) -> Answer<()> {
    let location = Fields::of(content, "location")?;
    location.degrees("latitude", 90.0)?;
    location.degrees("longitude", 180.0)?;
    location.optional_any_text("name", 1_000)?;
    location.optional_any_text("address", 1_000)?;
    Ok(())
}

fn check_contacts(content: &Value) -> Answer<()> {
    let contacts = content.as_array().ok_or_else(|| invalid("contacts", "must be an array"))?;
    if contacts.is_empty() || contacts.len() > CONTACTS_MAX {
        return Err(invalid("contacts", "must hold 1 to 257 contacts"));
    }
    for (index, contact) in contacts.iter().enumerate() {
        let at = format!("contacts[{index}]");
        let contact = Fields::of(contact, &at)?;
        check_contact_lists(&contact)?;
        let name = contact.object("name")?;
        name.text("formatted_name", 1_024)?;
        const PARTS: [&str; 5] = ["first_name", "last_name", "middle_name", "suffix", "prefix"];
        if !PARTS.into_iter().any(|part| name.has_text(part)) {
            return Err(missing(&format!("{at}.name.first_name or another part of the name")));
        }
    }
    Ok(())
}

/// The lists of a contact hold objects; a birthday is a date.
fn check_contact_lists(contact: &Fields<'_>) -> Answer<()> {
    for name in ["phones", "emails", "addresses", "urls"] {
        if contact.get(name).is_none() {
            continue;
        }
        for (index, element) in contact.array(name, 0..=CONTACT_LIST_MAX)?.iter().enumerate() {
            Fields::of(element, &contact.path(&format!("{name}[{index}]")))?;
        }
    }
    contact.optional_object("org")?;
    let Some(birthday) = contact.optional_text("birthday", 10)? else { return Ok(()) };
    let is_date = birthday.len() == 10
        && birthday.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if is_date { Ok(()) } else { Err(invalid(&contact.path("birthday"), "must be YYYY-MM-DD")) }
}

/// What can be said about a template send without knowing the template.
fn check_template_form(content: &Value) -> Answer<()> {
    let template = Fields::of(content, "template")?;
    template.text("name", 512)?;
    let language = template.object("language")?;
    language.text("code", 16)?;
    let policy = language.optional_text("policy", 64)?;
    if policy.is_some_and(|policy| policy != "deterministic") {
        return Err(invalid("template.language.policy", "must be deterministic"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The code a body is refused with; 0 if it is accepted.
    fn code(body: &Value) -> i64 {
        match check(body.as_object().unwrap()) {
            Ok(_) => 0,
            Err(error) => error.number(),
        }
    }

    fn message(kind: &str, content: Value) -> Value {
        let mut body = json!({"messaging_product": "whatsapp", "to": "15550001111", "type": kind});
        body[kind] = content;
        body
    }

    #[test]
    fn checks_the_envelope() {
        let text = json!({"body": "hi"});
        let cases = [
            (json!({"to": "15550001111", "text": text}), 100),
            (json!({"messaging_product": "whatsapp", "text": text}), 100),
            (json!({"messaging_product": "whatsapp", "to": "15550001111", "text": text}), 0),
            (json!({"messaging_product": "whatsapp", "to": "+1 (555) 000-1111", "text": text}), 0),
            (json!({"messaging_product": "whatsapp", "to": "abc", "text": text}), 131_009),
            (
                json!({"messaging_product": "whatsapp", "to": 15_550_001_111_i64, "text": text}),
                131_009,
            ),
            (json!({"messaging_product": "whatsapp", "recipient": "US.13491", "text": text}), 0),
            (json!({"messaging_product": "whatsapp", "recipient": "x", "text": text}), 131_009),
            (
                json!({"messaging_product": "whatsapp", "to": "1555000111", "recipient_type": "group", "text": text}),
                131_041,
            ),
            (
                json!({"messaging_product": "whatsapp", "to": "15550001111", "type": "text"}),
                131_008,
            ),
            (
                json!({"messaging_product": "whatsapp", "to": "15550001111", "type": "hologram"}),
                100,
            ),
            (
                json!({"messaging_product": "whatsapp", "to": "15550001111", "type": "system"}),
                131_051,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(code(&body), expected, "{body}");
        }
    }

    #[test]
    fn keeps_512_characters_of_callback_data_and_refuses_513() {
        let mut body = message("text", json!({"body": "hi"}));
        body["biz_opaque_callback_data"] = "é".repeat(512).into();
        assert_eq!(code(&body), 0);
        body["biz_opaque_callback_data"] = "é".repeat(513).into();
        assert_eq!(code(&body), 100);
    }

    #[test]
    fn checks_each_type() {
        let link = "https://example.com/a.jpg";
        let name = json!({"formatted_name": "Ann B", "first_name": "Ann"});
        let cases = [
            ("text", json!({}), 131_008),
            ("text", json!({"body": {}}), 131_009),
            ("text", json!({"body": "é".repeat(4_096)}), 0),
            ("text", json!({"body": "x".repeat(4_097)}), 131_009),
            ("text", json!({"body": "x", "preview_url": "yes"}), 131_009),
            ("image", json!({"id": "1", "link": link}), 131_009),
            ("image", json!({}), 131_008),
            ("image", json!({"link": "nonsense"}), 131_009),
            ("image", json!({"link": "ftp://example.com/a"}), 131_009),
            ("image", json!({"link": link, "caption": "x".repeat(1_024)}), 0),
            ("image", json!({"link": link, "caption": "x".repeat(1_025)}), 131_009),
            ("audio", json!({"link": link, "caption": "x".repeat(2_000)}), 0),
            ("document", json!({"id": "1", "filename": "a.pdf"}), 0),
            ("location", json!({"latitude": 1.5, "longitude": "-3.2", "name": "Here"}), 0),
            ("location", json!({"latitude": 1.5}), 131_008),
            ("location", json!({"latitude": 91, "longitude": 0}), 131_009),
            ("contacts", json!([{"name": name}]), 0),
            ("contacts", json!([{"name": {"formatted_name": "Ann"}}]), 131_008),
            ("contacts", json!([]), 131_009),
            ("contacts", json!([{"name": name, "phones": [{"phone": "+15550001111"}]}]), 0),
            ("contacts", json!([{"name": name, "phones": ["+15550001111"]}]), 131_009),
            ("contacts", json!([{"name": name, "birthday": "1990-02-03"}]), 0),
            ("contacts", json!([{"name": name, "birthday": "3.2.1990"}]), 131_009),
            ("reaction", json!({"message_id": "wamid.x", "emoji": ""}), 0),
            ("reaction", json!({"message_id": "wamid.x"}), 131_008),
            ("template", json!({"name": "a"}), 131_008),
            ("template", json!({"name": "a", "language": {"code": "en", "policy": "x"}}), 131_009),
        ];
        for (kind, content, expected) in cases {
            assert_eq!(code(&message(kind, content.clone())), expected, "{kind} {content}");
        }
    }

    #[test]
    fn checks_receipts() {
        let read = |extra: Value| {
            let mut body = json!({"messaging_product": "whatsapp", "status": "read"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            code(&body)
        };
        assert_eq!(read(json!({"message_id": "wamid.x"})), 0);
        assert_eq!(read(json!({})), 131_008);
        let typing = json!({"message_id": "wamid.x", "typing_indicator": {"type": "text"}});
        assert_eq!(read(typing), 0);
        let wrong = json!({"message_id": "wamid.x", "typing_indicator": {"type": "voice"}});
        assert_eq!(read(wrong), 131_009);
    }
}
