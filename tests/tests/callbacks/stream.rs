//! Events as a stream of server-sent events.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use waypost_tests::Api;
use waypost_tests::wait::LIVENESS;

use crate::rig::Org;

const ANN: &str = "15550001111";

/// One event of a stream: id, kind, data.
type Told = (String, String, Value);

/// An open stream.
struct Following {
    response: futures_util::stream::BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
}

impl Following {
    async fn open(api: &Api, path: &str, last: Option<&str>) -> Self {
        let mut request = api.request(Method::GET, path).header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let parts = response.bytes_stream().map(|part| part.map(|bytes| bytes.to_vec()));
        Self { response: parts.boxed(), text: String::new() }
    }

    async fn next(&mut self) -> Told {
        let next = tokio::time::timeout(LIVENESS, self.next_at_last()).await;
        next.expect("the stream brings what was written")
    }

    async fn next_at_last(&mut self) -> Told {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                // Without data it is a sign of life.
                let Some(data) = field("data") else { continue };
                let data = serde_json::from_str(data).unwrap();
                return (field("id").unwrap().to_owned(), field("event").unwrap().to_owned(), data);
            }
            let part = self.response.next().await.expect("the stream has no end").unwrap();
            self.text.push_str(&String::from_utf8(part).unwrap());
        }
    }
}

fn said(told: &Told) -> &str {
    told.2["data"]["message"]["text"]["body"].as_str().unwrap()
}

#[tokio::test]
async fn a_stream_goes_on_where_the_last_one_ended() {
    let org = Org::start().await;
    let sandbox = org.waypost.sandbox();
    let path = org.at("events?kind=message.received");
    let mut stream = Following::open(&org.api, &path, None).await;
    let mut everything = Following::open(&org.api, &org.at("events"), None).await;
    sandbox.writes(ANN, "one").await;
    let first = stream.next().await;
    assert_eq!((said(&first), first.1.as_str()), ("one", "message.received"));
    assert_eq!(everything.next().await.2["id"], first.2["id"]);
    drop(stream);
    for text in ["two", "three"] {
        sandbox.writes(ANN, text).await;
    }
    org.waypost.send_text("in between").await.ok();
    let mut stream = Following::open(&org.api, &path, Some(&first.0)).await;
    let (second, third) = (stream.next().await, stream.next().await);
    // The upstream's webhooks may overtake each other.
    let mut texts = [said(&second), said(&third)];
    texts.sort_unstable();
    assert_eq!(texts, ["three", "two"]);
    sandbox.writes(ANN, "four").await;
    let fourth = stream.next().await;
    assert_eq!(said(&fourth), "four");
    let begin = first.0.clone();
    let listed = org.api.all(&path).await;
    let told: Vec<Value> = [first, second, third, fourth].into_iter().map(|it| it.2).collect();
    assert_eq!(listed, told, "lists and streams show the same objects");
    let mut sent = everything.next().await;
    while sent.1 != "message.sent" {
        sent = everything.next().await;
    }
    let of_message =
        org.at(&format!("events?message_id={}", sent.2["data"]["message_id"].as_str().unwrap()));
    let mut narrow = Following::open(&org.api, &of_message, Some(&begin)).await;
    assert_eq!(narrow.next().await.2, sent.2);
    let one = org.api.get(&org.at(&format!("events/{}", sent.2["id"].as_str().unwrap()))).await;
    assert_eq!(one.ok().json(), sent.2);
}

#[tokio::test]
async fn a_stream_survives_a_restart_and_refuses_what_it_would_not_keep() {
    let org = Org::start().await;
    let path = org.at("events?kind=message.received");
    let mut stream = Following::open(&org.api, &path, None).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    let first = stream.next().await;
    let org = Org::of(org.waypost.kill().start().await);
    org.waypost.sandbox().writes(ANN, "two").await;
    let mut stream = Following::open(&org.api, &path, Some(&first.0)).await;
    assert_eq!(said(&stream.next().await), "two");
    for (query, last, field) in [
        ("since=2030-01-01T00:00:00Z", None, "since"),
        ("order=newest", None, "order"),
        ("limit=5", None, "limit"),
        ("", Some("nonsense!"), "after"),
        // Of a log that was longer than this one is after its restore.
        ("", Some("OTk5OTk5"), "after"),
    ] {
        let path = org.at(&format!("events?{query}"));
        let request = org.api.request(Method::GET, &path).header("accept", "text/event-stream");
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        let refused = waypost_tests::Reply::to(request).await.expect(400).json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let org = Org::start().await;
    let key = serde_json::json!({"scopes": ["webhooks"]});
    let key = org.api.post(&org.at("api-keys"), &key).await.ok().json();
    let api = Api::new(org.waypost.url(), key["secret"].as_str().unwrap());
    let mut stream = Following::open(&api, &org.at("events"), None).await;
    org.waypost.sandbox().writes(ANN, "one").await;
    stream.next().await;
    let path = org.at(&format!("api-keys/{}", key["id"].as_str().unwrap()));
    org.api.request(Method::DELETE, &path).send().await.unwrap();
    let ended = async { while stream.response.next().await.is_some() {} };
    tokio::time::timeout(LIVENESS, ended).await.expect("a revoked key opens nothing");
}
