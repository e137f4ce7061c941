//! The first five minutes: what a start prints works when it is pasted, the message is on the
//! handset, and the reply comes back.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::shell::{bash, complaints, printed};
use waypost_tests::{Options, Reply, Waypost, eventually};

/// The command that stands below a comment in what the start printed.
fn command(output: &str, comment: &str) -> String {
    let lines = output.lines().skip_while(|line| !line.starts_with(comment)).skip(1);
    let lines: Vec<&str> = lines.take_while(|line| !line.trim().is_empty()).collect();
    assert!(!lines.is_empty(), "there is no command for `{comment}` in: {output}");
    lines.join("\n")
}

async fn paste(waypost: &Waypost, comment: &str) -> Value {
    let output = eventually("the commands to paste", async || {
        let output = waypost.output();
        output.contains("# a template").then_some(output)
    })
    .await;
    let pasted = bash(waypost.folder().path(), &command(&output, comment)).await;
    assert!(pasted.status.success(), "{}", complaints(&pasted));
    let text = printed(&pasted);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

async fn handset(waypost: &Waypost, phone: &str) -> Vec<Value> {
    let number = waypost.variable("WAYPOST_PHONE_NUMBER_ID");
    let path = format!("/_sandbox/handset/messages?phone={phone}&phone_number_id={number}");
    let shown = waypost.sandbox().call(Method::GET, &path, None).await.ok().json();
    shown["data"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_commands_work_when_pasted_and_show_on_the_handset() {
    let waypost = Waypost::start().await;
    let phone = waypost.variable("WAYPOST_CUSTOMER_PHONE");
    let text = paste(&waypost, "# a text").await;
    let picture = paste(&waypost, "# a picture").await;
    for reply in [&text, &picture] {
        assert_eq!(reply["messageType"], "human", "{reply}");
    }
    let template = paste(&waypost, "# a template").await;
    assert_eq!(template.as_array().map(Vec::len), Some(4), "{template}");
    let shown = handset(&waypost, &phone).await;
    let kinds: Vec<&str> = shown.iter().map(|bubble| bubble["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["text", "image", "template"]);
    assert_eq!(shown[0]["text"], "Hello from Waypost");
    assert_eq!(shown[1]["media"]["mime_type"], "image/png", "{}", shown[1]);
    let picture = shown[1]["media"]["url"].as_str().unwrap();
    let bytes = waypost.sandbox().call(Method::GET, picture, None).await.expect(200).body;
    assert!(bytes.starts_with(b"\x89PNG"));
    let rendered = shown[2]["template"]["body"].as_str().unwrap();
    assert!(rendered.contains("dear reader") && rendered.contains("A-1001"), "{rendered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_from_the_handset_comes_back_signed_and_is_the_user_s() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    waypost.send_text("Are you there?").await.expect(200);
    let reply = json!({"phone": waypost.variable("WAYPOST_CUSTOMER_PHONE"),
        "phone_number_id": waypost.variable("WAYPOST_PHONE_NUMBER_ID"), "text": "Yes, I am."});
    let sandbox = waypost.sandbox();
    sandbox.call(Method::POST, "/_sandbox/handset/send", Some(&reply)).await.ok();
    let logged = eventually("the reply in the log", async || {
        let path = format!("/orgs/{org}/messages?direction=inbound");
        waypost.admin().all(&path).await.into_iter().next()
    })
    .await;
    assert_eq!(logged["message_type"], "user");
    assert_eq!(logged["message"]["text"]["body"], "Yes, I am.");
    assert_eq!(logged["customer_id"], waypost.variable("WAYPOST_CUSTOMER_ID"));
    let webhooks = sandbox.call(Method::GET, "/_sandbox/webhooks", None).await.ok().json();
    assert_eq!(webhooks["url"], format!("{}/webhooks/meta", waypost.url()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_prints_addresses_and_ids_but_no_key() {
    let waypost = Waypost::start().await;
    let output = eventually("what a start prints", async || {
        let output = waypost.output();
        output.contains("# a template").then_some(output)
    })
    .await;
    for shown in [
        waypost.url().to_owned(),
        waypost.sandbox().url().to_owned(),
        waypost.variable("WAYPOST_ORG_ID"),
        waypost.variable("WAYPOST_USER_ID"),
        waypost.variable("WAYPOST_CUSTOMER_ID"),
        waypost.data_dir().display().to_string(),
    ] {
        assert!(output.contains(&shown), "{shown} is not in: {output}");
    }
    for hidden in ["WAYPOST_API_KEY", "WAYPOST_ADMIN_KEY", "WAYPOST_WEBHOOK_APP_SECRET"] {
        let secret = waypost.variable(hidden);
        assert!(!output.contains(&secret), "{hidden} is printed");
        assert!(!waypost.errors().contains(&secret), "{hidden} is logged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_with_a_blank_and_a_quote_in_its_name_can_be_pasted_too() {
    let folder = waypost_tests::waypost::new_folder();
    let data = folder.path().join("o'neil's data");
    let options = Options::new().env("WAYPOST_DATA_DIR", &data.display().to_string());
    let waypost = options.folder(&folder).start().await;
    let output = eventually("the commands to paste", async || {
        let output = waypost.output();
        output.contains("# a template").then_some(output)
    })
    .await;
    for comment in ["# a text", "# a picture", "# a template"] {
        let pasted = bash(folder.path(), &command(&output, comment)).await;
        let reply: Value = serde_json::from_str(&printed(&pasted)).unwrap_or_default();
        assert!(reply.is_object() || reply.is_array(), "{}", complaints(&pasted));
        assert!(reply["error"].is_null(), "{reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_face_of_the_gateway_answers() {
    let waypost = Waypost::start().await;
    assert_eq!(waypost.get("/healthz").await.expect(200).text().trim(), "ok");
    assert_eq!(waypost.get("/readyz").await.expect(200).json()["ready"], true);
    waypost.send_text("counted").await.expect(200);
    let metrics = waypost.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("waypost_messages_sent_total 1"), "{metrics}");
    let page = Reply::to(waypost.request(Method::GET, "/docs/")).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let document = waypost.get("/waypost/v1/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."), "{document}");
    let page = waypost.sandbox().call(Method::GET, "/", None).await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").is_some());
}
