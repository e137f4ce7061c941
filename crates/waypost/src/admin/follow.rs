//! Following a stream of server-sent events: line by line, and again from the last event where the
//! connection breaks.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::api::Api;
use super::output::note;
use crate::http_client::Lines;

/// Pause before the stream is asked for again where it gave nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// How one connection ended.
enum Ended {
    /// The gateway closed it, or was not reached.
    Lost(anyhow::Error),
    /// The gateway refuses to go on.
    Refused(anyhow::Error),
}

impl Api {
    /// Hands on each event as it comes, until the gateway refuses.
    ///
    /// # Errors
    /// The refusal in the gateway's words, or why it was not reached the first time.
    pub(crate) async fn follow(
        &self,
        path: &[&str],
        filters: &[(&str, &str)],
        mut after: Option<String>,
        tell: impl Fn(&Value),
    ) -> anyhow::Result<()> {
        let mut was_connected = false;
        loop {
            let before = after.clone();
            let ended = self.follow_once(path, filters, &mut after, &mut was_connected, &tell);
            match ended.await {
                Ended::Refused(error) => return Err(error),
                Ended::Lost(error) if !was_connected => return Err(error),
                Ended::Lost(_) if before != after => {}
                Ended::Lost(error) => {
                    note(&format!("{error:#}; trying again"));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn follow_once(
        &self,
        path: &[&str],
        filters: &[(&str, &str)],
        after: &mut Option<String>,
        was_connected: &mut bool,
        tell: &impl Fn(&Value),
    ) -> Ended {
        let mut query = filters.to_vec();
        query.extend(after.as_deref().map(|after| ("after", after)));
        let mut lines = match self.open(path, &query).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(refusal)) => return Ended::Refused(refusal),
            Err(error) => return Ended::Lost(error),
        };
        *was_connected = true;
        match read_events(&mut lines, after, tell).await {
            Ok(()) => Ended::Lost(anyhow::anyhow!("the gateway closed the stream")),
            Err(error) => Ended::Lost(error),
        }
    }
}

/// Hands on events until the stream ends. `last` becomes the id of the last one that was handed on.
async fn read_events(
    lines: &mut Lines,
    last: &mut Option<String>,
    tell: &impl Fn(&Value),
) -> anyhow::Result<()> {
    let (mut id, mut data) = (None, String::new());
    while let Some(line) = lines.next().await? {
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => id = Some(value.to_owned()),
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            "" if line.is_empty() && !data.is_empty() => {
                let event = serde_json::from_str(&data).context("an event is not JSON")?;
                tell(&event);
                data.clear();
                *last = id.take().or_else(|| last.take());
            }
            // A comment that keeps the connection alive, or a field that is of no use here.
            _ => {}
        }
    }
    if !data.is_empty() {
        bail!("the stream ended within an event");
    }
    Ok(())
}
