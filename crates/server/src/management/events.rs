//! The log of events as lists and as a stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event as StreamEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use http::HeaderMap;
use http::header::ACCEPT;
use serde::Deserialize;
use serde_json::Value;
use waypost_dialects::shapes::standard::view;
use waypost_domain::directory::ApiKey;
use waypost_domain::event::{Event, EventDetail, EventKind};
use waypost_domain::{EventId, MessageId, NumberId, OrgId};
use waypost_engine::ports::{EventFilter, LoggedEvent};

use super::access::{Ids, InOrg, Webhooks};
use super::filter_words::{instant, message_id, newest_first, one_of, word};
use super::input::Arguments;
use super::paging::{List, PageArguments, cursor, place};
use crate::App;
use crate::places::Place;
use crate::problem::{Faults, Problem};

/// How often a stream without news says that it is there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long one look for news may wait: so long may a stream outlive its key.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// The header by which a client tells the last event that it has.
const LAST_EVENT_ID: &str = "last-event-id";

/// Which events.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventArguments {
    /// How many entries at most, 1 to 1000; by default 50. Large ones are fewer: go on with `next`.
    limit: Option<u32>,
    /// `next` of the part before, or the stream's last id.
    after: Option<String>,
    /// Only of these kinds, separated by commas, such as `message.delivered`.
    kind: Option<String>,
    /// Only of this number.
    number_id: Option<String>,
    /// Only of this message.
    message_id: Option<String>,
    /// Only those recorded at or after this instant, in RFC 3339.
    since: Option<String>,
    /// Only those recorded before this instant, in RFC 3339.
    until: Option<String>,
    /// `oldest` (the default) or `newest` first.
    order: Option<String>,
}

impl EventArguments {
    /// A stream goes on for ever, in the order of the log.
    fn check_of_stream(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        for (name, is_given) in [
            ("limit", self.limit.is_some()),
            ("since", self.since.is_some()),
            ("until", self.until.is_some()),
            ("order", self.order.is_some()),
        ] {
            if is_given {
                faults.add(name, "cannot be given with a stream, which begins after Last-Event-ID");
            }
        }
        faults.check()
    }

    fn filter(&self) -> Result<EventFilter, Problem> {
        let mut faults = Faults::default();
        let named = self.kind.as_deref().unwrap_or_default();
        let mut kinds = Vec::new();
        for name in named.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match EventKind::parse(name) {
                Some(kind) => kinds.push(kind),
                None => faults.add("kind", one_of(&EventKind::ALL.map(EventKind::as_str))),
            }
        }
        let filter = EventFilter {
            kinds,
            number_id: self.number_id.as_ref().map(NumberId::new),
            message_id: word(&mut faults, "message_id", &self.message_id, message_id),
            since: word(&mut faults, "since", &self.since, instant),
            until: word(&mut faults, "until", &self.until, instant),
            newest_first: word(&mut faults, "order", &self.order, newest_first).unwrap_or(false),
        };
        faults.check().map(|()| filter)
    }
}

/// Lists events, as webhooks of shape `standard` get them. With `Accept: text/event-stream` the
/// same as a stream of server-sent events: what comes from now on, or after `Last-Event-ID`.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/events", tag = "events",
    params(EventArguments), responses((status = 200, content(
        (List<Value> = "application/json"), (String = "text/event-stream")))))]
pub(crate) async fn list_events(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    headers: HeaderMap,
    Arguments(arguments): Arguments<EventArguments>,
) -> Result<Response, Problem> {
    let filter = arguments.filter()?;
    if wants_stream(&headers) {
        arguments.check_of_stream()?;
        return stream(&app, &within, &headers, &arguments, filter).await;
    }
    let page = PageArguments { limit: arguments.limit, after: arguments.after };
    let events = app.engine.events(within.org_id(), &filter, page.of_store()?).await?;
    Ok(Json(List::of(events, |logged| view(&logged.event))).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|kind| kind.trim().starts_with("text/event-stream"))
}

async fn stream(
    app: &App,
    within: &InOrg<Webhooks>,
    headers: &HeaderMap,
    arguments: &EventArguments,
    filter: EventFilter,
) -> Result<Response, Problem> {
    let place_taken = app.stream_places.take(Some(within.org_id()))?;
    let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok());
    let newest = app.engine.last_event().await?;
    let after = match last.or(arguments.after.as_deref()) {
        Some(text) => place(text)?,
        None => newest,
    };
    // Until the log is as long, nothing would come.
    if after > newest {
        let rule = "names an event that is not there, as after a restore: begin without it";
        return Err(Problem::invalid("after", rule));
    }
    let follower = Follower {
        app: app.clone(),
        org_id: within.org_id().clone(),
        key: Arc::clone(&within.key),
        filter,
        after,
        waiting: VecDeque::new(),
        _place: place_taken,
    };
    let events = futures_util::stream::unfold(follower, async |mut follower| {
        let logged = follower.next().await?;
        Some((Ok::<_, Infallible>(told(&logged)), follower))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// One open stream.
struct Follower {
    app: App,
    org_id: OrgId,
    key: Arc<ApiKey>,
    filter: EventFilter,
    after: i64,
    waiting: VecDeque<LoggedEvent>,
    _place: Place,
}

impl Follower {
    /// The next event that is wanted. `None`, which ends the stream, where the log cannot be read,
    /// the key does not work any more, or the gateway stops: the client comes again with the last
    /// id.
    async fn next(&mut self) -> Option<LoggedEvent> {
        loop {
            while let Some(logged) = self.waiting.pop_front() {
                self.after = logged.place;
                if is_wanted(&self.filter, &logged) {
                    return self.may_go_on().then_some(logged);
                }
            }
            let found = self.app.engine.follow_events(&self.org_id, self.after, LONGEST_LOOK).await;
            self.waiting = found.ok()?.into();
            if self.app.engine.is_stopping() || !self.may_go_on() {
                return None;
            }
        }
    }

    fn may_go_on(&self) -> bool {
        let now = self.app.engine.now();
        let known = self.app.engine.directory().key(&self.key.id);
        let works = |key: Arc<ApiKey>| key.works_at(now) && !key.disabled;
        // The installation's own key is in no directory; it changes only with a restart.
        let has_key = self.key.org_id.is_none() || known.is_some_and(works);
        has_key && self.app.engine.directory().org(&self.org_id).is_some()
    }
}

fn is_wanted(filter: &EventFilter, logged: &LoggedEvent) -> bool {
    let event = &logged.event;
    let of_kind = filter.kinds.is_empty() || filter.kinds.contains(&event.kind);
    let of_number =
        filter.number_id.as_ref().is_none_or(|wanted| event.number_id.as_ref() == Some(wanted));
    let of_message = filter.message_id.is_none_or(|wanted| message_of(event) == Some(wanted));
    of_kind && of_number && of_message
}

fn message_of(event: &Event) -> Option<MessageId> {
    match &event.detail {
        EventDetail::Status(detail) => Some(detail.message.id),
        EventDetail::Received(detail) => Some(detail.message.id),
        EventDetail::Template(_) | EventDetail::Notice(_) => None,
    }
}

fn told(logged: &LoggedEvent) -> StreamEvent {
    StreamEvent::default()
        .id(cursor(logged.place))
        .event(logged.event.kind.as_str())
        .data(view(&logged.event).to_string())
}

/// Shows an event.
#[utoipa::path(get, path = "/waypost/v1/orgs/{org_id}/events/{event_id}", tag = "events",
    responses((status = 200, body = Value)))]
pub(crate) async fn get_event(
    State(app): State<App>,
    within: InOrg<Webhooks>,
    Ids((_, id)): Ids<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let id = EventId::parse_public(&id).ok_or_else(Problem::not_found)?;
    let found = app.engine.event(within.org_id(), id).await?;
    found.map(|logged| Json(view(&logged.event))).ok_or_else(Problem::not_found)
}
