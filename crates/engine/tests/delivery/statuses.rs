//! Statuses early, late, repeated and out of order (T13): every order of every selection of them
//! ends alike. The check gives what is wrong, so that its control can see it fail.

use futures_util::future::join_all;
use waypost_domain::command::Receipt;
use waypost_domain::message::{Message, MessageOptions};
use waypost_domain::status::Report;
use waypost_domain::{AttemptId, ErrorKind, Failure, MessageId, Status, Timestamp};
use waypost_engine::ports::{Settlement, Start, StatusReport};
use waypost_planted::{Bug, plant};

use crate::callbacks::until;
use crate::rig::{Rig, send_to, text};

/// What is heard of one message, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The reply to our own call.
    Reply,
    Heard(Report),
}

/// How the call ended, and whether statuses name the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Plain,
    Echoed,
    /// The reply was lost: only the echo can tell.
    Lost,
}

const REPORTS: [Report; 4] = [Report::Sent, Report::Delivered, Report::Read, Report::Failed];

/// Every order of every selection of reports, with the reply somewhere among them.
fn sequences() -> Vec<Vec<Step>> {
    let mut all = Vec::new();
    for picked in 0..1_u32 << REPORTS.len() {
        let reports = REPORTS.iter().enumerate().filter(|(place, _)| picked >> place & 1 == 1);
        let mut steps: Vec<Step> = reports.map(|(_, report)| Step::Heard(*report)).collect();
        steps.push(Step::Reply);
        permute(&mut steps, 0, &mut all);
    }
    all
}

fn permute(steps: &mut Vec<Step>, from: usize, all: &mut Vec<Vec<Step>>) {
    if from == steps.len() {
        all.push(steps.clone());
    }
    for other in from..steps.len() {
        steps.swap(from, other);
        permute(steps, from + 1, all);
        steps.swap(from, other);
    }
}

/// Arrival outweighs everything, a failure outweighs our own success, and more is known than that
/// only where something was heard.
fn expected(sequence: &[Step], case: Case) -> Status {
    let heard = |report| sequence.contains(&Step::Heard(report));
    for (report, status) in [
        (Report::Read, Status::Read),
        (Report::Delivered, Status::Delivered),
        (Report::Failed, Status::Failed),
        (Report::Sent, Status::Sent),
    ] {
        if heard(report) {
            return status;
        }
    }
    if case == Case::Lost { Status::Unknown } else { Status::Sent }
}

struct Play<'a> {
    rig: &'a Rig,
    model: &'a Message,
    place: u128,
    case: Case,
    /// How often each status comes.
    times: usize,
}

impl Play<'_> {
    /// What is wrong in the end, if anything is.
    async fn of(&self, sequence: &[Step]) -> Option<String> {
        let store = self.rig.engine.store();
        let id = MessageId::from_bytes((self.place | 1 << 127).to_be_bytes());
        let attempt = AttemptId::from_bytes((self.place | 1 << 126).to_be_bytes());
        let message = Message { id, status: Status::Sending, ..self.model.clone() };
        let at = message.created_at;
        store
            .accept(
                message,
                Start::Attempt { id: attempt, place: waypost_domain::place::Place::FIRST },
                None,
            )
            .await
            .unwrap();
        for (second, step) in (1..).zip(sequence) {
            match step {
                Step::Reply => {
                    let settled = store.settle_attempt(id, attempt, self.reply(), at).await;
                    settled.unwrap();
                }
                Step::Heard(report) => {
                    for _ in 0..self.times {
                        let heard = self.heard(*report, attempt, at.plus_ms(second * 1_000));
                        store.apply_report(heard, at).await.unwrap();
                    }
                }
            }
        }
        let stored = self.rig.stored(id).await;
        let expected = expected(sequence, self.case);
        let is_bound = stored.wamid.as_deref() == Some(&self.wamid());
        let is_right = stored.status == expected && is_bound == (expected != Status::Unknown);
        let case = self.case;
        (!is_right).then(|| format!("{case:?} {sequence:?}: {:?}, not {expected:?}", stored.status))
    }

    fn wamid(&self) -> String {
        format!("wamid.{}", self.place)
    }

    fn reply(&self) -> Settlement {
        if self.case == Case::Lost {
            let failure = Failure::new(ErrorKind::OutcomeUnknown, "lost");
            return Settlement::Unknown { failure, resend_at: None };
        }
        Settlement::Sent(Receipt { wamid: self.wamid(), wa_id: "15550001111".to_owned() })
    }

    fn heard(&self, report: Report, attempt: AttemptId, at: Timestamp) -> StatusReport {
        let failure = || Failure::new(ErrorKind::RecipientUnreachable, "not on WhatsApp");
        StatusReport {
            number_id: None,
            wamid: self.wamid(),
            attempt_id: (self.case != Case::Plain).then_some(attempt),
            report,
            at,
            failure: (report == Report::Failed).then(failure),
            extra: None,
        }
    }
}

async fn t13() -> Vec<String> {
    let rig = Rig::new().await;
    let first = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome;
    until("the model", || rig.engine.metrics().messages_sent == 1).await;
    let (options, wamid) = (MessageOptions::default(), None);
    let model = Message { options, wamid, wa_id: None, settled_at: None, ..first };
    let sequences = sequences();
    let mut place = 0;
    let mut violations = Vec::new();
    for case in [Case::Plain, Case::Echoed, Case::Lost] {
        for times in [1, 3] {
            let plays: Vec<Play> = (place..)
                .take(sequences.len())
                .map(|place| Play { rig: &rig, model: &model, place, case, times })
                .collect();
            place += u128::try_from(sequences.len()).unwrap();
            let ends = plays.iter().zip(&sequences).map(|(play, sequence)| play.of(sequence));
            violations.extend(join_all(ends).await.into_iter().flatten());
        }
    }
    violations
}

#[tokio::test]
async fn t13_every_order_of_statuses_ends_alike() {
    assert!(sequences().len() * 6 > 1_500);
    assert_eq!(t13().await, Vec::<String>::new());
}

#[tokio::test]
async fn t13_control_a_status_that_falls_is_seen() {
    plant(Some(Bug::StatusFalls));
    assert!(!t13().await.is_empty());
}
