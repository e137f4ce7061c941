//! The management API: every resource made, read, changed and removed; imports; the life of keys
//! (T27); organisations that cannot see each other (T8, generated from the OpenAPI document).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use reqwest::Method;
use serde_json::{Value, json};
use waypost_tests::files::PNG;
use waypost_tests::fixture::{NUMBER_ID, WABA_ID, upload_form};
use waypost_tests::{Api, Options, Reply, Waypost, eventually};

/// A gateway without the demo and with one organisation.
async fn with_org() -> (Waypost, Api) {
    let waypost = Options::new().env("WAYPOST_DEMO", "false").start().await;
    let admin = waypost.admin();
    admin.post("/orgs", &json!({"id": "org-1", "name": "One"})).await.expect(201);
    (waypost, admin)
}

/// Made, read, listed, changed, removed: with what is asked for at creation, a change, and whether
/// the resource is gone afterwards.
async fn assert_life(admin: &Api, path: &str, id: &str, body: &Value, change: &Value) {
    let made = admin.post(path, body).await.expect(201).json();
    let one = format!("{path}/{id}");
    let read = async || {
        let mut read = admin.get(&one).await.expect(200).json();
        // How a number's pace stands moves by itself.
        read.as_object_mut().unwrap().remove("pacing");
        read
    };
    assert_eq!(read().await, made, "{path}");
    for (name, value) in body.as_object().unwrap() {
        assert!(made[name] == *value || made[name].is_null(), "{path} {name}: {made}");
    }
    assert!(admin.all(path).await.contains(&made), "{path}");
    admin.post(path, body).await.expect(409);
    if !change.is_null() {
        let changed = admin.patch(&one, change).await.expect(200).json();
        for (name, value) in change.as_object().unwrap() {
            assert_eq!(&changed[name], value, "{path} {name}");
        }
        assert_eq!(read().await, changed);
        let unknown = admin.patch(&one, &json!({"no_such_field": 1})).await.expect(400).json();
        assert_eq!(unknown["errors"][0]["field"], "no_such_field", "{unknown}");
    }
    admin.delete(&one).await.expect(204);
    admin.get(&one).await.expect(404);
    admin.delete(&one).await.expect(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_resource_is_made_read_changed_and_removed() {
    let (_waypost, admin) = with_org().await;
    let users = "/orgs/org-1/users";
    assert_life(&admin, users, "u-1", &json!({"id": "u-1", "name": "Ann"}), &json!({"name": "Bo"}))
        .await;
    let customer = json!({"id": "c-1", "phone": "15550001111", "name": "Ann", "tags": ["a", "b"],
        "opt_in": true, "opt_in_proof": "form 7"});
    let change = json!({"active": false, "tags": ["c"], "name": null});
    assert_life(&admin, "/orgs/org-1/customers", "c-1", &customer, &change).await;
    let number = json!({"id": "n-1", "display_phone": "15550009999",
        "phone_number_id": NUMBER_ID, "waba_id": WABA_ID, "throughput_per_s": 20,
        "aliases": ["main"]});
    let change = json!({"throughput_per_s": 40, "aliases": []});
    assert_life(&admin, "/orgs/org-1/numbers", "n-1", &number, &change).await;
    let provider = json!({"name": "archive", "scheme": "bearer", "secret": "s3cret-of-the-archive",
        "allowed_hosts": ["files.example.com"]});
    let path = "/orgs/org-1/media-providers";
    assert_life(&admin, path, "archive", &provider, &Value::Null).await;
    let org = json!({"id": "org-2", "name": "Two", "time_zone": "Asia/Kuala_Lumpur",
        "window_policy": "forward"});
    let change = json!({"name": "Deux", "time_zone": "-03:30", "strict_opt_in": true});
    assert_life(&admin, "/orgs", "org-2", &org, &change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_taken_for_dialects_only() {
    let (_waypost, admin) = with_org().await;
    let zones = |dialect: &str| json!({"wire_offsets": {dialect: "+05:30"}});
    admin.patch("/orgs/org-1", &zones("pepipost")).await.expect(200);
    let org = admin.patch("/orgs/org-1", &zones("lipachat")).await.expect(200).json();
    assert_eq!(org["wire_offsets"], json!({"lipachat": "+05:30", "pepipost": "+05:30"}));
    let back = json!({"wire_offsets": {"pepipost": null}});
    let org = admin.patch("/orgs/org-1", &back).await.expect(200).json();
    assert_eq!(org["wire_offsets"], json!({"lipachat": "+05:30"}));
    let refused = admin.patch("/orgs/org-1", &zones("pepipst")).await.expect(400).json();
    let fault = &refused["errors"][0];
    assert_eq!(fault["field"], "wire_offsets.pepipst", "{refused}");
    assert!(fault["message"].as_str().is_some_and(|told| told.contains("webex_connect")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_goes_when_nothing_waits_for_it() {
    let (_waypost, admin) = with_org().await;
    let number = json!({"id": "n-1", "display_phone": "15550009999",
        "phone_number_id": NUMBER_ID, "waba_id": WABA_ID, "throughput_per_s": 1});
    admin.post("/orgs/org-1/numbers", &number).await.expect(201);
    for last in 0..30 {
        let to = format!("155500010{last:02}");
        let message = json!({"to": to, "type": "text", "text": {"body": "hello"}});
        admin.post("/orgs/org-1/messages", &message).await.expect(202);
    }
    let refused = admin.delete("/orgs/org-1/numbers/n-1").await.expect(409).json();
    assert_eq!(refused["code"], "wrong_state", "{refused}");
    let of_number = json!({"number_id": "n-1"});
    admin.post("/orgs/org-1/messages/cancel", &of_number).await.expect(200);
    // What was on its way may have to wait again.
    eventually("the number is removed", async || {
        (admin.delete("/orgs/org-1/numbers/n-1").await.status == 204).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_takes_all_that_is_its_own_with_it() {
    let (waypost, admin) = with_org().await;
    let key = json!({"name": "k", "scopes": ["messages:send", "messages:read"]});
    let secret = admin.post("/orgs/org-1/api-keys", &key).await.expect(201).json();
    let secret = secret["secret"].as_str().unwrap().to_owned();
    let number = json!({"display_phone": "15550009999", "phone_number_id": NUMBER_ID,
        "waba_id": WABA_ID});
    admin.post("/orgs/org-1/numbers", &number).await.expect(201);
    admin.delete("/orgs/org-1").await.expect(204);
    admin.with_key(&secret).get("/me").await.expect(401);
    admin.get("/orgs/org-1/users").await.expect(404);
    // Its number is free for another one.
    admin.post("/orgs", &json!({"id": "org-2", "name": "Two"})).await.expect(201);
    admin.post("/orgs/org-2/numbers", &number).await.expect(201);
    drop(waypost);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_in_parts_without_gaps_or_repetitions() {
    let (_waypost, admin) = with_org().await;
    for serial in 0..25 {
        let customer =
            json!({"id": format!("c-{serial:02}"), "phone": format!("155500100{serial:02}")});
        admin.post("/orgs/org-1/customers", &customer).await.expect(201);
    }
    let mut read = Vec::new();
    let mut after = String::new();
    loop {
        let page = admin.get(&format!("/orgs/org-1/customers?limit=7{after}")).await.ok().json();
        read.extend(page["data"].as_array().unwrap().iter().map(|it| it["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let wanted: Vec<Value> = (0..25).map(|serial| json!(format!("c-{serial:02}"))).collect();
    assert_eq!(read, wanted);
    for wrong in ["limit=0", "limit=1001", "limit=x", "after=x", "no_such=1"] {
        let refused = admin.get(&format!("/orgs/org-1/customers?{wrong}")).await.expect(400);
        assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_are_imported_from_csv_and_json_lines() {
    let (_waypost, admin) = with_org().await;
    let import = async |content_type: &str, body: &str| {
        let request = admin.request(Method::POST, "/orgs/org-1/customers/import");
        Reply::to(request.header("content-type", content_type).body(body.to_owned())).await
    };
    let csv = "id,phone,name,tags,opt_in,active\r\n\
        c-1,+1 (555) 000-1111,\"Ann, the first\",a;b,true,true\r\n\
        c-2,15550002222,\"Ben \"\"B\"\"\",,,\r\n\
        c-3,not a number,Carla,,,\r\n\
        c-4,15550004444,Dev,,maybe,\r\n";
    let report = import("text/csv", csv).await.expect(200).json();
    let counts = (&report["created"], &report["updated"], &report["failed"]);
    assert_eq!(counts, (&json!(2), &json!(0), &json!(2)), "{report}");
    assert_eq!(report["errors"][0]["line"], 4, "{report}");
    assert_eq!(report["errors"][1]["line"], 5, "{report}");
    let lines = "{\"id\":\"c-1\",\"phone\":\"15550001111\",\"name\":\"Ann\",\"opt_in\":false}\n\
        {\"phone\":\"15550003333\",\"tags\":[\"vip\"]}\n\nnot json\n{\"name\":\"no phone\"}\n";
    let report = import("application/x-ndjson; charset=utf-8", lines).await.expect(200).json();
    let counts = (&report["created"], &report["updated"], &report["failed"]);
    assert_eq!(counts, (&json!(1), &json!(1), &json!(2)), "{report}");
    let ann = admin.get("/orgs/org-1/customers/c-1").await.expect(200).json();
    assert_eq!((&ann["name"], &ann["opt_in"]), (&json!("Ann"), &json!(false)), "{ann}");
    assert_eq!(ann["tags"], json!(["a", "b"]), "the line says nothing of them");
    let ben = admin.get("/orgs/org-1/customers/c-2").await.expect(200).json();
    assert_eq!((&ben["name"], &ben["opt_in"]), (&json!("Ben \"B\""), &Value::Null), "{ben}");
    let found = admin.all("/orgs/org-1/customers?tag=vip").await;
    assert_eq!(found.len(), 1);
    assert_eq!(admin.all("/orgs/org-1/customers").await.len(), 3);
    // What another line, or a customer with another id, has already; the others are imported.
    let csv = "phone,id,name\n15550009999,c-9,First\n15550002222,c-1,Ann\nnone,c-7,Bad\n\
        15550009999,c-8,Double\n15550002223,c-2,Ben\n15550002222,,Ben's old number\n";
    for (created, updated) in [(2, 1), (0, 3)] {
        let report = import("text/csv", csv).await.expect(200).json();
        let counts = (&report["created"], &report["updated"], &report["failed"]);
        assert_eq!(counts, (&json!(created), &json!(updated), &json!(3)), "{report}");
        let errors = report["errors"].as_array().unwrap();
        let lines: Vec<&Value> = errors.iter().map(|it| &it["line"]).collect();
        assert_eq!(lines, [3, 4, 5], "{report}");
        assert_eq!(errors[2]["message"], "phone: belongs to customer c-9", "{report}");
    }
    assert_eq!(admin.get("/orgs/org-1/customers/c-8").await.status, 404);
    for (content_type, body, status) in [
        ("text/csv", "name\nAnn\n", 400),
        ("text/csv", "phone,no_such_column\n1,2\n", 400),
        ("application/xml", "<a/>", 415),
    ] {
        let refused = import(content_type, body).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_are_repeated_by_their_idempotency_key_only() {
    let (_waypost, admin) = with_org().await;
    let post = async |key: &str, name: &str| {
        let request = admin.request(Method::POST, "/orgs/org-1/users");
        let request = request.header("Idempotency-Key", key).json(&json!({ "name": name }));
        Reply::to(request).await
    };
    let first = post("k-1", "Ann").await.expect(201);
    let again = post("k-1", "Ann").await.expect(201);
    assert_eq!(first.json(), again.json());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let conflict = post("k-1", "Ben").await.expect(422).json();
    assert_eq!(conflict["code"], "idempotency_conflict");
    post("k-2", "Ann").await.expect(201);
    assert_eq!(admin.all("/orgs/org-1/users").await.len(), 2);
}

/// A way to use a key: the status with which a call is answered.
async fn status_with(waypost: &Waypost, secret: &str) -> u16 {
    let body = json!({"message": {"type": "text", "text": {"body": "hi"}}, "sessionId": "s",
        "customerId": "nobody", "userId": "nobody", "orgId": "org-1"});
    let request = waypost.request(Method::POST, "/whatsapp/messages/send");
    Reply::to(request.header("X-API-KEY", secret).json(&body)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_stops_at_once_when_it_is_revoked() {
    let (waypost, admin) = with_org().await;
    let path = "/orgs/org-1/api-keys";
    let body = json!({"name": "crm", "scopes": ["messages:send"]});
    let made = admin.post(path, &body).await.expect(201).json();
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let rest = secret.strip_prefix("wp_test_").unwrap();
    assert!(rest.len() == 61 && rest.bytes().all(|it| it.is_ascii_alphanumeric()), "{secret}");
    assert!(rest.starts_with(id));
    let shown = admin.get(&format!("{path}/{id}")).await.expect(200).json();
    assert!(shown.get("secret").is_none(), "{shown}");
    assert_eq!(status_with(&waypost, secret).await, 403, "it is known, its user is not");
    assert_eq!(status_with(&waypost, &format!("  {secret} ")).await, 403, "blanks are trimmed");
    // Each single wrong character is another key.
    for place in 0..secret.len() {
        let mut typo = secret.to_owned().into_bytes();
        typo[place] = if typo[place] == b'x' { b'y' } else { b'x' };
        let typo = String::from_utf8(typo).unwrap();
        assert_eq!(status_with(&waypost, &typo).await, 401, "{place}");
    }
    admin.delete(&format!("{path}/{id}")).await.expect(204);
    assert_eq!(status_with(&waypost, secret).await, 401, "revoked");
    let listed = admin.all(path).await;
    assert!(listed[0]["revoked_at"].is_string(), "{listed:?}");
    // The same after a restart.
    let (options, _) = waypost.stop().await;
    let waypost = options.start().await;
    assert_eq!(status_with(&waypost, secret).await, 401, "revoked, after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_when_its_time_is_over() {
    let (waypost, admin) = with_org().await;
    let now = waypost.sandbox().call(Method::GET, "/_sandbox/clock", None).await.ok().json();
    let in_an_hour = now["now_ms"].as_i64().unwrap() / 1_000 + 3_600;
    let expires_at = rfc3339(in_an_hour);
    let body = json!({"scopes": ["messages:send"], "expires_at": expires_at});
    let made = admin.post("/orgs/org-1/api-keys", &body).await.expect(201).json();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(status_with(&waypost, secret).await, 403);
    waypost.sandbox().advance(3_601).await;
    assert_eq!(status_with(&waypost, secret).await, 401, "expired");
}

/// Unix seconds in RFC 3339, by the civil-from-days algorithm.
fn rfc3339(seconds: i64) -> String {
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_what_its_scopes_say_from_where_it_may() {
    let (waypost, admin) = with_org().await;
    let make = async |body: Value| {
        let made = admin.post("/orgs/org-1/api-keys", &body).await.expect(201).json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let reader = admin.with_key(&make(json!({"scopes": ["messages:read"]})).await);
    reader.get("/orgs/org-1/messages").await.expect(200);
    reader.get("/orgs/org-1/customers").await.expect(403);
    reader.post("/orgs/org-1/users", &json!({"name": "x"})).await.expect(403);
    let me = reader.get("/me").await.expect(200).json();
    assert_eq!((&me["org_id"], &me["scopes"]), (&json!("org-1"), &json!(["messages:read"])));
    let master = admin.with_key(&make(json!({"scopes": ["admin"]})).await);
    master.get("/orgs/org-1/customers").await.expect(200);
    // An organisation's administrator is not the installation's.
    let refused = master.post("/orgs", &json!({"name": "mine"})).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let upload = make(json!({"scopes": ["media"]})).await;
    assert_eq!(status_with(&waypost, &upload).await, 403);
    let elsewhere =
        make(json!({"scopes": ["messages:send"], "allowed_ips": ["203.0.113.0/24"]})).await;
    assert_eq!(status_with(&waypost, &elsewhere).await, 401, "from another network");
    let imported = "an-existing-secret-of-another-system";
    let body = json!({"scopes": ["messages:send"], "secret": imported});
    let made = admin.post("/orgs/org-1/api-keys", &body).await.expect(201).json();
    assert!(made.get("secret").is_none(), "an imported secret is not repeated");
    assert_eq!(status_with(&waypost, imported).await, 403);
    admin.post("/orgs/org-1/api-keys", &body).await.expect(409);
    let installations = waypost.variable("WAYPOST_ADMIN_KEY");
    let body = json!({"scopes": ["messages:send"], "secret": installations});
    admin.post("/orgs/org-1/api-keys", &body).await.expect(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_s_key_sends_as_the_assistant() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let body = json!({"scopes": ["messages:send"], "sends_as": "assistant"});
    let path = format!("/orgs/{org}/api-keys");
    let made = waypost.admin().post(&path, &body).await.expect(201).json();
    let message = waypost.demo_message(&json!({"type": "text", "text": {"body": "beep"}}));
    let request = waypost.request(Method::POST, "/whatsapp/messages/send");
    let request = request.header("X-API-KEY", made["secret"].as_str().unwrap()).json(&message);
    let reply = Reply::to(request).await.expect(200).json();
    assert_eq!(reply["messageType"], "assistant");
    assert_eq!(waypost.log().await[0]["message_type"], "assistant");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_listed_found_and_sent_by_the_api() {
    let waypost = Waypost::start().await;
    let org = waypost.variable("WAYPOST_ORG_ID");
    let admin = waypost.admin();
    let path = format!("/orgs/{org}/messages");
    let by_customer = json!({"customer_id": "demo-ben", "type": "text", "text": {"body": "one"}});
    let by_phone = json!({"number": NUMBER_ID, "to": "+15550003333", "type": "text",
        "text": {"body": "two"}, "biz_opaque_callback_data": "order 7"});
    for body in [&by_customer, &by_phone] {
        let made = admin.post(&path, body).await.ok().json();
        let id = made["id"].as_str().unwrap().to_owned();
        let sent = eventually("a sent message", async || {
            let message = admin.get(&format!("{path}/{id}")).await.expect(200).json();
            (message["wamid"].is_string()).then_some(message)
        })
        .await;
        assert_eq!(sent["message"]["text"]["body"], body["text"]["body"]);
    }
    let ledger = waypost.sandbox().ledger().await;
    assert_eq!(
        (&ledger[0]["to"], &ledger[1]["to"]),
        (&json!("15550002222"), &json!("15550003333"))
    );
    let opaque = ledger[1]["biz_opaque_callback_data"].as_str().unwrap_or_default();
    assert!(opaque.starts_with("wp1."), "the caller's own value went upstream: {opaque}");
    waypost.send_text("three").await.expect(200);
    let found = admin.all(&format!("{path}?customer_id=demo-ben")).await;
    assert_eq!(found.len(), 1);
    let found = admin.all(&format!("{path}?direction=outbound")).await;
    assert_eq!(found.len(), 3);
    let own = found.iter().find(|it| it["phone"] == "15550003333").unwrap();
    assert_eq!(own["biz_opaque_callback_data"], "order 7");
    admin.get(&format!("{path}/00000000-0000-7000-8000-000000000000")).await.expect(404);
    for (body, field) in [
        (json!({"type": "text", "text": {"body": "x"}}), "to"),
        (json!({"to": "15550001111", "type": "text", "text": {"body": ""}}), "text.body"),
        (json!({"to": "15550001111", "type": "nothing"}), "type"),
        (json!({"to": "12", "type": "text", "text": {"body": "x"}}), "to"),
    ] {
        let refused = admin.post(&path, &body).await;
        assert_eq!(refused.status, 400, "{body}: {}", refused.text());
        let text = refused.text();
        assert!(text.contains(field), "{field} is not named: {text}");
    }
}

/// Every operation of the OpenAPI document, with ids of `org-1` in its path.
async fn operations(waypost: &Waypost, ids: &Value) -> Vec<(Method, String)> {
    let document = waypost.get("/waypost/v1/openapi.json").await.expect(200).json();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_none() {
                continue;
            }
            let mut filled = path.clone();
            for (name, value) in ids.as_object().unwrap() {
                filled = filled.replace(&format!("{{{name}}}"), value.as_str().unwrap());
            }
            assert!(!filled.contains('{'), "the test knows no id for {path}");
            operations.push((method.to_uppercase().parse().unwrap(), filled));
        }
    }
    assert!(operations.len() > 30, "only {} operations", operations.len());
    operations
}

/// One thing of every kind in `org-1`; returns their ids by the names of path parameters.
async fn populated(waypost: &Waypost, admin: &Api) -> Value {
    let make = async |path: &str, body: Value| {
        admin.post(&format!("/orgs/org-1{path}"), &body).await.ok().json()["id"].clone()
    };
    make("/users", json!({"id": "u-1", "name": "Ann"})).await;
    make("/customers", json!({"id": "c-1", "phone": "15550001111"})).await;
    let number = json!({"id": NUMBER_ID, "display_phone": "15550009999",
        "phone_number_id": NUMBER_ID, "waba_id": WABA_ID});
    make("/numbers", number).await;
    let key = make("/api-keys", json!({"scopes": ["messages:read"]})).await;
    let provider = json!({"name": "archive", "scheme": "bearer", "secret": "a-secret-of-16-chars",
        "allowed_hosts": ["files.example.com"]});
    make("/media-providers", provider).await;
    let message = json!({"customer_id": "c-1", "type": "text", "text": {"body": "hello"}});
    let message = make("/messages", message).await;
    let secret = json!({"scopes": ["media", "messages:send"], "secret": "isolation-test-secret-1"});
    make("/api-keys", secret).await;
    let form = upload_form("org-1", "image/png", PNG, "p.png");
    let upload = waypost.request(Method::POST, "/whatsapp/uploads/media_upload");
    let upload = upload.header("X-API-KEY", "isolation-test-secret-1").multipart(form);
    let media = Reply::to(upload).await.expect(200).json()["id"].clone();
    let broadcast = json!({"templateName": "hello_world", "sessionId": "s", "components": [],
        "orgId": "org-1", "userId": "u-1"});
    let request = waypost.request(Method::POST, "/whatsapp/template/send");
    let request = request.header("X-API-KEY", "isolation-test-secret-1").json(&broadcast);
    let sent = Reply::to(request).await.expect(200);
    let broadcast = sent.header("x-waypost-broadcast-id").unwrap();
    let webhook = make("/webhooks", json!({"url": "https://events.example.com/"})).await;
    let event = eventually("an event", async || {
        Some(admin.all("/orgs/org-1/events").await.first()?["id"].clone())
    })
    .await;
    let sessions = admin.all("/orgs/org-1/sessions").await;
    let session = sessions.first().map_or(json!("s-1"), |session| session["id"].clone());
    json!({"org_id": "org-1", "user_id": "u-1", "customer_id": "c-1", "number_id": NUMBER_ID,
        "key_id": key, "provider": "archive", "provider_name": "archive", "name": "archive",
        "message_id": message, "media_id": media, "broadcast_id": broadcast,
        "session_id": session, "template_name": "hello_world", "template": "hello_world",
        "template_id": "hello_world", "webhook_id": webhook, "event_id": event,
        "backup_id": "1800000000000"})
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_reaches_another_organisation_or_goes_without_a_key() {
    let (waypost, admin) = with_org().await;
    let ids = populated(&waypost, &admin).await;
    admin.post("/orgs", &json!({"id": "org-2", "name": "Two"})).await.expect(201);
    let key = json!({"scopes": ["admin", "messages:send", "messages:read", "media", "customers",
        "templates", "webhooks"]});
    let foreign = admin.post("/orgs/org-2/api-keys", &key).await.expect(201).json();
    let foreign = foreign["secret"].as_str().unwrap();
    let revoked = admin.post("/orgs/org-1/api-keys", &key).await.expect(201).json();
    let path = format!("/orgs/org-1/api-keys/{}", revoked["id"].as_str().unwrap());
    admin.delete(&path).await.expect(204);
    let before = admin.get("/orgs/org-1").await.json();
    let ask = async |method: &Method, path: &str, key: Option<&str>| {
        let mut request = waypost.request(method.clone(), path);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if *method != Method::GET && *method != Method::DELETE {
            request = request.json(&json!({}));
        }
        Reply::to(request).await
    };
    for (method, path) in operations(&waypost, &ids).await {
        let open = path.ends_with("openapi.json");
        if open {
            continue;
        }
        for (what, key) in [
            ("no key", None),
            ("a blank key", Some(" ")),
            ("an unknown key", Some("wp_test_unknown")),
            ("a revoked key", revoked["secret"].as_str()),
        ] {
            let reply = ask(&method, &path, key).await;
            assert_eq!(reply.status, 401, "{method} {path} with {what}: {}", reply.text());
        }
        if !path.contains("/orgs/org-1") {
            continue;
        }
        let theirs = ask(&method, &path, Some(foreign)).await;
        let absent = path.replace("/orgs/org-1", "/orgs/org-none");
        let nobody_s = ask(&method, &absent, Some(foreign)).await;
        assert_eq!(theirs.status, 404, "{method} {path}: {}", theirs.text());
        assert_eq!(
            (theirs.status, theirs.body),
            (nobody_s.status, nobody_s.body),
            "{method} {path}"
        );
        // The ids of org-1 below one's own organisation lead nowhere either.
        let own = path.replace("/orgs/org-1/", "/orgs/org-2/");
        let below = own.split("/orgs/org-2/").nth(1).unwrap_or_default();
        let mut all_ids = ids.as_object().unwrap().values().filter_map(Value::as_str);
        if all_ids.any(|id| below.split('/').skip(1).any(|part| part == id)) {
            let reply = ask(&method, &own, Some(foreign)).await;
            assert!((400..500).contains(&reply.status), "{method} {own}: {}", reply.text());
        }
    }
    assert_eq!(admin.get("/orgs/org-1").await.json(), before, "somebody changed it");
    assert_eq!(admin.get("/orgs/org-1/users/u-1").await.status, 200);
    assert_eq!(admin.get("/orgs/org-1/customers/c-1").await.status, 200);
}
