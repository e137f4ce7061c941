//! The log of events: what appends to it, and how it is read.

use serde_json::json;
use waypost_domain::event::{EventDetail, EventKind, NoticeDetail, TemplateDetail};
use waypost_domain::message::{Message, MessageOptions, Notify};
use waypost_domain::status::Report;
use waypost_domain::{MediaId, NumberId, OrgId, Status};
use waypost_engine::ports::{
    Entry, EntryKey, EventFilter, Haste, LoggedEvent, NewCallback, NewNotice, Page, StatusReport,
    TargetAddress, TargetName,
};

use crate::Harness;
use crate::samples::{
    START, Stage, at, closed, inbound, message, new_attempt, number, number_id, org, org_id,
    refused, report, retry, sent, unknown,
};

const ALL: Page = Page { after: None, limit: 1_000 };

async fn listed(stage: &Stage, filter: &EventFilter) -> Vec<LoggedEvent> {
    stage.store.events(&org_id(), filter, ALL).await.unwrap().data
}

async fn kinds(stage: &Stage) -> Vec<EventKind> {
    let events = listed(stage, &EventFilter::default()).await;
    events.into_iter().map(|logged| logged.event.kind).collect()
}

pub async fn every_status_that_is_told_is_one_event(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.send(&message(1), "wamid.1").await;
    for told in [Report::Delivered, Report::Delivered, Report::Sent, Report::Read] {
        stage.apply(report("wamid.1", told, at(200))).await;
    }
    stage.apply(report("wamid.1", Report::Delivered, at(900))).await;
    let refusal = message(2);
    let attempt = stage.begin(&refusal).await;
    stage.settle(refusal.id, attempt, refused()).await;
    let cancelled = stage.queue(&message(3)).await;
    assert!(stage.store.cancel(&org_id(), cancelled, at(400)).await.unwrap());
    let lost = message(4);
    let attempt = stage.begin(&lost).await;
    stage.settle(lost.id, attempt, unknown()).await;
    let again = message(5);
    let attempt = stage.begin(&again).await;
    stage.settle(again.id, attempt, retry(at(500), true)).await;
    let stage = stage.reopen(harness).await;
    use EventKind::{MessageCancelled, MessageDelivered, MessageFailed, MessageRead, MessageSent};
    let expected = [MessageSent, MessageDelivered, MessageRead, MessageFailed, MessageCancelled];
    assert_eq!(kinds(&stage).await, expected);
    let events = listed(&stage, &EventFilter::default()).await;
    assert!(events.is_sorted_by_key(|logged| logged.place));
    let EventDetail::Status(failed) = &events[3].event.detail else { panic!("a status") };
    assert_eq!((failed.status, failed.message.id), (Status::Failed, refusal.id));
    assert!(failed.failure.is_some());
    assert_eq!(events[1].event.at, at(200), "the reporter's time");
    assert_eq!(events[1].recorded_at, at(5_000), "our time");
}

pub async fn what_a_report_says_besides_is_kept_also_where_it_was_parked(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let extra = Some(json!({"pricing": {"billable": true}}));
    let mut early = report("wamid.1", Report::Delivered, at(50));
    early.extra = extra.clone();
    stage.apply(early).await;
    stage.send(&message(1), "wamid.1").await;
    let events = listed(&stage, &EventFilter::default()).await;
    let EventDetail::Status(delivered) = &events[1].event.detail else { panic!("a status") };
    assert_eq!((events.len(), &delivered.upstream), (2, &extra));
}

pub async fn an_event_tells_of_the_sending_that_it_happened_to(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let resent = message(1);
    let begin_again = async || {
        assert!(stage.store.requeue(&org_id(), resent.id, at(200)).await.unwrap());
        let attempt = new_attempt();
        stage.store.begin_attempt(Haste::AtOnce, resent.id, attempt, at(300)).await.unwrap();
        attempt
    };
    stage.send(&resent, "wamid.1").await;
    stage.apply(report("wamid.1", Report::Failed, at(1_000))).await;
    let refused_one = begin_again().await;
    stage.settle(resent.id, refused_one, refused()).await;
    let lost = begin_again().await;
    stage.settle(resent.id, lost, unknown()).await;
    let second = begin_again().await;
    stage.settle(resent.id, second, sent("wamid.2")).await;
    stage.apply(report("wamid.1", Report::Delivered, at(2_000))).await;
    stage.apply(report("wamid.2", Report::Read, at(3_000))).await;
    let told: Vec<_> = listed(&stage, &EventFilter::default())
        .await
        .into_iter()
        .map(|logged| match logged.event.detail {
            EventDetail::Status(it) => {
                let is_duplicate = it.message.possible_duplicate;
                (it.status, it.message.wamid.map(|wamid| (wamid, is_duplicate)))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let of = |wamid: &str, is_duplicate| Some((wamid.to_owned(), is_duplicate));
    let expected = [
        (Status::Sent, of("wamid.1", false)),
        (Status::Failed, of("wamid.1", false)),
        (Status::Failed, None),
        (Status::Sent, of("wamid.2", true)),
        (Status::Delivered, of("wamid.1", true)),
        (Status::Read, of("wamid.2", true)),
    ];
    assert_eq!(told, expected);
}

pub async fn what_a_report_says_besides_is_kept_where_no_event_tells_it(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.send(&first, "wamid.1").await;
    let extra = |price: u32| Some(json!({"pricing": {"category": price}}));
    for (told, at_ms) in [(Report::Sent, 1_000), (Report::Read, 3_000), (Report::Delivered, 2_000)]
    {
        let extra = extra(at_ms);
        let at = at(at_ms.into());
        stage.apply(StatusReport { extra, ..report("wamid.1", told, at) }).await;
    }
    let statuses = stage.history(first.id).await.statuses;
    let kept: Vec<_> = statuses.into_iter().map(|it| (it.status, it.upstream)).collect();
    let expected = [
        (Status::Sent, None),
        (Status::Sent, extra(1_000)),
        (Status::Delivered, extra(2_000)),
        (Status::Read, None),
    ];
    assert_eq!(kept, expected);
    let read = listed(&stage, &EventFilter::default()).await.pop().unwrap();
    let EventDetail::Status(read) = read.event.detail else { panic!("a status") };
    assert_eq!(read.upstream, extra(3_000));
}

pub async fn a_message_accepted_as_failed_is_an_event(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut message = message(1);
    message.status = Status::Failed;
    message.failure = Some(crate::samples::refusal());
    stage.store.accept_all(vec![(message, closed())], None).await.unwrap();
    assert_eq!(kinds(&stage).await, [EventKind::MessageFailed]);
}

pub async fn what_people_write_is_an_event_with_what_it_answers(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut ours = message(1);
    ours.reference = Some("order-7".to_owned());
    ours.options.echo = Some(json!({"correlationid": "c-1"}).into());
    stage.send(&ours, "wamid.ours").await;
    let mut answer = inbound(1, "wamid.theirs");
    answer.content.message["context"] = json!({"id": "wamid.ours"});
    stage.store.record_inbound(answer.clone(), at(700)).await.unwrap();
    stage.store.record_inbound(answer, at(800)).await.unwrap();
    let events = listed(&stage, &EventFilter::default()).await;
    assert_eq!(events.len(), 2, "the same message twice is one");
    let EventDetail::Received(received) = &events[1].event.detail else { panic!("received") };
    assert_eq!(received.profile_name.as_deref(), Some("Profile 1"));
    let quoted = received.quoted.as_ref().unwrap();
    assert_eq!((quoted.id, quoted.reference.as_deref()), (ours.id, Some("order-7")));
    assert_eq!(quoted.echo, ours.options.echo);
    assert!(!events[1].waits_for_file);
    let mut heart = inbound(1, "wamid.heart");
    heart.content.kind = "reaction".to_owned();
    heart.content.message =
        json!({"type": "reaction", "reaction": {"message_id": "wamid.ours", "emoji": "❤"}});
    stage.store.record_inbound(heart, at(900)).await.unwrap();
    let events = listed(&stage, &EventFilter::default()).await;
    let EventDetail::Received(received) = &events[2].event.detail else { panic!("received") };
    assert_eq!(received.quoted.as_ref().map(|quoted| quoted.id), Some(ours.id));
}

pub async fn a_file_is_waited_for_until_it_is_attached(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut picture = inbound(1, "wamid.1");
    picture.content.kind = "image".to_owned();
    picture.content.message = json!({"type": "image", "image": {"id": "77"}});
    stage.store.record_inbound(picture.clone(), at(700)).await.unwrap();
    assert!(listed(&stage, &EventFilter::default()).await[0].waits_for_file);
    let unknown_file = Some(MediaId::new("1000000000000001"));
    stage.store.attach_inbound_media(picture.id, unknown_file).await.unwrap();
    let event = listed(&stage, &EventFilter::default()).await.remove(0);
    assert!(!event.waits_for_file && event.file.is_none(), "the file's record has gone");
}

pub async fn heads_say_for_whom_an_event_is(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let notify = Notify::new("https://asked.example.com/", None);
    let mut asked = message(1);
    asked.options = MessageOptions { notify: Some(notify.clone()), ..MessageOptions::default() };
    stage.send(&asked, "wamid.1").await;
    stage.send(&message(2), "wamid.2").await;
    let found = stage.store.event_heads(0, 10).await.unwrap();
    assert_eq!((found.heads.len(), found.last), (2, Some(found.heads[1].place)));
    let head = &found.heads[0];
    assert_eq!((&head.org_id, head.number_id.as_ref()), (&org_id(), Some(&number_id())));
    assert_eq!((head.kind, head.asks), (EventKind::MessageSent, true));
    assert!(!found.heads[1].asks, "the other message asks for nothing");
    let rest = stage.store.event_heads(head.place, 10).await.unwrap();
    assert_eq!(rest.heads, found.heads[1..]);
    for why in [Some("not allowed".to_owned()), None] {
        stage.store.note_post_refused(asked.id, why.clone()).await.unwrap();
        let noted = Notify { post_refused: why, ..notify.clone() };
        assert_eq!(stage.message(asked.id).await.options.notify, Some(noted));
    }
}

pub async fn an_event_is_found_by_its_id_within_its_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("org-2"))).await;
    for last in 1..4 {
        stage.send(&message(last), &format!("wamid.{last}")).await;
    }
    let events = listed(&stage, &EventFilter::default()).await;
    let stage = stage.reopen(harness).await;
    for logged in events {
        let id = logged.event.id;
        assert_eq!(stage.store.event(&org_id(), id).await.unwrap(), Some(logged));
        assert_eq!(stage.store.event(&OrgId::new("org-2"), id).await.unwrap(), None);
    }
    let unheard_of = waypost_domain::EventId(uuid::Uuid::now_v7());
    assert_eq!(stage.store.event(&org_id(), unheard_of).await.unwrap(), None);
}

pub async fn event_lists_filter_and_page(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let first = message(1);
    stage.send(&first, "wamid.1").await;
    stage.send(&message(2), "wamid.2").await;
    stage.apply(report("wamid.1", Report::Read, at(200))).await;
    let count = async |filter: EventFilter| listed(&stage, &filter).await.len();
    let any = EventFilter::default;
    assert_eq!(count(EventFilter { kinds: vec![EventKind::MessageSent], ..any() }).await, 2);
    assert_eq!(count(EventFilter { message_id: Some(first.id), ..any() }).await, 2);
    assert_eq!(count(EventFilter { number_id: Some(number_id()), ..any() }).await, 3);
    assert_eq!(count(EventFilter { since: Some(at(5_000)), ..any() }).await, 1);
    assert_eq!(count(EventFilter { until: Some(at(5_000)), ..any() }).await, 2);
    for newest_first in [false, true] {
        let filter = EventFilter { newest_first, ..any() };
        let mut page = Page { after: None, limit: 2 };
        let mut places = Vec::new();
        loop {
            let part = stage.store.events(&org_id(), &filter, page).await.unwrap();
            places.extend(part.data.iter().map(|logged| logged.place));
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(places.len(), 3);
        assert_eq!(places.is_sorted(), !newest_first);
    }
}

pub async fn a_changed_template_is_told_once_to_each_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("org-2"))).await;
    let template = TemplateDetail {
        id: "500".to_owned(),
        name: "hello".to_owned(),
        language: "en".to_owned(),
        status: "APPROVED".to_owned(),
        reason: None,
        waba_id: "200000000000001".to_owned(),
    };
    let orgs = vec![org_id(), OrgId::new("org-2"), OrgId::new("gone")];
    for now in [at(1), at(2)] {
        let orgs = orgs.clone();
        stage.store.record_template_change(orgs, template.clone(), START, now).await.unwrap();
    }
    let events = listed(&stage, &EventFilter::default()).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event.detail, EventDetail::Template(template));
    assert_eq!(events[0].event.number_id, None);
    assert_eq!(stage.store.event_heads(0, 10).await.unwrap().heads.len(), 2);
}

pub async fn what_is_passed_on_is_told_once_to_each_organisation(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.put(Entry::Org(org("org-2"))).await;
    let notice = |value| NoticeDetail {
        waba_id: "200000000000001".to_owned(),
        phone_number_id: Some("300000000000001".to_owned()),
        field: "calls".to_owned(),
        value,
    };
    let value = json!({"z": 1, "a": [null, 0.5, u64::MAX, {"deep": "ä\n"}]});
    let orgs = |ids: &[&str]| ids.iter().map(|id| OrgId::new(*id)).collect::<Vec<_>>();
    let (here, gone) = (Some(number_id()), Some(NumberId::new("gone")));
    for (ids, number_id, value, digest, now) in [
        (orgs(&["org-1", "gone"]), here.clone(), Some(value.clone()), i64::MIN, 1),
        (orgs(&["org-1"]), here.clone(), Some(value.clone()), i64::MIN, 2),
        (orgs(&["org-2", "org-1"]), here, None, i64::MAX, 3),
        (orgs(&["org-1"]), gone, Some(value.clone()), 0, 4),
    ] {
        let notice = notice(value);
        let new = NewNotice { org_ids: ids, number_id, notice, digest, at: START };
        stage.store.record_notice(new, at(now)).await.unwrap();
    }
    let stage = stage.reopen(harness).await;
    let events = listed(&stage, &EventFilter::default()).await;
    let told: Vec<_> = events
        .into_iter()
        .map(|LoggedEvent { event, recorded_at, .. }| {
            assert_eq!((event.kind, event.at), (EventKind::UpstreamNotice, START));
            (event.detail, event.number_id, recorded_at)
        })
        .collect();
    let expected = [
        (EventDetail::Notice(notice(Some(value.clone()))), Some(number_id()), at(1)),
        (EventDetail::Notice(notice(None)), Some(number_id()), at(3)),
        (EventDetail::Notice(notice(Some(value.clone()))), None, at(4)),
    ];
    assert_eq!(told, expected);
    let EventDetail::Notice(first) = &told[0].0 else { panic!("a notice") };
    assert_eq!(first.value.as_ref().unwrap().to_string(), value.to_string(), "in its order");
    let heads = stage.store.event_heads(0, 10).await.unwrap().heads;
    assert_eq!(heads.iter().filter(|head| head.org_id == OrgId::new("org-2")).count(), 1);
}

pub async fn places_are_never_used_again(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for last in 1..4 {
        stage.send(&message(last), &format!("wamid.{last}")).await;
    }
    let before = stage.store.last_event().await.unwrap();
    assert_eq!(stage.store.prune_events(at(9_000), 100).await.unwrap(), 0, "none was told on");
    stage.store.add_callbacks(Vec::new(), Some(before), at(100)).await.unwrap();
    assert_eq!(stage.store.prune_events(at(100), 100).await.unwrap(), 0, "too young");
    assert_eq!(stage.store.prune_events(at(9_000), 100).await.unwrap(), 2);
    assert_eq!(stage.store.last_event().await.unwrap(), before);
    assert!(stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    let stage = stage.reopen(harness).await;
    stage.put(Entry::Org(org("org-1"))).await;
    stage.put(Entry::Number(number(crate::samples::NUMBER, "org-1"))).await;
    assert!(listed(&stage, &EventFilter::default()).await.is_empty());
    stage.send(&message(9), "wamid.9").await;
    assert!(stage.store.last_event().await.unwrap() > before);
}

pub async fn events_of_a_removed_organisation_are_passed_over(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.send(&message(1), "wamid.1").await;
    let last = stage.store.last_event().await.unwrap();
    let target = TargetName {
        org_id: org_id(),
        address: TargetAddress::Notify { origin: "https://a".to_owned(), shape: "x".to_owned() },
    };
    let callback =
        NewCallback { target, event: last, person: String::new(), due_at: START, file_by: None };
    stage.store.add_callbacks(vec![callback], Some(last), at(1)).await.unwrap();
    assert!(stage.store.remove_entry(EntryKey::Org(org_id())).await.unwrap());
    let found = stage.store.event_heads(0, 10).await.unwrap();
    assert!(found.heads.is_empty());
    assert_eq!(found.last, Some(last), "but they are not waited for");
    assert_eq!(
        stage.store.due_targets(at(99), Vec::new(), 10, 10).await.unwrap(),
        (Vec::new(), None)
    );
    while stage.store.prune_removed_orgs().await.unwrap() {}
    assert_eq!(stage.store.callback_totals().await.unwrap().pending, 0);
}

pub async fn events_of_a_deleted_message_never_show_another_one(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.send(&message(1), "wamid.1").await;
    let (other, other_number) = (OrgId::new("other"), NumberId::new("300000000000001"));
    stage.put(Entry::Org(org("other"))).await;
    stage.put(Entry::Number(number("300000000000001", "other"))).await;
    for last in 2..=4 {
        let (org_id, number_id) = (other.clone(), other_number.clone());
        stage.queue(&Message { org_id, number_id, ..message(last) }).await;
    }
    let pruned = stage.store.prune_messages(&org_id(), at(1_000_000), 0).await.unwrap();
    assert_eq!(pruned.deleted, 1);
    assert!(stage.store.remove_entry(EntryKey::Org(other)).await.unwrap());
    while stage.store.prune_removed_orgs().await.unwrap() {}
    let later = message(5);
    stage.send(&later, "wamid.5").await;
    let told = listed(&stage, &EventFilter::default()).await;
    let told: Vec<_> = told
        .iter()
        .map(|logged| match &logged.event.detail {
            EventDetail::Status(status) => status.message.id,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [later.id], "the place of the deleted one is not used again");
}

pub async fn events_at_their_places_come_back_in_order(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    stage.send(&message(7), "wamid.7").await;
    stage.send(&message(8), "wamid.8").await;
    let events = listed(&stage, &EventFilter::default()).await;
    let places: Vec<i64> = events.iter().map(|logged| logged.place).collect();
    let asked = vec![places[0], places[1], 99_999];
    assert_eq!(stage.store.events_at(asked).await.unwrap(), events);
    assert!(stage.store.events_at(Vec::new()).await.unwrap().is_empty());
}
