//! What the handset page fetches and hears: nothing from elsewhere, and every change that a control
//! call makes.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use rig::{NUMBER, OPEN, Rig, message};
use serde_json::{Value, json};

#[tokio::test]
async fn the_page_gets_no_address_of_a_file_that_is_not_here() {
    let mut rig = Rig::start().await;
    let refused = json!({"link": "http://127.0.0.1:9/inside.png"});
    let in_header = json!({"type": "button", "body": {"text": "?"},
        "header": {"type": "image", "image": refused},
        "action": {"buttons": [{"type": "reply", "reply": {"id": "1", "title": "Yes"}}]}});
    for (kind, content) in [("image", refused), ("interactive", in_header)] {
        let wamid = rig.sent(&message(OPEN, kind, content)).await;
        assert_eq!(rig.status_of(&wamid).await["errors"][0]["code"], 131_053);
    }
    let path = format!("/_sandbox/handset/messages?phone={OPEN}&phone_number_id={NUMBER}");
    let bubbles = rig.get(&path).await.1;
    for bubble in bubbles["data"].as_array().unwrap() {
        assert!(bubble["media"].is_object() && bubble["media"]["url"].is_null(), "{bubble}");
    }

    let stored = json!({"link": "https://example.com/good.png"});
    let wamid = rig.sent(&message(OPEN, "image", stored)).await;
    assert_eq!(rig.status_of(&wamid).await["status"], "sent");
    let url = rig.get(&path).await.1["data"][2]["media"]["url"].clone();
    assert!(url.as_str().unwrap().starts_with("/_sandbox/handset/media/"), "{url}");
}

#[tokio::test]
async fn the_pages_policy_lets_no_file_of_elsewhere_in() {
    let rig = Rig::start().await;
    let page = rig.http.get(&rig.base).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    let expected = "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:";
    assert_eq!(policy, expected);
}

#[tokio::test]
async fn an_open_page_hears_of_what_control_calls_change() {
    let rig = Rig::start().await;
    let calls = [
        ("POST", "clock/advance", json!({"seconds": 1})),
        ("POST", "numbers", json!({"display_phone_number": "15550008888"})),
        ("POST", "people", json!({"phone": OPEN, "name": "Anna"})),
        ("DELETE", "state", Value::Null),
    ];
    for (method, path, body) in calls {
        let events = format!("{}/_sandbox/handset/events", rig.base);
        let mut events = rig.http.get(events).send().await.unwrap();
        let method = method.parse().unwrap();
        let call = rig.call(method, &format!("/_sandbox/{path}")).json(&body);
        assert_eq!(call.send().await.unwrap().status(), 200, "{path}");
        let heard = tokio::time::timeout(std::time::Duration::from_secs(90), events.chunk()).await;
        let heard = heard.unwrap_or_else(|_| panic!("nothing was heard of {path}"));
        let heard = heard.unwrap().unwrap();
        assert_eq!(std::str::from_utf8(&heard).unwrap(), "event: change\ndata: null\n\n", "{path}");
    }
}
