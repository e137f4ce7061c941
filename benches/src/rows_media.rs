//! Files of 1 MiB, in turns with an echo of the same bytes: inline in a message, and kept without sending them.
//!
//! No call of any dialect takes a file inline and answers before it is sent: an inline image is a synchronous send, which
//! decodes base64, makes the file durable, uploads it, records the intent, sends, and records the outcome. What the
//! echo can be compared with directly is only the keeping: that is measured by uploads of an organisation that has
//! no number yet, which are answered when file and record are durable. Whoever has one waits for the upload to the
//! upstream as well.
//!
//! Every file is different: files are kept by their content, so that an equal one would neither be written nor uploaded
//! a second time.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::effort::Effort;
use crate::files::{BOUNDARY, JPEG, form, inline_image};
use crate::gateway::{Gateway, Site, Upstream};
use crate::http::{self, Body, Call, pieces};
use crate::load::{Load, Seen};
use crate::mock::COUNTS_PATH;
use crate::process::Process;
use crate::report::{Limit, Row, Unit};
use crate::statistics::median;
use crate::tenants::{FASTEST_PER_S, Tenant};

const FILE_BYTES: usize = 1024 * 1024;
/// A few: each has a body of more than 1 MiB on its way.
const CONNECTIONS: usize = 8;
/// People whom each connection writes to in turns, so that nobody gets more than WhatsApp allows.
const PEOPLE: usize = 16;
/// What a call's body has in place of the file. Base64 reads it as bytes.
const PLACE: &str = "waypostbenchmark";
/// Where a file has its number: behind the signature, and where base64 begins a new group of letters.
const NUMBER_AT: usize = 12;
const NUMBER_DIGITS: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// The inline message's body.
    EchoInline,
    /// The same, passed on.
    Proxy,
    /// An inline message.
    Send,
    /// The form's body.
    EchoForm,
    /// A form whose file is kept only.
    Keep,
}

const TURNS: [Turn; 5] = [Turn::EchoInline, Turn::Proxy, Turn::Send, Turn::EchoForm, Turn::Keep];

/// Requests that differ in their file.
#[derive(Clone)]
struct Uploads {
    /// For each connection; in the bodies stands [`PLACE`] where the file goes.
    calls: Vec<Vec<Call>>,
    /// What a file has before its number and behind it.
    file: [Bytes; 2],
}

impl Uploads {
    /// Inline images; their number is a part of the base64.
    fn inline(calls: Vec<Vec<Call>>) -> Self {
        let image = jpeg();
        let (start, rest) = image.split_at(NUMBER_AT);
        let digits_bytes = NUMBER_DIGITS / 4 * 3;
        let file = [STANDARD.encode(start), STANDARD.encode(&rest[digits_bytes..])];
        Self { calls, file: file.map(Bytes::from) }
    }

    /// Forms with the file as it is.
    fn forms(calls: Vec<Vec<Call>>) -> Self {
        let image = jpeg();
        let (start, rest) = image.split_at(NUMBER_AT);
        Self { calls, file: [start, &rest[NUMBER_DIGITS..]].map(Bytes::copy_from_slice) }
    }

    fn on_path(&self, path: &str) -> Self {
        let mut uploads = self.clone();
        for call in uploads.calls.iter_mut().flatten() {
            path.clone_into(&mut call.path);
        }
        uploads
    }
}

/// The pieces of a body with the file of this number in its place. None is copied but the number.
fn filled(body: &Bytes, file: &[Bytes; 2], number: u64) -> [Bytes; 5] {
    let place = body.windows(PLACE.len()).position(|part| part == PLACE.as_bytes());
    let place = place.unwrap_or(body.len());
    let behind = (place + PLACE.len()).min(body.len());
    let number = Bytes::from(format!("{number:0NUMBER_DIGITS$x}"));
    let [start, rest] = file.clone();
    [body.slice(..place), start, number, rest, body.slice(behind..)]
}

/// A gateway and what it is sent. Each repetition has its own, so that the disk need not hold the files of all.
struct Subject {
    gateway: Gateway,
    inline: Uploads,
    forms: Uploads,
}

impl Subject {
    async fn set_up(site: &Site, mock: SocketAddr) -> Result<Self> {
        let gateway = Gateway::start(site, Upstream::Mock(mock)).await?;
        let sender = Tenant::add(&gateway, 0, CONNECTIONS * PEOPLE, FASTEST_PER_S).await?;
        let keeper = Tenant::add_without_number(&gateway, 1).await?;
        let message = inline_image(&STANDARD.decode(PLACE)?);
        let of_connection = |connection: usize| -> Vec<Call> {
            let people = connection * PEOPLE..(connection + 1) * PEOPLE;
            people.map(|person| sender.send_now(person, &message)).collect()
        };
        let inline = Uploads::inline((0..CONNECTIONS).map(of_connection).collect());
        let forms = Uploads::forms(vec![vec![form_call(&keeper)]; CONNECTIONS]);
        Ok(Self { gateway, inline, forms })
    }
}

/// An image as far as anybody looks.
fn jpeg() -> Vec<u8> {
    let mut image = vec![0; FILE_BYTES];
    image[..JPEG.len()].copy_from_slice(&JPEG);
    image
}

fn form_call(keeper: &Tenant) -> Call {
    let (mut call, org_id) = keeper.upload(BOUNDARY);
    let (head, tail) = form(org_id, "image/jpeg", "large.jpg");
    call.body = [&head[..], PLACE.as_bytes(), &tail].concat().into();
    call
}

struct Field {
    mock: (Process, SocketAddr),
    echo: (Process, SocketAddr),
    proxy: (Process, SocketAddr),
    /// How many files there were.
    files: Rc<Cell<u64>>,
}

impl Field {
    fn set_up() -> Result<Self> {
        let mock = Process::start_bare(&["mock"])?;
        let echo = Process::start_bare(&["echo"])?;
        let proxy = Process::start_bare(&["proxy", "--upstream", &mock.1.to_string()])?;
        Ok(Self { mock, echo, proxy, files: Rc::default() })
    }

    async fn turn(&self, turn: Turn, subject: &Subject, effort: &Effort) -> Result<Seen> {
        let (process, address) = match turn {
            Turn::EchoInline | Turn::EchoForm => (&self.echo.0, self.echo.1),
            Turn::Proxy => (&self.proxy.0, self.proxy.1),
            Turn::Send | Turn::Keep => (&subject.gateway.process, subject.gateway.address),
        };
        let uploads = match turn {
            Turn::EchoInline | Turn::Send => subject.inline.clone(),
            // Where the mock counts bytes and keeps none.
            Turn::Proxy => subject.inline.on_path("/v23.0/100000000000001/media"),
            Turn::EchoForm | Turn::Keep => subject.forms.clone(),
        };
        let before = self.counts().await?;
        let seen = Load {
            address,
            process,
            calls: &uploads.calls,
            spread: Duration::ZERO,
            warming: effort.warming,
            window: effort.window,
        }
        .run_with(self.numbered(uploads.file))
        .await?;
        let after = self.counts().await?;
        let [messages, media] = [after[0] - before[0], after[1] - before[1]];
        if turn == Turn::Send && [messages, media] != [seen.answers; 2] {
            bail!("{} sends, and the upstream got {messages} with {media} files", seen.answers);
        }
        Ok(seen)
    }

    /// Makes bodies with a file that there was not before.
    fn numbered(&self, file: [Bytes; 2]) -> impl Fn(&Call) -> Body + Clone + 'static {
        let files = Rc::clone(&self.files);
        move |call| {
            files.set(files.get() + 1);
            pieces(filled(&call.body, &file, files.get()))
        }
    }

    /// Messages and files that the upstream has got.
    async fn counts(&self) -> Result<[u64; 2]> {
        let counts: Value = http::get(self.mock.1, COUNTS_PATH).await?.json()?;
        let count = |name: &str| counts[name].as_u64().context("the mock counts");
        Ok([count("messages")?, count("media")?])
    }
}

/// Measures and gives the rows.
///
/// # Errors
/// When a call fails, or a file is not uploaded.
pub(crate) async fn measure(site: &Site, effort: &Effort) -> Result<Vec<Row>> {
    let field = Field::set_up()?;
    let mut seen: [Vec<Seen>; 5] = Default::default();
    for repetition in 1..=effort.repetitions {
        let subject = Subject::set_up(site, field.mock.1).await?;
        for turn in TURNS {
            let result = field.turn(turn, &subject, effort).await?;
            println!(
                "media {turn:?} {repetition}: {:.0}/s, {:.0} µs of processor, p50 {:.1} ms, p99 {:.1} ms",
                result.rate_per_s,
                result.cpu_us,
                result.p50_us / 1e3,
                result.p99_us / 1e3
            );
            seen[turn as usize].push(result);
        }
    }
    Ok(rows(&seen))
}

fn rows(seen: &[Vec<Seen>; 5]) -> Vec<Row> {
    let column = |turn: Turn, of: fn(&Seen) -> f64| -> Vec<f64> {
        seen[turn as usize].iter().map(of).collect()
    };
    let rate: fn(&Seen) -> f64 = |seen| seen.rate_per_s;
    let ratio = |name, above: Turn, below: Turn| {
        let pairs = column(above, rate).into_iter().zip(column(below, rate));
        let ratios: Vec<f64> = pairs.map(|(above, below)| above / below).collect();
        Row::new(name, Unit::Ratio, median(&ratios)).of(&ratios)
    };
    let plain = |name, unit, turn: Turn, of: fn(&Seen) -> f64| {
        let values = column(turn, of);
        Row::new(name, unit, median(&values)).of(&values)
    };
    vec![
        ratio("1 MiB inline: kept, uploaded, sent ÷ bare echo", Turn::Send, Turn::EchoInline)
            .bar(Limit::AtLeast(0.12))
            .aim(Limit::AtLeast(0.25)),
        ratio("1 MiB form: durable, not uploaded ÷ bare echo", Turn::Keep, Turn::EchoForm)
            .bar(Limit::AtLeast(0.12))
            .aim(Limit::AtLeast(0.25)),
        ratio("1 MiB inline: kept, uploaded, sent ÷ bare proxy", Turn::Send, Turn::Proxy),
        plain("1 MiB inline: bare echo", Unit::PerS, Turn::EchoInline, rate),
        plain("1 MiB inline: bare proxy", Unit::PerS, Turn::Proxy, rate),
        plain("1 MiB inline: sends", Unit::PerS, Turn::Send, rate),
        plain("1 MiB form: bare echo", Unit::PerS, Turn::EchoForm, rate),
        plain("1 MiB form: durable", Unit::PerS, Turn::Keep, rate),
        plain("processor per inline send", Unit::Us, Turn::Send, |seen| seen.cpu_us),
        plain("processor per durable form", Unit::Us, Turn::Keep, |seen| seen.cpu_us),
    ]
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use bytes::Bytes;

    use super::{FILE_BYTES, NUMBER_AT, PLACE, STANDARD, Uploads, filled, jpeg};

    #[test]
    fn makes_files_of_one_size_that_differ_in_their_number_alone() {
        let body = Bytes::from(format!("<{PLACE}>"));
        let raw = |file: &[Bytes; 2], number| filled(&body, file, number).concat();
        let inline = |number| {
            let body = raw(&Uploads::inline(Vec::new()).file, number);
            STANDARD.decode(&body[1..body.len() - 1]).unwrap()
        };
        let form = |number| {
            let body = raw(&Uploads::forms(Vec::new()).file, number);
            body[1..body.len() - 1].to_vec()
        };
        for (of, number_bytes) in [(&inline as &dyn Fn(u64) -> Vec<u8>, 12), (&form, 16)] {
            let files = [of(1), of(0xfeed)];
            assert_ne!(files[0], files[1]);
            for file in files {
                assert_eq!(file.len(), FILE_BYTES);
                assert_eq!(file[..NUMBER_AT], jpeg()[..NUMBER_AT]);
                assert!(file[NUMBER_AT + number_bytes..].iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn leaves_a_body_as_it_is_around_the_file() {
        let file = [Bytes::from("a"), Bytes::from("b")];
        let body = Bytes::from(format!("ahead {PLACE} behind"));
        assert_eq!(filled(&body, &file, 1).concat(), b"ahead a0000000000000001b behind");
    }
}
