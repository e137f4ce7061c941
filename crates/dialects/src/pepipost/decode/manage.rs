//! What the vendor offers beside sending: stored files, consents, template information.

use std::net::IpAddr;

use waypost_domain::customer::ConsentOrigin;
use waypost_domain::manage::ConsentEntry;
use waypost_domain::{ErrorKind, Failure, Phone};

use super::{DigitTexts, MAX_NAME_CHARS, digits, elements, in_words, refused};
use crate::contract::{Body, Command, Manage, Request, Task};
use crate::json::{self, Field, Object};
use crate::pepipost::errors::Code;
use crate::pepipost::wire::{self, FIND_CONSENT_PATH, MEDIA_PATH, RECORD_CONSENT_PATH, member};

/// The most people of one request.
const MAX_RECIPIENTS: usize = 1_000;
/// The longest word for where a consent came from, in code points.
const MAX_SOURCE_CHARS: usize = 25;
/// The longest description of a browser, in code points.
const MAX_USER_AGENT_CHARS: usize = 2_048;

const RECIPIENT_TEXTS: DigitTexts = DigitTexts {
    absent: "Required parameter is missing",
    characters: "Invalid recipient. Only numeric values allowed.",
    too_few: "recipient value cannot be less than 10 digits.",
    too_many: "recipient value cannot be greater than 15 digits.",
};

/// A request to one of the routes that send nothing.
pub(in super::super) fn task(request: &Request<'_>, body: Body<'_>) -> Result<Command, Failure> {
    let task = match (request.route_path, body) {
        (MEDIA_PATH, _) => file(request)?,
        (RECORD_CONSENT_PATH, Body::Json(body)) => record_consent(body)?,
        (FIND_CONSENT_PATH, Body::Json(body)) => find_consent(body)?,
        _ => templates(request)?,
    };
    let org_id = request.own_org()?.clone();
    Ok(Command::Manage(Box::new(Manage { org_id, task })))
}

fn file(request: &Request<'_>) -> Result<Task, Failure> {
    let media_id = wire::media_id(request.path_param(member::ID).unwrap_or_default());
    Ok(if request.method == http::Method::DELETE {
        Task::RemoveMedia { media_id }
    } else {
        Task::FetchMedia { media_id }
    })
}

fn templates(request: &Request<'_>) -> Result<Task, Failure> {
    let name = request.query_param(member::TEMPLATE_NAME).map(str::trim).unwrap_or_default();
    if name.is_empty() {
        return Err(Field::new(member::TEMPLATE_NAME, None).missing());
    }
    Ok(Task::ListTemplates { number: None, name: Some(name.to_owned()) })
}

fn find_consent(body: &[u8]) -> Result<Task, Failure> {
    let document = json::parse(body)?;
    let [number] = Object::root(document.root())?.fields([member::PHONE_NUMBER]);
    if number.is_blank() {
        return Err(number.missing());
    }
    Ok(Task::FindConsent { phone: phone(&number)? })
}

fn record_consent(body: &[u8]) -> Result<Task, Failure> {
    let unreadable = |failure: Failure| in_words(failure, Code::Missing.text());
    let document = json::parse(body).map_err(unreadable)?;
    let root = Object::root(document.root()).map_err(unreadable)?;
    let [word, recipients] = root.fields([member::TYPE, member::RECIPIENTS]);
    let opted_in = choice(&word)?;
    let too_many = format!("recipients cannot have more than {MAX_RECIPIENTS} elements");
    let elements = elements(&recipients, MAX_RECIPIENTS).map_err(|failure| match failure.kind {
        ErrorKind::InvalidValue => in_words(failure, &too_many),
        _ => refused(&recipients, "recipients is required."),
    })?;
    if elements.is_empty() {
        return Err(refused(&recipients, "recipients is required."));
    }
    let entries = elements
        .iter()
        .map(|element| entry(&element.object()?, opted_in))
        .collect::<Result<_, Failure>>()?;
    Ok(Task::RecordConsent { entries })
}

/// Whether people say yes.
fn choice(word: &Field<'_>) -> Result<bool, Failure> {
    if word.is_blank() {
        return Err(refused(word, "type is required."));
    }
    let said = word.lenient_text(MAX_NAME_CHARS).unwrap_or_default();
    match said.trim().to_ascii_lowercase().as_str() {
        "optin" => Ok(true),
        "optout" => Ok(false),
        _ => Err(refused(word, "type is invalid. type must be optin/optout.")),
    }
}

fn entry(recipient: &Object<'_>, opted_in: bool) -> Result<ConsentEntry, Failure> {
    let [number, source, user_agent, ip] =
        recipient.fields([member::RECIPIENT, member::SOURCE, member::USER_AGENT, member::IP]);
    let phone = phone(&number)?;
    let source = consent_source(&source)?;
    let user_agent =
        user_agent.optional_text(MAX_USER_AGENT_CHARS).map_err(|failure| match failure.kind {
            ErrorKind::ValueTooLong => {
                let limit = MAX_USER_AGENT_CHARS;
                in_words(failure, &format!("user_agent cannot be greater than {limit} characters."))
            }
            _ => failure,
        })?;
    let origin = ConsentOrigin {
        source: Some(source),
        user_agent: user_agent.map(|text| text.into_owned()),
        ip: address(&ip)?,
    };
    Ok(ConsentEntry { phone, opted_in, origin })
}

fn consent_source(field: &Field<'_>) -> Result<String, Failure> {
    if field.is_blank() {
        return Err(refused(field, "source cannot be empty."));
    }
    let source = field.lenient_text(MAX_SOURCE_CHARS).map_err(|failure| match failure.kind {
        ErrorKind::ValueTooLong => {
            refused(field, "source value cannot be greater than 25 characters.")
        }
        _ => failure,
    })?;
    Ok(source.into_owned())
}

fn address(field: &Field<'_>) -> Result<Option<String>, Failure> {
    if field.is_blank() {
        return Ok(None);
    }
    let text = field.lenient_text(MAX_NAME_CHARS).unwrap_or_default();
    match text.trim().parse::<IpAddr>() {
        Ok(address) => Ok(Some(address.to_string())),
        Err(_) => Err(refused(field, "ip is invalid.")),
    }
}

fn phone(field: &Field<'_>) -> Result<Phone, Failure> {
    let digits = digits(field, &RECIPIENT_TEXTS)?;
    Phone::parse(&digits).map_err(|_| refused(field, RECIPIENT_TEXTS.characters))
}
