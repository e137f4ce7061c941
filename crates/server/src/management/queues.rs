//! How the queues stand. For the installation's own key.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use waypost_domain::Timestamp;
use waypost_engine::ports::NumberQueue;
use waypost_engine::{Outage, PacingView, Readings};

use super::access::Access;
use super::views::time;
use crate::App;
use crate::problem::Problem;

/// How everything stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queues)]
pub(crate) struct QueuesView {
    /// Single messages that are due.
    due: u64,
    /// Single messages that wait for a later time.
    later: u64,
    /// Members of running broadcasts that wait.
    broadcast: u64,
    /// How long the oldest due message could have been sent, in seconds.
    oldest_due_s: Option<i64>,
    /// Messages on their way to the upstream.
    sending: u64,
    /// Messages whose outcome is unknown.
    unknown: u64,
    /// Of these, the ones that will be sent again by themselves.
    to_resend: u64,
    /// Messages that wait for their person to write: their windows are closed.
    held: u64,
    /// Messages held back since a restore.
    restored: u64,
    /// Broadcasts held back since a restore, all of them paused.
    restored_broadcasts: u64,
    /// Webhooks of the upstream that are not worked off.
    webhooks: u64,
    /// Reports of messages that are not known.
    parked_reports: u64,
    callbacks: CallbacksView,
    store: StoreView,
    /// Numbers that have something waiting, are slower than configured, or whose upstream fails.
    numbers: Vec<NumberQueueView>,
}

/// Callbacks by state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuesCallbacks)]
pub(crate) struct CallbacksView {
    /// Still to be made.
    pending: u64,
    /// Given up, to be replayed.
    dead: u64,
    /// How long the one waits that is due for longest, in seconds.
    overdue_s: Option<i64>,
}

/// The store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuesStore)]
pub(crate) struct StoreView {
    /// Transactions since the start.
    commits: u64,
    /// Writes that wait for the writer.
    waiting_writes: u64,
    database_bytes: u64,
    log_bytes: u64,
    /// Bytes free on the disk of the database.
    free_bytes: u64,
}

/// The queue of one number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NumberQueue)]
pub(crate) struct NumberQueueView {
    number_id: String,
    org_id: Option<String>,
    due: u64,
    later: u64,
    broadcast: u64,
    oldest_due_s: Option<i64>,
    next_due_at: Option<String>,
    pace: Option<PaceView>,
    /// Only while Meta fails for this number: its queue waits, and one message at a time is tried.
    outage: Option<OutageView>,
}

/// Meta fails for a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NumberOutage)]
pub(crate) struct OutageView {
    /// Since when.
    since: String,
    /// When the next message is tried; none: as soon as one is due, or one is under way.
    next_probe_at: Option<String>,
    /// Whether Meta refuses everything of the number, so that an operator must act.
    locked: bool,
}

impl From<Outage> for OutageView {
    fn from(outage: Outage) -> Self {
        Self {
            since: time(outage.since),
            next_probe_at: outage.next_probe_at.map(time),
            locked: outage.is_locked,
        }
    }
}

/// The pace of one number since the start.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NumberPace)]
pub(crate) struct PaceView {
    /// Messages a second as configured.
    configured_per_s: u32,
    /// Messages a second at present: fewer after Meta said that the number is too fast.
    present_per_s: u32,
    /// For how long nothing starts, in milliseconds.
    paused_ms: u64,
    /// Calls under way for queued messages.
    in_flight: u64,
    /// Until when bulk is kept back by the number's messaging limit.
    bulk_held_until: Option<String>,
    /// Messages that were put off by the pace to their person, or by a guard.
    postponed: u64,
    /// Times that Meta said that the number is too fast.
    too_fast: u64,
}

impl From<&PacingView> for PaceView {
    fn from(pacing: &PacingView) -> Self {
        Self {
            configured_per_s: pacing.configured_per_s,
            present_per_s: pacing.present_per_s,
            paused_ms: pacing.paused_ms,
            in_flight: pacing.in_flight,
            bulk_held_until: pacing.bulk_held_until.map(time),
            postponed: pacing.postponed,
            too_fast: pacing.too_fast,
        }
    }
}

/// Shows how the queues stand, all together and by number.
#[utoipa::path(get, path = "/waypost/v1/queues", tag = "queues",
    responses((status = 200, body = QueuesView)))]
pub(crate) async fn show_queues(
    State(app): State<App>,
    access: Access,
) -> Result<Json<QueuesView>, Problem> {
    access.require_installation()?;
    let readings = app.engine.readings().await?;
    let now = app.engine.now();
    let mut pacing = app.engine.pacing();
    let mut numbers = Vec::new();
    for queue in app.engine.number_queues().await? {
        let place = pacing.iter().position(|pace| pace.number_id == queue.number_id);
        let pace = place.map(|place| pacing.swap_remove(place));
        numbers.push(number_view(&app, &queue, pace.as_ref(), now));
    }
    for pace in pacing.iter().filter(|pace| is_hindered(pace)) {
        let queue = NumberQueue::empty(pace.number_id.clone());
        numbers.push(number_view(&app, &queue, Some(pace), now));
    }
    Ok(Json(view(&readings, numbers, now)))
}

fn view(readings: &Readings, numbers: Vec<NumberQueueView>, now: Timestamp) -> QueuesView {
    let Readings { queues, callbacks, store } = readings;
    QueuesView {
        due: queues.due,
        later: queues.later,
        broadcast: queues.broadcast,
        oldest_due_s: queues.oldest_due_at.map(|at| seconds(at, now)),
        sending: queues.sending,
        unknown: queues.unknown,
        to_resend: queues.to_resend,
        held: queues.held,
        restored: queues.restored,
        restored_broadcasts: queues.restored_broadcasts,
        webhooks: queues.webhooks,
        parked_reports: queues.parked_reports,
        callbacks: CallbacksView {
            pending: callbacks.pending,
            dead: callbacks.dead,
            overdue_s: queues.callbacks_due_since.map(|at| seconds(at, now)),
        },
        store: StoreView {
            commits: store.commits,
            waiting_writes: store.waiting_writes,
            database_bytes: store.database_bytes,
            log_bytes: store.log_bytes,
            free_bytes: store.free_bytes,
        },
        numbers,
    }
}

/// Whether a number is slower than configured, or sends nothing.
fn is_hindered(pace: &PacingView) -> bool {
    pace.present_per_s < pace.configured_per_s
        || pace.bulk_held_until.is_some()
        || pace.outage.is_some()
}

fn number_view(
    app: &App,
    queue: &NumberQueue,
    pace: Option<&PacingView>,
    now: Timestamp,
) -> NumberQueueView {
    let number = app.engine.directory().number(&queue.number_id);
    NumberQueueView {
        number_id: queue.number_id.to_string(),
        org_id: number.map(|number| number.org_id.to_string()),
        due: queue.due,
        later: queue.later,
        broadcast: queue.broadcast,
        oldest_due_s: queue.oldest_due_at.map(|at| seconds(at, now)),
        next_due_at: queue.next_due_at.map(time),
        pace: pace.map(PaceView::from),
        outage: pace.and_then(|pace| pace.outage).map(OutageView::from),
    }
}

/// Whole seconds from one instant to another, 0 at least.
pub(crate) fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    (to.0.saturating_sub(from.0) / 1_000).max(0)
}
