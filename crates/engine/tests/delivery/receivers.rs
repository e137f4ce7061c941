//! Receivers of callbacks that answer as a test says, and shapes that are easy to read.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use waypost_domain::Content;
use waypost_domain::callback::{Batch, CallbackShape, CallbackSite, ShapeInfo, Signature, Verdict};
use waypost_domain::event::{Event, EventDetail};
use waypost_engine::ports::{CallbackPost, CallbackPoster, CallbackReply, PostError};

use crate::scripted::PANIC;

/// A call that a receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) url: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

impl Got {
    pub(crate) fn event(&self, field: &str) -> &str {
        self.body[0][field].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

type Answer = Box<dyn FnMut(&Got) -> Result<CallbackReply, PostError> + Send>;

/// All receivers: they say yes unless they are told otherwise.
#[derive(Default)]
pub(crate) struct Receivers {
    got: Mutex<Vec<Got>>,
    answer: Mutex<Option<Answer>>,
    /// While held, calls to that address wait.
    gates: Mutex<HashMap<String, Arc<tokio::sync::RwLock<()>>>>,
}

impl Receivers {
    pub(crate) fn answer(
        &self,
        answer: impl FnMut(&Got) -> Result<CallbackReply, PostError> + Send + 'static,
    ) {
        *self.answer.lock() = Some(Box::new(answer));
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.got.lock().len()
    }

    pub(crate) fn count_at(&self, url: &str) -> usize {
        self.got.lock().iter().filter(|got| got.url == url).count()
    }

    /// What was said, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.got.lock().iter().map(|got| got.event("text").to_owned()).collect()
    }

    pub(crate) fn gate(&self, url: &str) -> Arc<tokio::sync::RwLock<()>> {
        Arc::clone(self.gates.lock().entry(url.to_owned()).or_default())
    }
}

pub(crate) fn status(status: u16) -> Result<CallbackReply, PostError> {
    Ok(CallbackReply { status, retry_after: None })
}

#[async_trait]
impl CallbackPoster for Receivers {
    async fn post(&self, post: CallbackPost) -> Result<CallbackReply, PostError> {
        let got = Got {
            url: post.url,
            headers: post.headers.into_iter().collect(),
            body: serde_json::from_slice(&post.body).unwrap(),
        };
        let gate = self.gate(&got.url);
        self.got.lock().push(got.clone());
        let _open = gate.read().await;
        match &mut *self.answer.lock() {
            Some(answer) => answer(&got),
            None => status(200),
        }
    }
}

pub(crate) static SHAPES: &[&dyn CallbackShape] = &[&Plain, &Own, &Fixed, &Batched, &Apart];

const PLAIN: ShapeInfo = ShapeInfo {
    id: "plain",
    title: "Plain",
    schedule_s: &[5, 300, 1_800],
    is_jittered: true,
    timeout_s: 15,
    signature: Signature::StandardWebhooks,
    batch: None,
    verdict: Verdict::any_2xx,
    zone_offset_minutes: 0,
};

/// One event a call; standard signatures.
struct Plain;
/// The same under the name of our own shape.
struct Own;
/// Fixed intervals and a status that is final, under the name of the dialect whose requests name
/// addresses.
struct Fixed;
/// Ten events a call.
struct Batched;
/// Two calls for each event.
struct Apart;

fn told(events: &[&Event]) -> Vec<u8> {
    let told = events.iter().map(|event| {
        let (person, text, file) = match &event.detail {
            EventDetail::Status(status) => {
                (status.message.phone.digits(), status.message.reference.clone(), None)
            }
            EventDetail::Received(received) => {
                let Content::Inbound(inbound) = &received.message.content else { unreachable!() };
                let text = inbound.message["text"]["body"].as_str();
                let file = received.file.as_ref().map(|file| file.url.clone());
                (received.message.phone.digits(), text.map(str::to_owned), file)
            }
            EventDetail::Template(template) => ("", Some(template.status.clone()), None),
            EventDetail::Notice(notice) => ("", Some(notice.field.clone()), None),
        };
        assert_ne!(text.as_deref(), Some(PANIC), "what the shape cannot take");
        let (id, kind) = (event.id.to_string(), event.kind);
        json!({"id": id, "kind": kind, "person": person, "text": text, "file": file})
    });
    serde_json::to_vec(&told.collect::<Vec<_>>()).unwrap()
}

impl CallbackShape for Plain {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &PLAIN;
        INFO
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        told(events)
    }
}

impl CallbackShape for Own {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &ShapeInfo { id: "standard", ..PLAIN };
        INFO
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        told(events)
    }
}

impl CallbackShape for Fixed {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &ShapeInfo {
            id: "webex_connect",
            schedule_s: &[60, 60, 60],
            is_jittered: false,
            signature: Signature::BareHexSha256,
            verdict: |status| match status {
                200 => Verdict::Delivered,
                404 => Verdict::Dead,
                _ => Verdict::Retry,
            },
            ..PLAIN
        };
        INFO
    }

    fn tells(&self, event: &Event) -> bool {
        matches!(event.detail, EventDetail::Status(_))
    }

    fn uses_number_address(&self) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        told(events)
    }
}

impl CallbackShape for Batched {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &ShapeInfo {
            id: "batched",
            batch: Some(Batch { max_events: 10, flush_ms: 2_000 }),
            ..PLAIN
        };
        INFO
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        told(events)
    }
}

impl CallbackShape for Apart {
    fn info(&self) -> &'static ShapeInfo {
        const INFO: &ShapeInfo = &ShapeInfo { id: "apart", ..PLAIN };
        INFO
    }

    fn tells(&self, _: &Event) -> bool {
        true
    }

    fn encode(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<u8> {
        told(events)
    }

    fn calls(&self, events: &[&Event], _: &CallbackSite<'_>) -> Vec<Vec<u8>> {
        vec![told(events); 2]
    }
}
