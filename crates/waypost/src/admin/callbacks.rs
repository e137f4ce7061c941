//! Webhooks, the callbacks that were not delivered, and events.

use std::path::Path;

use serde_json::{Value, json};

use super::bodies::Body;
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
            let body = bodies::webhook(Some(address), fields)?.with("id", id);
            post_with_secret(desk, &["webhooks"], body, secret_file.as_deref()).await?;
        }
        WebhookCommand::List(page) => {
            let columns = [
                "id",
                "url",
                "shape",
                "number",
                "events",
                "disabled",
                "state.pending",
                "state.dead",
            ];
            desk.list("webhooks", &page, &columns).await?;
        }
        WebhookCommand::Get(which) => desk.show("webhooks", &which.id).await?,
        WebhookCommand::Update { id, change } => {
            let change = bodies::change(bodies::webhook_change(change)?)?;
            desk.update("webhooks", &id, &change).await?;
        }
        WebhookCommand::Delete(which) => desk.delete("webhooks", &which.id).await?,
        WebhookCommand::RotateSecret { id, secret_file, overlap_s } => {
            let body = Body::default().with("overlap_s", overlap_s);
            let at = ["webhooks", &id, "rotate-secret"];
            post_with_secret(desk, &at, body, secret_file.as_deref()).await?;
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

/// Posts what gives a webhook a secret: the one in a file, or one that the gateway makes and shows.
async fn post_with_secret(
    desk: &Desk<'_>,
    at: &[&str],
    body: Body,
    secret_file: Option<&Path>,
) -> anyhow::Result<()> {
    let body = body.with("secret", secret_file.map(bodies::read_secret).transpose()?);
    let answer = desk.api.post(&desk.at(at), Some(&body.done())).await?;
    print_one(&answer, desk.as_json);
    if !desk.as_json && answer["secret"].is_string() {
        note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}

async fn replay(desk: &Desk<'_>, id: &str, what: ReplayArgs) -> anyhow::Result<()> {
    let body = Body::default()
        .with("dead", what.dead.then_some(true))
        .with("since", what.since)
        .with("until", what.until)
        .with("event_id", what.event);
    make_again(desk, &["webhooks", id, "replay"], body).await
}

async fn make_again(desk: &Desk<'_>, at: &[&str], body: Body) -> anyhow::Result<()> {
    let answer = desk.api.post(&desk.at(at), Some(&body.done())).await?;
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
            let body = Body::default();
            let body =
                members(which).into_iter().fold(body, |body, (name, value)| body.with(name, value));
            make_again(desk, &["callbacks", "replay"], body).await
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
