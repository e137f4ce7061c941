//! What must hold when everything has come to rest: what callers were told, what the upstream has,
//! what receivers got and what the gateway says agree with each other.

use std::collections::{HashMap, HashSet};

use waypost_domain::event::{EventDetail, EventKind};
use waypost_domain::message::{AttemptOutcome, Direction, Message, MessageHistory};
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, MessageId, Status};
use waypost_engine::ports::LoggedEvent;

use crate::ask::label_of;
use crate::plan::Mode;
use crate::store::Store;
use crate::world::{Answer, Call, Post, Send, Told, World};

/// Everything there is at rest.
struct Books {
    histories: Vec<MessageHistory>,
    events: Vec<LoggedEvent>,
    inbound: Vec<Message>,
    sends: Vec<Send>,
    told: Vec<Told>,
    posts: Vec<Post>,
    calls: Vec<Call>,
    written: Vec<String>,
    by_hand: HashSet<MessageId>,
    full_epochs: HashSet<u32>,
    /// Messages by number, as the trace calls them.
    numbers: HashMap<MessageId, usize>,
}

/// Judges a sequence.
pub(crate) async fn judge(world: &World, store: &Store) {
    let books = read(world, store).await;
    let mut faults = Vec::new();
    for history in &books.histories {
        of_message(&books, history, &mut faults);
    }
    of_answers(&books, &mut faults);
    of_keys(&books, &mut faults);
    of_order(&books, &mut faults);
    of_events(&books, &mut faults);
    of_posts(&books, &mut faults);
    of_inbound(&books, &mut faults);
    for (rule, detail) in faults {
        world.violated(rule, detail);
    }
}

type Faults = Vec<(&'static str, String)>;

async fn read(world: &World, store: &Store) -> Books {
    let reading = async {
        let messages = store.messages(Direction::Outbound, None).await;
        let mut histories = Vec::with_capacity(messages.len());
        for message in messages {
            histories.extend(store.history(message.id).await);
        }
        (histories, store.events().await, store.messages(Direction::Inbound, None).await)
    };
    let (histories, events, inbound) = world.audit(reading).await;
    for history in &histories {
        let message = &history.message;
        let number = world.state().ordinal(message.id);
        let attempts: Vec<&str> =
            history.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
        world.note(&format!(
            "at rest #{number} {} {} {:?} attempts {attempts:?} duplicate={}",
            label_of(&message.content),
            message.status.as_str(),
            message.wamid,
            message.possible_duplicate
        ));
    }
    let mut state = world.state();
    state.messages = histories.len() as u64;
    let unknown = |history: &&MessageHistory| {
        history.attempts.iter().any(|attempt| attempt.outcome == AttemptOutcome::Unknown)
    };
    state.unknown = histories.iter().filter(unknown).count() as u64;
    let numbers = histories
        .iter()
        .map(|history| (history.message.id, state.ordinal(history.message.id)))
        .collect();
    Books {
        histories,
        events,
        inbound,
        sends: state.sends.clone(),
        told: state.told.clone(),
        posts: state.posts.clone(),
        calls: state.calls.clone(),
        written: state.written.clone(),
        by_hand: state
            .retried
            .iter()
            .filter(|(_, sends)| *sends != usize::MAX)
            .map(|(id, _)| *id)
            .collect(),
        full_epochs: state.epochs_with_full_disk.iter().copied().collect(),
        numbers,
    }
}

impl Books {
    fn name(&self, message: &Message) -> String {
        let number = self.numbers.get(&message.id).copied().unwrap_or_default();
        format!("#{number} {}", label_of(&message.content))
    }

    /// The upstream's calls for a message, in order, with their places.
    fn sends_of(&self, history: &MessageHistory) -> Vec<(usize, &Send)> {
        let is_its = |send: &Send| {
            history.attempts.iter().any(|attempt| attempt.id.as_bytes() == &send.attempt)
        };
        self.sends.iter().enumerate().filter(|(_, send)| is_its(send)).collect()
    }

    fn accepted_of(&self, history: &MessageHistory) -> Vec<(usize, &Send)> {
        let sends = self.sends_of(history).into_iter();
        sends.filter(|(_, send)| send.wamid.is_some()).collect()
    }

    fn told_of(&self, send: usize) -> impl Iterator<Item = &Told> {
        self.told.iter().filter(move |told| told.send == send)
    }

    fn history(&self, id: MessageId) -> Option<&MessageHistory> {
        self.histories.iter().find(|history| history.message.id == id)
    }
}

fn of_message(books: &Books, history: &MessageHistory, faults: &mut Faults) {
    let message = &history.message;
    let name = books.name(message);
    let mut fault = |rule, detail: String| faults.push((rule, format!("{name}: {detail}")));
    if matches!(message.status, Status::Queued | Status::Sending) {
        fault("drained", format!("it is still {}", message.status.as_str()));
    }
    let accepted = books.accepted_of(history);
    let by_hand = books.by_hand.contains(&message.id);
    if accepted.len() > 1 && !message.possible_duplicate && !by_hand {
        fault("doubled", format!("the upstream has it {} times", accepted.len()));
    }
    for attempt in &history.attempts {
        let is_accepted = accepted.iter().any(|(_, send)| attempt.id.as_bytes() == &send.attempt);
        match attempt.outcome {
            AttemptOutcome::Open => fault("attempts", "an attempt is still open".to_owned()),
            AttemptOutcome::NotSent | AttemptOutcome::Refused if is_accepted => {
                fault("attempts", "an accepted attempt counts as not sent".to_owned());
            }
            AttemptOutcome::Sent if !is_accepted => {
                fault("attempts", "an attempt counts as sent that nobody got".to_owned());
            }
            _ => {}
        }
    }
    let current = accepted.iter().find(|(_, send)| send.wamid == message.wamid);
    if message.wamid.is_some() && current.is_none() {
        fault("bound", format!("{:?} is not its own id", message.wamid));
    }
    reports_kept(books, history, &accepted, &mut fault);
    if !by_hand {
        let expected = expected(books, history, &accepted, current.map(|(place, _)| *place));
        if expected.is_some_and(|expected| expected != message.status) {
            let (is, should) = (message.status.as_str(), expected.map_or("", Status::as_str));
            fault("status", format!("it is {is} and should be {should}"));
        }
    }
}

/// Every report that was taken is in the history of its message, once its id is known.
fn reports_kept(
    books: &Books,
    history: &MessageHistory,
    accepted: &[(usize, &Send)],
    fault: &mut impl FnMut(&'static str, String),
) {
    for (place, send) in accepted {
        let is_known = is_known(history, send);
        for told in books.told_of(*place) {
            let status = status_of(told.report);
            // The upstream tells whole seconds: within one it is shown after what went before.
            let its_second = told.at.0..told.at.0 - told.at.0.rem_euclid(1_000) + 1_000;
            let is_kept = history
                .statuses
                .iter()
                .any(|line| line.status == status && its_second.contains(&line.at.0));
            if (is_known || told.has_token) && !is_kept {
                fault("reports", format!("{:?} was taken and is not kept", told.report));
            }
        }
    }
}

const fn status_of(report: Report) -> Status {
    match report {
        Report::Sent => Status::Sent,
        Report::Delivered => Status::Delivered,
        Report::Read => Status::Read,
        Report::Failed => Status::Failed,
    }
}

const fn rung(status: Status) -> u8 {
    match status {
        Status::Sent => 1,
        Status::Failed => 2,
        Status::Delivered => 3,
        Status::Read => 4,
        _ => 0,
    }
}

/// The status that follows from what was reported; `None` where it follows from something else.
fn expected(
    books: &Books,
    history: &MessageHistory,
    accepted: &[(usize, &Send)],
    current: Option<usize>,
) -> Option<Status> {
    let told = |place: usize| books.told_of(place).map(|told| (told, status_of(told.report)));
    let Some(current) = current else { return of_former(books, history, accepted) };
    let own = told(current).map(|(_, status)| status);
    // That an earlier sending failed says nothing about the later one.
    let others = accepted.iter().filter(|(place, _)| *place != current);
    let others = others
        .flat_map(|(place, send)| told(*place).map(move |(told, status)| (send, told, status)))
        .filter(|(send, told, _)| told.has_token || is_known(history, send))
        .map(|(_, _, status)| status)
        .filter(|status| rung(*status) > rung(Status::Failed));
    own.chain(others).chain([Status::Sent]).max_by_key(|status| rung(*status))
}

/// Whether the gateway knows that this call was accepted, and so the upstream's id.
fn is_known(history: &MessageHistory, send: &Send) -> bool {
    history.attempts.iter().any(|attempt| {
        attempt.id.as_bytes() == &send.attempt && attempt.outcome == AttemptOutcome::Sent
    })
}

/// The status of a message that has no id of its own: that of its earlier sendings, once nothing
/// else can have been sent.
fn of_former(
    books: &Books,
    history: &MessageHistory,
    accepted: &[(usize, &Send)],
) -> Option<Status> {
    let told = accepted
        .iter()
        .flat_map(|(place, send)| books.told_of(*place).map(move |told| (send, told)))
        .filter(|(send, told)| told.has_token || is_known(history, send))
        .map(|(_, told)| status_of(told.report));
    let best = told.max_by_key(|status| rung(*status))?;
    let is_decided = |outcome| !matches!(outcome, AttemptOutcome::Unknown | AttemptOutcome::Open);
    let all_decided = history.attempts.iter().all(|attempt| is_decided(attempt.outcome));
    (best != Status::Failed || all_decided).then_some(best)
}

/// What callers were told is true.
fn of_answers(books: &Books, faults: &mut Faults) {
    for call in &books.calls {
        match &call.answer {
            Answer::Nothing => {}
            Answer::Messages(ids, result) => {
                let Some(history) = ids.first().and_then(|id| books.history(*id)) else { continue };
                let accepted = books.accepted_of(history);
                match result {
                    Ok(Some(wamid)) => {
                        let is_true = accepted.iter().any(|(_, send)| {
                            send.wamid.as_ref() == Some(wamid) && send.at_ms <= call.answered_ms
                        });
                        if !is_true {
                            let detail = format!("{}: {wamid} was told and is not so", call.label);
                            faults.push(("answers", detail));
                        }
                    }
                    Err(kind) if is_certain(*kind) => {
                        let before = |send: &Send| send.at_ms <= call.answered_ms;
                        if accepted.iter().any(|(_, send)| before(send))
                            && history.message.wamid.is_none()
                        {
                            let detail =
                                format!("{}: {kind:?} was told, and it is sent", call.label);
                            faults.push(("answers", detail));
                        }
                    }
                    Ok(None) | Err(_) => {}
                }
            }
            Answer::Refused(kind) => {
                let is_sent = || {
                    let label = call.label.as_str();
                    books.sends.iter().any(|send| send.wamid.is_some() && send.label == label)
                };
                if is_certain(*kind) && !call.has_key && call.mode != Mode::Both && is_sent() {
                    let detail = format!("{}: refused with {kind:?}, and it is sent", call.label);
                    faults.push(("answers", detail));
                }
            }
        }
    }
}

/// Whether a failure says that nothing was sent.
const fn is_certain(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::OutcomeUnknown
            | ErrorKind::StillQueued
            | ErrorKind::Cancelled
            | ErrorKind::IdempotencyInProgress
            | ErrorKind::IdempotencyConflict
    )
}

/// A key stands for one message that may have been sent; another one only after it certainly was
/// not.
fn of_keys(books: &Books, faults: &mut Faults) {
    let mut by_key: HashMap<String, Vec<String>> = HashMap::new();
    for history in &books.histories {
        let message = &history.message;
        let label = label_of(&message.content);
        let is_second = label.ends_with(".1");
        if !label.starts_with('k') || is_second || books.by_hand.contains(&message.id) {
            continue;
        }
        let was_freed = message.status == Status::Failed && books.accepted_of(history).is_empty();
        if let (false, Some((key, _))) = (was_freed, label.rsplit_once('b')) {
            by_key.entry(key.to_owned()).or_default().push(books.name(message));
        }
    }
    let mut doubled: Vec<_> = by_key.into_iter().filter(|(_, names)| names.len() > 1).collect();
    doubled.sort_unstable();
    for (key, names) in doubled {
        faults.push(("keys", format!("{key} stands for {}", names.join(" and "))));
    }
}

/// For each person, first attempts begin in the order of acceptance.
fn of_order(books: &Books, faults: &mut Faults) {
    let mut last: HashMap<(String, bool, bool), (usize, String)> = HashMap::new();
    for history in &books.histories {
        let message = &history.message;
        if message.synchronous || books.by_hand.contains(&message.id) {
            continue;
        }
        let first = books.sends_of(history).first().map(|(place, _)| *place);
        let is_first_attempt = history.attempts.first().is_some_and(|attempt| {
            first.is_some_and(|place| attempt.id.as_bytes() == &books.sends[place].attempt)
        });
        let Some(place) = first.filter(|_| is_first_attempt) else { continue };
        let urgent = message.options.priority == waypost_domain::message::Priority::High;
        let key = (message.phone.digits().to_owned(), urgent, message.content.is_template());
        let name = books.name(message);
        if let Some((before, earlier)) = last.get(&key)
            && *before > place
        {
            faults.push(("order", format!("{name} begins before {earlier}")));
        }
        let newest = last.get(&key).is_none_or(|(before, _)| *before < place);
        if newest {
            last.insert(key, (place, name));
        }
    }
}

/// What is told of a message only climbs, and ends with what it is.
fn of_events(books: &Books, faults: &mut Faults) {
    for history in &books.histories {
        let message = &history.message;
        if books.by_hand.contains(&message.id) {
            continue;
        }
        let name = books.name(message);
        let told: Vec<Status> = books
            .events
            .iter()
            .filter_map(|logged| match &logged.event.detail {
                EventDetail::Status(status) if status.message.id == message.id => {
                    // A day without a status is told as a failure and changes nothing.
                    let overdue = status
                        .failure
                        .as_ref()
                        .is_some_and(|failure| failure.kind == ErrorKind::OutcomeUnknown);
                    (!overdue).then_some(status.status)
                }
                _ => None,
            })
            .collect();
        // The failure of one sending may be told while the next one is on its way already.
        let is_again =
            |pair: &[Status]| message.possible_duplicate && pair == [Status::Failed, Status::Sent];
        if told.windows(2).any(|pair| rung(pair[1]) <= rung(pair[0]) && !is_again(pair)) {
            faults.push(("ladder", format!("{name} is told as {told:?}")));
        }
        let is_told = EventKind::of_status(message.status).is_some();
        if is_told && told.last() != Some(&message.status) {
            let status = message.status.as_str();
            faults.push(("events", format!("{name} is {status} and was told as {told:?}")));
        }
    }
}

/// Receivers got every event; none again that they had taken, unless the gateway could not write
/// that down; and those of one person in order, as far as first tries go.
fn of_posts(books: &Books, faults: &mut Faults) {
    let mut first_tries: HashMap<&str, Vec<usize>> = HashMap::new();
    let places: HashMap<String, usize> = books
        .events
        .iter()
        .enumerate()
        .map(|(place, logged)| (logged.event.id.public(), place))
        .collect();
    let mut taken: HashMap<&str, u32> = HashMap::new();
    let mut tried: HashSet<&str> = HashSet::new();
    for post in &books.posts {
        let Some(place) = places.get(&post.event) else {
            faults.push(("callbacks", "an event was told that is not in the log".to_owned()));
            continue;
        };
        if tried.insert(&post.event) {
            first_tries.entry(&post.person).or_default().push(*place);
        }
        let again = taken.get(post.event.as_str()).is_some_and(|epoch| *epoch == post.epoch);
        if again && !books.full_epochs.contains(&post.epoch) {
            faults.push(("callbacks", format!("event {place} was told again")));
        }
        if post.was_taken {
            taken.insert(&post.event, post.epoch);
        }
    }
    for (place, logged) in books.events.iter().enumerate() {
        if !taken.contains_key(logged.event.id.public().as_str()) {
            let kind = logged.event.kind.as_str();
            faults.push(("callbacks", format!("event {place}, {kind}, was never taken")));
        }
    }
    let mut people: Vec<_> = first_tries.into_iter().collect();
    people.sort_unstable();
    for (person, order) in people {
        if !order.is_sorted() {
            faults.push(("callbacks", format!("{person} is told in the order {order:?}")));
        }
    }
}

/// What people wrote and was taken is there once.
fn of_inbound(books: &Books, faults: &mut Faults) {
    for wamid in &books.written {
        let is_it = |message: &&Message| message.wamid.as_ref() == Some(wamid);
        let count = books.inbound.iter().filter(is_it).count();
        if count != 1 {
            faults.push(("inbound", format!("{wamid} is there {count} times")));
        }
    }
}
