//! What an answer in Webex Connect's dialect tells its caller: that the message is there, that it is not and when to
//! come again, or something that no caller should hear.

use crate::raw::Reply;
use crate::scan::text_of;

/// The code of a message that is accepted.
const ACCEPTED: &str = "1001";
/// How this dialect says 503 and 429: status and code.
const REFUSALS: [(u16, &str); 2] = [(503, "7006"), (400, "7020")];

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Accepted, under this id.
    Accepted(u128),
    /// Turned away, with a time to come again.
    Refused,
    /// Turned away without one.
    RefusedWithoutTime,
    /// Neither.
    Wrong,
}

/// Judges an answer to a request with one destination.
pub(crate) fn of(reply: &Reply<'_>) -> Verdict {
    let code = text_of(reply.body, b"\"code\":\"");
    if reply.status == 200 && code == ACCEPTED {
        let id = message_id(text_of(reply.body, b"\"transid\":\""));
        return id.map_or(Verdict::Wrong, Verdict::Accepted);
    }
    if !REFUSALS.contains(&(reply.status, code)) {
        return Verdict::Wrong;
    }
    match reply.retry_after_s {
        Some(1..) => Verdict::Refused,
        Some(0) | None => Verdict::RefusedWithoutTime,
    }
}

/// A message's id, which is a UUID.
pub(crate) fn message_id(text: &str) -> Option<u128> {
    let digits = text.replace('-', "");
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Verdict, message_id, of};
    use crate::raw::Reply;

    const ID: &str = "0b8f1d52-7c0e-7a57-9a3c-2f1d5e6a7bc0";
    const NUMBER: u128 = 0x0b8f_1d52_7c0e_7a57_9a3c_2f1d_5e6a_7bc0;

    #[test]
    fn tells_success_and_proper_refusals_from_the_rest() {
        let success = format!(r#"{{"response":[{{"code":"1001","transid":"{ID}"}}]}}"#);
        let nameless = r#"{"response":[{"code":"1001"}]}"#.to_owned();
        let refusal = |code| format!(r#"{{"response":{{"code":"{code}","transid":"{ID}"}}}}"#);
        for (status, retry_after_s, body, expected) in [
            (200, None, &success, Verdict::Accepted(NUMBER)),
            (202, None, &success, Verdict::Wrong),
            (200, None, &nameless, Verdict::Wrong),
            (200, None, &refusal("7006"), Verdict::Wrong),
            (503, Some(1), &refusal("7006"), Verdict::Refused),
            (400, Some(1), &refusal("7020"), Verdict::Refused),
            (503, None, &refusal("7006"), Verdict::RefusedWithoutTime),
            (503, Some(0), &refusal("7006"), Verdict::RefusedWithoutTime),
            (503, Some(1), &"overloaded".to_owned(), Verdict::Wrong),
            (400, Some(1), &refusal("7000"), Verdict::Wrong),
            (500, Some(1), &refusal("7006"), Verdict::Wrong),
        ] {
            let reply = Reply { status, retry_after_s, body: body.as_bytes(), length: body.len() };
            assert_eq!(of(&reply), expected, "{status} {retry_after_s:?} {body}");
        }
    }

    #[test]
    fn reads_ids() {
        assert_eq!(message_id(ID), Some(NUMBER));
        for text in ["", "0b8f1d52", "0b8f1d52-7c0e-7a57-9a3c-2f1d5e6a7bcx", &format!("{ID}0")] {
            assert_eq!(message_id(text), None, "{text}");
        }
    }
}
