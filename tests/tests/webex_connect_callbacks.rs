//! Rows 38 to 43 and 56 to 61 of the Webex Connect reference's table (§10): where receipts go and how
//! often, what the queue does while the upstream is away, and what a kill leaves. Time is moved, not
//! waited for.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::files::{JPEG, base64};
use waypost_tests::fixture::{NUMBER_ID, with, without};
use waypost_tests::receiver::Receiver;
use waypost_tests::signing::{hex, mac};
use waypost_tests::webex::{OPEN, PATH, Table, Webex, local, receipt, receipts};
use waypost_tests::{Reply, eventually};

const SECRET: &str = "callback-secret-of-the-tests";

/// The callbacks of a message that did not arrive, or not yet.
async fn callbacks(webex: &Webex, transid: &str, state: &str) -> Vec<Value> {
    let path = format!("/orgs/org-1/callbacks?message_id={transid}&state={state}");
    webex.fixture.admin().all(&path).await
}

/// The dead callback of a message, once there is one.
async fn dead(webex: &Webex, transid: &str) -> Value {
    let what = format!("a dead callback of {transid}");
    eventually(&what, async || callbacks(webex, transid, "dead").await.into_iter().next()).await
}

fn telling(body: Value, url: &str) -> Value {
    with(body, "/notifyurl", json!(url))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_38_to_41_post_where_the_caller_or_the_operator_says() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let row_38 = table.one("38", webex.post(&telling(webex.text("38"), "not a url"))).await;
    webex.settled(&row_38, "delivered").await;
    let padded = format!("  {}  ", webex.receiver.url("/dlr"));
    let id = table.one("39", webex.post(&telling(webex.text("39"), &padded))).await;
    webex.receipt("39", &id, "7500").await;
    let silent = without(webex.text("40"), "/notifyurl");
    let nowhere = table.one("40 (not set)", webex.post(&silent)).await;
    webex.settled(&nowhere, "delivered").await;
    // Whom an event is for is settled in the order of the log: with a later one's receipt it is.
    let later = table.one("39", webex.post(&telling(webex.text("39"), &padded))).await;
    webex.receipt("39", &later, "7500").await;

    let default = Receiver::start().await;
    let auth = json!({"crm": "Bearer crm-token", "default": "Basic ZGVmYXVsdA=="});
    let change = json!({"default_notify_url": default.url("/default"), "notify_auth": auth});
    webex.change_number(&change).await;
    let id = table.one("40", webex.post(&silent)).await;
    receipt(&default, "40", &id, "7500").await;
    let post = &default.seen()[0];
    let right = (post.path.as_str(), post.header("authorization"));
    table.check("40", right == ("/default", Some("Basic ZGVmYXVsdA==")), &format!("{right:?}"));
    // An address that cannot be used is no reason to use another.
    let row_38_again = table.one("38", webex.post(&telling(webex.text("38"), "not a url"))).await;
    webex.settled(&row_38_again, "delivered").await;

    let known = with(webex.text("41"), "/notifyurlAuthId", json!("crm"));
    let id = table.one("41", webex.post(&known)).await;
    webex.receipt("41", &id, "7500").await;
    for post in webex.receiver.such(|post| post["deliveryInfoNotification"]["transid"] == *id) {
        let shown = post.header("authorization");
        table.check("41", shown == Some("Bearer crm-token"), &format!("{shown:?}"));
    }
    let unknown = with(webex.text("41"), "/notifyurlAuthId", json!("nobody"));
    let parked = table.one("41 (unknown)", webex.post(&unknown)).await;
    webex.settled(&parked, "delivered").await;
    let callback = dead(&webex, &parked).await;
    let why = callback["last_error"].as_str().unwrap_or_default();
    table.check("41", why.contains("nobody"), &callback.to_string());
    // A later message's receipts have come, so those of the earlier ones would have come too.
    let last = table.one("38-41", webex.post(&webex.text("last"))).await;
    webex.receipt("38-41", &last, "7500").await;
    for id in [&row_38, &row_38_again, &nowhere, &parked] {
        let told = receipts(&webex.receiver, id).len() + receipts(&default, id).len();
        table.check("38-41", told == 0, &format!("{id} was told"));
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_42_retries_three_times_a_minute_apart_or_not_at_all() {
    let webex = Webex::new().await;
    let sandbox = webex.sandbox();
    let mut table = Table::default();
    // One receipt only: the message is too long.
    let long = webex.text(&"x".repeat(4_097));
    let failing = Receiver::start().await;
    failing.answers(&[500, 429, 201, 500, 500, 500]);
    let id = table.one("42", webex.post(&telling(long.clone(), &failing.url("/a")))).await;
    for posts in 1..=4 {
        eventually(&format!("post {posts}"), async || {
            (failing.seen().len() >= posts).then_some(())
        })
        .await;
        if posts < 4 {
            // What is not recorded as failed is not due either.
            eventually("a recorded try", async || {
                let waiting = callbacks(&webex, &id, "pending").await;
                (waiting.first()?["attempts"] == posts).then_some(())
            })
            .await;
            sandbox.advance(55).await;
            let waiting = callbacks(&webex, &id, "pending").await;
            table.check("42", waiting[0]["attempts"] == posts, "tried before its minute is over");
            sandbox.advance(6).await;
        }
    }
    let callback = dead(&webex, &id).await;
    table.check("42", callback["attempts"] == 4, &callback.to_string());
    let bodies: Vec<_> = failing.seen().into_iter().map(|post| post.body).collect();
    table.check("42", bodies.len() == 4, "not four posts");
    table.check("42", bodies.windows(2).all(|two| two[0] == two[1]), "the posts differ");
    for status in [404, 302, 202] {
        let row = format!("42 ({status})");
        let refusing = Receiver::start().await;
        refusing.answers(&[status]);
        let id = table.one(&row, webex.post(&telling(long.clone(), &refusing.url("/b")))).await;
        let callback = dead(&webex, &id).await;
        let seen = (&callback["attempts"], &callback["last_status"]);
        table.check(&row, seen == (&json!(1), &json!(status)), &callback.to_string());
        table.check(&row, refusing.seen().len() == 1, "more than one post");
    }
    table.end();
}

/// Ten minutes after, and ten minutes before, an instant in UTC.
fn ten_minutes_around(instant: &str) -> (String, String) {
    (instant.replace('Z', "-0:10"), instant.replace('Z', "+00:10"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_43_and_57_wait_for_the_upstream_as_long_as_they_may() {
    let webex = Webex::new().await;
    let sandbox = webex.sandbox();
    let mut table = Table::default();
    let id = table.one("43", webex.post(&webex.text("first"))).await;
    webex.receipt("43", &id, "7500").await;
    let now = webex.logged(&id).await["created_at"].as_str().unwrap().to_owned();
    let (later, earlier) = ten_minutes_around(&now);
    let past = with(webex.text("43"), "/expiry", json!(earlier));
    table.refused("43", webex.post(&past), "7005", "Request expired").await;
    let before = sandbox.ledger().await.len();

    sandbox.fault(&json!({}), &json!({"code": 131_016, "async": false})).await;
    let short = table.one("43", webex.post(&with(webex.text("43"), "/expiry", json!(later)))).await;
    let lasting = table.one("57", webex.post(&webex.text("57"))).await;
    for id in [&short, &lasting] {
        eventually("a try that failed", async || {
            let attempts = webex.logged(id).await["attempts"].as_array()?.len();
            (attempts > 0).then_some(())
        })
        .await;
    }
    table.check("57", webex.receipts(&lasting).is_empty(), "told before there is anything to tell");
    sandbox.advance(601).await;
    webex.receipt("43", &short, "7705").await;
    table.check("57", sandbox.ledger().await.len() == before, "something was sent");
    sandbox.clear_faults().await;
    eventually("row 57: a receipt 7501", async || {
        sandbox.advance(30).await;
        let told = webex.receipts(&lasting);
        told.iter().any(|it| it["deliveryInfo"]["code"] == "7501").then_some(())
    })
    .await;
    webex.receipt("57", &lasting, "7500").await;
    let sent = sandbox.ledger().await.split_off(before);
    let said: Vec<&Value> = sent.iter().map(|row| &row["message"]["text"]["body"]).collect();
    table.check("57", said == ["57"], &format!("{said:?}"));
    table.check("43", webex.receipts(&short).len() == 1, "more than one receipt");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_56_says_when_nothing_can_be_recorded() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let database = webex.fixture.waypost.data_dir();
    let file = std::fs::read_dir(&database).unwrap().filter_map(Result::ok).map(|it| it.path());
    let file = file.into_iter().find(|path| path.extension().is_some_and(|it| it == "db"));
    let store = rusqlite::Connection::open(file.expect("there is a database")).unwrap();
    let error = ("7006", "Internal error occurred");
    // Somebody else holds the store: another time it may be free.
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = table.refused_with("56 (busy)", webex.post(&webex.text("a")), 503, error).await;
    table.check("56 (busy)", busy.header("retry-after").is_some(), "no Retry-After");
    store.execute_batch("ROLLBACK").unwrap();
    table.one("56 (free again)", webex.post(&webex.text("b"))).await;
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON messages \
        BEGIN SELECT RAISE(ABORT, 'told to fail'); END";
    store.execute_batch(refuse).unwrap();
    let broken = table.refused_with("56", webex.post(&webex.text("c")), 500, error).await;
    table.check("56", broken.header("retry-after").is_none(), "Retry-After");
    eventually("the message that was recorded", async || {
        (!webex.sandbox().ledger().await.is_empty()).then_some(())
    })
    .await;
    let sent = webex.sandbox().ledger().await;
    let said: Vec<&Value> = sent.iter().map(|row| &row["message"]["text"]["body"]).collect();
    table.check("56", said == ["b"], &format!("{said:?}"));
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_59_and_60_sign_and_tell_what_people_write() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let signed = Receiver::start().await;
    let plain = &webex.receiver;
    let webhook = json!({"url": signed.url("/hook"), "shape": "webex_connect", "secret": SECRET});
    webex.fixture.admin().post("/orgs/org-1/webhooks", &webhook).await.ok();
    let id = table.one("59", webex.post(&webex.text("hi"))).await;
    receipt(&signed, "59", &id, "7500").await;
    webex.receipt("59", &id, "7500").await;
    for post in signed.seen() {
        let wanted = hex(&mac(SECRET, &post.body));
        let shown = post.header("x-hub-signature");
        table.check("59", shown == Some(wanted.as_str()), &format!("{shown:?}"));
    }
    let unsigned = plain.seen().iter().all(|post| post.header("x-hub-signature").is_none());
    table.check("59", unsigned, "signed without a secret");

    let settings = json!({"user_identity_change": {"enable_identity_key_check": true}});
    let path = format!("/v23.0/{NUMBER_ID}/settings");
    webex.sandbox().call(Method::POST, &path, Some(&settings)).await.ok();
    let image = json!({"mime_type": "image/jpeg", "data": base64(JPEG), "caption": "Hi"});
    webex.sandbox().inbound(&json!({"from": OPEN, "type": "image", "image": image})).await;
    let post = signed.first("an inbound image", |post| post["event"] == "MO").await.json();
    let attachments: Value = serde_json::from_str(post["attachments"].as_str().unwrap()).unwrap();
    let known = (&post["channel"], &post["appId"], &post["waid"], &post["message"]);
    let wanted = (&json!("WhatsApp"), &json!("a_100000000000000001"), &json!(OPEN), &json!("Hi"));
    table.check("60", known == wanted, &post.to_string());
    let identity = post["identityKeyHash"].as_str().unwrap();
    table.check("60", !identity.is_empty(), "no identity");
    let list = attachments.as_array().unwrap();
    table.check("60", list.len() == 1, &post.to_string());
    let one = (&list[0]["mime_type"], &list[0]["caption"]);
    table.check("60", one == (&json!("image/jpeg"), &json!("Hi")), &post.to_string());
    let url = list[0]["url"].as_str().unwrap();
    let path = url.strip_prefix(webex.fixture.waypost.url()).unwrap();
    let file = webex.fixture.waypost.get(path).await.expect(200);
    table.check("60", file.body == JPEG, "another file");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_61_sends_after_a_kill_exactly_what_was_queued() {
    let receiver = Receiver::start().await;
    let waypost = local().start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let (key, app) = (waypost.variable("WAYPOST_API_KEY"), waypost.variable("WAYPOST_APP_ID"));
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    waypost.sandbox().fault(&json!({}), &json!({"code": 131_016, "async": false})).await;
    let texts = ["ä first", "second \u{1F600}", "third"];
    let bodies: Vec<Value> = texts
        .iter()
        .map(|text| {
            json!({"appid": app, "destination": [{"waid": [phone]}], "correlationid": text,
                "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": text}}}},
                "notifyurl": receiver.url("/dlr")})
        })
        .collect();
    let request = waypost.request(Method::POST, PATH).header("key", &key).json(&bodies);
    let mut table = Table::default();
    let ids = table.judge_queued("61", &Reply::to(request).await, 3);
    // Killed between two tries: what is on its way when the power fails has its own tests.
    eventually("tries that failed", async || {
        let log = waypost.log().await;
        let ours: Vec<&Value> = log.iter().filter(|it| it["direction"] == "outbound").collect();
        for message in &ours {
            let path = format!("/orgs/{org}/messages/{}", message["id"].as_str()?);
            let message = waypost.admin().get(&path).await.ok().json();
            let rests = message["status"] == "queued";
            if !rests || message["attempts"].as_array()?.is_empty() {
                return None;
            }
        }
        (ours.len() == 3).then_some(())
    })
    .await;
    let waypost = waypost.kill().start().await;
    eventually("all messages", async || {
        waypost.sandbox().advance(30).await;
        (waypost.sandbox().ledger().await.len() == 3).then_some(())
    })
    .await;
    for (id, text) in ids.iter().zip(texts) {
        let told = receipt(&receiver, "61", id, "7500").await;
        table.check("61", told["correlationid"] == text, &told.to_string());
    }
    let ledger = waypost.sandbox().ledger().await;
    let mut said: Vec<&str> =
        ledger.iter().filter_map(|row| row["message"]["text"]["body"].as_str()).collect();
    said.sort_unstable();
    let mut wanted = texts.to_vec();
    wanted.sort_unstable();
    table.check("61", said == wanted, &format!("{said:?}"));
    table.end();
}
