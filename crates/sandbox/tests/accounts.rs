//! The application's token, business profiles and lists of blocked people, over real sockets.

#![allow(clippy::unwrap_used, reason = "an answer of another shape fails the test")]

mod rig;

use reqwest::Method;
use rig::{CLOSED, NUMBER, OPEN, Rig, SECRET, WABA, answer, refused, text};
use serde_json::{Value, json};

const APP: &str = "100000000000003";

#[tokio::test]
async fn the_application_gets_its_token_and_subscribes_with_it() {
    let rig = Rig::start().await;
    let asked = async |version: &str, id: &str, secret: &str, grant: &str| {
        let query = format!("grant_type={grant}&client_id={id}&client_secret={secret}");
        let path = format!("{}{version}/oauth/access_token?{query}", rig.base);
        answer(rig.http.get(path).send().await.unwrap()).await
    };
    let token = format!("{APP}|{SECRET}");
    for version in ["", "/v26.0"] {
        let given = asked(version, APP, SECRET, "client_credentials").await;
        assert_eq!(given, (200, json!({"access_token": token, "token_type": "bearer"})));
    }
    refused(&asked("", "1", SECRET, "client_credentials").await, 400, 101);
    refused(&asked("", APP, "other", "client_credentials").await, 400, 1);
    refused(&asked("", APP, SECRET, "password").await, 400, 100);
    let posted = rig.post("/oauth/access_token", &json!({})).await;
    assert_eq!(posted.0, 405, "{posted:?}");

    let subscribe = async |path: &str, token: &str| {
        let body = json!({"object": "whatsapp_business_account", "callback_url": rig.hook_url,
            "verify_token": "right", "fields": "messages"});
        let call = rig.http.post(format!("{}{path}", rig.base)).bearer_auth(token).json(&body);
        answer(call.send().await.unwrap()).await
    };
    let path = format!("/v26.0/{APP}/subscriptions");
    assert_eq!(subscribe(&path, &token).await, (200, json!({"success": true})));
    refused(&subscribe(&path, &format!("{APP}|other")).await, 401, 190);
    refused(&subscribe(&format!("/{NUMBER}/messages"), &token).await, 401, 190);
}

#[tokio::test]
async fn a_profile_has_an_industry_and_a_picture_by_address_only() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/whatsapp_business_profile");
    let fresh = rig.get(&path).await.1["data"][0].clone();
    assert_eq!(fresh, json!({"messaging_product": "whatsapp", "vertical": "OTHER"}));
    let change = |name: &str, value: &str| {
        let mut body = json!({"messaging_product": "whatsapp"});
        body[name] = value.into();
        body
    };
    for wrong in ["SPACESHIPS", "", "retail"] {
        refused(&rig.post(&path, &change("vertical", wrong)).await, 400, 100);
    }
    assert_eq!(rig.post(&path, &change("vertical", "RETAIL")).await.0, 200);
    assert_eq!(rig.post(&path, &change("profile_picture_handle", "4::x")).await.0, 200);
    let asked = format!("{path}?fields=vertical,profile_picture_url,profile_picture_handle");
    for path in [path, asked] {
        let profile = rig.get(&path).await.1["data"][0].clone();
        assert_eq!(profile["vertical"], "RETAIL", "{path}");
        assert!(profile.get("profile_picture_handle").is_none(), "{profile}");
        let picture = profile["profile_picture_url"].as_str().unwrap();
        assert_eq!(rig.http.get(picture).send().await.unwrap().status(), 200, "{picture}");
    }
}

#[tokio::test]
async fn whose_window_is_open_from_the_start_can_be_blocked() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/block_users");
    for (phone, status) in [(OPEN, 200), (CLOSED, 400)] {
        let block = json!({"messaging_product": "whatsapp", "block_users": [{"user": phone}]});
        let call = rig.call(Method::POST, &path).json(&block);
        assert_eq!(call.send().await.unwrap().status(), status, "{phone}");
    }
}

#[tokio::test]
async fn who_cannot_be_blocked_or_unblocked_is_named_with_the_reason() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/block_users");
    let cases = [
        (Method::POST, CLOSED, 131_047),
        (Method::POST, "15550007777", 131_047),
        (Method::POST, "nobody", 131_009),
        (Method::DELETE, "15550007777", 131_009),
    ];
    for (method, user, code) in cases {
        let body = json!({"messaging_product": "whatsapp", "block_users": [{"user": user}]});
        let failed = answer(rig.call(method, &path).json(&body).send().await.unwrap()).await;
        refused(&failed, 400, 139_100);
        let row = &failed.1["block_users"]["failed_users"][0];
        assert_eq!((&row["input"], &row["errors"][0]["code"]), (&json!(user), &json!(code)));
        assert!(row["errors"][0]["error_data"]["details"].is_string(), "{row}");
    }
}

#[tokio::test]
async fn the_numbers_of_an_account_are_listed_in_pages() {
    let rig = Rig::start().await;
    let second = rig.control("numbers", &json!({"display_phone_number": "15550008888"})).await;
    let path = format!("/{WABA}/phone_numbers?fields=id&limit=1");
    let row = |id: &Value| json!([{ "id": id }]);
    let first = rig.get(&path).await.1;
    assert_eq!(first["data"], row(&json!(NUMBER)));
    let next = first["paging"]["next"].as_str().unwrap().strip_prefix(&rig.base).unwrap();
    let rest = rig.get(next).await.1;
    assert_eq!(rest["data"], row(&second["phone_number_id"]));
    assert!(rest["paging"].get("next").is_none(), "{rest}");
    let before = rest["paging"]["cursors"]["before"].as_str().unwrap();
    assert_eq!(rig.get(&format!("{path}&before={before}")).await.1["data"], first["data"]);
    refused(&rig.get(&format!("{path}&after=OTk")).await, 400, 131_059);
}

#[tokio::test]
async fn blocked_people_are_listed_in_pages() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/block_users");
    assert_eq!(rig.get(&path).await.1, json!({"data": []}));
    for phone in [OPEN, CLOSED] {
        rig.control("inbound", &json!({"from": phone, "text": {"body": "hi"}})).await;
    }
    let both =
        json!({"messaging_product": "whatsapp", "block_users": [{"user": OPEN}, {"user": CLOSED}]});
    let call = rig.call(Method::POST, &path).json(&both);
    assert_eq!(call.send().await.unwrap().status(), 200);
    let row =
        |phone: &str| json!({"messaging_product": "whatsapp", "input": phone, "wa_id": phone});
    let all = rig.get(&path).await.1;
    assert_eq!(all["data"], json!([row(OPEN), row(CLOSED)]));
    let is_cursor = |name: &str| all["paging"]["cursors"][name].is_string();
    assert!(is_cursor("before") && is_cursor("after"), "{all}");
    let first = rig.get(&format!("{path}?limit=1")).await.1;
    assert_eq!(first["data"], json!([row(OPEN)]));
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    let rest = rig.get(&format!("{path}?limit=1&after={after}")).await.1;
    assert_eq!(
        (&rest["data"], rest["paging"].get("next")),
        (&json!([row(CLOSED)]), None::<&Value>)
    );
}

#[tokio::test]
async fn people_are_blocked_by_the_id_they_are_known_by() {
    let rig = Rig::start().await;
    let path = format!("/{NUMBER}/block_users");
    let (ann, hidden) = ("US.13491", "US.13491208655302741918");
    rig.control("people", &json!({"phone": OPEN, "user_id": ann})).await;
    for (name, from) in [("from", OPEN), ("from_user_id", hidden)] {
        rig.control("inbound", &json!({name: from, "text": {"body": "hi"}})).await;
    }
    let change = async |method: Method, users: Value| {
        let body = json!({"messaging_product": "whatsapp", "block_users": users});
        let answer = rig.call(method, &path).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["block_users"].clone())
    };
    let named = |id: &str| json!({"input": id, "user_id": id});
    let both = json!([{"user_id": ann}, {"user_id": hidden}]);
    let added = json!({"added_users": [named(ann), named(hidden)]});
    assert_eq!(change(Method::POST, both).await, (200, added));
    let listed = rig.get(&path).await.1["data"].clone();
    let row = |id: &str| json!({"messaging_product": "whatsapp", "input": id, "user_id": id});
    assert_eq!(listed, json!([row(ann), row(hidden)]));
    refused(&rig.send(&text(OPEN)).await, 400, 130_403);
    for (nobody, input) in [
        (json!({"user_id": "US.99999"}), "US.99999"),
        // A number is no id, and an entry that has one is meant by it.
        (json!({"user_id": OPEN}), OPEN),
        (json!({"user": "15550007777", "user_id": ann}), "15550007777"),
        (json!({}), ""),
    ] {
        let (status, answer) = change(Method::DELETE, json!([nobody])).await;
        assert_eq!((status, &answer["failed_users"][0]["input"]), (400, &json!(input)), "{nobody}");
    }
    let removed = json!({"removed_users": [{"input": OPEN, "wa_id": OPEN}, named(hidden)]});
    let again = json!([{"user": OPEN}, {"user_id": hidden}]);
    assert_eq!(change(Method::DELETE, again).await, (200, removed));
    assert_eq!(rig.get(&path).await.1, json!({"data": []}));
    rig.sent(&text(OPEN)).await;
}
