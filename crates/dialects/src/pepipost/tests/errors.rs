//! The codes of refusals and of receipts.

use waypost_domain::UpstreamFault;

use super::super::errors;
use super::*;

/// Kind, status and code at once, and the code of a receipt.
const TABLE: &[(ErrorKind, u16, &str, &str)] = &[
    (ErrorKind::InvalidJson, 400, "8001", "8015"),
    (ErrorKind::InvalidBody, 400, "8001", "8015"),
    (ErrorKind::InvalidMultipart, 400, "8001", "8015"),
    (ErrorKind::MissingField, 400, "8001", "8015"),
    (ErrorKind::InvalidType, 400, "8001", "8015"),
    (ErrorKind::InvalidValue, 400, "8001", "8015"),
    (ErrorKind::ValueTooLong, 400, "8001", "8015"),
    (ErrorKind::UnsupportedMessageType, 400, "8001", "8015"),
    (ErrorKind::UnknownProvider, 400, "8001", "8015"),
    (ErrorKind::UnsupportedContentType, 400, "8001", "8015"),
    (ErrorKind::BodyTooLarge, 413, "8001", "8015"),
    (ErrorKind::RouteNotFound, 404, "8001", "8015"),
    (ErrorKind::MethodNotAllowed, 405, "8001", "8015"),
    (ErrorKind::MissingCredential, 401, "8004", "8015"),
    (ErrorKind::InvalidCredential, 401, "8004", "8015"),
    (ErrorKind::KeyDisabled, 401, "8004", "8015"),
    (ErrorKind::AddressNotAllowed, 401, "8004", "8015"),
    (ErrorKind::ScopeMissing, 401, "8004", "8015"),
    (ErrorKind::OrgForbidden, 401, "8004", "8015"),
    (ErrorKind::UserForbidden, 401, "8004", "8015"),
    (ErrorKind::NumberNotFound, 400, "8006", "8015"),
    (ErrorKind::MediaNotFound, 404, "8008", "8008"),
    (ErrorKind::MediaRejected, 400, "8008", "8008"),
    (ErrorKind::MediaTooLarge, 413, "8008", "8008"),
    (ErrorKind::UnsupportedMediaType, 415, "8008", "8008"),
    (ErrorKind::TemplateNotFound, 404, "8009", "8009"),
    (ErrorKind::TemplateNotApproved, 400, "8009", "8009"),
    (ErrorKind::TemplateLanguageNotFound, 404, "8011", "8011"),
    (ErrorKind::TemplateParameterMismatch, 400, "8010", "8010"),
    (ErrorKind::WindowClosed, 400, "8007", "8007"),
    (ErrorKind::RecipientBlocked, 400, "8002", "8002"),
    (ErrorKind::RecipientUnreachable, 400, "8003", "8003"),
    (ErrorKind::CustomerNotFound, 400, "8015", "8015"),
    (ErrorKind::FlowNotFound, 400, "8015", "8015"),
    (ErrorKind::IdentityMismatch, 400, "8015", "8015"),
    (ErrorKind::RejectedByUpstream, 400, "8015", "8015"),
    (ErrorKind::Cancelled, 400, "8015", "8015"),
    (ErrorKind::Expired, 400, "8005", "8005"),
    (ErrorKind::StillQueued, 400, "8005", "8005"),
    (ErrorKind::IdempotencyConflict, 409, "8006", "8015"),
    (ErrorKind::IdempotencyInProgress, 409, "8015", "8015"),
    (ErrorKind::RateLimited, 429, "8015", "8015"),
    (ErrorKind::UpstreamUnavailable, 503, "8005", "8012"),
    (ErrorKind::UpstreamError, 500, "8005", "8012"),
    (ErrorKind::UpstreamAuth, 500, "8005", "8015"),
    (ErrorKind::OutcomeUnknown, 500, "8005", "8005"),
    (ErrorKind::Unavailable, 503, "8005", "8005"),
];

fn reply(failure: &Failure) -> Reply {
    Pepipost.encode_error(failure, ErrorSite::default())
}

#[test]
fn every_kind_has_its_status_and_codes() {
    for (kind, status, code, later) in TABLE {
        let failure = Failure::new(*kind, "Why.");
        let reply = reply(&failure);
        assert_eq!(reply.status.as_u16(), *status, "{kind:?}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((&body["status"], &body["error"]["code"]), (&json!("failure"), &json!(code)));
        let text = body["error"]["message"].as_str().unwrap();
        assert_eq!(text.starts_with(' '), *code == "8006", "{kind:?}");
        assert_eq!(header(&reply, "x-waypost-error").as_deref(), Some("Why."));
        assert_eq!(errors::reported(&failure).number(), *later, "{kind:?}");
    }
    let kinds: std::collections::HashSet<_> = TABLE.iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds.len(), TABLE.len());
}

/// 7, 8
#[test]
fn a_caller_without_a_key_is_told_how_to_send_one() {
    for kind in [ErrorKind::MissingCredential, ErrorKind::InvalidCredential] {
        let failure = Failure::new(kind, "No.");
        let reply = reply_at(&failure, &Method::POST, wire::SEND_PATH);
        assert_eq!(reply.status.as_u16(), 401);
        assert_eq!(header(&reply, "www-authenticate").as_deref(), Some("Bearer"));
        let expected =
            r#"{"status":"failure","error":{"code":"8004","message":"Client details not found"}}"#;
        assert_eq!(reply.body, expected.as_bytes());
    }
    let reply = reply(&Failure::new(ErrorKind::InvalidJson, "x"));
    assert_eq!(header(&reply, "www-authenticate"), None);
}

/// 44
#[test]
fn another_method_is_told_the_right_ones() {
    let failure = Failure::new(ErrorKind::MethodNotAllowed, "Use POST.");
    for (method, path, allow) in [
        (Method::POST, wire::SEND_PATH, "POST"),
        (Method::GET, wire::MEDIA_PATH, "GET, DELETE"),
        (Method::GET, wire::TEMPLATE_STATUS_PATH, "GET"),
    ] {
        let reply = reply_at(&failure, &method, path);
        assert_eq!(header(&reply, "allow").as_deref(), Some(allow));
    }
}

/// 40
#[test]
fn a_key_used_for_another_body_is_told_so() {
    let failure = Failure::new(ErrorKind::IdempotencyConflict, "Another body.");
    let text = " Idempotency-Key was used with another body";
    assert_answered(Err::<(), _>(failure), wire::SEND_PATH, (409, "8006", text));
}

/// 43, 45, 59
#[test]
fn faults_that_are_not_the_messages_have_statuses_of_their_own() {
    for (kind, expected) in [
        (ErrorKind::BodyTooLarge, (413, "8001", MISSING)),
        (ErrorKind::RouteNotFound, (404, "8001", MISSING)),
        (ErrorKind::Unavailable, (503, "8005", "Technical error occurred")),
    ] {
        assert_answered(Err::<(), _>(Failure::new(kind, "Why.")), wire::SEND_PATH, expected);
    }
}

#[test]
fn patience_is_asked_for_in_seconds() {
    use ErrorKind::{IdempotencyInProgress, RateLimited, Unavailable, UpstreamUnavailable};
    for kind in [IdempotencyInProgress, RateLimited, UpstreamUnavailable, Unavailable] {
        let failure = Failure::new(kind, "Later.");
        assert_eq!(header(&reply(&failure), "retry-after").as_deref(), Some("5"));
        let failure = failure.retry_after_s(17);
        assert_eq!(header(&reply(&failure), "retry-after").as_deref(), Some("17"));
    }
    for kind in [ErrorKind::InvalidJson, ErrorKind::RejectedByUpstream] {
        let failure = Failure::new(kind, "Not for a day.").retry_after_s(86_400);
        assert_eq!(header(&reply(&failure), "retry-after"), None);
    }
}

#[test]
fn details_are_one_line_that_names_the_field() {
    for (message, field, expected) in [
        ("Wrong.", Some("message[0].ttl"), "message[0].ttl: Wrong."),
        ("message[0].ttl is wrong.", Some("message[0].ttl"), "message[0].ttl is wrong."),
        ("a\r\nSet-Cookie: ü\0", None, "a??Set-Cookie: ??"),
    ] {
        let mut failure = Failure::new(ErrorKind::InvalidValue, message);
        failure.field = field.map(str::to_owned);
        assert_eq!(header(&reply(&failure), "x-waypost-error").as_deref(), Some(expected));
    }
    let endless = Failure::new(ErrorKind::InvalidValue, "x".repeat(10_000));
    assert_eq!(header(&reply(&endless), "x-waypost-error").unwrap().len(), 400);
}

fn upstream(kind: ErrorKind, code: i64, details: &str) -> Failure {
    let fault =
        UpstreamFault { code: Some(code), details: details.to_owned(), ..UpstreamFault::default() };
    Failure::new(kind, "Why.").with_upstream(fault)
}

#[test]
fn what_the_upstream_said_decides_the_code_of_a_receipt() {
    use ErrorKind as K;
    for (codes, kind, expected) in [
        (&[131_008][..], K::RejectedByUpstream, "8001"),
        (&[131_026, 131_030, 131_021], K::RecipientUnreachable, "8003"),
        (&[131_047], K::WindowClosed, "8007"),
        (&[131_052, 131_053], K::MediaRejected, "8008"),
        (&[132_001, 132_007, 132_015, 132_016], K::RejectedByUpstream, "8009"),
        (&[132_001], K::TemplateLanguageNotFound, "8011"),
        (&[132_000, 132_005, 132_008, 132_012, 132_018], K::RejectedByUpstream, "8010"),
        (&[1, 2, 131_000, 131_016, 131_057, 133_000, 133_004], K::UpstreamUnavailable, "8012"),
        (&[99], K::UpstreamUnavailable, "8012"),
        (&[131_000], K::OutcomeUnknown, "8012"),
        (&[131_049, 130_472, 190, 368, 131_042], K::RejectedByUpstream, "8015"),
        (&[130_403, 131_050], K::RecipientBlocked, "8015"),
        (&[4, 80_007, 130_429, 131_048, 131_056], K::RateLimited, "8015"),
    ] {
        for code in codes {
            let failure = upstream(kind, *code, "");
            assert_eq!(errors::reported(&failure).number(), expected, "{code}");
        }
    }
}

/// 29, 30, 32, 33, 34
#[test]
fn receipts_say_what_failed() {
    let plain = |kind| Failure::new(kind, "Why.");
    for (failure, expected) in [
        (
            plain(ErrorKind::WindowClosed),
            "8007: Failed to send message because you are outside the support window for \
             freeform messages to this user. Please use a valid template or reconsider",
        ),
        (plain(ErrorKind::RecipientBlocked), "8002: Phone number is not opted in"),
        (plain(ErrorKind::TemplateNotFound), "8009: Invalid Template"),
        (plain(ErrorKind::TemplateParameterMismatch), "8010: Invalid Template parameter"),
        (plain(ErrorKind::TemplateLanguageNotFound), "8011: Invalid Template language"),
        (plain(ErrorKind::Expired), "8005: Technical error occurred (expired)"),
        (plain(ErrorKind::Cancelled), "8015: Platform Error (cancelled)"),
        (
            upstream(ErrorKind::MediaRejected, 131_053, " Media upload error "),
            "8008: Invalid Media id or bad media (Media upload error)",
        ),
        (
            upstream(ErrorKind::RecipientUnreachable, 131_026, "Message undeliverable."),
            "8003: WhatsApp contact does not exist (Message undeliverable.)",
        ),
        (
            plain(ErrorKind::InvalidValue)
                .at("message[0].type_media[0].attachments[0].attachment_url"),
            "8008: Invalid Media id or bad media",
        ),
        (
            plain(ErrorKind::InvalidValue).in_words_of("pepipost", "8006", " source is invalid"),
            "8006: source is invalid",
        ),
        (
            plain(ErrorKind::WindowClosed).in_words_of("webex_connect", "7001", "x"),
            errors::remark(&plain(ErrorKind::WindowClosed)).leak(),
        ),
    ] {
        assert_eq!(errors::remark(&failure), expected);
    }
}
