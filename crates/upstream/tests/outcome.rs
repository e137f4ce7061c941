//! What a send came to, in every way in which it can end (T4): sent, certainly not sent, unknown.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod rig;

use std::sync::Arc;

use rig::{ACCEPTED, Act, NUMBER, Rig, TOKEN, account, error_body, header, reply};
use tokio::net::TcpListener;
use url::Url;
use waypost_domain::content::{Location, MediaMessage};
use waypost_domain::media::MediaKind;
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Failure, Phone};
use waypost_engine::ports::{OutgoingMessage, PlacedMedia, SendOutcome, Upstream};
use waypost_upstream::{CloudApi, Trust};

const ATTEMPT: &str = "wp1.AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAA";

fn phone() -> Phone {
    Phone::parse("15550001111").unwrap()
}

fn text() -> Content<PlacedMedia> {
    Content::Text { body: "Grüße \u{1f44b} \"quoted\"".to_owned(), preview_url: true }
}

fn image(media: PlacedMedia) -> Content<PlacedMedia> {
    Content::Media(MediaMessage {
        kind: MediaKind::Image,
        media,
        caption: Some("a caption".to_owned()),
        filename: None,
        voice: false,
    })
}

async fn send(client: &CloudApi) -> SendOutcome {
    client.send(&account(), &OutgoingMessage::new(&phone(), &text(), ATTEMPT)).await
}

/// The outcome in short: its word, what went wrong and what may be done.
fn short(outcome: &SendOutcome) -> (&'static str, Option<ErrorKind>, Option<RetryClass>) {
    match outcome {
        SendOutcome::Sent(_) => ("sent", None, None),
        SendOutcome::Refused(error) => ("refused", Some(error.failure.kind), Some(error.class)),
        SendOutcome::NotSent(error) => ("not sent", Some(error.failure.kind), Some(error.class)),
        SendOutcome::Unknown(failure) => ("unknown", Some(failure.kind), None),
    }
}

const NOT_SENT: (&str, Option<ErrorKind>, Option<RetryClass>) =
    ("not sent", Some(ErrorKind::UpstreamUnavailable), Some(RetryClass::BackOff));
const UNKNOWN: (&str, Option<ErrorKind>, Option<RetryClass>) =
    ("unknown", Some(ErrorKind::OutcomeUnknown), None);

fn failure(outcome: &SendOutcome) -> &Failure {
    match outcome {
        SendOutcome::Refused(error) | SendOutcome::NotSent(error) => &error.failure,
        SendOutcome::Unknown(failure) => failure,
        SendOutcome::Sent(_) => panic!("sent"),
    }
}

#[tokio::test]
async fn a_send_says_what_the_reference_says() {
    let rig = Rig::answering(reply("200 OK", "", ACCEPTED)).await;
    let SendOutcome::Sent(receipt) = send(&rig.client()).await else { panic!("not sent") };
    assert_eq!(receipt.wa_id, "15550001111");
    assert!(receipt.wamid.starts_with("wamid.HBgL"));
    let [request] = &rig.requests()[..] else { panic!("one request") };
    let line = format!("POST /v25.0/{NUMBER}/messages HTTP/1.1");
    assert_eq!(request.head.lines().next(), Some(line.as_str()));
    assert_eq!(header(&request.head, "authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert_eq!(header(&request.head, "content-type"), Some("application/json"));
    assert!(header(&request.head, "transfer-encoding").is_none());
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&request.body).unwrap(),
        serde_json::json!({
            "messaging_product": "whatsapp", "recipient_type": "individual",
            "to": "+15550001111", "biz_opaque_callback_data": ATTEMPT,
            "type": "text", "text": {"body": "Grüße \u{1f44b} \"quoted\"", "preview_url": true}})
    );
}

#[tokio::test]
async fn other_contents_go_out_in_metas_form() {
    let place = Location { latitude: 1.5, longitude: -2.25, name: None, address: None };
    for (content, member) in [
        (
            image(PlacedMedia::Id("42".to_owned())),
            serde_json::json!({"type":"image","image":{"id":"42","caption":"a caption"}}),
        ),
        (
            image(PlacedMedia::Link("https://files.example.com/a.png".to_owned())),
            serde_json::json!({"type":"image",
                "image":{"link":"https://files.example.com/a.png","caption":"a caption"}}),
        ),
        (
            Content::Location(place),
            serde_json::json!({"type":"location","location":{"latitude":1.5,"longitude":-2.25}}),
        ),
    ] {
        let rig = Rig::answering(reply("200 OK", "", ACCEPTED)).await;
        rig.client().send(&account(), &OutgoingMessage::new(&phone(), &content, ATTEMPT)).await;
        let body: serde_json::Value = serde_json::from_slice(&rig.requests()[0].body).unwrap();
        let mut expected = serde_json::json!({
            "messaging_product": "whatsapp", "recipient_type": "individual",
            "to": "+15550001111", "biz_opaque_callback_data": ATTEMPT});
        expected.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_quote_an_identity_and_a_person_without_a_number_go_out_in_the_envelope() {
    let person = Phone::business_scoped("US.13491208655302741918").unwrap();
    let place = Location { latitude: 1.5, longitude: -2.25, name: None, address: None };
    for (content, member) in [
        (
            text(),
            serde_json::json!({"type":"text",
                "text":{"body": "Grüße \u{1f44b} \"quoted\"", "preview_url": true}}),
        ),
        (
            Content::Location(place),
            serde_json::json!({"type":"location","location":{"latitude":1.5,"longitude":-2.25}}),
        ),
    ] {
        let rig = Rig::answering(reply("200 OK", "", r#"{"messages":[{"id":"wamid.X"}]}"#)).await;
        let message = OutgoingMessage {
            reply_to: Some("wamid.quoted"),
            identity_key_hash: Some("AAAAAAAAAAA="),
            ..OutgoingMessage::new(&person, &content, ATTEMPT)
        };
        let outcome = rig.client().send(&account(), &message).await;
        let SendOutcome::Sent(receipt) = outcome else { panic!("not sent") };
        assert_eq!(receipt.wa_id, "US.13491208655302741918");
        let body: serde_json::Value = serde_json::from_slice(&rig.requests()[0].body).unwrap();
        let mut expected = serde_json::json!({
            "messaging_product": "whatsapp", "recipient_type": "individual",
            "recipient": "US.13491208655302741918", "biz_opaque_callback_data": ATTEMPT,
            "context": {"message_id": "wamid.quoted"},
            "recipient_identity_key_hash": "AAAAAAAAAAA="});
        expected.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_person_without_a_number_in_the_reply_keeps_the_one_addressed() {
    let body = r#"{"contacts":[{"input":"US.1","user_id":"US.1"}],"messages":[{"id":"wamid.X"}]}"#;
    for body in [body, r#"{"messages":[{"id":"wamid.X"}]}"#] {
        let rig = Rig::answering(reply("200 OK", "", body)).await;
        let SendOutcome::Sent(receipt) = send(&rig.client()).await else { panic!("not sent") };
        assert_eq!((receipt.wamid.as_str(), receipt.wa_id.as_str()), ("wamid.X", "15550001111"));
    }
}

// ---- Certainly not sent: nothing reached anybody. -----------------------------------------------

#[tokio::test]
async fn t04_an_upstream_that_cannot_be_reached_was_not_sent_anything() {
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let refused = Url::parse(&format!("http://{free}")).unwrap();
    assert_eq!(short(&send(&rig::client(refused)).await), NOT_SENT, "refused port");
    let unresolvable = Url::parse("http://graph.invalid").unwrap();
    assert_eq!(short(&send(&rig::client(unresolvable)).await), NOT_SENT, "DNS");
}

#[tokio::test]
async fn t04_a_tls_failure_was_not_sent_anything() {
    let no_tls = reply("400 Bad Request", "", "plain text on a TLS port");
    let (blurt, silent) = (vec![Act::Blurt(no_tls), Act::Close], vec![Act::Silence]);
    for (script, name) in [(blurt, "no TLS"), (vec![Act::Reset], "reset"), (silent, "silence")] {
        let rig = Rig::start(vec![script]).await;
        let url = Url::parse(&format!("https://{}", rig.address)).unwrap();
        assert_eq!(short(&send(&rig::impatient(url)).await), NOT_SENT, "{name}");
    }
}

#[tokio::test]
async fn t04_a_certificate_of_another_authority_is_not_believed() {
    for (known, expected) in [(true, "sent"), (false, "not sent")] {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let port = tls_upstream(&key).await;
        let believed = if known { key.cert.der() } else { stranger.cert.der() };
        let mut config = rig::config(Url::parse(&format!("https://localhost:{port}")).unwrap());
        config.trust = Trust::Only(vec![believed.clone()]);
        let outcome = send(&CloudApi::new(config).unwrap()).await;
        assert_eq!(short(&outcome).0, expected, "{outcome:?}");
    }
}

/// An upstream behind TLS that accepts one message.
async fn tls_upstream(key: &rcgen::CertifiedKey<rcgen::KeyPair>) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], private.unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else { return };
        let mut buffer = vec![0; 4_096];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(&reply("200 OK", "", ACCEPTED)).await;
        let _ = stream.read(&mut buffer).await;
    });
    port
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_the_operators_matter() {
    let rig = Rig::start(vec![]).await;
    let mut account = account();
    account.access_token = "two\nlines".to_owned();
    let outcome =
        rig.client().send(&account, &OutgoingMessage::new(&phone(), &text(), ATTEMPT)).await;
    let expected = ("not sent", Some(ErrorKind::UpstreamAuth), Some(RetryClass::Account));
    assert_eq!(short(&outcome), expected);
    assert!(!format!("{outcome:?}").contains("two"), "the token is not told");
}

// ---- Unknown: it may have arrived. --------------------------------------------------------------

#[tokio::test]
async fn t04_a_connection_lost_after_the_first_byte_leaves_the_outcome_unknown() {
    let cut = |bytes: &[u8]| vec![Act::Answer(bytes.to_vec()), Act::Reset];
    let truncated = reply("200 OK", "", ACCEPTED);
    for (script, name) in [
        (vec![Act::ReadThenReset], "reset after the request"),
        (vec![Act::ReadThenClose], "closed after the request"),
        (vec![Act::ResetInBody(1)], "reset after the first byte"),
        (cut(b"HTTP/1.1 200"), "cut in the status line"),
        (cut(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n"), "cut in the head"),
        (cut(&truncated[..truncated.len() - 40]), "cut in the body"),
        (cut(b"\x16\x03\x01\x00\x05hello"), "no HTTP at all"),
    ] {
        let rig = Rig::start(vec![script, vec![Act::Answer(truncated.clone())]]).await;
        assert_eq!(short(&send(&rig.client()).await), UNKNOWN, "{name}");
        assert_eq!(rig.requests().len(), 1, "{name}: never repeated");
        assert_eq!(*rig.connections.lock(), 1, "{name}: never repeated");
    }
}

#[tokio::test]
async fn t04_silence_leaves_the_outcome_unknown() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec();
    for (script, name) in [
        (vec![Act::Silence], "no reply"),
        (vec![Act::Answer(head)], "no end of the reply"),
        (vec![Act::Answer(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())], "an interim reply only"),
    ] {
        let rig = Rig::start(vec![script]).await;
        assert_eq!(short(&send(&rig::impatient(rig.url())).await), UNKNOWN, "{name}");
        assert_eq!(rig.requests().len(), 1);
    }
}

#[tokio::test]
async fn t04_a_reply_that_says_nothing_leaves_the_outcome_unknown() {
    for (status, body) in [
        ("200 OK", "{not json"),
        ("200 OK", ""),
        ("200 OK", "{}"),
        ("200 OK", r#"{"messages":[{"id":""}]}"#),
        ("200 OK", r#"{"messages":[]}"#),
        ("200 OK", r#"{"error":{"message":"without a code"}}"#),
        ("204 No Content", ""),
        ("303 See Other", ""),
        ("500 Internal Server Error", "<html>oops</html>"),
        ("502 Bad Gateway", "<html>bad gateway</html>"),
        ("503 Service Unavailable", ""),
        ("504 Gateway Timeout", r#"{"error":"text"}"#),
        ("500 Internal Server Error", ACCEPTED),
    ] {
        let rig = Rig::answering(reply(status, "", body)).await;
        let outcome = send(&rig.client()).await;
        assert_eq!(short(&outcome), UNKNOWN, "{status} {body}");
        let fault = failure(&outcome).upstream.as_ref().unwrap();
        assert_eq!(fault.http_status, status[..3].parse().ok());
    }
}

// ---- Refused: the upstream said no. -------------------------------------------------------------

#[tokio::test]
async fn t04_metas_codes_are_refusals_whatever_the_status() {
    use {ErrorKind as Kind, RetryClass as Class};
    for (status, code, kind, class) in [
        ("401 Unauthorized", 190, Kind::UpstreamAuth, Class::Account),
        ("401 Unauthorized", 0, Kind::UpstreamAuth, Class::Account),
        ("403 Forbidden", 10, Kind::UpstreamAuth, Class::Account),
        ("403 Forbidden", 131_031, Kind::UpstreamAuth, Class::Account),
        ("400 Bad Request", 100, Kind::RejectedByUpstream, Class::Never),
        ("400 Bad Request", 131_009, Kind::RejectedByUpstream, Class::Never),
        ("400 Bad Request", 131_047, Kind::WindowClosed, Class::Never),
        ("400 Bad Request", 131_026, Kind::RecipientUnreachable, Class::Never),
        ("400 Bad Request", 131_030, Kind::RecipientUnreachable, Class::Operator),
        ("400 Bad Request", 130_403, Kind::RecipientBlocked, Class::Never),
        ("404 Not Found", 132_001, Kind::TemplateNotFound, Class::Never),
        ("400 Bad Request", 132_015, Kind::TemplateNotApproved, Class::Later),
        ("400 Bad Request", 132_000, Kind::TemplateParameterMismatch, Class::Never),
        ("400 Bad Request", 131_053, Kind::MediaRejected, Class::Never),
        ("400 Bad Request", 130_429, Kind::RateLimited, Class::Pace),
        ("400 Bad Request", 131_056, Kind::RateLimited, Class::PersonPace),
        ("429 Too Many Requests", 80_007, Kind::RateLimited, Class::Pace),
        ("400 Bad Request", 131_048, Kind::RateLimited, Class::Later),
        ("500 Internal Server Error", 131_000, Kind::UpstreamUnavailable, Class::BackOffFew),
        ("500 Internal Server Error", 2, Kind::UpstreamUnavailable, Class::BackOff),
        ("503 Service Unavailable", 133_004, Kind::UpstreamUnavailable, Class::BackOff),
        ("500 Internal Server Error", 131_057, Kind::UpstreamUnavailable, Class::BackOff),
        ("500 Internal Server Error", 131_047, Kind::WindowClosed, Class::Never),
        ("200 OK", 131_056, Kind::RateLimited, Class::PersonPace),
        ("500 Internal Server Error", 999_999, Kind::UpstreamUnavailable, Class::BackOffFew),
        ("400 Bad Request", 999_999, Kind::RejectedByUpstream, Class::Never),
    ] {
        let rig = Rig::answering(reply(status, "", &error_body(code, None))).await;
        let outcome = send(&rig.client()).await;
        assert_eq!(short(&outcome), ("refused", Some(kind), Some(class)), "{status} {code}");
        let fault = failure(&outcome).upstream.as_ref().unwrap();
        assert_eq!((fault.code, fault.details.as_str()), (Some(code), "what Meta says"));
    }
}

#[tokio::test]
async fn t04_refusals_without_metas_words() {
    use {ErrorKind as Kind, RetryClass as Class};
    for (status, kind, class) in [
        ("400 Bad Request", Kind::UpstreamError, Class::Never),
        ("401 Unauthorized", Kind::UpstreamError, Class::Account),
        ("404 Not Found", Kind::UpstreamError, Class::Never),
        ("408 Request Timeout", Kind::UpstreamError, Class::BackOffFew),
        ("413 Content Too Large", Kind::UpstreamError, Class::Never),
        ("429 Too Many Requests", Kind::RateLimited, Class::Pace),
        ("302 Found", Kind::UpstreamError, Class::Account),
    ] {
        let rig = Rig::answering(reply(status, "retry-after: 9\r\n", "<html></html>")).await;
        let outcome = send(&rig.client()).await;
        assert_eq!(short(&outcome), ("refused", Some(kind), Some(class)), "{status}");
        let waits = matches!(class, Class::Pace | Class::BackOffFew);
        assert_eq!(failure(&outcome).retry_after_s, waits.then_some(9), "{status}");
    }
}

#[tokio::test]
async fn t04_a_refusal_whose_words_were_cut_off_may_be_of_any_kind() {
    use {ErrorKind as Kind, RetryClass as Class};
    for (status, kind, class) in [
        ("400 Bad Request", Kind::UpstreamError, Class::BackOffFew),
        ("404 Not Found", Kind::UpstreamError, Class::BackOffFew),
        ("401 Unauthorized", Kind::UpstreamError, Class::Account),
        ("429 Too Many Requests", Kind::RateLimited, Class::Pace),
    ] {
        let whole = reply(status, "", &error_body(130_429, None));
        let head = whole.len() - error_body(130_429, None).len();
        for sent in [head, whole.len() - 1] {
            let script = vec![Act::Answer(whole[..sent].to_vec()), Act::Close];
            let rig = Rig::start(vec![script]).await;
            let outcome = send(&rig.client()).await;
            assert_eq!(short(&outcome), ("refused", Some(kind), Some(class)), "{status} {sent}");
        }
    }
}

#[tokio::test]
async fn the_upstreams_wish_for_waiting_is_passed_on() {
    let usage = "x-business-use-case-usage: {\"100000000000002\":[{\"type\":\"messaging\",\
                 \"call_count\":100,\"estimated_time_to_regain_access\":\"3\"}]}\r\n";
    let both = format!("{usage}retry-after: 200\r\n");
    for (headers, code, expected) in [
        ("retry-after: 17\r\n", 130_429, Some(17)),
        (usage, 80_007, Some(180)),
        (both.as_str(), 4, Some(200)),
        ("", 130_429, None),
        ("retry-after: 17\r\n", 190, None),
        ("", 131_049, Some(86_400)),
    ] {
        let rig = Rig::answering(reply("400 Bad Request", headers, &error_body(code, None))).await;
        let outcome = send(&rig.client()).await;
        assert_eq!(failure(&outcome).retry_after_s, expected, "{code} {headers}");
    }
}

#[tokio::test]
async fn an_object_that_does_not_exist_is_the_file_unless_it_is_our_number() {
    let ours = error_body(100, Some(33)).replace("what Meta says", NUMBER);
    let file = image(PlacedMedia::Id("1000000000000042".to_owned()));
    for (content, body, kind) in [
        (file.clone(), error_body(100, Some(33)), ErrorKind::MediaNotFound),
        (file.clone(), ours, ErrorKind::RejectedByUpstream),
        (file, error_body(100, None), ErrorKind::RejectedByUpstream),
        (text(), error_body(100, Some(33)), ErrorKind::RejectedByUpstream),
    ] {
        let rig = Rig::answering(reply("400 Bad Request", "", &body)).await;
        let outcome =
            rig.client().send(&account(), &OutgoingMessage::new(&phone(), &content, ATTEMPT)).await;
        assert_eq!(short(&outcome), ("refused", Some(kind), Some(RetryClass::Never)));
    }
}

// ---- Connections that are kept. -----------------------------------------------------------------

#[tokio::test]
async fn connections_are_used_again() {
    let answer = Act::Answer(reply("200 OK", "", ACCEPTED));
    let rig = Rig::start(vec![vec![answer; 20]]).await;
    let client = rig.client();
    for _ in 0..20 {
        assert_eq!(short(&send(&client).await).0, "sent");
    }
    assert_eq!(*rig.connections.lock(), 1);
}

#[tokio::test]
async fn an_idle_connection_that_the_peer_closed_costs_nothing() {
    for end in [Act::Close, Act::Reset] {
        let answer = Act::Answer(reply("200 OK", "", ACCEPTED));
        let rig = Rig::start(vec![vec![answer, end.clone()]; 20]).await;
        let client = rig.client();
        for _ in 0..20 {
            let outcome = send(&client).await;
            assert_eq!(short(&outcome).0, "sent", "{end:?}: {outcome:?}");
            idle().await;
        }
        assert_eq!(rig.requests().len(), 20, "each message once");
    }
}

/// Lets everything happen that can happen without a request: each turn looks at the sockets.
async fn idle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// However the end of a connection and the next request meet, a message is written at most once,
/// and what is called not sent was not received.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_no_race_with_a_closing_peer_repeats_a_message() {
    const ROUNDS: usize = 300;
    for end in [Act::Close, Act::Reset] {
        let answer = Act::Answer(reply("200 OK", "", ACCEPTED));
        let scripts = (0..2 * ROUNDS)
            .map(|turn| vec![answer.clone(), Act::Linger(turn % 97), end.clone()])
            .collect();
        let rig = Rig::start(scripts).await;
        let client = rig.client();
        for round in 0..ROUNDS {
            let token = format!("wp1.{round:022}.AAAAAAAA");
            let outcome =
                client.send(&account(), &OutgoingMessage::new(&phone(), &text(), &token)).await;
            let arrived = rig.requests().iter().filter(|seen| contains(&seen.body, &token)).count();
            match short(&outcome).0 {
                "sent" => assert_eq!(arrived, 1),
                "not sent" => assert_eq!(arrived, 0),
                "unknown" => assert!(arrived <= 1),
                other => panic!("{other}"),
            }
        }
    }
}

fn contains(body: &[u8], token: &str) -> bool {
    body.windows(token.len()).any(|window| window == token.as_bytes())
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_is_never_taken_for_the_next() {
    let twice = [reply("200 OK", "", ACCEPTED), reply("200 OK", "", ACCEPTED)].concat();
    let refusal = reply("400 Bad Request", "", &error_body(131_047, None));
    let rig = Rig::start(vec![vec![Act::Answer(twice)], vec![Act::Answer(refusal)]]).await;
    let client = rig.client();
    assert_eq!(short(&send(&client).await).0, "sent");
    let second = short(&send(&client).await).0;
    assert_ne!(second, "sent");
}
