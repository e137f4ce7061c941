//! The other ports of a simulation: webhooks whose bodies are numbers of what the world has ready,
//! receivers of callbacks that fail when the plan says so, turns between the steps of the store, and
//! what a simulation does without.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use waypost_domain::OrgId;
use waypost_domain::callback::{CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{Event, EventDetail};
use waypost_engine::ports::{
    BlobStore, BlobStream, BlobWriter, CallbackAddresses, CallbackPost, CallbackPoster,
    CallbackReply, FetchedLink, LinkCredential, LinkError, LinkFetcher, PostError, Sha256Hex,
    StoreError, StoreResult, UpstreamEvent, WebhookCodec,
};
use waypost_store_sqlite::{Moment, Turns};

use crate::world::{Passing, Post, World};

/// How long a receiver takes.
const RECEIVER_MS: u64 = 3;

/// The store's steps, as the plan's chance orders them.
pub(crate) struct Steps(pub(crate) Arc<World>);

#[async_trait]
impl Turns for Steps {
    async fn turn(&self, moment: Moment) -> StoreResult<()> {
        let world = &self.0;
        if world.is_auditing() {
            return Ok(());
        }
        world.count_step();
        world.alive().await;
        match moment {
            Moment::Write => {
                world.pass(Passing::Write).await;
                if world.takes_full_write() {
                    return Err(StoreError::Unavailable("the disk is full".to_owned()));
                }
            }
            Moment::Written => world.pass(Passing::Written).await,
            Moment::Read => {}
        }
        world.let_others_go_on().await;
        Ok(())
    }
}

impl World {
    /// Whether this write meets a full disk.
    fn takes_full_write(&self) -> bool {
        let mut state = self.state();
        let Some(left) = state.full_writes.checked_sub(1) else { return false };
        state.full_writes = left;
        let epoch = state.epoch;
        state.epochs_with_full_disk.push(epoch);
        true
    }

    /// Nobody, somebody or everybody for a few milliseconds goes on.
    async fn let_others_go_on(&self) {
        let pause_ms = {
            let percent = self.setup.churn_percent;
            let mut state = self.state();
            if !state.chance.percent(percent) {
                return;
            }
            *state.chance.one_of(&[0, 0, 0, 1, 2, 7, 20])
        };
        if pause_ms == 0 {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        self.alive().await;
    }
}

/// Webhooks whose bodies are the numbers of what the world has ready.
pub(crate) struct Numbered(pub(crate) Arc<World>);

impl WebhookCodec for Numbered {
    fn verify(&self, _: &[u8], _: &str, _: &[String]) -> bool {
        true
    }

    fn parse(&self, body: &[u8]) -> Vec<UpstreamEvent> {
        let place = std::str::from_utf8(body).ok().and_then(|text| text.parse::<usize>().ok());
        let state = self.0.state();
        place.and_then(|place| state.webhooks.get(place).cloned()).unwrap_or_default()
    }
}

/// The receiver of callbacks.
pub(crate) struct Receiver(pub(crate) Arc<World>);

#[async_trait]
impl CallbackPoster for Receiver {
    async fn post(&self, post: CallbackPost) -> Result<CallbackReply, PostError> {
        self.0.alive().await;
        tokio::time::sleep(Duration::from_millis(RECEIVER_MS)).await;
        self.0.alive().await;
        let body = String::from_utf8_lossy(&post.body).into_owned();
        let mut words = body.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (event, person, kind) = (word(), word(), word());
        let was_taken = {
            let mut state = self.0.state();
            let fails = state.receiver_failures > 0;
            state.receiver_failures = state.receiver_failures.saturating_sub(1);
            let (was_taken, epoch) = (!fails, state.epoch);
            state.posts.push(Post { event, person: person.clone(), epoch, was_taken });
            was_taken
        };
        self.0.note(&format!("callback {kind} {person} taken={was_taken}"));
        Ok(CallbackReply { status: if was_taken { 200 } else { 503 }, retry_after: None })
    }
}

/// The one shape: event, person, kind.
struct Line;

pub(crate) static SHAPES: &[&dyn CallbackShape] = &[&Line];

impl CallbackShape for Line {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &ShapeInfo {
            id: "standard",
            title: "Line",
            schedule_s: &[5, 300, 1_800, 7_200, 18_000],
            is_jittered: true,
            timeout_s: 15,
            signature: Signature::BareHexSha256,
            batch: None,
            verdict: Verdict::any_2xx,
            zone_offset_minutes: 0,
        };
        INFO
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        let Some(event) = events.first() else { return Vec::new() };
        let person = match &event.detail {
            EventDetail::Status(status) => status.message.phone.digits(),
            EventDetail::Received(received) => received.message.phone.digits(),
            EventDetail::Template(_) | EventDetail::Notice(_) => "-",
        };
        format!("{} {person} {}", event.id.public(), event.kind.as_str()).into_bytes()
    }
}

/// No files, no links, any address.
pub(crate) struct Without;

#[async_trait]
impl BlobStore for Without {
    async fn create(&self) -> StoreResult<Box<dyn BlobWriter>> {
        Err(StoreError::Unavailable("not part of a simulation".to_owned()))
    }

    async fn open(&self, _: &Sha256Hex) -> StoreResult<Option<(u64, BlobStream)>> {
        Ok(None)
    }

    async fn remove(&self, _: &Sha256Hex) -> StoreResult<()> {
        Ok(())
    }

    async fn list(&self, _: u8) -> StoreResult<Vec<Sha256Hex>> {
        Ok(Vec::new())
    }

    fn full(&self) -> watch::Receiver<bool> {
        watch::channel(false).1
    }

    async fn try_room(&self) -> StoreResult<()> {
        Ok(())
    }
}

#[async_trait]
impl LinkFetcher for Without {
    fn check(&self, _: &str) -> Result<(), LinkError> {
        Ok(())
    }

    async fn fetch(
        &self,
        _: &OrgId,
        _: &str,
        _: Option<LinkCredential>,
        _: u64,
    ) -> Result<FetchedLink, LinkError> {
        Err(LinkError::Failed("not part of a simulation".to_owned()))
    }
}

impl CallbackAddresses for Without {
    fn check(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}
