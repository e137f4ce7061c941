//! Connections to the upstream that break at a chosen byte, over real sockets (T4): what certainly did
//! not arrive is told so, what may have arrived is unknown until a status settles it, and nothing is
//! sent twice.

use std::sync::Arc;
use std::time::Duration;

use super::carrier::Carrier;
use super::desk::{Desk, Heard, Kind};
use super::gateway::{self, within};
use super::ledger::Entry;
use super::oracle::{Evidence, judge};
use crate::chaos_proxy::{ChaosProxy, Mischief};

/// How long is waited for a message's end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same where a bug may keep it from coming.
const PATIENCE_FOR_BUGS: Duration = Duration::from_secs(2);

/// What befalls the connection of one message.
#[derive(Clone, Copy, Debug)]
enum Case {
    /// Nobody listens.
    Refused,
    Mischief(Mischief),
}

/// Each case with what the gateway must say in the end, and whether the upstream has the message.
const CASES: [(&str, Case, &str, bool); 7] = [
    ("nobody listens", Case::Refused, "failed", false),
    ("nothing of it arrives", Case::Mischief(Mischief::ResetAfterRequest(0)), "unknown", false),
    ("half of its head", Case::Mischief(Mischief::ResetAfterRequest(40)), "unknown", false),
    ("reset before the reply", Case::Mischief(Mischief::ResetAfterReply(0)), "delivered", true),
    ("reset within the reply", Case::Mischief(Mischief::ResetAfterReply(30)), "delivered", true),
    ("cut within the head", Case::Mischief(Mischief::CutReply(20)), "delivered", true),
    ("cut within the body", Case::Mischief(Mischief::CutReply(120)), "delivered", true),
];

/// Goes through the cases; tells what was broken.
///
/// # Panics
/// Where the rig cannot do its part.
pub async fn run(bug: Option<&'static str>) -> Vec<String> {
    let patience = if bug.is_some() { PATIENCE_FOR_BUGS } else { PATIENCE };
    let carrier = Arc::new(Carrier::start(0..1, 0).await);
    let proxy = ChaosProxy::start(carrier.address(), || Mischief::None).await;
    let waypost = gateway::options(&proxy.url(), bug).start().await;
    let desk = Desk::of(&waypost);
    desk.furnish(&waypost, 40).await;
    carrier.tell(waypost.url());
    let mut ledger: Vec<Entry> = Vec::new();
    let mut faults = Vec::new();
    for (person, (name, case, wanted, arrives)) in (0..).zip(CASES) {
        match case {
            Case::Refused => proxy.close().await,
            Case::Mischief(mischief) => proxy.set(mischief),
        }
        let text = format!("case-{person}");
        let heard = desk.ask(Kind::Waiting, person, &text).await;
        match case {
            Case::Refused => proxy.open().await,
            Case::Mischief(_) => proxy.set(Mischief::None),
        }
        match heard {
            Heard::Answer(entries) => ledger.extend(entries),
            other => faults.push(format!("{name}: {other:?}")),
        }
        let key = format!("{}|{text}", super::desk::phone(person));
        let mut status = String::new();
        within(patience, async || {
            let finals = gateway::finals(&waypost, &desk).await;
            let last = finals.into_iter().find(|last| last.key == key);
            status = last.map(|last| last.status).unwrap_or_default();
            status == wanted
        })
        .await;
        if status != wanted {
            faults.push(format!("{name}: not {wanted} but {status}"));
        }
        let times = carrier.carried().iter().filter(|carried| carried.key == key).count();
        if times != usize::from(arrives) {
            faults.push(format!("{name}: at the upstream {times} times"));
        }
    }
    let evidence = Evidence {
        ledger,
        carried: carrier.carried(),
        finals: gateway::finals(&waypost, &desk).await,
        told_all: carrier.untold() == 0,
        ..Evidence::default()
    };
    faults.extend(judge(&evidence).violations);
    faults
}
