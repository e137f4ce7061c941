//! Webhooks, the callbacks that were not delivered, and events.

use serde_json::{Map, Value, json};

use super::output::{note, print_done, print_line, print_list, print_one, print_rows};
use super::{Desk, bodies};
use crate::cli::callbacks::{
    CallbackCommand, CallbackFilters, CallbackReplayArgs, EventCommand, EventFilters, ReplayArgs,
    WebhookCommand,
};

/// Runs a command about webhooks. `false`: a trial call did not succeed.
///
/// # Errors
/// What the gateway refused, or why it was not reached.
pub(super) async fn webhooks(desk: &Desk<'_>, command: WebhookCommand) -> anyhow::Result<bool> {
    match command {
        WebhookCommand::Create { address, id, secret_file, fields } => {
            let mut body = bodies::webhook(Some(address), fields)?;
            body.extend(id.map(|id| ("id".to_owned(), json!(id))));
            if let Some(file) = secret_file {
                body.insert("secret".to_owned(), json!(bodies::read_secret(&file)?));
            }
            let made = desk.api.post(&desk.at(&["webhooks"]), Some(&Value::Object(body))).await?;
            show_secret(desk, &made);
        }
        WebhookCommand::List(page) => {
            let columns = ["id", "url", "shape", "number", "events", "disabled"];
            desk.list("webhooks", &page, &columns).await?;
        }
        WebhookCommand::Get(which) => desk.show("webhooks", &which.id).await?,
        WebhookCommand::Update {
            id,
            address,
            fields,
            every_number,
            every_event,
            no_header,
            disabled,
        } => {
            let mut change = bodies::webhook(address, fields)?;
            let cleared = [
                ("number", every_number.then_some(Value::Null)),
                ("events", every_event.then_some(json!([]))),
                ("header", no_header.then_some(Value::Null)),
                ("disabled", disabled.map(Value::Bool)),
            ];
            let given = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
            change.extend(cleared.into_iter().filter_map(given));
            desk.update("webhooks", &id, &bodies::change(Value::Object(change))?).await?;
        }
        WebhookCommand::Delete(which) => desk.delete("webhooks", &which.id).await?,
        WebhookCommand::RotateSecret { id, secret_file, overlap_s } => {
            let secret = secret_file.map(|file| bodies::read_secret(&file)).transpose()?;
            let mut body = Map::new();
            body.extend(secret.map(|secret| ("secret".to_owned(), json!(secret))));
            body.extend(overlap_s.map(|overlap_s| ("overlap_s".to_owned(), json!(overlap_s))));
            let path = desk.at(&["webhooks", &id, "rotate-secret"]);
            show_secret(desk, &desk.api.post(&path, Some(&Value::Object(body))).await?);
        }
        WebhookCommand::Test(which) => {
            let tried = desk.api.post(&desk.at(&["webhooks", &which.id, "test"]), None).await?;
            print_one(&tried, desk.as_json);
            return Ok(tried["status"].as_u64().is_some_and(|status| status / 100 == 2));
        }
        WebhookCommand::Replay { id, what } => replay(desk, &id, what).await?,
    }
    Ok(true)
}

fn show_secret(desk: &Desk<'_>, answer: &Value) {
    print_one(answer, desk.as_json);
    if !desk.as_json && answer["secret"].is_string() {
        note("Keep the secret now: it is not shown again.");
    }
}

async fn replay(desk: &Desk<'_>, id: &str, what: ReplayArgs) -> anyhow::Result<()> {
    let mut body = Map::new();
    let given = [
        ("dead", what.dead.then_some(json!(true))),
        ("since", what.since.map(Value::String)),
        ("until", what.until.map(Value::String)),
        ("event_id", what.event.map(Value::String)),
    ];
    body.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    make_again(desk, &["webhooks", id, "replay"], body).await
}

async fn make_again(desk: &Desk<'_>, at: &[&str], body: Map<String, Value>) -> anyhow::Result<()> {
    let answer = desk.api.post(&desk.at(at), Some(&Value::Object(body))).await?;
    let told = format!("{} callbacks are made again.", answer["replayed"]);
    print_done(&told, &answer, desk.as_json);
    Ok(())
}

/// Runs a command about callbacks.
///
/// # Errors
/// As [`webhooks`].
pub(super) async fn callbacks(desk: &Desk<'_>, command: CallbackCommand) -> anyhow::Result<()> {
    match command {
        CallbackCommand::List { page, which, state } => {
            let mut filters = members(which).to_vec();
            filters.push(("state", state));
            let columns = [
                "event_id",
                "kind",
                "message_id",
                "webhook_id",
                "notify_server",
                "state",
                "attempts",
                "last_error",
            ];
            desk.search("callbacks", &filters, &page, &columns).await
        }
        CallbackCommand::Replay(CallbackReplayArgs { which, all: _ }) => {
            let given = members(which).into_iter();
            let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
            make_again(desk, &["callbacks", "replay"], given.collect()).await
        }
    }
}

/// The filters by the names that the API has for them.
fn members(which: CallbackFilters) -> [(&'static str, Option<String>); 4] {
    let CallbackFilters { webhook, server, message, event } = which;
    [
        ("webhook_id", webhook),
        ("notify_server", server),
        ("message_id", message),
        ("event_id", event),
    ]
}

/// What of an event people see in one line.
const COLUMNS: [&str; 5] = ["timestamp", "type", "person", "message_id", "id"];

/// Runs a command about events.
///
/// # Errors
/// As [`webhooks`].
pub(super) async fn events(desk: &Desk<'_>, command: EventCommand) -> anyhow::Result<()> {
    let (page, filters, follow) = match command {
        EventCommand::Get(which) => return desk.show("events", &which.id).await,
        EventCommand::List { page, filters, follow } => (page, filters, follow),
    };
    let filters = wanted(filters);
    let given: Vec<(&str, &str)> = filters
        .iter()
        .filter_map(|(name, value)| value.as_deref().map(|value| (*name, value)))
        .collect();
    let path = desk.at(&["events"]);
    if follow {
        let tell = |event: &Value| {
            if desk.as_json {
                print_line(event);
            } else {
                print_rows(&[row(event)], &COLUMNS);
            }
        };
        return desk.api.follow(&path, &given, page.after, tell).await;
    }
    let mut listed = desk.api.list(&path, &given, page.limit, page.after.as_deref()).await?;
    if !desk.as_json {
        listed.data = listed.data.iter().map(row).collect();
    }
    print_list(&listed, &COLUMNS, desk.as_json);
    Ok(())
}

fn wanted(filters: EventFilters) -> Vec<(&'static str, Option<String>)> {
    let EventFilters { events, number, message, span } = filters;
    let mut wanted = vec![
        ("kind", (!events.is_empty()).then(|| events.join(","))),
        ("number_id", number),
        ("message_id", message),
    ];
    wanted.extend(span.filters());
    wanted
}

/// An event with what a line shows of it at its top.
fn row(event: &Value) -> Value {
    let data = &event["data"];
    let person = if data["to"].is_null() { &data["from"] } else { &data["to"] };
    json!({"timestamp": event["timestamp"], "type": event["type"], "person": person,
        "message_id": data["message_id"], "id": event["id"]})
}
