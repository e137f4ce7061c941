//! The window onto a due queue, what is put off, and what waits for its person to write.

use waypost_domain::customer::{Consent, ConsentOrigin};
use waypost_domain::message::{Message, Priority};
use waypost_domain::place::{Place, Traffic};
use waypost_domain::{CustomerId, MessageId, NumberId, OrgId, Phone, Status, Timestamp};
use waypost_engine::ports::{Entry, Haste, Hold, InboundMessage, Look, NewConsent, Start};

use crate::Harness;
use crate::samples::{
    ORG, Stage, at, inbound, message, new_attempt, now_due, number, number_id, org, org_id, phone,
    retry,
};

const OTP: Place = Place::of(Traffic::Authentication, Priority::Normal);
const REPLY: Place = Place::of(Traffic::Service, Priority::Normal);
const ALL: Look = Look { limit: 1_000, before: None };

fn queued_in(place: Place) -> Start {
    Start::Queue { due_at: at(0), place }
}

async fn queue_in(stage: &Stage, place: Place, message: &Message) -> MessageId {
    stage.store.accept(message.clone(), queued_in(place), None).await.unwrap();
    message.id
}

async fn waiting(stage: &Stage, now: Timestamp, look: Look) -> Vec<MessageId> {
    let waiting = stage.store.waiting(&number_id(), now, look).await.unwrap();
    waiting.into_iter().map(|waiting| waiting.id).collect()
}

/// Waits for its person.
fn held(until: Timestamp, nudge: Option<Message>) -> Start {
    Start::Hold(Box::new(Hold {
        open_if_wrote_after: at(0),
        until,
        place: REPLY,
        nudge: nudge.map(|nudge| (nudge, REPLY)),
    }))
}

pub(crate) async fn hold(stage: &Stage, message: &Message, until: Timestamp) -> MessageId {
    stage.store.accept(message.clone(), held(until, None), None).await.unwrap();
    message.id
}

pub async fn places_come_in_order_and_a_look_may_stop_before_one(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let bulk = queue_in(&stage, Place::BULK, &message(1)).await;
    let reply = queue_in(&stage, REPLY, &message(2)).await;
    let code = queue_in(&stage, OTP, &message(3)).await;
    assert_eq!(waiting(&stage, at(1), ALL).await, [code, reply, bulk]);
    let before = |place| Look { before: Some(place), ..ALL };
    assert_eq!(waiting(&stage, at(1), before(Place::BULK)).await, [code, reply]);
    assert_eq!(waiting(&stage, at(1), before(REPLY)).await, [code]);
    assert!(waiting(&stage, at(1), before(OTP)).await.is_empty());
    assert_eq!(waiting(&stage, at(1), Look { limit: 1, before: None }).await, [code]);
}

pub async fn organisations_that_share_a_number_have_equal_parts(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("guest"))).await;
    let mut own = Vec::new();
    for last in 0..20 {
        own.push(queue_in(&stage, REPLY, &message(last)).await);
    }
    let mut guests = Vec::new();
    for last in 0..2 {
        let of_guest = Message { org_id: OrgId::new("guest"), ..message(100 + last) };
        guests.push(queue_in(&stage, REPLY, &of_guest).await);
    }
    let look = Look { limit: 5, before: None };
    let expected = [own[0], guests[0], own[1], guests[1], own[2]];
    assert_eq!(waiting(&stage, at(1), look).await, expected);
    let due = stage.store.due(&number_id(), at(1), 4).await.unwrap();
    assert_eq!(due.iter().map(|due| due.message.id).collect::<Vec<_>>(), expected[..4]);
}

pub async fn what_waits_is_told_without_its_content(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut first = message(1);
    first.options.expires_at = Some(at(9_000));
    let id = queue_in(&stage, OTP, &first).await;
    let second = queue_in(&stage, OTP, &message(2)).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, second, attempt, at(1)).await.unwrap();
    stage.settle(second, attempt, retry(at(50), true)).await;
    let found = stage.store.waiting(&number_id(), at(60), ALL).await.unwrap();
    assert_eq!(found[0].id, id);
    assert_eq!((found[0].place, found[0].attempts, found[0].was_held), (OTP, 0, false));
    assert_eq!((&found[0].phone, &found[0].org_id), (&phone(1), &org_id()));
    assert_eq!(found[0].expires_at, Some(at(9_000)));
    assert_eq!((found[1].id, found[1].attempts, found[1].expires_at), (second, 1, None));
    assert!(found[0].order < found[1].order, "the order of acceptance");
    let whole = stage.store.waiting_message(id).await.unwrap().unwrap();
    assert_eq!((whole.message, whole.failing), (first, None));
    stage.store.cancel(&org_id(), id, at(61)).await.unwrap();
    assert_eq!(stage.store.waiting_message(id).await.unwrap(), None);
}

/// Two messages, the first put off for longer than the second, and one that was cancelled before.
async fn two_put_off(stage: &Stage) -> [MessageId; 2] {
    let first = stage.queue(&message(1)).await;
    let second = stage.queue(&message(2)).await;
    let gone = stage.queue(&message(3)).await;
    stage.store.cancel(&org_id(), gone, at(1)).await.unwrap();
    let put_off = vec![(first, at(500)), (second, at(400)), (gone, at(300))];
    stage.store.postpone(put_off).await.unwrap();
    [first, second]
}

pub async fn what_is_put_off_falls_due_later_and_keeps_its_place(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let [first, second] = two_put_off(&stage).await;
    assert!(waiting(&stage, at(399), ALL).await.is_empty());
    for (after, next) in [(1, Some(400)), (400, Some(500)), (500, None)] {
        let found = stage.store.next_due_after(&number_id(), at(after)).await.unwrap();
        assert_eq!(found, next.map(at));
    }
    assert_eq!(waiting(&stage, at(500), ALL).await, [first, second], "in the order of acceptance");
    stage.store.postpone(vec![(first, at(600))]).await.unwrap();
    assert_eq!(waiting(&stage, at(600), ALL).await, [first, second]);
    assert!(
        stage
            .store
            .begin_attempt(Haste::AtOnce, first, new_attempt(), at(600))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(waiting(&stage, at(600), ALL).await, [second]);
}

pub async fn what_was_put_off_is_known_after_a_reopening(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    two_put_off(&stage).await;
    let stage = stage.reopen(harness).await;
    let remembered = stage.store.postponed(&number_id(), at(1), 10).await.unwrap();
    let due: Vec<_> = remembered.iter().map(|it| (it.phone.clone(), it.due_at)).collect();
    assert_eq!(due, [(phone(2), at(400)), (phone(1), at(500))]);
    assert!(remembered[0].order > remembered[1].order);
}

pub async fn what_was_put_off_for_a_person_is_known_in_order(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = queue_in(&stage, REPLY, &message(1)).await;
    let second = queue_in(&stage, OTP, &message(1)).await;
    let due = queue_in(&stage, REPLY, &message(1)).await;
    let anothers = queue_in(&stage, REPLY, &message(2)).await;
    let retried = queue_in(&stage, REPLY, &message(1)).await;
    hold(&stage, &message(1), at(9_000)).await;
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, retried, attempt, at(1)).await.unwrap();
    stage.settle(retried, attempt, retry(at(600), true)).await;
    let later = [(second, 400), (first, 500), (due, 300), (anothers, 500)];
    stage.store.postpone(later.map(|(id, due)| (id, at(due))).to_vec()).await.unwrap();
    let known = async |limit| {
        let known = stage.store.postponed_to(&number_id(), &phone(1), at(300), limit).await;
        known.unwrap()
    };
    assert_eq!(known(10).await, [first, second]);
    assert_eq!(known(1).await, [first]);
    stage.store.postpone(vec![(first, at(300)), (second, at(300))]).await.unwrap();
    assert!(known(10).await.is_empty());
    assert_eq!(waiting(&stage, at(300), ALL).await, [second, first, due]);
}

/// Once with few messages in the queue, once with many that are another's.
pub async fn what_stands_before_somebody_who_comes_now_is_counted(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let count = async |last, place, now| {
        let before = stage.store.standing_before(&number_id(), &phone(last), place, now).await;
        before.unwrap()
    };
    for others in [0, 600] {
        for _ in 0..others {
            queue_in(&stage, REPLY, &message(9)).await;
        }
        let reply = queue_in(&stage, REPLY, &message(1)).await;
        let code = queue_in(&stage, OTP, &message(1)).await;
        let later = queue_in(&stage, REPLY, &message(1)).await;
        stage.store.postpone(vec![(later, at(400))]).await.unwrap();
        hold(&stage, &message(1), at(9_000)).await;
        let counted = [
            count(1, OTP, at(1)).await,
            count(1, REPLY, at(1)).await,
            count(1, REPLY, at(400)).await,
            count(2, REPLY, at(400)).await,
        ];
        assert_eq!(counted, [1, 2, 3, 0], "behind {others}");
        for id in [reply, code, later] {
            let attempt = new_attempt();
            stage.store.begin_attempt(Haste::AtOnce, id, attempt, at(400)).await.unwrap();
            stage.settle(id, attempt, retry(at(401), true)).await;
        }
        assert_eq!(count(1, REPLY, at(402)).await, 0, "what was attempted is not counted");
    }
}

pub async fn what_is_held_is_let_go_in_order_when_its_person_writes(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let (first, second) =
        (hold(&stage, &message(1), at(9_000)).await, hold(&stage, &message(1), at(8_000)).await);
    let other = hold(&stage, &message(2), at(9_000)).await;
    assert!(waiting(&stage, at(400), ALL).await.is_empty());
    assert_eq!(stage.store.held().await.unwrap(), (3, Some(at(0))));
    assert!(stage.store.postponed(&number_id(), at(1), 10).await.unwrap().is_empty());
    let stage = stage.reopen(harness).await;
    stage.store.record_inbound(inbound(1, "wamid.in"), at(500)).await.unwrap();
    assert_eq!(waiting(&stage, at(500), ALL).await, [first, second]);
    assert_eq!(stage.store.held().await.unwrap().0, 1);
    let end = stage.store.waiting(&number_id(), at(9_000), ALL).await.unwrap();
    assert_eq!((end[2].id, end[2].was_held), (other, true), "at its end it is told");
    assert!(!end[0].was_held);
}

pub async fn what_is_held_is_let_go_in_order_when_its_person_opts_out(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = Phone::business_scoped("US.1349120865530274777").unwrap();
    let first = hold(&stage, &message(1), at(9_000)).await;
    let by_id = hold(&stage, &Message { phone: id.clone(), ..message(1) }, at(9_000)).await;
    let second = hold(&stage, &message(1), at(8_000)).await;
    let other = hold(&stage, &message(2), at(9_000)).await;
    stage.put(Entry::Number(number("100000000000002", ORG))).await;
    let number_id = NumberId::new("100000000000002");
    let elsewhere = InboundMessage { number_id, user_id: Some(id), ..inbound(1, "wamid.in") };
    stage.store.record_inbound(elsewhere, at(100)).await.unwrap();
    let said = |last, opted_in| NewConsent {
        phone: phone(last),
        new_customer_id: CustomerId::new(format!("c{last}")),
        consent: Consent { opted_in, at: at(500), proof: None, origin: ConsentOrigin::default() },
    };
    let all = vec![said(1, false), said(2, true)];
    stage.store.record_consents(&org_id(), all).await.unwrap();
    assert_eq!(waiting(&stage, at(500), ALL).await, [first, by_id, second]);
    assert_eq!(stage.store.held().await.unwrap().0, 1);
    let mut refusing =
        stage.store.customer(&org_id(), &CustomerId::new("c2")).await.unwrap().unwrap();
    refusing.consent = Some(said(2, false).consent);
    stage.change_customer(refusing).await;
    assert_eq!(waiting(&stage, at(500), ALL).await, [first, by_id, second, other]);
}

pub async fn who_wrote_meanwhile_is_not_waited_for(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.record_inbound(inbound(1, "wamid.in"), at(500)).await.unwrap();
    let id = hold(&stage, &message(1), at(9_000)).await;
    assert_eq!(waiting(&stage, at(500), ALL).await, [id]);
    assert_eq!(stage.store.held().await.unwrap(), (0, None));
}

pub async fn only_the_first_that_is_held_sends_something_ahead(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (last, nudged) in [(1, true), (1, false), (2, true)] {
        let nudge = message(last);
        let start = held(at(9_000), Some(nudge.clone()));
        stage.store.accept_all(vec![(message(last), start)], None).await.unwrap();
        let is_due = waiting(&stage, at(1), ALL).await.contains(&nudge.id);
        assert_eq!(is_due, nudged);
    }
    let open = message(3);
    stage.store.record_inbound(inbound(3, "wamid.in"), at(500)).await.unwrap();
    let start = held(at(9_000), Some(message(3)));
    stage.store.accept(open.clone(), start, None).await.unwrap();
    assert_eq!(waiting(&stage, at(1), ALL).await.len(), 3, "an open window needs nothing ahead");
}

pub async fn what_is_held_can_be_withdrawn_and_given_up(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let withdrawn = hold(&stage, &message(1), at(9_000)).await;
    let given_up = hold(&stage, &message(1), at(9_000)).await;
    assert!(stage.store.cancel(&org_id(), withdrawn, at(1)).await.unwrap());
    stage.store.fail_queued(given_up, crate::samples::refusal(), at(2)).await.unwrap();
    assert_eq!(stage.store.held().await.unwrap().0, 0);
    stage.store.record_inbound(inbound(1, "wamid.in"), at(500)).await.unwrap();
    assert!(waiting(&stage, at(9_000), ALL).await.is_empty());
    assert_eq!(stage.status(withdrawn).await, Status::Cancelled);
}

pub async fn a_window_lets_go_what_is_held_for_its_organisation_and_number(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Number(number("100000000000002", ORG))).await;
    let other = Message { number_id: NumberId::new("100000000000002"), ..message(1) };
    hold(&stage, &other, at(9_000)).await;
    let own = hold(&stage, &message(1), at(9_000)).await;
    stage.store.renew_window(&org_id(), &number_id(), &phone(1), at(500)).await.unwrap();
    assert_eq!(waiting(&stage, at(500), ALL).await, [own]);
    assert_eq!(stage.store.held().await.unwrap().0, 1);
}

pub async fn what_stands_in_the_queue_may_be_held_before_its_turn(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = stage.queue(&message(1)).await;
    stage.store.hold(id, at(9_000), at(100)).await.unwrap();
    assert!(waiting(&stage, at(400), ALL).await.is_empty());
    let stage = stage.reopen(harness).await;
    let end = stage.store.waiting(&number_id(), at(9_000), ALL).await.unwrap();
    assert_eq!((end[0].id, end[0].was_held), (id, true), "at its end it is told");
    stage.store.renew_window(&org_id(), &number_id(), &phone(1), at(500)).await.unwrap();
    stage.store.hold(id, at(9_000), at(499)).await.unwrap();
    assert_eq!(waiting(&stage, at(500), ALL).await, [id], "who wrote is not waited for");
    stage.store.begin_attempt(Haste::AtOnce, id, new_attempt(), at(600)).await.unwrap();
    stage.store.hold(id, at(9_000), at(700)).await.unwrap();
    assert_eq!(stage.status(id).await, Status::Sending, "what is on its way goes on");
    assert_eq!(stage.store.held().await.unwrap().0, 0);
}

pub async fn caps_are_kept_until_they_end(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = stage.queue(&message(1)).await;
    let way = stage.store.way_of(id).await.unwrap();
    assert_eq!(way, Some((number_id(), phone(1))));
    assert_eq!(stage.store.way_of(crate::samples::new_message_id()).await.unwrap(), None);
    for (last, until) in [(1, 900), (1, 500), (2, 300)] {
        let (number, phone) = (number_id(), phone(last));
        stage.store.cap_marketing(&number, &phone, at(until), at(0)).await.unwrap();
    }
    let stage = stage.reopen(harness).await;
    let caps = stage.store.marketing_caps(at(100), 10).await.unwrap();
    let expected = [(number_id(), phone(1), at(900)), (number_id(), phone(2), at(300))];
    assert_eq!(caps, expected, "never shortened");
    assert_eq!(stage.store.marketing_caps(at(300), 10).await.unwrap(), expected[..1]);
}

pub async fn who_got_templates_outside_of_windows_is_known(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let template = |last| Message {
        message_type: waypost_domain::command::MessageType::Template,
        ..message(last)
    };
    stage.send(&template(1), "wamid.1").await;
    stage.send(&message(2), "wamid.2").await;
    stage.store.renew_window(&org_id(), &number_id(), &phone(3), at(50)).await.unwrap();
    stage.send(&template(3), "wamid.3").await;
    stage.store.accept(template(4), now_due(), None).await.unwrap();
    stage.begin(&template(5)).await;
    let approached = stage.store.approached(&number_id(), at(0), 1_000).await.unwrap();
    assert_eq!(approached, [(phone(1), at(100))], "sent, a template, and to a closed window");
    assert!(stage.store.approached(&number_id(), at(100), 1_000).await.unwrap().is_empty());
}
