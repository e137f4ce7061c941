//! Signatures and the change of secrets, judged by the Standard Webhooks project's own library.

use serde_json::json;

use crate::rig::{Callee, Org, second_opinion};

const ANN: &str = "15550001111";
const FORGED: &str = "No matching signature found";

#[tokio::test]
async fn while_secrets_rotate_both_are_good_and_then_only_the_new_one() {
    let org = Org::start().await;
    let callee = Callee::fine().await;
    let old = org.hears("crm", &callee.url()).await;
    let sandbox = org.waypost.sandbox();
    sandbox.writes(ANN, "before").await;
    callee.posts(1).await;
    let path = org.at("webhooks/crm/rotate-secret");
    let new = org.api.post(&path, &json!({"overlap_s": 3_600})).await.ok().json();
    let new = new["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    sandbox.writes(ANN, "between").await;
    callee.posts(2).await;
    let forged = Some(FORGED.to_owned());
    for (secret, wanted) in [(&old, [None, None]), (&new, [forged.clone(), None])] {
        assert_eq!(second_opinion(&callee.seen(), secret).await, wanted);
    }
    sandbox.advance(3_601).await;
    sandbox.writes(ANN, "after").await;
    let posts = callee.posts(3).await;
    for (secret, wanted) in [(&old, forged), (&new, None)] {
        assert_eq!(second_opinion(&posts[2..], secret).await, [wanted]);
    }
}

#[tokio::test]
async fn a_body_that_was_changed_on_its_way_is_noticed() {
    let org = Org::start().await;
    let callee = Callee::fine().await;
    let secret = org.webhook("crm", &callee.url(), json!({"header": "X-Team: blue"})).await;
    let trial = org.api.post(&org.at("webhooks/crm/test"), &json!({})).await.ok().json();
    assert_eq!(trial, json!({"status": 200, "error": null}));
    let post = callee.posts(1).await.remove(0);
    assert_eq!(post.header("x-team"), Some("blue"));
    assert_eq!(post.header("content-type"), Some("application/json"));
    let mut forged = post.clone();
    let last = forged.body.len() - 2;
    forged.body[last] = b' ';
    let mut moved = post.clone();
    moved.headers.retain(|(name, _)| name != "webhook-id");
    moved.headers.push(("webhook-id".to_owned(), "evt_other".to_owned()));
    let verdicts = second_opinion(&[post, forged, moved], &secret).await;
    assert_eq!(verdicts, [None, Some(FORGED.to_owned()), Some(FORGED.to_owned())]);
    let shown = org.api.get(&org.at("webhooks")).await.ok().text();
    assert!(
        !shown.contains("whsec_") && !shown.contains("blue"),
        "secrets are write-only: {shown}"
    );
}
