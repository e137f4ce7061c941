//! Rows 1, 29 to 34 and 42: what becomes of messages that were received, as the receipts tell it.

use serde_json::{Value, json};
use waypost_tests::MediaHost;
use waypost_tests::fixture::with;

use crate::desk::{Desk, by_id, by_url, template, text, to};
use crate::table::Table;

const DAY_S: i64 = 86_400;

/// `YYYY-MM-DD HH:MM:SS` of an instant, so many minutes east of Greenwich.
fn wall_clock(seconds: i64, offset_minutes: i64) -> String {
    let local = seconds + offset_minutes * 60;
    let (day, second) = (local.div_euclid(DAY_S), local.rem_euclid(DAY_S));
    // Days to dates by eras of 400 years that begin in March.
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{of_month:02} {hour:02}:{minute:02}:{:02}", second % 60)
}

#[test]
fn wall_clocks_are_right() {
    for (seconds, minutes, told) in [
        (0, 0, "1970-01-01 00:00:00"),
        (951_782_399, 0, "2000-02-28 23:59:59"),
        (951_782_400, 0, "2000-02-29 00:00:00"),
        (1_778_924_218, 330, "2026-05-16 15:06:58"),
        (1_798_741_800, 330, "2027-01-01 00:00:00"),
    ] {
        assert_eq!(wall_clock(seconds, minutes), told);
    }
}

/// When the sandbox gave a message a status, in seconds.
fn happened_at(sent: &Value, status: &str) -> i64 {
    let statuses = sent["statuses"].as_array().unwrap();
    let mark = statuses.iter().find(|mark| mark["status"] == status).unwrap();
    mark["timestamp"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_1_is_told_of_as_far_as_it_comes() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let id = table.accepts("1", desk.send(&by_id(&desk.uploaded().await))).await;
    for status in ["sent", "delivered"] {
        let receipt = table.told("1", &id, status).await;
        let wanted = json!({"ncmessage_id": id, "recipient": "15550001111", "status": status,
            "status_remark": "", "received_at": receipt["received_at"], "source": "src-1",
            "x-apiheader": "order-77"});
        table.check("1", receipt == wanted, &receipt.to_string());
    }
    let sent = desk.sent(&id).await;
    let image = &sent["message"]["image"];
    table.check("1", image["caption"] == "your invoice", &sent.to_string());
    let (_, bytes) = desk.sandbox().file(image["id"].as_str().unwrap_or_default()).await;
    table.check("1", bytes == waypost_tests::files::PNG, "another file upstream");
    let told = table.told("1", &id, "delivered").await["received_at"].clone();
    let at = happened_at(&sent, "delivered");
    table.check("1", told == wall_clock(at, 330), &format!("{told}, not {at} in +05:30"));

    // What is behind the others in the same message is never told: statuses only climb.
    for status in ["read", "delivered", "sent"] {
        desk.sandbox().status(&json!({"wamid": sent["wamid"], "status": status})).await;
    }
    table.told("1", &id, "read").await;
    let zone = json!({"wire_offsets": {"pepipost": "+00:00"}});
    desk.fixture.admin().patch("/orgs/org-1", &zone).await.ok();
    let second = table.accepts("1", desk.send(&text())).await;
    let told = table.told("1", &second, "delivered").await["received_at"].clone();
    let at = happened_at(&desk.sent(&second).await, "delivered");
    table.check("1", told == wall_clock(at, 0), &format!("{told}, not {at} in +00:00"));
    let all = desk.receipts();
    let statuses = all.iter().filter(|it| it["ncmessage_id"] == id.as_str());
    let statuses: Vec<&str> = statuses.map(|it| it["status"].as_str().unwrap()).collect();
    table.check("1", statuses == ["sent", "delivered", "read"], &format!("{statuses:?}"));
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_29_to_34_are_received_and_fail_later() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let host = MediaHost::start().await;
    let closed = "15550002222";
    let values = "/message/0/type_template/0";
    let unknown = with(template(), &format!("{values}/name"), json!("nobody_made_it"));
    let lacking = with(template(), &format!("{values}/attributes"), json!(["Ann"]));
    let elsewhere = with(template(), &format!("{values}/language/locale"), json!("xx"));
    let bad_media = "8008: Invalid Media id or bad media";
    let outside = "8007: Failed to send message because you are outside the support window for \
        freeform messages to this user. Please use a valid template or reconsider";
    let mut failing = Vec::new();
    for (row, body, remark) in [
        ("29 large", by_url(&host.url("/public/large.png")), bad_media),
        ("29 page", by_url(&host.url("/public/page.html")), bad_media),
        ("29 absent", by_url(&host.url("/public/missing.png")), bad_media),
        ("30", to(text(), closed), outside),
        ("32", to(text(), "15550003333"), "8002: Phone number is not opted in"),
        ("33", to(text(), "15550004444"), "8003: WhatsApp contact does not exist"),
        ("34 name", to(unknown, closed), "8009: Invalid Template"),
        ("34 attribute", to(lacking, closed), "8010: Invalid Template parameter"),
        ("34 locale", to(elsewhere, closed), "8011: Invalid Template language"),
    ] {
        failing.push((row, table.accepts(row, desk.send(&body)).await, remark));
    }
    let good = table.accepts("31", desk.send(&to(template(), closed))).await;
    let receipt = table.told("31", &good, "sent").await;
    table.check("31", receipt["recipient"] == closed, &receipt.to_string());
    for (row, id, remark) in &failing {
        let receipt = table.fails(row, id, remark).await;
        let told = receipt["status_remark"].as_str().unwrap();
        let is_ours = ["30", "32", "34"].iter().any(|ours| row.starts_with(ours));
        table.check(row, !is_ours || told == *remark, told);
        let is_upstreams = row.starts_with("29") || *row == "33";
        table.check(row, !is_upstreams || told.ends_with(')'), &format!("no details: {told}"));
    }
    let ledger = desk.sandbox().ledger().await;
    let to_them = |phone: &str| ledger.iter().filter(|row| row["to"] == phone).count();
    table.check("30-34", to_them(closed) == 1, "not the template alone went upstream");
    table.check("32", to_them("15550003333") == 0, "an opt-out was messaged");
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_42_gives_back_what_callers_map_by() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let with_own = |own: Value| with(text(), "/message/0/x-apiheader", own);
    let mut ids = Vec::new();
    for (own, told) in [
        (json!({"a": 1}), json!(r#"{"a":1}"#)),
        (json!("order \"77\" ü"), json!("order \"77\" ü")),
        (json!(77), json!("77")),
        (json!([true]), json!("[true]")),
        (Value::Null, Value::Null),
    ] {
        ids.push((table.accepts("42", desk.send(&with_own(own))).await, told));
    }
    for (id, told) in ids {
        let receipt = table.told("42", &id, "delivered").await;
        table.check("42", receipt["x-apiheader"] == told, &receipt.to_string());
        let has_it = receipt.as_object().unwrap().contains_key("x-apiheader");
        table.check("42", has_it != told.is_null(), &receipt.to_string());
    }
    table.end();
}
