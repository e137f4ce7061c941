//! Requests to commands. The required fields first, then the values, both in the order of the
//! vendor reference's tables; nothing here asks whether something exists.

mod creation;
mod flows;
mod interactive;
mod message;
mod template;

use std::borrow::Cow;

use http::Method;
use waypost_domain::command::{MediaDraft, Recipient, TemplateBinding};
use waypost_domain::content::FlowName;
use waypost_domain::media::{MimeType, clean_filename, settle_type};
use waypost_domain::{Content, ErrorKind, Failure, Phone};

use super::wire::{member, path};
use crate::contract::{Body, Command, Form, Manage, Request, SendMessage, Task};
use crate::json::{self, Field, Object};

/// The longest `messageId`, in code points.
const MAX_MESSAGE_ID_CHARS: usize = 128;
/// The longest spelling of a phone number that is read, in code points.
const MAX_PHONE_CHARS: usize = 64;
/// The fewest digits of a phone number with its country code.
const MIN_PHONE_DIGITS: usize = 8;
/// The most.
const MAX_PHONE_DIGITS: usize = 15;
/// The longest word that chooses between things, in code points.
const MAX_WORD_CHARS: usize = 64;
/// The longest name (of a place, a person, a file), in code points.
const MAX_NAME_CHARS: usize = 1_000;
/// Integers of so many digits are our own numbers of forms; longer ones are the upstream's ids.
const MAX_LOCAL_FLOW_DIGITS: usize = 9;
/// The longest id of the upstream's, in digits.
const MAX_UPSTREAM_ID_DIGITS: usize = 32;
/// The largest page of the message list.
const MAX_PAGE_SIZE: u32 = 100;
/// The page of the message list where the request asks for none.
const DEFAULT_PAGE_SIZE: u32 = 10;

/// What a message says, and its template's values where they are in the vendor's form.
type Said = (Content<MediaDraft>, Option<TemplateBinding>);

/// Any request to one of the routes.
pub(super) fn command(request: &Request<'_>) -> Result<Command, Failure> {
    let org_id = request.own_org()?.clone();
    let is_get = request.method == Method::GET;
    let task = match (request.route_path, request.body) {
        (path::MESSAGES, _) => list_messages(request),
        (path::TEMPLATES, _) if is_get => list_templates(request)?,
        (path::TEMPLATES, Body::Json(body)) => creation::create(request, body)?,
        (path::ONE_TEMPLATE, Body::Json(body)) => creation::edit(request, body)?,
        (path::TEMPLATE_SAMPLE, Body::Form(form)) => upload_sample(form)?,
        (path::FLOWS | path::ONE_FLOW | path::FLOW_PREVIEW | path::FLOW_PUBLISH, _) => {
            flows::task(request)?
        }
        (_, Body::Json(body)) => return send(request, body),
        // The routes say which body goes with which path.
        (_, Body::None | Body::Form(_)) => {
            let message = "This call takes a body of another content type.";
            return Err(Failure::new(ErrorKind::UnsupportedContentType, message));
        }
    };
    Ok(Command::Manage(Box::new(Manage { org_id, task })))
}

/// One of the calls that send.
struct Call {
    /// The required fields beside `from` and `to`, each under any of its names.
    required: &'static [&'static [&'static str]],
    read: fn(&Object<'_>) -> Result<Said, Failure>,
}

fn call(path: &str) -> Option<Call> {
    let (required, read): (&'static [&'static [&'static str]], fn(&Object<'_>) -> _) = match path {
        path::TEXT => (&[&[member::MESSAGE]], message::text),
        path::MEDIA => (&[&[member::MEDIA_TYPE], &[member::MEDIA_URL]], message::media),
        path::BUTTONS => (&[interactive::TEXT, &[member::BUTTONS]], interactive::buttons),
        path::LIST => (
            &[interactive::LIST_TEXT, &[member::BUTTON_TEXT], &[member::BUTTONS]],
            interactive::list,
        ),
        path::CONTACT => (&[&[member::NAME], &[member::PHONES]], message::contact),
        path::LOCATION => (&[&[member::LATITUDE], message::LONGITUDE], message::location),
        path::REQUEST_LOCATION => (&[&[member::TEXT]], interactive::request_location),
        path::TEMPLATE => (&[&[member::TEMPLATE]], template::content),
        path::FLOW_MESSAGE => {
            (&[&[member::TEXT], &[member::FLOW_ID], &[member::FLOW_CTA]], interactive::flow)
        }
        _ => return None,
    };
    Some(Call { required, read })
}

fn send(request: &Request<'_>, body: &[u8]) -> Result<Command, Failure> {
    let call = call(request.route_path).ok_or_else(|| {
        Failure::new(ErrorKind::RouteNotFound, "There is no such path below the dialect's.")
    })?;
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [message_id, from, to] = root.fields([member::MESSAGE_ID, member::FROM, member::TO]);
    require(&from)?;
    require(&to)?;
    for names in call.required {
        require(&any_of(&root, names))?;
    }
    let reference = optional(&message_id, MAX_MESSAGE_ID_CHARS)?;
    let written_from = phone_text(&from)?;
    let recipient = receiver(&to)?;
    let (mut content, binding) = (call.read)(&root)?;
    let reference = reference.or_else(|| interactive::name_form(&mut content, request.new_id));
    let number = sender(&from, &written_from)?;
    let org_id = request.own_org()?.clone();
    Ok(Command::SendMessage(Box::new(SendMessage {
        number: Some(number),
        reference,
        binding,
        ignores_org_language: true,
        ..SendMessage::new(org_id, recipient, content)
    })))
}

/// The first of several names under which something stands; else the first name.
fn any_of<'a>(object: &Object<'a>, names: &[&'a str]) -> Field<'a> {
    let mut fields = names.iter().map(|name| {
        let [field] = object.fields([*name]);
        field
    });
    let first = fields.next().unwrap_or_else(|| Field::new(object.path(), None));
    if first.is_blank() { fields.find(|field| !field.is_blank()).unwrap_or(first) } else { first }
}

fn require(field: &Field<'_>) -> Result<(), Failure> {
    if field.is_blank() { Err(field.missing()) } else { Ok(()) }
}

/// A required text.
fn text(field: &Field<'_>, max_chars: usize) -> Result<String, Failure> {
    field.lenient_text(max_chars).map(|text| text.into_owned())
}

/// A text that counts as absent where it is blank.
fn optional(field: &Field<'_>, max_chars: usize) -> Result<Option<String>, Failure> {
    let text = field.optional_lenient_text(max_chars)?;
    Ok(text.filter(|text| !text.trim().is_empty()).map(|text| text.into_owned()))
}

/// An array with something in it.
fn filled<'a>(field: &Field<'a>, max: usize) -> Result<Vec<Field<'a>>, Failure> {
    require(field)?;
    let elements = field.array(max)?;
    if elements.is_empty() {
        return Err(field.invalid("must have at least one element"));
    }
    Ok(elements)
}

/// Refuses the second of two equal texts.
fn require_unique<'a>(
    seen: &mut Vec<String>,
    field: &Field<'a>,
    text: &str,
) -> Result<(), Failure> {
    if seen.iter().any(|other| other == text) {
        return Err(field.invalid("must differ from those before it"));
    }
    seen.push(text.to_owned());
    Ok(())
}

/// A phone number as it was written. The digits of a fraction would become some of its own.
fn phone_text<'a>(field: &Field<'a>) -> Result<Cow<'a, str>, Failure> {
    let written = field.lenient_text(MAX_PHONE_CHARS)?;
    let is_number = field.required()?.number().is_some();
    if has_fraction(&written) || (is_number && written.contains(['.', 'e', 'E'])) {
        return Err(field.invalid("must be a phone number, not a number with a fraction"));
    }
    Ok(written)
}

/// Whether it is what spreadsheets make of a phone number: `15550001111.0`.
fn has_fraction(written: &str) -> bool {
    let written = written.trim();
    let parts = written.strip_prefix('+').unwrap_or(written).split_once('.');
    parts.is_some_and(|(whole, rest)| {
        let is_whole = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
        is_whole && !rest.is_empty() && rest.bytes().all(|byte| byte == b'0')
    })
}

/// The sender, reduced to its digits.
fn sender(from: &Field<'_>, written: &str) -> Result<String, Failure> {
    digits_of(written).ok_or_else(|| {
        from.failure(ErrorKind::NumberNotFound, format!("{} names no number.", from.path()))
    })
}

fn digits_of(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn receiver(to: &Field<'_>) -> Result<Recipient, Failure> {
    let written = phone_text(to)?;
    let is_separator = |char: char| char.is_whitespace() || "+-.()".contains(char);
    let digits: String = written.chars().filter(|char| !is_separator(*char)).collect();
    let is_whole = (MIN_PHONE_DIGITS..=MAX_PHONE_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    let phone = if is_whole { Phone::parse(&digits).ok() } else { None };
    phone.map(Recipient::Phone).ok_or_else(|| {
        to.invalid("must be a phone number of 8 to 15 digits that begins with its country code")
    })
}

/// The number in a path.
fn path_number(request: &Request<'_>, name: &str) -> Result<String, Failure> {
    request.path_param(name).and_then(digits_of).ok_or_else(|| {
        let message = "The path names no sender number.";
        Failure::new(ErrorKind::NumberNotFound, message)
    })
}

/// An id of the upstream's; nothing but digits may go into the paths that we call there.
fn is_upstream_id(text: &str) -> bool {
    (1..=MAX_UPSTREAM_ID_DIGITS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn flow_name(text: &str) -> Result<FlowName, Failure> {
    let text = text.trim();
    if !is_upstream_id(text) {
        return Err(Failure::new(ErrorKind::FlowNotFound, "There is no such flow."));
    }
    let local = if text.len() <= MAX_LOCAL_FLOW_DIGITS { text.parse().ok() } else { None };
    Ok(local.map_or_else(|| FlowName::Id(text.to_owned()), FlowName::Local))
}

/// Bad values fall back to the defaults.
fn list_messages(request: &Request<'_>) -> Task {
    let number = |name| request.query_param(name).and_then(|text| text.trim().parse::<u32>().ok());
    let size = number(member::SIZE).filter(|size| *size > 0);
    Task::ListMessages {
        page: number(member::PAGE).unwrap_or(0),
        size: size.map_or(DEFAULT_PAGE_SIZE, |size| size.min(MAX_PAGE_SIZE)),
    }
}

fn list_templates(request: &Request<'_>) -> Result<Task, Failure> {
    let number = Some(path_number(request, path::PHONE_NUMBER)?);
    Ok(Task::ListTemplates { number, name: None })
}

fn upload_sample(form: &Form) -> Result<Task, Failure> {
    let place = Field::new(member::FILE, None);
    let file = form.file.as_ref().ok_or_else(|| place.missing())?;
    if file.size == 0 {
        return Err(place.invalid("is empty; attach a file with content"));
    }
    let unknown = || {
        let message = "file must be a JPEG or PNG image, an MP4 or 3GPP video, or a PDF document.";
        place.failure(ErrorKind::UnsupportedMediaType, message)
    };
    let declared = file.content_type.as_deref().and_then(MimeType::parse);
    let declared = declared.or_else(|| of_extension(file.filename.as_deref()?));
    let mime_type = settle_type(&declared.ok_or_else(unknown)?, &file.head, file.is_whole())
        .map_err(|_| unknown())?;
    if file.size > mime_type.kind().max_bytes() {
        let message = "file is larger than its kind allows.";
        return Err(place.failure(ErrorKind::MediaTooLarge, message));
    }
    let filename = file.filename.as_deref().and_then(clean_filename);
    Ok(Task::UploadTemplateSample { mime_type, filename })
}

/// The type of a file whose part declares none, or `application/octet-stream`.
fn of_extension(filename: &str) -> Option<MimeType> {
    let (_, extension) = filename.rsplit_once('.')?;
    MimeType::parse(match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "mp4" => "video/mp4",
        "3gp" => "video/3gpp",
        "pdf" => "application/pdf",
        _ => return None,
    })
}
