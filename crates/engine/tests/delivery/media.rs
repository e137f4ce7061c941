//! Files: stored once, uploaded once for each content and number.

use waypost_domain::command::MediaDraft;
use waypost_domain::content::MediaMessage;
use waypost_domain::directory::Number;
use waypost_domain::media::{MediaKind, MimeType};
use waypost_domain::retry::RetryClass;
use waypost_domain::{Content, ErrorKind, Failure, MediaId, MediaSource, NumberId, OrgId, Status};
use waypost_engine::ports::{CallError, PlacedMedia, PutMode, SendOutcome};
use waypost_engine::{Answer, StoreFile};

use crate::rig::{
    PNG, Rig, ask, inline, keyed, number, org, picture, refused, send_to, submit_of, to_phone,
    too_fast,
};

#[tokio::test]
async fn the_same_bytes_are_uploaded_once() {
    let rig = Rig::new().await;
    for _ in 0..3 {
        rig.engine.send(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    }
    rig.engine.send(send_to("cust-1", picture(inline(b"other bytes")))).await.unwrap();
    assert_eq!(rig.upstream.uploads.lock().len(), 2);
    let seen = rig.upstream.seen.lock();
    assert_eq!(seen[2].content.media(), [&PlacedMedia::Id("upstream-media-1".to_owned())]);
}

#[tokio::test]
async fn an_upload_is_repeated_a_day_before_the_upstream_forgets_it() {
    let rig = Rig::new().await;
    rig.engine.send(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    rig.clock.advance(std::time::Duration::from_secs(29 * 86_400));
    rig.open_window("15550001111").await;
    rig.engine.send(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    assert_eq!(rig.upstream.uploads.lock().len(), 2);
}

#[tokio::test]
async fn a_file_that_the_upstream_has_lost_is_uploaded_again() {
    let rig = Rig::new().await;
    rig.upstream.next(refused(ErrorKind::MediaNotFound, RetryClass::Never));
    let answer = rig.engine.send(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    assert!(answer.outcome.result.is_ok());
    assert_eq!(rig.upstream.uploads.lock().len(), 2);
}

fn lost_file() -> SendOutcome {
    refused(ErrorKind::MediaNotFound, RetryClass::Never)
}

#[tokio::test(start_paused = true)]
async fn a_lost_file_is_uploaded_again_also_after_other_errors() {
    let rig = Rig::timed().await;
    rig.upstream.next(too_fast(RetryClass::Pace, 0));
    rig.upstream.next(lost_file());
    let answer = rig.engine.send(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    assert!(answer.outcome.result.is_ok(), "{:?}", answer.outcome.result);
    assert_eq!(rig.upstream.uploads.lock().len(), 2);

    rig.upstream.next(too_fast(RetryClass::Pace, 0));
    rig.upstream.next(lost_file());
    rig.upstream.next(too_fast(RetryClass::Pace, 0));
    rig.upstream.next(lost_file());
    let queued = rig.engine.enqueue(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    assert_eq!(rig.ended(queued.outcome.id).await.message.status, Status::Sent);
    assert_eq!(rig.upstream.uploads.lock().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_lost_at_once_ends_its_message_until_somebody_sends_it_again() {
    let rig = Rig::timed().await;
    *rig.upstream.always.lock() = Some(lost_file());
    let queued = rig.engine.enqueue(send_to("cust-1", picture(inline(PNG)))).await.unwrap();
    let id = queued.outcome.id;
    let history = rig.ended(id).await;
    assert_eq!((history.message.status, history.attempts.len()), (Status::Failed, 2));
    assert_eq!(history.message.failure.unwrap().kind, ErrorKind::MediaNotFound);
    *rig.upstream.always.lock() = None;
    rig.upstream.next(lost_file());
    assert!(rig.engine.retry_message(&OrgId::new("org-1"), id).await.unwrap());
    let history = rig.ended(id).await;
    assert_eq!((history.message.status, history.attempts.len()), (Status::Sent, 4));
    assert_eq!(rig.upstream.uploads.lock().len(), 3);
}

#[tokio::test]
async fn a_link_goes_to_the_upstream_as_it_is() {
    let rig = Rig::new().await;
    let url = "https://files.example.com/a.png".to_owned();
    let link = MediaSource::Link { url: url.clone(), provider: None };
    rig.engine.send(send_to("cust-1", picture(link))).await.unwrap();
    assert_eq!(rig.upstream.seen.lock()[0].content.media(), [&PlacedMedia::Link(url)]);
    assert!(rig.links.asked.lock().is_empty());
}

#[tokio::test]
async fn a_providers_link_is_fetched_with_its_credential_and_sent_by_id() {
    let rig = Rig::new().await;
    rig.add_provider("drive", "t0ken").await;
    let url = "https://files.example.com/a.png".to_owned();
    let link = MediaSource::Link { url: url.clone(), provider: Some("drive".to_owned()) };
    rig.engine.send(send_to("cust-1", picture(link))).await.unwrap();
    assert_eq!(*rig.links.asked.lock(), [(url, Some("Bearer t0ken".to_owned()))]);
    assert_eq!(*rig.upstream.uploads.lock(), [PNG.to_vec()]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_with_its_field() {
    let rig = Rig::new().await;
    let link = |url: &str, provider: Option<&str>| MediaSource::Link {
        url: url.to_owned(),
        provider: provider.map(str::to_owned),
    };
    for (source, kind, field) in [
        (
            MediaSource::Id(MediaId::new("1000000000000042")),
            ErrorKind::MediaNotFound,
            "message.image.id",
        ),
        (
            link("https://files.example.com/a", Some("nobody")),
            ErrorKind::UnknownProvider,
            "message.image.provider",
        ),
        (link("http://127.0.0.1/a", None), ErrorKind::InvalidValue, "message.image.link"),
    ] {
        let failure = rig.engine.send(send_to("cust-1", picture(source))).await.unwrap_err();
        assert_eq!((failure.kind, failure.field.as_deref()), (kind, Some(field)));
    }
    assert!(rig.upstream.sent_to().is_empty());
}

async fn upload(rig: &Rig) -> Result<Answer<waypost_domain::command::Uploaded>, Failure> {
    let mut upload = rig.engine.begin_upload().await.unwrap();
    upload.write(bytes::Bytes::from_static(PNG)).await.unwrap();
    let file = StoreFile {
        org_id: OrgId::new("org-1"),
        mime_type: MimeType::parse("image/png").unwrap(),
        filename: None,
        number: None,
    };
    rig.engine.finish_upload(upload, keyed(ask(file), "k", 1)).await
}

#[tokio::test]
async fn a_refused_upload_frees_the_idempotency_key() {
    let rig = Rig::new().await;
    let failure = Failure::new(ErrorKind::MediaRejected, "the upstream said no");
    let refusal = CallError { failure, class: RetryClass::Never };
    rig.upstream.upload_refusals.lock().push_back(refusal);
    assert_eq!(upload(&rig).await.unwrap_err().kind, ErrorKind::MediaRejected);
    let second = upload(&rig).await.unwrap();
    assert!(!second.replayed);
    let id = &second.outcome.media_id;
    let kept = rig.engine.store().media(&OrgId::new("org-1"), id, rig.engine.now()).await.unwrap();
    assert!(kept.is_some(), "what is answered exists");
    let third = upload(&rig).await.unwrap();
    assert!(third.replayed);
    assert_eq!(third.outcome, second.outcome);
}

async fn kept(rig: &Rig, mime_type: &str, filename: &str) -> MediaId {
    let mut upload = rig.engine.begin_upload().await.unwrap();
    upload.write(bytes::Bytes::from(mime_type.to_owned())).await.unwrap();
    let file = StoreFile {
        org_id: OrgId::new("org-1"),
        mime_type: MimeType::parse(mime_type).unwrap(),
        filename: Some(filename.to_owned()),
        number: None,
    };
    rig.engine.finish_upload(upload, ask(file)).await.unwrap().outcome.media_id
}

/// A file whose caller does not say what it is.
fn of_its_kind(id: MediaId, filename: Option<&str>) -> Content<MediaDraft> {
    let source = MediaSource::IdOfItsKind(id);
    Content::Media(MediaMessage {
        kind: MediaKind::Document,
        media: MediaDraft { kind: MediaKind::Document, source, field: "attachment.id".to_owned() },
        caption: Some("look".to_owned()),
        filename: filename.map(str::to_owned),
        voice: false,
    })
}

#[tokio::test]
async fn a_message_is_what_its_file_is() {
    let rig = Rig::new().await;
    for (mime_type, given, kind, caption, filename) in [
        ("image/png", None, MediaKind::Image, Some("look"), None),
        ("image/png", Some("b.png"), MediaKind::Image, Some("look"), None),
        ("video/mp4", None, MediaKind::Video, Some("look"), None),
        ("audio/mpeg", None, MediaKind::Audio, None, None),
        ("image/webp", None, MediaKind::Sticker, None, None),
        ("application/pdf", None, MediaKind::Document, Some("look"), Some("kept.bin")),
        ("application/pdf", Some("b.pdf"), MediaKind::Document, Some("look"), Some("b.pdf")),
    ] {
        let id = kept(&rig, mime_type, "kept.bin").await;
        rig.engine.send(send_to("cust-1", of_its_kind(id, given))).await.unwrap();
        let seen = rig.upstream.seen.lock().last().unwrap().content.clone();
        let Content::Media(message) = seen else { unreachable!("a file") };
        assert_eq!(message.kind, kind, "{mime_type}");
        let told = (message.caption.as_deref(), message.filename.as_deref());
        assert_eq!(told, (caption, filename), "{mime_type}");
    }
}

#[tokio::test]
async fn a_file_that_nobody_knows_is_told_at_once_where_that_is_asked_for() {
    let rig = Rig::new().await;
    rig.put_org(org("org-2"), PutMode::Create).await;
    let id = kept(&rig, "image/png", "kept.png").await;
    let message = |id: &str| to_phone("15550001111", of_its_kind(MediaId::new(id), None));
    let unknown = || vec![message(id.as_str()), message("1000000000000042")];
    let refused = rig.engine.submit(submit_of(unknown()), &[ErrorKind::MediaNotFound]).await;
    let failure = refused.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::MediaNotFound);
    assert_eq!(failure.field.as_deref(), Some("attachment.id"));
    assert_eq!(rig.engine.metrics().messages_accepted, 0);
    let ids = rig.engine.submit(submit_of(unknown()), &[]).await.unwrap().outcome;
    let failure = rig.stored(ids[1]).await.failure.unwrap();
    assert_eq!(failure.kind, ErrorKind::MediaNotFound);
    // Another organisation's file is unknown.
    let mut foreign = submit_of(vec![message(id.as_str())]);
    foreign.caller.org_id = Some(OrgId::new("org-2"));
    foreign.command.org_id = OrgId::new("org-2");
    foreign.command.messages[0].send.org_id = OrgId::new("org-2");
    let number = Number {
        id: NumberId::new("number-2"),
        org_id: OrgId::new("org-2"),
        phone_number_id: "100000000000003".to_owned(),
        ..number(1_000)
    };
    rig.engine.put_number(number, PutMode::Create).await.unwrap();
    let refused = rig.engine.submit(foreign, &[ErrorKind::MediaNotFound]).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::MediaNotFound);
}
