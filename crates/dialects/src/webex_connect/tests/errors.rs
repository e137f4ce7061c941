//! The table of refusals.

use http::header::{ALLOW, RETRY_AFTER};
use waypost_domain::ErrorKind;

use super::*;

fn header(reply: &Reply, name: &http::HeaderName) -> Option<String> {
    let found = reply.headers.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.to_str().unwrap().to_owned())
}

/// Kind, status, code, description.
const TABLE: &[(ErrorKind, u16, &str, &str)] = &[
    (ErrorKind::InvalidJson, 400, "7000", "Invalid JSON"),
    (ErrorKind::InvalidMultipart, 400, "7000", "Invalid JSON"),
    (ErrorKind::UnsupportedContentType, 400, "7000", "Invalid JSON"),
    (ErrorKind::InvalidCredential, 400, "7001", "Authentication failed."),
    (ErrorKind::ScopeMissing, 400, "7001", "Authentication failed."),
    (ErrorKind::MissingCredential, 400, "7002", "Service Key Missing"),
    (ErrorKind::InvalidBody, 400, "7003", "Mandatory parameters missing"),
    (ErrorKind::MissingField, 400, "7003", "Mandatory parameters missing"),
    (ErrorKind::InvalidType, 400, "7004", "Invalid parameter: request"),
    (ErrorKind::InvalidValue, 400, "7004", "Invalid parameter: request"),
    (ErrorKind::ValueTooLong, 400, "7004", "Invalid parameter: request"),
    (ErrorKind::UnknownProvider, 400, "7004", "Invalid parameter: request"),
    (ErrorKind::FlowNotFound, 400, "7004", "Invalid parameter: request"),
    (ErrorKind::UnsupportedMessageType, 400, "7004", "Invalid parameter: type"),
    (ErrorKind::CustomerNotFound, 400, "7004", "Invalid parameter: destination"),
    (ErrorKind::RouteNotFound, 404, "7004", "Invalid parameter: path"),
    (ErrorKind::MethodNotAllowed, 405, "7004", "Invalid parameter: method"),
    (ErrorKind::IdempotencyConflict, 409, "7004", "Invalid parameter: Idempotency-Key"),
    (ErrorKind::IdempotencyInProgress, 409, "7004", "Invalid parameter: Idempotency-Key"),
    (ErrorKind::Expired, 400, "7005", "Request expired"),
    (ErrorKind::Unavailable, 500, "7006", "Internal error occurred"),
    (ErrorKind::UpstreamAuth, 500, "7006", "Internal error occurred"),
    (ErrorKind::UpstreamError, 500, "7006", "Internal error occurred"),
    (ErrorKind::OutcomeUnknown, 500, "7006", "Internal error occurred"),
    (ErrorKind::UpstreamUnavailable, 503, "7006", "Internal error occurred"),
    (ErrorKind::KeyDisabled, 400, "7007", "Service inactive"),
    (ErrorKind::RateLimited, 400, "7020", "You have reached the maximum transaction limit (TPS)"),
    (ErrorKind::BodyTooLarge, 413, "7022", "JSON size exceeded"),
    (ErrorKind::NumberNotFound, 400, "7104", "Invalid app id"),
    (ErrorKind::OrgForbidden, 400, "7104", "Invalid app id"),
    (ErrorKind::UserForbidden, 400, "7104", "Invalid app id"),
    (ErrorKind::TemplateNotFound, 400, "7108", "Invalid template ID"),
    (ErrorKind::TemplateLanguageNotFound, 400, "7108", "Invalid template ID"),
    (ErrorKind::AddressNotAllowed, 400, "7127", "Source IP not in the allowed list"),
    // The rest reaches callers by receipt.
    (ErrorKind::WindowClosed, 400, "7710", "Re-engagement message"),
    (ErrorKind::RecipientBlocked, 400, "7200", "Unknown Status"),
    (ErrorKind::RejectedByUpstream, 400, "7200", "Unknown Status"),
    (ErrorKind::Cancelled, 400, "7200", "Unknown Status"),
    (ErrorKind::StillQueued, 400, "7200", "Unknown Status"),
    (ErrorKind::MediaNotFound, 400, "7701", "Media download error"),
    (ErrorKind::MediaRejected, 400, "7701", "Media download error"),
    (ErrorKind::MediaTooLarge, 400, "7727", "Internal error"),
    (ErrorKind::TemplateParameterMismatch, 400, "7804", "Template Param Count Mismatch"),
    (ErrorKind::UnsupportedMediaType, 400, "7861", "Unsupported mime type"),
    (ErrorKind::IdentityMismatch, 400, "7862", "Hash mismatch"),
    (ErrorKind::TemplateNotApproved, 400, "7868", "Template Disabled"),
    (ErrorKind::RecipientUnreachable, 400, "7871", "Message Undeliverable"),
];

/// 4, 6, 7, 12, 14, 15, 47, 51 to 54, 56
#[test]
fn every_kind_has_its_status_code_and_text() {
    for (kind, status, code, description) in TABLE {
        let failure = Failure::new(*kind, "Why.");
        let body = json!({
            "response": {"code": code, "description": description, "transid": REQUEST_ID},
        });
        for errors_as_200 in [false, true] {
            let site = ErrorSite { call: call(), errors_as_200, ..ErrorSite::default() };
            let reply = WebexConnect.encode_error(&failure, site);
            let wanted = if errors_as_200 && *status == 400 { 200 } else { *status };
            assert_eq!(reply.status.as_u16(), wanted, "{kind:?}");
            assert_eq!(std::str::from_utf8(&reply.body).unwrap(), body.to_string(), "{kind:?}");
        }
    }
    let mut kinds: Vec<&str> = TABLE.iter().map(|(kind, ..)| kind.code()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), TABLE.len(), "one row for each kind");
    assert_eq!(TABLE.len(), 47);
}

#[test]
fn a_field_of_the_servers_is_named() {
    let failure = Failure::new(ErrorKind::InvalidValue, "Too long.").at("Idempotency-Key");
    assert_refusal(&failure, "7004", "Invalid parameter: Idempotency-Key");
}

/// 53
#[test]
fn another_method_is_told_the_right_one() {
    let failure = Failure::new(ErrorKind::MethodNotAllowed, "Use POST.");
    assert_eq!(header(&refusal(&failure), &ALLOW).as_deref(), Some("POST"));
    let other = Failure::new(ErrorKind::InvalidJson, "x");
    assert_eq!(header(&refusal(&other), &ALLOW), None);
}

#[test]
fn patience_is_asked_for_in_seconds() {
    use ErrorKind::{
        IdempotencyInProgress, InvalidJson, RateLimited, Unavailable, UpstreamUnavailable,
    };
    for (kind, seconds) in [
        (RateLimited, Some("1")),
        (IdempotencyInProgress, Some("5")),
        (UpstreamUnavailable, Some("5")),
        (Unavailable, None),
        (InvalidJson, None),
    ] {
        let failure = Failure::new(kind, "Later.");
        assert_eq!(header(&refusal(&failure), &RETRY_AFTER).as_deref(), seconds, "{kind:?}");
    }
    let overload = refusal(&Failure::new(Unavailable, "Later.").retry_after_s(17));
    assert_eq!(overload.status, 503);
    assert_eq!(header(&overload, &RETRY_AFTER).as_deref(), Some("17"));
}

/// 2, 3, 52, 54
#[test]
fn what_the_server_is_told() {
    use crate::contract::{BodyKind, Credential, JsonTypes};
    let info = WebexConnect.info();
    assert_eq!((info.id, info.path_prefix), ("webex_connect", "/resources/"));
    assert_eq!(info.credential, Credential::BearerElseHeader("key"));
    let [route] = WebexConnect.routes() else { panic!() };
    assert_eq!((route.method.as_str(), route.path), ("POST", "/resources/v1/messaging"));
    assert_eq!(route.body, BodyKind::Json { max_bytes: 1_048_576, types: JsonTypes::Any });
}
