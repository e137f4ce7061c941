//! What is outside the gateway and outlives its process: the disk, what the upstream has accepted,
//! the webhooks it still has to bring, what receivers got, what callers were told. It keeps the books
//! that the judge reads afterwards, and says when the process dies.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, MessageId, Timestamp};
use waypost_engine::ports::UpstreamEvent;
use waypost_store_sqlite::MemoryDisk;

use crate::chance::Chance;
use crate::plan::{CrashAt, Fate, Mode, Plan, Setup};
use crate::trace::Trace;
use crate::{NOON_MS, Violation};

/// Steps of the store in one sequence; what takes more never comes to rest.
const MAX_STEPS: u64 = 100_000;
/// How long the upstream waits before it brings a webhook again that was not taken.
const AGAIN_MS: u64 = 1_000;

/// A call of the gateway to the upstream.
#[derive(Clone, Debug)]
pub(crate) struct Send {
    pub(crate) label: String,
    pub(crate) person: String,
    /// The attempt that its token names.
    pub(crate) attempt: [u8; 16],
    pub(crate) token: String,
    pub(crate) at_ms: u64,
    /// The upstream's id, if it accepted the message.
    pub(crate) wamid: Option<String>,
}

/// A report that the gateway has taken.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// Of which call.
    pub(crate) send: usize,
    pub(crate) report: Report,
    pub(crate) at: Timestamp,
    pub(crate) has_token: bool,
}

/// A call to the receiver of callbacks.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) event: String,
    pub(crate) person: String,
    pub(crate) epoch: u32,
    pub(crate) was_taken: bool,
}

/// What a caller was told.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Nothing,
    /// The messages, and what came of the first one where the caller waited.
    Messages(Vec<MessageId>, Result<Option<String>, ErrorKind>),
    Refused(ErrorKind),
}

/// A caller's request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) label: String,
    pub(crate) mode: Mode,
    pub(crate) has_key: bool,
    pub(crate) answer: Answer,
    pub(crate) answered_ms: u64,
}

/// Something that the upstream will bring.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Status { send: usize, report: Report, at: Timestamp, has_token: bool },
    Written { person: u8, wamid: String, at: Timestamp },
}

#[derive(Clone, Debug)]
struct Due {
    at_ms: u64,
    place: u64,
    news: News,
}

/// The world, shared by everybody in it.
pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) disk: MemoryDisk,
    state: Mutex<State>,
    /// The process dies now.
    pub(crate) crashed: Notify,
    pub(crate) agenda_changed: Notify,
    /// The judge reads: nobody else goes on meanwhile.
    auditing: AtomicBool,
}

pub(crate) struct State {
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) violations: Vec<Violation>,
    pub(crate) sends: Vec<Send>,
    pub(crate) told: Vec<Told>,
    pub(crate) posts: Vec<Post>,
    pub(crate) calls: Vec<Call>,
    pub(crate) fates: HashMap<String, VecDeque<Fate>>,
    /// Messages that callers know, in the order in which they were told.
    pub(crate) known: Vec<MessageId>,
    /// Messages that somebody had sent again, with the number of upstream calls made before.
    pub(crate) retried: Vec<(MessageId, usize)>,
    /// What people wrote and the gateway has taken.
    pub(crate) written: Vec<String>,
    /// Upstream events by webhook.
    pub(crate) webhooks: Vec<Vec<UpstreamEvent>>,
    pub(crate) receiver_failures: u8,
    pub(crate) full_writes: u8,
    /// Whether the disk was full in this epoch.
    pub(crate) epochs_with_full_disk: Vec<u32>,
    pub(crate) epoch: u32,
    agenda: Vec<Due>,
    carried: Vec<Due>,
    news: u64,
    messages_written: u64,
    crash: Option<CrashAt>,
    dead: bool,
    origin: Option<Instant>,
    passed_ms: u64,
    pub(crate) wall_ms: i64,
    /// When this process started, by the wall clock.
    pub(crate) started_wall_ms: i64,
    ordinals: HashMap<MessageId, usize>,
    steps: u64,
    /// Requests under way.
    running: usize,
    /// Calls to the upstream under way.
    pub(crate) sending: usize,
    /// Counted by the judge.
    pub(crate) messages: u64,
    pub(crate) unknown: u64,
}

impl World {
    pub(crate) fn new(plan: &Plan, disk: MemoryDisk) -> Self {
        let state = State {
            chance: Chance::new(plan.seed, 2),
            trace: Trace::default(),
            violations: Vec::new(),
            sends: Vec::new(),
            told: Vec::new(),
            posts: Vec::new(),
            calls: Vec::new(),
            fates: HashMap::new(),
            known: Vec::new(),
            retried: Vec::new(),
            written: Vec::new(),
            webhooks: Vec::new(),
            receiver_failures: 0,
            full_writes: 0,
            epochs_with_full_disk: Vec::new(),
            epoch: 0,
            agenda: Vec::new(),
            carried: Vec::new(),
            news: 0,
            messages_written: 0,
            crash: None,
            dead: false,
            origin: None,
            passed_ms: 0,
            wall_ms: NOON_MS,
            started_wall_ms: NOON_MS,
            ordinals: HashMap::new(),
            steps: 0,
            running: 0,
            sending: 0,
            messages: 0,
            unknown: 0,
        };
        Self {
            setup: plan.setup,
            disk,
            state: Mutex::new(state),
            crashed: Notify::new(),
            agenda_changed: Notify::new(),
            auditing: AtomicBool::new(false),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// A process starts: its timers begin now.
    pub(crate) fn begin_epoch(&self) {
        let mut state = self.state();
        state.origin = Some(Instant::now());
        state.running = 0;
        state.sending = 0;
        state.dead = false;
        state.full_writes = 0;
        state.epoch += 1;
        state.started_wall_ms = state.wall_ms;
        let carried = std::mem::take(&mut state.carried);
        state.agenda.extend(carried);
        let line = format!("start {}", state.epoch);
        drop(state);
        self.note(&line);
    }

    /// The process is gone; the wall clock goes on from where it was.
    pub(crate) fn end_epoch(&self, wall_ms: i64) {
        let now_ms = self.now_ms();
        let mut state = self.state();
        state.passed_ms = now_ms;
        state.origin = None;
        state.wall_ms = wall_ms;
        state.crash = None;
    }

    /// Time since the beginning, which no jump of the clock changes.
    pub(crate) fn now_ms(&self) -> u64 {
        self.state().now_ms()
    }

    pub(crate) fn note(&self, line: &str) {
        let mut state = self.state();
        let now_ms = state.now_ms();
        state.trace.note(now_ms, line);
    }

    pub(crate) fn violated(&self, rule: &'static str, detail: String) {
        self.note(&format!("VIOLATED {rule}: {detail}"));
        self.state().violations.push(Violation { rule, detail });
    }

    /// Never returns once the process is dead.
    pub(crate) async fn alive(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    pub(crate) fn arm(&self, at: CrashAt) {
        if at == CrashAt::Now {
            self.die();
        } else {
            self.state().crash = Some(at);
        }
    }

    pub(crate) fn die(&self) {
        self.note("crash");
        let mut state = self.state();
        state.dead = true;
        state.crash = None;
        drop(state);
        self.crashed.notify_one();
    }

    /// Counts a step of the store; the process ends where there is no end of them.
    pub(crate) fn count_step(&self) {
        let is_last = {
            let mut state = self.state();
            state.steps += 1;
            state.steps == MAX_STEPS
        };
        if is_last {
            self.violated("rest", "it goes on without end".to_owned());
            self.die();
        }
    }

    /// Whether nothing more is to be expected of the sequence.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.state().steps >= MAX_STEPS
    }

    /// No more trouble from now on.
    pub(crate) fn calm(&self) {
        let mut state = self.state();
        state.crash = None;
        state.receiver_failures = 0;
        state.full_writes = 0;
    }

    /// Counts towards an armed crash; dies where it is due, and then never returns.
    pub(crate) async fn pass(&self, moment: Passing) {
        let is_due = {
            let mut state = self.state();
            let left = match (&mut state.crash, moment) {
                (Some(CrashAt::BeforeWrite(left)), Passing::Write)
                | (Some(CrashAt::AfterWrite(left)), Passing::Written)
                | (Some(CrashAt::InSend(left)), Passing::Send) => Some(left),
                _ => None,
            };
            match left {
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => false,
            }
        };
        if is_due {
            self.die();
        }
        self.alive().await;
    }

    pub(crate) fn is_auditing(&self) -> bool {
        self.auditing.load(Ordering::Acquire)
    }

    /// Reads the store without anybody going on meanwhile. The reading never waits.
    pub(crate) async fn audit<T>(&self, reading: impl Future<Output = T>) -> T {
        self.auditing.store(true, Ordering::Release);
        let read = reading.await;
        self.auditing.store(false, Ordering::Release);
        read
    }

    /// Puts something on the upstream's agenda.
    pub(crate) fn expect(&self, at_ms: u64, news: News) {
        let mut state = self.state();
        state.news += 1;
        let place = state.news;
        state.agenda.push(Due { at_ms, place, news });
        drop(state);
        self.agenda_changed.notify_one();
    }

    /// When the next webhook is due.
    pub(crate) fn next_news_ms(&self) -> Option<u64> {
        self.state().agenda.iter().map(|due| due.at_ms).min()
    }

    /// Whether nothing is left to be brought.
    pub(crate) fn has_no_news(&self) -> bool {
        let state = self.state();
        state.agenda.is_empty() && state.carried.is_empty()
    }

    /// Takes what is due now; it is brought until it has been taken.
    pub(crate) fn take_news(&self) -> Vec<(u64, News)> {
        let mut state = self.state();
        let now_ms = state.now_ms();
        let (mut due, later): (Vec<Due>, Vec<Due>) =
            std::mem::take(&mut state.agenda).into_iter().partition(|due| due.at_ms <= now_ms);
        state.agenda = later;
        due.sort_unstable_by_key(|due| (due.at_ms, due.place));
        state.carried.extend(due.iter().cloned());
        due.into_iter().map(|due| (due.place, due.news)).collect()
    }

    /// The gateway took it, or did not.
    pub(crate) fn brought(&self, places: &[u64], was_taken: bool) {
        let mut state = self.state();
        if state.dead {
            return;
        }
        let now_ms = state.now_ms();
        let (brought, others): (Vec<Due>, Vec<Due>) = std::mem::take(&mut state.carried)
            .into_iter()
            .partition(|due| places.contains(&due.place));
        state.carried = others;
        for mut due in brought {
            if was_taken {
                state.took(&due.news);
            } else {
                due.at_ms = now_ms + AGAIN_MS;
                state.agenda.push(due);
            }
        }
        drop(state);
        self.agenda_changed.notify_one();
    }

    /// Time passes for the upstream without the gateway's timers: what was to come in it comes now.
    pub(crate) fn hasten(&self, by_ms: u64) {
        let mut state = self.state();
        let now_ms = state.now_ms();
        for due in &mut state.agenda {
            due.at_ms = due.at_ms.saturating_sub(by_ms).max(now_ms);
        }
        drop(state);
        self.agenda_changed.notify_one();
    }

    /// A request begins; its place among all.
    pub(crate) fn calls(&self, call: Call) -> usize {
        let mut state = self.state();
        state.running += 1;
        state.calls.push(call);
        state.calls.len() - 1
    }

    /// A request is answered, unless the process died before.
    pub(crate) fn answers(&self, place: usize, answer: Answer) {
        let mut state = self.state();
        if state.dead {
            return;
        }
        state.running -= 1;
        if let Answer::Messages(ids, _) = &answer {
            for id in ids {
                if !state.known.contains(id) {
                    state.known.push(*id);
                }
            }
        }
        let now_ms = state.now_ms();
        let line = match &answer {
            Answer::Nothing => "nothing".to_owned(),
            Answer::Refused(kind) => format!("refused {kind:?}"),
            Answer::Messages(ids, result) => {
                let numbers: Vec<usize> = ids.iter().map(|id| state.ordinal(*id)).collect();
                format!("{numbers:?} {result:?}")
            }
        };
        let call = &mut state.calls[place];
        call.answer = answer;
        call.answered_ms = now_ms;
        let line = format!("answer {}: {line}", call.label);
        state.trace.note(now_ms, &line);
    }

    /// Waits until every request and every call to the upstream has its answer; `false` where some
    /// have none within the limit.
    pub(crate) async fn all_answered(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let is_open = || {
            let state = self.state();
            state.running > 0 || state.sending > 0
        };
        while is_open() {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        true
    }

    /// A new id for what a person writes.
    pub(crate) fn new_inbound_wamid(&self) -> String {
        let mut state = self.state();
        state.messages_written += 1;
        format!("wamid.in.{}", state.messages_written)
    }
}

/// What passes by, for crashes that are due at one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Write,
    Written,
    Send,
}

impl State {
    pub(crate) fn now_ms(&self) -> u64 {
        let elapsed = self.origin.map_or(Duration::ZERO, |origin| origin.elapsed());
        self.passed_ms + u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn took(&mut self, news: &News) {
        match news {
            News::Status { send, report, at, has_token } => self.told.push(Told {
                send: *send,
                report: *report,
                at: *at,
                has_token: *has_token,
            }),
            News::Written { wamid, .. } => self.written.push(wamid.clone()),
        }
    }

    /// A message's number in the trace: ids differ from run to run.
    pub(crate) fn ordinal(&mut self, id: MessageId) -> usize {
        let next = self.ordinals.len() + 1;
        *self.ordinals.entry(id).or_insert(next)
    }
}
