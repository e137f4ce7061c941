//! The upstream of a simulation: accepts, refuses or loses what the plan says, and keeps its own
//! ledger. What it has got it has got, whatever becomes of the gateway before the answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use waypost_domain::command::Receipt;
use waypost_domain::media::MimeType;
use waypost_domain::retry::RetryClass;
use waypost_domain::status::Report;
use waypost_domain::template::Template;
use waypost_domain::{ErrorKind, Failure, Timestamp, UpstreamFault};
use waypost_engine::ports::{
    Account, BlobStream, CallError, DownloadedMedia, FlowPreview, FlowUpstream, NumberInfo,
    OutgoingMessage, Sample, SendOutcome, Upstream, UpstreamFlow,
};

use crate::ask::label_of;
use crate::audit;
use crate::furniture::TEMPLATE;
use crate::plan::{End, Fate, Notice, Refusal};
use crate::store::Store;
use crate::world::{News, Passing, Send, World};

/// The upstream.
pub(crate) struct Simulated {
    pub(crate) world: Arc<World>,
    /// Where the gateway keeps what it does, for the check that it did so before it called.
    pub(crate) store: Store,
}

impl Simulated {
    /// Enters a call into the ledger, and what is going to be reported of it.
    fn enter(&self, message: &OutgoingMessage<'_>, label: &str) -> (usize, Fate, Option<String>) {
        let mut state = self.world.state();
        let fate = state.fates.get_mut(label).and_then(std::collections::VecDeque::pop_front);
        let fate = fate.unwrap_or_else(plain);
        let place = state.sends.len();
        let is_accepted = matches!(fate.end, End::Accepted | End::AcceptedUntold);
        let wamid = is_accepted.then(|| format!("wamid.{place}"));
        let at_ms = state.now_ms();
        state.sending += 1;
        state.sends.push(Send {
            label: label.to_owned(),
            person: message.to.digits().to_owned(),
            attempt: attempt_of(message.attempt_token).unwrap_or_default(),
            token: message.attempt_token.to_owned(),
            at_ms,
            wamid: wamid.clone(),
        });
        (place, fate, wamid)
    }

    fn promise(&self, place: usize, notices: &[Notice], now_ms: u64, wall: Timestamp) {
        for notice in notices {
            let Some(after_ms) = notice.after_ms else { continue };
            // Meta's times are whole seconds. What is reported twice happened once.
            let at = Timestamp((wall.0 / 1_000 + after(notice.report)) * 1_000);
            for copy in 0..u64::from(notice.copies) {
                let at_ms = now_ms + u64::from(after_ms) + copy * u64::from(after_ms / 2);
                let (report, has_token) = (notice.report, notice.has_token);
                let news = News::Status { send: place, report, at, has_token };
                self.world.expect(at_ms, news);
            }
        }
    }
}

/// When it happens, in seconds after the message was accepted, whenever it is told.
const fn after(report: Report) -> i64 {
    match report {
        Report::Sent => 0,
        Report::Delivered => 1,
        Report::Read => 2,
        Report::Failed => 3,
    }
}

/// What becomes of an attempt that the plan does not speak of.
fn plain() -> Fate {
    let notice =
        |report, after_ms| Notice { report, after_ms: Some(after_ms), copies: 1, has_token: true };
    let notices = vec![notice(Report::Sent, 20), notice(Report::Delivered, 120)];
    Fate { latency_ms: 10, end: End::Accepted, notices }
}

/// The attempt that a token names.
fn attempt_of(token: &str) -> Option<[u8; 16]> {
    let (id, _) = token.strip_prefix("wp1.")?.split_once('.')?;
    URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()
}

fn refused(refusal: Refusal) -> SendOutcome {
    let (kind, code, class) = match refusal {
        Refusal::ForGood => (ErrorKind::RecipientUnreachable, 131_026, RetryClass::Never),
        Refusal::Operator => (ErrorKind::UpstreamAuth, 190, RetryClass::Operator),
        Refusal::Down => (ErrorKind::UpstreamUnavailable, 131_016, RetryClass::BackOff),
        Refusal::Trouble => (ErrorKind::UpstreamError, 131_000, RetryClass::BackOffFew),
        Refusal::NumberPace => (ErrorKind::RateLimited, 130_429, RetryClass::Pace),
        Refusal::PersonPace => (ErrorKind::RateLimited, 131_056, RetryClass::PersonPace),
    };
    let fault = UpstreamFault { code: Some(code), ..UpstreamFault::default() };
    let failure = Failure::new(kind, "the upstream said no").with_upstream(fault);
    SendOutcome::Refused(CallError { failure, class })
}

fn outcome_of(end: End, wamid: Option<String>, to: &str) -> SendOutcome {
    match (end, wamid) {
        (End::Accepted, Some(wamid)) => SendOutcome::Sent(Receipt { wamid, wa_id: to.to_owned() }),
        (End::NotReached, _) => SendOutcome::NotSent(CallError {
            failure: Failure::new(ErrorKind::UpstreamUnavailable, "connection refused"),
            class: RetryClass::BackOff,
        }),
        (End::Refused(refusal), _) => refused(refusal),
        (End::Accepted | End::AcceptedUntold | End::LostBefore, _) => {
            SendOutcome::Unknown(Failure::new(ErrorKind::OutcomeUnknown, "the connection was lost"))
        }
    }
}

#[async_trait]
impl Upstream for Simulated {
    async fn send(&self, _: &Account, message: &OutgoingMessage<'_>) -> SendOutcome {
        self.world.alive().await;
        let label = label_of(message.content);
        let (place, fate, wamid) = self.enter(message, &label);
        self.world.note(&format!("upstream {label} {:?} after {} ms", fate.end, fate.latency_ms));
        audit::at_send(&self.world, &self.store, place).await;
        if wamid.is_some() {
            let (now_ms, wall) = (self.world.now_ms(), self.store.now());
            self.promise(place, &fate.notices, now_ms, wall);
        }
        self.world.pass(Passing::Send).await;
        if fate.latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(fate.latency_ms.into())).await;
        }
        self.world.alive().await;
        self.world.state().sending -= 1;
        outcome_of(fate.end, wamid, message.to.digits())
    }

    async fn upload(
        &self,
        _: &Account,
        _: &MimeType,
        _: &str,
        _: u64,
        _: BlobStream,
    ) -> Result<String, CallError> {
        Err(not_here())
    }

    async fn upload_sample(&self, _: &Account, _: &str, _: Sample) -> Result<String, CallError> {
        Err(not_here())
    }

    async fn download(&self, _: &Account, _: &str, _: u64) -> Result<DownloadedMedia, CallError> {
        Err(not_here())
    }

    async fn templates(
        &self,
        account: &Account,
        _: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Template>, CallError> {
        Ok(vec![Template {
            id: "500".to_owned(),
            waba_id: account.waba_id.clone(),
            name: TEMPLATE.to_owned(),
            language: "en".to_owned(),
            status: "APPROVED".to_owned(),
            category: "UTILITY".to_owned(),
            parameter_format: None,
            components: vec![json!({"type": "BODY", "text": "Note {{1}}."})],
            synced_at: now,
        }])
    }

    async fn create_template(&self, _: &Account, _: &Value) -> Result<Value, CallError> {
        Err(not_here())
    }

    async fn edit_template(&self, _: &Account, _: &str, _: &Value) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn delete_template(
        &self,
        _: &Account,
        _: &str,
        _: Option<&str>,
    ) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn register(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn subscribe(&self, _: &Account) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn number_info(&self, _: &Account) -> Result<NumberInfo, CallError> {
        Ok(NumberInfo::default())
    }
}

#[async_trait]
impl FlowUpstream for Simulated {
    async fn create_flow(&self, _: &Account, _: &str, _: &[String]) -> Result<String, CallError> {
        Err(not_here())
    }

    async fn change_flow(
        &self,
        _: &Account,
        _: &str,
        _: Option<&str>,
        _: Option<&[String]>,
    ) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn define_flow(&self, _: &Account, _: &str, _: Bytes) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn publish_flow(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn delete_flow(&self, _: &Account, _: &str) -> Result<(), CallError> {
        Err(not_here())
    }

    async fn read_flow(&self, _: &Account, _: &str) -> Result<UpstreamFlow, CallError> {
        Err(not_here())
    }

    async fn flow_preview(&self, _: &Account, _: &str) -> Result<FlowPreview, CallError> {
        Err(not_here())
    }

    async fn flows(&self, _: &Account) -> Result<Vec<UpstreamFlow>, CallError> {
        Ok(Vec::new())
    }
}

/// Files, forms and what else is managed at the upstream are no part of a simulation.
fn not_here() -> CallError {
    let failure = Failure::new(ErrorKind::UpstreamError, "not part of a simulation");
    CallError { failure, class: RetryClass::Never }
}
