//! Making callbacks again that were given up, whatever address they are for: those of webhooks and
//! those of addresses that requests named.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use waypost_domain::{EventId, MessageId, WebhookId};
use waypost_engine::callbacks::{DeadCallbacks, Replay};

use super::access::{InOrg, Webhooks};
use super::input::JsonObject;
use super::messages::word;
use super::webhooks::ReplayView;
use crate::App;
use crate::problem::{Faults, Problem};

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
        word(&mut faults, "state", &self.state, |text| (text == "dead").then_some(()));
        let filter = DeadCallbacks {
            webhook_id: self.webhook_id.as_ref().map(WebhookId::new),
            server: self.notify_server.clone(),
            message_id: word(&mut faults, "message_id", &self.message_id, MessageId::parse),
            event_id: word(&mut faults, "event_id", &self.event_id, EventId::parse_public),
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
