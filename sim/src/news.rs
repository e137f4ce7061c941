//! The upstream's webhooks: brought when they are due, several together where they are due together,
//! and again until the gateway has taken them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use waypost_domain::status::Report;
use waypost_domain::{ErrorKind, Failure, UpstreamFault};
use waypost_engine::Engine;
use waypost_engine::ports::{Inbound, Signer, StatusNotice, UpstreamEvent};

use crate::furniture::phone;
use crate::world::{News, World};

/// Brings what is due for as long as this process lives.
pub(crate) async fn bring(world: Arc<World>, engine: Engine) {
    loop {
        let due = world.take_news();
        if due.is_empty() {
            wait(&world).await;
            continue;
        }
        let places: Vec<u64> = due.iter().map(|(place, _)| *place).collect();
        let events = due.into_iter().map(|(_, news)| event_of(&world, news)).collect();
        // The next one does not wait for it.
        let (world, engine) = (Arc::clone(&world), engine.clone());
        tokio::spawn(async move {
            let was_taken = receive(&world, &engine, events).await;
            world.brought(&places, was_taken);
        });
    }
}

async fn wait(world: &World) {
    let Some(next_ms) = world.next_news_ms() else {
        return world.agenda_changed.notified().await;
    };
    let left = Duration::from_millis(next_ms.saturating_sub(world.now_ms()));
    tokio::select! {
        biased;
        () = world.agenda_changed.notified() => {}
        () = tokio::time::sleep(left) => {}
    }
}

fn event_of(world: &World, news: News) -> UpstreamEvent {
    match news {
        News::Status { send, report, at, has_token } => {
            let (wamid, opaque, label) = {
                let state = world.state();
                let send = &state.sends[send];
                let wamid = send.wamid.clone().unwrap_or_default();
                (wamid, has_token.then(|| send.token.clone()), send.label.clone())
            };
            world.note(&format!("webhook {label} {wamid} {report:?} token={has_token}"));
            UpstreamEvent::Status(StatusNotice {
                phone_number_id: "100000000000001".to_owned(),
                wamid,
                opaque,
                report: Some(report),
                at: Some(at),
                failure: (report == Report::Failed).then(undeliverable),
                extra: None,
            })
        }
        News::Written { person, wamid, at } => {
            world.note(&format!("webhook written {wamid} by {person}"));
            UpstreamEvent::Inbound(Inbound {
                phone_number_id: "100000000000001".to_owned(),
                phone: Some(phone(person)),
                user_id: None,
                profile_name: None,
                wamid,
                kind: "text".to_owned(),
                message: json!({"type": "text", "text": {"body": "hello"}}),
                written_at: Some(at),
            })
        }
    }
}

fn undeliverable() -> Failure {
    let fault = UpstreamFault { code: Some(131_026), ..UpstreamFault::default() };
    Failure::new(ErrorKind::RecipientUnreachable, "not delivered").with_upstream(fault)
}

/// Gives the gateway a webhook; `false` where it does not take it.
async fn receive(world: &World, engine: &Engine, events: Vec<UpstreamEvent>) -> bool {
    let place = {
        let mut state = world.state();
        state.webhooks.push(events);
        state.webhooks.len() - 1
    };
    engine.receive_webhook(Bytes::from(place.to_string()), Signer::Installation).await.is_ok()
}
