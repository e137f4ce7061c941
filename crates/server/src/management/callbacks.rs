//! Callbacks, whatever address they are for, those of webhooks and those of addresses that requests
//! named: what was not delivered yet, what was given up, and making the latter again.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use waypost_domain::WebhookId;
use waypost_engine::callbacks::{DeadCallbacks, Replay, origin};
use waypost_engine::ports::{CallbackFilter, CallbackRecord, TargetAddress};

use super::access::{InOrg, Webhooks};
use super::filter_words::{event_id, message_id, word};
use super::input::{Arguments, JsonObject};
use super::paging::{List, PageArguments};
use super::views::time;
use super::webhooks::ReplayView;
use crate::App;
use crate::problem::{Faults, Problem};

/// Which callbacks: those that meet all that is said here.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackArguments {
    /// How many entries, 1 to 1000; by default 50.
    limit: Option<u32>,
    /// `next` of the part before.
    after: Option<String>,
    /// Only those of this webhook.
    webhook_id: Option<String>,
    /// Only those for addresses of this server that requests named.
    #[param(example = "https://crm.example.com")]
    notify_server: Option<String>,
    /// Only those that tell of this message.
    message_id: Option<String>,
    /// Only those of this event.
    event_id: Option<String>,
    /// `pending` or `dead`.
    state: Option<String>,
}

/// A callback that was not delivered, or not yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Callback)]
pub(crate) struct CallbackView {
    event_id: String,
    /// The event's kind.
    kind: &'static str,
    message_id: Option<String>,
    /// The webhook, where it is one.
    webhook_id: Option<String>,
    /// The server of the address that the message's own request named.
    notify_server: Option<String>,
    /// `pending` or `dead`.
    state: &'static str,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next.
    due_at: Option<String>,
    created_at: String,
    /// The status of the last answer.
    last_status: Option<u16>,
    /// Why the last try failed.
    last_error: Option<String>,
}

impl From<CallbackRecord> for CallbackView {
    fn from(record: CallbackRecord) -> Self {
        let (webhook_id, notify_server) = match record.target.address {
            TargetAddress::Webhook(id) => (Some(id.to_string()), None),
            TargetAddress::Notify { origin, .. } => (None, Some(origin)),
        };
        Self {
            event_id: record.event_id.public(),
            kind: record.kind.as_str(),
            message_id: record.message_id.map(|id| id.to_string()),
            webhook_id,
            notify_server,
            state: if record.is_dead { "dead" } else { "pending" },
            attempts: record.attempts,
            due_at: (!record.is_dead).then(|| time(record.due_at)),
            created_at: time(record.created_at),
            last_status: record.last_status,
            last_error: record.last_error,
        }
    }
}

/// Lists callbacks that were not delivered yet, and those that were given up.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/callbacks", tag = "webhooks",
    params(CallbackArguments), responses((status = 200, body = List<CallbackView>)))]
pub(crate) async fn list_callbacks(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Arguments(arguments): Arguments<CallbackArguments>,
) -> Result<Json<List<CallbackView>>, Problem> {
    let mut faults = Faults::default();
    let event = word(&mut faults, "event_id", &arguments.event_id, event_id);
    let mut filter = CallbackFilter {
        webhook_id: arguments.webhook_id.as_ref().map(WebhookId::new),
        server: arguments.notify_server.as_deref().map(origin),
        message_id: word(&mut faults, "message_id", &arguments.message_id, message_id),
        event: None,
        is_dead: word(&mut faults, "state", &arguments.state, |text| match text {
            "pending" => Ok(false),
            "dead" => Ok(true),
            _ => Err("must be pending or dead"),
        }),
    };
    faults.check()?;
    let page = PageArguments { limit: arguments.limit, after: arguments.after }.of_store()?;
    if let Some(id) = event {
        let Some(logged) = app.engine.event(within.org_id(), id).await? else {
            return Ok(Json(List { data: Vec::new(), next: None }));
        };
        filter.event = Some(logged.place);
    }
    let callbacks = app.engine.store().callbacks(within.org_id(), &filter, page).await?;
    Ok(Json(List::of(callbacks, CallbackView::from)))
}

/// Which callbacks to make again: those that were given up and meet all that is said here.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallbackReplayInput {
    /// `dead`: nothing else can be made again.
    #[schema(example = "dead")]
    state: Option<String>,
    /// Only those of this webhook.
    webhook_id: Option<String>,
    /// Only those for addresses of this server that requests named.
    #[schema(example = "https://crm.example.com")]
    notify_server: Option<String>,
    /// Only those that tell of this message.
    message_id: Option<String>,
    /// Only those of this event.
    event_id: Option<String>,
}

impl CallbackReplayInput {
    fn filter(&self) -> Result<DeadCallbacks, Problem> {
        let mut faults = Faults::default();
        let dead = |text: &str| (text == "dead").then_some(()).ok_or("must be dead");
        word(&mut faults, "state", &self.state, dead);
        let filter = DeadCallbacks {
            webhook_id: self.webhook_id.as_ref().map(WebhookId::new),
            server: self.notify_server.clone(),
            message_id: word(&mut faults, "message_id", &self.message_id, message_id),
            event_id: word(&mut faults, "event_id", &self.event_id, event_id),
        };
        faults.check().map(|()| filter)
    }
}

/// Makes callbacks again that were given up; without a filter all of the organisation. Those of
/// webhooks that are switched off stay as they are.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/callbacks/replay", tag = "webhooks",
    request_body = CallbackReplayInput, responses((status = 202, body = ReplayView)))]
pub(crate) async fn replay_callbacks(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    body: JsonObject,
) -> Result<(StatusCode, Json<ReplayView>), Problem> {
    let filter = body.read::<CallbackReplayInput>()?.filter()?;
    let replayed = app.engine.replay(within.org_id(), Replay::AnyDead(filter)).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayView { replayed })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_dead_can_be_made_again() {
        for (body, is_taken) in [
            (json!({}), true),
            (json!({"state": "dead", "notify_server": "https://crm.example.com"}), true),
            (json!({"state": "pending"}), false),
            (json!({"message_id": "nothing"}), false),
            (json!({"event_id": "nothing"}), false),
        ] {
            let input: CallbackReplayInput = serde_json::from_value(body.clone()).unwrap();
            assert_eq!(input.filter().is_ok(), is_taken, "{body}");
        }
    }
}
