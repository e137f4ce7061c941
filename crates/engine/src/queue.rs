//! Attempting queued messages: those that have their turn, and the end of those that came too late
//! for one.

use std::sync::Arc;
use std::time::Duration;

use waypost_domain::message::Message;
use waypost_domain::retry::{self, Failing, RetryClass};
use waypost_domain::{AttemptId, Content, ErrorKind, Failure, NumberId, Status};
use waypost_planted::{Bug, is_planted};

use crate::Engine;
use crate::lanes::{Lane, STORE_PAUSE, Ticket};
use crate::options;
use crate::outages::Sign;
use crate::outcomes::{Step, has_lost_file, settlement_of};
use crate::panics::{BUG, caught};
use crate::ports::{
    Account, CallError, Haste, PlacedMedia, SendOutcome, StoreError, StoreResult, WaitingMessage,
};
use crate::send::{dice, new_attempt_id};
use crate::windows::AtTurn;

/// Messages that are ended together; their writes share commits.
const EXPIRED_TOGETHER: usize = 128;

impl Engine {
    /// Gives lanes to numbers that were removed with their organisation while others' messages waited
    /// for them: these fail there.
    pub(crate) async fn drain_removed_numbers(self) {
        match self.store().removed_numbers_in_use().await {
            Ok(numbers) => numbers.iter().for_each(|number_id| self.lane_of_removed(number_id)),
            Err(error) => {
                tracing::error!(%error, "removed numbers");
                self.note_store_error(&error);
            }
        }
    }

    /// Attempts a message that has its turn.
    pub(crate) async fn attempt_queued(
        self,
        waiting: WaitingMessage,
        lane: Arc<Lane>,
        ticket: Ticket,
    ) {
        let attempted = match caught(self.attempt_waiting(&waiting, &lane)).await {
            Some(attempted) => attempted,
            None => self.fail_panicked(&waiting, &lane).await,
        };
        match attempted {
            Ok(true) => ticket.done(),
            Ok(false) => drop(ticket),
            Err(failure) => {
                // It is still in the queue, or its intent is recorded and the next start closes it.
                tracing::error!(message = %waiting.id, error = %failure, "attempt not recorded");
                tokio::time::sleep(STORE_PAUSE).await;
                ticket.unbegun();
            }
        }
    }

    /// Ends a message that panicked before its attempt, which it would do again and again.
    async fn fail_panicked(&self, waiting: &WaitingMessage, lane: &Lane) -> Result<bool, Failure> {
        tracing::error!(message = %waiting.id, "the attempt met {BUG}");
        self.note_upstream(&lane.number_id, None);
        if let Some(due) = self.store().waiting_message(waiting.id).await? {
            let failure = Failure::new(ErrorKind::Unavailable, BUG);
            self.fail_queued(&due.message, failure).await?;
        }
        Ok(false)
    }

    /// Whether the message is off the queue for good.
    async fn attempt_waiting(
        &self,
        waiting: &WaitingMessage,
        lane: &Lane,
    ) -> Result<bool, Failure> {
        let found = self.store().waiting_message(waiting.id).await;
        let Some(due) = found.inspect_err(|_| self.note_upstream(&lane.number_id, None))? else {
            self.note_upstream(&lane.number_id, None);
            return Ok(true);
        };
        let mut message = due.message;
        message.possible_duplicate |= due.after_unknown;
        let attempted = self.attempt_due(&mut message, due.failing, lane).await;
        let sign = attempted.as_ref().ok().copied().flatten();
        self.note_upstream(&message.number_id, sign);
        attempted?;
        Ok(message.status == Status::Sent)
    }

    async fn attempt_due(
        &self,
        message: &mut Message,
        failing: Option<Failing>,
        lane: &Lane,
    ) -> Result<Option<Sign>, Failure> {
        let Some(number) = self.directory().number(&message.number_id) else {
            let failure = Failure::new(ErrorKind::NumberNotFound, "The sender number has gone.");
            return self.fail_queued(message, failure).await.map(|()| None);
        };
        match self.at_turn(message, &number).await? {
            AtTurn::Goes => {}
            AtTurn::Waits => return Ok(None),
            AtTurn::Fails(failure) => {
                return self.fail_queued(message, failure).await.map(|()| None);
            }
        }
        let placed = match self.account(&number) {
            Ok(account) => {
                let (org_id, content) = (&message.org_id, &message.content);
                let placed = self.media_library().place(org_id, &number, &account, content).await;
                placed.map(|placed| (account, placed))
            }
            Err(failure) => Err(CallError { failure, class: RetryClass::Account }),
        };
        // Its turn or its file may have taken long.
        if let Err(failure) = self.check_expiry(&message.options) {
            return self.fail_queued(message, failure).await.map(|()| None);
        }
        let attempt_id = new_attempt_id();
        let made = self.attempt_placed(message, attempt_id, placed, failing, lane);
        if let Some(sign) = caught(made).await {
            return sign;
        }
        self.settle_panicked(message, attempt_id, true).await.map(|()| None)
    }

    async fn attempt_placed(
        &self,
        message: &mut Message,
        attempt_id: AttemptId,
        placed: Result<(Account, Content<PlacedMedia>), CallError>,
        failing: Option<Failing>,
        lane: &Lane,
    ) -> Result<Option<Sign>, Failure> {
        let outcome = match placed {
            Ok((account, placed)) => {
                self.attempt_once(&account, message, &placed, attempt_id, lane).await?
            }
            Err(error) => {
                let haste = Haste::WithOthers;
                let begun = self.store().begin_attempt(haste, message.id, attempt_id, self.now());
                begun.await?.map(|_| SendOutcome::NotSent(error))
            }
        };
        let Some(outcome) = outcome else { return Ok(None) };
        let sign = Sign::of(&outcome);
        let step = settlement_of(outcome, failing);
        let (step, again_in) = self.decide(step, message, lane).await;
        self.settle(message, attempt_id, step, again_in, true).await?;
        Ok(sign)
    }

    /// Records the intent, then calls the upstream. `None` where the message is no longer there to
    /// be attempted.
    async fn attempt_once(
        &self,
        account: &Account,
        message: &Message,
        placed: &Content<PlacedMedia>,
        attempt_id: AttemptId,
        lane: &Lane,
    ) -> Result<Option<SendOutcome>, Failure> {
        let haste = lane.haste();
        let intent = self.store().begin_attempt(haste, message.id, attempt_id, self.now());
        if is_planted(Bug::NoIntent) {
            let outcome = self.attempt(account, message, placed, attempt_id).await;
            return Ok(intent.await?.map(|_| outcome));
        }
        let Some(_) = intent.await? else { return Ok(None) };
        Ok(Some(self.attempt(account, message, placed, attempt_id).await))
    }

    /// Notes how it stands with the upstream for a number.
    fn note_upstream(&self, number_id: &NumberId, sign: Option<Sign>) {
        match self.outages().ended(number_id, sign, self.now()) {
            Some(Sign::Up) => tracing::info!(number = %number_id, "the upstream answers again"),
            Some(Sign::Down) => {
                tracing::warn!(number = %number_id, "the upstream fails: the queue is only probed");
            }
            Some(Sign::Locked) => {
                tracing::error!(
                    number = %number_id,
                    "the upstream refuses everything of this number: an operator must act"
                );
            }
            None => {}
        }
    }

    /// Ends a message that waits and will not be attempted any more.
    pub(crate) async fn fail_queued(
        &self,
        message: &Message,
        failure: Failure,
    ) -> Result<(), Failure> {
        self.store().fail_queued(message.id, failure, self.now()).await?;
        let closed = self.known_message(message).await?;
        match closed.status {
            Status::Failed => {
                self.count_settled(closed.status);
                self.tell(&closed.id, closed.broadcast_id, closed.status);
            }
            // It was told when it became unknown.
            Status::Unknown => self.event_logged(),
            _ => {}
        }
        Ok(())
    }

    /// Ends messages whose time is over, together and without a turn: they must not hold up those
    /// that can still be sent.
    pub(crate) async fn fail_expired(
        &self,
        lane: &Lane,
        expired: Vec<WaitingMessage>,
    ) -> StoreResult<()> {
        for some in expired.chunks(EXPIRED_TOGETHER) {
            let failing = some.iter().map(|waiting| self.fail_expired_one(waiting));
            for failed in futures_util::future::join_all(failing).await {
                failed.inspect_err(|failure| {
                    tracing::error!(number = %lane.number_id, error = %failure, "expired message");
                }).map_err(|failure| StoreError::Unavailable(failure.message))?;
            }
        }
        Ok(())
    }

    async fn fail_expired_one(&self, waiting: &WaitingMessage) -> Result<(), Failure> {
        let Some(due) = self.store().waiting_message(waiting.id).await? else { return Ok(()) };
        let why = if waiting.was_held {
            self.never_opened(&due.message).await?
        } else {
            options::expired(&due.message.options)
        };
        self.fail_queued(&due.message, why).await
    }

    /// Whether a message that was certainly not sent is tried again, and when.
    async fn decide(&self, step: Step, message: &Message, lane: &Lane) -> (Step, Option<Duration>) {
        let Step::Again(outcome, error, failing) = step else { return (step, None) };
        if has_lost_file(&error, failing) {
            self.media_library().forget_copies(message).await;
            return (Step::Again(outcome, error, failing), Some(Duration::ZERO));
        }
        let asked = error.failure.retry_after_s;
        let forgets = is_planted(Bug::PoisonNeverEnds);
        let counted = if forgets { Failing::once_more(None, error.class) } else { failing };
        match retry::delay_ms(counted, dice(), asked) {
            Some(delay_ms) => {
                let mut delay = Duration::from_millis(delay_ms);
                self.heed(&error, delay, message, lane).await;
                // Due again when its time is over at the latest: then it is told.
                if let Some(left) = options::time_left(&message.options, self.now()) {
                    delay = delay.min(left);
                }
                (Step::Again(outcome, error, failing), Some(delay))
            }
            None => (Step::Failed(outcome, error.given_up()), None),
        }
    }
}
