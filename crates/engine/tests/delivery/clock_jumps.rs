//! The wall clock is set on and back under way (T30): by an hour, by a day, beyond 2038. Nothing is
//! stuck, nothing counts twice, and what a wrong hour closed is open again in the right one. Checks
//! give what is wrong where a control must see them fail.

use std::time::Duration;

use waypost_domain::retry::RetryClass;
use waypost_domain::{ErrorKind, Status};
use waypost_planted::{Bug, plant};

use crate::callbacks::{ANN, hooked, quiet, until, written};
use crate::rig::{LIVELY, NOON, Rig, keyed, refused, send_to, text};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// The second in which a signed number of 32 bits is full, in milliseconds.
const FULL_MS: i64 = 2_147_483_648_000;
/// Messages that one person may get at once.
const BURST: usize = 45;

#[derive(Clone, Copy, Debug)]
enum Jump {
    On(Duration),
    Back(Duration),
}

impl Jump {
    fn all() -> [Self; 5] {
        let beyond = Duration::from_millis(u64::try_from(FULL_MS - NOON).unwrap());
        [Self::On(HOUR), Self::Back(HOUR), Self::On(DAY), Self::Back(DAY), Self::On(beyond)]
    }

    fn make(self, rig: &Rig) {
        match self {
            Self::On(by) => rig.clock.advance(by),
            Self::Back(by) => rig.clock.set_back(by),
        }
    }

    fn undo(self, rig: &Rig) {
        match self {
            Self::On(by) => rig.clock.set_back(by),
            Self::Back(by) => rig.clock.advance(by),
        }
    }
}

#[tokio::test]
async fn t30_a_request_that_comes_again_is_known_whatever_the_hour() {
    for jump in Jump::all() {
        let rig = Rig::new().await;
        let ask = || keyed(send_to("cust-1", text("hello")), "k", 1);
        let first = rig.engine.send(ask()).await.unwrap();
        jump.make(&rig);
        if matches!(jump, Jump::On(by) if by <= DAY) || matches!(jump, Jump::Back(_)) {
            let again = rig.engine.send(ask()).await.unwrap();
            assert!(again.replayed, "{jump:?}");
        }
        jump.undo(&rig);
        let again = rig.engine.send(ask()).await.unwrap();
        assert_eq!((again.outcome.id, again.replayed), (first.outcome.id, true), "{jump:?}");
        assert_eq!(rig.upstream.sent_to().len(), 1, "{jump:?}");
    }
}

#[tokio::test]
async fn t30_a_window_that_a_wrong_hour_closed_is_open_again() {
    for jump in Jump::all() {
        let rig = Rig::new().await;
        jump.make(&rig);
        let meanwhile = rig.engine.send(send_to("cust-1", text("meanwhile"))).await;
        let closes = matches!(jump, Jump::On(by) if by >= DAY);
        assert_eq!(meanwhile.is_err(), closes, "{jump:?}");
        jump.undo(&rig);
        let after = rig.engine.send(send_to("cust-1", text("after"))).await.unwrap();
        assert!(after.outcome.result.is_ok(), "{jump:?}");
        jump.make(&rig);
        rig.open_window("15550001111").await;
        let renewed = rig.engine.send(send_to("cust-1", text("renewed"))).await.unwrap();
        assert!(renewed.outcome.result.is_ok(), "{jump:?}");
    }
}

/// A day is a message's life where nobody named another: what is older is told as failed, and may
/// be sent after all.
#[tokio::test]
async fn t30_what_is_queued_goes_out_or_is_told_whatever_the_hour() {
    for jump in Jump::all() {
        let rig = Rig::new().await;
        let closed = rig.upstream.gate.write().await;
        for _ in 0..3 {
            rig.engine.enqueue(send_to("cust-1", text("before"))).await.unwrap();
        }
        rig.saw(1).await;
        // Who is looking at the queue now would find what comes after at the hour of before.
        quiet(&rig).await;
        jump.make(&rig);
        rig.open_window("15550001111").await;
        rig.engine.enqueue(send_to("cust-1", text("after"))).await.unwrap();
        drop(closed);
        let ends = matches!(jump, Jump::On(by) if by >= DAY);
        let expired = if ends { 2 } else { 0 };
        let all = async {
            rig.saw(4 - expired).await;
            rig.failed(expired as u64).await;
        };
        let all = tokio::time::timeout(LIVELY, all).await;
        assert!(all.is_ok(), "{jump:?}: {} of 4", rig.upstream.sent_to().len());
    }
}

#[tokio::test]
async fn t30_what_is_to_be_tried_again_is_tried_once_more_and_no_oftener() {
    for jump in Jump::all() {
        let rig = Rig::new().await;
        rig.upstream.next(refused(ErrorKind::UpstreamUnavailable, RetryClass::BackOff));
        let id = rig.engine.enqueue(send_to("cust-1", text("hello"))).await.unwrap().outcome.id;
        until("refused", || rig.engine.metrics().attempts_retried > 0).await;
        jump.make(&rig);
        jump.undo(&rig);
        rig.clock.advance(Duration::from_secs(300));
        let again = tokio::time::timeout(LIVELY, rig.saw(2)).await;
        assert!(again.is_ok(), "{jump:?}: it is stuck");
        until("recorded", || rig.engine.metrics().messages_sent > 0).await;
        assert_eq!(rig.stored(id).await.status, Status::Sent);
        assert_eq!(rig.upstream.sent_to().len(), 2, "{jump:?}");
    }
}

#[tokio::test]
async fn t30_receivers_are_told_with_the_hour_of_telling() {
    for jump in Jump::all() {
        let rig = Rig::new().await;
        let url = "https://receiver.example.com/events";
        hooked(&rig, url, "plain").await;
        jump.make(&rig);
        rig.receive(vec![written(ANN, "hello", &rig)]).await;
        until("told", || rig.receivers.count() > 0).await;
        let told_at_s: i64 = rig.receivers.got()[0].header("webhook-timestamp").parse().unwrap();
        assert_eq!(told_at_s, rig.clock.now_ms() / 1_000, "{jump:?}");
    }
}

/// A person gets as much as may be at once, then the clock jumps: whoever is made to wait for the
/// old hour.
async fn held_by_a_jump() -> Vec<String> {
    let mut held = Vec::new();
    for jump in [Jump::On(HOUR), Jump::Back(HOUR), Jump::Back(DAY)] {
        let rig = Rig::new().await;
        for place in 0..BURST {
            rig.engine.send(send_to("cust-1", text(&place.to_string()))).await.unwrap();
        }
        jump.make(&rig);
        if let Err(failure) = rig.engine.send(send_to("cust-1", text("next"))).await {
            held.push(format!("{jump:?}: {failure}"));
        }
    }
    held
}

#[tokio::test]
async fn t30_nobody_waits_for_the_hour_that_was_set_back() {
    assert_eq!(held_by_a_jump().await, [""; 0]);
}

#[tokio::test]
async fn t30_control_who_waits_for_the_old_hour_is_seen() {
    plant(Some(Bug::ClockBackHolds));
    assert_eq!(held_by_a_jump().await.len(), 2);
}
