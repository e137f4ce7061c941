//! The log, sessions and recipients.

use waypost_domain::command::MessageType;
use waypost_domain::customer::{Consent, ConsentOrigin, Customer};
use waypost_domain::message::{Direction, Message};
use waypost_domain::{CustomerId, MessageId, NumberId, OrgId, Phone, Status};
use waypost_engine::ports::{
    Audience, Entry, Haste, InboundMessage, MessageFilter, NewConsent, Page, SessionFilter,
};

use crate::Harness;
use crate::samples::{
    ORG, START, Stage, at, customer, inbound, message, new_attempt, number, number_id, org, org_id,
    phone, sent,
};

pub async fn pages_cover_the_log_without_gaps_in_both_directions(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut expected = Vec::new();
    for last in 0..11 {
        expected.push(stage.queue(&message(last)).await);
    }
    for newest_first in [false, true] {
        let filter = MessageFilter { newest_first, ..MessageFilter::default() };
        let mut page = Page { after: None, limit: 4 };
        let mut seen = Vec::new();
        loop {
            let part = stage.store.messages(&org_id(), &filter, page).await.unwrap();
            seen.extend(part.data.iter().map(|message| message.id));
            page.after = part.next;
            if part.next.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "newest first: {newest_first}");
        expected.reverse();
    }
    let nothing = Page { after: None, limit: 0 };
    let none = stage.store.messages(&org_id(), &MessageFilter::default(), nothing).await.unwrap();
    assert!(none.data.is_empty());
}

pub async fn every_filter_picks_its_messages(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let other = NumberId::new("100000000000002");
    stage.put(Entry::Number(number(other.as_str(), ORG))).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let mut first = message(1);
    first.customer_id = Some(CustomerId::new("c1"));
    first.created_at = at(10);
    let mut second = message(2);
    second.number_id = other.clone();
    second.session_id = Some("s1".to_owned());
    second.created_at = at(20);
    let mut third = message(3);
    third.message_type = MessageType::Assistant;
    third.created_at = at(30);
    let received = inbound(4, "wamid.4");
    stage.queue(&first).await;
    stage.queue(&second).await;
    stage.send(&third, "wamid.3").await;
    stage.store.record_inbound(received.clone(), at(40)).await.unwrap();
    let all = || MessageFilter::default();
    let table: Vec<(MessageFilter, Vec<MessageId>)> = vec![
        (MessageFilter { customer_id: first.customer_id.clone(), ..all() }, vec![first.id]),
        (MessageFilter { customer_id: Some(CustomerId::new("x")), ..all() }, vec![]),
        (MessageFilter { phone: Some(phone(2)), ..all() }, vec![second.id]),
        (MessageFilter { number_id: Some(other), ..all() }, vec![second.id]),
        (MessageFilter { session_id: Some("s1".to_owned()), ..all() }, vec![second.id]),
        (MessageFilter { status: Some(Status::Queued), ..all() }, vec![first.id, second.id]),
        (MessageFilter { status: Some(Status::Read), ..all() }, vec![]),
        (MessageFilter { direction: Some(Direction::Inbound), ..all() }, vec![received.id]),
        (MessageFilter { message_type: Some(MessageType::Assistant), ..all() }, vec![third.id]),
        (MessageFilter { wamid: Some("wamid.3".to_owned()), ..all() }, vec![third.id]),
        (MessageFilter { wamid: Some("wamid.4".to_owned()), ..all() }, vec![received.id]),
        (
            MessageFilter { since: Some(at(20)), until: Some(at(40)), ..all() },
            vec![second.id, third.id],
        ),
        (
            MessageFilter {
                phone: Some(phone(3)),
                status: Some(Status::Sent),
                message_type: Some(MessageType::Assistant),
                ..all()
            },
            vec![third.id],
        ),
    ];
    for (filter, expected) in table {
        assert_eq!(stage.list(&filter).await, expected, "{filter:?}");
    }
}

pub async fn a_customers_messages_are_found_after_its_number_changed(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    let mut sent = Vec::new();
    for last in [1, 2] {
        let mut message = message(last);
        message.customer_id = Some(CustomerId::new("c1"));
        sent.push(stage.queue(&message).await);
        let moved = Customer { phone: phone(last + 1), ..customer("c1", 1) };
        stage.change_customer(moved).await;
    }
    // Somebody else has the number now.
    stage.store.create_customer(customer("c2", 1)).await.unwrap();
    let mut foreign = message(1);
    foreign.customer_id = Some(CustomerId::new("c2"));
    stage.queue(&foreign).await;
    let filter =
        MessageFilter { customer_id: Some(CustomerId::new("c1")), ..MessageFilter::default() };
    assert_eq!(stage.list(&filter).await, sent);
    stage.store.delete_customer(&org_id(), &CustomerId::new("c1")).await.unwrap();
    assert_eq!(stage.list(&filter).await, sent);
}

pub async fn foreign_messages_are_not_seen(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("other"))).await;
    let own = message(1);
    stage.send(&own, "wamid.1").await;
    let other = OrgId::new("other");
    assert_eq!(stage.store.message(&other, own.id).await.unwrap(), None);
    let page = Page { after: None, limit: 10 };
    for filter in [
        MessageFilter::default(),
        MessageFilter { phone: Some(phone(1)), ..MessageFilter::default() },
        MessageFilter { wamid: Some("wamid.1".to_owned()), ..MessageFilter::default() },
    ] {
        let found = stage.store.messages(&other, &filter, page).await.unwrap();
        assert!(found.data.is_empty(), "{filter:?}");
    }
    assert!(!stage.store.cancel(&other, own.id, at(1)).await.unwrap());
}

pub async fn sessions_are_listed_with_their_customers(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (place, last) in [3, 1, 2].into_iter().enumerate() {
        let written_at = at(i64::from(last) * 1_000);
        let inbound = InboundMessage { written_at, ..inbound(last, &format!("wamid.{place}")) };
        stage.store.record_inbound(inbound, at(9_000)).await.unwrap();
    }
    stage.store.delete_customer(&org_id(), &CustomerId::new("new-1")).await.unwrap();
    let list = async |filter: SessionFilter, page| {
        let found = stage.store.sessions(&org_id(), &filter, page).await.unwrap();
        let phones: Vec<_> = found.data.iter().map(|session| session.phone.clone()).collect();
        (phones, found)
    };
    let page = Page { after: None, limit: 2 };
    let (phones, found) = list(SessionFilter::default(), page).await;
    assert_eq!(phones, [phone(3), phone(1)]);
    assert_eq!(found.data[0].customer_id, Some(CustomerId::new("new-3")));
    assert_eq!(found.data[1].customer_id, None);
    assert_eq!(found.data[0].last_inbound_at, at(3_000));
    let rest = Page { after: found.next, limit: 2 };
    assert_eq!(list(SessionFilter::default(), rest).await.0, [phone(2)]);
    let recent = SessionFilter { inbound_after: Some(at(1_000)), ..SessionFilter::default() };
    assert_eq!(list(recent, page).await.0, [phone(3), phone(2)]);
    let one = SessionFilter { phone: Some(phone(1)), ..SessionFilter::default() };
    assert_eq!(list(one, page).await.0, [phone(1)]);
}

pub async fn recipients_come_with_their_window(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let other = NumberId::new("100000000000002");
    stage.put(Entry::Number(number(other.as_str(), ORG))).await;
    stage.store.create_customer(customer("c1", 1)).await.unwrap();
    stage.store.record_inbound(inbound(1, "wamid.1"), at(600)).await.unwrap();
    let id = CustomerId::new("c1");
    for (number, expected) in [(number_id(), Some(at(500))), (other, None)] {
        let by_id = stage.store.recipient_by_id(&org_id(), &id, &number).await.unwrap().unwrap();
        assert_eq!(by_id.last_inbound_at, expected);
        assert_eq!(by_id.phone, phone(1));
        assert_eq!(by_id.customer.as_ref().map(|customer| &customer.id), Some(&id));
        let by_phone = stage.store.recipient_by_phone(&org_id(), &phone(1), &number).await.unwrap();
        assert_eq!(by_phone, by_id);
    }
    let nobody = CustomerId::new("nobody");
    let missing = stage.store.recipient_by_id(&org_id(), &nobody, &number_id()).await.unwrap();
    assert_eq!(missing, None);
    let foreign =
        stage.store.recipient_by_id(&OrgId::new("other"), &id, &number_id()).await.unwrap();
    assert_eq!(foreign, None);
    let stranger =
        stage.store.recipient_by_phone(&org_id(), &phone(9), &number_id()).await.unwrap();
    assert_eq!((stranger.customer, stranger.last_inbound_at), (None, None));
}

pub async fn who_is_written_to_by_an_id_is_who_wrote_with_a_number(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let id = Phone::business_scoped("US.1349120865530274777").unwrap();
    let seen = || async {
        let found = stage.store.recipient_by_phone(&org_id(), &id, &number_id()).await.unwrap();
        assert_eq!(found.phone, id, "it is written to by the id all the same");
        found
    };
    assert_eq!(seen().await.customer, None);
    // First without a number, then with one.
    let hidden = InboundMessage { phone: id.clone(), ..inbound(1, "wamid.1") };
    stage.store.record_inbound(hidden, at(500)).await.unwrap();
    let of_id = seen().await.customer.unwrap();
    assert_eq!(of_id.phone, id);
    let shown = InboundMessage {
        user_id: Some(id.clone()),
        new_customer_id: CustomerId::new("with-number"),
        written_at: at(900),
        ..inbound(1, "wamid.2")
    };
    stage.store.record_inbound(shown, at(900)).await.unwrap();
    let found = seen().await;
    let of_number = found.customer.unwrap();
    assert_eq!((&of_number.phone, found.last_inbound_at), (&phone(1), Some(at(900))));
    stage.store.renew_window(&org_id(), &number_id(), &id, at(950)).await.unwrap();
    let by_number = stage.store.recipient_by_phone(&org_id(), &phone(1), &number_id()).await;
    assert_eq!(by_number.unwrap().last_inbound_at, Some(at(950)), "the later window");

    let no =
        Consent { opted_in: false, at: at(1_000), proof: None, origin: ConsentOrigin::default() };
    for customer in [of_number, of_id] {
        let refusing = Customer { consent: Some(no.clone()), ..customer.clone() };
        stage.change_customer(refusing).await;
        assert!(seen().await.customer.unwrap().opted_out(), "{}", customer.phone.digits());
        stage.change_customer(customer).await;
        assert!(!seen().await.customer.unwrap().opted_out());
    }
}

pub async fn an_opt_out_holds_by_whatever_name_a_person_is_written_to(harness: &dyn Harness) {
    let mut stage = Stage::new(harness).await;
    let id = Phone::business_scoped("US.1349120865530274777").unwrap();
    stage.store.create_customer(customer("by-number", 1)).await.unwrap();
    let by_id = Customer { phone: id.clone(), ..customer("by-id", 2) };
    stage.store.create_customer(by_id).await.unwrap();
    // Looked up, and so remembered, while nobody knows that they are one person.
    assert_eq!(stage.who_said_no(&id).await, Vec::<String>::new());
    let shown = InboundMessage { user_id: Some(id.clone()), ..inbound(1, "wamid.1") };
    stage.store.record_inbound(shown, at(500)).await.unwrap();
    for (said_by, name) in [("by-number", phone(1)), ("by-id", id.clone())] {
        let said = |opted_in| NewConsent {
            phone: name.clone(),
            new_customer_id: CustomerId::new("not needed"),
            consent: Consent {
                opted_in,
                at: at(1_000),
                proof: None,
                origin: ConsentOrigin::default(),
            },
        };
        stage.store.record_consents(&org_id(), vec![said(false)]).await.unwrap();
        let expected = ["phone", "id", "customer by-number", "customer by-id", "audience"];
        assert_eq!(stage.who_said_no(&id).await, expected, "said by {said_by}");
        stage = stage.reopen(harness).await;
        assert_eq!(stage.who_said_no(&id).await, expected, "said by {said_by} before a start");
        stage.store.record_consents(&org_id(), vec![said(true)]).await.unwrap();
        assert_eq!(stage.who_said_no(&id).await, Vec::<String>::new(), "taken back by {said_by}");
    }
}

impl Stage {
    /// By which names somebody who has a number and an id counts as opted out.
    async fn who_said_no(&self, id: &Phone) -> Vec<String> {
        let mut refusing = Vec::new();
        for (name, phone) in [("phone", &phone(1)), ("id", id)] {
            let one = self.store.recipient_by_phone(&org_id(), phone, &number_id()).await.unwrap();
            let all = vec![phone.clone(); 100];
            let all = self.store.recipients_by_phone(&org_id(), all, &number_id()).await.unwrap();
            assert_eq!((&one.phone, &all[99]), (phone, &one));
            if one.customer.unwrap().opted_out() {
                refusing.push(name.to_owned());
            }
        }
        for name in ["by-number", "by-id"] {
            let named = CustomerId::new(name);
            let found = self.store.recipient_by_id(&org_id(), &named, &number_id()).await.unwrap();
            let customer = found.unwrap().customer.unwrap();
            assert_eq!(customer.id, named);
            if customer.opted_out() {
                refusing.push(format!("customer {name}"));
            }
        }
        let page = Page { after: None, limit: 10 };
        let reached = self.store.audience(&org_id(), Audience::All, page).await.unwrap();
        if reached.data.is_empty() {
            refusing.push("audience".to_owned());
        }
        refusing
    }
}

pub async fn the_log_is_paged_newest_first_with_its_total(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let empty = stage.store.message_page(&org_id(), 0, 10).await.unwrap();
    assert_eq!(empty, (Vec::new(), 0));
    let mut expected = Vec::new();
    for place in 0..5 {
        expected.insert(0, stage.queue(&message(place)).await);
    }
    let attempt = new_attempt();
    stage.store.begin_attempt(Haste::AtOnce, expected[0], attempt, at(1)).await.unwrap();
    stage.store.settle_attempt(expected[0], attempt, sent("wamid.1"), at(2_000)).await.unwrap();
    stage.put(Entry::Org(org("other"))).await;
    stage.queue(&Message { org_id: OrgId::new("other"), ..message(9) }).await;
    let mut seen = Vec::new();
    for (page, size) in [(0, 2), (1, 2), (2, 1), (3, 2)] {
        let (messages, total) = stage.store.message_page(&org_id(), page, 2).await.unwrap();
        assert_eq!((messages.len(), total), (if page == 3 { 0 } else { size }, 5));
        seen.extend(messages);
    }
    let ids: Vec<_> = seen.iter().map(|logged| logged.message.id).collect();
    assert_eq!(ids, expected);
    assert_eq!((seen[0].changed_at, seen[1].changed_at), (at(2_000), START));
}

pub async fn people_are_looked_up_together_in_the_order_asked(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.store.create_customer(customer("c3", 3)).await.unwrap();
    stage.store.renew_window(&org_id(), &number_id(), &phone(2), at(50)).await.unwrap();
    for copies in [1, 100] {
        let asked: Vec<_> = [3, 1, 2, 3].map(phone).into_iter().cycle().take(4 * copies).collect();
        let found = stage.store.recipients_by_phone(&org_id(), asked.clone(), &number_id()).await;
        let found = found.unwrap();
        let phones: Vec<_> = found.iter().map(|recipient| recipient.phone.clone()).collect();
        assert_eq!(phones, asked);
        for (place, recipient) in found.iter().enumerate() {
            assert_eq!(recipient.customer.is_some(), [true, false, false, true][place % 4]);
            assert_eq!(recipient.last_inbound_at, (place % 4 == 2).then(|| at(50)));
        }
    }
}
