//! `waypost admin queues`: what waits, and what a restored installation holds back.

use serde_json::{Value, json};

use super::api::{Api, Listed};
use super::output::{note, print_done, print_list, print_one};
use crate::cli::admin::QueueCommand;

/// Columns of the numbers that have something waiting, or are hindered.
const COLUMNS: [&str; 10] = [
    "number_id",
    "org_id",
    "due",
    "later",
    "broadcast",
    "oldest_due_s",
    "next_due_at",
    "pace_per_s",
    "postponed",
    "outage",
];

pub(super) async fn queues(
    api: &Api,
    command: Option<QueueCommand>,
    as_json: bool,
) -> anyhow::Result<()> {
    match command.unwrap_or(QueueCommand::Show) {
        QueueCommand::Show => show(api, as_json).await,
        QueueCommand::Resume => settle(api, "send", as_json).await,
        QueueCommand::Leave => settle(api, "leave", as_json).await,
    }
}

async fn show(api: &Api, as_json: bool) -> anyhow::Result<()> {
    let mut answer = api.get(&["queues"]).await?;
    if as_json {
        print_one(&answer, true);
        return Ok(());
    }
    let numbers = match answer["numbers"].take() {
        Value::Array(numbers) => numbers,
        _ => Vec::new(),
    };
    print_one(&answer, false);
    let is_locked = numbers.iter().any(|number| number["outage"]["locked"] == true);
    let numbers: Vec<Value> = numbers.into_iter().map(in_columns).collect();
    if !numbers.is_empty() {
        print_list(&Listed { data: numbers, next: None }, &COLUMNS, false);
    }
    if is_locked {
        note(
            "Meta refuses everything of a number: mend its token, account or payment at Meta; \
             see \"Meta is down\" in the operating guide.",
        );
    }
    if count(&answer, "restored") + count(&answer, "restored_broadcasts") > 0 {
        note(
            "Messages or broadcasts are held back since a restore: `waypost admin queues resume`, \
             or `leave`, settles them.",
        );
    }
    Ok(())
}

fn count(answer: &Value, name: &str) -> u64 {
    answer[name].as_u64().unwrap_or(0)
}

/// The pace in columns: at present, of the configured one; and the outage in words.
fn in_columns(mut number: Value) -> Value {
    let pace = number["pace"].take();
    if pace.is_object() {
        let present = format!("{} of {}", pace["present_per_s"], pace["configured_per_s"]);
        number["pace_per_s"] = json!(present);
        number["postponed"] = pace["postponed"].clone();
    }
    let outage = number["outage"].take();
    if let Some(since) = outage["since"].as_str() {
        let what = if outage["locked"] == true { "locked" } else { "down" };
        number["outage"] = json!(format!("{what} since {since}"));
    }
    number
}

async fn settle(api: &Api, action: &str, as_json: bool) -> anyhow::Result<()> {
    let answer = api.post(&["held-back"], Some(&json!({"action": action}))).await?;
    let told = match action {
        "send" => format!(
            "{} messages are in the queue again and {} broadcasts run again, flagged as possible \
             duplicates.",
            count(&answer, "resumed"),
            count(&answer, "resumed_broadcasts")
        ),
        _ => "Nothing is held back any more; messages stay unknown, and broadcasts paused until \
              somebody resumes them."
            .to_owned(),
    };
    print_done(&told, &answer, as_json);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_s_pace_and_outage_are_told_in_words() {
        let pace = json!({"present_per_s": 40, "configured_per_s": 80, "postponed": 3});
        let since = "2030-01-31T00:00:00.000Z";
        for (outage, words) in [
            (json!(null), json!(null)),
            (json!({"since": since, "locked": false}), json!(format!("down since {since}"))),
            (json!({"since": since, "locked": true}), json!(format!("locked since {since}"))),
        ] {
            let number = in_columns(json!({"due": 1, "pace": pace.clone(), "outage": outage}));
            assert_eq!(number["outage"], words);
            assert_eq!(number["pace_per_s"], "40 of 80");
            assert_eq!(number["postponed"], 3);
        }
    }
}
