//! The message log, and what an operator does to messages in it.

use super::Desk;
use super::bodies::Body;
use super::output::{print_done, print_one};
use crate::cli::messages::{MessageCommand, PickedMessages};

/// Runs a command about messages.
///
/// # Errors
/// What the gateway refused, or why it was not reached.
pub(super) async fn run(desk: &Desk<'_>, command: MessageCommand) -> anyhow::Result<()> {
    match command {
        MessageCommand::List { page, wanted } => {
            let mut filters = vec![
                ("status", wanted.status),
                ("customer_id", wanted.customer),
                ("phone", wanted.phone),
                ("number_id", wanted.number),
                ("broadcast_id", wanted.broadcast),
                ("error_code", wanted.error_code),
                ("retryable", wanted.retryable.map(|it| it.to_string())),
                ("direction", wanted.direction),
            ];
            filters.extend(wanted.span.filters());
            let columns =
                ["id", "direction", "phone", "customer_id", "type", "status", "created_at"];
            desk.search("messages", &filters, &page, &columns).await
        }
        MessageCommand::Get(which) => desk.show("messages", &which.id).await,
        MessageCommand::Retry { id: Some(id), include_unknown, .. } => {
            let arguments = [("include_unknown", "true")];
            let arguments = if include_unknown { &arguments[..] } else { &[] };
            one(desk, &id, "retry", arguments).await
        }
        MessageCommand::Cancel { id: Some(id), .. } => one(desk, &id, "cancel", &[]).await,
        MessageCommand::Retry { id: None, picked, include_unknown } => {
            let body = body_of(picked).with("include_unknown", include_unknown.then_some(true));
            many(desk, "retry", body, "sent again").await
        }
        MessageCommand::Cancel { id: None, picked } => {
            many(desk, "cancel", body_of(picked), "withdrawn").await
        }
    }
}

async fn one(
    desk: &Desk<'_>,
    id: &str,
    action: &str,
    arguments: &[(&str, &str)],
) -> anyhow::Result<()> {
    let changed = desk.api.post_with(&desk.at(&["messages", id, action]), arguments).await?;
    print_one(&changed, desk.as_json);
    Ok(())
}

async fn many(desk: &Desk<'_>, action: &str, body: Body, done: &str) -> anyhow::Result<()> {
    let path = desk.at(&["messages", action]);
    let swept = desk.api.post(&path, Some(&body.done())).await?;
    let (matched, changed) = (&swept["matched"], &swept["changed"]);
    let verb = if swept["dry_run"] == true { "would be" } else { "are" };
    let told = format!("{matched} messages match; {changed} {verb} {done}.");
    print_done(&told, &swept, desk.as_json);
    Ok(())
}

fn body_of(picked: PickedMessages) -> Body {
    Body::default()
        .with("status", picked.status)
        .with("customer_id", picked.customer)
        .with("phone", picked.phone)
        .with("number_id", picked.number)
        .with("broadcast_id", picked.broadcast)
        .with("error_code", picked.error_code)
        .with("retryable", picked.retryable)
        .with("since", picked.since)
        .with("until", picked.until)
        .with("dry_run", picked.dry_run.then_some(true))
}
