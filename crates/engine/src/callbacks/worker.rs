//! One target's worker: reads what is due, posts it, records what came of it. It ends when nothing
//! is due any more.
//!
//! Callbacks of one person are made one after the other. What waits for an earlier one is not due,
//! as the store counts; only what fails for the first time while later ones are in memory already
//! must be noticed here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use waypost_clock::Clock;
use waypost_domain::Timestamp;
use waypost_domain::callback::Batch;
use waypost_domain::event::EventDetail;

use super::attempt::{Row, Worked, nobody_wants};
use super::breaker::Leave;
use crate::Engine;
use crate::ports::{
    CallbackEnd, CallbackOutcome, CallbackTarget, DueCallback, LoggedEvent, StoreError,
    TargetAddress,
};

/// Calls to one target in flight.
const MAX_POSTS_PER_TARGET: usize = 8;
/// Callbacks of one target in memory.
const WINDOW: usize = 128;
/// When only so many are left, more are read.
const LOW_WATER: usize = 64;
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How long calls in flight may take to end after a stop. Those that do not are made again.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A try that has ended.
struct Tried {
    lane: String,
    outcomes: Vec<CallbackOutcome>,
}

/// What waits for one person; for shapes that take several events at once, for everybody.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<Row>,
    in_flight: bool,
    /// Whether it stands among those that may start.
    is_ready: bool,
}

impl Lane {
    /// The first and those after it that may go with it, at most so many: all about one number, and
    /// all of them statuses or all of them what people write. What failed together goes together
    /// again and with nothing else, so that the call is the same. Nothing of a person overtakes what
    /// is left behind of the same person.
    fn take_alike(&mut self, most: usize) -> Vec<Row> {
        let sort = |row: &Row| {
            let event = &row.logged.event;
            let failed_until = (row.due.attempts > 0).then_some(row.due.due_at);
            let is_written = matches!(event.detail, EventDetail::Received(_));
            (event.number_id.clone(), is_written, row.due.attempts, failed_until)
        };
        let Some(of_first) = self.waiting.front().map(sort) else { return Vec::new() };
        let (mut taken, mut left_behind) = (Vec::new(), HashSet::new());
        for row in std::mem::take(&mut self.waiting) {
            let person = &row.due.person;
            if taken.len() < most && sort(&row) == of_first && !left_behind.contains(person) {
                taken.push(row);
                continue;
            }
            if taken.len() < most {
                left_behind.insert(person.clone());
            }
            self.waiting.push_back(row);
        }
        taken
    }
}

/// Room for calls in flight: first that of the target's organisation, then that of all.
#[derive(Clone)]
pub(super) struct Posts {
    pub(super) of_org: Arc<Semaphore>,
    pub(super) all: Arc<Semaphore>,
}

/// One target's worker.
pub(super) struct Worker {
    engine: Engine,
    target: CallbackTarget,
    wake: Arc<Notify>,
    posts: Posts,
    lanes: HashMap<String, Lane>,
    /// Lanes with something waiting and nothing in flight, in the order of their turn.
    ready: VecDeque<String>,
    in_flight: usize,
    /// Events that were read and are not recorded yet.
    busy: HashSet<i64>,
    outcomes: Vec<CallbackOutcome>,
    /// People one of whose callbacks failed for the first time, until that is recorded.
    held: HashSet<String>,
    /// Whether something may be due that was not read.
    more: bool,
    next_due_at: Option<Timestamp>,
    /// Whether the store knows by us when the target has something due.
    has_recorded: bool,
    is_stopping: bool,
}

impl Worker {
    pub(super) fn new(
        engine: Engine,
        target: CallbackTarget,
        wake: Arc<Notify>,
        posts: Posts,
    ) -> Self {
        Self {
            engine,
            target,
            wake,
            posts,
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            in_flight: 0,
            busy: HashSet::new(),
            outcomes: Vec::new(),
            held: HashSet::new(),
            more: true,
            next_due_at: None,
            has_recorded: false,
            is_stopping: false,
        }
    }

    /// Works until nothing is due.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let wake = Arc::clone(&self.wake);
        let clock = self.engine.clock().clone();
        let mut posts = FuturesUnordered::new();
        let mut work: Option<BoxFuture<'static, Worked>> = None;
        let mut stop_by = None;
        loop {
            let wake_at = self.start(&mut posts);
            if work.is_none() {
                work = self.next_work();
            }
            if work.is_none() && self.is_idle() {
                return;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled(), if !self.is_stopping => {
                    self.is_stopping = true;
                    stop_by = Some(Instant::now() + STOP_GRACE);
                }
                () = deadline(stop_by) => return,
                Some(tried) = posts.next(), if !posts.is_empty() => self.note_tried(tried),
                worked = pending_or(work.as_mut()) => {
                    work = None;
                    self.note_worked(worked).await;
                }
                () = wake.notified() => self.more = true,
                () = sleep_until(&clock, wake_at) => {
                    self.more = true;
                    self.next_due_at = None;
                }
            }
        }
    }

    /// Whether there is nothing to do now. A target that may not be asked before an instant rests
    /// until then without a worker: its place is for another one.
    fn is_idle(&self) -> bool {
        let rests = self.is_stopping || matches!(self.leave(), Leave::NotBefore(_));
        let waits = !rests && (self.more || !self.lanes.is_empty());
        self.in_flight == 0 && self.outcomes.is_empty() && !waits
    }

    fn leave(&self) -> Leave {
        self.engine.callbacks().breakers.leave(self.target.place, self.engine.now())
    }

    /// Posts what may be posted. Returns when to look again.
    fn start(
        &mut self,
        posts: &mut FuturesUnordered<BoxFuture<'static, Tried>>,
    ) -> Option<Timestamp> {
        if self.is_stopping {
            return None;
        }
        let now = self.engine.now();
        let mut look_at = self.next_due_at;
        let most = match self.leave() {
            Leave::Full => MAX_POSTS_PER_TARGET,
            Leave::Probe => 1,
            Leave::NotBefore(at) => {
                self.forget_waiting();
                return Some(at);
            }
        };
        let batch = self.batch();
        for _ in 0..self.ready.len() {
            if self.in_flight >= most {
                break;
            }
            let Some(lane) = self.ready.pop_front() else { break };
            match self.take(&lane, batch, now) {
                Ok(rows) => {
                    self.in_flight += 1;
                    posts.push(self.post(lane, rows));
                }
                Err(at) => {
                    look_at = Some(look_at.map_or(at, |other| other.min(at)));
                    self.make_ready(lane);
                }
            }
        }
        look_at
    }

    /// What goes into a ready lane's next call: nothing before an instant, where others are waited
    /// for.
    fn take(
        &mut self,
        name: &str,
        batch: Option<Batch>,
        now: Timestamp,
    ) -> Result<Vec<Row>, Timestamp> {
        let Some(lane) = self.lanes.get_mut(name) else { return Ok(Vec::new()) };
        lane.is_ready = false;
        let most = most_events(batch);
        if let (Some(batch), Some(first)) = (batch, lane.waiting.front()) {
            let full_by = first.due.created_at.plus_ms(batch.flush_ms.into());
            if lane.waiting.len() < most && now < full_by {
                return Err(full_by);
            }
        }
        lane.in_flight = true;
        Ok(lane.take_alike(most))
    }

    /// Several events in one call only where they all go to one address.
    fn batch(&self) -> Option<Batch> {
        let TargetAddress::Webhook(id) = &self.target.name.address else { return None };
        let webhook = self.engine.directory().webhook(&self.target.name.org_id, id)?;
        self.engine.shape(&webhook.shape)?.info().batch
    }

    fn most_in_one_call(&self) -> usize {
        most_events(self.batch())
    }

    fn post(&self, lane: String, rows: Vec<Row>) -> BoxFuture<'static, Tried> {
        let (engine, target) = (self.engine.clone(), self.target.clone());
        let posts = self.posts.clone();
        Box::pin(async move {
            // The semaphores are never closed.
            let _own = posts.of_org.acquire().await;
            let _one_of_all = posts.all.acquire().await;
            let outcomes = engine.try_once(&target, &rows).await;
            Tried { lane, outcomes }
        })
    }

    /// The next thing to ask of the store: first what is known is recorded.
    fn next_work(&mut self) -> Option<BoxFuture<'static, Worked>> {
        let (engine, target) = (self.engine.clone(), self.target.clone());
        if !self.outcomes.is_empty() {
            let outcomes = std::mem::take(&mut self.outcomes);
            return Some(Box::pin(async move { engine.record_outcomes(target, outcomes).await }));
        }
        let room = match self.leave() {
            Leave::Full if self.busy.len() <= LOW_WATER => WINDOW,
            Leave::Probe if self.busy.is_empty() => self.most_in_one_call(),
            Leave::Full | Leave::Probe | Leave::NotBefore(_) => return None,
        };
        if !self.more || self.is_stopping {
            return None;
        }
        // What falls due while this is read may be missing in it: a wake from now on asks again.
        self.more = false;
        let limit = u32::try_from(self.busy.len() + room).unwrap_or(u32::MAX);
        let known = self.busy.clone();
        let is_first = !self.has_recorded && self.busy.is_empty();
        Some(Box::pin(async move { engine.read_due(target.place, limit, known, is_first).await }))
    }

    fn note_tried(&mut self, tried: Tried) {
        self.in_flight -= 1;
        for outcome in &tried.outcomes {
            if outcome.attempts == 1 && matches!(outcome.end, CallbackEnd::Again(_)) {
                self.held.insert(outcome.person.clone());
            }
        }
        self.outcomes.extend(tried.outcomes);
        let (held, busy) = (&self.held, &mut self.busy);
        let Some(lane) = self.lanes.get_mut(&tried.lane) else { return };
        lane.in_flight = false;
        lane.waiting.retain(|row| {
            let stays = !held.contains(&row.due.person);
            if !stays {
                busy.remove(&row.due.event);
            }
            stays
        });
        self.make_ready(tried.lane);
    }

    /// What was read and not begun is read again when the target may be called again.
    fn forget_waiting(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.is_ready = false;
            for row in lane.waiting.drain(..) {
                self.busy.remove(&row.due.event);
                self.more = true;
            }
        }
        self.lanes.retain(|_, lane| lane.in_flight);
        self.ready.clear();
    }

    async fn note_worked(&mut self, worked: Worked) {
        match worked {
            Worked::Recorded { outcomes, result: Ok(has_released) } => {
                self.has_recorded = true;
                self.more |= has_released;
                for outcome in outcomes {
                    self.busy.remove(&outcome.event);
                }
                let unrecorded: HashSet<&String> =
                    self.outcomes.iter().map(|outcome| &outcome.person).collect();
                let before = self.held.len();
                self.held.retain(|person| unrecorded.contains(person));
                self.more |= self.held.len() < before;
            }
            Worked::Recorded { outcomes, result: Err(error) } => {
                self.complain(&error).await;
                let newer = std::mem::replace(&mut self.outcomes, outcomes);
                self.outcomes.extend(newer);
            }
            Worked::Read { rows: Ok(rows), next, full } => {
                self.more |= full;
                self.next_due_at = next;
                rows.into_iter().for_each(|(due, logged)| self.enter(due, logged));
            }
            Worked::Read { rows: Err(error), .. } => {
                self.more = true;
                self.complain(&error).await;
            }
        }
    }

    async fn complain(&self, error: &StoreError) {
        tracing::error!(%error, "callbacks");
        self.engine.note_store_error(error);
        tokio::time::sleep(STORE_PAUSE).await;
    }

    fn enter(&mut self, due: DueCallback, logged: Option<LoggedEvent>) {
        if self.busy.contains(&due.event) {
            return;
        }
        if self.held.contains(&due.person) {
            self.more = true;
            return;
        }
        self.busy.insert(due.event);
        let Some(logged) = logged else {
            self.outcomes.push(nobody_wants(&due));
            return;
        };
        let name = if self.batch().is_some() { String::new() } else { due.person.clone() };
        self.lanes.entry(name.clone()).or_default().waiting.push_back(Row { due, logged });
        self.make_ready(name);
    }

    /// Lets a lane start that has something waiting and nothing in flight.
    fn make_ready(&mut self, name: String) {
        let Some(lane) = self.lanes.get_mut(&name) else { return };
        if lane.in_flight || lane.is_ready {
            return;
        }
        if lane.waiting.is_empty() {
            self.lanes.remove(&name);
        } else {
            lane.is_ready = true;
            self.ready.push_back(name);
        }
    }
}

fn most_events(batch: Option<Batch>) -> usize {
    batch.map_or(1, |batch| batch.max_events.max(1) as usize)
}

async fn pending_or<T>(work: Option<&mut BoxFuture<'static, T>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: &Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at.0).await,
        None => std::future::pending().await,
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
