//! What can be done about many messages at once: those that a filter picks are sent again, or
//! withdrawn, or only counted.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use waypost_domain::{CustomerId, NumberId, Phone, Status};
use waypost_engine::ports::MessageFilter;
use waypost_engine::{Sweep, Swept};

use super::access::{InOrg, Sending};
use super::filter_words::{broadcast_id, error, instant, one_of, word};
use super::input::JsonObject;
use crate::App;
use crate::problem::{Faults, Problem};

/// Which messages. At least one member beside `status`, `include_unknown` and `dry_run`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SweepInput {
    /// In which state they must be. To be sent again: `failed` (the default), `cancelled`, or
    /// `unknown` with `include_unknown`. To be cancelled: `queued` (the default), or `unknown`.
    status: Option<String>,
    /// Only with this customer.
    customer_id: Option<String>,
    /// Only with this person.
    phone: Option<String>,
    /// Only by this number.
    number_id: Option<String>,
    /// Only of this broadcast.
    broadcast_id: Option<String>,
    /// Only with this `error.code`, or `error.upstream.code`.
    #[schema(value_type = Option<String>, example = "131016")]
    error_code: Option<Value>,
    /// Only those that may be sent another time as they are, or may not.
    retryable: Option<bool>,
    /// Only those accepted at or after this instant, in RFC 3339.
    since: Option<String>,
    /// Only those accepted before this instant, in RFC 3339.
    until: Option<String>,
    /// Lets messages of unknown outcome be sent again: they may arrive twice.
    #[serde(default)]
    include_unknown: bool,
    /// Only counts.
    #[serde(default)]
    dry_run: bool,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sweep)]
pub(crate) struct SweepView {
    /// Messages that the filter picked.
    matched: u64,
    /// Those to which it was done; with `dry_run`, those to which it would be.
    changed: u64,
    dry_run: bool,
}

impl SweepInput {
    fn filter(&self) -> Result<MessageFilter, Problem> {
        let mut faults = Faults::default();
        let code = self.error_code.as_ref().map(|code| match code {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let filter = MessageFilter {
            customer_id: self.customer_id.as_ref().map(CustomerId::new),
            phone: self.phone.as_deref().and_then(|it| faults.take("phone", Phone::parse(it))),
            number_id: self.number_id.as_ref().map(NumberId::new),
            broadcast_id: word(&mut faults, "broadcast_id", &self.broadcast_id, broadcast_id),
            error: word(&mut faults, "error_code", &code, error),
            retryable: self.retryable,
            since: word(&mut faults, "since", &self.since, instant),
            until: word(&mut faults, "until", &self.until, instant),
            ..MessageFilter::default()
        };
        let texts = [
            &self.customer_id,
            &self.phone,
            &self.number_id,
            &self.broadcast_id,
            &self.since,
            &self.until,
        ];
        let is_any = texts.into_iter().any(Option::is_some);
        if !is_any && self.error_code.is_none() && self.retryable.is_none() {
            let text = "or another of customer_id, phone, number_id, broadcast_id, error_code, \
                        retryable and until must say which messages are meant";
            faults.add("since", text);
        }
        faults.check().map(|()| filter)
    }

    fn status(&self, default: Status, allowed: &[Status]) -> Result<Status, Problem> {
        let Some(text) = &self.status else { return Ok(default) };
        let status = Status::parse(text).filter(|status| allowed.contains(status));
        status.ok_or_else(|| {
            let words: Vec<&str> = allowed.iter().map(|status| status.as_str()).collect();
            Problem::invalid("status", one_of(&words))
        })
    }

    fn view(&self, swept: Swept) -> Json<SweepView> {
        let Swept { matched, done } = swept;
        Json(SweepView { matched, changed: done, dry_run: self.dry_run })
    }
}

/// Puts all messages that a filter picks back into the queue, as they were accepted. What is queued
/// or was sent stays as it is, so that the same call a second time finds none.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/messages/retry", tag = "messages",
    request_body = SweepInput, responses((status = 200, body = SweepView)))]
pub(crate) async fn retry_messages(
    State(app): State<App>,
    within: InOrg<Sending>,
    body: JsonObject,
) -> Result<Json<SweepView>, Problem> {
    let input: SweepInput = body.read()?;
    let allowed = [Status::Failed, Status::Cancelled, Status::Unknown];
    let status = input.status(Status::Failed, &allowed)?;
    if status == Status::Unknown && !input.include_unknown {
        let text = "must be true for messages that may have been sent: they may arrive twice";
        return Err(Problem::invalid("include_unknown", text));
    }
    let sweep = if input.dry_run { Sweep::CountRetries } else { Sweep::Retry };
    let swept = app.engine.sweep(within.org_id(), input.filter()?, status, sweep).await?;
    Ok(input.view(swept))
}

/// Withdraws all messages that a filter picks and that still wait to be sent.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/messages/cancel", tag = "messages",
    request_body = SweepInput, responses((status = 200, body = SweepView)))]
pub(crate) async fn cancel_messages(
    State(app): State<App>,
    within: InOrg<Sending>,
    body: JsonObject,
) -> Result<Json<SweepView>, Problem> {
    let input: SweepInput = body.read()?;
    let status = input.status(Status::Queued, &[Status::Queued, Status::Unknown])?;
    let sweep = if input.dry_run { Sweep::CountCancels } else { Sweep::Cancel };
    let swept = app.engine.sweep(within.org_id(), input.filter()?, status, sweep).await?;
    Ok(input.view(swept))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(value: Value) -> SweepInput {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_sweep_says_which_messages_it_means() {
        for nothing in [json!({}), json!({"status": "failed", "include_unknown": true})] {
            assert!(input(nothing).filter().is_err());
        }
        let all = json!({"number_id": "n", "phone": "+1 555 000 1111", "error_code": 131_016,
            "retryable": true, "since": "2026-01-31T00:00:00Z", "until": "2026-02-01T00:00:00Z"});
        let filter = input(all).filter().unwrap();
        assert_eq!(filter.error, error("131016").ok());
        assert_eq!(filter.retryable, Some(true));
        let bad = json!({"error_code": {}, "until": "noon", "broadcast_id": "1"});
        let problem = input(bad).filter().unwrap_err();
        let fields: Vec<&str> = problem.errors().iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["broadcast_id", "error_code", "until"]);
    }

    #[test]
    fn what_was_sent_is_never_meant() {
        let allowed = [Status::Failed, Status::Unknown];
        for (text, expected) in [
            (None, Some(Status::Failed)),
            (Some("unknown"), Some(Status::Unknown)),
            (Some("sent"), None),
            (Some("delivered"), None),
            (Some("nonsense"), None),
        ] {
            let status = text.map(str::to_owned);
            let input = SweepInput { status, ..SweepInput::default() };
            assert_eq!(input.status(Status::Failed, &allowed).ok(), expected, "{text:?}");
        }
    }
}
