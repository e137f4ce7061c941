//! HTTP/1.1 as cheaply as it can be spoken: requests are encoded once, and of answers only that is read by which they
//! are judged. No chunked bodies, no continuations: the gateway answers these calls with neither.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;

use crate::http::Call;

/// An answer that is longer than this is none of those that are expected.
const ANSWER_MAX_BYTES: usize = 64 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// What goes over the wire for `call`.
pub(crate) fn encode(call: &Call, host: SocketAddr) -> Bytes {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", call.method, call.path);
    for (name, value) in &call.headers {
        // Writing into a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "content-length: {}\r\n\r\n", call.body.len());
    [head.as_bytes(), &call.body].concat().into()
}

/// An answer, as far as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply<'a> {
    /// Status code.
    pub(crate) status: u16,
    /// `Retry-After`, where it is a number of seconds.
    pub(crate) retry_after_s: Option<u32>,
    /// The whole body.
    pub(crate) body: &'a [u8],
    /// Length of head and body.
    pub(crate) length: usize,
}

/// The answer that `bytes` begin with; nothing while it is not there to its end.
///
/// # Errors
/// When it is no answer, one without a length, or a too long one.
pub(crate) fn reply(bytes: &[u8]) -> Result<Option<Reply<'_>>> {
    let Some(head_end) = bytes.windows(HEAD_END.len()).position(|part| part == HEAD_END) else {
        if bytes.len() > ANSWER_MAX_BYTES {
            bail!("a head without end");
        }
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..head_end]).context("a head that is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    let status = status.context("no status line")?;
    let (mut retry_after_s, mut body_bytes) = (None, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body_bytes = value.trim().parse::<usize>().ok();
        } else if name.eq_ignore_ascii_case("retry-after") {
            retry_after_s = value.trim().parse().ok();
        }
    }
    let body_bytes = body_bytes.context("an answer without a length")?;
    if body_bytes > ANSWER_MAX_BYTES {
        bail!("an answer of {body_bytes} bytes");
    }
    let body_start = head_end + HEAD_END.len();
    let length = body_start + body_bytes;
    let body = bytes.get(body_start..length);
    Ok(body.map(|body| Reply { status, retry_after_s, body, length }))
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::{ANSWER_MAX_BYTES, Reply, encode, reply};
    use crate::http::Call;

    #[test]
    fn encodes_a_call_with_its_length() {
        let call = Call {
            method: Method::POST,
            path: "/path?query".to_owned(),
            headers: vec![("key", "secret".to_owned())],
            body: "{}".into(),
        };
        let encoded = encode(&call, "127.0.0.1:80".parse().unwrap());
        let expected = "POST /path?query HTTP/1.1\r\nhost: 127.0.0.1:80\r\nkey: secret\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(encoded, expected);
    }

    #[test]
    fn reads_an_answer_only_when_it_is_whole() {
        let text = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 2\r\n\r\n{}HTTP";
        let length = text.len() - 4;
        for cut in 0..length {
            assert_eq!(reply(&text[..cut]).unwrap(), None, "{cut} bytes");
        }
        let whole = Reply { status: 503, retry_after_s: Some(1), body: b"{}", length };
        assert_eq!(reply(text).unwrap(), Some(whole));
    }

    #[test]
    fn takes_only_seconds_as_a_time_to_come_again() {
        for (line, expected) in [
            ("retry-after: 7", Some(7)),
            ("RETRY-AFTER:7", Some(7)),
            ("retry-after: soon", None),
            ("x-retry-after: 7", None),
        ] {
            let text = format!("HTTP/1.1 429 Slow\r\n{line}\r\ncontent-length: 0\r\n\r\n");
            assert_eq!(reply(text.as_bytes()).unwrap().unwrap().retry_after_s, expected, "{line}");
        }
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        let endless = "x".repeat(ANSWER_MAX_BYTES + 1);
        for text in [
            endless.as_str(),
            "SMTP 220\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        ] {
            assert!(reply(text.as_bytes()).is_err(), "{text:.40}");
        }
    }
}
