//! What must hold at the instant of a call to the upstream, looked up in what the gateway has made
//! durable by then.

use waypost_domain::directory::UnknownPolicy;
use waypost_domain::message::{Attempt, AttemptOutcome, Direction, Message, MessageHistory};
use waypost_domain::unknown::HOLD_MS;
use waypost_domain::{MessageId, Phone, Status};

use crate::ask::label_of;
use crate::store::Store;
use crate::world::World;

/// Looks at a call to the upstream as it is made.
pub(crate) async fn at_send(world: &World, store: &Store, place: usize) {
    let (label, person, attempt) = {
        let state = world.state();
        let send = &state.sends[place];
        (send.label.clone(), send.person.clone(), send.attempt)
    };
    let Some(history) = world.audit(of_attempt(store, &label, &person, attempt)).await else {
        world.violated("intent", format!("{label} is sent and no intent is durable"));
        return;
    };
    for (rule, detail) in faults(world, &history) {
        world.violated(rule, format!("{label}: {detail}"));
    }
}

/// The message of which this is the latest attempt.
async fn of_attempt(
    store: &Store,
    label: &str,
    person: &str,
    attempt: [u8; 16],
) -> Option<MessageHistory> {
    let phone = Phone::parse(person).ok();
    for message in store.messages(Direction::Outbound, phone).await {
        if label_of(&message.content) != label {
            continue;
        }
        let found = store.history(message.id).await?;
        if found.attempts.last().is_some_and(|last| last.id.as_bytes() == &attempt) {
            return Some(found);
        }
    }
    None
}

fn faults(world: &World, history: &MessageHistory) -> Vec<(&'static str, String)> {
    let message = &history.message;
    let mut faults = Vec::new();
    let Some((latest, earlier)) = history.attempts.split_last() else { return faults };
    if latest.outcome != AttemptOutcome::Open {
        faults.push(("intent", format!("its attempt is {} already", latest.outcome.as_str())));
    }
    if message.status == Status::Cancelled {
        faults.push(("cancelled", "it was withdrawn and is sent".to_owned()));
    }
    if message.options.expires_at.is_some_and(|end| end <= latest.started_at) {
        faults.push(("expiry", "its time is over and it is sent".to_owned()));
    }
    if !is_by_hand(world, message.id) {
        let unknown = |attempt: &&Attempt| attempt.outcome == AttemptOutcome::Unknown;
        if earlier.iter().filter(unknown).count() > 1 {
            faults.push(("repeat", "it is repeated by itself more than once".to_owned()));
        }
        let held = earlier.iter().rfind(unknown).filter(|_| latest_follows_unknown(earlier));
        faults.extend(held.and_then(|held| too_soon(world, held, latest)));
        let silent = earlier.iter().filter_map(|attempt| unfounded(world, message, attempt));
        faults.extend(silent.map(|why| ("repeat", why)));
    }
    faults
}

/// Whether the latest attempt repeats one of unknown outcome, not one that was refused since.
fn latest_follows_unknown(earlier: &[Attempt]) -> bool {
    earlier.last().is_some_and(|last| last.outcome == AttemptOutcome::Unknown)
}

/// A status is waited for before a message is sent again, and anew after a start.
fn too_soon(world: &World, held: &Attempt, latest: &Attempt) -> Option<(&'static str, String)> {
    if world.setup.unknown != UnknownPolicy::HoldThenResend {
        return None;
    }
    let started_ms = world.state().started_wall_ms;
    let held_ms = held.finished_at.map_or(started_ms, |at| at.0);
    // What had waited long enough before this start was queued then.
    let waited_before = started_ms - held_ms >= HOLD_MS;
    let since_ms = if waited_before { held_ms } else { held_ms.max(started_ms) };
    let waited_ms = latest.started_at.0 - since_ms;
    (waited_ms < HOLD_MS).then(|| ("hold", format!("it is repeated after {waited_ms} ms")))
}

/// Whether somebody had the message sent again.
fn is_by_hand(world: &World, id: MessageId) -> bool {
    let state = world.state();
    state.retried.iter().any(|(retried, sends)| *retried == id && *sends != usize::MAX)
}

/// Why a message may not be sent again after this attempt.
fn unfounded(world: &World, message: &Message, attempt: &Attempt) -> Option<String> {
    let is_flagged = message.possible_duplicate;
    match attempt.outcome {
        AttemptOutcome::NotSent | AttemptOutcome::Refused => None,
        AttemptOutcome::Open => Some("an earlier attempt is still under way".to_owned()),
        // Its status may have come after the intent of the next one.
        AttemptOutcome::Sent if is_flagged => None,
        AttemptOutcome::Sent => Some("it is repeated after it was sent".to_owned()),
        AttemptOutcome::Unknown if !is_flagged => {
            Some("it is repeated after an unknown outcome and not flagged".to_owned())
        }
        AttemptOutcome::Unknown if message.synchronous => {
            Some("it is repeated though its caller was told".to_owned())
        }
        AttemptOutcome::Unknown if world.setup.unknown == UnknownPolicy::NeverResend => {
            Some("it is repeated though the policy is never to".to_owned())
        }
        AttemptOutcome::Unknown => None,
    }
}

/// Every message that a caller was told of is there.
pub(crate) async fn acknowledged(world: &World, store: &Store) {
    let known = world.state().known.clone();
    for id in known {
        if world.audit(store.history(id)).await.is_none() {
            let number = world.state().ordinal(id);
            world.violated("lost", format!("#{number} was acknowledged and is gone"));
        }
    }
}
