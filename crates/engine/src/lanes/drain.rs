//! Draining the due queue: each number's lane takes what is due, in order, at its pace, and puts off
//! what its person, or a guard, must wait for.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use waypost_domain::Timestamp;
use waypost_domain::place::Place;
use waypost_planted::{Bug, is_planted};

use super::plan::Plan;
use super::{Lane, Pacing, count};
use crate::Engine;
use crate::outages::Leave;
use crate::ports::{Look, StoreError, WaitingMessage};

/// Pause after the store could not be read.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How many due messages are read from the store at once at least: a bounded window onto the queue.
const MIN_WINDOW: u32 = 128;
/// And at most.
const MAX_WINDOW: u32 = 1_024;
/// How many are read where everything in that window must wait for somebody else's turn.
pub(super) const WIDE_WINDOW: u32 = 8 * MAX_WINDOW;
/// Messages put off before a restart that are remembered, so that later ones stay behind them.
const MAX_POSTPONED: u32 = 10_000;

impl Engine {
    /// Drains one number's queue until it is cancelled. What is in flight then is among `attempts`.
    pub(crate) async fn drain(
        self,
        lane: Arc<Lane>,
        attempts: TaskTracker,
        cancel: CancellationToken,
    ) {
        let mut plan = Plan::default();
        self.remember_postponed(&lane).await;
        while !cancel.is_cancelled() {
            self.remember_approached(&lane).await;
            let looked_at = self.now();
            let gate = match self.plan_ahead(&lane, &mut plan, looked_at).await {
                Ok(Ahead::Start(gate)) => gate,
                Ok(Ahead::Wait(until)) => {
                    let due = self.something_due(&lane, looked_at, until);
                    cancel.run_until_cancelled(due).await;
                    continue;
                }
                Err(error) => {
                    self.note_unread(&lane, &error);
                    cancel.run_until_cancelled(tokio::time::sleep(STORE_PAUSE)).await;
                    continue;
                }
            };
            let place = plan.foremost(|waiting| gate.readiness(&lane, waiting) == Readiness::Now);
            let turn = lane.turn_of_queue(place.unwrap_or(Place::BROADCAST));
            let Some(slot) = cancel.run_until_cancelled(turn).await else { break };
            // Something more urgent may have come while the turn was waited for.
            if let Err(error) = self.look_ahead(&lane, &mut plan).await {
                self.note_unread(&lane, &error);
            }
            if lane.has_unbegun.swap(false, Ordering::AcqRel) {
                plan.clear();
                continue;
            }
            let gate = Gate { now: self.now(), ..gate };
            let Some(next) = plan.next(&lane, gate) else { continue };
            self.note_approach(&lane, &next).await;
            self.outages().started(&lane.number_id, next.attempts > 0, gate.now);
            lane.has_more.store(plan.has_more_at(next.place), Ordering::Relaxed);
            let ticket = lane.start(&next, slot, gate.now);
            attempts.spawn(self.clone().attempt_queued(next, Arc::clone(&lane), ticket));
        }
    }

    fn note_unread(&self, lane: &Lane, error: &StoreError) {
        tracing::error!(number = %lane.number_id, %error, "due queue");
        self.note_store_error(error);
    }

    /// Looks for something to start; renews the window onto the queue where needed.
    async fn plan_ahead(
        &self,
        lane: &Lane,
        plan: &mut Plan,
        now: Timestamp,
    ) -> Result<Ahead, StoreError> {
        // What ends from now on is told: it may be what the window waits for.
        lane.waits_for_ends(true);
        let gate = Gate { now, leave: self.outages().leave(&lane.number_id, now) };
        if let Leave::NotBefore(until) = gate.leave {
            return Ok(Ahead::Wait(until));
        }
        if let Some(until) = lane.guards.bulk_held_until(now) {
            plan.forget_bulk();
            if !lane.has_bulk_in_flight() {
                self.countdowns().held_back(&lane.number_id, until);
            }
        }
        self.look_ahead(lane, plan).await?;
        let mut window = self.settle_window(lane, plan, gate).await?;
        let mut limit = lane.window();
        while window != Window::Startable {
            plan.clear();
            self.close_gaps(lane, now).await?;
            let look = Look { limit, before: lane.bulk_is_held(now).then_some(Place::BULK) };
            let queued = lane.queued.load(Ordering::Acquire);
            let read = self.store().waiting(&lane.number_id, now, look).await?;
            let is_drained = read.is_empty() && look.before.is_none();
            lane.drained.store(if is_drained { queued } else { 0 }, Ordering::Release);
            let is_all = read.len() < limit as usize;
            self.enter(lane, plan, read, now).await?;
            window = self.settle_window(lane, plan, gate).await?;
            match window {
                Window::Blocked if is_all || limit >= WIDE_WINDOW => {
                    return Ok(Ahead::Wait(gate.opens_at()));
                }
                Window::Blocked => limit = WIDE_WINDOW,
                Window::Startable | Window::Changed => {}
            }
        }
        lane.waits_for_ends(false);
        Ok(Ahead::Start(gate))
    }

    /// Reads what was queued since and stands before everything in the window.
    async fn look_ahead(&self, lane: &Lane, plan: &mut Plan) -> Result<(), StoreError> {
        plan.note_news(lane.take_news());
        let Some(head) = plan.has_news_before() else { return Ok(()) };
        let now = self.now();
        let before = if lane.bulk_is_held(now) { head.min(Place::BULK) } else { head };
        let look = Look { limit: lane.window(), before: Some(before) };
        let read = self.store().waiting(&lane.number_id, now, look).await?;
        self.enter(lane, plan, read, now).await
    }

    /// Adds what was read to the window, but for what is on its way already and what is too old.
    async fn enter(
        &self,
        lane: &Lane,
        plan: &mut Plan,
        read: Vec<WaitingMessage>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (expired, read): (Vec<_>, Vec<_>) = read
            .into_iter()
            .filter(|waiting| !lane.is_in_flight(&waiting.id))
            .partition(|waiting| waiting.expires_at.is_some_and(|end| end <= now));
        if !expired.is_empty() {
            self.fail_expired(lane, expired).await?;
        }
        plan.add(read);
        Ok(())
    }

    /// Puts off what must wait for its person's pace or for a guard.
    async fn settle_window(
        &self,
        lane: &Lane,
        plan: &mut Plan,
        gate: Gate,
    ) -> Result<Window, StoreError> {
        let must_wait = Cell::new(false);
        let startable = plan
            .foremost(|waiting| match gate.readiness(lane, waiting) {
                Readiness::Now => true,
                Readiness::Blocked => false,
                Readiness::Later => {
                    must_wait.set(true);
                    false
                }
            })
            .is_some();
        let must_wait = must_wait.get();
        if must_wait {
            let later =
                |waiting: &WaitingMessage| gate.readiness(lane, waiting) == Readiness::Later;
            let put_off = plan.take_all(later);
            count(&lane.counts.postponed, put_off.len());
            let until: Vec<_> = put_off
                .iter()
                .map(|waiting| (waiting.id, lane.put_off(waiting, gate.now)))
                .collect();
            self.store().postpone(until.clone()).await?;
            for (waiting, (_, until)) in put_off.iter().zip(until) {
                if let Some(broadcast_id) = waiting.broadcast_id {
                    self.countdowns().put_off(broadcast_id, until);
                }
            }
        }
        Ok(match (startable, must_wait) {
            (true, _) => Window::Startable,
            (false, true) => Window::Changed,
            (false, false) => Window::Blocked,
        })
    }

    /// Waits until the lane is told of something, a message falls due that was not due at
    /// `looked_at`, or `until`, when nothing could be started.
    async fn something_due(&self, lane: &Lane, looked_at: Timestamp, until: Option<Timestamp>) {
        let until = earliest(until, lane.guards.bulk_held_until(looked_at));
        let fall_due = async {
            match self.store().next_due_after(&lane.number_id, looked_at).await {
                Ok(next) => match earliest(next, until) {
                    Some(next) => self.clock().sleep_until(next.0).await,
                    // What was due and could not be started is in flight: its end tells the lane.
                    None => std::future::pending().await,
                },
                Err(error) => {
                    self.note_unread(lane, &error);
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = lane.wake.notified() => {}
            () = fall_due => {}
        }
    }

    /// What was put off before a restart: what is accepted from now on stays behind it.
    async fn remember_postponed(&self, lane: &Lane) {
        let now = self.now();
        match self.store().postponed(&lane.number_id, now, MAX_POSTPONED).await {
            Ok(postponed) => {
                let mut pacing = lane.pacing.lock();
                for message in postponed {
                    let person = pacing.pairs.person(&message.phone);
                    let (place, order, due_ms) = (message.place, message.order, message.due_at.0);
                    pacing.pairs.park(person, place, order, due_ms, now.0);
                }
            }
            Err(error) => self.note_unread(lane, &error),
        }
    }
}

/// How the drain goes on.
enum Ahead {
    /// Something may start.
    Start(Gate),
    /// Nothing may: until the lane is told of something, or until then.
    Wait(Option<Timestamp>),
}

/// How the window stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Something may start.
    Startable,
    /// Nothing may start, but something was put off: there may be more behind it.
    Changed,
    /// All of it waits for what is in flight, or there is nothing.
    Blocked,
}

/// What may start at an instant.
#[derive(Clone, Copy)]
struct Gate {
    now: Timestamp,
    /// What the upstream's trouble with the number leaves, if it has any.
    leave: Leave,
}

/// Whether a message may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Now,
    /// Something else must end before: its person's last message is on its way, or it is itself.
    Blocked,
    /// Its person got too many lately, or must not get any.
    Later,
}

impl Gate {
    fn readiness(self, lane: &Lane, waiting: &WaitingMessage) -> Readiness {
        match self.leave {
            Leave::Fresh(_) if waiting.attempts > 0 => Readiness::Blocked,
            _ => lane.readiness(waiting, self.now),
        }
    }

    /// When more may start than now, as far as the clock says.
    fn opens_at(self) -> Option<Timestamp> {
        match self.leave {
            Leave::Fresh(at) => Some(at),
            Leave::NotBefore(at) => at,
            Leave::Any | Leave::Probe => None,
        }
    }
}

impl Plan {
    /// Takes the message that starts next. The upstream is best probed with one that was not
    /// attempted yet.
    fn next(&mut self, lane: &Lane, gate: Gate) -> Option<WaitingMessage> {
        if lane.bulk_is_held(gate.now) {
            // Since the turn was waited for.
            self.forget_bulk();
        }
        let ready = |waiting: &WaitingMessage| gate.readiness(lane, waiting) == Readiness::Now;
        let fresh = match gate.leave {
            Leave::Probe => self.take(|waiting| waiting.attempts == 0 && ready(waiting)),
            _ => None,
        };
        fresh.or_else(|| self.take(ready))
    }
}

impl Lane {
    fn waits_for_ends(&self, waits: bool) {
        self.waits_for_end.store(waits, Ordering::Release);
    }

    /// Two seconds' worth of messages, so that who shares the number soon gets a turn.
    fn window(&self) -> u32 {
        let rate = self.pacing.lock().number.configured_per_s();
        rate.saturating_mul(2).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    fn bulk_is_held(&self, now: Timestamp) -> bool {
        self.guards.bulk_held_until(now).is_some()
    }

    /// Waits for a place among the calls, and then for the number's next turn.
    async fn turn_of_queue(self: &Arc<Self>, place: Place) -> super::Slot {
        let slot = self.slots.take().await;
        self.any_turn(place).await;
        slot
    }

    fn readiness(&self, waiting: &WaitingMessage, now: Timestamp) -> Readiness {
        {
            let in_flight = self.in_flight.lock();
            let is_on_its_way = in_flight.messages.contains(&waiting.id);
            let is_served = in_flight.people.contains(&waiting.phone);
            if is_on_its_way || (is_served && !is_planted(Bug::PersonInParallel)) {
                return Readiness::Blocked;
            }
        }
        if waiting.place.is_bulk() && self.guards.capped_until(&waiting.phone, now).is_some() {
            return Readiness::Later;
        }
        let mut pacing = self.pacing.lock();
        let Pacing { pairs, .. } = &mut *pacing;
        let person = pairs.person(&waiting.phone);
        let is_behind = pairs.behind(person, waiting.place, waiting.order, now.0).is_some();
        if is_behind || pairs.wait_ms(person, now.0) > 0 {
            return Readiness::Later;
        }
        Readiness::Now
    }

    /// When a message that must wait falls due: at its end at the latest, then it is told.
    fn put_off(&self, waiting: &WaitingMessage, now: Timestamp) -> Timestamp {
        let end_ms = waiting.expires_at.map_or(i64::MAX, |end| end.0);
        let capped = Some(&waiting.phone).filter(|_| waiting.place.is_bulk());
        if let Some(until) = capped.and_then(|phone| self.guards.capped_until(phone, now)) {
            return Timestamp(until.0.min(end_ms));
        }
        let mut pacing = self.pacing.lock();
        let Pacing { pairs, .. } = &mut *pacing;
        let person = pairs.person(&waiting.phone);
        let slot_ms = pairs.slot_ms(person, waiting.place, waiting.order, now.0).min(end_ms);
        pairs.park(person, waiting.place, waiting.order, slot_ms, now.0);
        Timestamp(slot_ms)
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
