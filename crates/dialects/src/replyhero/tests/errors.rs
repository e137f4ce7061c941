//! The error table.

use http::header::{ALLOW, RETRY_AFTER};
use waypost_domain::UpstreamFault;

use super::*;
use crate::contract::{ErrorSite, Reply};

fn reply(failure: &Failure) -> Reply {
    ReplyHero.encode_error(failure, ErrorSite::default())
}

fn header(reply: &Reply, name: &http::HeaderName) -> Option<String> {
    let found = reply.headers.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.to_str().unwrap().to_owned())
}

/// Kind, status, code, and the field blamed when the failure names none.
const TABLE: &[(ErrorKind, u16, &str, Option<&str>)] = &[
    (ErrorKind::InvalidJson, 400, "invalid_json", None),
    (ErrorKind::InvalidBody, 400, "invalid_body", None),
    (ErrorKind::InvalidMultipart, 400, "invalid_multipart", None),
    (ErrorKind::MissingField, 400, "missing_field", None),
    (ErrorKind::InvalidType, 400, "invalid_type", None),
    (ErrorKind::InvalidValue, 400, "invalid_value", None),
    (ErrorKind::ValueTooLong, 400, "value_too_long", None),
    (ErrorKind::UnsupportedMessageType, 400, "unsupported_message_type", None),
    (ErrorKind::UnknownProvider, 400, "unknown_provider", None),
    (ErrorKind::MissingCredential, 401, "missing_api_key", None),
    (ErrorKind::InvalidCredential, 401, "invalid_api_key", None),
    (ErrorKind::ScopeMissing, 403, "org_forbidden", None),
    (ErrorKind::OrgForbidden, 403, "org_forbidden", Some("orgId")),
    (ErrorKind::NumberNotFound, 403, "org_forbidden", Some("orgId")),
    (ErrorKind::UserForbidden, 403, "user_forbidden", Some("userId")),
    (ErrorKind::RouteNotFound, 404, "route_not_found", None),
    (ErrorKind::CustomerNotFound, 404, "customer_not_found", Some("customerId")),
    (ErrorKind::TemplateNotFound, 404, "template_not_found", Some("templateName")),
    (ErrorKind::MediaNotFound, 404, "media_not_found", None),
    (ErrorKind::MethodNotAllowed, 405, "method_not_allowed", None),
    (ErrorKind::WindowClosed, 409, "window_closed", None),
    (ErrorKind::IdempotencyInProgress, 409, "idempotency_in_progress", None),
    (ErrorKind::IdempotencyConflict, 422, "idempotency_conflict", None),
    (ErrorKind::BodyTooLarge, 413, "body_too_large", None),
    (ErrorKind::MediaTooLarge, 413, "media_too_large", None),
    (ErrorKind::UnsupportedContentType, 415, "unsupported_content_type", None),
    (ErrorKind::UnsupportedMediaType, 415, "unsupported_media_type", None),
    (ErrorKind::TemplateNotApproved, 422, "template_not_approved", Some("templateName")),
    (ErrorKind::TemplateParameterMismatch, 422, "template_parameter_mismatch", Some("components")),
    (ErrorKind::RecipientUnreachable, 422, "recipient_unreachable", None),
    (ErrorKind::RecipientBlocked, 422, "recipient_blocked", None),
    (ErrorKind::MediaRejected, 422, "media_rejected", None),
    (ErrorKind::RejectedByUpstream, 422, "rejected_by_upstream", None),
    (ErrorKind::Cancelled, 422, "rejected_by_upstream", None),
    (ErrorKind::RateLimited, 429, "rate_limited", None),
    (ErrorKind::UpstreamAuth, 502, "upstream_auth", None),
    (ErrorKind::OutcomeUnknown, 502, "upstream_result_unknown", None),
    (ErrorKind::UpstreamError, 502, "upstream_error", None),
    (ErrorKind::UpstreamUnavailable, 503, "upstream_unavailable", None),
    (ErrorKind::Unavailable, 503, "unavailable", None),
    (ErrorKind::StillQueued, 202, "still_queued", None),
];

#[test]
fn every_kind_has_its_status_code_and_field() {
    for (kind, status, code, field) in TABLE {
        let reply = reply(&Failure::new(*kind, "Why."));
        assert_eq!(reply.status.as_u16(), *status, "{kind:?}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        let mut expected = json!({"error": {"code": code, "message": "Why."}});
        if let Some(field) = field {
            expected["error"]["field"] = json!(field);
        }
        assert_eq!(body, expected, "{kind:?}");
        assert_eq!(header(&reply, &http::header::WWW_AUTHENTICATE), None);
    }
    assert_eq!(TABLE.len(), 41, "one row for each kind");
}

#[test]
fn an_error_is_written_as_the_reference_shows() {
    let failure = send(&without(text(), "/message/text/body")).unwrap_err();
    let fixture = include_str!("../fixtures/error.json").trim_end();
    assert_eq!(reply(&failure).body, fixture.as_bytes());
}

#[test]
fn the_failures_own_field_wins() {
    for (kind, ..) in TABLE {
        let reply = reply(&Failure::new(*kind, "Why.").at("components[0].parameters[0].image.id"));
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(body["error"]["field"], "components[0].parameters[0].image.id");
    }
}

/// 9
#[test]
fn another_method_is_told_the_right_one() {
    let failure = Failure::new(ErrorKind::MethodNotAllowed, "Use POST.");
    for route in ReplyHero.routes() {
        let site = ErrorSite { route: Some(route), ..ErrorSite::default() };
        let reply = ReplyHero.encode_error(&failure, site);
        assert_eq!(header(&reply, &ALLOW).as_deref(), Some("POST"));
    }
    assert_eq!(header(&reply(&Failure::new(ErrorKind::InvalidJson, "x")), &ALLOW), None);
}

/// 63, 66
#[test]
fn patience_is_asked_for_in_seconds() {
    use ErrorKind::{IdempotencyInProgress, RateLimited, Unavailable, UpstreamUnavailable};
    for kind in [IdempotencyInProgress, RateLimited, UpstreamUnavailable, Unavailable] {
        let failure = Failure::new(kind, "Later.");
        assert_eq!(header(&reply(&failure), &RETRY_AFTER).as_deref(), Some("5"));
        let failure = failure.retry_after_s(17);
        assert_eq!(header(&reply(&failure), &RETRY_AFTER).as_deref(), Some("17"));
    }
    for kind in [ErrorKind::WindowClosed, ErrorKind::RejectedByUpstream] {
        let failure = Failure::new(kind, "Not for a day.").retry_after_s(86_400);
        assert_eq!(header(&reply(&failure), &RETRY_AFTER), None);
    }
}

#[test]
fn a_refusal_by_the_upstream_ends_with_its_code_and_details() {
    let fault = |code: Option<i64>, details: &str| UpstreamFault {
        code,
        details: details.to_owned(),
        ..UpstreamFault::default()
    };
    let said = "WhatsApp refused the message.";
    for (message, fault, expected) in [
        (
            said,
            fault(Some(131_009), "Bad value"),
            "WhatsApp refused the message. 131009: Bad value",
        ),
        (said, fault(Some(131_009), " "), "WhatsApp refused the message. 131009"),
        (said, fault(None, "Bad value"), "WhatsApp refused the message. Bad value"),
        (said, fault(None, ""), said),
        (
            "Refused with 131009: Bad value",
            fault(Some(131_009), "Bad value"),
            "Refused with 131009: Bad value",
        ),
        ("It says: Bad value", fault(Some(100), "Bad value"), "It says: 100: Bad value"),
        ("It says: (#100) Bad", fault(Some(100), "(#100) Bad"), "It says: 100: Bad"),
        ("Bad value", fault(Some(100), "Bad value"), "100: Bad value"),
        ("Bad value", fault(None, "Bad value"), "Bad value"),
    ] {
        for kind in
            [ErrorKind::RejectedByUpstream, ErrorKind::FlowNotFound, ErrorKind::IdentityMismatch]
        {
            let failure = Failure::new(kind, message).with_upstream(fault.clone());
            let body: Value = serde_json::from_slice(&reply(&failure).body).unwrap();
            assert_eq!(body["error"]["message"], expected, "{kind:?}");
        }
    }
    let failure = Failure::new(ErrorKind::UpstreamAuth, "An operator must act.")
        .with_upstream(fault(Some(190), "Session has expired for app 7"));
    let body: Value = serde_json::from_slice(&reply(&failure).body).unwrap();
    assert_eq!(body["error"]["message"], "An operator must act.", "internals stay inside");
}
