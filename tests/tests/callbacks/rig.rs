//! What the tests of callbacks need: a gateway that may call this machine, somebody who answers
//! callbacks as a test says, and a second opinion on signatures. It judges nothing.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::watch;
use waypost_tests::wire::{Listening, Reader, Request, response};
use waypost_tests::{Api, Options, Waypost, eventually};

/// Settings that let callbacks reach this machine.
pub(crate) fn local() -> Options {
    Options::new()
        .env("WAYPOST_EGRESS__ALLOW_NETWORKS", "127.0.0.1/32")
        .env("WAYPOST_EGRESS__ALLOW_HTTP_CALLBACKS", "true")
}

/// The demo organisation of a gateway.
pub(crate) struct Org {
    pub(crate) waypost: Waypost,
    pub(crate) api: Api,
    path: String,
}

impl Org {
    /// On a gateway of its own, with its sandbox.
    pub(crate) async fn start() -> Self {
        Self::of(local().start().await)
    }

    /// On a gateway that runs.
    pub(crate) fn of(waypost: Waypost) -> Self {
        let (api, path) =
            (waypost.admin(), format!("/orgs/{}", waypost.variable("WAYPOST_ORG_ID")));
        Self { waypost, api, path }
    }

    /// The path of something of the organisation.
    pub(crate) fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    /// Makes a webhook with this id; returns its secret.
    pub(crate) async fn webhook(&self, id: &str, url: &str, more: Value) -> String {
        let mut body = json!({"id": id, "url": url});
        let more = more.as_object().cloned().unwrap_or_default();
        body.as_object_mut().unwrap().extend(more);
        let made = self.api.post(&self.at("webhooks"), &body).await.expect(201).json();
        made["secret"].as_str().unwrap().to_owned()
    }

    /// Makes a webhook that is told only of what people write.
    pub(crate) async fn hears(&self, id: &str, url: &str) -> String {
        self.webhook(id, url, json!({"events": ["message.received"]})).await
    }

    /// What this person wrote, in the order of the log: webhooks of the upstream may overtake each
    /// other on their way here.
    pub(crate) async fn written(&self, person: &str) -> Vec<String> {
        let listed = self.api.all(&self.at("events?kind=message.received")).await;
        let of_person = listed.iter().filter(|event| event["data"]["from"] == person);
        let said = of_person.map(|event| event["data"]["message"]["text"]["body"].as_str());
        said.map(|text| text.unwrap_or_default().to_owned()).collect()
    }

    /// What is pending or dead.
    pub(crate) async fn callbacks(&self) -> Vec<Value> {
        self.api.all(&self.at("callbacks")).await
    }

    /// The one callback that is not delivered, once it was tried so often.
    pub(crate) async fn tried(&self, attempts: u64) -> Value {
        eventually(&format!("a callback after {attempts} tries"), async || {
            let all = self.callbacks().await;
            all.into_iter().find(|one| one["attempts"] == attempts)
        })
        .await
    }

    /// Waits until nothing is pending or dead.
    pub(crate) async fn nothing_left(&self) {
        eventually("no callback that is left", async || {
            self.callbacks().await.is_empty().then_some(())
        })
        .await;
    }

    /// Makes callbacks of a webhook again; how many.
    pub(crate) async fn replay(&self, webhook: &str, what: Value) -> u64 {
        let path = self.at(&format!("webhooks/{webhook}/replay"));
        let reply = self.api.post(&path, &what).await.expect(202).json();
        reply["replayed"].as_u64().unwrap()
    }

    /// The gateway's clock, in seconds.
    pub(crate) async fn now_s(&self) -> i64 {
        let path = "/_sandbox/clock";
        let clock = self.waypost.sandbox().call(reqwest::Method::GET, path, None).await.ok().json();
        clock["now_ms"].as_i64().unwrap() / 1_000
    }
}

/// What is answered to a post.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This status.
    Status(u16),
    /// This status with a header.
    With(u16, &'static str, String),
    /// The connection is closed without a word.
    Nothing,
    /// 200, but not before the receiver is released.
    WhenReleased,
}

type Decide = dyn Fn(&Request, usize) -> Answer + Send + Sync;

struct Shared {
    decide: Box<Decide>,
    seen: Mutex<Vec<Request>>,
    released: watch::Sender<bool>,
}

/// Somebody who takes callbacks. Dropping it closes its port and every connection.
pub(crate) struct Callee {
    listening: Listening,
    shared: Arc<Shared>,
}

impl Callee {
    /// Answers as told, given the post and how many came before it.
    pub(crate) async fn telling(
        decide: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), decide).await
    }

    /// Answers 200.
    pub(crate) async fn fine() -> Self {
        Self::telling(|_, _| Answer::Status(200)).await
    }

    /// Like [`Self::telling`], at this address.
    pub(crate) async fn at(
        address: SocketAddr,
        decide: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            decide: Box::new(decide),
            seen: Mutex::default(),
            released: watch::Sender::new(false),
        });
        let serving = Arc::clone(&shared);
        let serve = move |stream| serve(stream, Arc::clone(&serving));
        Self { listening: Listening::at(address, serve).await, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    pub(crate) fn url(&self) -> String {
        self.listening.url("/events")
    }

    /// Answers what waits, and everything from now on at once.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Every post, in order.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Every post, once there are so many.
    pub(crate) async fn posts(&self, count: usize) -> Vec<Request> {
        eventually(&format!("{count} posts"), async || {
            let seen = self.seen();
            (seen.len() >= count).then_some(seen)
        })
        .await
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut reader = Reader::default();
    while let Ok(Some(request)) = reader.next(&mut stream).await {
        let before = {
            let mut seen = shared.seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let bytes = match (shared.decide)(&request, before) {
            Answer::Status(status) => response(status, &[], b""),
            Answer::With(status, name, value) => response(status, &[(name, &value)], b""),
            Answer::Nothing => return,
            Answer::WhenReleased => {
                let mut released = shared.released.subscribe();
                if released.wait_for(|released| *released).await.is_err() {
                    return;
                }
                response(200, &[], b"")
            }
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// What a person wrote, as a post of shape `standard` tells it.
pub(crate) fn text(post: &Request) -> String {
    let body = post.json()["data"]["message"]["text"]["body"].clone();
    body.as_str().unwrap_or_default().to_owned()
}

/// The texts of posts, in order.
pub(crate) fn texts(posts: &[Request]) -> Vec<String> {
    posts.iter().map(text).collect()
}

/// An event's id as the header tells it.
pub(crate) fn id(post: &Request) -> String {
    post.header("webhook-id").unwrap_or_default().to_owned()
}

/// What the Standard Webhooks project's own library says to posts, by this machine's clock: nothing
/// where it accepts, else why not.
pub(crate) async fn second_opinion(posts: &[Request], secret: &str) -> Vec<Option<String>> {
    let asked: Vec<Value> = posts
        .iter()
        .map(|post| {
            let headers: HashMap<_, _> = post.headers.iter().cloned().collect();
            json!({"secret": secret, "headers": headers,
                "body": String::from_utf8(post.body.clone()).unwrap()})
        })
        .collect();
    let folder = waypost_tests::binary::workspace().join("tests/clients");
    let is_installed = folder.join("node_modules/standardwebhooks").exists();
    assert!(is_installed, "run `cargo xtask test` once, or `npm ci` in tests/clients");
    let mut child = Command::new("node")
        .arg("verify.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node is installed");
    let mut input = child.stdin.take().unwrap();
    input.write_all(json!(asked).to_string().as_bytes()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "verify.mjs failed");
    serde_json::from_slice(&output.stdout).unwrap()
}
