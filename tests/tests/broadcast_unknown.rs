//! Broadcasts whose upstream accepts a message and loses the reply: the caller waits for the member's
//! status as long as that of a single message would, and is told what is known then.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::fixture::{NUMBER_ID, WABA_ID};
use waypost_tests::mock_upstream::Deed;
use waypost_tests::signing::signature;
use waypost_tests::waypost::APP_SECRET;
use waypost_tests::{MockUpstream, Reply, Waypost, eventually};

const MEMBERS: usize = 4;

/// Accepts every message, but loses the replies to the first ones.
async fn losing(first: usize) -> (MockUpstream, Waypost) {
    let mock = MockUpstream::start().await;
    let mut calls = 0;
    mock.script(move |seen| {
        calls += usize::from(seen.path.ends_with("/messages"));
        let is_lost = seen.path.ends_with("/messages") && calls <= first;
        if is_lost { Deed::AcceptAndReset } else { Deed::Accept }
    });
    let waypost = Waypost::before(&mock).await;
    (mock, waypost)
}

/// Sends a template to everybody; the reply comes later.
fn broadcast(waypost: &Waypost) -> tokio::task::JoinHandle<Reply> {
    let hello = json!({"templateName": "hello_world", "sessionId": "camp-7", "components": [],
        "orgId": waypost.variable("WAYPOST_ORG_ID"), "userId": waypost.variable("WAYPOST_USER_ID")});
    let request = waypost.request(Method::POST, "/whatsapp/template/send");
    let request = request.header("X-API-KEY", waypost.variable("WAYPOST_API_KEY")).json(&hello);
    tokio::spawn(Reply::to(request))
}

/// Waits until every member has an outcome, and so many an unknown one.
async fn all_attempted(waypost: &Waypost, unknown: usize) {
    eventually("an outcome for everybody", async || {
        let log = waypost.log().await;
        let of = |status: &str| log.iter().filter(|message| message["status"] == status).count();
        (of("unknown") == unknown && of("sent") == MEMBERS - unknown).then_some(())
    })
    .await;
}

/// The upstream reports that it delivered a message of its ledger.
async fn deliver(waypost: &Waypost, message: &Value) {
    let status = json!({"id": message["wamid"], "status": "delivered", "timestamp": "1800000000",
        "recipient_id": message["to"],
        "biz_opaque_callback_data": message["biz_opaque_callback_data"]});
    let value = json!({"messaging_product": "whatsapp", "statuses": [status],
        "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID}});
    let event = json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": value}]}]});
    let body = event.to_string().into_bytes();
    let request = waypost.request(Method::POST, "/webhooks/meta");
    let request = request.header("X-Hub-Signature-256", signature(APP_SECRET, &body));
    Reply::to(request.body(body)).await.expect(200);
}

/// Each member's message id at the upstream, or the code of its error.
fn told(reply: Reply) -> Vec<String> {
    let elements = reply.expect(200).json();
    let told = |element: &Value| {
        let wamid = element["response"]["messages"][0]["id"].as_str();
        wamid.or_else(|| element["error"]["code"].as_str()).unwrap().to_owned()
    };
    elements.as_array().unwrap().iter().map(told).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_comes_late_settles_a_member_whose_reply_was_lost() {
    let (mock, waypost) = losing(2).await;
    let caller = broadcast(&waypost);
    all_attempted(&waypost, 2).await;
    let ledger = mock.ledger();
    for message in &ledger[..2] {
        deliver(&waypost, message).await;
    }
    let mut told = told(caller.await.unwrap());
    let mut accepted: Vec<String> =
        ledger.iter().map(|message| message["wamid"].as_str().unwrap().to_owned()).collect();
    told.sort();
    accepted.sort();
    assert_eq!(told, accepted, "everybody has it, and the caller is told so");
    assert_eq!(mock.accepted(), MEMBERS, "nothing is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_status_the_member_is_told_as_it_stands() {
    let (mock, waypost) = losing(2).await;
    let caller = broadcast(&waypost);
    all_attempted(&waypost, 2).await;
    // Of one of the two there is no word.
    deliver(&waypost, &mock.ledger()[0]).await;
    let told = told(caller.await.unwrap());
    let unknown = told.iter().filter(|told| *told == "upstream_result_unknown").count();
    assert_eq!((told.len(), unknown), (MEMBERS, 1), "{told:?}");
    assert_eq!(mock.accepted(), MEMBERS, "nothing is sent twice");
}
