//! Plays a plan: step after step, in as many processes as crashes and stops make of it; then lets
//! everything come to rest and asks the judge.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use waypost_domain::message::Direction;
use waypost_domain::{MessageId, Status, Timestamp};
use waypost_engine::Engine;
use waypost_engine::ports::{CallbackStore as _, EventStore as _, InboxStore as _};
use waypost_store_sqlite::MemoryDisk;

use crate::furniture::org_id;
use crate::gateway::{Gateway, furnish, settle_policies};
use crate::plan::{CrashAt, Plan, Setup, Step};
use crate::trace::Trace;
use crate::world::{News, World};
use crate::{Violation, ask, audit, judge};

/// How long before a sequence its directory was made, in milliseconds.
const SET_UP_BEFORE_MS: i64 = 10 * 3_600_000;
/// Processes of one sequence; more crashes are not played.
const MAX_EPOCHS: u32 = 40;
/// How long everything has to come to rest each time the clock is moved on.
const REST: Duration = Duration::from_millis(1_500);
/// How far the clock is moved on each time, in seconds, until everything is at rest: beyond the
/// retries of messages and callbacks, then beyond the wait for a status, then beyond a day.
const REST_JUMPS_S: [u64; 20] = [
    0, 6, 130, 130, 330, 330, 330, 2_000, 4_000, 4_000, 9_000, 20_000, 20_000, 90_000, 90_000, 60,
    60, 400, 400, 400,
];
/// How long requests under way may take once nothing stands in their way.
const CALLERS_LIMIT: Duration = Duration::from_secs(900);

/// What came of a sequence.
#[derive(Clone, Debug)]
pub struct Played {
    /// What happened.
    pub trace: Trace,
    /// What should not have.
    pub violations: Vec<Violation>,
    /// What it consisted of.
    pub counts: Counts,
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub sequences: u64,
    pub processes: u64,
    pub requests: u64,
    pub messages: u64,
    pub attempts: u64,
    pub webhooks: u64,
    pub callbacks: u64,
    pub unknown: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            sequences: self.sequences + other.sequences,
            processes: self.processes + other.processes,
            requests: self.requests + other.requests,
            messages: self.messages + other.messages,
            attempts: self.attempts + other.attempts,
            webhooks: self.webhooks + other.webhooks,
            callbacks: self.callbacks + other.callbacks,
            unknown: self.unknown + other.unknown,
        }
    }
}

/// A disk with the directory on which every sequence begins. Made once for many sequences.
pub struct Stage(MemoryDisk);

impl Stage {
    /// Sets the stage.
    ///
    /// # Panics
    /// Where the gateway cannot be set up at all.
    #[must_use]
    pub fn new() -> Self {
        waypost_clock::seed_dice(Some(0));
        let disk = MemoryDisk::new().expect("a database in memory");
        let setup = Setup { churn_percent: 0, ..Plan::new(0).setup };
        let plan = Plan { seed: 0, setup, steps: Vec::new() };
        let world = Arc::new(World::new(&plan, disk.clone()));
        // No clock is set back beyond it.
        world.state().wall_ms -= SET_UP_BEFORE_MS;
        runtime().block_on(async {
            world.begin_epoch();
            furnish(&world).await;
        });
        Self(disk)
    }

    /// Plays a plan from its beginning to rest.
    ///
    /// # Panics
    /// Where the gateway cannot be started at all.
    #[must_use]
    pub fn play(&self, plan: &Plan) -> Played {
        waypost_clock::seed_dice(Some(plan.seed));
        let disk = self.0.copy().expect("a database in memory");
        let world = Arc::new(World::new(plan, disk));
        let mut cursor = 0;
        loop {
            // One process: its tasks end where they are when the runtime is dropped.
            let runtime = runtime();
            let end = runtime.block_on(process(&world, plan, &mut cursor));
            drop(runtime);
            if end == End::AtRest || world.is_exhausted() {
                break;
            }
        }
        let state = world.state();
        Played {
            trace: state.trace.clone(),
            violations: state.violations.clone(),
            counts: Counts {
                sequences: 1,
                processes: state.epoch.into(),
                requests: state.calls.len() as u64,
                messages: state.messages,
                attempts: state.sends.len() as u64,
                webhooks: state.webhooks.len() as u64,
                callbacks: state.posts.len() as u64,
                unknown: state.unknown,
            },
        }
    }
}

impl Default for Stage {
    fn default() -> Self {
        Self::new()
    }
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().expect("a runtime without sockets")
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Gone,
    AtRest,
}

async fn process(world: &Arc<World>, plan: &Plan, cursor: &mut usize) -> End {
    world.begin_epoch();
    if world.state().epoch == 1 {
        settle_policies(&world.disk, world).await;
    }
    let mut clock = None;
    let end = tokio::select! {
        biased;
        () = crash(world) => End::Gone,
        end = live(world, plan, cursor, &mut clock) => end,
    };
    let wall_ms = clock.map_or_else(|| world.state().wall_ms, |clock| clock.now_ms());
    world.end_epoch(wall_ms);
    end
}

/// Returns when the process dies.
async fn crash(world: &World) {
    while !world.is_dead() {
        world.crashed.notified().await;
    }
}

async fn live(
    world: &Arc<World>,
    plan: &Plan,
    cursor: &mut usize,
    clock: &mut Option<waypost_clock::Clock>,
) -> End {
    let gateway = Gateway::start(world).await;
    *clock = Some(gateway.clock.clone());
    while let Some((place, step)) = plan.steps.get(*cursor) {
        *cursor += 1;
        world.note(&format!("step {place} {step:?}"));
        if matches!(step, Step::Stop) && world.state().epoch < MAX_EPOCHS {
            if !gateway.stop().await {
                world.violated("stops", "a stop in order did not end".to_owned());
            }
            return End::Gone;
        }
        take(world, &gateway, *place, step).await;
    }
    world.calm();
    rest(world, &gateway).await;
    audit::acknowledged(world, &gateway.store).await;
    judge::judge(world, &gateway.store).await;
    End::AtRest
}

async fn take(world: &Arc<World>, gateway: &Gateway, place: usize, step: &Step) {
    let engine = &gateway.engine;
    match step {
        Step::Ask(request) => ask::ask(world, engine, place, request),
        Step::Write { person } => {
            let wamid = world.new_inbound_wamid();
            let at = Timestamp(engine.now().0 / 1_000 * 1_000);
            world.expect(world.now_ms(), News::Written { person: *person, wamid, at });
        }
        Step::Report { nth, report } => {
            let accepted: Vec<usize> = {
                let state = world.state();
                let accepted = state.sends.iter().enumerate();
                accepted.filter(|(_, send)| send.wamid.is_some()).map(|(place, _)| place).collect()
            };
            let Some(send) = nth_of(&accepted, *nth) else { return };
            let at = Timestamp(engine.now().0 / 1_000 * 1_000 + 7_000);
            let news = News::Status { send, report: *report, at, has_token: true };
            world.expect(world.now_ms(), news);
        }
        Step::Pass { ms } => tokio::time::sleep(Duration::from_millis((*ms).into())).await,
        Step::Jump { seconds } => {
            let by = Duration::from_secs(seconds.unsigned_abs().into());
            if *seconds < 0 {
                gateway.clock.set_back(by);
                // Whatever began before now began no later than now, as this clock says.
                let now_ms = gateway.clock.now_ms();
                let mut state = world.state();
                state.started_wall_ms = state.started_wall_ms.min(now_ms);
            } else {
                gateway.clock.advance(by);
            }
        }
        Step::Crash(at) if world.state().epoch < MAX_EPOCHS => {
            world.arm(*at);
            if *at == CrashAt::Now {
                std::future::pending::<()>().await;
            }
        }
        Step::Crash(_) | Step::Stop => {}
        Step::Cancel { nth } => by_hand(world, engine, *nth, Hand::Cancel),
        Step::Retry { nth } => by_hand(world, engine, *nth, Hand::Retry),
        Step::ReceiverFails { times } => world.state().receiver_failures = *times,
        Step::DiskFull { writes } => world.state().full_writes = *writes,
    }
}

fn nth_of<T: Copy>(things: &[T], nth: u8) -> Option<T> {
    (!things.is_empty()).then(|| things[usize::from(nth) % things.len()])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    Cancel,
    Retry,
}

/// Somebody does something about a message that was acknowledged.
fn by_hand(world: &Arc<World>, engine: &Engine, nth: u8, hand: Hand) {
    let known = world.state().known.clone();
    let Some(id) = nth_of(&known, nth) else { return };
    let (world, engine) = (Arc::clone(world), engine.clone());
    tokio::spawn(async move {
        match hand {
            Hand::Cancel => {
                let cancelled = engine.cancel_message(&org_id(), id).await;
                tell(&world, "cancelled", id, &cancelled);
            }
            Hand::Retry => {
                // It counts from now on: a crash may come before the answer.
                let entry = {
                    let mut state = world.state();
                    let sends = state.sends.len();
                    state.retried.push((id, sends));
                    state.retried.len() - 1
                };
                let retried = engine.retry_message(&org_id(), id).await;
                if matches!(retried, Ok(false)) && !world.is_dead() {
                    world.state().retried[entry].1 = usize::MAX;
                }
                tell(&world, "retried", id, &retried);
            }
        }
    });
}

fn tell<E: std::fmt::Debug>(world: &World, what: &str, id: MessageId, done: &Result<bool, E>) {
    if world.is_dead() {
        return;
    }
    let number = world.state().ordinal(id);
    let word = done.as_ref().map_or("failed", |done| if *done { "yes" } else { "no" });
    world.note(&format!("{what} #{number}: {word}"));
}

/// Lets everything come to rest.
async fn rest(world: &Arc<World>, gateway: &Gateway) {
    for (round, jump_s) in REST_JUMPS_S.into_iter().enumerate() {
        gateway.clock.advance(Duration::from_secs(jump_s));
        world.hasten(jump_s * 1_000);
        tokio::time::sleep(REST).await;
        if !world.all_answered(CALLERS_LIMIT).await {
            world.violated("answers", "a request is still without an answer".to_owned());
        }
        let is_quiet = is_at_rest(world, gateway).await;
        // An unknown outcome may still be waited for, and told after a day.
        if is_quiet && round >= 3 {
            break;
        }
    }
}

async fn is_at_rest(world: &Arc<World>, gateway: &Gateway) -> bool {
    let store = &gateway.store.sqlite;
    let look = async {
        let messages = gateway.store.messages(Direction::Outbound, None).await;
        let open = |status| matches!(status, Status::Queued | Status::Sending | Status::Unknown);
        let totals = store.callback_totals().await;
        let last = store.last_event().await;
        let inbox = store.open_webhooks(0, 1).await;
        let is_told = matches!((totals, last), (Ok(totals), Ok(last))
            if totals.pending == 0 && totals.mark >= last);
        is_told
            && inbox.is_ok_and(|inbox| inbox.is_empty())
            && !messages.iter().any(|message| open(message.status))
    };
    world.audit(look).await && world.has_no_news()
}
