//! Paces: of a number, to a person, between kinds of traffic and between organisations. The clock
//! goes with paused timers: it moves only while everybody waits.

use std::time::Duration;

use tokio::time::Instant;
use waypost_clock::Clock;
use waypost_domain::command::{Recipient, SendMessage, Submission};
use waypost_domain::directory::Number;
use waypost_domain::message::Priority;
use waypost_domain::retry::RetryClass;
use waypost_domain::status::Report;
use waypost_domain::{Content, ErrorKind, Failure, NumberId, OrgId, Status, UpstreamFault};
use waypost_engine::Ask;
use waypost_engine::ports::{CallError, PutMode, SendOutcome, StatusNotice, UpstreamEvent};
use waypost_planted::{Bug, plant};
use waypost_store_sqlite::MemoryDisk;

use crate::rig::{
    Rig, Seen, ask, number, org, phone, send_to, submit_of, template, text, to_phone, too_fast,
};

const PERSON: &str = "15550001111";

/// Waits, while time passes, until the upstream has seen so many messages; at most ten minutes.
async fn saw(rig: &Rig, messages: usize) -> Vec<Seen> {
    for _ in 0..600_000 {
        if rig.upstream.seen.lock().len() >= messages {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.upstream.seen.lock().clone()
}

fn body_of(seen: &Seen) -> String {
    match &seen.content {
        Content::Text { body, .. } => body.clone(),
        Content::Template(template) => template.name.clone(),
        other => other.type_name().to_owned(),
    }
}

/// Submits so many messages of one template, each to another person, with two days to live.
async fn dump(rig: &Rig, name: &str, messages: u32) {
    let end = rig.engine.now().plus_ms(2 * 86_400_000);
    for thousand in 0..messages.div_ceil(1_000) {
        let of_this = (messages - thousand * 1_000).min(1_000);
        let message = |place: u32| {
            let digits = format!("1555{:07}", 1_000_000 + thousand * 1_000 + place);
            let mut message = to_phone(&digits, template(name));
            message.send.options.expires_at = Some(end);
            message
        };
        let all = (0..of_this).map(message).collect();
        rig.engine.submit(submit_of(all), &[]).await.unwrap();
    }
}

fn from_org(org_id: &str, number: &str, digits: &str, name: &str) -> Ask<SendMessage> {
    let org_id = OrgId::new(org_id);
    let mut command =
        SendMessage::new(org_id.clone(), Recipient::Phone(phone(digits)), template(name));
    command.number = Some(number.to_owned());
    let mut ask = ask(command);
    ask.caller.org_id = Some(org_id);
    ask
}

/// What is wrong with the starts to one person: more than a bucket of 45 that fills by one every six
/// seconds allows, or not in the order of acceptance.
fn broken_pair_limit(seen: &[Seen]) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut left, mut counted_at) = (45.0_f64, seen[0].at);
    for (place, one) in seen.iter().enumerate() {
        left = (left + (one.at - counted_at).as_secs_f64() / 6.0).min(45.0);
        counted_at = one.at;
        if left < 0.999 {
            wrong.push(format!("message {place} is one too many: {left}"));
        }
        left -= 1.0;
        if body_of(one) != place.to_string() {
            wrong.push(format!("message {} stands in place {place}", body_of(one)));
        }
    }
    wrong
}

async fn sixty_to_one_person() -> Vec<String> {
    let rig = Rig::timed().await;
    for place in 0..60 {
        rig.engine.enqueue(send_to("cust-1", text(&place.to_string()))).await.unwrap();
    }
    broken_pair_limit(&saw(&rig, 60).await)
}

#[tokio::test(start_paused = true)]
async fn a_person_gets_a_burst_and_then_one_every_six_seconds_in_order() {
    assert_eq!(sixty_to_one_person().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn control_an_ignored_pair_limit_is_seen() {
    plant(Some(Bug::PairLimitIgnored));
    assert_eq!(sixty_to_one_person().await.len(), 15);
}

#[tokio::test(start_paused = true)]
async fn a_person_who_waits_keeps_nobody_else_waiting() {
    let rig = Rig::timed().await;
    rig.open_window("15550002222").await;
    for place in 0..300 {
        rig.engine.enqueue(send_to("cust-1", text(&place.to_string()))).await.unwrap();
    }
    rig.engine.enqueue(send_to("cust-2", text("another"))).await.unwrap();
    let seen = saw(&rig, 46).await;
    assert_eq!(seen.iter().filter(|seen| seen.to == "15550002222").count(), 1);
    assert!(seen[45].at - seen[0].at < Duration::from_secs(6));
    let pacing = rig.engine.pacing_of(&NumberId::new("number-1")).unwrap();
    assert_eq!((pacing.postponed, pacing.people), (255, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_put_off_goes_first_after_a_restart() {
    let disk = MemoryDisk::new().unwrap();
    let rig = Rig::timed_on(&disk).await;
    for place in 0..50 {
        rig.engine.enqueue(send_to("cust-1", text(&place.to_string()))).await.unwrap();
    }
    saw(&rig, 45).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    rig.stop.cancel();
    rig.engine.finish().await;
    let now_ms = rig.clock.now_ms();
    drop(rig);
    let rig = Rig::over_memory(&disk, Clock::of_runtime(now_ms)).await;
    rig.engine.enqueue(send_to("cust-1", text("after"))).await.unwrap();
    let seen = saw(&rig, 6).await;
    let bodies: Vec<String> = seen.iter().map(body_of).collect();
    assert_eq!(bodies, ["45", "46", "47", "48", "49", "after"]);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_the_upstream_finds_too_fast_backs_off_alone_and_in_order() {
    let rig = Rig::timed().await;
    rig.open_window("15550002222").await;
    rig.upstream.next(too_fast(RetryClass::PersonPace, 60));
    for body in ["first", "second"] {
        rig.engine.enqueue(send_to("cust-1", text(body))).await.unwrap();
    }
    saw(&rig, 1).await;
    rig.engine.enqueue(send_to("cust-2", text("another"))).await.unwrap();
    let refused = rig.engine.send(send_to("cust-1", text("waited for"))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::RateLimited);
    let after_s = refused.retry_after_s.unwrap();
    assert!((50..=67).contains(&after_s), "behind what waits already: {refused:?}");
    let seen = saw(&rig, 4).await;
    let bodies: Vec<String> = seen.iter().map(body_of).collect();
    assert_eq!(bodies, ["first", "another", "first", "second"]);
    assert!(seen[2].at - seen[0].at >= Duration::from_secs(60));
    assert!(seen[3].at - seen[2].at >= Duration::from_secs(6), "there is no burst left");
}

#[tokio::test(start_paused = true)]
async fn a_one_time_password_overtakes_what_waits_for_the_same_person() {
    let rig = Rig::timed().await;
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("code", "AUTHENTICATION", "Code");
    for _ in 0..60 {
        rig.engine.enqueue(send_to("cust-1", template("offer"))).await.unwrap();
    }
    saw(&rig, 45).await;
    rig.engine.enqueue(send_to("cust-1", template("code"))).await.unwrap();
    let seen = saw(&rig, 47).await;
    assert_eq!(body_of(&seen[45]), "code", "the next free place is the password's");
    assert_eq!(body_of(&seen[46]), "offer");
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_too_fast_slows_down_and_says_so() {
    let rig = Rig::timed().await;
    rig.engine.put_number(number(100), PutMode::Replace).await.unwrap();
    rig.approve("offer", "MARKETING", "Buy");
    rig.upstream.next(too_fast(RetryClass::Pace, 2));
    dump(&rig, "offer", 300).await;
    let seen = saw(&rig, 301).await;
    let pacing = rig.engine.pacing_of(&NumberId::new("number-1")).unwrap();
    assert_eq!((pacing.configured_per_s, pacing.too_fast), (100, 1));
    let after: Vec<Instant> = seen.iter().map(|seen| seen.at).collect();
    let resumed = after.windows(2).position(|pair| pair[1] - pair[0] > Duration::from_secs(1));
    let resumed = resumed.expect("there is a pause") + 1;
    let in_a_second =
        after[resumed..].iter().filter(|at| **at - after[resumed] < Duration::from_secs(1)).count();
    assert!((60..=80).contains(&in_a_second), "70 a second and a small burst: {in_a_second}");
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(rig.engine.pacing_of(&NumberId::new("number-1")).unwrap().present_per_s, 100);
}

/// What is wrong where one organisation dumps its bulk on a number and one-time passwords of both
/// that share the number follow, and where another has a number of its own: a password that waits
/// for more than what is on its way.
async fn passwords_behind_a_dump(dumped: u32) -> Vec<String> {
    let rig = Rig::timed().await;
    let shared = Number { shared: true, ..number(80) };
    rig.engine.put_number(shared, PutMode::Replace).await.unwrap();
    let guest =
        waypost_domain::directory::Org { join_code: Some("guest".to_owned()), ..org("org-2") };
    rig.put_org(guest, PutMode::Create).await;
    let own = Number {
        id: NumberId::new("number-2"),
        org_id: OrgId::new("org-2"),
        phone_number_id: "100000000000003".to_owned(),
        display_phone: phone("15550009998"),
        ..number(80)
    };
    rig.engine.put_number(own, PutMode::Create).await.unwrap();
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("code", "AUTHENTICATION", "Code");
    dump(&rig, "offer", dumped).await;
    let mut wrong = Vec::new();
    for round in 0..10 {
        let more = rig.upstream.seen.lock().len() + 20;
        saw(&rig, more).await;
        for (org_id, number) in
            [("org-1", "number-1"), ("org-2", "number-1"), ("org-2", "number-2")]
        {
            let digits = format!("15553{round:06}");
            let asked = from_org(org_id, number, &digits, "code");
            let before = rig.upstream.seen.lock().len();
            let asked_at = Instant::now();
            let id = rig.engine.enqueue(asked).await.unwrap().outcome.id;
            let code = loop {
                let seen = saw(&rig, before + 1).await;
                let found = seen[before..].iter().position(|seen| body_of(seen) == "code");
                match found {
                    Some(place) => break place,
                    None if seen.len() > before + 200 => break 200,
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            // One may have had its turn already, and one may be about to.
            if code > 2 {
                wrong.push(format!("{org_id} by {number}: {code} went before {id}"));
            }
            let waited = Instant::now() - asked_at;
            if waited > Duration::from_secs(1) {
                wrong.push(format!("{org_id} by {number}: {id} waited {waited:?}"));
            }
        }
    }
    wrong
}

#[tokio::test(start_paused = true)]
async fn t20_a_tenants_bulk_delays_nobodys_one_time_password() {
    assert_eq!(passwords_behind_a_dump(20_000).await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn control_t20_bulk_that_goes_first_is_seen() {
    plant(Some(Bug::BulkFirst));
    assert!(!passwords_behind_a_dump(2_000).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn organisations_that_share_a_number_take_turns() {
    let rig = Rig::timed().await;
    rig.engine.put_number(Number { shared: true, ..number(80) }, PutMode::Replace).await.unwrap();
    let guest =
        waypost_domain::directory::Org { join_code: Some("guest".to_owned()), ..org("org-2") };
    rig.put_org(guest, PutMode::Create).await;
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("news", "MARKETING", "News");
    dump(&rig, "offer", 2_000).await;
    saw(&rig, 50).await;
    for place in 0..40 {
        let asked = from_org("org-2", "number-1", &format!("15553{place:06}"), "news");
        rig.engine.enqueue(asked).await.unwrap();
    }
    let seen = saw(&rig, 50 + 160 + 80).await;
    let theirs = seen.iter().filter(|seen| body_of(seen) == "news").count();
    assert!(theirs >= 39, "after one window every second start is theirs: {theirs}");
}

#[tokio::test(start_paused = true)]
async fn replies_go_before_bulk_and_bulk_before_a_broadcast() {
    let rig = Rig::timed().await;
    rig.engine.put_number(number(20), PutMode::Replace).await.unwrap();
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("hello_world", "UTILITY", "Hello");
    let broadcast = rig.engine.broadcast(crate::rig::broadcast_of("hello_world"), 0);
    broadcast.await.unwrap();
    let offer = |priority: Priority| -> Submission {
        let mut offer = to_phone("15550004444", template("offer"));
        offer.send.options.priority = priority;
        offer
    };
    let bulk = vec![offer(Priority::Low), offer(Priority::High)];
    rig.engine.submit(submit_of(bulk), &[]).await.unwrap();
    let mut reply = send_to("cust-1", text("reply"));
    reply.command.options.priority = Priority::Low;
    rig.engine.enqueue(reply).await.unwrap();
    let seen = saw(&rig, 6).await;
    let place = |body: &str| seen.iter().position(|seen| body_of(seen) == body).unwrap();
    assert!(place("reply") < place("offer"), "whatever their callers call urgent");
    assert_eq!(body_of(&seen[5]), "hello_world");
}

fn cap() -> Failure {
    let fault = UpstreamFault { code: Some(131_049), ..UpstreamFault::default() };
    Failure::new(ErrorKind::RejectedByUpstream, "had enough").with_upstream(fault)
}

async fn report_cap(rig: &Rig, wamid: &str) {
    let notice = StatusNotice { failure: Some(cap()), ..rig.notice(wamid, Report::Failed) };
    rig.receive(vec![UpstreamEvent::Status(notice)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_person_who_had_enough_gets_no_marketing_for_a_day_also_after_a_restart() {
    let disk = MemoryDisk::new().unwrap();
    let rig = Rig::timed_on(&disk).await;
    rig.approve("offer", "MARKETING", "Buy");
    rig.engine.enqueue(send_to("cust-1", template("offer"))).await.unwrap();
    saw(&rig, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    report_cap(&rig, "wamid.1").await;
    rig.stop.cancel();
    let now_ms = rig.clock.now_ms();
    drop(rig);
    let rig = Rig::over_memory(&disk, Clock::of_runtime(now_ms)).await;
    rig.approve("offer", "MARKETING", "Buy");
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.open_window(PERSON).await;
    let told = rig.engine.send(send_to("cust-1", template("offer"))).await.unwrap_err();
    assert_eq!(told.kind, ErrorKind::RateLimited);
    let mut patient = send_to("cust-1", template("offer"));
    patient.command.options.expires_at = Some(rig.engine.now().plus_ms(2 * 86_400_000));
    let patient = rig.engine.enqueue(patient).await.unwrap().outcome.id;
    let short = rig.engine.enqueue(send_to("cust-1", template("offer"))).await.unwrap().outcome.id;
    rig.engine.enqueue(send_to("cust-1", text("a reply"))).await.unwrap();
    let seen = saw(&rig, 1).await;
    assert_eq!(body_of(&seen[0]), "a reply", "only marketing waits");
    tokio::time::sleep(Duration::from_secs(86_000)).await;
    assert_eq!(rig.upstream.seen.lock().len(), 1);
    tokio::time::sleep(Duration::from_secs(1_000)).await;
    assert_eq!(rig.stored(patient).await.status, Status::Sent);
    assert_eq!(
        rig.stored(short).await.status,
        Status::Sent,
        "a day is a second longer than the cap"
    );
}

#[tokio::test(start_paused = true)]
async fn a_daily_limit_holds_bulk_back_and_nothing_else() {
    let rig = Rig::timed().await;
    let limited = Number { daily_limit: Some(250), ..number(1_000) };
    rig.engine.put_number(limited, PutMode::Replace).await.unwrap();
    rig.approve("offer", "MARKETING", "Buy");
    rig.approve("code", "AUTHENTICATION", "Code");
    dump(&rig, "offer", 400).await;
    saw(&rig, 225).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let pacing = rig.engine.pacing_of(&NumberId::new("number-1")).unwrap();
    assert_eq!((pacing.people_of_the_day, pacing.daily_limit), (Some(225), Some(250)));
    assert!(pacing.bulk_held_until.is_some());
    rig.engine.enqueue(send_to("cust-2", template("code"))).await.unwrap();
    let seen = saw(&rig, 226).await;
    assert_eq!((seen.len(), body_of(&seen[225])), (226, "code".to_owned()));
    tokio::time::sleep(Duration::from_secs(86_395)).await;
    assert!(rig.upstream.seen.lock().len() >= 226 + 100, "the next day goes on");
}

#[tokio::test(start_paused = true)]
async fn a_number_that_hangs_holds_up_no_other() {
    let rig = Rig::timed().await;
    let other = Number {
        id: NumberId::new("number-2"),
        phone_number_id: "100000000000003".to_owned(),
        display_phone: phone("15550009998"),
        ..number(1_000)
    };
    rig.engine.put_number(other, PutMode::Create).await.unwrap();
    rig.approve("offer", "MARKETING", "Buy");
    let closed = rig.upstream.gate.write().await;
    dump(&rig, "offer", 1_000).await;
    saw(&rig, 256).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.upstream.seen.lock().len(), 256, "calls of one number are bounded");
    rig.engine.enqueue(from_org("org-1", "number-2", PERSON, "offer")).await.unwrap();
    assert_eq!(saw(&rig, 257).await.len(), 257);
    drop(closed);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_cap_puts_the_message_off_for_a_day() {
    let rig = Rig::timed().await;
    rig.approve("offer", "MARKETING", "Buy");
    let failure = cap().retry_after_s(86_400);
    rig.upstream.next(SendOutcome::Refused(CallError { failure, class: RetryClass::Later }));
    let mut patient = send_to("cust-1", template("offer"));
    patient.command.options.expires_at = Some(rig.engine.now().plus_ms(2 * 86_400_000));
    rig.engine.enqueue(patient).await.unwrap();
    saw(&rig, 1).await;
    tokio::time::sleep(Duration::from_secs(86_390)).await;
    assert_eq!(rig.upstream.seen.lock().len(), 1);
    assert_eq!(rig.engine.pacing()[0].capped_people, 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(rig.upstream.seen.lock().len(), 2);
}
