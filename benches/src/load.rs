//! The load: a fixed number of keep-alive connections, each sending its next request when it has its answer.
//!
//! Counts only what falls into the window after the warming up, and takes anything but success as a failure of the run.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::future::try_join_all;
use tokio::task::LocalSet;
use tokio::time;

use crate::http::{Body, Call, Connection, full};
use crate::process::Process;
use crate::statistics::percentile;

/// Whom to load, with what and how long.
pub(crate) struct Load<'a> {
    /// The server.
    pub(crate) address: SocketAddr,
    /// The server's process, for its processor time.
    pub(crate) process: &'a Process,
    /// For each connection that is open, what it sends in turns.
    pub(crate) calls: &'a [Vec<Call>],
    /// Time over which the connections begin, one after the other: what they wait for then comes back evenly too. For
    /// nearly all it is none: what answers at once spreads them by itself.
    pub(crate) spread: Duration,
    /// Time that does not count.
    pub(crate) warming: Duration,
    /// Time that counts.
    pub(crate) window: Duration,
}

/// What was seen in the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Answers per second.
    pub(crate) rate_per_s: f64,
    /// Processor time of the server per answer, in microseconds.
    pub(crate) cpu_us: f64,
    /// Median time to the answer, in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the time to the answer, in microseconds.
    pub(crate) p99_us: f64,
    /// Answers in all, also outside the window.
    pub(crate) answers: u64,
}

#[derive(Default)]
struct Shared {
    counting: Cell<bool>,
    stopped: Cell<bool>,
    answers: Cell<u64>,
    latencies_us: RefCell<Vec<f64>>,
    failure: RefCell<Option<String>>,
}

impl Load<'_> {
    /// Loads the server and tells what was seen.
    ///
    /// # Errors
    /// When an answer is no success, or the server goes away.
    pub(crate) async fn run(&self) -> Result<Seen> {
        self.run_with(|call| full(call.body.clone())).await
    }

    /// The same with bodies that are made anew for each request, from the call's.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(crate) async fn run_with(
        &self,
        fresh: impl Fn(&Call) -> Body + Clone + 'static,
    ) -> Result<Seen> {
        let shared = Rc::new(Shared::default());
        let tasks = LocalSet::new();
        for (place, calls) in (0_u32..).zip(self.calls) {
            let connection = Connection::open(self.address).await.context("connecting")?;
            let begins_after = self.spread * place / u32::try_from(self.calls.len())?;
            let (calls, shared, fresh) = (calls.clone(), Rc::clone(&shared), fresh.clone());
            tasks.spawn_local(async move {
                time::sleep(begins_after).await;
                send_until_stopped(connection, calls, fresh, shared).await;
            });
        }
        let seen = tasks.run_until(self.watch(&shared)).await?;
        tasks.await;
        if let Some(failure) = shared.failure.take() {
            bail!("{failure}");
        }
        Ok(Seen { answers: shared.answers.get(), ..seen })
    }

    async fn watch(&self, shared: &Shared) -> Result<Seen> {
        time::sleep(self.warming).await;
        let (began, cpu_before_s) = (Instant::now(), self.process.cpu_s()?);
        shared.counting.set(true);
        time::sleep(self.window).await;
        shared.counting.set(false);
        let (took, cpu_after_s) = (began.elapsed(), self.process.cpu_s()?);
        shared.stopped.set(true);
        let latencies_us = shared.latencies_us.take();
        let counted = latencies_us.len() as f64;
        Ok(Seen {
            rate_per_s: counted / took.as_secs_f64(),
            cpu_us: (cpu_after_s - cpu_before_s) * 1e6 / counted,
            p50_us: percentile(&latencies_us, 50.0),
            p99_us: percentile(&latencies_us, 99.0),
            answers: 0,
        })
    }
}

/// Sends each call once, those of one connection one after the other; how long that took, without connecting.
///
/// # Errors
/// When an answer is no success, or the server goes away.
pub(crate) async fn send_all(address: SocketAddr, calls: &[Vec<Call>]) -> Result<Duration> {
    let connections = try_join_all(calls.iter().map(|_| Connection::open(address))).await?;
    let began = Instant::now();
    let sent = connections.into_iter().zip(calls).map(|(mut connection, calls)| async move {
        for call in calls {
            let answer = connection.call(call).await?;
            if !(200..300).contains(&answer.status) {
                bail!("{} answered {}: {}", call.path, answer.status, answer.excerpt());
            }
        }
        Ok(())
    });
    try_join_all(sent).await?;
    Ok(began.elapsed())
}

async fn send_until_stopped(
    mut connection: Connection,
    calls: Vec<Call>,
    fresh: impl Fn(&Call) -> Body,
    shared: Rc<Shared>,
) {
    for call in calls.iter().cycle() {
        if shared.stopped.get() {
            return;
        }
        let began = Instant::now();
        let failure = match connection.skim(call, fresh(call)).await {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(format!("answered {}: {}", answer.status, answer.excerpt())),
            Err(error) => Some(format!("{error:#}")),
        };
        if let Some(failure) = failure {
            *shared.failure.borrow_mut() = Some(format!("{}: {failure}", call.path));
            shared.stopped.set(true);
            return;
        }
        shared.answers.set(shared.answers.get() + 1);
        if shared.counting.get() {
            shared.latencies_us.borrow_mut().push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
}
