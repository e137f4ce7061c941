//! Callbacks: in order, held up by what comes before, given up and made anew.

use waypost_domain::callback::Webhook;
use waypost_domain::{MessageId, OrgId, Timestamp, WebhookId};
use waypost_engine::ports::{
    CallbackEnd, CallbackFilter, CallbackOutcome, CallbackRecord, DeadFilter, Entry, EntryKey,
    NewCallback, Page, PutMode, TargetAddress, TargetName,
};

use crate::Harness;
use crate::samples::{START, Stage, at, message, org, org_id, phone};

const ALL: Page = Page { after: None, limit: 1_000 };

fn webhook_id() -> WebhookId {
    WebhookId::new("wh-1")
}

fn target() -> TargetName {
    TargetName { org_id: org_id(), address: TargetAddress::Webhook(webhook_id()) }
}

fn asked() -> TargetName {
    let address = TargetAddress::Notify {
        origin: "https://asked.example.com".to_owned(),
        shape: "webex_connect".to_owned(),
    };
    TargetName { org_id: org_id(), address }
}

fn callback(event: i64, person: u32) -> NewCallback {
    let person = phone(person).digits().to_owned();
    NewCallback { target: target(), event, person, due_at: START, file_by: None }
}

fn outcome(event: i64, person: u32, attempts: u32, end: CallbackEnd) -> CallbackOutcome {
    let failed = end != CallbackEnd::Done;
    CallbackOutcome {
        event,
        person: phone(person).digits().to_owned(),
        attempts,
        end,
        status: Some(if failed { 500 } else { 200 }),
        error: failed.then(|| "it failed".to_owned()),
    }
}

/// A stage with events at the places 1 to `count`.
async fn stage_with(harness: &dyn Harness, count: u32) -> Stage {
    let stage = Stage::new(harness).await;
    for last in 1..=count {
        stage.send(&message(last), &format!("wamid.{last}")).await;
    }
    stage
}

async fn add(stage: &Stage, callbacks: Vec<NewCallback>) {
    stage.store.add_callbacks(callbacks, None, at(1)).await.unwrap();
}

async fn place(stage: &Stage) -> i64 {
    stage.store.due_targets(at(1_000_000_000), Vec::new(), 10, 10).await.unwrap().0[0].place
}

async fn due(stage: &Stage, target: i64, now: Timestamp) -> Vec<i64> {
    let found = stage.store.due_callbacks(target, now, 100).await.unwrap();
    found.due.into_iter().map(|due| due.event).collect()
}

async fn record(stage: &Stage, target: i64, outcomes: Vec<CallbackOutcome>) {
    stage.store.record_callbacks(target, outcomes, at(2)).await.unwrap();
}

async fn listed(stage: &Stage, filter: &CallbackFilter) -> Vec<CallbackRecord> {
    stage.store.callbacks(&org_id(), filter, ALL).await.unwrap().data
}

pub async fn callbacks_and_their_mark_are_recorded_together(harness: &dyn Harness) {
    let stage = stage_with(harness, 3).await;
    assert_eq!(stage.store.callback_mark().await.unwrap(), 0);
    let new = vec![callback(1, 1), NewCallback { target: asked(), ..callback(1, 1) }];
    stage.store.add_callbacks(new.clone(), Some(2), at(1)).await.unwrap();
    stage.store.add_callbacks(new, Some(1), at(1)).await.unwrap();
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.store.callback_mark().await.unwrap(), 2, "never back");
    let (targets, next) = stage.store.due_targets(at(1), Vec::new(), 10, 10).await.unwrap();
    let names: Vec<TargetName> = targets.iter().map(|target| target.name.clone()).collect();
    assert_eq!((names, next), (vec![target(), asked()], None));
    assert_eq!(stage.store.callback_totals().await.unwrap().pending, 2);
    let gone = TargetName { org_id: OrgId::new("gone"), ..target() };
    add(&stage, vec![NewCallback { target: gone, ..callback(1, 1) }]).await;
    assert_eq!(stage.store.callback_totals().await.unwrap().pending, 2);
}

pub async fn one_organisations_many_targets_hide_no_others(harness: &dyn Harness) {
    let stage = stage_with(harness, 1).await;
    stage.put(Entry::Org(org("other"))).await;
    let of_server = |org_id: OrgId, server: u32| {
        let origin = format!("https://{server}.example.com");
        let shape = "webex_connect".to_owned();
        TargetName { org_id, address: TargetAddress::Notify { origin, shape } }
    };
    let due = |target, due_ms| NewCallback { target, due_at: at(due_ms), ..callback(1, 1) };
    let many = (1..=20).map(|server| due(of_server(org_id(), server), server.into()));
    add(&stage, many.collect()).await;
    let of_other = of_server(OrgId::new("other"), 1);
    add(&stage, vec![due(of_other.clone(), 2), due(of_server(OrgId::new("other"), 2), 30)]).await;
    let found = async |limit_per_org, limit| {
        let now = at(25);
        let (found, next) =
            stage.store.due_targets(now, Vec::new(), limit_per_org, limit).await.unwrap();
        assert_eq!(next, Some(at(30)));
        found.into_iter().map(|target| target.name).collect::<Vec<_>>()
    };
    let [first, second, third] = [1, 2, 3].map(|server| of_server(org_id(), server));
    let fair = found(3, 10).await;
    assert_eq!(fair.len(), 4);
    assert_eq!((&fair[0], &fair[3]), (&first, &third));
    assert!(fair[1..3].contains(&second) && fair[1..3].contains(&of_other), "due at once");
    assert_eq!(found(3, 1).await, std::slice::from_ref(&first));
    let resting = stage.store.due_targets(at(25), Vec::new(), 10, 2).await.unwrap().0;
    let resting = resting.into_iter().filter(|target| target.name == first).map(|it| it.place);
    let others = stage.store.due_targets(at(25), resting.collect(), 3, 10).await.unwrap().0;
    assert!(others.iter().all(|target| target.name != first), "it rests");
    assert_eq!(others.len(), 4, "and takes nobody's place");
}

pub async fn what_is_delivered_is_forgotten_and_what_is_dead_is_kept(harness: &dyn Harness) {
    let stage = stage_with(harness, 3).await;
    add(&stage, vec![callback(1, 1), callback(2, 2), callback(3, 3)]).await;
    let target = place(&stage).await;
    let outcomes = vec![
        outcome(1, 1, 1, CallbackEnd::Done),
        outcome(2, 2, 4, CallbackEnd::Dead),
        outcome(3, 3, 1, CallbackEnd::Again(at(5_000))),
    ];
    record(&stage, target, outcomes).await;
    let stage = stage.reopen(harness).await;
    let left = listed(&stage, &CallbackFilter::default()).await;
    let shown: Vec<_> = left.iter().map(|one| (one.is_dead, one.attempts)).collect();
    assert_eq!(shown, [(true, 4), (false, 1)]);
    assert_eq!(
        (left[0].last_status, left[0].last_error.as_deref()),
        (Some(500), Some("it failed"))
    );
    assert_eq!(left[1].due_at, at(5_000));
    let event = stage.store.events_at(vec![2]).await.unwrap().remove(0).event;
    assert_eq!((left[0].event_id, left[0].kind), (event.id, event.kind));
    let (targets, next) = stage.store.due_targets(at(10), Vec::new(), 10, 10).await.unwrap();
    assert_eq!((targets, next), (Vec::new(), Some(at(5_000))));
    let stats = stage.store.target_stats(&org_id()).await.unwrap().remove(0);
    assert_eq!((stats.pending, stats.dead), (1, 1));
    assert_eq!((stats.last_status, stats.oldest_created_at), (Some(500), Some(at(1))));
}

pub async fn a_later_callback_waits_for_the_first_repetition_only(harness: &dyn Harness) {
    let stage = stage_with(harness, 4).await;
    add(&stage, vec![callback(1, 1), callback(2, 1), callback(3, 2)]).await;
    let target = place(&stage).await;
    assert_eq!(due(&stage, target, at(1)).await, [1, 2, 3]);
    record(&stage, target, vec![outcome(1, 1, 1, CallbackEnd::Again(at(5_000)))]).await;
    assert_eq!(due(&stage, target, at(4_999)).await, [3], "another person does not wait");
    add(&stage, vec![callback(4, 1)]).await;
    assert_eq!(due(&stage, target, at(4_999)).await, [3], "who comes later waits too");
    assert_eq!(due(&stage, target, at(5_000)).await, [3, 1, 2, 4], "in order");
    record(&stage, target, vec![outcome(1, 1, 2, CallbackEnd::Again(at(900_000)))]).await;
    assert_eq!(due(&stage, target, at(5_000)).await, [3, 2, 4], "not for the second one");
}

pub async fn a_callback_exists_once_and_a_dead_one_is_made_anew(harness: &dyn Harness) {
    let stage = stage_with(harness, 2).await;
    add(&stage, vec![callback(1, 1), callback(2, 2)]).await;
    let target = place(&stage).await;
    record(&stage, target, vec![outcome(1, 1, 3, CallbackEnd::Again(at(7_000)))]).await;
    record(&stage, target, vec![outcome(2, 2, 4, CallbackEnd::Dead)]).await;
    let again = vec![callback(1, 1), callback(2, 2)];
    stage.store.add_callbacks(again, Some(2), at(1)).await.unwrap();
    assert_eq!(due(&stage, target, at(10)).await, [2], "the other one keeps its time");
    let left = listed(&stage, &CallbackFilter::default()).await;
    let shown: Vec<_> = left.iter().map(|one| (one.is_dead, one.attempts)).collect();
    assert_eq!(shown, [(false, 3), (false, 0)]);
}

pub async fn what_waits_to_be_repeated_is_made_anew_at_once_by_a_replay(harness: &dyn Harness) {
    let stage = stage_with(harness, 6).await;
    let due_at = |event: u32, person, due_ms| NewCallback {
        due_at: at(due_ms),
        ..callback(event.into(), person)
    };
    add(&stage, (1..=6).map(|event| due_at(event, u32::from(event > 3), 0)).collect()).await;
    let target = place(&stage).await;
    // One person's first waits for its second repetition and its second for the first, behind which
    // stands the third; of another person nothing was tried.
    record(&stage, target, vec![outcome(1, 0, 2, CallbackEnd::Again(at(900_000)))]).await;
    record(&stage, target, vec![outcome(2, 0, 1, CallbackEnd::Again(at(5_000)))]).await;
    assert_eq!(due(&stage, target, at(20)).await, [4, 5, 6]);
    // Nothing overtakes what stands before the replayed.
    add(&stage, vec![due_at(3, 0, 10), due_at(5, 1, 10)]).await;
    assert_eq!(due(&stage, target, at(20)).await, [4, 5, 6]);
    add(&stage, vec![due_at(1, 0, 20), due_at(2, 0, 20), due_at(3, 0, 20)]).await;
    assert_eq!(due(&stage, target, at(20)).await, [4, 5, 6, 1, 2]);
    let found = stage.store.due_callbacks(target, at(20), 10).await.unwrap();
    assert!(found.due.iter().all(|due| due.attempts == 0), "anew: {found:?}");
    assert_eq!(stage.store.due_targets(at(20), Vec::new(), 10, 10).await.unwrap().0.len(), 1);
    record(&stage, target, vec![outcome(2, 0, 1, CallbackEnd::Done)]).await;
    assert_eq!(due(&stage, target, at(20)).await, [4, 5, 6, 1, 3]);
}

pub async fn how_webhooks_do_is_known_whatever_servers_requests_named(harness: &dyn Harness) {
    let stage = stage_with(harness, 1).await;
    let of_server = |server: u32| {
        let origin = format!("https://{server}.example.com");
        let address = TargetAddress::Notify { origin, shape: "webex_connect".to_owned() };
        let target = TargetName { address, ..target() };
        NewCallback { target, ..callback(1, 1) }
    };
    add(&stage, (0..1_001).map(of_server).chain([callback(1, 1)]).collect()).await;
    let stats = stage.store.target_stats(&org_id()).await.unwrap();
    assert!(stats.iter().any(|it| it.target.name == target() && it.pending == 1));
}

pub async fn dead_callbacks_are_revived_oldest_first(harness: &dyn Harness) {
    let stage = stage_with(harness, 3).await;
    add(&stage, vec![callback(1, 1), callback(2, 2), callback(3, 3)]).await;
    let target = place(&stage).await;
    let dead = (1..4).map(|one| outcome(one.into(), one, 4, CallbackEnd::Dead));
    record(&stage, target, dead.collect()).await;
    assert_eq!(stage.store.due_targets(at(10), Vec::new(), 10, 10).await.unwrap().0, Vec::new());
    let of_webhook = DeadFilter { webhook_id: Some(webhook_id()), ..DeadFilter::default() };
    let revive = async |after, limit| {
        let org_id = org_id();
        let revived = stage.store.revive_callbacks(&org_id, &of_webhook, after, limit, at(9));
        revived.await.unwrap()
    };
    let first = revive(None, 2).await;
    assert_eq!((first.count, first.next), (2, Some((target, 2))));
    assert_eq!(due(&stage, target, at(9)).await, [1, 2]);
    assert_eq!(stage.store.due_targets(at(10), Vec::new(), 10, 10).await.unwrap().0.len(), 1);
    record(&stage, target, vec![outcome(1, 1, 1, CallbackEnd::Dead)]).await;
    let rest = revive(first.next, 10).await;
    assert_eq!((rest.count, rest.next), (1, None), "not what died again meanwhile");
    let other = OrgId::new("org-2");
    let foreign = stage.store.revive_callbacks(&other, &of_webhook, None, 10, at(9)).await;
    assert_eq!(foreign.unwrap().count, 0);
    assert_eq!((revive(None, 10).await.count, revive(None, 10).await.count), (1, 0));
}

pub async fn dead_callbacks_are_revived_by_address_message_and_event(harness: &dyn Harness) {
    let stage = stage_with(harness, 2).await;
    let of_asked = |event, person| NewCallback { target: asked(), ..callback(event, person) };
    let all = [callback(1, 1), of_asked(1, 1), callback(2, 2), of_asked(2, 2)];
    add(&stage, all.to_vec()).await;
    let targets = stage.store.due_targets(at(10), Vec::new(), 10, 10).await.unwrap().0;
    let message_id = listed(&stage, &CallbackFilter::default()).await[0].message_id;
    let any = DeadFilter::default();
    let server = |text: &str| DeadFilter { server: Some(text.to_owned()), ..any.clone() };
    let of_webhook = DeadFilter { webhook_id: Some(webhook_id()), ..any.clone() };
    for (filter, revived) in [
        (any.clone(), vec![(0, 1), (0, 2), (1, 1), (1, 2)]),
        (of_webhook, vec![(0, 1), (0, 2)]),
        (DeadFilter { except: vec![webhook_id()], ..any.clone() }, vec![(1, 1), (1, 2)]),
        (server("https://asked.example.com"), vec![(1, 1), (1, 2)]),
        (server("https://other.example.com"), vec![]),
        (DeadFilter { message_id, ..any.clone() }, vec![(0, 1), (1, 1)]),
        (DeadFilter { event: Some(2), ..any.clone() }, vec![(0, 2), (1, 2)]),
        (DeadFilter { message_id, event: Some(2), ..any.clone() }, vec![]),
    ] {
        for target in &targets {
            let dead = [1, 2].map(|one| outcome(one.into(), one, 1, CallbackEnd::Dead));
            record(&stage, target.place, dead.to_vec()).await;
        }
        let done = stage.store.revive_callbacks(&org_id(), &filter, None, 10, at(9)).await.unwrap();
        let mut found = Vec::new();
        for (place, target) in targets.iter().enumerate() {
            let events = due(&stage, target.place, at(9)).await;
            found.extend(events.into_iter().map(|event| (place, event)));
        }
        assert_eq!((found, done.next), (revived, None), "{filter:?}");
    }
}

pub async fn what_is_older_than_its_schedule_is_given_up(harness: &dyn Harness) {
    let stage = stage_with(harness, 3).await;
    add(&stage, vec![callback(1, 1), callback(2, 2)]).await;
    stage.store.add_callbacks(vec![callback(3, 3)], None, at(900)).await.unwrap();
    let target = place(&stage).await;
    let too_old = stage.store.give_up_callbacks(target, at(500), "too old", 10, at(1_000)).await;
    assert_eq!(too_old.unwrap(), 0, "what was never tried is kept");
    let tried = [1, 2, 3].map(|one| outcome(one.into(), one, 1, CallbackEnd::Again(at(3))));
    record(&stage, target, tried.to_vec()).await;
    let give_up = async |limit| {
        stage.store.give_up_callbacks(target, at(500), "too old", limit, at(1_000)).await.unwrap()
    };
    assert_eq!((give_up(1).await, give_up(10).await, give_up(10).await), (1, 1, 0));
    assert_eq!(due(&stage, target, at(1_000)).await, [3]);
    let dead = CallbackFilter { is_dead: Some(true), ..CallbackFilter::default() };
    assert_eq!(listed(&stage, &dead).await[1].last_error.as_deref(), Some("too old"));
}

pub async fn callback_lists_filter_and_keep_events_whole(harness: &dyn Harness) {
    let stage = stage_with(harness, 3).await;
    let mut new = Vec::new();
    for event in 1..4_u32 {
        new.push(callback(event.into(), event));
        new.push(NewCallback { target: asked(), ..callback(event.into(), event) });
    }
    add(&stage, new).await;
    let of_webhook = CallbackFilter { webhook_id: Some(webhook_id()), ..CallbackFilter::default() };
    let first = listed(&stage, &of_webhook).await[0].message_id;
    let alive = CallbackFilter { is_dead: Some(false), ..CallbackFilter::default() };
    let of_message = CallbackFilter { message_id: first, ..CallbackFilter::default() };
    let of_event = CallbackFilter { event: Some(2), ..CallbackFilter::default() };
    let server = |url: &str| Some(url.to_owned());
    let of_server = CallbackFilter { server: server("https://asked.example.com"), ..of_event };
    for (filter, found) in [
        (of_webhook, 3),
        (alive.clone(), 6),
        (of_message.clone(), 2),
        (CallbackFilter { event: Some(2), ..of_message.clone() }, 0),
        (CallbackFilter { event: Some(1), ..of_message }, 2),
        (CallbackFilter { event: None, ..of_server.clone() }, 3),
        (CallbackFilter { server: None, ..of_server.clone() }, 2),
        (CallbackFilter { server: server("https://other.example.com"), ..of_server.clone() }, 0),
        (CallbackFilter { event: Some(4), ..of_server.clone() }, 0),
        (of_server, 1),
    ] {
        assert_eq!(listed(&stage, &filter).await.len(), found, "{filter:?}");
    }
    for limit in [1, 2, 3, 5, 6] {
        let mut page = Page { after: None, limit };
        let mut seen = 0;
        loop {
            let part = stage.store.callbacks(&org_id(), &alive, page).await.unwrap();
            seen += part.data.len();
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        // A page of one can only show the first callback of each event.
        assert_eq!(seen, if limit == 1 { 3 } else { 6 }, "{limit}");
    }
}

pub async fn a_callback_waits_for_its_file_and_no_longer(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let mut picture = crate::samples::inbound(1, "wamid.1");
    picture.content.kind = "image".to_owned();
    picture.content.message = serde_json::json!({"type": "image", "image": {"id": "77"}});
    stage.store.record_inbound(picture.clone(), at(0)).await.unwrap();
    stage.send(&message(1), "wamid.2").await;
    let waiting = NewCallback { file_by: Some(at(60_000)), ..callback(1, 1) };
    add(&stage, vec![waiting.clone(), callback(2, 1)]).await;
    let target = place(&stage).await;
    assert!(due(&stage, target, at(59_999)).await.is_empty(), "later ones wait too");
    assert_eq!(due(&stage, target, at(60_000)).await, [1, 2]);
    stage.store.attach_inbound_media(picture.id, None).await.unwrap();
    assert_eq!(due(&stage, target, at(10)).await, [1, 2]);
    assert_eq!(stage.store.due_targets(at(10), Vec::new(), 10, 10).await.unwrap().0.len(), 1);
    // Who comes after the file does not wait at all.
    let outcomes = [1, 2].map(|event| outcome(event, 1, 1, CallbackEnd::Done));
    record(&stage, target, outcomes.to_vec()).await;
    add(&stage, vec![waiting]).await;
    assert_eq!(due(&stage, target, at(10)).await, [1]);
}

/// Two pictures and a text that a person sends, all to be told of, and the places of their events.
async fn pictures(stage: &Stage, person: u32) -> ([MessageId; 2], [i64; 3]) {
    let mut ids = Vec::new();
    for wamid in [format!("wamid.{person}.1"), format!("wamid.{person}.2")] {
        let mut picture = crate::samples::inbound(person, &wamid);
        picture.content.kind = "image".to_owned();
        picture.content.message = serde_json::json!({"type": "image", "image": {"id": wamid}});
        ids.push(picture.id);
        stage.store.record_inbound(picture, at(0)).await.unwrap();
    }
    let text = crate::samples::inbound(person, &format!("wamid.{person}.3"));
    stage.store.record_inbound(text, at(0)).await.unwrap();
    let last = stage.store.last_event().await.unwrap();
    let places = [last - 2, last - 1, last];
    let waiting = |place| NewCallback { file_by: Some(at(60_000)), ..callback(place, person) };
    let all = vec![waiting(places[0]), waiting(places[1]), callback(last, person)];
    add(stage, all).await;
    ([ids[0], ids[1]], places)
}

pub async fn each_callback_waits_for_its_own_file(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    for (first, due_then) in [(0, 1), (1, 0)] {
        let (ids, places) = pictures(&stage, first).await;
        let target = place(&stage).await;
        stage.store.attach_inbound_media(ids[first as usize], None).await.unwrap();
        assert_eq!(due(&stage, target, at(10)).await, places[..due_then], "{first}");
        stage.store.attach_inbound_media(ids[1 - first as usize], None).await.unwrap();
        assert_eq!(due(&stage, target, at(10)).await, places, "{first}");
        let told = places.map(|place| outcome(place, first, 1, CallbackEnd::Done));
        record(&stage, target, told.to_vec()).await;
    }
}

pub async fn what_waits_behind_a_callback_goes_on_when_that_one_ends(harness: &dyn Harness) {
    let stage = Stage::new(harness).await;
    let ends = [CallbackEnd::Done, CallbackEnd::Dead, CallbackEnd::Again(at(900_000))];
    for (person, end) in (1..).zip(ends) {
        let (ids, [first, second, third]) = pictures(&stage, person).await;
        let target = place(&stage).await;
        stage.store.attach_inbound_media(ids[0], None).await.unwrap();
        let again = outcome(first, person, 1, CallbackEnd::Again(at(30_000)));
        record(&stage, target, vec![again]).await;
        stage.store.attach_inbound_media(ids[1], None).await.unwrap();
        assert!(due(&stage, target, at(29_999)).await.is_empty(), "{end:?}");
        let ended = vec![outcome(first, person, 2, end)];
        assert!(stage.store.record_callbacks(target, ended, at(20_000)).await.unwrap(), "{end:?}");
        assert_eq!(due(&stage, target, at(20_000)).await, [second, third], "{end:?}");
        let told = [second, third].map(|place| outcome(place, person, 1, CallbackEnd::Done));
        record(&stage, target, told.to_vec()).await;
    }
}

pub async fn a_webhook_goes_with_its_callbacks(harness: &dyn Harness) {
    let stage = stage_with(harness, 2).await;
    let webhook = Webhook {
        id: webhook_id(),
        org_id: org_id(),
        url: "https://receiver.example.com/".to_owned(),
        shape: "standard".to_owned(),
        number_id: None,
        events: std::collections::BTreeSet::new(),
        secrets: Vec::new(),
        header: None,
        disabled: None,
        created_at: START,
    };
    stage.put(Entry::Webhook(webhook.clone())).await;
    let off = Webhook { disabled: Some("for now".to_owned()), ..webhook };
    stage.store.put_entry(Entry::Webhook(off.clone()), PutMode::Replace).await.unwrap();
    add(&stage, vec![callback(1, 1), callback(2, 2)]).await;
    let target = place(&stage).await;
    record(&stage, target, vec![outcome(1, 1, 4, CallbackEnd::Dead)]).await;
    let stage = stage.reopen(harness).await;
    assert_eq!(stage.store.load_directory().await.unwrap().webhooks, [off]);
    let key = EntryKey::Webhook(org_id(), webhook_id());
    assert!(stage.store.remove_entry(key.clone()).await.unwrap());
    assert!(!stage.store.remove_entry(key).await.unwrap());
    assert!(stage.store.load_directory().await.unwrap().webhooks.is_empty());
    assert!(listed(&stage, &CallbackFilter::default()).await.is_empty());
    assert!(stage.store.target_stats(&org_id()).await.unwrap().is_empty());
}

pub async fn servers_that_requests_named_are_forgotten_with_their_events(harness: &dyn Harness) {
    let stage = stage_with(harness, 2).await;
    add(&stage, vec![NewCallback { target: asked(), ..callback(1, 1) }]).await;
    let target = place(&stage).await;
    assert_eq!(stage.store.prune_events(at(9_000), 10).await.unwrap(), 0);
    assert_eq!(stage.store.target_stats(&org_id()).await.unwrap().len(), 1, "it has work");
    record(&stage, target, vec![outcome(1, 1, 1, CallbackEnd::Done)]).await;
    assert_eq!(stage.store.prune_events(at(9_000), 10).await.unwrap(), 0);
    assert!(stage.store.target_stats(&org_id()).await.unwrap().is_empty());
}
