//! Messages: sending one, the log, and what can still be done about one.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Deserialize;
use waypost_domain::command::MessageType;
use waypost_domain::message::{Direction, MessageHistory};
use waypost_domain::{CustomerId, ErrorKind, MessageId, NumberId, OrgId, Phone, Status};
use waypost_engine::ports::MessageFilter;

use super::access::{Ids, InOrg, Reading, Sending};
use super::ask::ask;
use super::filter_words::{broadcast_id, error, instant, newest_first, status, word};
use super::input::{Arguments, JsonObject};
use super::message_object::MessageInput;
use super::message_options::END_RULE;
use super::paging::{List, PageArguments};
use super::traffic_views::{MessageDetailView, MessageView};
use crate::App;
use crate::headers::mark_replayed;
use crate::problem::{Faults, Problem};

const SEND: &str = "/waypost/v1/orgs/{org_id}/messages";

/// Accepts a message: durable when this is answered, delivered later.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/messages", tag = "messages",
    request_body = MessageInput, responses((status = 202, body = MessageView)))]
pub(crate) async fn send_message(
    State(app): State<App>,
    within: InOrg<Sending>,
    mut body: JsonObject,
) -> Result<Response, Problem> {
    app.check_backlog()?;
    let idempotency = body.idempotency.take();
    let now = app.engine.now();
    let command = body.read::<MessageInput>()?.into_command(within.org_id(), now)?;
    let ask = ask(&within, SEND, idempotency, command);
    let answer = app.engine.enqueue(ask).await.map_err(|failure| match failure.kind {
        ErrorKind::Expired => Problem::invalid("expires_at", END_RULE),
        _ => failure.into(),
    })?;
    let view = Json(MessageView::from(&answer.outcome));
    let mut response = (StatusCode::ACCEPTED, view).into_response();
    if answer.replayed {
        mark_replayed(response.headers_mut());
    }
    Ok(response)
}

/// Which messages.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MessageArguments {
    /// How many entries at most, 1 to 1000; by default 50. Large ones are fewer: go on with `next`.
    limit: Option<u32>,
    /// `next` of the part before.
    after: Option<String>,
    /// Only with this customer.
    customer_id: Option<String>,
    /// Only with this person.
    phone: Option<String>,
    /// Only by this number.
    number_id: Option<String>,
    /// Only of this conversation.
    session_id: Option<String>,
    /// Only of this broadcast.
    broadcast_id: Option<String>,
    /// Only with this status.
    status: Option<String>,
    /// `outbound` or `inbound`.
    direction: Option<String>,
    /// `human`, `assistant`, `template` or `user`.
    message_type: Option<String>,
    /// Only the one with this upstream id.
    wamid: Option<String>,
    /// Only those with this `error.code`, or `error.upstream.code`.
    error_code: Option<String>,
    /// `true`: only failed ones that may be sent another time as they are; `false`: only the others.
    retryable: Option<bool>,
    /// Only those accepted at or after this instant, in RFC 3339.
    since: Option<String>,
    /// Only those accepted before this instant, in RFC 3339.
    until: Option<String>,
    /// `oldest` (the default) or `newest` first.
    order: Option<String>,
}

impl MessageArguments {
    fn filter(&self) -> Result<MessageFilter, Problem> {
        let mut faults = Faults::default();
        let filter = MessageFilter {
            customer_id: self.customer_id.as_ref().map(CustomerId::new),
            phone: self.phone.as_deref().and_then(|it| faults.take("phone", Phone::parse(it))),
            number_id: self.number_id.as_ref().map(NumberId::new),
            session_id: self.session_id.clone(),
            broadcast_id: word(&mut faults, "broadcast_id", &self.broadcast_id, broadcast_id),
            status: word(&mut faults, "status", &self.status, status),
            direction: word(&mut faults, "direction", &self.direction, direction),
            message_type: word(&mut faults, "message_type", &self.message_type, message_type),
            wamid: self.wamid.clone(),
            error: word(&mut faults, "error_code", &self.error_code, error),
            retryable: self.retryable,
            since: word(&mut faults, "since", &self.since, instant),
            until: word(&mut faults, "until", &self.until, instant),
            newest_first: word(&mut faults, "order", &self.order, newest_first).unwrap_or(false),
        };
        faults.check().map(|()| filter)
    }
}

fn direction(text: &str) -> Result<Direction, &'static str> {
    match text {
        "outbound" => Ok(Direction::Outbound),
        "inbound" => Ok(Direction::Inbound),
        _ => Err("must be outbound or inbound"),
    }
}

fn message_type(text: &str) -> Result<MessageType, &'static str> {
    MessageType::parse(text).ok_or("must be human, assistant, template or user")
}

/// Lists messages of both directions.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/messages", tag = "messages",
    params(MessageArguments), responses((status = 200, body = List<MessageView>)))]
pub(crate) async fn list_messages(
    State(app): State<App>,
    within: InOrg<Reading>,
    Arguments(arguments): Arguments<MessageArguments>,
) -> Result<Json<List<MessageView>>, Problem> {
    let filter = arguments.filter()?;
    let page = PageArguments { limit: arguments.limit, after: arguments.after }.of_store()?;
    let paged = app.engine.store().messages(within.org_id(), &filter, page).await?;
    Ok(Json(List::of(paged, |message| MessageView::from(&message))))
}

async fn known_message(app: &App, org_id: &OrgId, id: &str) -> Result<MessageHistory, Problem> {
    let id = MessageId::parse(id).ok_or_else(Problem::not_found)?;
    app.engine.store().message(org_id, id).await?.ok_or_else(Problem::not_found)
}

/// Shows a message with its statuses and its calls to the upstream.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/messages/{message_id}", tag = "messages",
    responses((status = 200, body = MessageDetailView)))]
pub(crate) async fn get_message(
    State(app): State<App>,
    within: InOrg<Reading>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<MessageDetailView>, Problem> {
    Ok(Json(MessageDetailView::from(&known_message(&app, within.org_id(), &id).await?)))
}

/// Withdraws a message that is still queued, or what is to be sent again of an unknown one.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/messages/{message_id}/cancel",
    tag = "messages", responses((status = 200, body = MessageDetailView)))]
pub(crate) async fn cancel_message(
    State(app): State<App>,
    within: InOrg<Sending>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<MessageDetailView>, Problem> {
    let known = known_message(&app, within.org_id(), &id).await?;
    if !app.engine.cancel_message(within.org_id(), known.message.id).await? {
        let detail = "Only a queued message can be cancelled, or one that is to be sent again.";
        return Err(Problem::wrong_state(detail));
    }
    Ok(Json(MessageDetailView::from(&known_message(&app, within.org_id(), &id).await?)))
}

/// How a message is sent again.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RetryArguments {
    /// Also where its outcome is unknown: it may arrive twice.
    #[serde(default)]
    include_unknown: bool,
}

/// Puts a failed or cancelled message back into the queue as it was accepted; one whose outcome is
/// unknown only with `include_unknown`.
#[utoipa::path(post, path = "/waypost/v1/orgs/{org_id}/messages/{message_id}/retry",
    tag = "messages", params(RetryArguments), responses((status = 200, body = MessageDetailView)))]
pub(crate) async fn retry_message(
    State(app): State<App>,
    within: InOrg<Sending>,
    Ids((_, id)): Ids<(String, String)>,
    Arguments(arguments): Arguments<RetryArguments>,
) -> Result<Json<MessageDetailView>, Problem> {
    let known = known_message(&app, within.org_id(), &id).await?;
    if known.message.status == Status::Unknown && !arguments.include_unknown {
        let detail = "Nobody knows whether the message was sent: sent again it may arrive twice. Say \
                      include_unknown=true to send it again all the same.";
        return Err(Problem::wrong_state(detail));
    }
    let queued = app.engine.retry_message(within.org_id(), known.message.id).await;
    let queued = queued.map_err(|failure| match failure.kind {
        ErrorKind::Expired => Problem::wrong_state(failure.message),
        _ => failure.into(),
    });
    if !queued? {
        let detail = "Only a failed, cancelled or unknown message can be sent again, and only while its \
                      idempotency key stands for no other message.";
        return Err(Problem::wrong_state(detail));
    }
    Ok(Json(MessageDetailView::from(&known_message(&app, within.org_id(), &id).await?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_known_words_only() {
        let all = MessageArguments {
            status: Some("read".to_owned()),
            direction: Some("inbound".to_owned()),
            message_type: Some("user".to_owned()),
            since: Some("2026-01-31T00:00:00+08:00".to_owned()),
            order: Some("newest".to_owned()),
            phone: Some("+1 555 000 1111".to_owned()),
            error_code: Some("131016".to_owned()),
            ..MessageArguments::default()
        };
        let filter = all.filter().unwrap();
        assert_eq!(filter.status, Some(Status::Read));
        assert!(filter.newest_first);
        assert!(filter.error.is_some());
        let bad = MessageArguments {
            status: Some("seen".to_owned()),
            until: Some("noon".to_owned()),
            broadcast_id: Some("1".to_owned()),
            error_code: Some("bad luck".to_owned()),
            ..MessageArguments::default()
        };
        let problem = bad.filter().unwrap_err();
        let fields: Vec<&str> = problem.errors().iter().map(|it| it.field.as_str()).collect();
        assert_eq!(fields, ["broadcast_id", "status", "error_code", "until"]);
    }
}
