//! What is told of the calls to the upstream: gathered for a second and recorded together, beside
//! the outcomes, which are durable at once. A crash loses what was gathered, and nothing else.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waypost_domain::call::Call;
use waypost_domain::message::Message;
use waypost_domain::{AttemptId, Failure};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::ports::{AttemptCall, LostAttempt, SendOutcome};

/// How often what was gathered is recorded.
const EVERY: Duration = Duration::from_secs(1);
/// Calls gathered at most; of more, nothing is kept beside their outcomes.
const MAX_GATHERED: usize = 20_000;
/// Calls recorded in one job.
const CALLS_PER_JOB: usize = 500;

/// What was gathered.
#[derive(Default)]
pub(crate) struct Calls(Mutex<Vec<AttemptCall>>);

impl Calls {
    fn gather(&self, attempt_id: AttemptId, call: Call) {
        let mut gathered = self.0.lock();
        if gathered.len() < MAX_GATHERED {
            gathered.push(AttemptCall { attempt_id, call });
        }
    }

    fn take(&self) -> Vec<AttemptCall> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Engine {
    /// Records what is gathered, every second until it is cancelled.
    pub(crate) async fn record_calls(self, cancel: CancellationToken) {
        while !cancel.is_cancelled() {
            cancel.run_until_cancelled(tokio::time::sleep(EVERY)).await;
            self.record_gathered_calls().await;
        }
    }

    /// Records what is gathered now.
    pub(crate) async fn record_gathered_calls(&self) {
        let mut gathered = self.calls().take();
        // Attempts' ids grow with time: in their order they are appended.
        gathered.sort_unstable_by_key(|noted| noted.attempt_id);
        for some in gathered.chunks(CALLS_PER_JOB) {
            if let Err(error) = self.store().note_calls(some.to_vec()).await {
                tracing::warn!(%error, "what is told of calls to the upstream is lost");
                self.note_store_error(&error);
                return;
            }
        }
    }
}

/// The log's line about one attempt. It is written when this is dropped, so that there is one
/// whatever happens.
pub(crate) struct AttemptLine<'a> {
    engine: &'a Engine,
    message: &'a Message,
    attempt_id: AttemptId,
    began: Instant,
    outcome: &'static str,
    code: Option<i64>,
    call: Call,
}

impl<'a> AttemptLine<'a> {
    /// The attempt begins.
    pub(crate) fn begin(engine: &'a Engine, message: &'a Message, attempt_id: AttemptId) -> Self {
        Self {
            engine,
            message,
            attempt_id,
            began: Instant::now(),
            outcome: "interrupted",
            code: None,
            call: Call::default(),
        }
    }

    /// The attempt has its outcome.
    pub(crate) fn end(mut self, outcome: &SendOutcome, call: Call) {
        let (word, class, failure) = match outcome {
            SendOutcome::Sent(_) => ("sent", None, None),
            SendOutcome::Refused(error) => ("refused", Some(error.class), Some(&error.failure)),
            SendOutcome::NotSent(error) => ("not_sent", Some(error.class), Some(&error.failure)),
            SendOutcome::Unknown(failure) => ("unknown", None, Some(failure)),
        };
        self.outcome = word;
        self.code = failure.and_then(upstream_code);
        self.call = call;
        self.call.class = class.map(|class| class.as_str().to_owned()).unwrap_or_default();
    }
}

impl Engine {
    /// The line and the count of an attempt whose own process was killed.
    pub(crate) fn tell_lost(&self, lost: &LostAttempt) {
        self.count().messages_unknown.add();
        tracing::info!(
            message_id = %lost.message_id,
            attempt = %lost.attempt_id,
            number = %lost.number_id,
            outcome = "unknown",
            possible_duplicate = lost.possible_duplicate,
            "attempt"
        );
    }
}

fn upstream_code(failure: &Failure) -> Option<i64> {
    failure.upstream.as_ref().and_then(|fault| fault.code)
}

impl Drop for AttemptLine<'_> {
    fn drop(&mut self) {
        if self.outcome == "unknown" && is_planted(Bug::AttemptUntold) {
            return;
        }
        let call = std::mem::take(&mut self.call);
        tracing::info!(
            message_id = %self.message.id,
            attempt = %self.attempt_id,
            number = %self.message.number_id,
            outcome = self.outcome,
            possible_duplicate = self.message.possible_duplicate,
            code = self.code,
            class = (!call.class.is_empty()).then_some(call.class.as_str()),
            http_status = call.status,
            trace_id = call.trace_id.as_deref(),
            head_ms = call.head_ms,
            ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "attempt"
        );
        self.engine.calls().gather(self.attempt_id, call);
    }
}
