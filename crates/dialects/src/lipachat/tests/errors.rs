//! The three forms of a refusal.

use http::header::{ALLOW, RETRY_AFTER};
use waypost_domain::{Timestamp, UpstreamFault, Zone};

use super::*;
use crate::contract::{Call, ErrorSite, Reply};

fn reply(failure: &Failure) -> Reply {
    reply_at(failure, "/api/v1/whatsapp/media", None)
}

fn reply_at(failure: &Failure, path: &str, route: Option<&Route>) -> Reply {
    let zone = Zone::parse("+03:00").unwrap();
    let now = Timestamp::parse_rfc3339("2026-01-15T07:50:35.701Z").unwrap();
    let call = Call { path, now, zone: &zone, ..Call::default() };
    LipaChat.encode_error(failure, ErrorSite { route, call, ..ErrorSite::default() })
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    let found = reply.headers.iter().find(|(key, _)| key.as_str() == name);
    found.map(|(_, value)| value.to_str().unwrap())
}

const FOREIGN: &str = "Sender number is not linked to this account";
const BAD_MEDIA: &str = "Media could not be processed";

/// Kind, status, and the text of the envelope or `None` for Spring's form.
const TABLE: &[(ErrorKind, u16, Option<&str>)] = &[
    (ErrorKind::InvalidJson, 400, None),
    (ErrorKind::InvalidBody, 400, None),
    (ErrorKind::InvalidMultipart, 400, None),
    (ErrorKind::MissingField, 400, None),
    (ErrorKind::InvalidType, 400, None),
    (ErrorKind::InvalidValue, 400, None),
    (ErrorKind::ValueTooLong, 400, None),
    (ErrorKind::UnsupportedMessageType, 400, None),
    (ErrorKind::UnsupportedMediaType, 400, None),
    (ErrorKind::UnknownProvider, 400, None),
    (ErrorKind::MissingCredential, 401, Some("Invalid credentials")),
    (ErrorKind::InvalidCredential, 401, Some("Invalid credentials")),
    (ErrorKind::KeyDisabled, 401, Some("Invalid credentials")),
    (ErrorKind::AddressNotAllowed, 401, Some("Invalid credentials")),
    (ErrorKind::ScopeMissing, 401, Some("Invalid credentials")),
    (ErrorKind::RouteNotFound, 404, None),
    (ErrorKind::MethodNotAllowed, 405, None),
    (ErrorKind::IdempotencyConflict, 409, None),
    (ErrorKind::BodyTooLarge, 413, None),
    (ErrorKind::MediaTooLarge, 413, None),
    (ErrorKind::UnsupportedContentType, 415, None),
    (ErrorKind::RateLimited, 429, None),
    (ErrorKind::UpstreamAuth, 502, None),
    (ErrorKind::OutcomeUnknown, 502, None),
    (ErrorKind::UpstreamError, 502, None),
    (ErrorKind::IdempotencyInProgress, 503, None),
    (ErrorKind::UpstreamUnavailable, 503, None),
    (ErrorKind::Unavailable, 503, None),
    (ErrorKind::StillQueued, 503, None),
    (ErrorKind::OrgForbidden, 400, Some(FOREIGN)),
    (ErrorKind::UserForbidden, 400, Some(FOREIGN)),
    (ErrorKind::NumberNotFound, 400, Some(FOREIGN)),
    (
        ErrorKind::WindowClosed,
        400,
        Some("The 24-hour session with this recipient is closed. Send a template message first."),
    ),
    (ErrorKind::TemplateNotFound, 400, Some("Template not found")),
    (ErrorKind::TemplateLanguageNotFound, 400, Some("Template not found")),
    (ErrorKind::TemplateNotApproved, 400, Some("Template is not approved")),
    (
        ErrorKind::TemplateParameterMismatch,
        400,
        Some("Template parameters do not match the template"),
    ),
    (ErrorKind::FlowNotFound, 400, Some("Flow not found")),
    (ErrorKind::CustomerNotFound, 400, Some("Message undeliverable")),
    (ErrorKind::RecipientUnreachable, 400, Some("Message undeliverable")),
    (ErrorKind::IdentityMismatch, 400, Some("Why.")),
    (ErrorKind::Expired, 400, Some("Message undeliverable")),
    (ErrorKind::Cancelled, 400, Some("Message undeliverable")),
    (ErrorKind::RecipientBlocked, 400, Some("Recipient does not accept messages from this number")),
    (ErrorKind::MediaNotFound, 400, Some(BAD_MEDIA)),
    (ErrorKind::MediaRejected, 400, Some(BAD_MEDIA)),
    (ErrorKind::RejectedByUpstream, 400, Some("Why.")),
];

/// 7, 8, 10, 28, 30, 31, 33, 37, 46, 47, 53, 59
#[test]
fn every_kind_has_its_form_status_and_text() {
    for (kind, status, text) in TABLE {
        let reply = reply(&Failure::new(*kind, "Why."));
        assert_eq!(reply.status.as_u16(), *status, "{kind:?}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = match text {
            Some(text) => {
                let word = if *status == 401 { "success" } else { "error" };
                json!({"timestamp": "2026-01-15T10:50:35.701", "data": null, "status": word,
                       "message": text, "errors": null})
            }
            None => json!({"timestamp": "2026-01-15T07:50:35.701+00:00", "status": status,
                           "error": reply.status.canonical_reason().unwrap(),
                           "path": "/api/v1/whatsapp/media"}),
        };
        assert_eq!(body, expected, "{kind:?}");
        assert!(header(&reply, "x-waypost-error").is_some_and(|it| it.starts_with("Why.")));
        let retries = matches!(status, 429 | 503);
        assert_eq!(header(&reply, RETRY_AFTER.as_str()), retries.then_some("5"), "{kind:?}");
        let reply = self::reply(&Failure::new(*kind, "Why.").retry_after_s(86_400));
        assert_eq!(header(&reply, RETRY_AFTER.as_str()), retries.then_some("86400"), "{kind:?}");
    }
    assert_eq!(TABLE.len(), 47, "one row for each kind");
}

#[test]
fn refusals_are_written_as_the_reference_shows() {
    for (kind, fixture) in [
        (ErrorKind::MissingField, include_str!("../fixtures/spring.json")),
        (ErrorKind::WindowClosed, include_str!("../fixtures/envelope.json")),
        (ErrorKind::InvalidCredential, include_str!("../fixtures/credentials.json")),
    ] {
        let body = reply(&Failure::new(kind, "Why.")).body;
        assert_eq!(std::str::from_utf8(&body).unwrap(), fixture.trim_end());
    }
}

/// 45, and `DELETE`.
#[test]
fn another_method_is_told_the_right_ones() {
    let failure = Failure::new(ErrorKind::MethodNotAllowed, "Use POST.");
    for (path, allow) in [
        (path::MEDIA, "POST"),
        (path::MESSAGES, "GET"),
        (path::TEMPLATES, "GET, POST"),
        (path::ONE_FLOW, "GET, PUT"),
    ] {
        let route = LipaChat.routes().iter().find(|route| route.path == path);
        let reply = reply_at(&failure, path, route);
        assert_eq!(header(&reply, ALLOW.as_str()), Some(allow));
    }
    assert_eq!(header(&reply(&Failure::new(ErrorKind::InvalidJson, "x.")), ALLOW.as_str()), None);
}

/// 59
#[test]
fn patience_is_asked_for_in_seconds() {
    for kind in [ErrorKind::RateLimited, ErrorKind::IdempotencyInProgress] {
        let reply = reply(&Failure::new(kind, "Later.").retry_after_s(17));
        assert_eq!(header(&reply, RETRY_AFTER.as_str()), Some("17"));
    }
}

#[test]
fn a_refusal_by_the_upstream_has_its_words() {
    let fault = UpstreamFault {
        code: Some(131_009),
        details: " Parameter value is not valid ".to_owned(),
        ..UpstreamFault::default()
    };
    let failure =
        Failure::new(ErrorKind::RejectedByUpstream, "WhatsApp refused it.").with_upstream(fault);
    let message = |reply: &Reply| -> Value {
        serde_json::from_slice::<Value>(&reply.body).unwrap()["message"].clone()
    };
    assert_eq!(message(&reply(&failure)), "Parameter value is not valid");
    for (method, path, text) in [
        (Method::POST, path::FLOWS, "Request failed."),
        (Method::PUT, path::ONE_FLOW, "Request failed."),
        (Method::POST, path::FLOW_PUBLISH, "Parameter value is not valid"),
        (Method::POST, path::TEMPLATES, "Parameter value is not valid"),
    ] {
        let reply = reply_at(&failure, path, Some(route(&method, path)));
        assert_eq!(message(&reply), text, "{path}");
        assert_eq!(
            header(&reply, "x-waypost-error"),
            Some("WhatsApp refused it. Parameter value is not valid")
        );
    }
    let mismatch = Failure { kind: ErrorKind::IdentityMismatch, ..failure.clone() };
    assert_eq!(message(&reply(&mismatch)), "Parameter value is not valid");
    let said = "WhatsApp says: Bad value";
    let fault = UpstreamFault { details: "Bad value".to_owned(), ..UpstreamFault::default() };
    let once = Failure::new(ErrorKind::RejectedByUpstream, said).with_upstream(fault);
    assert_eq!(header(&reply(&once), "x-waypost-error"), Some(said), "not twice");
    let own = Failure::new(ErrorKind::InvalidValue, "x.").in_words_of(
        "lipachat",
        "400",
        "Request failed.",
    );
    let reply = reply(&own);
    assert_eq!((reply.status.as_u16(), message(&reply)), (400, json!("Request failed.")));
}

/// The header holds one line of printable ASCII, whatever the failure says.
#[test]
fn the_header_names_the_field_and_breaks_no_line() {
    for (failure, expected) in [
        (Failure::new(ErrorKind::MissingField, "to is required.").at("to"), "to is required."),
        (Failure::new(ErrorKind::MissingField, "It is required.").at("to"), "to: It is required."),
        (Failure::new(ErrorKind::TemplateNotFound, "No grüße\r\nX: y"), "No gr??e??X: y"),
    ] {
        assert_eq!(header(&reply(&failure), "x-waypost-error"), Some(expected));
    }
    let long = reply(&Failure::new(ErrorKind::InvalidJson, "x".repeat(9_999)));
    assert_eq!(header(&long, "x-waypost-error").map(str::len), Some(400));
}
