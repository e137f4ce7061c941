//! `kill -9` while callbacks are made (T18): none is lost; what was on its way comes again, with its
//! id; what one person wrote is told in order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use waypost_tests::client::http;
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::signing::signature;
use waypost_tests::waypost::APP_SECRET;
use waypost_tests::{MockUpstream, Reply, eventually};

use crate::rig::{Callee, Org, id, local, second_opinion, text};

const PEOPLE: usize = 12;
const EACH: usize = 25;
/// The process is killed when so many callbacks have come.
const KILLS_AT: [usize; 4] = [20, 90, 160, 240];

fn webhook(person: usize, serial: usize) -> Vec<u8> {
    let from = format!("1556{person:07}");
    let value = json!({"messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID},
        "contacts": [{"profile": {"name": "N"}, "wa_id": from}],
        "messages": [{"from": from, "id": format!("wamid.K{person:02}.{serial:02}"),
            "timestamp": "1700000000", "type": "text",
            "text": {"body": format!("{person:02} {serial:02}")}}]});
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": value}]}]})
    .to_string()
    .into_bytes()
}

/// One person writes on from where the upstream stands, until nobody takes it any more.
async fn write_on(url: String, person: usize, next: Arc<AtomicUsize>) {
    let client = http();
    loop {
        let serial = next.load(Ordering::Relaxed);
        if serial >= EACH {
            return;
        }
        let body = webhook(person, serial);
        let request = client.post(format!("{url}/webhooks/meta"));
        let request = request.header("X-Hub-Signature-256", signature(APP_SECRET, &body));
        match Reply::attempt(request.body(body)).await {
            Ok(reply) if reply.status == 200 => next.store(serial + 1, Ordering::Relaxed),
            _ => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_survive_kills_in_order_and_repeated_ones_keep_their_id() {
    let mock = MockUpstream::start().await;
    let mut org = Org::of(local().upstream(&mock.url()).start().await);
    let callee = Callee::fine().await;
    let secret = org.hears("crm", &callee.url()).await;
    let progress: Vec<_> = (0..PEOPLE).map(|_| Arc::new(AtomicUsize::new(0))).collect();
    for kill_at in KILLS_AT.into_iter().map(Some).chain([None]) {
        let mut writing = JoinSet::new();
        for (person, next) in progress.iter().enumerate() {
            writing.spawn(write_on(org.waypost.url().to_owned(), person, Arc::clone(next)));
        }
        let Some(kill_at) = kill_at else {
            writing.join_all().await;
            break;
        };
        callee.posts(kill_at).await;
        let options = org.waypost.kill();
        writing.join_all().await;
        org = Org::of(options.start().await);
    }
    assert!(progress.iter().all(|next| next.load(Ordering::Relaxed) == EACH));
    let posts = eventually("every event told", async || {
        let seen = callee.seen();
        let told: HashSet<String> = seen.iter().map(text).collect();
        (told.len() == PEOPLE * EACH).then_some(seen)
    })
    .await;
    org.nothing_left().await;
    let listed = org.api.all(&org.at("events?kind=message.received")).await;
    assert_eq!(listed.len(), PEOPLE * EACH, "each of them one event");
    judge_ids(&callee.seen(), &listed);
    judge_order(&posts);
    let verdicts = second_opinion(&posts, &secret).await;
    assert!(verdicts.iter().all(Option::is_none), "{verdicts:?}");
}

/// Whatever is told twice is the same event, and few are.
fn judge_ids(posts: &[waypost_tests::wire::Request], listed: &[Value]) {
    let mut ids: HashMap<String, HashSet<String>> = HashMap::new();
    for post in posts {
        ids.entry(text(post)).or_default().insert(id(post));
    }
    for event in listed {
        let said = event["data"]["message"]["text"]["body"].as_str().unwrap();
        let wanted = event["id"].as_str().unwrap().to_owned();
        assert_eq!(ids[said], HashSet::from([wanted]), "{said}");
    }
    let repeated = posts.len() - listed.len();
    // What was in memory at one kill: one window of the worker.
    assert!(repeated <= KILLS_AT.len() * 128, "{repeated} told again");
}

/// Of each person the first tellings come in the order of what was written.
fn judge_order(posts: &[waypost_tests::wire::Request]) {
    let mut next: HashMap<String, usize> = HashMap::new();
    for post in posts {
        let said = text(post);
        let (person, serial) = said.split_once(' ').unwrap();
        let serial: usize = serial.parse().unwrap();
        let next = next.entry(person.to_owned()).or_default();
        assert!(serial <= *next, "{said} before {next}");
        *next = (*next).max(serial + 1);
    }
}
