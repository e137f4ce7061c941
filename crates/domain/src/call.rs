//! What is told of one call to the upstream, for whoever looks into a message's fate: sizes, times
//! and codes. No content, no token, no person's number.

use serde::{Deserialize, Serialize};

/// One call for one message. Field names are short because there is one for every attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The path that was called; it names the business's number by the upstream's id.
    #[serde(rename = "p", default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What kind of content it was, such as `text`.
    #[serde(rename = "k", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Bytes of the request's body.
    #[serde(rename = "b", default, skip_serializing_if = "is_zero")]
    pub request_bytes: u64,
    /// The reply's HTTP status; `None`: there was no reply.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes of the reply's body; `None`: it could not be read whole.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub reply_bytes: Option<u64>,
    /// The upstream's own name for the call, to be told to its support.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// How much of its limits the upstream says is used, in its own words.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// How long it took to the head of the reply, in milliseconds; `None`: there was none.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub head_ms: Option<u32>,
    /// How long it took altogether, in milliseconds.
    #[serde(rename = "m", default)]
    pub total_ms: u32,
    /// What may be done about a failure; empty where there was none.
    #[serde(rename = "c", default, skip_serializing_if = "String::is_empty")]
    pub class: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_success_is_kept_in_few_bytes() {
        let call = Call {
            path: "/v23.0/100000000000001/messages".to_owned(),
            kind: "text".to_owned(),
            request_bytes: 312,
            status: Some(200),
            reply_bytes: Some(190),
            head_ms: Some(41),
            total_ms: 41,
            ..Call::default()
        };
        let text = serde_json::to_string(&call).unwrap();
        assert!(text.len() < 120, "{text}");
        assert_eq!(serde_json::from_str::<Call>(&text).unwrap(), call);
    }
}
