//! Callers who go away just as what they asked for is recorded, and changes that meet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use waypost_domain::callback::Webhook;
use waypost_domain::directory::{ApiKey, Number};
use waypost_domain::message::BroadcastState;
use waypost_domain::retry::RetryClass;
use waypost_domain::template::Template;
use waypost_domain::{ApiKeyId, ErrorKind, NumberId, OrgId, Status, Timestamp};
use waypost_engine::directory::Directory;
use waypost_engine::ports::{
    CreationClaim, Entry, EntryKey, IdempotencyClaim, MessageFilter, PutMode, Signer, StoreResult,
};
use waypost_engine::{Sweep, Swept};
use waypost_store_sqlite::{Moment, Turns};

use crate::callbacks::{hooked, written};
use crate::rig::{NOON, Rig, broadcast_of, number, phone, refused, send_to, text};

const WABA: &str = "100000000000002";

/// Holds one job of the store back at a moment, until it is let go.
#[derive(Default)]
struct Held(Mutex<Option<Hold>>);

struct Hold {
    at: Moment,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

impl Held {
    /// From now on: tells when a job is held back, and lets it go.
    fn next(&self, moment: Moment) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reached, is_held) = oneshot::channel();
        let (release, released) = oneshot::channel();
        *self.0.lock() = Some(Hold { at: moment, reached, released });
        (is_held, release)
    }

    /// Asks for something and goes away when it is recorded and nobody knows.
    async fn ask_and_leave<T>(&self, asked: impl Future<Output = T>) {
        let (is_held, _release) = self.next(Moment::Written);
        tokio::select! {
            biased;
            _ = is_held => {}
            _ = asked => panic!("nothing was recorded"),
        }
    }
}

#[async_trait]
impl Turns for Held {
    async fn turn(&self, moment: Moment) -> StoreResult<()> {
        tokio::task::yield_now().await;
        let held = self.0.lock().take_if(|hold| hold.at == moment);
        if let Some(Hold { reached, released, .. }) = held {
            let _ = reached.send(());
            let _ = released.await;
        }
        Ok(())
    }
}

async fn rig() -> (Arc<Held>, Rig) {
    let held = Arc::new(Held::default());
    let rig = Rig::timed_with(Arc::clone(&held) as Arc<dyn Turns>).await;
    (held, rig)
}

fn org_id() -> OrgId {
    OrgId::new("org-1")
}

fn key(id: &str) -> ApiKey {
    ApiKey {
        id: ApiKeyId::new(id),
        org_id: Some(org_id()),
        name: None,
        secret_sha256: format!("hash of {id}"),
        scopes: Vec::new(),
        sends_as: waypost_domain::command::MessageType::Human,
        rate_limit_per_s: None,
        allowed_ips: Vec::new(),
        disabled: false,
        jwt: None,
        expires_at: None,
        revoked_at: None,
        created_at: Timestamp(NOON),
    }
}

fn hello(status: &str) -> Template {
    Template {
        id: "500".to_owned(),
        waba_id: WABA.to_owned(),
        name: "hello".to_owned(),
        language: "en".to_owned(),
        status: status.to_owned(),
        category: "UTILITY".to_owned(),
        parameter_format: None,
        components: Vec::new(),
        synced_at: Timestamp(NOON),
    }
}

/// What a directory knows of what the tests change.
fn known(directory: &Directory) -> (Vec<Arc<ApiKey>>, Vec<Template>) {
    (directory.keys(&org_id()), directory.templates(WABA))
}

#[tokio::test(start_paused = true)]
async fn what_was_recorded_is_known_even_if_its_caller_has_gone() {
    let (held, rig) = rig().await;
    let directory = rig.engine.directory();
    directory.put(Entry::ApiKey(key("one")), PutMode::Create).await.unwrap();
    let revoked = ApiKey { revoked_at: Some(Timestamp(NOON)), ..key("one") };
    let claim = IdempotencyClaim {
        org_id: org_id(),
        route: "/keys".to_owned(),
        key: "k".to_owned(),
        fingerprint: [1; 32],
    };
    let claim = CreationClaim { claim, gone: None, now: Timestamp(NOON) };
    let paused = || vec![hello("PAUSED")];
    let writes: [(&str, futures_util::future::BoxFuture<'_, StoreResult<()>>); 6] = [
        ("revoked", Box::pin(directory.put(Entry::ApiKey(revoked), PutMode::Replace))),
        ("made", Box::pin(directory.create(Entry::ApiKey(key("two")), Some(claim)))),
        (
            "removed",
            Box::pin(async {
                directory.remove(EntryKey::ApiKey(ApiKeyId::new("two"))).await.map(drop)
            }),
        ),
        ("template put", Box::pin(directory.put_template(hello("APPROVED")))),
        ("templates replaced", Box::pin(directory.replace_templates(WABA, paused()))),
        ("template removed", Box::pin(directory.remove_template(WABA, "hello", None))),
    ];
    for (what, write) in writes {
        held.ask_and_leave(write).await;
        rig.engine.finish().await;
        let stored = Directory::load(Arc::clone(rig.engine.store())).await.unwrap();
        assert_eq!(known(directory), known(&stored), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn new_secrets_that_meet_are_both_kept() {
    let (_, rig) = rig().await;
    let id = hooked(&rig, "https://example.com/", "plain").await;
    let org_id = org_id();
    let rotate = |new: &str| rig.engine.rotate_webhook_secret(&org_id, &id, Some(new.into()), 60);
    let (one, other) = tokio::join!(rotate("one"), rotate("other"));
    assert_eq!((one.unwrap().as_str(), other.unwrap().as_str()), ("one", "other"));
    let webhook: Arc<Webhook> = rig.engine.directory().webhook(&org_id, &id).unwrap();
    assert_eq!(webhook.secrets.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_registration_keeps_what_changed_meanwhile_and_is_known_without_its_caller() {
    for goes_away in [false, true] {
        let (_, rig) = rig().await;
        let number_id = NumberId::new("number-1");
        let new = Number { registered: false, ..number(1_000) };
        rig.engine.put_number(new.clone(), PutMode::Replace).await.unwrap();
        let closed = rig.upstream.gate.write().await;
        let (engine, id) = (rig.engine.clone(), number_id.clone());
        let registering = tokio::spawn(async move { engine.register_number(&id, "123456").await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        let limited = Number { daily_limit: Some(250), ..new };
        rig.engine.put_number(limited.clone(), PutMode::Replace).await.unwrap();
        if goes_away {
            registering.abort();
        }
        drop(closed);
        let _ = registering.await;
        rig.engine.finish().await;
        let known = rig.engine.directory().number(&number_id).unwrap();
        assert_eq!(*known, Number { registered: true, ..limited }, "{goes_away}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_is_cancelled_to_its_end_even_if_its_caller_has_gone() {
    let (held, rig) = rig().await;
    rig.approve_template("hello_world");
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let id = rig.engine.broadcast(broadcast_of("hello_world"), 0).await.unwrap().outcome.id;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let cancelled = BroadcastState::Cancelled;
    held.ask_and_leave(rig.engine.set_broadcast_state(&org_id(), id, cancelled)).await;
    rig.engine.finish().await;
    let progress = rig.engine.store().broadcast(&org_id(), id).await.unwrap().unwrap();
    assert_eq!(progress.record.state, cancelled);
    let mut by_status = progress.by_status;
    by_status.sort_by_key(|(status, _)| status.number());
    assert_eq!(by_status, [(Status::Sent, 1), (Status::Cancelled, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_queued_again_is_sent_even_if_its_caller_has_gone() {
    let (held, rig) = rig().await;
    rig.upstream.next(refused(ErrorKind::RejectedByUpstream, RetryClass::Never));
    let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(rig.stored(id).await.status, Status::Failed);
    held.ask_and_leave(rig.engine.retry_message(&org_id(), id)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.stored(id).await.status, Status::Sent);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_worked_off_even_if_its_sender_has_gone() {
    let (held, rig) = rig().await;
    // Whatever the engine looks for at its start comes before.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let body = rig.webhook(vec![written("15550001111", "hello", &rig)]);
    held.ask_and_leave(rig.engine.receive_webhook(body, Signer::Installation)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(rig.engine.store().open_webhooks(0, 1).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_it_could_be_withdrawn_counts_once() {
    let (held, rig) = rig().await;
    rig.approve_template("hello_world");
    rig.engine.put_number(number(1), PutMode::Replace).await.unwrap();
    let engine = rig.engine.clone();
    let told = tokio::spawn(async move { engine.broadcast(broadcast_of("hello_world"), 30).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (is_held, release) = held.next(Moment::Write);
    let second = Some(phone("15550002222"));
    let filter = MessageFilter { phone: second, ..MessageFilter::default() };
    let engine = rig.engine.clone();
    let sweeping = tokio::spawn(async move {
        engine.sweep(&org_id(), filter, Status::Queued, Sweep::Cancel).await
    });
    is_held.await.unwrap();
    // Until the second one is sent, and the third one is not.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(release);
    assert_eq!(sweeping.await.unwrap().unwrap(), Swept { matched: 1, done: 0 });
    let told = told.await.unwrap().unwrap();
    assert!(told.outcome.deliveries.iter().all(|delivery| delivery.result.is_ok()), "{told:?}");
}
