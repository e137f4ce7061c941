//! Callers: they ask, wait for the answer as long as the process lives, and write down what they are
//! told.

use std::sync::Arc;
use std::time::Duration;

use waypost_domain::command::{
    Caller, MediaDraft, MessageType, Recipient, SendMessage, Submission, Submit,
};
use waypost_domain::content::{Component, Parameter, TemplateMessage};
use waypost_domain::message::{MessageOptions, Priority};
use waypost_domain::{ApiKeyId, Content, Failure};
use waypost_engine::{Ask, Engine, IdempotencyKey};

use crate::furniture::{TEMPLATE, org_id, phone};
use crate::plan::{Mode, PEOPLE, Request};
use crate::world::{Answer, Call, World};

/// How long a repeated request waits for the first one.
const REPEAT_WAIT: Duration = Duration::from_secs(2);

/// Asks; the answer comes when it comes.
pub(crate) fn ask(world: &Arc<World>, engine: &Engine, place: usize, request: &Request) {
    let label = request.label(place);
    {
        let mut state = world.state();
        for label in labels(request.mode, &label) {
            state.fates.entry(label).or_default().extend(request.fates.iter().cloned());
        }
    }
    let call = Call {
        label: label.clone(),
        mode: request.mode,
        has_key: request.key.is_some(),
        answer: Answer::Nothing,
        answered_ms: 0,
    };
    let place = world.calls(call);
    let (world, engine, request) = (Arc::clone(world), engine.clone(), request.clone());
    tokio::spawn(async move {
        let answer = match request.mode {
            Mode::Wait => wait(&engine, &request, &label).await,
            Mode::Later => later(&engine, &request, &label).await,
            Mode::Both => both(&engine, &request, &label).await,
        };
        let answer = answer.unwrap_or_else(|failure| Answer::Refused(failure.kind));
        world.answers(place, answer);
    });
}

/// What the messages of a request say.
pub(crate) fn labels(mode: Mode, label: &str) -> Vec<String> {
    match mode {
        Mode::Wait | Mode::Later => vec![label.to_owned()],
        Mode::Both => vec![format!("{label}.0"), format!("{label}.1")],
    }
}

/// What a message of a simulation says: names the request that it comes from.
pub(crate) fn label_of<M>(content: &Content<M>) -> String {
    match content {
        Content::Text { body, .. } => body.clone(),
        Content::Template(template) => {
            let value = template.components.first().and_then(|body| body.parameters.first());
            match value {
                Some(Parameter::Text { text, .. }) => text.clone(),
                _ => String::new(),
            }
        }
        _ => String::new(),
    }
}

async fn wait(engine: &Engine, request: &Request, label: &str) -> Result<Answer, Failure> {
    let command = command(engine, request, label, request.person);
    let outcome = engine.send(asked(request, command)).await?.outcome;
    let result = outcome.result.map(|receipt| Some(receipt.wamid)).map_err(|failure| failure.kind);
    Ok(Answer::Messages(vec![outcome.id], result))
}

async fn later(engine: &Engine, request: &Request, label: &str) -> Result<Answer, Failure> {
    let command = command(engine, request, label, request.person);
    let outcome = engine.enqueue(asked(request, command)).await?.outcome;
    Ok(Answer::Messages(vec![outcome.id], Ok(None)))
}

async fn both(engine: &Engine, request: &Request, label: &str) -> Result<Answer, Failure> {
    let next = (request.person + 1) % PEOPLE;
    let labels = labels(request.mode, label);
    let messages = labels.iter().zip([request.person, next]).map(|(label, person)| Submission {
        send: command(engine, request, label, person),
        doomed: None,
        tells_all_later: false,
    });
    let command = Submit { org_id: org_id(), messages: messages.collect() };
    let ids = engine.submit(asked(request, command), &[]).await?.outcome;
    Ok(Answer::Messages(ids, Ok(None)))
}

fn asked<T>(request: &Request, command: T) -> Ask<T> {
    let idempotency = request
        .key
        .map(|(key, body)| IdempotencyKey { key: format!("key-{key}"), fingerprint: [body; 32] });
    Ask {
        caller: Caller {
            key_id: ApiKeyId::new("key"),
            org_id: Some(org_id()),
            sends_as: MessageType::Human,
        },
        dialect: "simulation",
        route: request.mode.route(),
        idempotency,
        idempotency_wait: REPEAT_WAIT,
        awaits_unknown: false,
        conflicts_first: false,
        command,
    }
}

fn command(engine: &Engine, request: &Request, label: &str, person: u8) -> SendMessage {
    let content = if request.is_template { template(label) } else { text(label) };
    let life_ms = request.life_s.map(|life_s| i64::from(life_s) * 1_000);
    let options = MessageOptions {
        priority: if request.is_urgent { Priority::High } else { Priority::Normal },
        expires_at: life_ms.map(|life_ms| engine.now().plus_ms(life_ms)),
        ..MessageOptions::default()
    };
    SendMessage { options, ..SendMessage::new(org_id(), Recipient::Phone(phone(person)), content) }
}

fn text(label: &str) -> Content<MediaDraft> {
    Content::Text { body: label.to_owned(), preview_url: false }
}

fn template(label: &str) -> Content<MediaDraft> {
    let body = Component {
        kind: "body".to_owned(),
        sub_type: None,
        index: None,
        parameters: vec![Parameter::Text { text: label.to_owned(), name: None }],
        cards: Vec::new(),
        extra: serde_json::Map::new(),
    };
    Content::Template(TemplateMessage {
        name: TEMPLATE.to_owned(),
        language: None,
        components: vec![body],
    })
}
