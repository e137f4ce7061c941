//! Rows 58 to 60, and the end of a message's time: what is received is not lost, whoever is away.

use reqwest::Method;
use rusqlite::Connection;
use serde_json::{Value, json};
use waypost_tests::binary::free_address;
use waypost_tests::fixture::{NUMBER_ID, WABA_ID, with};
use waypost_tests::mock_upstream::Deed;
use waypost_tests::receiver::Receiver;
use waypost_tests::signing::signature;
use waypost_tests::waypost::APP_SECRET;
use waypost_tests::{MockUpstream, Reply, Waypost, eventually};

use crate::desk::{Desk, SECRET, SEND, elements, local, place, template, text};
use crate::table::Table;

/// What a receipt says beside whom it is about.
fn told_of(receipts: &[Value], id: &str) -> Vec<String> {
    let of = receipts.iter().filter(|receipt| receipt["ncmessage_id"] == id);
    of.map(ToString::to_string).collect()
}

fn statuses_of(receipts: &[Value], id: &str) -> Vec<String> {
    let of = receipts.iter().filter(|receipt| receipt["ncmessage_id"] == id);
    of.map(|receipt| receipt["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_58_tells_a_receiver_that_was_away_in_order() {
    let desk = Desk::unheard().await;
    let mut table = Table::of(&desk);
    let address = free_address();
    desk.tell(&format!("http://{address}/events")).await;
    let mut ids = Vec::new();
    for body in [text(), place(), template()] {
        ids.push(table.accepts("58", desk.send(&body)).await);
    }
    // Nobody listens: the first try fails.
    eventually("a call that found nobody", async || {
        let state = desk.webhook_state().await;
        (state["pending"].as_u64()? >= 6 && state["last_error"].is_string()).then_some(())
    })
    .await;
    // Somebody listens who is not well: the second try fails too, ten seconds later.
    let receiver = Receiver::at(address).await;
    receiver.answers(&[503]);
    eventually("the second try", async || {
        desk.sandbox().advance(1).await;
        (!receiver.seen().is_empty()).then_some(())
    })
    .await;
    let refused = elements(&receiver, "delivery_status");
    eventually("every receipt", async || {
        desk.sandbox().advance(5).await;
        let told = elements(&receiver, "delivery_status").split_off(refused.len());
        let all = ids.iter().all(|id| statuses_of(&told, id).contains(&"delivered".to_owned()));
        all.then_some(())
    })
    .await;
    eventually("nothing left to tell", async || {
        (desk.webhook_state().await["pending"] == 0).then_some(())
    })
    .await;
    let told = elements(&receiver, "delivery_status").split_off(refused.len());
    table.check("58", !refused.is_empty(), "the refused post was empty");
    for id in &ids {
        let in_order = statuses_of(&told, id) == ["sent", "delivered"];
        table.check("58", in_order, &format!("{:?}", statuses_of(&told, id)));
        let again = told_of(&told, id);
        let same = told_of(&refused, id).iter().all(|entry| again.contains(entry));
        table.check("58", same, &format!("{refused:?}, then {told:?}"));
    }
    for post in receiver.seen() {
        let right = signature(SECRET, &post.body);
        let signed = post.header("x-hub-signature-256") == Some(right.as_str());
        table.check("58", signed, "a wrong signature");
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_59_says_that_nothing_can_be_recorded() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let database = Connection::open(desk.database()).unwrap();
    database.busy_timeout(waypost_tests::wait::LIVENESS).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let technical = ("8005", "Technical error occurred");
    table.refuses("59", desk.send(&text()), 503, technical).await;
    let entry = json!({"recipient": "15550005555", "source": "WEB"});
    let optin = json!({"type": "optin", "recipients": [entry]});
    let consent = desk.post("/api/v2/consent/manage/", &optin);
    let words = ("8005", "Error occurred while updating optin for mobilenumber");
    table.refuses("59", consent, 503, words).await;
    database.execute_batch("ROLLBACK").unwrap();
    table.check("59", desk.sandbox().ledger().await.is_empty(), "it was sent");
    let id = table.accepts("59", desk.send(&text())).await;
    table.told("59", &id, "delivered").await;
    table.check("59", desk.sandbox().ledger().await.len() == 1, "the refused one was sent too");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_time_ends_in_the_queue_fails() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let busy = json!({"code": 2, "status": 503});
    desk.sandbox().fault(&json!({}), &busy).await;
    let short = with(text(), "/message/0/ttl", json!("0.5"));
    let id = table.accepts("3 ttl", desk.send(&short)).await;
    let other = table.accepts("3 ttl", desk.send(&with(text(), "/message/0/ttl", json!(31)))).await;
    desk.sandbox().advance(13 * 3_600).await;
    table.fails("3 ttl", &id, "8005: Technical error occurred (expired)").await;
    desk.sandbox().clear_faults().await;
    eventually("the other message upstream", async || {
        desk.sandbox().advance(60).await;
        (desk.sandbox().ledger().await.len() == 1).then_some(())
    })
    .await;
    table.told("3 ttl", &other, "sent").await;
    table.end();
}

/// A gateway whose upstream has no time for five seconds.
async fn before(mock: &MockUpstream, receiver: &Receiver) -> Waypost {
    let later = vec![("retry-after", "5".to_owned())];
    mock.messages_meet(Deed::CodeWith(429, 130_429, later));
    let waypost = local().upstream(&mock.url()).start().await;
    let org = format!("/orgs/{}", waypost.variable("WAYPOST_ORG_ID"));
    let webhook = json!({"url": receiver.url("/events"), "shape": "pepipost", "secret": SECRET});
    waypost.admin().post(&format!("{org}/webhooks"), &webhook).await.ok();
    waypost
}

/// Waits until every call that reached the upstream has its outcome recorded: the number is held
/// back then.
async fn until_held_back(waypost: &Waypost, mock: &MockUpstream, ids: &[String]) {
    let org = waypost.variable("WAYPOST_ORG_ID");
    eventually("a number that is held back", async || {
        let mut recorded = 0;
        for id in ids {
            let message = waypost.admin().get(&format!("/orgs/{org}/messages/{id}")).await;
            let message = message.expect(200).json();
            if message["status"] != "queued" {
                return None;
            }
            recorded += message["attempts"].as_array()?.len();
        }
        (recorded > 0 && recorded == mock.message_calls()).then_some(())
    })
    .await;
}

async fn report(waypost: &Waypost, wamid: &Value, status: &str) {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
    let event = json!({"object": "whatsapp_business_account", "entry": [{"id": WABA_ID,
        "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550009999", "phone_number_id": NUMBER_ID},
            "statuses": [{"id": wamid, "status": status, "timestamp": now,
                "recipient_id": "15550001111"}]}}]}]});
    let body = event.to_string().into_bytes();
    let request = waypost.request(Method::POST, "/webhooks/meta");
    let request = request.header("X-Hub-Signature-256", signature(APP_SECRET, &body));
    Reply::to(request.body(body)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_60_sends_after_a_kill_what_was_received_before() {
    let (mock, receiver) = (MockUpstream::start().await, Receiver::start().await);
    let waypost = before(&mock, &receiver).await;
    let mut ids = Vec::new();
    for serial in 0..5 {
        let body = with(text(), "/message/0/type_text/0/content", json!(format!("n{serial}")));
        let source = json!(waypost.variable("WAYPOST_SOURCE_ID"));
        let body = with(body, "/message/0/source", source);
        let request = waypost.request(Method::POST, SEND).json(&body);
        let request = request.bearer_auth(waypost.variable("WAYPOST_API_KEY"));
        let reply = Reply::to(request).await.expect(200).json();
        ids.push(reply["data"]["id"].as_str().unwrap().to_owned());
    }
    until_held_back(&waypost, &mock, &ids).await;
    let options = waypost.kill();
    assert_eq!(mock.accepted(), 0);
    mock.messages_meet(Deed::Accept);
    let waypost = options.start().await;
    let receipt = async |id: &str, status: &str| {
        eventually(&format!("{status} of {id}"), async || {
            let told = elements(&receiver, "delivery_status");
            told.into_iter().find(|it| it["ncmessage_id"] == id && it["status"] == status)
        })
        .await
    };
    for id in &ids {
        receipt(id, "sent").await;
    }
    let ledger = mock.ledger();
    let mut bodies: Vec<&str> =
        ledger.iter().map(|it| it["text"]["body"].as_str().unwrap()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["n0", "n1", "n2", "n3", "n4"], "each was sent once");
    for message in &ledger {
        report(&waypost, &message["wamid"], "delivered").await;
    }
    for id in &ids {
        let told = receipt(id, "delivered").await;
        assert_eq!(told["source"], waypost.variable("WAYPOST_SOURCE_ID"));
    }
    for post in receiver.seen() {
        let right = signature(SECRET, &post.body);
        assert_eq!(post.header("x-hub-signature-256"), Some(right.as_str()));
    }
}
