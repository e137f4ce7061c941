//! Draining the due queue: each number's lane takes what is due, in order, at its pace.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_domain::directory::Number;
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::retry::{self, RetryClass};
use waypost_domain::{ErrorKind, Failure, Timestamp};

use crate::Engine;
use crate::lanes::{DUE_WINDOW, Lane, Ticket};
use crate::ports::{CallError, DueMessage, StoreError};
use crate::send::{Step, dice, new_attempt_id, settlement_of};

/// Pause after the store could not be read.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long a number is held back when the upstream says that it is too fast and not for how long.
const PACE_PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Drains one number's queue until it is cancelled; then waits for what is in flight.
    pub(crate) async fn drain(self, lane: Arc<Lane>, cancel: CancellationToken) {
        let in_flight = TaskTracker::new();
        while !cancel.is_cancelled() {
            let startable = match self.startable(&lane).await {
                Ok(startable) => startable,
                Err(error) => {
                    tracing::error!(number = %lane.number_id, %error, "due queue");
                    self.note_store_error(&error);
                    wait(&cancel, tokio::time::sleep(STORE_PAUSE)).await;
                    continue;
                }
            };
            if startable.is_empty() {
                wait(&cancel, self.something_due(&lane)).await;
                continue;
            }
            for due in startable {
                let ticket = tokio::select! {
                    () = cancel.cancelled() => break,
                    ticket = lane.start(due.message.id, &due.message.phone) => ticket,
                };
                let engine = self.clone();
                let lane = Arc::clone(&lane);
                in_flight.spawn(async move { engine.attempt_queued(due, &lane, ticket).await });
            }
        }
        in_flight.close();
        in_flight.wait().await;
    }

    async fn startable(&self, lane: &Lane) -> Result<Vec<DueMessage>, StoreError> {
        let due = self.store().due(&lane.number_id, self.now(), DUE_WINDOW).await?;
        Ok(lane.startable(due))
    }

    /// Waits until the lane is told of something, or the next message falls due.
    async fn something_due(&self, lane: &Lane) {
        let next = self.store().next_due_at(&lane.number_id).await.unwrap_or_default();
        // What is due already and was not startable is in flight: its end tells the lane.
        let later = next.filter(|due_at| *due_at > self.now());
        let fall_due = async {
            match later {
                Some(Timestamp(due_at_ms)) => self.clock().sleep_until(due_at_ms).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = lane.wake.notified() => {}
            () = fall_due => {}
        }
    }

    async fn attempt_queued(self, due: DueMessage, lane: &Lane, ticket: Ticket) {
        let message = due.message;
        if let Err(failure) = self.attempt_due(&message, due.attempts, lane).await {
            // It is still in the queue, or its intent is recorded and the next start closes it.
            tracing::error!(message = %message.id, error = %failure, "attempt not recorded");
            tokio::time::sleep(STORE_PAUSE).await;
        }
        drop(ticket);
    }

    async fn attempt_due(
        &self,
        message: &Message,
        attempts: u32,
        lane: &Lane,
    ) -> Result<(), Failure> {
        let Some(number) = self.directory().number(&message.number_id) else {
            let failure = Failure::new(ErrorKind::NumberNotFound, "The sender number has gone.");
            return Ok(self.store().fail_queued(message.id, failure, self.now()).await?);
        };
        let placed = match self.account(&number) {
            Ok(account) => {
                let placed = self.media_library().place(&number, &account, &message.content).await;
                placed.map(|placed| (account, placed))
            }
            Err(failure) => Err(CallError { failure, class: RetryClass::Operator }),
        };
        let attempt_id = new_attempt_id();
        let Some(_) = self.store().begin_attempt(message.id, attempt_id, self.now()).await? else {
            return Ok(());
        };
        let step = match placed {
            Ok((account, placed)) => {
                settlement_of(self.attempt(&account, message, &placed, attempt_id).await)
            }
            Err(error) => Step::Again(AttemptOutcome::NotSent, error),
        };
        let (step, again_in) = self.decide(step, attempts + 1, &number, message, lane).await;
        self.settle(message, attempt_id, step, again_in, true).await?;
        Ok(())
    }

    /// Whether a message that was certainly not sent is tried again, and when.
    async fn decide(
        &self,
        step: Step,
        attempts: u32,
        number: &Number,
        message: &Message,
        lane: &Lane,
    ) -> (Step, Option<Duration>) {
        let Step::Again(outcome, error) = step else { return (step, None) };
        if error.failure.kind == ErrorKind::MediaNotFound && attempts == 1 {
            self.media_library().forget_copies(number, &message.content).await;
            return (Step::Again(outcome, error), Some(Duration::ZERO));
        }
        let asked = error.failure.retry_after_s;
        match retry::delay_ms(error.class, attempts, dice(), asked) {
            Some(delay_ms) => {
                let delay = Duration::from_millis(delay_ms);
                if error.class == RetryClass::Pace {
                    lane.pause(delay.max(PACE_PAUSE));
                }
                (Step::Again(outcome, error), Some(delay))
            }
            None => (Step::Failed(outcome, error.failure), None),
        }
    }
}

async fn wait(cancel: &CancellationToken, what: impl Future<Output = ()>) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = what => {}
    }
}
