//! The object `wa`: text, files, places and the deprecated `hsm`; contacts, lists and buttons are
//! next door.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::{
    Component, Location, MAX_CAPTION_CHARS, MAX_TEXT_CHARS, MediaMessage, Parameter,
    TemplateMessage,
};
use waypost_domain::media::{MediaKind, MimeType};
use waypost_domain::{Content, ErrorKind, Failure, MediaSource};

use super::file::{in_wa, link, shown_name};
use super::member::{Doom, Member, cut, members};
use super::{Said, contacts, interactive};
use crate::json::{Node, Type};
use crate::webex_connect::codes;
use crate::webex_connect::wire::member as name;

/// More variables than this do not fit into a template's body of 1,024 characters.
pub(super) const MAX_PARAMETERS: usize = 256;

/// `channels."OTT-Messaging".wa` of a message that is no template.
pub(super) fn read(channels: &Member<'_>) -> Result<Said, Failure> {
    let ott = match channels.optional_object()? {
        Some(channels) => members(channels, [name::OTT_MESSAGING])[0],
        None => Member::new(name::OTT_MESSAGING, None),
    };
    let [wa] = members(ott.object()?, [name::WA]);
    let wa = wa.object()?;
    let [kind, preview_url, identity] =
        members(wa, [name::TYPE, name::PREVIEW_URL, name::IDENTITY_KEY_HASH]);
    let mut doom = Doom::default();
    let word = kind.text()?.trim().to_ascii_lowercase();
    let content = of_type(&word, wa, (&kind, &preview_url), &mut doom)?;
    let identity_key_hash = identity.optional_text()?.map(|hash| hash.trim().to_owned());
    // The vendor looks a template up at once only where `message` names it.
    let tells_all_later = word == name::HSM;
    Ok(Said { content, binding: None, identity_key_hash, doom, tells_all_later })
}

/// The identity that a template's recipient must have. The rest of `wa` does not count there.
pub(super) fn identity_beside_template(channels: &Member<'_>) -> Result<Option<String>, Failure> {
    let Some(channels) = channels.optional_object()? else { return Ok(None) };
    let [ott] = members(channels, [name::OTT_MESSAGING]);
    let Some(ott) = ott.optional_object()? else { return Ok(None) };
    let [wa] = members(ott, [name::WA]);
    let Some(wa) = wa.optional_object()? else { return Ok(None) };
    let [identity] = members(wa, [name::IDENTITY_KEY_HASH]);
    Ok(identity.optional_text()?.map(|hash| hash.trim().to_owned()))
}

fn of_type(
    word: &str,
    wa: Node<'_>,
    (kind, preview_url): (&Member<'_>, &Member<'_>),
    doom: &mut Doom,
) -> Result<Content<MediaDraft>, Failure> {
    if let Some(media) = MediaKind::parse(word) {
        return file(members(wa, [media.as_str()])[0].object()?, media, doom);
    }
    let named = |name: &'static str| members(wa, [name])[0];
    match word {
        name::TEXT => text(named(name::TEXT).object()?, preview_url, doom),
        name::LOCATION => location(named(name::LOCATION).object()?, doom),
        name::CONTACTS => contacts::read(&named(name::CONTACTS), doom),
        name::LIST => interactive::list(named(name::LIST).object()?, doom),
        name::REPLY => interactive::reply(named(name::REPLY).object()?, doom),
        name::HSM => hsm(named(name::HSM).object()?, doom),
        _ => Err(kind.invalid()),
    }
}

fn text(
    text: Node<'_>,
    preview_beside: &Member<'_>,
    doom: &mut Doom,
) -> Result<Content<MediaDraft>, Failure> {
    let [body, preview_inside] = members(text, [name::BODY, name::PREVIEW_URL]);
    let written = body.text()?;
    let preview_url = flag(&preview_beside.or(preview_inside))?;
    let body = match cut(&written, MAX_TEXT_CHARS) {
        None => written.into_owned(),
        Some(start) => {
            let message = format!("The text is longer than {MAX_TEXT_CHARS} characters.");
            doom.because(ErrorKind::ValueTooLong, codes::MESSAGE_TOO_LONG, message);
            start.to_owned()
        }
    };
    Ok(Content::Text { body, preview_url })
}

/// A boolean, or its word.
fn flag(member: &Member<'_>) -> Result<bool, Failure> {
    match member.node() {
        Some(node) if node.kind() == Type::Boolean => Ok(node.written() == "true"),
        _ => match member.optional_text()?.as_deref().map(str::trim) {
            None => Ok(false),
            Some(word) if word.eq_ignore_ascii_case("true") => Ok(true),
            Some(word) if word.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(member.invalid()),
        },
    }
}

fn file(
    object: Node<'_>,
    kind: MediaKind,
    doom: &mut Doom,
) -> Result<Content<MediaDraft>, Failure> {
    let [url, mime_type, caption, filename] =
        members(object, [name::URL, name::MIME_TYPE, name::CAPTION, name::FILENAME]);
    let source = MediaSource::Link { url: link(&url)?, provider: None };
    judge_type(&mime_type.text()?, kind, doom);
    let caption = match kind.takes_caption() {
        true => caption.optional_text()?,
        false => None,
    };
    let caption = caption.map(|text| doom.within(text, MAX_CAPTION_CHARS, name::CAPTION));
    let field = in_wa(&format!("{}.{}", kind.as_str(), url.name()));
    let media = MediaDraft { kind, source, field };
    let filename = shown_name(&filename, kind)?;
    Ok(Content::Media(MediaMessage { kind, media, caption, filename, voice: false }))
}

/// Whether a declared type is one that WhatsApp takes for this kind. `<VIDEO/MP4>` is how the
/// vendor's own sample writes it.
fn judge_type(declared: &str, kind: MediaKind, doom: &mut Doom) {
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let essence = essence.trim_matches(['<', '>']);
    if MimeType::parse(essence).is_none_or(|mime_type| mime_type.kind() != kind) {
        let message = format!("`mimeType` is not one that WhatsApp takes as {}.", kind.as_str());
        doom.because(ErrorKind::UnsupportedMediaType, codes::UNSUPPORTED_MIME_TYPE, message);
    }
}

fn location(object: Node<'_>, doom: &mut Doom) -> Result<Content<MediaDraft>, Failure> {
    let [longitude, latitude, label, address] =
        members(object, [name::LONGITUDE, name::LATITUDE, name::NAME, name::ADDRESS]);
    let (longitude, latitude) = (degrees(&longitude)?, degrees(&latitude)?);
    if longitude.abs() > 180.0 || latitude.abs() > 90.0 {
        doom.out_of_bounds("`latitude` or `longitude` is out of range.");
    }
    let text = |member: &Member<'_>| Ok(member.optional_text()?.map(|text| text.into_owned()));
    Ok(Content::Location(Location {
        latitude,
        longitude,
        name: text(&label)?,
        address: text(&address)?,
    }))
}

/// A number, or one in a string.
fn degrees(member: &Member<'_>) -> Result<f64, Failure> {
    let written = member.label()?;
    let degrees: Option<f64> = written.trim().parse().ok();
    degrees.filter(|degrees| degrees.is_finite()).ok_or_else(|| member.invalid())
}

/// The On-Premises API's template message: positional values with their fallback texts.
fn hsm(object: Node<'_>, doom: &mut Doom) -> Result<Content<MediaDraft>, Failure> {
    let [element, language, params] =
        members(object, [name::ELEMENT_NAME, name::LANGUAGE, name::LOCALIZABLE_PARAMS]);
    let name = element.text()?.trim().to_owned();
    let language = match language.optional_object()? {
        Some(language) => members(language, [name::CODE])[0].optional_text()?,
        None => None,
    };
    let mut parameters = Vec::new();
    for element in params.optional_array()?.into_iter().flatten() {
        let object = Member::new(name::LOCALIZABLE_PARAMS, Some(element)).object()?;
        let [default] = members(object, [name::DEFAULT]);
        let text = default.label()?;
        if parameters.len() == MAX_PARAMETERS {
            let message = format!("More than {MAX_PARAMETERS} template parameters are given.");
            let kind = ErrorKind::TemplateParameterMismatch;
            doom.because(kind, codes::PARAM_COUNT_MISMATCH, message);
            break;
        }
        parameters.push(Parameter::Text { text: text.into_owned(), name: None });
    }
    let components = match parameters.is_empty() {
        true => Vec::new(),
        false => vec![Component::new(name::BODY, parameters)],
    };
    let language = language.map(|code| code.trim().to_owned());
    Ok(Content::Template(TemplateMessage { name, language, components }))
}
