//! How rows are judged: replies to the letter, receipts by their members.

use reqwest::RequestBuilder;
use serde_json::Value;
use waypost_tests::Reply;
use waypost_tests::signing::signature;

use crate::desk::{Desk, SECRET};

/// Rows that were asked for, with what went wrong: all are told at the end.
pub(crate) struct Table<'a> {
    desk: &'a Desk,
    faults: Vec<String>,
}

/// A reply's text without its code, where a code goes without saying.
pub(crate) const MISSING: (&str, &str) = ("8001", "Required parameter is missing");
/// The key is none.
pub(crate) const STRANGER: (&str, &str) = ("8004", "Client details not found");
/// A file is none.
pub(crate) const BAD_MEDIA: (&str, &str) = ("8008", "Invalid Media id or bad media");

/// A wrong value, in the vendor's words, which begin with a blank.
pub(crate) fn wrong(text: &str) -> (&str, &str) {
    assert!(text.starts_with(' '), "{text}");
    ("8006", text)
}

impl<'a> Table<'a> {
    pub(crate) fn of(desk: &'a Desk) -> Self {
        Self { desk, faults: Vec::new() }
    }

    /// The row is answered with the success body; returns the message's id.
    pub(crate) async fn accepts(&mut self, row: &str, request: RequestBuilder) -> String {
        let reply = Reply::to(request).await;
        let id = reply.json()["data"]["id"].as_str().unwrap_or_default().to_owned();
        let wanted = format!(
            r#"{{"status":"success","message":"Request received successfully.","data":{{"id":"{id}"}}}}"#
        );
        let holds = reply.status == 200 && is_uuid(&id) && reply.text() == wanted;
        self.check(row, holds, &format!("not OK: {} {}", reply.status, said(&reply)));
        self.check_headers(row, &reply);
        id
    }

    /// The row is answered with this code and text, to the letter.
    pub(crate) async fn refuses(
        &mut self,
        row: &str,
        request: RequestBuilder,
        status: u16,
        (code, text): (&str, &str),
    ) -> Reply {
        let reply = Reply::to(request).await;
        let wanted =
            format!(r#"{{"status":"failure","error":{{"code":"{code}","message":"{text}"}}}}"#);
        let holds = reply.status == status && reply.text() == wanted;
        let got = format!("not {status} {wanted}, but {} {}", reply.status, said(&reply));
        self.check(row, holds, &got);
        let explained = reply.header("x-waypost-error").is_some_and(|text| !text.is_empty());
        self.check(row, explained, "no X-Waypost-Error");
        self.check_headers(row, &reply);
        reply
    }

    /// The row is answered with 200 and exactly this text.
    pub(crate) async fn answers(&mut self, row: &str, request: RequestBuilder, wanted: &str) {
        let reply = Reply::to(request).await;
        let holds = reply.status == 200 && reply.text() == wanted;
        self.check(row, holds, &format!("not {wanted}, but {} {}", reply.status, said(&reply)));
    }

    fn check_headers(&mut self, row: &str, reply: &Reply) {
        let is_json = reply.header("content-type") == Some("application/json");
        self.check(row, is_json, &format!("content type {:?}", reply.header("content-type")));
        self.check(row, reply.header("x-request-id").is_some(), "no X-Request-Id");
    }

    /// The message is told of so: with no remark.
    pub(crate) async fn told(&mut self, row: &str, id: &str, status: &str) -> Value {
        let receipt = self.desk.receipt(id, status).await;
        self.check(row, receipt["status_remark"] == "", &receipt.to_string());
        self.check_receipt(row, &receipt);
        receipt
    }

    /// The message is told to have failed, with a remark that begins so.
    pub(crate) async fn fails(&mut self, row: &str, id: &str, remark: &str) -> Value {
        let receipt = self.desk.receipt(id, "failed").await;
        let told = receipt["status_remark"].as_str().unwrap_or_default();
        self.check(row, told.starts_with(remark), &format!("not {remark}: {receipt}"));
        self.check_receipt(row, &receipt);
        receipt
    }

    fn check_receipt(&mut self, row: &str, receipt: &Value) {
        let names: Vec<&str> = receipt.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = [
            "ncmessage_id",
            "recipient",
            "status",
            "status_remark",
            "received_at",
            "source",
            "x-apiheader",
        ];
        let fits = names == wanted || names == wanted[..6];
        self.check(row, fits, &format!("members of {receipt}"));
        let at = receipt["received_at"].as_str().unwrap_or_default();
        self.check(row, is_like(at, "0000-00-00 00:00:00"), &format!("time of {receipt}"));
    }

    pub(crate) fn check(&mut self, row: &str, holds: bool, what: &str) {
        if !holds {
            self.faults.push(format!("row {row}: {what}"));
        }
    }

    /// Tells what went wrong; every post must have been the vendor's, and signed.
    pub(crate) fn end(mut self) {
        for post in self.desk.receiver.seen() {
            let right = signature(SECRET, &post.body);
            let signed = post.header("x-hub-signature-256") == Some(right.as_str());
            self.check("posts", signed, "a wrong signature");
            let headers = post.header("x-fixed") == Some("of the tests")
                && post.header("content-type") == Some("application/json")
                && post.method == "POST"
                && post.path == "/events";
            self.check("posts", headers, &format!("{} {:?}", post.path, post.headers));
            let names: Vec<String> =
                post.json().as_object().map(|it| it.keys().cloned().collect()).unwrap_or_default();
            let is_one = names == ["delivery_status"] || names == ["incoming_message"];
            self.check("posts", is_one, &format!("a post of {names:?}"));
        }
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

fn said(reply: &Reply) -> String {
    format!("{} ({})", reply.text(), reply.header("x-waypost-error").unwrap_or_default())
}

/// Whether it is written as UUIDs are, in lower case.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(place, char)| match place {
            8 | 13 | 18 | 23 => char == '-',
            _ => char.is_ascii_digit() || ('a'..='f').contains(&char),
        })
}

/// `0` in the pattern stands for a digit, everything else for itself.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(found, wanted)| {
            if wanted == b'0' { found.is_ascii_digit() } else { found == wanted }
        })
}
