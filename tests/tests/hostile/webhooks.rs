//! Webhooks that are forged, replayed, cut off or out of order (T11, T13): what is not Meta's is
//! refused and leaves nothing, and what is Meta's counts once, whenever and how often it comes.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::signing::signature;
use waypost_tests::{Options, Reply, Waypost, eventually};

const WEBHOOK: &str = "/webhooks/meta";
const PERSON: &str = "15550001111";

fn envelope(value: Value) -> Vec<u8> {
    let mut value = value;
    value["messaging_product"] = "whatsapp".into();
    value["metadata"] =
        json!({"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID});
    let change = json!({"field": "messages", "value": value});
    let entry = json!({"id": WABA_ID, "changes": [change]});
    json!({"object": "whatsapp_business_account", "entry": [entry]}).to_string().into_bytes()
}

fn written(wamid: &str, text: &str) -> Vec<u8> {
    envelope(json!({"contacts": [{"profile": {"name": "Ann"}, "wa_id": PERSON}],
        "messages": [{"from": PERSON, "id": wamid, "timestamp": "1700000000", "type": "text",
            "text": {"body": text}}]}))
}

fn status(wamid: &str, status: &str, at_s: u64) -> Vec<u8> {
    envelope(json!({"statuses": [{"id": wamid, "status": status, "timestamp": at_s.to_string(),
        "recipient_id": PERSON}]}))
}

async fn post(waypost: &Waypost, body: &[u8], signature: &str) -> u16 {
    let request = waypost.request(Method::POST, WEBHOOK).header("X-Hub-Signature-256", signature);
    Reply::to(request.body(body.to_vec())).await.status
}

async fn post_signed(waypost: &Waypost, body: &[u8]) {
    let secret = waypost.variable("WAYPOST_WEBHOOK_APP_SECRET");
    assert_eq!(post(waypost, body, &signature(&secret, body)).await, 200);
}

/// Everything that came from people, once a last word of theirs is there.
async fn inbound(waypost: &Waypost) -> Vec<Value> {
    let last = format!("wamid.LAST{}", waypost.log().await.len());
    post_signed(waypost, &written(&last, "last")).await;
    let log = eventually("the last word", async || {
        let log = waypost.log().await;
        log.iter().any(|message| message["wamid"] == last).then_some(log)
    })
    .await;
    let came = |it: &Value| it["direction"] == "inbound" && it["wamid"] != last;
    log.into_iter().filter(came).collect()
}

/// Posts what nobody signed for; tells what was believed.
async fn believed(waypost: &Waypost) -> Vec<String> {
    let secret = waypost.variable("WAYPOST_WEBHOOK_APP_SECRET");
    let body = written("wamid.FORGED", "forged");
    let right = signature(&secret, &body);
    let mut believed = Vec::new();
    let mut offer = async |what: String, body: &[u8], signature: &str| {
        let status = post(waypost, body, signature).await;
        if status != 401 {
            believed.push(format!("{what}: {status}"));
        }
    };
    for kept in [16, 32, 63] {
        let digits = "sha256=".len() + kept;
        let forged = format!("{}{}", &right[..digits], "0".repeat(64 - kept));
        if forged != right {
            offer(format!("the first {kept} digits are right"), &body, &forged).await;
        }
    }
    for place in (0..body.len()).step_by(7) {
        let mut flipped = body.clone();
        flipped[place] ^= 1;
        offer(format!("byte {place} is another"), &flipped, &right).await;
    }
    for length in (0..body.len()).step_by(13) {
        offer(format!("cut off after {length}"), &body[..length], &right).await;
    }
    offer("two of them".to_owned(), &[&body[..], &body].concat(), &right).await;
    offer("another secret".to_owned(), &body, &signature("another", &body)).await;
    let came = inbound(waypost).await;
    believed.extend(came.iter().map(|message| format!("it is in the log: {message}")));
    believed
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_what_meta_did_not_sign_is_refused_and_leaves_nothing() {
    let believed = believed(&Waypost::start().await).await;
    assert!(believed.is_empty(), "{believed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_where_only_the_beginning_of_a_signature_counts_the_check_fails() {
    let planted = Options::new().env("WAYPOST_PLANTED_BUG", "signature-prefix");
    let believed = believed(&planted.start().await).await;
    assert!(believed.iter().any(|told| told.contains("digits are right")), "{believed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t11_a_replayed_webhook_counts_once_however_it_is_cut_up() {
    let waypost = Waypost::start().await;
    for round in 0..3 {
        for wamid in ["wamid.A", "wamid.B", "wamid.C"] {
            post_signed(&waypost, &written(wamid, "again")).await;
        }
        let messages = ["wamid.C", "wamid.A"].map(|wamid| {
            json!({"from": PERSON, "id": wamid, "timestamp": "1700000000", "type": "text",
                "text": {"body": "again"}})
        });
        post_signed(&waypost, &envelope(json!({"messages": messages, "round": round}))).await;
    }
    let came = inbound(&waypost).await;
    let wamids: BTreeSet<&str> = came.iter().filter_map(|it| it["wamid"].as_str()).collect();
    assert_eq!(came.len(), 3, "{came:#?}");
    assert_eq!(wamids.into_iter().collect::<Vec<_>>(), ["wamid.A", "wamid.B", "wamid.C"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_statuses_in_every_order_end_alike() {
    let waypost = Waypost::start().await;
    let sandbox = waypost.sandbox();
    let org = waypost.variable("WAYPOST_ORG_ID");
    let words = ["sent", "delivered", "read"];
    let mut ids = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let reply = waypost.send_text(&format!("{order:?}")).await.expect(200).json();
        let wamid = reply["response"]["messages"][0]["id"].as_str().unwrap().to_owned();
        for place in order.into_iter().chain(order) {
            let at_s = 1_700_000_000 + place as u64;
            post_signed(&waypost, &status(&wamid, words[place], at_s)).await;
        }
        ids.push((order, reply["id"].as_str().unwrap().to_owned(), wamid));
    }
    for (order, id, wamid) in ids {
        sandbox.settled(&wamid, "delivered").await;
        let path = format!("/orgs/{org}/messages/{id}");
        eventually(&format!("{order:?} being read"), async || {
            let message = waypost.admin().get(&path).await.expect(200).json();
            (message["status"] == "read").then_some(())
        })
        .await;
    }
}
