//! Rows 54 to 59 of the LipaChat reference's table of test cases (§14), end to end: what the gateway
//! tells, join codes, and an upstream that refuses. `lipachat_table` has the other rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::files::{PNG, base64};
use waypost_tests::fixture::{NUMBER_ID, OTHER_KEY, with};
use waypost_tests::lipachat::Expected::{Refused, Sent, Spring};
use waypost_tests::lipachat::{KEY, LipaChat, SECRET, Table, is_exactly, path, text};
use waypost_tests::signing::signature;
use waypost_tests::wire::Request;
use waypost_tests::{MockUpstream, Options, Receiver, Reply, eventually};

const SENT: &str = "Message sent successfully";

fn is_signed(post: &Request) -> bool {
    post.method == "POST"
        && post.path == "/events"
        && post.header("content-type") == Some("application/json")
        && post.header("x-hub-signature-256") == Some(&signature(SECRET, &post.body))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_54_and_55_tell_what_people_write() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let receiver = Receiver::start().await;
    lipachat.tells("org-1", &receiver).await;
    let sandbox = lipachat.sandbox();
    sandbox.writes("15550001111", "is it ready?").await;
    let post = receiver.first("a text", |post| post["type"] == "TEXT").await;
    let told = post.json();
    let wanted = json!({"messageId": told["messageId"], "from": "15550001111",
        "to": "15550009999", "profileName": told["profileName"], "type": "TEXT",
        "text": "is it ready?"});
    let text = String::from_utf8_lossy(&post.body).into_owned();
    table.check("54", is_exactly(&text, &wanted), &text);
    let named = told["profileName"].is_string() && told["messageId"].is_string();
    table.check("54", named && is_signed(&post), &format!("{post:?}"));

    let image = json!({"data": base64(PNG), "mime_type": "image/png"});
    sandbox.inbound(&json!({"from": "15550001111", "type": "image", "image": image})).await;
    let post = receiver.first("a picture", |post| post["type"] == "IMAGE").await;
    let told = post.json();
    let url = told["image"]["url"].as_str().unwrap_or_default().to_owned();
    let wanted = json!({"caption": null, "url": url});
    table.check("55", is_exactly(&told["image"].to_string(), &wanted), &told.to_string());
    table.check("55", is_signed(&post), &format!("{post:?}"));
    let file = Reply::to(waypost_tests::client::http().get(&url)).await;
    table.check("55", file.status == 200 && file.body == PNG, &format!("{url}: {}", file.status));
    table.check("55", file.header("content-type") == Some("image/png"), "its type");
    let posts = receiver.such(|post| post["event"].is_null());
    table.check("54-55", posts.len() == 2, &format!("{} posts", posts.len()));
    table.end();
}

/// The table of §9.1: one event a card. What failed halfway is told again from the first.
#[tokio::test(flavor = "multi_thread")]
async fn cards_that_come_together_are_told_one_by_one() {
    let lipachat = LipaChat::new().await;
    let receiver = Receiver::start().await;
    lipachat.tells_of("org-1", &json!(["message.received"]), &receiver).await;
    receiver.answers(&[200, 500]);
    let card = |name: &str| json!({"name": {"formatted_name": name, "first_name": name}});
    let cards = json!([card("Ann"), card("Bob"), card("Cid")]);
    let message = json!({"from": "15550001111", "type": "contacts", "contacts": cards});
    lipachat.sandbox().inbound(&message).await;
    until_noted(&lipachat, &Value::Null).await;
    lipachat.sandbox().advance(10).await;
    until_heard(&lipachat).await;
    let seen = receiver.seen();
    let told: Vec<Value> = seen.iter().map(Request::json).collect();
    let names: Vec<&Value> =
        told.iter().map(|it| &it["contact"]["name"]["formattedName"]).collect();
    assert_eq!(names, ["Ann", "Bob", "Ann", "Bob", "Cid"]);
    assert_eq!((&told[0], &told[1]), (&told[2], &told[3]), "the same at every repetition");
    let ids: HashSet<&str> = told.iter().map(|it| it["messageId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3, "{told:?}");
    assert!(seen.iter().all(is_signed), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_56_tells_what_becomes_of_a_message() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let receiver = Receiver::start().await;
    lipachat.tells("org-1", &receiver).await;
    let body = text();
    let reply = table.row("56", lipachat.post(path::TEXT, &body), Sent(SENT)).await;
    let wamid = reply.json()["data"]["waId"].clone();
    lipachat.sandbox().settled(wamid.as_str().unwrap_or_default(), "delivered").await;
    lipachat.sandbox().status(&json!({"wamid": wamid, "status": "read"})).await;
    for (status, words) in
        [("SENT", "Message sent"), ("DELIVERED", "Message delivered"), ("READ", "Message read")]
    {
        let what = format!("{status} that is told");
        let post = receiver.first(&what, |post| post["messageStatus"]["status"] == status).await;
        let told = post.json();
        let wanted = json!({"event": "MESSAGE_STATUS", "messageStatus": {"waId": wamid,
            "messageId": body["messageId"],
            "conversationId": told["messageStatus"]["conversationId"],
            "status": status, "statusDesc": words}});
        let found = String::from_utf8_lossy(&post.body).into_owned();
        table.check("56", is_exactly(&found, &wanted), &found);
        table.check("56", is_signed(&post), &format!("{post:?}"));
    }
    let statuses: Vec<Value> = receiver.seen().iter().map(Request::json).collect();
    let statuses: Vec<&str> =
        statuses.iter().filter_map(|post| post["messageStatus"]["status"].as_str()).collect();
    table.check("56", statuses == ["SENT", "DELIVERED", "READ"], &format!("{statuses:?}"));

    let new = json!({"name": "told_note", "language": "en", "category": "MARKETING",
        "component": {"body": {"text": "We are open."}}});
    let made = table.ok("56", lipachat.post("/api/v1/template/15550009999", &new)).await;
    // Reviews take half a minute.
    lipachat.sandbox().advance(31).await;
    let is_told = |post: &Value| {
        let template = &post["templateStatus"];
        template["templateName"] == "told_note" && template["status"] == "APPROVED"
    };
    let told = receiver.first("an approval that is told", is_told).await.json();
    let wanted = json!({"event": "TEMPLATE_STATUS", "templateStatus": {"status": "APPROVED",
        "templateId": made["data"]["id"], "templateName": "told_note", "statusDescription": ""}});
    table.check("56 (template)", is_exactly(&told.to_string(), &wanted), &told.to_string());
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_57_tells_again_until_it_is_heard() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let receiver = Receiver::start().await;
    lipachat.tells_of("org-1", &json!(["message.received"]), &receiver).await;
    receiver.answers(&[500, 500]);
    lipachat.sandbox().writes("15550001111", "anybody there?").await;
    let posts = |count: usize| {
        let receiver = &receiver;
        eventually("the next attempt", async move || (receiver.seen().len() >= count).then_some(()))
    };
    posts(1).await;
    let mut last_at = Value::Null;
    // The shape's first two waits.
    for (wait_s, count) in [(10, 2), (30, 3)] {
        last_at = until_noted(&lipachat, &last_at).await;
        lipachat.sandbox().advance(wait_s).await;
        posts(count).await;
    }
    let seen = receiver.seen();
    let same = seen.iter().all(|post| post.body == seen[0].body && is_signed(post));
    table.check("57", same, &format!("{seen:?}"));
    // What was heard is not told again, however late it is.
    until_heard(&lipachat).await;
    lipachat.sandbox().advance(86_400).await;
    lipachat.sandbox().writes("15550003333", "the next one").await;
    posts(4).await;
    let texts: Vec<Value> =
        receiver.seen().iter().map(|post| post.json()["text"].clone()).collect();
    let wanted = ["anybody there?", "anybody there?", "anybody there?", "the next one"];
    table.check("57", texts == wanted, &format!("{texts:?}"));
    table.end();
}

/// The state of the organisation's only webhook.
async fn webhook_state(lipachat: &LipaChat) -> Value {
    let admin = lipachat.fixture.admin();
    let listed = admin.all("/orgs/org-1/webhooks").await;
    let id = listed[0]["id"].as_str().unwrap();
    admin.get(&format!("/orgs/org-1/webhooks/{id}")).await.ok().json()["state"].clone()
}

/// Until an attempt after the one that ended at `last_at` has failed; returns when it ended.
async fn until_noted(lipachat: &LipaChat, last_at: &Value) -> Value {
    eventually("an attempt that is written down", async || {
        let state = webhook_state(lipachat).await;
        let noted = state["last_status"] == 500 && state["last_at"] != *last_at;
        noted.then(|| state["last_at"].clone())
    })
    .await
}

async fn until_heard(lipachat: &LipaChat) {
    eventually("a callback that is heard", async || {
        let state = webhook_state(lipachat).await;
        (state["last_status"] == 200 && state["pending"] == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_58_opens_the_window_by_a_join_code() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let admin = lipachat.fixture.admin();
    let number = format!("/orgs/org-1/numbers/{NUMBER_ID}");
    admin.patch(&number, &json!({"shared": true})).await.ok();
    admin.patch("/orgs/org-2", &json!({"join_code": "elipa1"})).await.ok();
    let (owner, joined) = (Receiver::start().await, Receiver::start().await);
    lipachat.tells("org-1", &owner).await;
    lipachat.tells("org-2", &joined).await;
    let to = json!("15550007777");
    let send = |key: &str, body: &Value| {
        lipachat.keyless(Method::POST, path::TEXT).header("apiKey", key).json(body)
    };
    let shut = Refused(
        "The 24-hour session with this recipient is closed. Send a template message first.",
    );
    let early = with(text(), "/to", to.clone());
    table.row("58 (before)", send(OTHER_KEY, &early), shut).await;
    lipachat.sandbox().writes("15550007777", " ELIPA1 ").await;
    let told = joined.first("the code", |post| post["type"] == "TEXT").await.json();
    let holds = told["text"] == " ELIPA1 " && told["to"] == "15550009999";
    table.check("58", holds, &told.to_string());
    let body = with(text(), "/to", to.clone());
    let reply = table.row("58", send(OTHER_KEY, &body), Sent(SENT)).await;
    let sent = lipachat.sent(&reply).await;
    table.check("58", sent["message"]["to"] == "+15550007777", &sent.to_string());
    // The owner has no window of somebody who joined another organisation.
    let body = with(text(), "/to", to);
    table.row("58 (the owner)", send(KEY, &body), shut).await;
    lipachat.sandbox().writes("15550007777", "hello there").await;
    joined.first("what they write later", |post| post["text"] == "hello there").await;
    table.check("58", owner.such(|post| post["type"] == "TEXT").is_empty(), "the owner was told");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_58_works_with_the_demo() {
    let waypost = Options::new().start().await;
    let sandbox = waypost.sandbox();
    let stranger = "15550007777";
    let body = json!({"messageId": "m-1", "from": waypost.variable("WAYPOST_SENDER_PHONE"),
        "to": stranger, "message": "welcome"});
    let send = || {
        let request = waypost.request(Method::POST, path::TEXT);
        request.header("apiKey", waypost.variable("WAYPOST_API_KEY")).json(&body)
    };
    // What is new is treated kindly for a day.
    sandbox.advance(25 * 3_600).await;
    Reply::to(send()).await.expect(400);
    sandbox.writes(stranger, &waypost.variable("WAYPOST_JOIN_CODE")).await;
    let reply = eventually("an open session", async || {
        let reply = Reply::to(send()).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(reply.json()["data"]["status"], "SENT");
    let org = waypost.variable("WAYPOST_ORG_ID");
    let sessions = waypost.admin().all(&format!("/orgs/{org}/sessions")).await;
    let open = sessions.iter().any(|session| session["phone"] == stranger);
    assert!(open, "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_59_tells_of_limits_and_of_a_revoked_token() {
    let lipachat = LipaChat::new().await;
    let mut table = Table::default();
    let sandbox = lipachat.sandbox();
    let send = || lipachat.post(path::TEXT, &text());
    sandbox.fault(&json!({}), &json!({"code": 190})).await;
    table.row("59 (token)", send(), Spring(502, path::TEXT)).await;
    sandbox.clear_faults().await;
    table.row("59 (afterwards)", send(), Sent(SENT)).await;
    sandbox.fault(&json!({}), &json!({"code": 130_429})).await;
    let reply = table.row("59 (limit)", send(), Spring(429, path::TEXT)).await;
    let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    table.check("59", seconds.is_some_and(|seconds| seconds >= 1), "no Retry-After");
    table.check("59", sandbox.ledger().await.len() == 1, "something was accepted");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_59_tells_that_nobody_is_there() {
    let gone = MockUpstream::start().await.url();
    let waypost = Options::new().upstream(&gone).start().await;
    let body = json!({"messageId": "m-1", "from": waypost.variable("WAYPOST_SENDER_PHONE"),
        "to": waypost.variable("WAYPOST_CUSTOMER_PHONE"), "message": "hello"});
    let request = waypost.request(Method::POST, path::TEXT);
    let request = request.header("apiKey", waypost.variable("WAYPOST_API_KEY")).json(&body);
    let mut table = Table::default();
    let reply = table.row("59", request, Spring(503, path::TEXT)).await;
    let seconds = reply.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    table.check("59", seconds.is_some(), "no Retry-After");
    table.end();
}
