//! How long each dialect takes to decode a text message and to encode its answer, measured with the dialects' own
//! samples. Nothing of the server: no connection, no key, no store.
//!
//! `cargo xtask bench` runs this and reads what criterion wrote; the bars stand there.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use waypost_dialects::contract::{Asked, Body, Call, Command, Dialect, Outcome, Request};
use waypost_dialects::registry::DIALECTS;
use waypost_dialects::samples::{Feature, SAMPLE_ORG, SampleBody};
use waypost_domain::command::{Delivery, MessageType, Receipt};

use waypost_domain::{MessageId, OrgId, Phone, Timestamp};

/// The gateway's own, so that what is measured is what runs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where criterion keeps the figures: `target/criterion/<this>/<dialect>`.
const GROUP: &str = "text message";
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// What there is to be decoded and what is answered in the end.
struct Exchange {
    dialect: &'static dyn Dialect,
    request: Request<'static>,
    outcome: Outcome,
}

impl Exchange {
    fn of_text(dialect: &'static dyn Dialect, org: &'static OrgId) -> Self {
        let sample = dialect.samples().iter().find(|sample| sample.feature == Feature::Text);
        let sample = sample.expect("every dialect shows how it sends a text");
        let SampleBody::Json(body) = sample.body else { unreachable!("a text is sent as JSON") };
        let is_taken = |path: &str| path == sample.path;
        let mut routes = dialect.routes().iter();
        let route = routes
            .find(|route| route.method == sample.method && is_taken(route.path))
            .expect("a text is sent to a path without variables");
        let body = Body::Json(body.as_bytes());
        let request = Request { org: Some(org), now: NOW, ..Request::to(route, body) };
        let command = dialect.decode(&request).expect("a sample is taken");
        Self { dialect, request, outcome: success(&command) }
    }

    fn run(&self) -> Vec<u8> {
        let command = self.dialect.decode(black_box(&self.request)).expect("it was taken before");
        let echo = command.echo();
        let call = Call {
            path: self.request.route_path,
            request_id: "01920000-0000-7000-8000-000000000001",
            now: NOW,
            ..Call::default()
        };
        let asked = Asked { command: &echo, call };
        self.dialect.encode(&asked, black_box(&self.outcome)).body
    }
}

fn success(command: &Command) -> Outcome {
    let id = MessageId::from_bytes([7; 16]);
    match command {
        Command::SendMessage(_) => Outcome::Sent(Delivery {
            id,
            customer_id: None,
            phone: Phone::parse("15550001111").expect("it is a phone number"),
            at: NOW,
            message_type: MessageType::Human,
            result: Ok(Receipt {
                wamid: "wamid.HBgLMTU1NTAwMDExMTEVAgARGBI1RjRBQzA5RTNBQjA2MjQ4NkEA".to_owned(),
                wa_id: "15550001111".to_owned(),
            }),
        }),
        Command::Submit(_) => Outcome::Submitted(vec![id]),
        other => unreachable!("a text is sent, not {other:?}"),
    }
}

fn text_messages(criterion: &mut Criterion) {
    let org: &'static OrgId = Box::leak(Box::new(OrgId::new(SAMPLE_ORG)));
    let mut group = criterion.benchmark_group(GROUP);
    for dialect in DIALECTS {
        let exchange = Exchange::of_text(*dialect, org);
        group.bench_function(dialect.info().id, |bencher| bencher.iter(|| exchange.run()));
    }
    group.finish();
}

criterion_group!(benches, text_messages);
criterion_main!(benches);
