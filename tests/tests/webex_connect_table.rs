//! The rows of the Webex Connect reference's table of test cases (§10) in which time stands still, end
//! to end: the real binary, the sandbox as its upstream, receipts at a receiver on this machine. The
//! others: `webex_connect_callbacks.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::fixture::{with, without};
use waypost_tests::signing::mac;
use waypost_tests::webex::{
    APP, CLOSED, KEY, OPEN, PATH, SERVICE, SERVICE_SECRET, Table, Webex, to,
};
use waypost_tests::{Reply, eventually};

const WA: &str = "/channels/OTT-Messaging/wa";
const AUTHENTICATION: (&str, &str) = ("7001", "Authentication failed.");
const NO_RECIPIENT: &str =
    "any one of [customerid,msisdn,email, userid,pushid,psid, etc.] is mandatory";

fn at(rest: &str) -> String {
    format!("{WA}{rest}")
}

/// A token by a second hand: nothing of the product is used.
fn token(algorithm: &str, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": algorithm, "typ": "JWT"})), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(mac(secret, signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_1_to_7_recognise_callers() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let video = webex.video();
    let id = table.one("1", webex.post(&video)).await;
    let submitted = webex.receipt("1", &id, "7501").await;
    let delivered = webex.receipt("1", &id, "7500").await;
    let time = submitted["deliveryInfo"]["timeStamp"].clone();
    let wanted = json!({"subtid": "", "deliveryInfo": {"deliveryChannel": "whatsapp",
        "Description": "Submitted", "destinationType": "waid", "timeStamp": time, "code": "7501",
        "additionalInfo": "", "deliveryStatus": "Submitted", "destination": OPEN,
        "identityKeyHash": ""}, "correlationid": "job-9", "callbackData": "any text",
        "transid": id});
    let (told, expected) = (submitted.to_string(), wanted.to_string());
    table.check("1", told == expected, &told);
    let words = (&delivered["deliveryInfo"]["Description"], &delivered["correlationid"]);
    table.check("1", words == (&json!("Delivered"), &json!("job-9")), &delivered.to_string());
    let sent = webex.sent(&id).await;
    let link = webex.media.url("/clip.mp4");
    table.check("1", sent["video"]["link"] == link.as_str(), &sent.to_string());

    let slash = webex.fixture.waypost.request(Method::POST, &format!("{PATH}/"));
    table.one("2", slash.header("key", KEY).json(&video)).await;
    table.one("3", webex.keyless(&video).bearer_auth(KEY)).await;
    let (code, text) = AUTHENTICATION;
    table.refused("4", webex.post(&video).bearer_auth("wp_wrong"), code, text).await;
    let beside = webex.keyless(&video).header("key", "wp_wrong").bearer_auth(KEY);
    table.one("5", beside).await;
    table.refused("6", webex.keyless(&video), "7002", "Service Key Missing").await;
    let blank = webex.keyless(&video).header("key", " ");
    table.refused("6 (blank)", blank, "7002", "Service Key Missing").await;
    let basic = webex.post(&video).basic_auth("user", Some("password"));
    table.one("6 (another scheme counts as none)", basic).await;
    table.refused("7", webex.keyless(&video).header("key", "wp_wrong"), code, text).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_8_takes_tokens_of_a_service() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let text = webex.text("hello");
    let now = now_s();
    let month = 30 * 86_400;
    let ask = |token: &str| webex.keyless(&text).bearer_auth(token);
    let claims = json!({"iss": SERVICE, "iat": now});
    table.one("8", ask(&token("HS256", &claims, SERVICE_SECRET))).await;
    let lasting = with(claims.clone(), "/exp", json!(now + month));
    table.one("8 (exp)", ask(&token("HS256", &lasting, SERVICE_SECRET))).await;
    let (code, words) = AUTHENTICATION;
    for (what, bad) in [
        ("no algorithm", token("none", &claims, SERVICE_SECRET)),
        ("another algorithm", token("HS512", &claims, SERVICE_SECRET)),
        ("expired", token("HS256", &with(claims.clone(), "/exp", json!(now - 10)), SERVICE_SECRET)),
        (
            "ahead",
            token("HS256", &with(claims.clone(), "/iat", json!(now + month)), SERVICE_SECRET),
        ),
        ("no iat", token("HS256", &without(claims.clone(), "/iat"), SERVICE_SECRET)),
        ("another service", token("HS256", &json!({"iss": "x", "iat": now}), SERVICE_SECRET)),
        ("another secret", token("HS256", &claims, "another-secret-of-it")),
        ("unsigned", format!("{}.", token("HS256", &claims, "").rsplit_once('.').unwrap().0)),
    ] {
        table.refused(&format!("8 ({what})"), ask(&bad), code, words).await;
    }
    // Callers go by the machine's clock, however far the sandbox's was advanced.
    webex.sandbox().advance(2 * 86_400).await;
    let brief = with(claims, "/exp", json!(now_s() + 600));
    let template = webex.keyless(&webex.template());
    table.one("8 (advanced)", template.bearer_auth(token("HS256", &brief, SERVICE_SECRET))).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_9_to_25_refuse_what_has_no_form() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let video = webex.video();
    let seed = "{\"deliverychannel\": \"whatsapp\", // Mandatory.\n\"appid\": \"a\"}";
    for body in ["{\"deliverychannel\":", "", seed, "{{}}"] {
        table.refused("9", webex.post_bytes(body), "7000", "Invalid JSON").await;
    }
    for body in ["\"x\"", "[]", "[1]"] {
        table.refused("10", webex.post_bytes(body), "7003", "Mandatory parameters missing").await;
    }
    let (app, no_app) = ("Mandatory parameter missing: appid", without(video.clone(), "/appid"));
    table.refused("12", webex.post(&json!([video, no_app])), "7003", app).await;
    let missing = |name: &str| format!("param '{name}' missing for channel whatsapp");
    let invalid = |name: &str| format!("Invalid parameter: {name}");
    let cases = [
        (
            "14",
            with(video.clone(), "/deliverychannel", json!("sms")),
            "7004",
            invalid("deliverychannel"),
        ),
        ("15", no_app, "7003", app.to_owned()),
        ("15", with(video.clone(), "/appid", json!("a_9")), "7104", "Invalid app id".to_owned()),
        ("16", without(video.clone(), "/destination"), "7003", NO_RECIPIENT.to_owned()),
        ("16", with(video.clone(), "/destination", json!([])), "7003", NO_RECIPIENT.to_owned()),
        (
            "16",
            with(video.clone(), "/destination/0/waid", json!([])),
            "7003",
            NO_RECIPIENT.to_owned(),
        ),
        (
            "16",
            with(video.clone(), "/destination/0/waid", json!([""])),
            "7003",
            NO_RECIPIENT.to_owned(),
        ),
        ("20", without(video.clone(), "/channels"), "7003", missing("OTT-Messaging")),
        ("20", without(video.clone(), WA), "7003", missing("wa")),
        ("21", without(video.clone(), &at("/type")), "7003", missing("type")),
        ("21", without(video.clone(), &at("/video")), "7003", missing("video")),
        ("22", with(video.clone(), &at("/type"), json!("image")), "7003", missing("image")),
        ("23", without(video.clone(), &at("/video/url")), "7003", missing("url")),
        ("23", without(video.clone(), &at("/video/mimeType")), "7003", missing("mimeType")),
        ("24", with(video.clone(), &at("/video/url"), json!(5)), "7004", invalid("url")),
        ("24", with(video.clone(), &at("/video/url"), json!("ftp://x/y")), "7004", invalid("url")),
        ("25", with(video.clone(), &at("/type"), json!("reaction")), "7004", invalid("type")),
        ("44", with(video.clone(), "/priority", json!("9")), "7004", invalid("priority")),
        ("43", with(video.clone(), "/expiry", json!("soon")), "7004", invalid("expiry")),
        (
            "43",
            with(video.clone(), "/expiry", json!("2026-01-01T00:00:00.000Z")),
            "7005",
            "Request expired".to_owned(),
        ),
        (
            "47",
            with(webex.template(), "/message/template", json!("1999")),
            "7108",
            "Invalid template ID".to_owned(),
        ),
        (
            "47",
            with(webex.template(), "/message/template", json!("no_such")),
            "7108",
            "Invalid template ID".to_owned(),
        ),
        ("47", without(webex.template(), "/message/template"), "7003", missing("template")),
    ];
    for (row, body, code, words) in &cases {
        table.refused(row, webex.post(body), code, words).await;
    }
    let log = webex.fixture.admin().all("/orgs/org-1/messages?direction=outbound").await;
    let ours = log.iter().filter(|message| message["dialect"] == "webex_connect").count();
    table.check("9-47", ours == 0, "something refused is in the log");
    table.check("9-47", webex.sandbox().ledger().await.is_empty(), "something was sent");
    // The setting for clients that look at the body only.
    webex.change_number(&json!({"errors_as_200": true})).await;
    for (row, body, code, words) in cases.iter().filter(|case| case.0 == "14" || case.0 == "44") {
        table.refused_with(row, webex.post(body), 200, (code, words)).await;
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_11_to_19_queue_one_message_for_each_recipient() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let video = webex.video();
    let array = json!([webex.text("first"), webex.text("second")]);
    let ids = table.queued("11", webex.post(&array), 2).await;
    for (id, said) in ids.iter().zip(["first", "second"]) {
        let body = webex.logged(id).await["message"]["text"]["body"].clone();
        table.check("11", body == said, &body.to_string());
    }
    table.one("13", webex.post(&without(video.clone(), "/deliverychannel"))).await;
    for (what, destination) in [
        ("bare waid", json!([{"waid": OPEN}])),
        ("bare destination", json!({"waid": [OPEN]})),
        ("msisdn", json!([{"msisdn": [OPEN]}])),
        ("a number", json!([{"waid": [15_550_001_111_u64]}])),
        ("written out", json!([{"waid": ["+1 (555) 000-1111"]}])),
    ] {
        let row = format!("17 ({what})");
        let body = with(webex.text(what), "/destination", destination);
        let id = table.one(&row, webex.post(&body)).await;
        webex.receipt(&row, &id, "7501").await;
        let sent = webex.sent(&id).await;
        table.check(&row, sent["to"] == format!("+{OPEN}").as_str(), &sent.to_string());
    }
    let written = webex.receipts(&{
        let body = to(webex.text("hi"), " +1 555-000-1111 ");
        let id = table.one("17 (as written)", webex.post(&body)).await;
        webex.receipt("17 (as written)", &id, "7501").await;
        id
    });
    let destination = &written[0]["deliveryInfo"]["destination"];
    table.check("17", destination == "+1 555-000-1111", &destination.to_string());
    let three = json!([{"waid": [OPEN, "15550003333", OPEN]}]);
    let ids = table.queued("18", webex.post(&with(video, "/destination", three)), 3).await;
    let distinct: HashSet<&String> = ids.iter().collect();
    table.check("18", distinct.len() == 3, "equal transids");
    for (id, phone) in ids.iter().zip([OPEN, "15550003333", OPEN]) {
        let receipt = webex.receipt("18", id, "7501").await;
        table.check("18", receipt["deliveryInfo"]["destination"] == phone, "another destination");
    }
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_19_takes_a_thousand_and_bad_ones_among_them_fail_alone() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let mut waids: Vec<String> = (0..1_000).map(|n| format!("1556{n:07}")).collect();
    let bad = [(7, "abc"), (500, "12"), (999, "1234567890123456")];
    for (place, written) in bad {
        waids[place] = written.to_owned();
    }
    let destination: Vec<Value> = waids.iter().map(|waid| json!({"waid": [waid]})).collect();
    let thousand = with(webex.template(), "/destination", json!(destination));
    let ids = table.queued("19", webex.post(&thousand), 1_000).await;
    for (place, written) in bad {
        let receipt = webex.receipt("19", &ids[place], "7737").await;
        let info = &receipt["deliveryInfo"];
        table.check("19", info["destination"] == written, &receipt.to_string());
        table.check("19", info["additionalInfo"] == "Invalid waid", &receipt.to_string());
    }
    eventually("997 receipts of delivery", async || {
        let seen = webex
            .receiver
            .such(|post| post["deliveryInfoNotification"]["deliveryInfo"]["code"] == "7500");
        (seen.len() >= 997).then_some(())
    })
    .await;
    let mut codes: HashMap<String, Vec<Value>> = HashMap::new();
    for post in webex.receiver.seen() {
        let mut receipt = post.json()["deliveryInfoNotification"].take();
        let id = receipt["transid"].as_str().unwrap_or_default().to_owned();
        codes.entry(id).or_default().push(receipt["deliveryInfo"]["code"].take());
    }
    let good = ids.iter().enumerate().filter(|(place, _)| bad.iter().all(|(at, _)| at != place));
    for (place, id) in good {
        let told = codes.get(id).map(Vec::as_slice).unwrap_or_default();
        table.check("19", told == ["7501", "7500"], &format!("{}: {told:?}", waids[place]));
    }
    let ledger = webex.sandbox().ledger().await;
    let reached: HashSet<&str> = ledger.iter().filter_map(|row| row["to"].as_str()).collect();
    table.check("19", ledger.len() == 997 && reached.len() == 997, &ledger.len().to_string());
    let more = json!(vec![json!({"waid": [OPEN]}); 1_001]);
    let words = "Max number of destination address limited to 1000";
    let body = with(webex.template(), "/destination", more);
    table.refused("19 (1,001)", webex.post(&body), "7009", words).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_26_to_30_and_34_and_36_and_37_send_what_was_written() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    for written in ["VIDEO/MP4", "<VIDEO/MP4>", "video/mp4; codecs=avc1"] {
        let id = table.one("26", webex.post(&webex.file("video", "/clip.mp4", written))).await;
        webex.receipt("26", &id, "7500").await;
    }
    let id = table.one("29", webex.post(&webex.file("audio", "/note.aac", "audio/aac"))).await;
    webex.receipt("29", &id, "7500").await;
    let document = webex.file("document", "/offer.pdf", "application/pdf");
    let named = with(document, &at("/document/filename"), json!("Document test"));
    let id = table.one("29", webex.post(&named)).await;
    webex.receipt("29", &id, "7500").await;
    let sent = webex.sent(&id).await;
    let filename = &sent["document"]["filename"];
    table.check(
        "29",
        filename.as_str().is_some_and(|it| it.starts_with("Document test")),
        &sent.to_string(),
    );
    let sticker = webex.file("sticker", "/wave.webp", "image/WEBP");
    let id = table.one("29", webex.post(&with(sticker, "/conversationid", json!("")))).await;
    webex.receipt("29", &id, "7500").await;
    let audio = webex.file("audio", "/note.aac", "audio/aac");
    let id = table.one("30", webex.post(&with(audio, &at("/audio/caption"), json!("Hi")))).await;
    webex.receipt("30", &id, "7500").await;
    let sent = webex.sent(&id).await;
    table.check("30", sent["audio"].get("caption").is_none(), &sent.to_string());
    for preview in [json!("true"), json!(true)] {
        let body = with(webex.text("https://example.com/"), &at("/preview_url"), preview);
        let id = table.one("34", webex.post(&body)).await;
        webex.receipt("34", &id, "7501").await;
        let sent = webex.sent(&id).await;
        table.check("34", sent["text"]["preview_url"] == true, &sent.to_string());
    }
    let both = with(webex.text("hi"), "/destination/0/correlationid", json!("row-1"));
    let reply = Reply::to(webex.post(&both)).await;
    let entry = &reply.json()["response"][0];
    table.check("36", entry["correlationid"] == "row-1", &reply.text());
    let id = entry["transid"].as_str().unwrap().to_owned();
    let receipt = webex.receipt("36", &id, "7501").await;
    table.check("36", receipt["correlationid"] == "row-1", &receipt.to_string());
    let long = "é".repeat(2_500);
    let body = with(webex.text("hi"), "/callbackData", json!(long));
    let id = table.one("37", webex.post(&body)).await;
    let receipt = webex.receipt("37", &id, "7501").await;
    table.check("37", receipt["callbackData"] == long.as_str(), "another callbackData");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_27_to_35_report_failures_by_receipt() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let before = webex.sandbox().ledger().await.len();
    for (row, body, code, words) in [
        ("27", webex.file("image", "/teal.png", "image/gif"), "7861", "Unsupported mime type"),
        ("31", to(webex.text("hi"), CLOSED), "7710", "Re-engagement message"),
        ("33", webex.text(&"é".repeat(4_097)), "7714", "Message too long"),
        ("35", to(webex.text("hi"), "abc"), "7737", "Inavlid whatsapp destination"),
        (
            "48",
            without(webex.template(), "/message/parameters/first_name"),
            "7804",
            "Template Param Count Mismatch",
        ),
        (
            "48 (surplus)",
            with(webex.template(), "/message/parameters/more", json!("x")),
            "7804",
            "Template Param Count Mismatch",
        ),
        (
            "47 (hsm)",
            webex.saying(&json!({"type": "hsm", "hsm": {"element_name": "no_such",
            "language": {"code": "en"}, "localizable_params": []}})),
            "7849",
            "Template does not exist",
        ),
        (
            "47 (hsm, language)",
            webex.saying(&json!({"type": "hsm", "hsm": {"element_name": "plain_note",
            "language": {"code": "fi"}, "localizable_params": []}})),
            "7849",
            "Template does not exist",
        ),
    ] {
        let id = table.one(row, webex.post(&body)).await;
        let receipt = webex.receipt(row, &id, code).await;
        let info = &receipt["deliveryInfo"];
        let told = info["Description"] == words && info["deliveryStatus"] == "Failed";
        table.check(row, told, &receipt.to_string());
        let own = match row {
            "35" => info["additionalInfo"] == "Invalid waid",
            _ => info["additionalInfo"] == "",
        };
        table.check(row, own, &receipt.to_string());
        table.check(row, webex.receipts(&id).len() == 1, "more than one receipt");
    }
    table.check("27-48", webex.sandbox().ledger().await.len() == before, "something was sent");
    let hash = with(webex.text("hi"), &at("/identity_key_hash"), json!("another"));
    let id = table.one("49", webex.post(&hash)).await;
    let receipt = webex.receipt("49", &id, "7862").await;
    let told = receipt["deliveryInfo"]["additionalInfo"].as_str().unwrap();
    table.check("49", told.starts_with("(#137000)  | "), told);
    let template = to(webex.template(), CLOSED);
    let id = table.one("32", webex.post(&template)).await;
    webex.receipt("32", &id, "7501").await;
    let sent = webex.sent(&id).await;
    let named = &sent["template"]["components"][1]["parameters"][0];
    let wanted = json!({"type": "text", "text": "Ann", "parameter_name": "first_name"});
    table.check("32", *named == wanted, &sent.to_string());
    let known = webex.saying(&json!({"type": "hsm", "hsm": {"namespace": "x",
        "element_name": "plain_note", "language": {"code": "en", "policy": "deterministic"}}}));
    let id = table.one("32 (hsm)", webex.post(&to(known, CLOSED))).await;
    webex.receipt("32 (hsm)", &id, "7501").await;
    for path in ["/large.mp4", "/gone.mp4"] {
        let id = table.one("28", webex.post(&webex.file("video", path, "video/mp4"))).await;
        let receipt = webex.receipt("28", &id, "7727").await;
        let why = receipt["deliveryInfo"]["additionalInfo"].as_str().unwrap();
        let detailed = why.starts_with("(#131053)  | ") && why.len() > 20;
        table.check("28", detailed, why);
    }
    let fault = json!({"code": 131_049});
    webex.sandbox().fault(&json!({"to": OPEN, "type": "text", "next": 1}), &fault).await;
    let id = table.one("58", webex.post(&webex.text("hi"))).await;
    let receipt = webex.receipt("58", &id, "7200").await;
    let why = receipt["deliveryInfo"]["additionalInfo"].as_str().unwrap();
    table.check("58", why.starts_with("(#131049)  | "), why);
    table.end();
}

fn list(rows: usize, sections: usize, header: &Value) -> Value {
    let row = |n: usize| json!({"id": format!("r{n}"), "title": format!("Row {n}")});
    let section = |n: usize| {
        let rows: Vec<Value> = (0..rows).map(|r| row(n * rows + r)).collect();
        json!({"title": format!("Section {n}"), "rows": rows})
    };
    let sections: Vec<Value> = (0..sections).map(section).collect();
    json!({"type": "list", "list": {"header": header, "body": {"text": "Pick one"},
        "action": {"button": "Options of the restaurant", "sections": sections}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_45_and_46_report_bounds_of_lists_and_buttons() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let text = json!({"type": "text", "text": "Menu"});
    let image = json!({"type": "image", "image": {"url": "https://files.example.com/a.jpg"}});
    let label = |body: Value, text: &str| with(body, "/list/action/button", json!(text));
    let buttons = |count: usize| {
        let button = |n: usize| json!({"type": "reply", "reply": {"id": n.to_string(), "title": format!("No {n}")}});
        let buttons: Vec<Value> = (0..count).map(button).collect();
        json!({"type": "reply", "reply": {"body": {"text": "Continue?"}, "footer": {"text": ""},
            "action": {"buttons": buttons}}})
    };
    for (row, wa, code) in [
        ("45", label(list(11, 1, &text), "Options"), "7820"),
        ("45", label(list(1, 11, &text), "Options"), "7819"),
        ("45", label(list(1, 1, &image), "Options"), "7830"),
        ("45 (25 characters)", label(list(1, 1, &text), &"x".repeat(25)), "7722"),
        ("46", buttons(4), "7722"),
    ] {
        let id = table.one(row, webex.post(&webex.saying(&wa))).await;
        webex.receipt(row, &id, code).await;
    }
    table.check("45-46", webex.sandbox().ledger().await.is_empty(), "something was sent");
    for (row, wa) in [("45 (fits)", label(list(5, 2, &text), "Options")), ("46 (fits)", buttons(3))]
    {
        let id = table.one(row, webex.post(&webex.saying(&wa))).await;
        webex.receipt(row, &id, "7500").await;
    }
    // From 21 to 24 characters the upstream decides.
    let wa = label(list(1, 1, &text), &"x".repeat(24));
    let id = table.one("45 (24 characters)", webex.post(&webex.saying(&wa))).await;
    let decided = eventually("the upstream's word on 24 characters", async || {
        webex.receipts(&id).into_iter().next()
    })
    .await;
    let info = &decided["deliveryInfo"];
    let is_upstreams = info["code"] == "7501"
        || info["additionalInfo"].as_str().is_some_and(|text| text.starts_with("(#"));
    table.check("45 (24 characters)", is_upstreams, &decided.to_string());
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_50_to_55_know_repetitions_and_what_is_no_message() {
    let webex = Webex::new().await;
    let mut table = Table::default();
    let text = webex.text("again");
    let one = table.one("50", webex.post(&text)).await;
    let other = table.one("50", webex.post(&text)).await;
    table.check("50", one != other, "the same transid twice");
    let before = webex.fixture.admin().all("/orgs/org-1/messages").await.len();
    let keyed = |body: &Value| webex.post(body).header("Idempotency-Key", "order-1");
    let first = Reply::to(keyed(&text)).await;
    let second = Reply::to(keyed(&text)).await;
    table.judge_queued("51", &first, 1);
    table.check("51", first.body == second.body, "two replies differ");
    table.check("51", first.header("idempotency-replayed").is_none(), "the first is replayed");
    table.check("51", second.header("idempotency-replayed") == Some("true"), "not replayed");
    let (key, conflict) = (keyed(&webex.text("other")), "Invalid parameter: Idempotency-Key");
    table.refused_with("51", key, 409, ("7004", conflict)).await;
    let after = webex.fixture.admin().all("/orgs/org-1/messages").await.len();
    table.check("51", after == before + 1, "not one message");
    let large = with(webex.text("hi"), "/callbackData", json!("x".repeat(1_048_576)));
    table.refused_with("52", webex.post(&large), 413, ("7022", "JSON size exceeded")).await;
    let get =
        |path: &str, key: &str| webex.fixture.waypost.request(Method::GET, path).header("key", key);
    let method = ("7004", "Invalid parameter: method");
    let reply = table.refused_with("53", get(PATH, KEY), 405, method).await;
    table.check("53", reply.header("allow") == Some("POST"), "no Allow: POST");
    let second = webex.fixture.waypost.request(Method::POST, "/resources/v2/messaging");
    let path = ("7004", "Invalid parameter: path");
    table.refused_with("54", second.header("key", KEY).json(&text), 404, path).await;
    let mut strange = with(text, "/unknown", json!({"a": [1]}));
    for place in
        ["/destination/0/unknown", "/channels/unknown", &at("/unknown"), &at("/text/unknown")]
    {
        strange = with(strange, place, json!(null));
        strange = with(strange, &format!("{place}2"), json!({"deep": true}));
    }
    let id = table.one("55", webex.post(&strange)).await;
    webex.receipt("55", &id, "7501").await;
    assert_eq!(webex.logged(&id).await["number_id"], waypost_tests::fixture::NUMBER_ID);
    let named = with(webex.text("hi"), "/appid", json!(format!(" {APP} ")));
    table.one("15 (blanks)", webex.post(&named)).await;
    table.end();
}
