//! Rows 48 to 53: what people said about being written to; and organisations that demand a yes
//! (§7.3).

use serde_json::{Value, json};
use waypost_tests::Reply;
use waypost_tests::fixture::{with, without};

use crate::desk::{Desk, template, text, to};
use crate::table::{MISSING, Table, is_like, wrong};

const RECORD: &str = "/api/v2/consent/manage/";
const FIND: &str = "/api/v2/consent/";
const NEW: &str = "15550005555";

fn says(word: &str, phone: &str) -> Value {
    json!({"type": word, "recipients": [{"recipient": phone, "source": "WEB",
        "user_agent": "Mozilla/5.0", "ip": "192.0.2.10"}]})
}

fn success(message: &str) -> String {
    format!(r#"{{"status":"success","message":"{message}"}}"#)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_48_to_53_record_and_show_consents() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let record = |body: &Value| desk.post(RECORD, body);
    let added = success("Optin successfully added.");
    table.answers("48", record(&says("optin", NEW)), &added).await;
    let already = ("8005", "Optin already found for provided mobilenumber");
    table.refuses("49", record(&says("optin", NEW)), 400, already).await;
    let both = json!({"type": "optin", "recipients": [
        {"recipient": NEW, "source": "WEB"}, {"recipient": "15550006666", "source": "WEB"}]});
    table.answers("49 (some new)", record(&both), &added).await;

    let valid = || says("optin", NEW);
    let entry = "/recipients/0";
    for (row, body, text) in [
        ("50", without(valid(), "/type"), " type is required."),
        ("50", with(valid(), "/type", json!("x")), " type is invalid. type must be optin/optout."),
        ("50", without(valid(), "/recipients"), " recipients is required."),
        ("50", with(valid(), "/recipients", json!([])), " recipients is required."),
        ("50", without(valid(), "/recipients/0/source"), " source cannot be empty."),
        (
            "50",
            with(valid(), "/recipients/0/source", json!("s".repeat(26))),
            " source value cannot be greater than 25 characters.",
        ),
        (
            "51",
            with(valid(), &format!("{entry}/recipient"), json!("abc")),
            " Invalid recipient. Only numeric values allowed.",
        ),
        (
            "51",
            with(valid(), &format!("{entry}/recipient"), json!("155500055")),
            " recipient value cannot be less than 10 digits.",
        ),
        (
            "51",
            with(valid(), &format!("{entry}/recipient"), json!("1555000555512345")),
            " recipient value cannot be greater than 15 digits.",
        ),
        ("51", with(valid(), "/recipients/0/ip", json!("999.1.1.1")), " ip is invalid."),
        ("51", without(valid(), "/recipients/0/recipient"), " Required parameter is missing"),
    ] {
        table.refuses(row, record(&body), 400, wrong(text)).await;
    }

    let find = |phone: Value| desk.post(FIND, &json!({ "phone_number": phone }));
    let reply = Reply::to(find(json!(NEW))).await.expect(200);
    let at = reply.json()["data"]["created_date"].as_str().unwrap_or_default().to_owned();
    table.check("52", is_like(&at, "0000-00-00 00:00:00.0"), &at);
    let wanted = format!(
        "{{\"status\":\"success\",\"data\":{{\"ip\":\"192.0.2.10\",\"phone_number\":\"{NEW}\",\
         \"optin_source\":\"WEB\",\"user_agent\":\"Mozilla/5.0\",\"created_date\":\"{at}\"}}}}"
    );
    table.check("52", reply.text() == wanted, &reply.text());
    for nobody in ["15550009876", "15550003333"] {
        let message = format!("Optin details not found for {nobody}");
        let wanted = format!(r#"{{"status":"failure","error":{{"message":"{message}"}}}}"#);
        table.answers("52", find(json!(nobody)), &wanted).await;
    }
    table.refuses("52", desk.post(FIND, &json!({})), 400, MISSING).await;

    let out = success("Optout successfully added.");
    table.answers("53", record(&says("optout", "15550001111")), &out).await;
    let id = table.accepts("53", desk.send(&text())).await;
    table.fails("53", &id, "8002: Phone number is not opted in").await;
    table.answers("53", record(&says("optin", "15550001111")), &added).await;
    let id = table.accepts("53", desk.send(&text())).await;
    table.told("53", &id, "sent").await;
    table.check("53", desk.sandbox().ledger().await.len() == 1, "an opt-out was messaged");
    table.end();
}

/// §2: a key's first answer is given again; elsewhere the second opt-in says nothing new.
#[tokio::test(flavor = "multi_thread")]
async fn a_consent_is_recorded_once_for_a_key() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let keyed = |body: &Value| desk.post(RECORD, body).header("Idempotency-Key", "consent-1");
    let first = Reply::to(keyed(&says("optin", NEW))).await.expect(200);
    let again = Reply::to(keyed(&says("optin", NEW))).await.expect(200);
    table.check("2", first.text() == success("Optin successfully added."), &first.text());
    table.check("2", first.body == again.body, &again.text());
    table.check("2", first.header("idempotency-replayed").is_none(), "the first is replayed");
    table.check("2", again.header("idempotency-replayed") == Some("true"), "not replayed");
    let words = wrong(" Idempotency-Key was used with another body");
    table.refuses("2", keyed(&says("optout", NEW)), 409, words).await;
    let already = ("8005", "Optin already found for provided mobilenumber");
    table.refuses("2", desk.post(RECORD, &says("optin", NEW)), 400, already).await;
    table.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organisation_may_demand_a_yes() {
    let desk = Desk::new().await;
    let mut table = Table::of(&desk);
    let unasked = to(template(), NEW);
    let id = table.accepts("7.3", desk.send(&unasked)).await;
    table.told("7.3 (kindly)", &id, "sent").await;
    let strict = json!({"strict_opt_in": true});
    desk.fixture.admin().patch("/orgs/org-1", &strict).await.ok();
    let blocked = "8002: Phone number is not opted in";
    let id = table.accepts("7.3", desk.send(&unasked)).await;
    table.fails("7.3 (no word)", &id, blocked).await;
    let optin = desk.post(RECORD, &says("optin", NEW));
    table.answers("7.3", optin, &success("Optin successfully added.")).await;
    let id = table.accepts("7.3", desk.send(&unasked)).await;
    table.told("7.3 (a yes)", &id, "sent").await;
    // To have written is a yes, but takes no explicit no back: both of these have written.
    let id = table.accepts("7.3", desk.send(&text())).await;
    table.told("7.3 (has written)", &id, "sent").await;
    let id = table.accepts("7.3", desk.send(&to(text(), "15550003333"))).await;
    table.fails("7.3 (a no)", &id, blocked).await;
    let writer = "15550008765";
    let id = table.accepts("7.3", desk.send(&to(template(), writer))).await;
    table.fails("7.3 (a stranger)", &id, blocked).await;
    desk.sandbox().writes(writer, "hello").await;
    desk.incoming("the stranger's words", |it| it["from"] == writer).await;
    let id = table.accepts("7.3", desk.send(&to(text(), writer))).await;
    table.told("7.3 (wrote)", &id, "sent").await;
    table.end();
}
