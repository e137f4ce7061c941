//! The four send paths: the fields that every message has, in the order of the vendor's table.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use waypost_domain::command::Recipient;
use waypost_domain::message::{MessageOptions, Priority};
use waypost_domain::{ErrorKind, Failure, OrgId, Phone, Timestamp};

use super::content::{self, MessageKind};
use super::{DigitTexts, MAX_NAME_CHARS, digits, elements, in_words, refused};
use crate::contract::{Command, Request, SendMessage, Submission, Submit};
use crate::json::{self, Field, Object, Type};
use crate::pepipost::wire::{NC_PRIORITY_PATH, SEND_PATH, member};

/// The most messages of one request.
const MAX_MESSAGES: usize = 100;
/// The longest `x-apiheader`, in code points.
const MAX_APIHEADER_CHARS: usize = 2_000;
/// The longest time to live, in days.
const MAX_TTL_DAYS: f64 = 30.0;
const DAY_S: f64 = 86_400.0;

const RECIPIENT_TEXTS: DigitTexts = DigitTexts {
    absent: "recipient_whatsapp cannot be null or blank",
    characters: "Invalid value in recipient_whatsapp parameter. Only numbers are allowed",
    too_few: "recipient_whatsapp cannot be less than 10 digits",
    too_many: "recipient_whatsapp cannot be greater than 15 digits",
};

/// `POST` to any of the send paths.
pub(in super::super) fn submit(request: &Request<'_>, body: &[u8]) -> Result<Command, Failure> {
    let document = json::parse(body)?;
    let root = Object::root(document.root())?;
    let [messages] = root.fields([member::MESSAGE]);
    let elements = elements(&messages, MAX_MESSAGES).map_err(|failure| match failure.kind {
        ErrorKind::InvalidValue => {
            let text = format!("message cannot have more than {MAX_MESSAGES} elements");
            in_words(failure, &text)
        }
        _ => failure,
    })?;
    if elements.is_empty() {
        return Err(messages.missing());
    }
    let org_id = request.own_org()?;
    let messages = elements
        .iter()
        .map(|element| submission(request, org_id, &element.object()?))
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Command::Submit(Box::new(Submit { org_id: org_id.clone(), messages })))
}

/// What stands before a request's fault: sound elements, and the source of the one with the fault
/// where that comes behind it.
pub(in super::super) fn before_fault(request: &Request<'_>, body: &[u8]) -> Vec<Submission> {
    let (Ok(document), Ok(org_id)) = (json::parse(body), request.own_org()) else {
        return Vec::new();
    };
    let Ok(root) = Object::root(document.root()) else { return Vec::new() };
    let [messages] = root.fields([member::MESSAGE]);
    let mut before = Vec::new();
    for element in elements(&messages, MAX_MESSAGES).unwrap_or_default() {
        let Ok(element) = element.object() else { break };
        match submission(request, org_id, &element) {
            Ok(submission) => before.push(submission),
            Err(fault) => {
                // Elsewhere an unknown source means the default sender.
                let is_first_base = request.route_path == SEND_PATH;
                let source = head(is_first_base, &element).ok().and_then(|head| head.source);
                let unread = |source| Submission::unread(org_id.clone(), source, fault);
                before.extend(source.filter(|_| is_first_base).map(unread));
                break;
            }
        }
    }
    before
}

/// The fields up to the sender's name.
struct Head {
    addressed: String,
    kind: MessageKind,
    source: Option<String>,
}

fn head(is_first_base: bool, element: &Object<'_>) -> Result<Head, Failure> {
    let [recipient, recipient_type, message_type, source] = element.fields([
        member::RECIPIENT_WHATSAPP,
        member::RECIPIENT_TYPE,
        member::MESSAGE_TYPE,
        member::SOURCE,
    ]);
    let addressed = digits(&recipient, &RECIPIENT_TEXTS)?;
    check_recipient_type(element, &recipient_type)?;
    let kind = message_kind(&message_type)?;
    let source = source_of(&source, is_first_base && kind.needs_source(element))?;
    Ok(Head { addressed, kind, source })
}

fn submission(
    request: &Request<'_>,
    org_id: &OrgId,
    element: &Object<'_>,
) -> Result<Submission, Failure> {
    let is_first_base = request.route_path == SEND_PATH;
    let Head { addressed, kind, source } = head(is_first_base, element)?;
    let [recipient, apiheader, ttl] =
        element.fields([member::RECIPIENT_WHATSAPP, member::X_APIHEADER, member::TTL]);
    let reference = apiheader_of(&apiheader)?;
    let (content, binding) = content::read(kind, element)?;
    let (recipient, doomed) = person(&addressed, &recipient);
    let options = MessageOptions {
        priority: if request.route_path == NC_PRIORITY_PATH {
            Priority::High
        } else {
            Priority::Normal
        },
        expires_at: expiry(&ttl, request.now),
        echo: echo(source.as_deref(), doomed.is_some().then_some(&addressed)),
        ..MessageOptions::default()
    };
    let send = SendMessage {
        number_or_default: !is_first_base,
        number: source,
        reference,
        options,
        binding,
        ..SendMessage::new(org_id.clone(), recipient, content)
    };
    Ok(Submission { send, doomed, tells_all_later: false })
}

/// Digits that are no international number name nobody, which the vendor finds out later.
fn person(addressed: &str, field: &Field<'_>) -> (Recipient, Option<Failure>) {
    match Phone::parse(addressed) {
        Ok(phone) => (Recipient::Phone(phone), None),
        Err(problem) => {
            let message = format!("{}: {problem}.", field.path());
            let doomed = field.failure(ErrorKind::RecipientUnreachable, message);
            (Recipient::Nobody, Some(doomed))
        }
    }
}

/// Absent means `individual`; `null` does not.
fn check_recipient_type(element: &Object<'_>, field: &Field<'_>) -> Result<(), Failure> {
    if !field.is_given() && !element.has_null(member::RECIPIENT_TYPE) {
        return Ok(());
    }
    if field.is_blank() {
        return Err(refused(field, "recipient_type cannot be null or blank"));
    }
    let word = field.lenient_text(MAX_NAME_CHARS);
    if word.is_ok_and(|word| word.trim().eq_ignore_ascii_case("individual")) {
        return Ok(());
    }
    Err(refused(field, "recipient_type can only be individual"))
}

fn message_kind(field: &Field<'_>) -> Result<MessageKind, Failure> {
    if field.is_blank() {
        return Err(refused(field, "message_type cannot be null or blank"));
    }
    let word = field.lenient_text(MAX_NAME_CHARS);
    word.ok()
        .and_then(|word| MessageKind::parse(word.trim()))
        .ok_or_else(|| refused(field, "message_type can only be text/media/template/location."))
}

/// The sender's name at the vendor.
fn source_of(field: &Field<'_>, is_required: bool) -> Result<Option<String>, Failure> {
    if !field.is_blank() {
        let name = field.id(MAX_NAME_CHARS).map_err(|failure| match failure.kind {
            ErrorKind::InvalidType => failure,
            _ => refused(field, "source is invalid"),
        })?;
        return Ok(Some(name.trim().to_owned()));
    }
    if is_required { Err(refused(field, "source cannot be null or blank")) } else { Ok(None) }
}

/// The caller's own data: a text, or the JSON text of anything else.
fn apiheader_of(field: &Field<'_>) -> Result<Option<String>, Failure> {
    if !field.is_given() {
        return Ok(None);
    }
    let node = field.required()?;
    let text = if node.kind() == Type::String {
        field.optional_text(usize::MAX)?.map(|text| text.into_owned())
    } else {
        Some(without_blanks(node.written()))
    };
    if text.as_ref().is_some_and(|text| text.chars().nth(MAX_APIHEADER_CHARS).is_some()) {
        let text = format!("x-apiheader cannot be greater than {MAX_APIHEADER_CHARS} characters");
        return Err(refused(field, &text));
    }
    Ok(text)
}

/// JSON text without the blanks between its tokens.
fn without_blanks(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    json.chars()
        .filter(|char| {
            let is_kept = in_string || !char.is_ascii_whitespace();
            if *char == '"' && !is_escaped {
                in_string = !in_string;
            }
            is_escaped = *char == '\\' && !is_escaped;
            is_kept
        })
        .collect()
}

/// When a message that asks for it is not sent any more. Anything but a number of days within the
/// vendor's limit asks for nothing.
fn expiry(ttl: &Field<'_>, now: Timestamp) -> Option<Timestamp> {
    if !ttl.is_given() {
        return None;
    }
    let days: f64 = ttl.id(MAX_NAME_CHARS).ok()?.trim().parse().ok()?;
    if !(days > 0.0 && days <= MAX_TTL_DAYS) {
        return None;
    }
    let life = Duration::try_from_secs_f64(days * DAY_S).ok()?;
    Some(now.plus_ms(i64::try_from(life.as_millis()).ok()?))
}

/// What receipts repeat: the source, and the receiver where it is none that a message can have.
fn echo(source: Option<&str>, recipient: Option<&String>) -> Option<Arc<Value>> {
    let members = [(member::SOURCE, source), (member::RECIPIENT, recipient.map(String::as_str))];
    let kept: Map<String, Value> = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))))
        .collect();
    (!kept.is_empty()).then(|| Arc::new(Value::Object(kept)))
}
