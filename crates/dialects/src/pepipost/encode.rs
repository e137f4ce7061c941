//! Replies to what was done, in the vendor's shapes.

use http::StatusCode;
use serde::Serialize;
use waypost_domain::customer::Consent;
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, MessageId, Phone};

use super::errors::{self, Code};
use super::wire::{
    self, Accepted, ErrorBody, Optin, Success, TEMPLATE_PREVIEW_PATH, TemplatePreview,
    TemplateStatus, Uploaded, member,
};
use crate::contract::{Asked, Call, ConsentEcho, ErrorSite, Managed, Outcome, Reply};

const RECEIVED: &str = "Request received successfully.";
const ALREADY_OPTED_IN: &str = "Optin already found for provided mobilenumber";
/// Followed by tenths of a second.
const CONSENT_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// The answer to a command that was carried out.
pub(super) fn reply(asked: &Asked<'_>, outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Submitted(ids) => accepted(ids),
        Outcome::Uploaded(uploaded) => {
            let data = Uploaded { media_id: wire::media_uuid(&uploaded.media_id) };
            success(None, Some(data))
        }
        Outcome::Managed(managed) => match (managed.as_ref(), &asked.command.consent) {
            (Managed::ConsentRecorded { any_new }, Some(ConsentEcho::Record(opted_in))) => {
                recorded_consent(*opted_in, *any_new)
            }
            (Managed::Done, _) => success::<()>(Some("Media deleted successfully."), None),
            (Managed::Consent(consent), Some(ConsentEcho::Find(phone))) => {
                found_consent(phone, consent.as_ref(), &asked.call)
            }
            (Managed::Templates(templates), _) => found_templates(templates, &asked.call),
            _ => no_such_answer(),
        },
        // No route of this vendor asks for these.
        Outcome::Sent(_) | Outcome::Broadcast(_) => no_such_answer(),
    }
}

fn no_such_answer() -> Reply {
    refusal(ErrorKind::Unavailable, "There is no such answer.")
}

fn refusal(kind: ErrorKind, message: &str) -> Reply {
    errors::reply(&Failure::new(kind, message), ErrorSite::default(), &[])
}

fn success<D: Serialize>(message: Option<&str>, data: Option<D>) -> Reply {
    Reply::json(StatusCode::OK, &Success::new(message, data))
}

fn accepted(ids: &[MessageId]) -> Reply {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let id = ids.first().cloned().unwrap_or_default();
    let ids = if ids.len() > 1 { ids } else { Vec::new() };
    success(Some(RECEIVED), Some(Accepted { id, ids }))
}

/// An opt-in that says nothing new about anybody is refused; an opt-out never is.
fn recorded_consent(opted_in: bool, any_new: bool) -> Reply {
    match (opted_in, any_new) {
        (true, true) => success::<()>(Some("Optin successfully added."), None),
        (false, _) => success::<()>(Some("Optout successfully added."), None),
        (true, false) => {
            let failure = Failure::new(ErrorKind::InvalidValue, "All recipients had opted in.")
                .at(member::RECIPIENTS)
                .in_words_of(wire::ID, Code::Technical.number(), ALREADY_OPTED_IN);
            errors::reply(&failure, ErrorSite::default(), &[])
        }
    }
}

/// A person who opted out counts as unknown.
fn found_consent(phone: &Phone, consent: Option<&Consent>, call: &Call<'_>) -> Reply {
    let digits = phone.digits();
    let Some(consent) = consent.filter(|consent| consent.opted_in) else {
        let message = format!("Optin details not found for {digits}");
        let reply = Reply::json(StatusCode::OK, &ErrorBody::new(None, &message));
        let failure = Failure::new(ErrorKind::CustomerNotFound, "phone_number has not opted in.");
        return errors::detailed(reply, &failure);
    };
    let tenths = consent.at.0.rem_euclid(1_000) / 100;
    let origin = &consent.origin;
    let data = Optin {
        ip: origin.ip.as_deref().unwrap_or_default(),
        phone_number: digits,
        optin_source: origin.source.as_deref().unwrap_or_default(),
        user_agent: origin.user_agent.as_deref().unwrap_or_default(),
        created_date: format!("{}.{tenths}", consent.at.strftime(call.zone, CONSENT_TIME)),
    };
    success(None, Some(data))
}

fn found_templates(templates: &[Template], call: &Call<'_>) -> Reply {
    if templates.is_empty() {
        return refusal(ErrorKind::TemplateNotFound, "There is no template of this name.");
    }
    if call.path.trim_end_matches('/') == TEMPLATE_PREVIEW_PATH {
        let data: Vec<_> = templates.iter().map(preview).collect();
        return success(None, Some(data));
    }
    let data: Vec<_> = templates.iter().map(status).collect();
    success(None, Some(data))
}

fn status(template: &Template) -> TemplateStatus<'_> {
    let Template { name, language, status, category, .. } = template;
    TemplateStatus { templatename: name, language, status, category }
}

fn preview(template: &Template) -> TemplatePreview<'_> {
    let Template { name, language, components, .. } = template;
    TemplatePreview { templatename: name, language, components }
}
