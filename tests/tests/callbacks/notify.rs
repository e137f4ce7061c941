//! Addresses that a message's own request names.

use serde_json::{Value, json};
use waypost_tests::fixture::NUMBER_ID;

use crate::rig::{Callee, Org};

#[tokio::test]
async fn a_messages_own_address_gets_its_statuses_with_the_numbers_credential() {
    let org = Org::start().await;
    let (callee, other) = (Callee::fine().await, Callee::fine().await);
    let path = org.at(&format!("numbers/{NUMBER_ID}"));
    org.api.patch(&path, &json!({"notify_auth": {"blue": "Bearer a-token"}})).await.ok();
    for (text, url, auth) in [("mine", callee.url(), Some("blue")), ("without", other.url(), None)]
    {
        let mut message = json!({"to": "15550001111", "type": "text", "text": {"body": text},
            "notify_url": url, "biz_opaque_callback_data": text});
        if let Some(auth) = auth {
            message["notify_auth_id"] = json!(auth);
        }
        org.api.post(&org.at("messages"), &message).await.expect(202);
    }
    for (told, text, auth) in [(&callee, "mine", Some("Bearer a-token")), (&other, "without", None)]
    {
        let posts = told.posts(2).await;
        org.nothing_left().await;
        let kinds: Vec<Value> = posts.iter().map(|post| post.json()["type"].clone()).collect();
        assert_eq!(kinds, ["message.sent", "message.delivered"]);
        for post in posts {
            assert_eq!(post.json()["data"]["reference"], text);
            assert_eq!(post.header("authorization"), auth);
            assert!(
                post.header("webhook-id").is_some() && post.header("webhook-signature").is_none()
            );
        }
    }
}
