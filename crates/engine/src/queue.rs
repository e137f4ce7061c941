//! Draining the due queue: each number's lane takes what is due, in order, at its pace.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_domain::directory::Number;
use waypost_domain::message::{AttemptOutcome, Message};
use waypost_domain::retry::{self, RetryClass};
use waypost_domain::{ErrorKind, Failure, Status, Timestamp};

use crate::Engine;
use crate::lanes::{DUE_WINDOW, Lane, MAX_DUE_WINDOW, PACE_PAUSE, Ticket};
use crate::options;
use crate::ports::{CallError, DueMessage, StoreError};
use crate::send::{Step, dice, new_attempt_id, settlement_of};

/// Pause after the store could not be read.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl Engine {
    /// Drains one number's queue until it is cancelled; then waits for what is in flight.
    pub(crate) async fn drain(self, lane: Arc<Lane>, cancel: CancellationToken) {
        let in_flight = TaskTracker::new();
        while !cancel.is_cancelled() {
            let looked_at = self.now();
            let startable = match self.startable(&lane, looked_at).await {
                Ok(startable) => startable,
                Err(error) => {
                    tracing::error!(number = %lane.number_id, %error, "due queue");
                    self.note_store_error(&error);
                    wait(&cancel, tokio::time::sleep(STORE_PAUSE)).await;
                    continue;
                }
            };
            if startable.is_empty() {
                wait(&cancel, self.something_due(&lane, looked_at)).await;
                continue;
            }
            let (expired, startable) = split_expired(startable, looked_at);
            self.fail_expired(&lane, expired).await;
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

    /// What may start of the messages that are due at `now`. Looks further where a few people have
    /// so many messages waiting that nobody else's are within the window.
    async fn startable(&self, lane: &Lane, now: Timestamp) -> Result<Vec<DueMessage>, StoreError> {
        let mut limit = DUE_WINDOW;
        loop {
            let due = self.store().due(&lane.number_id, now, limit).await?;
            let is_all = due.len() < limit as usize;
            let startable = lane.startable(due);
            if !startable.is_empty() || is_all || limit >= MAX_DUE_WINDOW {
                return Ok(startable);
            }
            limit = MAX_DUE_WINDOW;
        }
    }

    /// Waits until the lane is told of something, or a message falls due that was not due at
    /// `looked_at`, when nothing could be started.
    async fn something_due(&self, lane: &Lane, looked_at: Timestamp) {
        let fall_due = async {
            match self.store().next_due_at(&lane.number_id).await {
                Ok(Some(next)) if next > looked_at => self.clock().sleep_until(next.0).await,
                // What was due and could not be started is in flight: its end tells the lane.
                Ok(_) => std::future::pending().await,
                Err(error) => {
                    tracing::error!(number = %lane.number_id, %error, "next due message");
                    self.note_store_error(&error);
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        tokio::select! {
            () = lane.wake.notified() => {}
            () = fall_due => {}
        }
    }

    async fn attempt_queued(self, due: DueMessage, lane: &Lane, ticket: Ticket) {
        let mut message = due.message;
        if let Err(failure) = self.attempt_due(&mut message, due.attempts, lane).await {
            // It is still in the queue, or its intent is recorded and the next start closes it.
            tracing::error!(message = %message.id, error = %failure, "attempt not recorded");
            tokio::time::sleep(STORE_PAUSE).await;
        }
        drop(ticket);
    }

    async fn attempt_due(
        &self,
        message: &mut Message,
        attempts: u32,
        lane: &Lane,
    ) -> Result<(), Failure> {
        let Some(number) = self.directory().number(&message.number_id) else {
            let failure = Failure::new(ErrorKind::NumberNotFound, "The sender number has gone.");
            return self.fail_queued(message, failure).await;
        };
        let placed = match self.account(&number) {
            Ok(account) => {
                let (org_id, content) = (&message.org_id, &message.content);
                let placed = self.media_library().place(org_id, &number, &account, content).await;
                placed.map(|placed| (account, placed))
            }
            Err(failure) => Err(CallError { failure, class: RetryClass::Operator }),
        };
        // Its turn or its file may have taken long.
        if let Err(failure) = self.check_expiry(&message.options) {
            return self.fail_queued(message, failure).await;
        }
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
        self.settle(message, attempt_id, step, again_in, true).await
    }

    /// Ends a message that waits and will not be attempted any more.
    async fn fail_queued(&self, message: &Message, failure: Failure) -> Result<(), Failure> {
        self.store().fail_queued(message.id, failure, self.now()).await?;
        let closed = self.known_message(message).await?;
        if closed.status == Status::Failed {
            self.count_settled(closed.status);
            self.tell(&closed.id, closed.broadcast_id, closed.status);
        }
        Ok(())
    }

    /// Ends messages whose time is over, together and without a turn: they must not hold up those
    /// that can still be sent.
    async fn fail_expired(&self, lane: &Lane, expired: Vec<DueMessage>) {
        let failing = expired.iter().map(|due| self.fail_queued(&due.message, options::expired()));
        for failed in futures_util::future::join_all(failing).await {
            if let Err(failure) = failed {
                tracing::error!(number = %lane.number_id, error = %failure, "expired message");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
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
                let mut delay = Duration::from_millis(delay_ms);
                if error.class == RetryClass::Pace {
                    lane.pause(delay.max(PACE_PAUSE));
                }
                // Due again when its time is over at the latest: then it is told.
                if let Some(left) = options::time_left(&message.options, self.now()) {
                    delay = delay.min(left);
                }
                (Step::Again(outcome, error), Some(delay))
            }
            None => (Step::Failed(outcome, error.failure), None),
        }
    }
}

/// Messages whose time is over, and the others.
fn split_expired(due: Vec<DueMessage>, now: Timestamp) -> (Vec<DueMessage>, Vec<DueMessage>) {
    due.into_iter().partition(|due| options::is_expired(&due.message.options, now))
}

async fn wait(cancel: &CancellationToken, what: impl Future<Output = ()>) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = what => {}
    }
}
