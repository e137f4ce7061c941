//! One try of one call, and what the store is asked before and told after it.

use std::collections::{HashMap, HashSet};

use waypost_domain::callback::{CallbackShape, Verdict, Webhook};
use waypost_domain::event::{Event, EventDetail};
use waypost_domain::{OrgId, Timestamp, WebhookId};

use super::compose::{Destination, Endpoint};
use super::verdict::{Answered, Judgement, judge, span_ms};
use crate::Engine;
use crate::panics::{BUG, caught, caught_now};
use crate::ports::{
    CallbackEnd, CallbackOutcome, CallbackReply, CallbackTarget, DueCallback, Entry, LoggedEvent,
    PostError, StoreError, StoreResult, TargetAddress,
};
use crate::send::dice;

/// Callbacks of an unreachable target given up at a time.
const GIVEN_UP: u32 = 1_000;
/// How much older than its whole schedule a callback of an unreachable target is when it is given
/// up without another try, in milliseconds.
const OVERDUE_MS: i64 = 600_000;

/// A callback in memory.
pub(super) struct Row {
    pub(super) due: DueCallback,
    pub(super) logged: LoggedEvent,
}

/// What the store said.
pub(super) enum Worked {
    /// What is due.
    Read {
        rows: StoreResult<Vec<(DueCallback, Option<LoggedEvent>)>>,
        /// When more falls due.
        next: Option<Timestamp>,
        /// Whether there may be more now.
        full: bool,
    },
    /// Outcomes were recorded, or not; whether others fell due by it.
    Recorded { outcomes: Vec<CallbackOutcome>, result: StoreResult<bool> },
}

/// The outcome of a callback that is for nothing any more.
pub(super) fn nobody_wants(due: &DueCallback) -> CallbackOutcome {
    outcome(due, due.attempts, CallbackEnd::Done, None, None)
}

/// The outcome of a callback that is not tried again.
fn dead(row: &Row, why: String) -> CallbackOutcome {
    outcome(&row.due, row.due.attempts, CallbackEnd::Dead, None, Some(why))
}

fn outcome(
    due: &DueCallback,
    attempts: u32,
    end: CallbackEnd,
    status: Option<u16>,
    error: Option<String>,
) -> CallbackOutcome {
    let (event, person) = (due.event, due.person.clone());
    CallbackOutcome { event, person, attempts, end, status, error }
}

impl Engine {
    /// What is due for a target, with its events; `known` are already being worked on.
    pub(super) async fn read_due(
        self,
        target: i64,
        limit: u32,
        known: HashSet<i64>,
        is_first: bool,
    ) -> Worked {
        let found = self.store().due_callbacks(target, self.now(), limit).await;
        let mut found = match found {
            Ok(found) => found,
            Err(error) => return Worked::Read { rows: Err(error), next: None, full: true },
        };
        let full = found.due.len() >= limit as usize;
        if found.due.is_empty() && is_first {
            // Whatever was due has gone: the store must know, or it names the target for ever.
            let recorded = self.store().record_callbacks(target, Vec::new(), self.now()).await;
            if let Err(error) = recorded {
                return Worked::Read { rows: Err(error), next: None, full: true };
            }
        }
        found.due.retain(|due| !known.contains(&due.event));
        let rows = self.with_events(found.due).await;
        Worked::Read { rows, next: found.next_due_at, full }
    }

    async fn with_events(
        &self,
        due: Vec<DueCallback>,
    ) -> StoreResult<Vec<(DueCallback, Option<LoggedEvent>)>> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let logged = self.store().events_at(due.iter().map(|due| due.event).collect()).await?;
        let mut logged: HashMap<i64, LoggedEvent> =
            logged.into_iter().map(|logged| (logged.place, self.with_file(logged))).collect();
        let with = |due: DueCallback| {
            let logged = logged.remove(&due.event);
            (due, logged)
        };
        Ok(due.into_iter().map(with).collect())
    }

    /// Records outcomes; where the target is only probed, what is overdue is given up besides.
    pub(super) async fn record_outcomes(
        self,
        target: CallbackTarget,
        outcomes: Vec<CallbackOutcome>,
    ) -> Worked {
        let now = self.now();
        let mut result = self.store().record_callbacks(target.place, outcomes.clone(), now).await;
        if result.is_ok()
            && self.callbacks().breakers.is_open(target.place)
            && let Some(shape) = self.shape_of(&target)
        {
            let created_before = now.plus_ms(-span_ms(shape.info()) - OVERDUE_MS);
            let why = "the address failed for longer than the whole schedule";
            let store = self.store();
            let given_up =
                store.give_up_callbacks(target.place, created_before, why, GIVEN_UP, now).await;
            result = given_up.and(result);
        }
        Worked::Recorded { outcomes, result }
    }

    /// The shape in which a target is told.
    pub(super) fn shape_of(&self, target: &CallbackTarget) -> Option<&'static dyn CallbackShape> {
        match &target.name.address {
            TargetAddress::Webhook(id) => {
                self.shape(&self.directory().webhook(&target.name.org_id, id)?.shape)
            }
            TargetAddress::Notify { shape, .. } => self.shape(shape),
        }
    }

    /// Posts callbacks in one call, wherever they go now.
    pub(super) async fn try_once(
        &self,
        target: &CallbackTarget,
        rows: &[Row],
    ) -> Vec<CallbackOutcome> {
        let rows: Vec<&Row> = rows.iter().collect();
        if let Some(outcomes) = caught(self.try_rows(target, &rows)).await {
            return outcomes;
        }
        tracing::error!(org = %target.name.org_id, callback_target = target.place, "callback: {BUG}");
        let is_sound = |row: &&Row| caught_now(|| self.encode(target, row)).is_some();
        let (sound, poison): (Vec<&Row>, Vec<&Row>) = rows.into_iter().partition(is_sound);
        let fate = |row: &&Row| dead(row, BUG.to_owned());
        let mut outcomes: Vec<CallbackOutcome> = poison.iter().map(fate).collect();
        // What was to go with it goes without it; where none of them is at fault, with nobody.
        let tried =
            if poison.is_empty() { None } else { caught(self.try_rows(target, &sound)).await };
        outcomes.extend(tried.unwrap_or_else(|| sound.iter().map(fate).collect()));
        outcomes
    }

    /// Puts one callback into its shape's words, and does nothing with them.
    fn encode(&self, target: &CallbackTarget, row: &Row) {
        if let Destination::Endpoint(endpoint) = self.destination(&target.name, &row.logged) {
            drop(self.calls_to(&endpoint, &[&row.logged.event]));
        }
    }

    async fn try_rows(&self, target: &CallbackTarget, rows: &[&Row]) -> Vec<CallbackOutcome> {
        let webhook = match &target.name.address {
            TargetAddress::Webhook(id) => self.directory().webhook(&target.name.org_id, id),
            TargetAddress::Notify { .. } => None,
        };
        let is_wanted = |row: &&Row| {
            webhook.as_ref().is_none_or(|webhook| self.is_still_told(webhook, &row.logged.event))
        };
        let (rows, unwanted): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| is_wanted(row));
        let mut outcomes: Vec<_> = unwanted.iter().map(|row| nobody_wants(&row.due)).collect();
        let Some(first) = rows.first() else { return outcomes };
        outcomes.extend(match self.destination(&target.name, &first.logged) {
            Destination::Endpoint(endpoint) => self.post_rows(target, &endpoint, &rows).await,
            Destination::Nobody => rows.iter().map(|row| nobody_wants(&row.due)).collect(),
            Destination::Off(why) => rows.iter().map(|row| dead(row, why.clone())).collect(),
        });
        outcomes
    }

    /// Whether a webhook is told of an event by its settings as they are now: they may have changed
    /// while the event waited. One that is off, or whose shape is gone, says so itself.
    fn is_still_told(&self, webhook: &Webhook, event: &Event) -> bool {
        let is_out_of_use = webhook.disabled.is_some() || self.shape(&webhook.shape).is_none();
        is_out_of_use || self.is_told(webhook, event)
    }

    async fn post_rows(
        &self,
        target: &CallbackTarget,
        endpoint: &Endpoint,
        rows: &[&Row],
    ) -> Vec<CallbackOutcome> {
        let events: Vec<&Event> = rows.iter().map(|row| &row.logged.event).collect();
        let answer = self.post_all(endpoint, &events).await;
        let answered = Answered { at: self.now(), wall_at: self.wall_now() };
        let dice = dice();
        let mut outcomes = Vec::with_capacity(rows.len());
        for (place, row) in rows.iter().enumerate() {
            let attempts = row.due.attempts + 1;
            let mut judgement =
                judge(endpoint.shape.info(), answer.clone(), attempts, answered, dice);
            if place == 0 {
                self.learn(target, row, &judgement, answered.at).await;
            }
            if judgement.gone && matches!(target.name.address, TargetAddress::Webhook(_)) {
                judgement.end = CallbackEnd::Dead;
            }
            let Judgement { end, status, error, .. } = judgement;
            outcomes.push(outcome(&row.due, attempts, end, status, error));
        }
        outcomes
    }

    /// Makes the calls that tell of events, up to the first that is not taken; its answer, or the
    /// last one. The next try begins again with the first.
    pub(super) async fn post_all(
        &self,
        endpoint: &Endpoint,
        events: &[&Event],
    ) -> Result<CallbackReply, PostError> {
        let verdict = endpoint.shape.info().verdict;
        let mut answer = Err(PostError::Failed("there is nothing to tell".to_owned()));
        for post in self.calls_to(endpoint, events) {
            answer = self.callbacks().poster.post(post).await;
            let takes = |reply: &CallbackReply| verdict(reply.status) == Verdict::Delivered;
            self.count().callbacks_posted.add();
            if !answer.as_ref().is_ok_and(takes) {
                self.count().callbacks_failed.add();
                break;
            }
            self.count().callbacks_delivered.add();
        }
        answer
    }

    /// What a try says about its target.
    async fn learn(
        &self,
        target: &CallbackTarget,
        row: &Row,
        judgement: &Judgement,
        now: Timestamp,
    ) {
        let breakers = &self.callbacks().breakers;
        if judgement.answered {
            breakers.succeeded(target.place);
        }
        if matches!(target.name.address, TargetAddress::Notify { .. }) {
            self.note_refusal(&row.logged.event, judgement).await;
        }
        if judgement.end == CallbackEnd::Done {
            return;
        }
        let why = judgement.error.as_deref().unwrap_or_default();
        tracing::debug!(org = %target.name.org_id, callback_target = target.place, why, "callback");
        if !judgement.refused && !judgement.answered {
            breakers.failed(target, now);
        }
        if let (TargetAddress::Webhook(id), true) = (&target.name.address, judgement.gone) {
            self.switch_off(&target.name.org_id, id).await;
        }
    }

    /// Shows on a message whether the address that its request named may be called, where that is not
    /// what it shows.
    async fn note_refusal(&self, event: &Event, judgement: &Judgement) {
        let EventDetail::Status(status) = &event.detail else { return };
        let message = &status.message;
        let Some(notify) = &message.options.notify else { return };
        let why = judgement.error.clone().filter(|_| judgement.refused);
        if notify.post_refused == why {
            return;
        }
        if let Err(error) = self.store().note_post_refused(message.id, why).await {
            tracing::warn!(message = %message.id, %error, "refused address");
        }
    }

    /// Posts nothing more to an address that says it is gone.
    async fn switch_off(&self, org_id: &OrgId, id: &WebhookId) {
        let Some(webhook) = self.directory().webhook(org_id, id) else { return };
        if webhook.disabled.is_some() {
            return;
        }
        tracing::warn!(org = %org_id, webhook = %id, "switched off: the address answered 410");
        let engine = self.clone();
        let switch_off = move || {
            let known = engine.directory().webhook(&webhook.org_id, &webhook.id);
            let mut off = Webhook::clone(&*known.ok_or(StoreError::NotFound)?);
            let why = || format!("the address answered 410 Gone at {}", engine.now().rfc3339());
            off.disabled.get_or_insert_with(why);
            Ok::<_, StoreError>(off)
        };
        if let Err(error) = self.directory().change(Entry::Webhook, switch_off).await {
            tracing::warn!(webhook = %id, %error, "webhook could not be switched off");
        }
    }
}
