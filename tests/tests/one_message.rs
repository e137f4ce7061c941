//! One message, sent through each dialect, is one and the same: in the log, at the upstream, and in the
//! callbacks of every shape, whichever dialect it came by.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::fixture::{Fixture, KEY, NUMBER_ID, text, with};
use waypost_tests::receiver::Receiver;
use waypost_tests::webex::{APP, OPEN, PATH, local};
use waypost_tests::wire::Request;
use waypost_tests::{Reply, eventually};

const SAID: &str = "One for all: ä 😀 https://example.com/";
const SOURCE: &str = "source-1";
const SHAPES: [&str; 5] = ["standard", "cloud_api", "lipachat", "webex_connect", "pepipost"];

/// Sends it through every dialect; returns the dialects' names.
async fn send_everywhere(fixture: &Fixture) -> BTreeSet<&'static str> {
    let post = |path: &str, body: &Value| fixture.waypost.request(Method::POST, path).json(body);
    let replyhero = with(text(), "/message/text/body", json!(SAID));
    let lipachat = json!({"messageId": "order-1", "from": "15550009999", "to": OPEN,
        "message": SAID});
    let webex = json!({"appid": APP, "destination": [{"waid": [OPEN]}],
        "channels": {"OTT-Messaging": {"wa": {"type": "text", "text": {"body": SAID}}}}});
    let pepipost = json!({"message": [{"recipient_whatsapp": OPEN, "source": SOURCE,
        "recipient_type": "individual", "message_type": "text",
        "type_text": [{"content": SAID}]}]});
    let own = json!({"number": NUMBER_ID, "to": OPEN, "type": "text", "text": {"body": SAID}});
    for request in [
        fixture.send(&replyhero),
        post("/api/v1/whatsapp/message/text", &lipachat).header("apiKey", KEY),
        post(PATH, &webex).header("key", KEY),
        post("/api/v2/message/", &pepipost).bearer_auth(KEY),
        fixture.admin().request(Method::POST, "/orgs/org-1/messages").json(&own),
    ] {
        Reply::to(request).await.ok();
    }
    BTreeSet::from(["replyhero", "lipachat", "webex_connect", "pepipost", "waypost"])
}

/// Whose status a callback tells, by our id or the upstream's, and which.
fn told(shape: &str, body: &Value) -> Vec<(String, String)> {
    let pair = |id: &Value, status: &Value| {
        let status = status.as_str().unwrap().trim_start_matches("message.").to_lowercase();
        (
            id.as_str().unwrap().to_owned(),
            if status == "submitted" { "sent".into() } else { status },
        )
    };
    match shape {
        "standard" => vec![pair(&body["data"]["message_id"], &body["type"])],
        "cloud_api" => {
            let status = &body["entry"][0]["changes"][0]["value"]["statuses"][0];
            vec![pair(&status["id"], &status["status"])]
        }
        "lipachat" => {
            let status = &body["messageStatus"];
            vec![pair(&status["waId"], &status["status"])]
        }
        "webex_connect" => {
            let receipt = &body["deliveryInfoNotification"];
            vec![pair(&receipt["transid"], &receipt["deliveryInfo"]["deliveryStatus"])]
        }
        _ => {
            let statuses = body["delivery_status"].as_array().unwrap().iter();
            statuses.map(|it| pair(&it["ncmessage_id"], &it["status"])).collect()
        }
    }
}

/// What a shape's address was told, with our ids.
fn told_to(
    shape: &str,
    posts: &[Request],
    ids: &BTreeMap<String, String>,
) -> BTreeSet<(String, String)> {
    let path = format!("/{shape}");
    let posts = posts.iter().filter(|post| post.path == path);
    let all = posts.flat_map(|post| told(shape, &post.json()));
    all.map(|(id, status)| (ids.get(&id).cloned().unwrap_or(id), status)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_the_same_whichever_dialect_it_comes_by() {
    let fixture = Fixture::with(local()).await;
    let admin = fixture.admin();
    let names = json!({"app_id": APP, "source_id": SOURCE});
    admin.patch(&format!("/orgs/org-1/numbers/{NUMBER_ID}"), &names).await.ok();
    let receiver = Receiver::start().await;
    for shape in SHAPES {
        let webhook = json!({"url": receiver.url(&format!("/{shape}")), "shape": shape});
        admin.post("/orgs/org-1/webhooks", &webhook).await.ok();
    }
    let dialects = send_everywhere(&fixture).await;
    let log = eventually("five delivered messages", async || {
        let mut log = admin.all("/orgs/org-1/messages").await;
        log.retain(|message| message["direction"] == "outbound");
        let arrived = log.iter().filter(|message| message["status"] == "delivered").count();
        (arrived == 5).then_some(log)
    })
    .await;

    let came_by: BTreeSet<&str> = log.iter().map(|it| it["dialect"].as_str().unwrap()).collect();
    assert_eq!(came_by, dialects);
    for message in &log {
        for name in ["number_id", "phone", "type", "message", "customer_id", "priority"] {
            assert_eq!(message[name], log[0][name], "{name} by {}", message["dialect"]);
        }
        assert_eq!(message["message"]["text"]["body"], SAID);
    }

    let mut upstream = fixture.waypost.sandbox().ledger().await;
    assert_eq!(upstream.len(), 5);
    for row in &mut upstream {
        let message = row["message"].as_object_mut().unwrap();
        message.shift_remove("biz_opaque_callback_data").expect("every attempt has its token");
        assert_eq!(message["text"]["body"], SAID);
    }
    let first = upstream[0]["message"].clone();
    for row in &upstream {
        assert_eq!(
            (&row["message"], &row["from"], &row["to"]),
            (&first, &upstream[0]["from"], &upstream[0]["to"])
        );
    }

    let text_of = |value: &Value| value.as_str().unwrap().to_owned();
    let ids: BTreeMap<String, String> =
        log.iter().map(|it| (text_of(&it["wamid"]), text_of(&it["id"]))).collect();
    let wanted: BTreeSet<(String, String)> = ids
        .values()
        .flat_map(|id| ["sent", "delivered"].map(|status| (id.clone(), status.to_owned())))
        .collect();
    for shape in SHAPES {
        eventually(&format!("all callbacks of {shape}"), async || {
            let told = told_to(shape, &receiver.seen(), &ids);
            let strange: Vec<_> = told.difference(&wanted).collect();
            assert!(strange.is_empty(), "{shape}: {strange:?}");
            (told == wanted).then_some(())
        })
        .await;
    }
}
